//! What becomes of messages that were received.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hearth_crash::{self as crash, Point};
use hearth_events::Attempt;
use hearth_types::limits::SOURCE_DELETE_TRIES;
use tracing::warn;

use crate::answer::{Failed, failed};
use crate::job::Job;
use crate::sqs::decide::{Batch, again_ms, event, trace};
use crate::sqs::queue::Queue;

/// Batches of one receive, one after the other, each after the success of the one before.
pub(crate) struct Work {
    pub(crate) queue: Queue,
    pub(crate) batches: VecDeque<Batch>,
    /// When the first of the messages appears again.
    pub(crate) visible_ms: i64,
    /// What the function may take.
    pub(crate) timeout_ms: i64,
}

/// How a batch ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ended {
    /// The function took all of it.
    Done,
    /// Some or all messages are left to the queue.
    Left,
    /// All are, for there was no room.
    NoRoom,
}

impl Work {
    pub(crate) async fn run(self, job: Arc<Job>) -> Ended {
        let Self { queue, batches, visible_ms, timeout_ms } = self;
        let hand = Hand { job: &job, queue, visible_ms, timeout_ms };
        for batch in batches {
            let ended = hand.give(batch).await;
            if ended != Ended::Done {
                // What comes behind it in its group must not get ahead: it appears again as well.
                return ended;
            }
        }
        Ended::Done
    }
}

/// Gives batches to the function.
struct Hand<'a> {
    job: &'a Job,
    queue: Queue,
    visible_ms: i64,
    timeout_ms: i64,
}

impl Hand<'_> {
    async fn give(&self, batch: Batch) -> Ended {
        match self.invoke(&batch).await {
            Ok(answer) => self.settle(batch, &answer).await,
            Err(Refused::Looped) if batch.len() > 1 => self.give_singly(batch).await,
            Err(Refused::Looped) => {
                // The queue's redrive policy takes it away once it has come too often.
                warn!("{}: a message is not delivered, for it goes round in a loop", self.job.mapping.function);
                Ended::Left
            }
            Err(Refused::NoRoom) => Ended::NoRoom,
            Err(Refused::Failed) => Ended::Left,
        }
    }

    /// One message of a batch goes round in a loop: the others are not to suffer, except those that come behind one of
    /// their group that is left to a queue that keeps the order.
    async fn give_singly(&self, batch: Batch) -> Ended {
        let keeps_order = self.job.mapping.source.is_fifo();
        let (mut ended, mut left) = (Ended::Done, HashSet::new());
        for item in batch {
            let group = item.group.clone().filter(|_| keeps_order);
            if group.as_ref().is_some_and(|group| left.contains(group)) {
                continue;
            }
            let single = vec![item];
            let taken = match self.invoke(&single).await {
                Ok(answer) => self.settle(single, &answer).await == Ended::Done,
                Err(_) => false,
            };
            if !taken {
                ended = Ended::Left;
                left.extend(group);
            }
        }
        ended
    }

    /// The function's answer, however often it takes until there is room for the batch.
    async fn invoke(&self, batch: &Batch) -> Result<Bytes, Refused> {
        let event = Bytes::from(event(batch));
        let mut failures = 0;
        loop {
            match self.job.invoke(batch.len(), event.clone(), trace(batch)).await.1 {
                Attempt::Ran { function_error: false, payload, .. } => return Ok(payload),
                Attempt::Ran { .. } => return Err(Refused::Failed),
                Attempt::Looped => return Err(Refused::Looped),
                Attempt::Gone | Attempt::NoQualifier => {
                    self.job.problem("Function not found");
                    return Err(Refused::Failed);
                }
                Attempt::Throttled => {}
                Attempt::Failed(why) => {
                    if !self.job.is_stopping() {
                        self.job.problem(&format!("Function call failed: {why}"));
                    }
                }
            }
            let pause_ms = again_ms(self.job.now_ms(), self.visible_ms, self.timeout_ms, failures);
            let Some(pause_ms) = pause_ms else { return Err(Refused::NoRoom) };
            self.job.pause(Duration::from_millis(pause_ms.unsigned_abs())).await;
            if self.job.is_stopping() {
                return Err(Refused::NoRoom);
            }
            failures += 1;
        }
    }

    /// Deletes what the function took.
    async fn settle(&self, batch: Batch, answer: &[u8]) -> Ended {
        let failed = if self.job.mapping.settings.report_failures {
            failed(answer, |id| batch.iter().any(|item| item.id == id))
        } else {
            Failed::Nothing
        };
        let (handles, ended): (Vec<String>, Ended) = match failed {
            Failed::Everything => {
                self.job.count(|of| &of.failed, batch.len());
                return Ended::Left;
            }
            Failed::Nothing => (batch.into_iter().map(|item| item.handle).collect(), Ended::Done),
            Failed::Items(ids) => {
                self.job.count(|of| &of.failed, ids.len());
                let taken = batch.into_iter().filter(|item| !ids.contains(&item.id));
                (taken.map(|item| item.handle).collect(), Ended::Left)
            }
        };
        crash::point(Point::BatchTaken);
        let taken = handles.len();
        let left = delete(self.job, &self.queue, handles).await;
        self.job.count(|of| &of.deleted, taken.saturating_sub(left));
        ended
    }
}

/// Why there is no answer.
enum Refused {
    NoRoom,
    Failed,
    Looped,
}

/// Deletes messages that are done. Where it cannot, they are delivered again: that is said. Gives how many those are.
pub(crate) async fn delete(job: &Job, queue: &Queue, mut handles: Vec<String>) -> usize {
    for n in 1..=SOURCE_DELETE_TRIES {
        let Err((left, why)) = queue.delete(handles).await else { return 0 };
        handles = left;
        if n == SOURCE_DELETE_TRIES {
            job.problem(&why.0);
            break;
        }
        job.pause(Duration::from_millis(100 << n)).await;
    }
    handles.len()
}
