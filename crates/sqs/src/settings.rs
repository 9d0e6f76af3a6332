//! The attributes of queues: which there are, their ranges, and what they say to each other.

use hearth_api::ApiError;
use hearth_api::sqs::types::QueueAttributeName as Name;
use hearth_identity::policy::{Document, Kind};
use hearth_types::limits::{
    SQS_DELAY_MAX_S, SQS_MESSAGE_BYTES, SQS_RETENTION_MAX_S, SQS_VISIBILITY_MAX_S, SQS_WAIT_MAX_S,
};

use crate::errors::{invalid_attribute, unknown_attribute, unsupported};
use crate::queue::QueueRecord;

/// Attributes that are numbers: name, default, least, most.
pub(crate) const NUMBERS: &[(Name, i64, i64, i64)] = &[
    (Name::VisibilityTimeout, 30, 0, SQS_VISIBILITY_MAX_S),
    (Name::MaximumMessageSize, SQS_MESSAGE_BYTES as i64, 1024, SQS_MESSAGE_BYTES as i64),
    (Name::MessageRetentionPeriod, 345_600, 60, SQS_RETENTION_MAX_S),
    (Name::DelaySeconds, 0, 0, SQS_DELAY_MAX_S),
    (Name::ReceiveMessageWaitTimeSeconds, 0, 0, SQS_WAIT_MAX_S),
];

/// Of FIFO queues alone, with their defaults.
pub(crate) const OF_FIFO: &[(Name, &str)] = &[
    (Name::ContentBasedDeduplication, "false"),
    (Name::DeduplicationScope, "queue"),
    (Name::FifoThroughputLimit, "perQueue"),
];

/// What an attribute of a queue may be; what needs a look at other queues is not asked here.
pub(crate) fn check(name: Name, value: &str, is_fifo: bool) -> Result<(), ApiError> {
    let invalid = |reason: &str| Err(invalid_attribute(name.as_str(), reason));
    let one_of = |values: &[&str]| if values.contains(&value) { Ok(()) } else { invalid("") };
    if let Some((_, _, least, most)) = NUMBERS.iter().find(|(known, ..)| *known == name) {
        let fits = value.parse().is_ok_and(|number: i64| (*least..=*most).contains(&number));
        return if fits { Ok(()) } else { invalid("") };
    }
    match name {
        Name::Policy if value.is_empty() || Document::parse(value, Kind::Resource).is_ok() => Ok(()),
        Name::Policy => invalid(""),
        Name::RedrivePolicy | Name::RedriveAllowPolicy => Ok(()),
        // The messages lie in a file that only the server reads.
        Name::SqsManagedSseEnabled => one_of(&["true", "false"]),
        Name::FifoQueue if is_fifo => one_of(&["true"]),
        Name::ContentBasedDeduplication if is_fifo => one_of(&["true", "false"]),
        Name::DeduplicationScope if is_fifo => one_of(&["messageGroup", "queue"]),
        Name::FifoThroughputLimit if is_fifo => one_of(&["perQueue", "perMessageGroupId"]),
        Name::KmsMasterKeyId | Name::KmsDataKeyReusePeriodSeconds => Err(unsupported("keys of KMS for queues")),
        other => Err(unknown_attribute(other.as_str())),
    }
}

/// Whether what a queue has now goes together.
pub(crate) fn check_together(queue: &QueueRecord) -> Result<(), ApiError> {
    let per_group = queue.text(Name::FifoThroughputLimit) == "perMessageGroupId";
    if per_group && queue.text(Name::DeduplicationScope) != "messageGroup" {
        let reason =
            "The perMessageGroupId value is allowed only when the value for DeduplicationScope is messageGroup.";
        return Err(invalid_attribute(Name::FifoThroughputLimit.as_str(), reason));
    }
    Ok(())
}
