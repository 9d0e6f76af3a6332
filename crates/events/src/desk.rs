//! What people ask of asynchronous invokes: which wait, which failed lately; to run some at once, or to drop them.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use hearth_store::{Look, Message, QueueError, Step};
use hearth_types::limits::{EVENT_DESK_BYTES, EVENT_DESK_TURN, EVENT_FAILURES_KEPT, EVENTS_SHOWN};
use serde::Serialize;

use crate::Events;
use crate::decide::Condition;
use crate::event::{EVENTS, Event, queue_of};

/// An event that waits or is being run.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// The function's name.
    pub function: String,
    /// The event's request id.
    pub id: String,
    /// As it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qualifier: Option<String>,
    /// `due`: it is run, or will be as soon as there is room; `retrying`: it waits for another attempt.
    pub state: &'static str,
    /// Milliseconds since 1970.
    pub accepted_ms: i64,
    /// Milliseconds since 1970.
    pub due_ms: i64,
    /// How often the function ran.
    pub attempts: u32,
    /// What it said last, where that was an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Bytes of the event.
    pub bytes: usize,
}

/// An event that ended without success.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failed {
    /// The function's name.
    pub function: String,
    /// The event's request id.
    pub id: String,
    /// As records have it: `RetriesExhausted`, ...
    pub condition: &'static str,
    /// Milliseconds since 1970.
    pub ended_ms: i64,
    /// How often the function ran.
    pub attempts: u32,
    /// What it said last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// The failures of late, oldest first; in memory alone.
#[derive(Debug, Default)]
pub(crate) struct Failures(Mutex<VecDeque<Failed>>);

impl Failures {
    pub(crate) fn add(&self, function: &str, event: &Event, condition: Condition, ended_ms: i64) {
        let failed = Failed {
            function: function.to_owned(),
            id: event.id.to_string(),
            condition: condition.name(),
            ended_ms,
            attempts: event.attempts,
            last_error: last_error(event),
        };
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= EVENT_FAILURES_KEPT {
            failures.pop_front();
        }
        failures.push_back(failed);
    }

    fn of(&self, function: Option<&str>) -> Vec<Failed> {
        let failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failures.iter().filter(|failed| function.is_none_or(|name| name == failed.function)).cloned().collect()
    }
}

fn last_error(event: &Event) -> Option<String> {
    event.last.as_ref().filter(|answer| answer.function_error).and_then(crate::event::Answer::error_message)
}

/// Events to do something with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which<'a> {
    /// The one with this request id.
    One(&'a str),
    /// All of the function.
    All,
}

impl Events {
    /// What waits, the earliest due first within each function: of one, or of all. True: there are more.
    ///
    /// # Errors
    /// When the queues cannot be read.
    pub async fn waiting(&self, function: Option<&str>) -> Result<(Vec<Waiting>, bool), QueueError> {
        let queues = match function {
            Some(name) => vec![queue_of(name)],
            None => self.parts.queues.queues(EVENTS).await?.into_iter().map(|depth| depth.queue).collect(),
        };
        let mut shown = Vec::new();
        for queue in queues {
            let name = queue.strip_prefix(EVENTS).unwrap_or(&queue).to_owned();
            let mut seen = HashSet::new();
            while let Some(messages) = self.next(&queue, &mut seen).await? {
                for message in messages {
                    if shown.len() >= EVENTS_SHOWN {
                        return Ok((shown, true));
                    }
                    shown.extend(self.shown(&name, &message));
                }
            }
        }
        Ok((shown, false))
    }

    /// What ended without success since the server started, the latest last; not more than is kept.
    #[must_use]
    pub fn failed(&self, function: Option<&str>) -> Vec<Failed> {
        self.failures.of(function)
    }

    /// One that waits, with what was sent.
    ///
    /// # Errors
    /// When the queues cannot be read.
    pub async fn one(&self, function: &str, id: &str) -> Result<Option<(Waiting, Bytes)>, QueueError> {
        let found = self.find(function, id).await?;
        Ok(found.and_then(|message| self.shown(function, &message).map(|shown| (shown, message.body))))
    }

