//! Receiving, and what receivers do with what they got: ReceiveMessage, DeleteMessage, ChangeMessageVisibility and their
//! batches.

use std::collections::HashSet;
use std::time::Duration;

use hearth_api::ApiError;
use hearth_api::sqs::types::QueueAttributeName as Name;
use hearth_api::sqs::{Operation, errors, types as api};
use hearth_identity::Caller;
use hearth_store::{Due, Look, Message, QueueError, Step};
use hearth_types::limits::{SQS_BATCH, SQS_RECEIVE_BYTES, SQS_VISIBILITY_MAX_S, SQS_WAIT_MAX_S};

use crate::batch::{check_ids, failed};
use crate::errors::{invalid_handle, invalid_value};
use crate::message::{Handle, Head, Wanted, head_of, shown};
use crate::queue::{QueueRecord, Redrive};
use crate::{Sqs, unavailable};

/// Looks against other receivers of one queue. Each failed one means that another one got messages.
const TRIES: usize = 64;

/// What a receiver asks for.
struct Ask {
    limit: usize,
    visibility_ms: i64,
    wanted: Wanted,
}

impl Sqs {
    /// ReceiveMessage; waits for messages where the queue, or the caller, says so.
    ///
    /// # Errors
    /// QueueDoesNotExist, InvalidParameterValue.
    pub async fn receive_message(
        &self,
        caller: &Caller,
        input: api::ReceiveMessageRequest,
    ) -> Result<api::ReceiveMessageResult, ApiError> {
        let queue = self.asked_for(caller, Operation::ReceiveMessage, &input.queue_url).await?.record;
        let limit = within(input.max_number_of_messages, 1, (1, SQS_BATCH as i64), "MaxNumberOfMessages")?;
        let visibility = queue.number(Name::VisibilityTimeout);
        let visibility = within(input.visibility_timeout, visibility, (0, SQS_VISIBILITY_MAX_S), "VisibilityTimeout")?;
        let wait = queue.number(Name::ReceiveMessageWaitTimeSeconds);
        let wait = within(input.wait_time_seconds, wait, (0, SQS_WAIT_MAX_S), "WaitTimeSeconds")?;
        let old = input.attribute_names.unwrap_or_default();
        let new = input.message_system_attribute_names.unwrap_or_default();
        let system = old.iter().map(|name| name.as_str()).chain(new.iter().map(|name| name.as_str()));
        let ask = Ask {
            limit: usize::try_from(limit).unwrap_or(1),
            visibility_ms: visibility * 1000,
            wanted: Wanted {
                system: system.map(str::to_owned).collect(),
                names: input.message_attribute_names.unwrap_or_default(),
            },
        };
        let until = self.parts.clock.uptime() + Duration::from_secs(u64::try_from(wait).unwrap_or(0));
        let messages = self.receive_until(&queue, &ask, until).await?;
        Ok(api::ReceiveMessageResult { messages: (!messages.is_empty()).then_some(messages) })
    }

    async fn receive_until(
        &self,
        queue: &QueueRecord,
        ask: &Ask,
        until: Duration,
    ) -> Result<Vec<api::Message>, ApiError> {
        let bell = self.waiting.bell(&queue.name);
        loop {
            // Listening before looking: no message comes between the two unheard.
            let mut rung = std::pin::pin!(bell.notified());
            rung.as_mut().enable();
            let (messages, next_ms) = self.receive_now(queue, ask).await?;
            if !messages.is_empty() || self.parts.clock.uptime() >= until {
                return Ok(messages);
            }
            let next = next_ms.map(|next_ms| u64::try_from(next_ms - self.now_ms()).unwrap_or(0).max(1));
            let wake = next.map_or(until, |ms| until.min(self.parts.clock.uptime() + Duration::from_millis(ms)));
            tokio::select! {
                () = rung => {}
                _ = self.parts.clock.sleep_until_uptime(wake) => {}
            }
        }
    }

