//! Sending: SendMessage, SendMessageBatch.

use bytes::Bytes;
use hearth_api::sqs::types::QueueAttributeName as Name;
use hearth_api::sqs::{Operation, errors, types as api};
use hearth_api::{ApiError, Map};
use hearth_identity::Caller;
use hearth_store::Step;
use hearth_types::limits::{SQS_DELAY_MAX_S, SQS_MESSAGE_BYTES};

use crate::attributes::{self, Attributes, md5, md5_of};
use crate::batch::{check_ids, failed};
use crate::errors::{invalid_parameter, invalid_value, unsupported};
use crate::message::{Head, delay_ms};
use crate::queue::{QueueRecord, key};
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

/// One that may be.
struct Ready {
    step: Step,
    bytes: usize,
    md5: String,
    md5_of_attributes: Option<String>,
    md5_of_system: Option<String>,
    id: String,
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
        let ready = self.ready(caller, &queue, draft)?;
        self.parts.queues.commit(vec![ready.step]).await.map_err(|cause| unavailable(&cause))?;
        self.waiting.ring(&queue.name);
        Ok(api::SendMessageResult {
            md5_of_message_body: Some(ready.md5),
            md5_of_message_attributes: ready.md5_of_attributes,
            md5_of_message_system_attributes: ready.md5_of_system,
            message_id: Some(ready.id),
            sequence_number: None,
        })
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
        let (mut steps, mut bytes) = (Vec::new(), 0);
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
            match self.ready(caller, &queue, draft) {
                Ok(ready) => {
                    bytes += ready.bytes;
                    steps.push(ready.step);
                    result.successful.push(api::SendMessageBatchResultEntry {
                        id: entry.id,
                        message_id: ready.id,
                        md5_of_message_body: ready.md5,
                        md5_of_message_attributes: ready.md5_of_attributes,
                        md5_of_message_system_attributes: ready.md5_of_system,
                        sequence_number: None,
                    });
                }
                Err(error) => result.failed.push(failed(entry.id, &error)),
            }
        }
        if bytes > SQS_MESSAGE_BYTES {
            let text =
                format!("Batch requests cannot be longer than {SQS_MESSAGE_BYTES} bytes. You have sent {bytes} bytes.");
            return Err(ApiError::new(&errors::BATCH_REQUEST_TOO_LONG, text));
        }
        if !steps.is_empty() {
            self.parts.queues.commit(steps).await.map_err(|cause| unavailable(&cause))?;
            self.waiting.ring(&queue.name);
        }
        Ok(result)
    }

    fn ready(&self, caller: &Caller, queue: &QueueRecord, draft: Draft) -> Result<Ready, ApiError> {
        if draft.deduplication.is_some() {
            let text = "The request includes a parameter that is not valid for this queue type";
            return Err(invalid_value(draft.deduplication.unwrap_or_default(), "MessageDeduplicationId", text));
        }
        if draft.group.is_some() {
            return Err(unsupported("fair queues (MessageGroupId on a standard queue)"));
        }
        let attributes = attributes::read(draft.attributes)?;
        let (trace, system) = system(draft.system)?;
        let bytes = draft.body.len() + attributes::size(&attributes);
        check_body(queue, &draft.body, bytes)?;
        let delay_ms = match draft.delay_s {
            None => delay_ms(queue),
            Some(seconds) if (0..=SQS_DELAY_MAX_S).contains(&i64::from(seconds)) => i64::from(seconds) * 1000,
            Some(seconds) => {
                return Err(invalid_value(seconds, "DelaySeconds", "DelaySeconds must be >= 0 and <= 900."));
            }
        };
        let now_ms = self.now_ms();
        let (md5, md5_of_attributes) = (md5(draft.body.as_bytes()), md5_of(attributes.iter()));
        let head = Head { trace, ..Head::new(now_ms, caller.user_id(), attributes) };
        Ok(Ready {
            step: head.put(&queue.name, now_ms + delay_ms, Bytes::from(draft.body)),
            bytes,
            md5,
            md5_of_attributes,
            md5_of_system: md5_of(system.iter()),
            id: head.id.to_string(),
        })
    }

    /// The name of a queue's messages in the store.
    pub(crate) fn messages_of(queue: &QueueRecord) -> String {
        key(&queue.name)
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

fn check_body(queue: &QueueRecord, body: &str, bytes: usize) -> Result<(), ApiError> {
    if body.is_empty() {
        return Err(invalid_parameter("The request must contain the parameter MessageBody."));
    }
    let most = queue.number(Name::MaximumMessageSize);
    if i64::try_from(bytes).unwrap_or(i64::MAX) > most {
        return Err(invalid_parameter(format!(
            "One or more parameters are invalid. Reason: Message must be shorter than {most} bytes."
        )));
    }
    // What XML 1.0 can bear, which the service's first protocol was.
    let bad = body
        .chars()
        .find(|c| !matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..));
    match bad {
        None => Ok(()),
        Some(bad) => Err(ApiError::new(
            &errors::INVALID_MESSAGE_CONTENTS,
            format!(
                "Invalid binary character '#x{:X}' was found in the message body, the set of allowed characters is #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF",
                bad as u32
            ),
        )),
    }
}
