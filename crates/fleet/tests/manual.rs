//! The fleet by a clock that is moved by hand.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use hearth_clock::Clock;
use hearth_fleet::{Bounds, Pollers, Timing, Verdict, Work};
use hearth_store::{MemoryQueueStore, Message, QueueStore, Step};

const MINUTE_MS: i64 = 60_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs each message for some turns, three times, an hour apart.
struct Hourly {
    queues: MemoryQueueStore,
    clock: Clock,
    /// The message's body, and when it began and ended.
    runs: Mutex<Vec<(Bytes, i64, i64)>>,
}

impl Work for Hourly {
    fn queues(&self) -> &dyn QueueStore {
        &self.queues
    }

    async fn work(&self, _queue: &str, message: Message) -> Verdict {
        let began_ms = self.clock.now_ms();
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        let done = {
            let mut runs = self.runs.lock().unwrap();
            runs.push((message.body.clone(), began_ms, self.clock.now_ms()));
            runs.iter().filter(|(body, ..)| *body == message.body).count() == 3
        };
        let due_ms = began_ms + 60 * MINUTE_MS;
        let (step, again_ms) = match done {
            true => (Step::Delete(message.found), None),
            false => (Step::Change { found: message.found, due_ms, head: message.head }, Some(due_ms)),
        };
        self.queues.commit(vec![step]).await.unwrap();
        Verdict { again_ms, ..Verdict::default() }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_due_in_hours_has_run_when_the_clock_was_moved_so_far() {
    let clock = Clock::manual(0);
    let work = Arc::new(Hourly { queues: MemoryQueueStore::default(), clock: clock.clone(), runs: Mutex::default() });
    let timing = Timing { retry_base: Duration::from_secs(60) };
    let pollers = Arc::new(Pollers::new(Bounds { pollers: 8, bytes: 64 << 20 }, clock.clone(), timing));
    let mut expected = Vec::new();
    for n in 0..20 {
        let (queue, due_ms, body) = (format!("q{}", n % 3), n * 7 * MINUTE_MS, Bytes::from(n.to_string()));
        expected.extend((0..3).map(|run| (body.clone(), due_ms + run * 60 * MINUTE_MS)));
        let put = Step::Put { queue: queue.clone(), due_ms, head: Bytes::new(), body };
        work.queues.commit(vec![put]).await.unwrap();
        pollers.arrived(&queue, due_ms);
    }
    let running = tokio::spawn({
        let (pollers, work) = (Arc::clone(&pollers), Arc::clone(&work));
        async move { pollers.run(work).await }
    });
    assert_eq!(clock.advance(Duration::from_secs(6 * 3600), PATIENCE).await, Ok(360 * MINUTE_MS));
    let runs = std::mem::take(&mut *work.runs.lock().unwrap());
    assert!(runs.iter().all(|(_, began_ms, ended_ms)| began_ms == ended_ms), "time moved while something ran");
    assert!(runs.is_sorted_by_key(|(_, began_ms, _)| *began_ms));
    let mut runs: Vec<_> = runs.into_iter().map(|(body, began_ms, _)| (body, began_ms)).collect();
    runs.sort();
    expected.sort();
    assert_eq!(runs, expected);
    pollers.stop().await;
    running.await.unwrap();
}
