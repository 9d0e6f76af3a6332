//! A queue as the metadata store keeps it, and its attributes.

use std::collections::BTreeMap;

use hearth_api::sqs::errors;
use hearth_api::sqs::types::QueueAttributeName as Name;
use hearth_api::{ApiError, Map};
use hearth_identity::policy::{Document, Kind};
use hearth_types::limits::{
    SQS_DELAY_MAX_S, SQS_MESSAGE_BYTES, SQS_RETENTION_MAX_S, SQS_VISIBILITY_MAX_S, SQS_WAIT_MAX_S,
};
use serde::{Deserialize, Serialize};

use crate::errors::unsupported;

/// The prefix of queues' records.
pub(crate) const QUEUES: &str = "sqs/";

/// The record of a queue, and the name of its queue of messages.
pub(crate) fn key(name: &str) -> String {
    format!("{QUEUES}{name}")
}

/// A queue.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct QueueRecord {
    pub(crate) name: String,
    /// As given; what is absent has its default.
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) tags: BTreeMap<String, String>,
    /// Milliseconds since 1970.
    pub(crate) created_ms: i64,
    /// Milliseconds since 1970.
    pub(crate) modified_ms: i64,
}

/// RedrivePolicy.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Redrive {
    /// Where messages go.
    pub(crate) dead_letter_target_arn: String,
    /// After so many receives.
    #[serde(deserialize_with = "number_or_text")]
    pub(crate) max_receive_count: u32,
}

/// Clients write it both ways.
fn number_or_text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    use serde::de::Error as _;
    let value = serde_json::Value::deserialize(deserializer)?;
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.parse().ok().filter(|count| (1..=1000).contains(count)).ok_or_else(|| D::Error::custom("a count is 1 to 1000"))
}

/// Attributes that are numbers: name, default, least, most.
const NUMBERS: &[(Name, i64, i64, i64)] = &[
    (Name::VisibilityTimeout, 30, 0, SQS_VISIBILITY_MAX_S),
    (Name::MaximumMessageSize, SQS_MESSAGE_BYTES as i64, 1024, SQS_MESSAGE_BYTES as i64),
    (Name::MessageRetentionPeriod, 345_600, 60, SQS_RETENTION_MAX_S),
    (Name::DelaySeconds, 0, 0, SQS_DELAY_MAX_S),
    (Name::ReceiveMessageWaitTimeSeconds, 0, 0, SQS_WAIT_MAX_S),
];

impl QueueRecord {
    /// Takes attributes over, each checked. An empty policy takes it away.
    pub(crate) fn set(&mut self, given: &Map<String>) -> Result<(), ApiError> {
        for (name, value) in given.iter() {
            let known = Name::from_text(name).ok_or_else(|| unknown(name))?;
            check(known, value)?;
            if value.is_empty() {
                self.attributes.remove(name);
            } else {
                self.attributes.insert(name.to_owned(), value.clone());
            }
        }
        Ok(())
    }

    /// An attribute that is a number, or its default.
    pub(crate) fn number(&self, name: Name) -> i64 {
        let default = NUMBERS.iter().find(|(known, ..)| *known == name).map_or(0, |(_, default, ..)| *default);
        self.attributes.get(name.as_str()).and_then(|text| text.parse().ok()).unwrap_or(default)
    }

    pub(crate) fn policy(&self) -> Option<&str> {
        self.attributes.get(Name::Policy.as_str()).map(String::as_str)
    }

    pub(crate) fn redrive(&self) -> Option<Redrive> {
        serde_json::from_str(self.attributes.get(Name::RedrivePolicy.as_str())?).ok()
    }

    /// What is set or has a default, but for what is counted.
    pub(crate) fn shown(&self) -> BTreeMap<String, String> {
        let mut shown: BTreeMap<String, String> =
            NUMBERS.iter().map(|(name, ..)| (name.as_str().to_owned(), self.number(*name).to_string())).collect();
        shown.insert("SqsManagedSseEnabled".into(), "true".into());
        shown.insert("CreatedTimestamp".into(), (self.created_ms / 1000).to_string());
        shown.insert("LastModifiedTimestamp".into(), (self.modified_ms / 1000).to_string());
        shown.extend(self.attributes.clone());
        shown
    }
}

fn check(name: Name, value: &str) -> Result<(), ApiError> {
    let invalid = || {
        Err(ApiError::new(
            &errors::INVALID_ATTRIBUTE_VALUE,
            format!("Invalid value for the parameter {}.", name.as_str()),
        ))
    };
    if let Some((_, _, least, most)) = NUMBERS.iter().find(|(known, ..)| *known == name) {
        return if value.parse().is_ok_and(|number: i64| (*least..=*most).contains(&number)) {
            Ok(())
        } else {
            invalid()
        };
    }
    match name {
        Name::Policy if value.is_empty() || Document::parse(value, Kind::Resource).is_ok() => Ok(()),
        Name::RedrivePolicy if value.is_empty() || serde_json::from_str::<Redrive>(value).is_ok() => Ok(()),
        Name::RedriveAllowPolicy if value.is_empty() => Ok(()),
        Name::Policy | Name::RedrivePolicy => invalid(),
        // The messages lie in a file that only the server reads.
        Name::SqsManagedSseEnabled if matches!(value, "true" | "false") => Ok(()),
        Name::SqsManagedSseEnabled => invalid(),
        Name::FifoQueue | Name::ContentBasedDeduplication if value == "false" => Ok(()),
        Name::FifoQueue | Name::ContentBasedDeduplication | Name::DeduplicationScope | Name::FifoThroughputLimit => {
            Err(unsupported("FIFO queues"))
        }
        Name::KmsMasterKeyId | Name::KmsDataKeyReusePeriodSeconds => Err(unsupported("keys of KMS for queues")),
        Name::RedriveAllowPolicy => Err(unsupported("RedriveAllowPolicy")),
        other => Err(unknown(other.as_str())),
    }
}

fn unknown(name: &str) -> ApiError {
    ApiError::new(&errors::INVALID_ATTRIBUTE_NAME, format!("Unknown Attribute {name}."))
}