    /// Has those run at once that wait for another attempt. Gives how many it were.
    ///
    /// # Errors
    /// When the queues cannot be read or written; then it was done for some.
    pub async fn redrive(&self, function: &str, which: Which<'_>) -> Result<u64, QueueError> {
        let now_ms = self.parts.clock.now_ms();
        // What is due may be in work, and is run anyway.
        let count = self
            .change(function, which, |message| {
                let later = message.found.due_ms > now_ms;
                later.then(|| Step::Change { found: message.found, due_ms: now_ms, head: message.head.clone() })
            })
            .await?;
        if count > 0 {
            self.events.arrived(&queue_of(function), now_ms);
        }
        Ok(count)
    }

    /// Removes them; nobody is told. What is being run ends its run. Gives how many it were.
    ///
    /// # Errors
    /// When the queues cannot be read or written; then some are gone.
    pub async fn discard(&self, function: &str, which: Which<'_>) -> Result<u64, QueueError> {
        match which {
            Which::All => self.parts.queues.purge(&queue_of(function)).await,
            Which::One(_) => self.change(function, which, |message| Some(Step::Delete(message.found))).await,
        }
    }

    async fn change(
        &self,
        function: &str,
        which: Which<'_>,
        step: impl Fn(&Message) -> Option<Step>,
    ) -> Result<u64, QueueError> {
        if let Which::One(id) = which {
            let message = self.find(function, id).await?;
            return self.commit_all(message.as_ref().and_then(step).into_iter()).await;
        }
        let (queue, mut seen, mut count) = (queue_of(function), HashSet::new(), 0);
        while let Some(messages) = self.next(&queue, &mut seen).await? {
            count += self.commit_all(messages.iter().filter_map(&step)).await?;
        }
        Ok(count)
    }

    /// Each by itself: one that was overtaken holds no other up.
    async fn commit_all(&self, steps: impl Iterator<Item = Step>) -> Result<u64, QueueError> {
        let mut count = 0;
        for step in steps.collect::<Vec<_>>() {
            match self.parts.queues.commit(vec![step]).await {
                Ok(_) => count += 1,
                Err(QueueError::Overtaken(_)) => {}
                Err(cause) => return Err(cause),
            }
        }
        Ok(count)
    }

    async fn find(&self, function: &str, id: &str) -> Result<Option<Message>, QueueError> {
        let (queue, mut seen) = (queue_of(function), HashSet::new());
        while let Some(messages) = self.next(&queue, &mut seen).await? {
            let is_it = |message: &Message| Event::read(&message.head).is_ok_and(|event| event.id.to_string() == id);
            if let Some(found) = messages.into_iter().find(is_it) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Some that were not seen yet; none where there are no more, or too many were seen.
    async fn next(
        &self,
        queue: &str,
        seen: &mut HashSet<hearth_store::MessageId>,
    ) -> Result<Option<Vec<Message>>, QueueError> {
        if seen.len() >= EVENTS_SHOWN {
            return Ok(None);
        }
        let look = Look {
            queue: queue.to_owned(),
            until_ms: i64::MAX,
            skip: seen.clone(),
            limit: EVENT_DESK_TURN,
            bytes: EVENT_DESK_BYTES,
        };
        let messages = self.parts.queues.due(look).await?.messages;
        seen.extend(messages.iter().map(|message| message.found.id));
        Ok((!messages.is_empty()).then_some(messages))
    }

    fn shown(&self, function: &str, message: &Message) -> Option<Waiting> {
        let event = Event::read(&message.head).ok()?;
        let is_later = message.found.due_ms > self.parts.clock.now_ms();
        Some(Waiting {
            function: function.to_owned(),
            id: event.id.to_string(),
            qualifier: event.qualifier.clone(),
            state: if is_later { "retrying" } else { "due" },
            accepted_ms: event.accepted_ms,
            due_ms: message.found.due_ms,
            attempts: event.attempts,
            last_error: last_error(&event),
            bytes: message.body.len(),
        })
    }
}
