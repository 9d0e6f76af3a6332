//! Batches that go to more subscribers than one commit has room for.

use std::collections::HashSet;

use hearth_api::sns::types as api;
use hearth_store::QueueStore;
use hearth_types::limits::{QUEUE_COMMIT_STEPS, SNS_BATCH};

use crate::case::{Case, case};

/// A batch to all of them takes more than one commit.
const SUBSCRIBERS: usize = 150;
const _: () = assert!(SUBSCRIBERS * SNS_BATCH > QUEUE_COMMIT_STEPS);

async fn subscribe(case: &Case, count: usize) {
    for n in 0..count {
        let input = api::SubscribeInput {
            topic_arn: case.topic.clone(),
            protocol: "sqs".into(),
            endpoint: Some(format!("arn:aws:sqs:us-east-1:000000000000:q{n}.fifo")),
            ..Default::default()
        };
        case.sns.subscribe(&case.caller, input).await.unwrap();
    }
}

/// The ids of the messages, in the order of the entries.
async fn publish(case: &Case, deduplications: &[String]) -> Vec<String> {
    let entries = deduplications.iter().enumerate().map(|(n, deduplication)| api::PublishBatchRequestEntry {
        id: n.to_string(),
        message: "m".into(),
        message_group_id: Some("g".into()),
        message_deduplication_id: Some(deduplication.clone()),
        ..Default::default()
    });
    let input =
        api::PublishBatchInput { topic_arn: case.topic.clone(), publish_batch_request_entries: entries.collect() };
    let answer = case.sns.publish_batch(&case.caller, input, None).await.unwrap();
    assert!(answer.failed.unwrap_or_default().is_empty());
    let successful = answer.successful.unwrap();
    assert!(
        successful.iter().map(|entry| entry.id.clone().unwrap()).eq((0..deduplications.len()).map(|n| n.to_string()))
    );
    successful.into_iter().map(|entry| entry.message_id.unwrap()).collect()
}

#[tokio::test]
async fn a_batch_of_several_commits_reaches_everybody_once() {
    let case = case().await;
    subscribe(&case, SUBSCRIBERS).await;
    let deduplications: Vec<String> = (0..SNS_BATCH).map(|n| n.to_string()).collect();
    let ids = publish(&case, &deduplications).await;
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), SNS_BATCH);
    let sent = || async {
        let lanes = case.queues.queues("delivery/").await.unwrap();
        assert_eq!(lanes.len(), SUBSCRIBERS);
        lanes.iter().map(|lane| lane.messages).collect::<HashSet<u64>>()
    };
    assert_eq!(sent().await, HashSet::from([SNS_BATCH as u64]));
    assert_eq!(publish(&case, &deduplications).await, ids, "each is known");
    assert_eq!(sent().await, HashSet::from([SNS_BATCH as u64]));
}

#[tokio::test]
async fn an_entry_that_is_the_same_as_one_of_another_commit_gets_its_answer() {
    let case = case().await;
    subscribe(&case, SUBSCRIBERS).await;
    let ids = publish(&case, &["a", "b", "c", "d", "e", "f", "g", "h", "a", "h"].map(String::from)).await;
    assert_eq!((&ids[0], &ids[7]), (&ids[8], &ids[9]));
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 8);
}
