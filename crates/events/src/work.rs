//! Working on one event.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hearth_crash::{self as crash, Point};
use hearth_fleet::{Verdict, Work, put_aside};
use hearth_store::{Message, QueueError, QueueStore, Step};
use hearth_types::invoke::EventInvoke;
use tracing::{error, warn};

use crate::decide::{After, Condition, after, before};
use crate::ends::{Ended, parcels};
use crate::event::{EVENTS, Event};
use crate::policy::Policy;
use crate::{Attempt, Events};

/// What to look at again later where nothing was done.
const LEAVE: Verdict = Verdict { refused: true, again_ms: None, ceiling: None };

/// Runs events.
pub(crate) struct EventWork(pub(crate) Arc<Events>);

impl Work for EventWork {
    fn queues(&self) -> &dyn QueueStore {
        &*self.0.parts.queues
    }

    async fn work(&self, queue: &str, message: Message) -> Verdict {
        let function = queue.strip_prefix(EVENTS).unwrap_or(queue);
        match Event::read(&message.head) {
            Ok(event) => self.0.work_on(function, event, message).await,
            Err(cause) => {
                error!("{function}: an event is not readable and is put aside: {cause}");
                self.0.parts.metrics.function(function).events_dropped.count();
                self.0.commit(put_aside(queue, message), Verdict::default()).await
            }
        }
    }
}

impl Events {
    async fn work_on(&self, function: &str, event: Event, message: Message) -> Verdict {
        let policy = Policy::read(&*self.parts.metadata, self.parts.timing, function, &event).await;
        let policy = match policy {
            Ok(Some(policy)) => policy,
            Ok(None) => return self.commit(vec![Step::Delete(message.found)], Verdict::default()).await,
            Err(cause) => {
                error!("{function}: its settings cannot be read: {cause}");
                return LEAVE;
            }
        };
        let ceiling = policy.rules.reserved.and_then(|reserved| usize::try_from(reserved).ok());
        let verdict = Verdict { refused: false, again_ms: None, ceiling };
        let now_ms = self.parts.clock.now_ms();
        if let Some(condition) = before(now_ms, &event, &policy.rules) {
            return self.end(function, &event, condition, &policy, message, verdict).await;
        }
        let expires_ms = policy.rules.expires_ms(&event);
        let age_ms = u64::try_from(now_ms.saturating_sub(event.accepted_ms)).unwrap_or(0);
        self.parts.metrics.function(function).event_age.add(Duration::from_millis(age_ms));
        let attempt = self.attempt(function, &event, &message).await;
        if let Attempt::Failed(why) = &attempt {
            if self.stopping.load(Ordering::Acquire) {
                // It was ended with the server: it is due again at the next start.
                return LEAVE;
            }
            warn!("{function}: {} was not run: {why}", event.id);
        }
        crash::point(Point::EventRan);
        let trace_id = if let Attempt::Ran { trace_id, .. } = &attempt { Some(trace_id.to_string()) } else { None };
        match after(self.parts.clock.now_ms(), event, &policy.rules, attempt) {
            After::Ended(mut event, condition) => {
                // What hears of it goes on where the function was, so that a loop can be told.
                event.trace_id = trace_id.unwrap_or(event.trace_id);
                self.end(function, &event, condition, &policy, message, verdict).await
            }
            After::Again { event, due_ms, failed } => {
                let step = Step::Change { found: message.found, due_ms, head: event.head() };
                self.commit(vec![step], Verdict { refused: failed, again_ms: Some(due_ms), ..verdict }).await
            }
            After::Throttled => Verdict { refused: true, again_ms: Some(expires_ms), ..verdict },
            After::Forgotten => self.commit(vec![Step::Delete(message.found)], verdict).await,
        }
    }

    async fn attempt(&self, function: &str, event: &Event, message: &Message) -> Attempt {
        let event = EventInvoke {
            function: function.to_owned(),
            qualifier: event.qualifier.clone(),
            request_id: event.id,
            payload: message.body.clone(),
            trace_id: event.trace_id.as_str().into(),
            tenant: event.tenant.as_deref().map(Arc::from),
        };
        self.parts.functions.run(event).await
    }

    /// The event goes, and the records of its end are on their way, in one commit.
    async fn end(
        &self,
        function: &str,
        event: &Event,
        condition: Condition,
        policy: &Policy,
        message: Message,
        verdict: Verdict,
    ) -> Verdict {
        let now_ms = self.parts.clock.now_ms();
        let ended = Ended { function, event, condition, payload: &message.body };
        let mut posting = self.parts.outbox.prepare(parcels(&self.parts.place, now_ms, policy, &ended)).await;
        let mut steps = std::mem::take(&mut posting.steps);
        steps.push(Step::Delete(message.found));
        let verdict = self.commit(steps, verdict).await;
        crash::point(Point::EventEnded);
        if !verdict.refused {
            if condition != Condition::Success {
                self.parts.metrics.function(function).events_dropped.count();
                self.failures.add(function, event, condition, now_ms);
            }
            self.parts.outbox.posted(posting);
        }
        verdict
    }

    /// Does what was decided. Where it cannot, the event stays as it was, and is decided about again.
    async fn commit(&self, steps: Vec<Step>, verdict: Verdict) -> Verdict {
        match self.parts.queues.commit(steps).await {
            // Its function has been deleted meanwhile, and its events with it.
            Ok(_) | Err(QueueError::Overtaken(_)) => verdict,
            Err(cause) => {
                error!("what became of an event cannot be kept, so that it runs again: {cause}");
                LEAVE
            }
        }
    }
}
