//! Working on one message: an event, or a record on its way.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hearth_store::{Message, QueueError, QueueStore, Step};
use hearth_types::limits::DELIVERY_AGE;
use tracing::{error, warn};

use crate::decide::{After, Condition, after, before};
use crate::ends::{Delivery, Ended, Way, untold, ways};
use crate::event::{DELIVERIES, EVENTS, Event};
use crate::fleet::Verdict;
use crate::policy::Policy;
use crate::pollers::Work;
use crate::{Attempt, Events, Run, Sender, Wish};

/// What to look at again later where nothing was done.
const LEAVE: Verdict = Verdict { refused: true, again_ms: None, ceiling: None };

/// Runs events.
pub(crate) struct EventWork(pub(crate) Arc<Events>);

/// Takes records to where they go.
pub(crate) struct DeliveryWork(pub(crate) Arc<Events>);

impl Work for EventWork {
    fn queues(&self) -> &dyn QueueStore {
        &*self.0.parts.queues
    }

    async fn work(&self, queue: &str, message: Message) -> Verdict {
        let function = queue.strip_prefix(EVENTS).unwrap_or(queue);
        match Event::read(&message.head) {
            Ok(event) => self.0.work_on(function, event, message).await,
            Err(cause) => {
                error!("{function}: an event is not readable and is dropped: {cause}");
                self.0.commit(vec![Step::Delete(message.found)], Verdict::default()).await
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
        let now_ms = (self.parts.clock)();
        if let Some(condition) = before(now_ms, &event, &policy.rules) {
            return self.end(function, &event, condition, &policy, message, verdict).await;
        }
        let expires_ms = policy.rules.expires_ms(&event);
        let attempt = self.attempt(function, &event, &message).await;
        if let Attempt::Failed(why) = &attempt {
            if self.stopping.load(Ordering::Acquire) {
                // It was ended with the server: it is due again at the next start.
                return LEAVE;
            }
            warn!("{function}: {} was not run: {why}", event.id);
        }
        let trace_id = if let Attempt::Ran { trace_id, .. } = &attempt { Some(trace_id.to_string()) } else { None };
        match after((self.parts.clock)(), event, &policy.rules, attempt) {
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
        let run = Run {
            function: function.to_owned(),
            qualifier: event.qualifier.clone(),
            request_id: event.id,
            payload: message.body.clone(),
            trace_id: event.trace_id.as_str().into(),
        };
        self.parts.functions.run(run).await
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
        let now_ms = (self.parts.clock)();
        let ended = Ended { function, event, condition, payload: &message.body };
        let (mut steps, mut told) = (vec![Step::Delete(message.found)], Vec::new());
        for way in ways(&self.parts.place, now_ms, policy, &ended) {
            let arn = way.arn();
            match self.steps_of(&ended, policy, way).await {
                Ok(step) => {
                    told.push(heard_at(&step, arn));
                    steps.push(step);
                }
                Err(why) => untold(&ended, arn, &why),
            }
        }
        let verdict = self.commit(steps, verdict).await;
        for hearer in told {
            match hearer {
                Hearer::Events(queue) => self.events.arrived(&queue, now_ms),
                Hearer::Deliveries(queue) => self.deliveries.arrived(&queue, now_ms),
                Hearer::Queue(arn) => self.parts.sqs.posted(arn),
            }
        }
        verdict
    }

    /// What puts it on its way, where the function's role may.
    async fn steps_of(&self, ended: &Ended<'_>, policy: &Policy, way: Way<'_>) -> Result<Step, String> {
        let sender = Sender { function: ended.function, role: &policy.role };
        match way {
            // Whether the role may is asked when it is delivered.
            Way::Object { step } => Ok(step),
            Way::Event { arn, step } => {
                let wish = Wish { action: "lambda:InvokeFunction", arn, policy: None };
                self.parts.targets.may(sender, wish).await.map(|()| step)
            }
            Way::Letter { arn, letter } => {
                let Some((step, policy)) = self.parts.sqs.letter(arn, letter).await? else {
                    return Err("there is no such queue".to_owned());
                };
                let wish = Wish { action: "sqs:SendMessage", arn, policy: policy.as_deref() };
                self.parts.targets.may(sender, wish).await.map(|()| step)
            }
        }
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

/// Who works on what was put.
enum Hearer<'a> {
    Events(String),
    Deliveries(String),
    Queue(&'a str),
}

fn heard_at<'a>(step: &Step, arn: &'a str) -> Hearer<'a> {
    match step {
        Step::Put { queue, .. } if queue.starts_with(EVENTS) => Hearer::Events(queue.clone()),
        Step::Put { queue, .. } if queue.starts_with(DELIVERIES) => Hearer::Deliveries(queue.clone()),
        _ => Hearer::Queue(arn),
    }
}

impl Work for DeliveryWork {
    fn queues(&self) -> &dyn QueueStore {
        &*self.0.parts.queues
    }

    async fn work(&self, queue: &str, message: Message) -> Verdict {
        let function = queue.strip_prefix(DELIVERIES).unwrap_or(queue);
        match serde_json::from_slice::<Delivery>(&message.head) {
            Ok(delivery) => self.0.deliver(function, delivery, message).await,
            Err(cause) => {
                error!("{function}: a record is not readable and is dropped: {cause}");
                self.0.commit(vec![Step::Delete(message.found)], Verdict::default()).await
            }
        }
    }
}

impl Events {
    async fn deliver(&self, function: &str, delivery: Delivery, message: Message) -> Verdict {
        let Delivery { bucket, key, role, .. } = &delivery;
        let sender = Sender { function, role };
        let Err(why) = self.parts.targets.put_object(sender, bucket, key, message.body).await else {
            return self.commit(vec![Step::Delete(message.found)], Verdict::default()).await;
        };
        let now_ms = (self.parts.clock)();
        let due_ms = now_ms.saturating_add(self.parts.timing.pause_ms(delivery.failures));
        let oldest_ms = delivery.since_ms.saturating_add(self.parts.timing.in_proportion_ms(DELIVERY_AGE));
        if due_ms >= oldest_ms {
            warn!("{function}: a record is dropped, for {bucket} does not take it: {why}");
            return self.commit(vec![Step::Delete(message.found)], Verdict::default()).await;
        }
        warn!("{function}: a record is tried again, for {bucket} does not take it: {why}");
        let head = Delivery { failures: delivery.failures.saturating_add(1), ..delivery.clone() }.head();
        let step = Step::Change { found: message.found, due_ms, head };
        self.commit(vec![step], Verdict { again_ms: Some(due_ms), ..Verdict::default() }).await
    }
}
