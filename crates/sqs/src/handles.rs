//! Receipt handles, and what receivers do with them: DeleteMessage, ChangeMessageVisibility and their batches.

use hearth_api::ApiError;
use hearth_api::sqs::{Operation, errors, types as api};
use hearth_identity::Caller;
use hearth_store::{Found, Message, MessageId, QueueError, Step};
use hearth_types::limits::SQS_VISIBILITY_MAX_S;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use uuid::Uuid;

use crate::batch::{check_ids, failed};
use crate::errors::{invalid_handle, invalid_value};
use crate::message::Head;
use crate::queue::{QueueRecord, key};
use crate::{Sqs, unavailable};

/// Looks against others who work on a message.
const TRIES: usize = 64;

/// What a receiver has to show: which message, and which of its receives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Handle {
    /// As it was when it was received: until when it is invisible, in milliseconds since 1970, and which it is.
    pub(crate) found: Found,
    /// How often it was taken by then.
    pub(crate) takes: u32,
    /// When it was received, in milliseconds since 1970.
    pub(crate) taken_ms: i64,
}

/// Marks handles as this process's own: those are believed without a look.
pub(crate) struct Secret([u8; 32]);

impl Secret {
    pub(crate) fn new() -> Self {
        let mut secret = [0; 32];
        secret[..16].copy_from_slice(Uuid::new_v4().as_bytes());
        secret[16..].copy_from_slice(Uuid::new_v4().as_bytes());
        Self(secret)
    }

    fn mark(&self, queue: &str, text: &str) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        mac.update(queue.as_bytes());
        mac.update(b"/");
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Handle {
    pub(crate) fn written(self, secret: &Secret, queue: &str) -> String {
        let text = self.text();
        format!("{text}-{}", secret.mark(queue, &text))
    }

    fn text(self) -> String {
        let Found { due_ms, id } = self.found;
        format!("{:016x}-{:08x}-{due_ms:012x}-{:012x}", id.0, self.takes, self.taken_ms)
    }

    /// The handle, and whether it is of this process and that queue.
    pub(crate) fn read(written: &str, secret: &Secret, queue: &str) -> Option<(Self, bool)> {
        let (text, mark) = written.rsplit_once('-')?;
        let parts: Vec<&str> = text.split('-').collect();
        let [id, takes, due_ms, taken_ms] = parts[..] else { return None };
        let time = |text: &str| i64::from_str_radix(text, 16).ok();
        let handle = Self {
            found: Found { due_ms: time(due_ms)?, id: MessageId(u64::from_str_radix(id, 16).ok()?) },
            takes: u32::from_str_radix(takes, 16).ok()?,
            taken_ms: time(taken_ms)?,
        };
        (handle.text() == text).then(|| (handle, mark == secret.mark(queue, text)))
    }
}

impl Sqs {
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
        let handles: Vec<&str> = input.entries.iter().map(|entry| entry.receipt_handle.as_str()).collect();
        let outcomes = self.delete_each(&queue, &handles).await;
        let mut result = api::DeleteMessageBatchResult::default();
        for (entry, outcome) in input.entries.into_iter().zip(outcomes) {
            match outcome {
                Ok(()) => result.successful.push(api::DeleteMessageBatchResultEntry { id: entry.id }),
                Err(error) => result.failed.push(failed(entry.id, &error)),
            }
        }
        Ok(result)
    }

    /// In one commit where all are as they were received, else one by one.
    pub(crate) async fn delete_each(&self, queue: &QueueRecord, handles: &[&str]) -> Vec<Result<(), ApiError>> {
        let now_ms = self.now_ms();
        let steps: Option<Vec<Step>> =
            handles.iter().map(|handle| self.believed(queue, handle, now_ms).map(Step::Delete)).collect();
        if let Some(steps) = steps.filter(|steps| steps.len() > 1)
            && self.parts.queues.commit(steps).await.is_ok()
        {
            self.freed(queue);
            return handles.iter().map(|_| Ok(())).collect();
        }
        let mut outcomes = Vec::with_capacity(handles.len());
        for handle in handles {
            outcomes.push(self.delete(queue, handle).await);
        }
        outcomes
    }

    /// What names the message of a handle without a look, while it is in flight as it was received.
    fn believed(&self, queue: &QueueRecord, handle: &str, now_ms: i64) -> Option<Found> {
        let (handle, is_own) = Handle::read(handle, &self.secret, &queue.name)?;
        (is_own && handle.found.due_ms > now_ms).then_some(handle.found)
    }

