//! The outbox over queues in memory, with a target that fails as often as it is told.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use hearth_delivery::{
    DeadLetter, Delivery, Failure, Kind, Outbox, Outcome, Parcel, Parts, Retry, Sender, Source, Target, Targets, Way,
};
use hearth_fleet::Timing;
use hearth_sqs::Attributes;
use hearth_store::{BoxFuture, Look, MemoryQueueStore, QueueStore, Step};
use tokio::sync::mpsc;

const DEAD: &str = "arn:aws:sqs:us-east-1:000000000000:dead";

/// An address that fails some times, and a queue for dead letters.
struct Scripted {
    failures: AtomicU32,
    is_lasting: bool,
    outcomes: Mutex<Option<mpsc::UnboundedSender<Outcome>>>,
}

impl Targets for Scripted {
    fn place<'a>(&'a self, way: Way<'a>) -> BoxFuture<'a, Result<Option<Step>, Failure>> {
        let Target::Queue { arn, .. } = way.target else { return Box::pin(async { Ok(None) }) };
        let step = Step::Put { queue: arn.clone(), due_ms: 0, head: Bytes::new(), body: way.body.clone() };
        let outcome = if arn == DEAD { Ok(Some(step)) } else { Err(Failure::lasting("NO_RESOURCE", "no such queue")) };
        Box::pin(async { outcome })
    }

    fn placed(&self, _: &Target) {}

    fn deliver<'a>(&'a self, _: Way<'a>) -> BoxFuture<'a, Result<(), Failure>> {
        let failing =
            self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        let failure = Failure { code: "HTTP".into(), message: "no".into(), is_lasting: self.is_lasting };
        Box::pin(async move { if failing { Err(failure) } else { Ok(()) } })
    }

    fn ended(&self, _: &Delivery, outcome: Outcome) {
        let outcomes = self.outcomes.lock().unwrap();
        outcomes.as_ref().unwrap().send(outcome).unwrap();
    }
}

struct Case {
    queues: Arc<MemoryQueueStore>,
    outbox: Arc<Outbox>,
    outcomes: mpsc::UnboundedReceiver<Outcome>,
}

fn case(queues: &Arc<MemoryQueueStore>, failures: u32, is_lasting: bool) -> Case {
    let (tell, outcomes) = mpsc::unbounded_channel();
    let targets = Scripted { failures: failures.into(), is_lasting, outcomes: Mutex::new(Some(tell)) };
    let outbox = Outbox::new(Parts {
        queues: Arc::clone(queues) as _,
        targets: Arc::new(targets),
        clock: hearth_clock::Clock::real(),
        timing: Timing { retry_base: Duration::from_millis(60) },
    });
    Case { queues: Arc::clone(queues), outbox, outcomes }
}

fn parcel(target: Target, attempts: u32, dead_letter: Option<&str>) -> Parcel {
    Parcel {
        lane: "topic/1".into(),
        delivery: Delivery {
            source: Source { kind: Kind::Topic, arn: "arn:aws:sns:us-east-1:000000000000:t:1".into() },
            sender: Sender::Service { principal: "sns.amazonaws.com".into(), source_arn: String::new() },
            target,
            retry: Retry { attempts, age_ms: 60_000, pause_ms: None },
            dead_letter: dead_letter.map(DeadLetter::plain),
            trace: None,
            since_ms: 0,
            attempts: 0,
        },
        body: Bytes::from_static(b"hello"),
    }
}

fn http() -> Target {
    Target::Http { url: "http://outside/".into(), headers: Vec::new() }
}

impl Case {
    async fn bodies(&self, queue: &str) -> Vec<Bytes> {
        let look = Look { queue: queue.into(), until_ms: i64::MAX, skip: Default::default(), limit: 9, bytes: 999 };
        self.queues.due(look).await.unwrap().messages.into_iter().map(|message| message.body).collect()
    }

    async fn outcomes(&mut self, count: usize) -> Vec<Outcome> {
        let mut seen = Vec::new();
        while seen.len() < count {
            seen.push(self.outcomes.recv().await.unwrap());
        }
        seen
    }
}

