//! Receiving: what is visible, what goes to the dead-letter queue instead, and waiting for more.

use std::future::pending;
use std::time::Duration;

use hearth_api::ApiError;
use hearth_api::sqs::types::QueueAttributeName as Name;
use hearth_api::sqs::{Operation, errors, types as api};
use hearth_identity::Caller;
use hearth_store::{Due, Message, QueueError, Step, Take};
use hearth_types::limits::{SQS_BATCH, SQS_RECEIVE_BYTES, SQS_VISIBILITY_MAX_S, SQS_WAIT_MAX_S};

use crate::attributes::{md5, md5_of};
use crate::errors::invalid_value;
use crate::fifo::check;
use crate::handles::Handle;
use crate::inside::Received;
use crate::message::{Head, Wanted, system};
use crate::queue::{QueueRecord, key};
use crate::{Sqs, unavailable};

/// Takes of one receive. Each but the last found nothing but messages that went elsewhere.
const TRIES: usize = 64;

/// What a receiver asks for.
pub(crate) struct Ask {
    pub(crate) limit: usize,
    pub(crate) bytes: usize,
    pub(crate) visibility_ms: i64,
    pub(crate) wait: Duration,
}

impl Sqs {
    /// ReceiveMessage; waits for messages where the queue, or the caller, says so.
    ///
    /// # Errors
    /// QueueDoesNotExist, InvalidParameterValue, OverLimit.
    pub async fn receive_message(
        &self,
        caller: &Caller,
        input: api::ReceiveMessageRequest,
    ) -> Result<api::ReceiveMessageResult, ApiError> {
        let queue = self.asked_for(caller, Operation::ReceiveMessage, &input.queue_url).await?.record;
        let attempt = input.receive_request_attempt_id.filter(|_| queue.is_fifo());
        attempt.iter().try_for_each(|id| check(id, "ReceiveRequestAttemptId"))?;
        let most = SQS_BATCH as i64;
        let reason = "Must be between 1 and 10, if provided.";
        let limit = within(input.max_number_of_messages, 1, (1, most), "MaxNumberOfMessages", reason)?;
        let visibility = queue.number(Name::VisibilityTimeout);
        let (range, reason) = ((0, SQS_VISIBILITY_MAX_S), "Must be >= 0 and <= 43200, if provided.");
        let visibility = within(input.visibility_timeout, visibility, range, "VisibilityTimeout", reason)?;
        let wait = queue.number(Name::ReceiveMessageWaitTimeSeconds);
        let (range, reason) = ((0, SQS_WAIT_MAX_S), "Must be >= 0 and <= 20, if provided.");
        let wait = within(input.wait_time_seconds, wait, range, "WaitTimeSeconds", reason)?;
        let old = input.attribute_names.unwrap_or_default();
        let new = input.message_system_attribute_names.unwrap_or_default();
        let system = old.iter().map(|name| name.as_str()).chain(new.iter().map(|name| name.as_str()));
        let wanted = Wanted {
            system: system.map(str::to_owned).collect(),
            names: input.message_attribute_names.unwrap_or_default(),
        };
        let ask = Ask {
            limit: usize::try_from(limit).unwrap_or(1),
            bytes: SQS_RECEIVE_BYTES,
            visibility_ms: visibility * 1000,
            wait: Duration::from_secs(u64::try_from(wait).unwrap_or(0)),
        };
        let received = match &attempt {
            Some(id) => self.receive_attempt(&queue, &ask, id).await?,
            None => self.receive_until(&queue, &ask, pending()).await?,
        };
        let messages: Vec<api::Message> = received.into_iter().map(|message| wanted.shown(message)).collect();
        Ok(api::ReceiveMessageResult { messages: (!messages.is_empty()).then_some(messages) })
    }

    /// What a receive with this id gave, or what is visible.
    async fn receive_attempt(&self, queue: &QueueRecord, ask: &Ask, id: &str) -> Result<Vec<Received>, ApiError> {
        if let Some(received) = self.received_again(queue, id, ask.visibility_ms).await? {
            return Ok(received);
        }
        let received = self.receive_until(queue, ask, pending()).await?;
        self.keep_attempt(queue, id, &received);
        Ok(received)
    }

