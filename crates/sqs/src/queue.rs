//! A queue as the metadata store keeps it.

use std::collections::BTreeMap;

use hearth_api::sqs::types::QueueAttributeName as Name;
use hearth_api::{ApiError, Map};
use serde::{Deserialize, Serialize};

use crate::dead_letters::{Allowing, Redrive};
use crate::errors::{invalid_attribute, unknown_attribute};
use crate::settings::{NUMBERS, OF_FIFO, check, check_together};

/// The prefix of queues' records.
pub(crate) const QUEUES: &str = "sqs/";

/// How the names of FIFO queues end.
pub(crate) const FIFO: &str = ".fifo";

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
    /// When it was emptied last, in milliseconds since 1970.
    #[serde(default)]
    pub(crate) purged_ms: Option<i64>,
}

impl QueueRecord {
    /// Whether its messages are in groups.
    pub(crate) fn is_fifo(&self) -> bool {
        self.name.ends_with(FIFO)
    }

    /// Takes attributes over, each checked. An empty policy takes it away.
    pub(crate) fn set(&mut self, given: &Map<String>) -> Result<(), ApiError> {
        for (name, value) in given.iter() {
            let known = Name::from_text(name).ok_or_else(|| unknown_attribute(name))?;
            if known == Name::FifoQueue && (value == "true") != self.is_fifo() {
                return Err(invalid_attribute(name, "Modifying queue type is not supported."));
            }
            check(known, value, self.is_fifo())?;
            if value.is_empty() {
                self.attributes.remove(name);
            } else {
                self.attributes.insert(name.to_owned(), value.clone());
            }
        }
        check_together(self)
    }

    /// An attribute that is a number, or its default.
    pub(crate) fn number(&self, name: Name) -> i64 {
        let default = NUMBERS.iter().find(|(known, ..)| *known == name).map_or(0, |(_, default, ..)| *default);
        self.attributes.get(name.as_str()).and_then(|text| text.parse().ok()).unwrap_or(default)
    }

    /// An attribute of FIFO queues, or its default; of other queues too.
    pub(crate) fn text(&self, name: Name) -> &str {
        let default = OF_FIFO.iter().find(|(known, _)| *known == name).map_or("", |(_, default)| *default);
        self.attributes.get(name.as_str()).map_or(default, String::as_str)
    }

    /// Milliseconds that a message of it is delayed where its sender says nothing.
    pub(crate) fn delay_ms(&self) -> i64 {
        self.number(Name::DelaySeconds) * 1000
    }

    /// Messages that were sent then, or before, are gone by now; in milliseconds since 1970.
    pub(crate) fn expired_ms(&self, now_ms: i64) -> i64 {
        now_ms - self.number(Name::MessageRetentionPeriod) * 1000
    }

    pub(crate) fn policy(&self) -> Option<&str> {
        self.attributes.get(Name::Policy.as_str()).map(String::as_str)
    }

    pub(crate) fn redrive(&self) -> Option<Redrive> {
        serde_json::from_str(self.attributes.get(Name::RedrivePolicy.as_str())?).ok()
    }

    pub(crate) fn allowing(&self) -> Option<Allowing> {
        serde_json::from_str(self.attributes.get(Name::RedriveAllowPolicy.as_str())?).ok()
    }

    /// What is set or has a default, but for what is counted.
    pub(crate) fn shown(&self) -> BTreeMap<String, String> {
        let mut shown: BTreeMap<String, String> =
            NUMBERS.iter().map(|(name, ..)| (name.as_str().to_owned(), self.number(*name).to_string())).collect();
        shown.insert("SqsManagedSseEnabled".into(), "true".into());
        shown.insert("CreatedTimestamp".into(), (self.created_ms / 1000).to_string());
        shown.insert("LastModifiedTimestamp".into(), (self.modified_ms / 1000).to_string());
        if self.is_fifo() {
            shown.extend(OF_FIFO.iter().map(|(name, default)| (name.as_str().to_owned(), (*default).to_owned())));
            shown.insert("FifoQueue".into(), "true".into());
        }
        shown.extend(self.attributes.clone());
        shown
    }
}