#[tokio::test]
async fn what_fails_is_tried_until_it_is_taken_and_then_it_is_gone() {
    let mut case = case(&Arc::default(), 3, false);
    let running = tokio::spawn(Arc::clone(&case.outbox).run());
    case.outbox.post(vec![parcel(http(), 9, Some(DEAD))]).await.unwrap();
    assert_eq!(case.outcomes(4).await, [Outcome::Failed, Outcome::Failed, Outcome::Failed, Outcome::Delivered]);
    case.outbox.stop(Duration::from_secs(60)).await;
    running.await.unwrap().unwrap();
    assert!(case.outbox.waiting().await.unwrap().is_empty());
    assert!(case.bodies(DEAD).await.is_empty());
    let counted = case.outbox.counted();
    let of =
        |outcome| counted.iter().find(|one| (one.kind, one.outcome) == (Kind::Topic, outcome)).map(|one| one.count);
    assert_eq!((of(Outcome::Failed), of(Outcome::Delivered), of(Outcome::Dropped)), (Some(3), Some(1), Some(0)));
}

#[tokio::test]
async fn what_is_never_taken_is_a_dead_letter_in_the_commit_that_ends_it() {
    let mut case = case(&Arc::default(), u32::MAX, false);
    let _running = tokio::spawn(Arc::clone(&case.outbox).run());
    case.outbox.post(vec![parcel(http(), 1, Some(DEAD))]).await.unwrap();
    assert_eq!(case.outcomes(2).await, [Outcome::Failed, Outcome::DeadLettered]);
    assert_eq!(case.bodies(DEAD).await, [Bytes::from_static(b"hello")]);
    assert!(case.outbox.waiting().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_can_never_be_placed_is_a_dead_letter_at_once_or_counted_as_dropped() {
    let mut case = case(&Arc::default(), 0, true);
    let missing = || Target::queue("arn:aws:sqs:us-east-1:000000000000:missing", Attributes::new());
    let posting = case.outbox.prepare(vec![parcel(missing(), 9, Some(DEAD)), parcel(missing(), 9, None)]).await;
    assert_eq!(posting.steps.len(), 1);
    assert_eq!(case.outcomes(1).await, [Outcome::Dropped]);
    let dead = DeadLetter::plain("arn:aws:sqs:us-east-1:000000000000:missing").arn;
    case.outbox.post(vec![parcel(missing(), 9, Some(&dead))]).await.unwrap();
    assert_eq!(case.outcomes(1).await, [Outcome::Dropped]);
    assert!(case.outbox.waiting().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_was_acknowledged_is_sent_by_the_next_process() {
    let queues = Arc::<MemoryQueueStore>::default();
    let first = case(&queues, 0, false);
    first.outbox.post(vec![parcel(http(), 0, None)]).await.unwrap();
    assert_eq!(first.outbox.waiting().await.unwrap()[0].queue, "delivery/topic/1");
    drop(first);
    let mut second = case(&queues, 0, false);
    let _running = tokio::spawn(Arc::clone(&second.outbox).run());
    assert_eq!(second.outcomes(1).await, [Outcome::Delivered]);
}

#[tokio::test]
async fn a_parcel_that_cannot_be_read_is_put_aside_and_stands_in_nobodys_way() {
    let queues = Arc::<MemoryQueueStore>::default();
    let (queue, head, body) = ("delivery/topic/1".to_owned(), Bytes::from_static(b"{"), Bytes::from_static(b"broken"));
    queues.commit(vec![Step::Put { queue, due_ms: 0, head, body }]).await.unwrap();
    let mut case = case(&queues, 0, false);
    case.outbox.post(vec![parcel(http(), 0, None)]).await.unwrap();
    let running = tokio::spawn(Arc::clone(&case.outbox).run());
    assert_eq!(case.outcomes(1).await, [Outcome::Delivered]);
    case.outbox.stop(Duration::from_secs(60)).await;
    running.await.unwrap().unwrap();
    assert!(case.outbox.waiting().await.unwrap().is_empty());
    assert_eq!(case.bodies("unreadable/delivery/topic/1").await, [Bytes::from_static(b"broken")]);
}
