//! SNS over stores in memory and a clock that is moved by hand.

use std::sync::Arc;
use std::time::Duration;

use hearth_api::sns::types as api;
use hearth_clock::Clock;
use hearth_delivery::{Failure, Outbox, Target, Targets, Way};
use hearth_fleet::Timing;
use hearth_identity::policy::{Context, Principal};
use hearth_identity::{Caller, Rights};
use hearth_sns::{Parts, Sns};
use hearth_store::{BoxFuture, MemoryQueueStore, MemoryStore, Step};
use hearth_types::Place;

struct Nobody;

impl Targets for Nobody {
    fn place<'a>(&'a self, _: Way<'a>) -> BoxFuture<'a, Result<Option<Step>, Failure>> {
        Box::pin(async { Ok(None) })
    }

    fn placed(&self, _: &Target) {}

    fn deliver<'a>(&'a self, _: Way<'a>) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }
}

pub(crate) struct Case {
    pub(crate) sns: Arc<Sns>,
    pub(crate) metadata: Arc<MemoryStore>,
    pub(crate) queues: Arc<MemoryQueueStore>,
    pub(crate) clock: Clock,
    pub(crate) caller: Caller,
    /// Of a FIFO topic.
    pub(crate) topic: String,
}

pub(crate) async fn case() -> Case {
    let (queues, clock) = (Arc::new(MemoryQueueStore::default()), Clock::manual(1_800_000_000_000));
    let outbox = Outbox::new(hearth_delivery::Parts {
        queues: Arc::clone(&queues) as _,
        targets: Arc::new(Nobody),
        clock: clock.clone(),
        timing: Timing { retry_base: Duration::from_secs(1) },
    });
    let metadata = Arc::new(MemoryStore::default());
    let sns = Sns::new(Parts {
        place: Place { region: "us-east-1".into(), account: "000000000000".into() },
        metadata: Arc::clone(&metadata) as _,
        outbox,
        queues: Arc::clone(&queues) as _,
        endpoint: "http://127.0.0.1:1".into(),
        clock: clock.clone(),
    });
    let caller = Caller::new(Principal::Anonymous, "", Rights::Everything, Context::default());
    let attributes = [("FifoTopic".to_owned(), "true".to_owned())].into_iter().collect();
    let input = api::CreateTopicInput { name: "t.fifo".into(), attributes: Some(attributes), ..Default::default() };
    let topic = sns.create_topic(&caller, input).await.unwrap().topic_arn.unwrap();
    Case { sns, metadata, queues, clock, caller, topic }
}