    /// What is visible now, and when something will be.
    async fn receive_now(&self, queue: &QueueRecord, ask: &Ask) -> Result<(Vec<api::Message>, Option<i64>), ApiError> {
        for _ in 0..TRIES {
            let now_ms = self.now_ms();
            let look = Look {
                queue: Self::messages_of(queue),
                until_ms: now_ms,
                skip: HashSet::new(),
                limit: ask.limit,
                bytes: SQS_RECEIVE_BYTES,
            };
            let Due { messages, next_ms } = self.parts.queues.due(look).await.map_err(|cause| unavailable(&cause))?;
            if messages.is_empty() {
                return Ok((Vec::new(), next_ms));
            }
            let (steps, received) = self.take(queue, ask, now_ms, messages).await?;
            match self.parts.queues.commit(steps).await {
                // All may have gone to the dead-letter queue: then there may be others.
                Ok(_) if received.is_empty() => {}
                Ok(_) => return Ok((received, next_ms)),
                Err(QueueError::Overtaken(_)) => {}
                Err(cause) => return Err(unavailable(&cause)),
            }
        }
        Ok((Vec::new(), None))
    }

    /// What becomes of messages that were found: given, moved or dropped.
    async fn take(
        &self,
        queue: &QueueRecord,
        ask: &Ask,
        now_ms: i64,
        messages: Vec<Message>,
    ) -> Result<(Vec<Step>, Vec<api::Message>), ApiError> {
        let dead_letters = self.dead_letters(queue).await?;
        let oldest_ms = now_ms - queue.number(Name::MessageRetentionPeriod) * 1000;
        let (mut steps, mut received) = (Vec::new(), Vec::new());
        for message in messages {
            let Some((found, mut head)) = head_of(&message).filter(|(_, head)| head.sent_ms > oldest_ms) else {
                steps.push(Step::Delete(message.found));
                continue;
            };
            if let Some((target, _)) =
                dead_letters.as_ref().filter(|(_, policy)| head.receives >= policy.max_receive_count)
            {
                head.moved_from = Some(self.arn(&queue.name));
                head.receives = 0;
                head.first_received_ms = None;
                steps.extend([Step::Delete(found), head.put(&target.name, now_ms, message.body)]);
                self.waiting.ring(&target.name);
                continue;
            }
            head.receives = head.receives.saturating_add(1);
            head.first_received_ms.get_or_insert(now_ms);
            received.push(shown(found.id, &head, &message.body, &ask.wanted));
            // Visible again at once, it still has to differ from what others have found.
            let due_ms = now_ms + ask.visibility_ms.max(1);
            steps.push(Step::Change { found, due_ms, head: head.written() });
        }
        Ok((steps, received))
    }

    /// Where messages go that were received too often. A queue that is gone takes none.
    async fn dead_letters(&self, queue: &QueueRecord) -> Result<Option<(QueueRecord, Redrive)>, ApiError> {
        let Some(policy) = queue.redrive() else { return Ok(None) };
        Ok(self.by_arn(&policy.dead_letter_target_arn).await?.map(|target| (target, policy)))
    }

    /// DeleteMessage.
    ///
    /// # Errors
    /// QueueDoesNotExist, ReceiptHandleIsInvalid.
    pub async fn delete_message(&self, caller: &Caller, input: api::DeleteMessageRequest) -> Result<(), ApiError> {
        let queue = self.asked_for(caller, Operation::DeleteMessage, &input.queue_url).await?.record;
        self.delete(&queue, &input.receipt_handle).await
    }

    /// DeleteMessageBatch.
    ///
    /// # Errors
    /// QueueDoesNotExist, and those of the batch as a whole.
    pub async fn delete_message_batch(
        &self,
        caller: &Caller,
        input: api::DeleteMessageBatchRequest,
    ) -> Result<api::DeleteMessageBatchResult, ApiError> {
        let queue = self.asked_for(caller, Operation::DeleteMessage, &input.queue_url).await?.record;
        check_ids(input.entries.iter().map(|entry| entry.id.as_str()))?;
        let mut result = api::DeleteMessageBatchResult::default();
        for api::DeleteMessageBatchRequestEntry { id, receipt_handle } in input.entries {
            match self.delete(&queue, &receipt_handle).await {
                Ok(()) => result.successful.push(api::DeleteMessageBatchResultEntry { id }),
                Err(error) => result.failed.push(failed(id, &error)),
            }
        }
        Ok(result)
    }

