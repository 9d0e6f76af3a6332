//! Sending: SendMessage, SendMessageBatch.

use bytes::Bytes;
use hearth_api::sqs::types::QueueAttributeName as Name;
use hearth_api::sqs::{Operation, errors, types as api};
use hearth_api::{ApiError, Map};
use hearth_identity::Caller;
use hearth_store::{MessageId, Step};
use hearth_types::limits::{SQS_DELAY_MAX_S, SQS_MESSAGE_BYTES};
use uuid::Uuid;

use crate::attributes::{self, Attributes, md5, md5_of};
use crate::batch::{check_ids, failed};
use crate::errors::{invalid_parameter, invalid_value, missing};
use crate::fifo::{self, Belongs, Place, check, sequence_number};
use crate::message::Head;
use crate::queue::QueueRecord;
use crate::{Sqs, unavailable};

/// One message that is to be sent.
struct Draft {
    body: String,
    delay_s: Option<i32>,
    attributes: Option<Map<api::MessageAttributeValue>>,
    system: Option<Map<api::MessageSystemAttributeValue>>,
    deduplication: Option<String>,
    group: Option<String>,
}

/// What its sender is told once it is there.
struct Ready {
    md5: String,
    md5_of_attributes: Option<String>,
    md5_of_system: Option<String>,
    /// None where it follows from what the queue numbers it.
    id: Option<Uuid>,
}

impl Ready {
    /// The message's id, and its sequence number where it has one.
    fn named(&self, queue: &QueueRecord, id: MessageId) -> (String, Option<String>) {
        match self.id {
            Some(id) => (id.to_string(), None),
            None => (fifo::message_id(queue, id).to_string(), Some(sequence_number(id))),
        }
    }
}

impl Sqs {
    /// SendMessage.
    ///
    /// # Errors
    /// QueueDoesNotExist, InvalidMessageContents, InvalidParameterValue.
    pub async fn send_message(
        &self,
        caller: &Caller,
        input: api::SendMessageRequest,
    ) -> Result<api::SendMessageResult, ApiError> {
        let queue = self.asked_for(caller, Operation::SendMessage, &input.queue_url).await?.record;
        let draft = Draft {
            body: input.message_body,
            delay_s: input.delay_seconds,
            attributes: input.message_attributes,
            system: input.message_system_attributes,
            deduplication: input.message_deduplication_id,
            group: input.message_group_id,
        };
        let (step, ready) = self.ready(caller, &queue, draft)?;
        let ids = self.commit_put(&queue, vec![step]).await?;
        let id = ids.first().copied().unwrap_or(MessageId(0));
        let (message_id, sequence_number) = ready.named(&queue, id);
        Ok(api::SendMessageResult {
            md5_of_message_body: Some(ready.md5),
            md5_of_message_attributes: ready.md5_of_attributes,
            md5_of_message_system_attributes: ready.md5_of_system,
            message_id: Some(message_id),
            sequence_number,
        })
    }

    async fn commit_put(&self, queue: &QueueRecord, steps: Vec<Step>) -> Result<Vec<MessageId>, ApiError> {
        let ids = self.parts.queues.commit(steps).await.map_err(|cause| unavailable(&cause))?;
        self.waiting.ring(&queue.name);
        Ok(ids)
    }

    /// SendMessageBatch: each entry succeeds or fails by itself.
    ///
    /// # Errors
    /// QueueDoesNotExist, and those of the batch as a whole.
    pub async fn send_message_batch(
        &self,
        caller: &Caller,
        input: api::SendMessageBatchRequest,
    ) -> Result<api::SendMessageBatchResult, ApiError> {
        let queue = self.asked_for(caller, Operation::SendMessage, &input.queue_url).await?.record;
        check_ids(input.entries.iter().map(|entry| entry.id.as_str()))?;
        let (mut all, mut steps, mut bytes) = (Vec::new(), Vec::new(), 0);
        let mut result = api::SendMessageBatchResult::default();
        for entry in input.entries {
            let draft = Draft {
                body: entry.message_body,
                delay_s: entry.delay_seconds,
                attributes: entry.message_attributes,
                system: entry.message_system_attributes,
                deduplication: entry.message_deduplication_id,
                group: entry.message_group_id,
            };
            bytes += draft.bytes();
            match self.ready(caller, &queue, draft) {
                Ok((step, ready)) => {
                    steps.push(step);
                    all.push((entry.id, ready));
                }
                Err(error) => result.failed.push(failed(entry.id, &error)),
            }
        }
        if bytes > SQS_MESSAGE_BYTES {
            let text =
                format!("Batch requests cannot be longer than {SQS_MESSAGE_BYTES} bytes. You have sent {bytes} bytes.");
            return Err(ApiError::new(&errors::BATCH_REQUEST_TOO_LONG, text));
        }
        let ids = if steps.is_empty() { Vec::new() } else { self.commit_put(&queue, steps).await? };
        for ((entry, ready), id) in all.into_iter().zip(ids) {
            let (message_id, sequence_number) = ready.named(&queue, id);
            result.successful.push(api::SendMessageBatchResultEntry {
                id: entry,
                message_id,
                md5_of_message_body: ready.md5,
                md5_of_message_attributes: ready.md5_of_attributes,
                md5_of_message_system_attributes: ready.md5_of_system,
                sequence_number,
            });
        }
        Ok(result)
    }

