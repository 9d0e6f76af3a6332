//! Topics and subscriptions as the metadata store keeps them.

use std::collections::BTreeMap;

use hearth_pattern::{FilterPolicy, Scope};
use hearth_types::digest::CodeDigest;
use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

/// The prefix of topics' records.
pub(crate) const TOPICS: &str = "topic/";
/// The prefix of all subscriptions' records: `topic-subscription/TOPIC/UUID`.
pub(crate) const SUBSCRIPTIONS: &str = "topic-subscription/";

pub(crate) fn topic_key(name: &str) -> String {
    format!("{TOPICS}{name}")
}

pub(crate) fn subscriptions_of(topic: &str) -> String {
    format!("{SUBSCRIPTIONS}{topic}/")
}

/// A topic.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Topic {
    pub(crate) name: String,
    /// As given; what is absent has its default.
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) tags: BTreeMap<String, String>,
    /// Milliseconds since 1970.
    pub(crate) created_ms: i64,
}

impl Topic {
    pub(crate) fn is_fifo(&self) -> bool {
        self.name.ends_with(".fifo")
    }

    pub(crate) fn has(&self, attribute: &str, value: &str) -> bool {
        self.attributes.get(attribute).is_some_and(|known| known == value)
    }
}

/// How a subscriber is reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    Sqs,
    Lambda,
    Http,
    Https,
}

impl Protocol {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sqs => "sqs",
            Self::Lambda => "lambda",
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    pub(crate) fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::Https)
    }
}

/// A subscription.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Subscription {
    pub(crate) topic: String,
    pub(crate) id: Uuid,
    pub(crate) protocol: Protocol,
    pub(crate) endpoint: String,
    /// As given.
    pub(crate) attributes: BTreeMap<String, String>,
    /// What its endpoint has to send back; none where it need not.
    pub(crate) token: Option<String>,
    pub(crate) is_confirmed: bool,
    /// The ARN of who subscribed.
    pub(crate) principal: String,
}

impl Subscription {
    /// Two that lead from the same topic to the same endpoint are one, and have one id.
    pub(crate) fn id(topic: &Topic, protocol: Protocol, endpoint: &str) -> Uuid {
        let Topic { name, created_ms, .. } = topic;
        let digest = CodeDigest::of(format!("{name} {created_ms} {} {endpoint}", protocol.name()).as_bytes());
        let digits = digest.to_string();
        let mut bytes = [0; 16];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = digits.get(2 * index..2 * index + 2).and_then(|hex| u8::from_str_radix(hex, 16).ok()).unwrap_or(0);
        }
        Builder::from_random_bytes(bytes).into_uuid()
    }

    pub(crate) fn key(&self) -> String {
        format!("{}{}", subscriptions_of(&self.topic), self.id)
    }

    pub(crate) fn is_raw(&self) -> bool {
        self.attributes.get("RawMessageDelivery").is_some_and(|value| value == "true")
    }

    pub(crate) fn scope(&self) -> Scope {
        match self.attributes.get("FilterPolicyScope").map(String::as_str) {
            Some("MessageBody") => Scope::MessageBody,
            _ => Scope::MessageAttributes,
        }
    }

    /// What it lets through; none where that is everything. It was valid when it was set.
    pub(crate) fn filter(&self) -> Option<FilterPolicy> {
        FilterPolicy::parse(self.attributes.get("FilterPolicy")?, self.scope()).ok()
    }

    /// The ARN of its dead-letter queue.
    pub(crate) fn dead_letter(&self) -> Option<String> {
        dead_letter(self.attributes.get("RedrivePolicy")?)
    }
}

/// The queue that a RedrivePolicy names.
pub(crate) fn dead_letter(policy: &str) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Redrive {
        dead_letter_target_arn: String,
    }
    serde_json::from_str::<Redrive>(policy).ok().map(|redrive| redrive.dead_letter_target_arn)
}