    /// One that is gone is deleted. With the handle of an earlier receive nothing is: somebody else works on it by now.
    async fn delete(&self, queue: &QueueRecord, handle: &str) -> Result<(), ApiError> {
        for _ in 0..TRIES {
            let Some((message, _)) = self.held(queue, handle).await? else { return Ok(()) };
            match self.parts.queues.commit(vec![Step::Delete(message.found)]).await {
                Ok(_) => return Ok(()),
                Err(QueueError::Overtaken(_)) => {}
                Err(cause) => return Err(unavailable(&cause)),
            }
        }
        Ok(())
    }

    /// ChangeMessageVisibility.
    ///
    /// # Errors
    /// QueueDoesNotExist, ReceiptHandleIsInvalid, MessageNotInflight, InvalidParameterValue.
    pub async fn change_message_visibility(
        &self,
        caller: &Caller,
        input: api::ChangeMessageVisibilityRequest,
    ) -> Result<(), ApiError> {
        let queue = self.asked_for(caller, Operation::ChangeMessageVisibility, &input.queue_url).await?.record;
        self.change_visibility(&queue, &input.receipt_handle, input.visibility_timeout).await
    }

    /// ChangeMessageVisibilityBatch.
    ///
    /// # Errors
    /// QueueDoesNotExist, and those of the batch as a whole.
    pub async fn change_message_visibility_batch(
        &self,
        caller: &Caller,
        input: api::ChangeMessageVisibilityBatchRequest,
    ) -> Result<api::ChangeMessageVisibilityBatchResult, ApiError> {
        let queue = self.asked_for(caller, Operation::ChangeMessageVisibility, &input.queue_url).await?.record;
        check_ids(input.entries.iter().map(|entry| entry.id.as_str()))?;
        let mut result = api::ChangeMessageVisibilityBatchResult::default();
        for entry in input.entries {
            let seconds = entry.visibility_timeout.unwrap_or(0);
            match self.change_visibility(&queue, &entry.receipt_handle, seconds).await {
                Ok(()) => result.successful.push(api::ChangeMessageVisibilityBatchResultEntry { id: entry.id }),
                Err(error) => result.failed.push(failed(entry.id, &error)),
            }
        }
        Ok(result)
    }

    async fn change_visibility(&self, queue: &QueueRecord, handle: &str, seconds: i32) -> Result<(), ApiError> {
        let seconds = within(Some(seconds), 0, (0, SQS_VISIBILITY_MAX_S), "VisibilityTimeout")?;
        for _ in 0..TRIES {
            let now_ms = self.now_ms();
            let held = self.held(queue, handle).await?.filter(|(message, _)| message.found.due_ms > now_ms);
            let Some((message, head)) = held else {
                let text = "Message does not exist or is not available for visibility timeout change.";
                return Err(ApiError::new(&errors::MESSAGE_NOT_INFLIGHT, text));
            };
            let step = Step::Change { found: message.found, due_ms: now_ms + seconds * 1000, head: head.written() };
            match self.parts.queues.commit(vec![step]).await {
                Ok(_) if seconds == 0 => {
                    self.waiting.ring(&queue.name);
                    return Ok(());
                }
                Ok(_) => return Ok(()),
                Err(QueueError::Overtaken(_)) => {}
                Err(cause) => return Err(unavailable(&cause)),
            }
        }
        Err(ApiError::service("The message is being changed by others."))
    }

    /// The message of a handle, as long as that is the latest one.
    async fn held(&self, queue: &QueueRecord, handle: &str) -> Result<Option<(Message, Head)>, ApiError> {
        let Some(read) = Handle::read(handle) else { return Err(invalid_handle(handle)) };
        let found =
            self.parts.queues.get(&Self::messages_of(queue), read.id).await.map_err(|cause| unavailable(&cause))?;
        let held = found.and_then(|message| head_of(&message).map(|(_, head)| (message, head)));
        Ok(held.filter(|(_, head)| head.receives == read.receives))
    }
}

/// A parameter, or its default where none is given.
fn within(given: Option<i32>, default: i64, (least, most): (i64, i64), parameter: &str) -> Result<i64, ApiError> {
    let value = given.map_or(default, i64::from);
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(invalid_value(value, parameter, &format!("Must be >= {least} and <= {most}, if provided.")))
}