    /// One that is gone is deleted. With the handle of an earlier receive nothing is: somebody else works on it by now.
    async fn delete(&self, queue: &QueueRecord, handle: &str) -> Result<(), ApiError> {
        let mut found = self.believed(queue, handle, self.now_ms());
        for _ in 0..TRIES {
            let step = match found.take() {
                Some(found) => Step::Delete(found),
                None => {
                    let Some(message) = self.held(queue, handle).await? else { return Ok(()) };
                    if queue.is_fifo() && message.found.due_ms <= self.now_ms() {
                        return Err(invalid_value(handle, "ReceiptHandle", "The receipt handle has expired."));
                    }
                    Step::Delete(message.found)
                }
            };
            match self.parts.queues.commit(vec![step]).await {
                Ok(_) => {
                    self.freed(queue);
                    return Ok(());
                }
                Err(QueueError::Overtaken(_)) => {}
                Err(cause) => return Err(unavailable(&cause)),
            }
        }
        Ok(())
    }

    /// A message less in flight: others of its group may have their turn.
    fn freed(&self, queue: &QueueRecord) {
        if queue.is_fifo() {
            self.waiting.ring(&queue.name);
        }
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
        self.change_visibility(&queue, &input.receipt_handle, input.visibility_timeout.into()).await
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
            match self.change_visibility(&queue, &entry.receipt_handle, seconds.into()).await {
                Ok(()) => result.successful.push(api::ChangeMessageVisibilityBatchResultEntry { id: entry.id }),
                Err(error) => result.failed.push(failed(entry.id, &error)),
            }
        }
        Ok(result)
    }

    pub(crate) async fn change_visibility(
        &self,
        queue: &QueueRecord,
        handle: &str,
        seconds: i64,
    ) -> Result<(), ApiError> {
        let invalid = |reason: &str| Err(invalid_value(seconds, "VisibilityTimeout", reason));
        if !(0..=SQS_VISIBILITY_MAX_S).contains(&seconds) {
            return invalid("VisibilityTimeout must be an integer between 0 and 43200");
        }
        for _ in 0..TRIES {
            let now_ms = self.now_ms();
            let Some(message) = self.held(queue, handle).await? else {
                let reason = "Message does not exist or is not available for visibility timeout change.";
                return Err(invalid_value(handle, "ReceiptHandle", reason));
            };
            if message.found.due_ms <= now_ms {
                let text = "Message does not exist or is not available for visibility timeout change.";
                return Err(ApiError::new(&errors::MESSAGE_NOT_INFLIGHT, text));
            }
            let due_ms = now_ms + seconds * 1000;
            let since_ms = Handle::read(handle, &self.secret, &queue.name).map_or(now_ms, |(read, _)| read.taken_ms);
            if due_ms - since_ms > SQS_VISIBILITY_MAX_S * 1000 {
                return invalid("Total VisibilityTimeout for the message is beyond the limit [43200 seconds]");
            }
            let step = Step::Change { found: message.found, due_ms, head: message.head };
            match self.parts.queues.commit(vec![step]).await {
                Ok(_) => {
                    // Whoever waits counts on the time that it had.
                    self.waiting.ring(&queue.name);
                    return Ok(());
                }
                Err(QueueError::Overtaken(_)) => {}
                Err(cause) => return Err(unavailable(&cause)),
            }
        }
        Err(ApiError::service("The message is being changed by others."))
    }

    /// The message of a handle, as long as that is the latest one.
    async fn held(&self, queue: &QueueRecord, handle: &str) -> Result<Option<Message>, ApiError> {
        let Some((read, _)) = Handle::read(handle, &self.secret, &queue.name) else {
            return Err(invalid_handle(handle));
        };
        let found =
            self.parts.queues.get(&key(&queue.name), read.found.id).await.map_err(|cause| unavailable(&cause))?;
        Ok(found.filter(|message| message.takes == read.takes && Head::of(message).is_some()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_believed_by_who_gave_it_for_that_queue() {
        let (secret, other) = (Secret::new(), Secret::new());
        let handle = Handle { found: Found { due_ms: 1_700_000_000_123, id: MessageId(77) }, takes: 3, taken_ms: 99 };
        let written = handle.written(&secret, "q");
        assert_eq!(Handle::read(&written, &secret, "q"), Some((handle, true)));
        assert_eq!(Handle::read(&written, &secret, "p"), Some((handle, false)));
        assert_eq!(Handle::read(&written, &other, "q"), Some((handle, false)));
        let longer = written.replacen("00000003", "00000004", 1);
        assert!(Handle::read(&longer, &secret, "q").is_some_and(|(_, is_own)| !is_own));
        for wrong in ["", "x", "a-b-c-d-e", &written[1..], &format!("0{written}"), &written.replace('-', "_")] {
            assert_eq!(Handle::read(wrong, &secret, "q"), None, "{wrong}");
        }
    }
}
