//! What a FIFO topic takes once, over stores in memory and a clock that is moved by hand.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use hearth_api::sns::types as api;
use hearth_store::{MetadataStore, Precondition, QueueStore, Write};
use tokio::task::JoinSet;

use crate::case::{Case, case};

impl Case {
    /// The id that it got.
    async fn publish(&self, deduplication: &str) -> String {
        let input = api::PublishInput {
            topic_arn: Some(self.topic.clone()),
            message: "m".into(),
            message_group_id: Some("g".into()),
            message_deduplication_id: Some(deduplication.into()),
            ..Default::default()
        };
        self.sns.publish(&self.caller, input, None).await.unwrap().message_id.unwrap()
    }

    async fn kept(&self) -> u64 {
        self.queues.queues("topic-once/").await.unwrap().iter().map(|queue| queue.messages).sum()
    }
}

#[tokio::test]
async fn an_id_counts_for_five_minutes() {
    let case = case().await;
    let first = case.publish("a").await;
    case.clock.advance(Duration::from_secs(299), Duration::from_secs(60)).await.unwrap();
    assert_eq!(case.publish("a").await, first);
    assert_ne!(case.publish("b").await, first);
    case.clock.advance(Duration::from_secs(1), Duration::from_secs(60)).await.unwrap();
    assert_ne!(case.publish("a").await, first);
}

#[tokio::test]
async fn of_many_at_once_with_one_id_one_is_published() {
    let case = Arc::new(case().await);
    let mut all = JoinSet::new();
    for _ in 0..50 {
        let case = Arc::clone(&case);
        all.spawn(async move { case.publish("a").await });
    }
    assert_eq!(all.join_all().await.into_iter().collect::<HashSet<String>>().len(), 1);
    assert_eq!(case.kept().await, 1);
}

#[tokio::test]
async fn what_is_over_is_forgotten_however_much_it_is() {
    let case = case().await;
    for minute in 0..12 {
        for n in 0..100 {
            case.publish(&format!("{minute}-{n}")).await;
        }
        let minutes = (minute + 1).min(6);
        assert!(case.kept().await <= minutes * 100, "{minute}: {}", case.kept().await);
        case.clock.advance(Duration::from_secs(60), Duration::from_secs(60)).await.unwrap();
    }
    let input = api::DeleteTopicInput { topic_arn: case.topic.clone() };
    case.sns.delete_topic(&case.caller, input).await.unwrap();
    assert_eq!(case.kept().await, 0, "with its topic");
}

#[tokio::test]
async fn what_a_crash_leaves_of_a_topic_goes_at_the_next_start() {
    let case = case().await;
    case.publish("a").await;
    case.sns.forget_the_gone().await.unwrap();
    assert_eq!(case.kept().await, 1, "the topic is there");
    let (key, _) = case.metadata.list("", None, 1).await.unwrap().pop().unwrap();
    case.metadata.commit(vec![Write::delete(key, Precondition::Any)]).await.unwrap();
    case.sns.forget_the_gone().await.unwrap();
    assert_eq!(case.kept().await, 0);
}