    /// What is visible, or will be while the receiver waits: no longer than until `end`.
    pub(crate) async fn receive_until(
        &self,
        queue: &QueueRecord,
        ask: &Ask,
        end: impl Future<Output = ()> + Send,
    ) -> Result<Vec<Received>, ApiError> {
        let mut end = std::pin::pin!(end);
        let clock = &self.parts.clock;
        let until = clock.uptime() + ask.wait;
        let bell = self.waiting.bell(&queue.name);
        let mut busy = clock.busy();
        loop {
            // Listening before looking: no message comes between the two unheard.
            let mut rung = std::pin::pin!(bell.notified());
            rung.as_mut().enable();
            let (received, next_ms) = self.receive_now(queue, ask).await?;
            if !received.is_empty() || clock.uptime() >= until {
                return Ok(received);
            }
            // Busy until it sleeps, and no longer: a clock that is moved by hand must not wait for who waits for it.
            let visible_ms = next_ms.map_or(i64::MAX, |next_ms| next_ms.max(self.now_ms() + 1));
            let visible = clock.rest_until_ms(busy, visible_ms);
            busy = tokio::select! {
                biased;
                busy = visible => busy,
                () = rung => clock.busy(),
                busy = clock.sleep_until_uptime(until) => busy,
                () = &mut end => return Ok(Vec::new()),
            };
        }
    }

    /// What is visible now, and when something will be.
    async fn receive_now(&self, queue: &QueueRecord, ask: &Ask) -> Result<(Vec<Received>, Option<i64>), ApiError> {
        for _ in 0..TRIES {
            let limit = self.room_in_flight(queue, ask.limit).await?;
            if limit == 0 && queue.is_fifo() {
                return Ok((Vec::new(), None));
            }
            if limit == 0 {
                let text = "Too many messages in flight: delete some before others are received.";
                return Err(ApiError::new(&errors::OVER_LIMIT, text));
            }
            let now_ms = self.now_ms();
            let again_ms = now_ms + ask.visibility_ms;
            let take = Take { queue: key(&queue.name), now_ms, again_ms, limit, bytes: ask.bytes };
            let Due { messages, next_ms } = self.parts.queues.take(take).await.map_err(|cause| unavailable(&cause))?;
            if messages.is_empty() {
                return Ok((Vec::new(), next_ms));
            }
            let received = self.sort(queue, now_ms, messages).await?;
            // All may have gone elsewhere: then there may be others.
            if !received.is_empty() {
                self.in_flight.add(&queue.name, received.len());
                return Ok((received, next_ms));
            }
        }
        Ok((Vec::new(), None))
    }

    /// Gives what was taken, but for what was received too often, and what is too old.
    async fn sort(&self, queue: &QueueRecord, now_ms: i64, messages: Vec<Message>) -> Result<Vec<Received>, ApiError> {
        let dead_letters = self.dead_letters(queue).await?;
        let (mut steps, mut received) = (Vec::new(), Vec::new());
        for message in messages {
            let head = Head::of(&message).filter(|head| head.sent_ms > queue.expired_ms(now_ms));
            let Some(mut head) = head else {
                steps.push(Step::Delete(message.found));
                continue;
            };
            let too_often = dead_letters.as_ref();
            match too_often.filter(|(_, policy)| head.receives(&message) > policy.max_receive_count) {
                Some((target, _)) => {
                    head.moved_from = Some(self.arn(&queue.name));
                    head.id = Some(head.id(queue, &message));
                    let put = head.moved(target, now_ms, message.group, message.body);
                    steps.extend([Step::Delete(message.found), put]);
                }
                None => received.push(self.received(queue, now_ms, message, head)),
            }
        }
        if steps.is_empty() {
            return Ok(received);
        }
        match self.parts.queues.commit(steps).await {
            // Purged meanwhile, there is nothing to move.
            Ok(_) | Err(QueueError::Overtaken(_)) => {}
            Err(cause) => return Err(unavailable(&cause)),
        }
        if let Some((target, _)) = dead_letters {
            self.waiting.ring(&target.name);
        }
        Ok(received)
    }

    pub(crate) fn received(&self, queue: &QueueRecord, now_ms: i64, message: Message, head: Head) -> Received {
        let handle = Handle { found: message.found, takes: message.takes, taken_ms: now_ms };
        Received {
            message_id: head.id(queue, &message).to_string(),
            handle: handle.written(&self.secret, &queue.name),
            attributes: system(queue, &message, &head).into_iter().collect(),
            md5_of_body: md5(&message.body),
            md5_of_attributes: md5_of(head.attributes.iter()),
            message_attributes: head.attributes,
            sent_ms: head.sent_ms,
            group: message.group,
            body: message.body,
        }
    }
}

/// A parameter, or its default where none is given.
fn within(
    given: Option<i32>,
    default: i64,
    (least, most): (i64, i64),
    parameter: &str,
    reason: &str,
) -> Result<i64, ApiError> {
    let value = given.map_or(default, i64::from);
    if (least..=most).contains(&value) { Ok(value) } else { Err(invalid_value(value, parameter, reason)) }
}