    fn ready(&self, caller: &Caller, queue: &QueueRecord, draft: Draft) -> Result<(Step, Ready), ApiError> {
        let attributes = attributes::read(draft.attributes)?;
        let (trace, system) = system(draft.system)?;
        check_body(queue, draft.body.as_bytes(), draft.body.len() + attributes::size(&attributes))?;
        let delay_ms = delay_ms(queue, draft.delay_s)?;
        let now_ms = self.now_ms();
        let (md5, md5_of_attributes) = (md5(draft.body.as_bytes()), md5_of(attributes.iter()));
        let belongs = belongs(queue, draft.group, draft.deduplication, draft.body.as_bytes())?;
        let id = (!queue.is_fifo()).then(Uuid::new_v4);
        let head = Head { trace, id, ..Head::new(now_ms, caller.user_id(), attributes) };
        let step = head.put(queue, belongs, now_ms + delay_ms, Bytes::from(draft.body));
        Ok((step, Ready { md5, md5_of_attributes, md5_of_system: md5_of(system.iter()), id }))
    }
}

impl Draft {
    /// What it counts in a batch.
    fn bytes(&self) -> usize {
        let size = |value: &api::MessageAttributeValue| {
            value.data_type.len()
                + value.string_value.as_ref().map_or(0, String::len)
                + value.binary_value.as_ref().map_or(0, Bytes::len)
        };
        let attributes = self.attributes.iter().flat_map(|attributes| attributes.iter());
        self.body.len() + attributes.map(|(name, value)| name.len() + size(value)).sum::<usize>()
    }
}

/// Where in a queue a message belongs.
pub(crate) fn belongs(
    queue: &QueueRecord,
    group: Option<String>,
    deduplication: Option<String>,
    body: &[u8],
) -> Result<Belongs, ApiError> {
    if queue.is_fifo() {
        return Place::of(queue, group, deduplication, body).map(Belongs::InOrder);
    }
    if let Some(id) = deduplication {
        let reason = "The request includes a parameter that is not valid for this queue type.";
        return Err(invalid_value(id, "MessageDeduplicationId", reason));
    }
    let Some(group) = group else { return Ok(Belongs::Apart) };
    check(&group, "MessageGroupId")?;
    Ok(Belongs::Fairly(group))
}

fn delay_ms(queue: &QueueRecord, given_s: Option<i32>) -> Result<i64, ApiError> {
    let invalid = |seconds: i32, reason: &str| Err(invalid_value(seconds, "DelaySeconds", reason));
    match given_s {
        None => Ok(queue.delay_ms()),
        // Its messages would lose their order.
        Some(0) if queue.is_fifo() => Ok(queue.delay_ms()),
        Some(seconds) if queue.is_fifo() => {
            invalid(seconds, "The request include parameter that is not valid for this queue type.")
        }
        Some(seconds) if (0..=SQS_DELAY_MAX_S).contains(&i64::from(seconds)) => Ok(i64::from(seconds) * 1000),
        Some(seconds) => invalid(seconds, "DelaySeconds must be >= 0 and <= 900."),
    }
}

/// The trace header, and all system attributes for their checksum.
fn system(given: Option<Map<api::MessageSystemAttributeValue>>) -> Result<(Option<String>, Attributes), ApiError> {
    let mut all = Attributes::new();
    for (name, value) in given.unwrap_or_default() {
        let Some(text) = value.string_value.filter(|_| value.data_type == "String") else {
            return Err(invalid_parameter(format!("The message system attribute '{name}' must be a String.")));
        };
        all.insert(name, attributes::Attribute::text("String", text));
    }
    let trace = all.get("AWSTraceHeader").and_then(|attribute| attribute.shown().string_value);
    Ok((trace, all))
}

/// What a queue takes as a message of so many bytes.
pub(crate) fn check_body(queue: &QueueRecord, body: &[u8], bytes: usize) -> Result<(), ApiError> {
    if body.is_empty() {
        return Err(missing("MessageBody"));
    }
    let most = queue.number(Name::MaximumMessageSize);
    if i64::try_from(bytes).unwrap_or(i64::MAX) > most {
        return Err(invalid_parameter(format!(
            "One or more parameters are invalid. Reason: Message must be shorter than {most} bytes."
        )));
    }
    // What XML 1.0 can bear, which the service's first protocol was.
    let can_be = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    let bad = match std::str::from_utf8(body) {
        Ok(text) => text.chars().find(|c| !can_be(*c)).map(u32::from),
        Err(cause) => body.get(cause.valid_up_to()).map(|byte| u32::from(*byte)),
    };
    match bad {
        None => Ok(()),
        Some(bad) => Err(ApiError::new(
            &errors::INVALID_MESSAGE_CONTENTS,
            format!(
                "Invalid binary character '#x{bad:X}' was found in the message body, the set of allowed characters is #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF"
            ),
        )),
    }
}
