//! Receives of FIFO queues that may be asked for again, by who has not heard the answer: ReceiveRequestAttemptId.
//!
//! What was given is known in memory alone: after a restart such a receive is one like any other, and the messages come
//! when they are visible again.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use hearth_api::ApiError;
use hearth_store::{Found, QueueError, Step};
use hearth_types::limits::{SQS_ATTEMPT_MS, SQS_ATTEMPTS};

use crate::handles::Handle;
use crate::inside::Received;
use crate::message::Head;
use crate::queue::{QueueRecord, key};
use crate::{Sqs, unavailable};

/// Of which queue, when that was made, and the id that its receiver gave.
type Name = (String, i64, String);

/// What a receive gave: each message's handle, and how it has been left.
type Given = Vec<(String, Found)>;

/// The latest receives with ids.
#[derive(Default)]
pub(crate) struct Attempts(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    given: HashMap<Name, (i64, Given)>,
    /// In the order in which they were kept, each with until when.
    order: VecDeque<(i64, Name)>,
}

impl Attempts {
    /// What was given under this name, while that counts.
    fn given(&self, name: &Name, now_ms: i64) -> Option<Given> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.given.get(name).filter(|(until_ms, _)| *until_ms > now_ms).map(|(_, given)| given.clone())
    }

    /// Until when it counts is said by its first receive.
    fn keep(&self, name: Name, given: Given, now_ms: i64) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((until_ms, _)) = kept.order.front()
            && (*until_ms <= now_ms || kept.order.len() >= SQS_ATTEMPTS)
            && let Some((until_ms, old)) = kept.order.pop_front()
        {
            // One that was kept anew under the same name stays.
            if kept.given.get(&old).is_some_and(|(of, _)| *of == until_ms) {
                kept.given.remove(&old);
            }
        }
        let until_ms = match kept.given.get(&name) {
            Some((until_ms, _)) if *until_ms > now_ms => *until_ms,
            _ => {
                let until_ms = now_ms.saturating_add(SQS_ATTEMPT_MS);
                kept.order.push_back((until_ms, name.clone()));
                until_ms
            }
        };
        kept.given.insert(name, (until_ms, given));
    }

    fn forget(&self, name: &Name) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).given.remove(name);
    }
}

impl Sqs {
    /// Keeps what a receive with an id gave.
    pub(crate) fn keep_attempt(&self, queue: &QueueRecord, id: &str, received: &[Received]) {
        let found = |one: &Received| Some((one.handle.clone(), self.handle(queue, &one.handle)?.found));
        let given: Given = received.iter().filter_map(found).collect();
        if !given.is_empty() {
            self.attempts.keep(name(queue, id), given, self.now_ms());
        }
    }

    /// The messages that a receive with this id gave, with the same handles, hidden anew for the same time. None where there
    /// was no such receive in the last minutes, or where one of them is visible again, was deleted or changed meanwhile.
    pub(crate) async fn received_again(
        &self,
        queue: &QueueRecord,
        id: &str,
        visibility_ms: i64,
    ) -> Result<Option<Vec<Received>>, ApiError> {
        let (name, now_ms) = (name(queue, id), self.now_ms());
        let Some(given) = self.attempts.given(&name, now_ms) else { return Ok(None) };
        let due_ms = now_ms.saturating_add(visibility_ms);
        let (mut steps, mut received, mut left) = (Vec::new(), Vec::new(), Given::new());
        for (handle, found) in given {
            let message = self.parts.queues.get(&key(&queue.name), found.id).await;
            let message = message.map_err(|cause| unavailable(&cause))?;
            let message = message.filter(|message| message.found == found && found.due_ms > now_ms);
            let takes = self.handle(queue, &handle).map(|handle| handle.takes);
            let Some(message) = message.filter(|message| Some(message.takes) == takes) else {
                self.attempts.forget(&name);
                return Ok(None);
            };
            let Some(head) = Head::of(&message) else { return Ok(None) };
            steps.push(Step::Change { found, due_ms, head: message.head.clone() });
            left.push((handle.clone(), Found { due_ms, id: found.id }));
            received.push(Received { handle, ..self.received(queue, now_ms, message, head) });
        }
        match self.parts.queues.commit(steps).await {
            Ok(_) => {}
            Err(QueueError::Overtaken(_)) => {
                self.attempts.forget(&name);
                return Ok(None);
            }
            Err(cause) => return Err(unavailable(&cause)),
        }
        self.attempts.keep(name, left, now_ms);
        // Whoever waits counts on the time that they had.
        self.waiting.ring(&queue.name);
        Ok(Some(received))
    }

    fn handle(&self, queue: &QueueRecord, written: &str) -> Option<Handle> {
        Handle::read(written, &self.secret, &queue.name).map(|(handle, _)| handle)
    }
}

fn name(queue: &QueueRecord, id: &str) -> Name {
    (queue.name.clone(), queue.created_ms, id.to_owned())
}

#[cfg(test)]
mod tests {
    use hearth_store::MessageId;

    use super::*;

    fn name(id: &str) -> Name {
        ("q".to_owned(), 1, id.to_owned())
    }

    fn given(id: u64) -> Given {
        vec![("handle".to_owned(), Found { due_ms: 1, id: MessageId(id) })]
    }

    #[test]
    fn what_was_given_counts_for_its_time_from_the_first_receive_on() {
        let attempts = Attempts::default();
        attempts.keep(name("a"), given(1), 1000);
        attempts.keep(name("a"), given(2), 2000);
        let last_ms = 1000 + SQS_ATTEMPT_MS - 1;
        assert_eq!(attempts.given(&name("a"), last_ms), Some(given(2)));
        assert_eq!(attempts.given(&name("a"), last_ms + 1), None);
        attempts.keep(name("a"), given(3), last_ms + 1);
        assert_eq!(attempts.given(&name("a"), last_ms + 2), Some(given(3)), "it is another one");
        attempts.forget(&name("a"));
        assert_eq!(attempts.given(&name("a"), last_ms + 2), None);
    }

    #[test]
    fn no_more_are_kept_than_there_is_room_for() {
        let attempts = Attempts::default();
        for n in 0..SQS_ATTEMPTS + 5 {
            attempts.keep(name(&n.to_string()), given(n as u64), 1000);
        }
        assert_eq!(attempts.given(&name("4"), 1001), None);
        assert_eq!(attempts.given(&name("5"), 1001), Some(given(5)));
        let kept = attempts.0.lock().unwrap();
        assert_eq!((kept.given.len(), kept.order.len()), (SQS_ATTEMPTS, SQS_ATTEMPTS));
    }
}
