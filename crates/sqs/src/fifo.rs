//! Groups of messages; and what FIFO queues have beside others: what was sent before, sequence numbers, and ids that
//! follow from these.

use hearth_api::ApiError;
use hearth_api::sqs::types::QueueAttributeName as Name;
use hearth_store::{MessageId, Once};
use hearth_types::limits::{SQS_DEDUPLICATION_MS, SQS_GROUP_CHARS};
use sha2::{Digest as _, Sha256};
use uuid::{Builder, Uuid};

use crate::errors::{invalid_parameter, invalid_value, missing};
use crate::queue::QueueRecord;

/// Sequence numbers have 20 digits, as the service's have.
const FIRST_NUMBER: u128 = 18_800_000_000_000_000_000;

/// Where in its queue a message belongs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Belongs {
    /// Nowhere in particular.
    Apart,
    /// To a group of a standard queue: those of which few messages are in flight come before others.
    Fairly(String),
    /// To a FIFO queue.
    InOrder(Place),
}

/// Where a message of a FIFO queue belongs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(crate) group: String,
    /// As given, or the digest of the body.
    pub(crate) deduplication: String,
}

impl Place {
    /// Of a message that is sent.
    ///
    /// # Errors
    /// MissingParameter, InvalidParameterValue.
    pub(crate) fn of(
        queue: &QueueRecord,
        group: Option<String>,
        deduplication: Option<String>,
        body: &[u8],
    ) -> Result<Self, ApiError> {
        let group = group.ok_or_else(|| missing("MessageGroupId"))?;
        check(&group, "MessageGroupId")?;
        let deduplication = match deduplication {
            Some(id) => id,
            None if queue.text(Name::ContentBasedDeduplication) == "true" => hex(&Sha256::digest(body)),
            None => {
                return Err(invalid_parameter(
                    "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly",
                ));
            }
        };
        check(&deduplication, "MessageDeduplicationId")?;
        Ok(Self { group, deduplication })
    }

    /// What makes it be accepted once: in its queue, one of that name from before is another, or in its group.
    pub(crate) fn once(&self, queue: &QueueRecord, now_ms: i64) -> Once {
        let per_group = queue.text(Name::DeduplicationScope) == "messageGroup";
        let group = if per_group { &*self.group } else { "" };
        let mut digest = Sha256::new();
        for part in [&queue.name, &queue.created_ms.to_string(), group, &self.deduplication] {
            digest.update(part.len().to_be_bytes());
            digest.update(part);
        }
        let key = digest.finalize().to_vec().into();
        Once { key, now_ms, until_ms: now_ms + SQS_DEDUPLICATION_MS }
    }
}

/// The id of a message that was put there: the same for one that is sent again.
pub(crate) fn message_id(queue: &QueueRecord, id: MessageId) -> Uuid {
    let mut digest = Sha256::new();
    digest.update(&queue.name);
    digest.update(queue.created_ms.to_be_bytes());
    digest.update(id.0.to_be_bytes());
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest.finalize()).for_each(|(byte, random)| *byte = random);
    Builder::from_random_bytes(bytes).into_uuid()
}

/// Growing within a group, and within the queue.
pub(crate) fn sequence_number(id: MessageId) -> String {
    (FIRST_NUMBER + u128::from(id.0)).to_string()
}

pub(crate) fn check(id: &str, parameter: &str) -> Result<(), ApiError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c.is_ascii_punctuation();
    if (1..=SQS_GROUP_CHARS).contains(&id.len()) && id.chars().all(allowed) {
        return Ok(());
    }
    let reason = format!("{parameter} can only include alphanumeric and punctuation characters. 1 to 128 in length.");
    Err(invalid_value(id, parameter, &reason))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
