//! What is sent, as senders make it and as its queue keeps it.

use bytes::Bytes;
use hearth_sqs::Attributes;
use serde::{Deserialize, Serialize};

/// Something that is to be sent.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// Whose turn it is: parcels of one lane that fail hold up no other lane. A subscription, a rule's target, ...; any
    /// text, of which the first [`hearth_types::limits::DELIVERY_LANE_BYTES`] count.
    pub lane: String,
    /// Where to, and how.
    pub delivery: Delivery,
    /// What is sent; in the case of [`Target::Object`] its bytes.
    pub body: Bytes,
}

/// Where something goes to, and how.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Delivery {
    /// Whom it is from.
    pub source: Source,
    /// In whose name.
    pub sender: Sender,
    /// Where to.
    pub target: Target,
    /// How long it is tried.
    pub retry: Retry,
    /// Where it goes when it is not taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<DeadLetter>,
    /// X-Ray's header of what led to it: recursion is counted in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// Since when it is tried, in milliseconds since 1970; set by the outbox.
    #[serde(default)]
    pub since_ms: i64,
    /// How often it was tried; set by the outbox.
    #[serde(default)]
    pub attempts: u32,
}

/// Whom something is from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Source {
    /// Under which it is counted.
    pub kind: Kind,
    /// The ARN of the function, the subscription, the rule, ...
    pub arn: String,
}

/// What sends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A function's asynchronous invoke, to its destination.
    Destination,
    /// The same, to its dead-letter queue.
    DeadLetter,
    /// An event source mapping, to its destination.
    Mapping,
    /// A topic, to a subscription.
    Topic,
    /// A rule, to a target.
    Rule,
    /// A schedule, to its target.
    Schedule,
    /// A bucket, of what happened in it.
    Bucket,
}

impl Kind {
    /// All.
    pub const ALL: [Self; 7] =
        [Self::Destination, Self::DeadLetter, Self::Mapping, Self::Topic, Self::Rule, Self::Schedule, Self::Bucket];

    /// For people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Destination => "destination",
            Self::DeadLetter => "dead-letter",
            Self::Mapping => "mapping",
            Self::Topic => "topic",
            Self::Rule => "rule",
            Self::Schedule => "schedule",
            Self::Bucket => "bucket",
        }
    }
}

/// In whose name something is sent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sender {
    /// A function's role: what its function may.
    Function {
        /// Its name.
        name: String,
        /// ARN.
        role: String,
    },
    /// Another role.
    Role {
        /// ARN.
        arn: String,
        /// The session's name.
        session: String,
    },
    /// A service of this server's, which the target's own policy must let in.
    Service {
        /// `sns.amazonaws.com`, ...
        principal: String,
        /// `aws:SourceArn`.
        source_arn: String,
    },
}

/// Where something goes to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// A function, as an asynchronous invoke.
    Function {
        /// With a qualifier or without.
        arn: String,
    },
    /// A queue, as a message.
    Queue {
        /// The queue's.
        arn: String,
        /// Message attributes.
        #[serde(default, skip_serializing_if = "Attributes::is_empty")]
        attributes: Attributes,
        /// MessageGroupId.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        group: Option<String>,
        /// MessageDeduplicationId.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deduplication: Option<String>,
    },
    /// A topic, as a publication.
    Topic {
        /// The topic's.
        arn: String,
        /// Subject.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subject: Option<String>,
        /// Message attributes.
        #[serde(default, skip_serializing_if = "Attributes::is_empty")]
        attributes: Attributes,
        /// MessageGroupId.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        group: Option<String>,
        /// MessageDeduplicationId.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deduplication: Option<String>,
    },
    /// An event bus, as an event whose detail is the body.
    Bus {
        /// The bus's.
        arn: String,
        /// `source` of the event.
        source: String,
        /// `detail-type`.
        detail_type: String,
        /// `resources`.
        #[serde(default)]
        resources: Vec<String>,
    },
    /// A log group, as a line.
    LogGroup {
        /// The group's.
        arn: String,
    },
    /// A bucket, as an object.
    Object {
        /// The bucket's name.
        bucket: String,
        /// Of the object.
        key: String,
    },
    /// An address, as a POST.
    Http {
        /// `http://` or `https://`.
        url: String,
        /// Besides what every request has.
        headers: Vec<(String, String)>,
    },
}

impl Target {
    /// For people: an ARN or an address.
    #[must_use]
    pub fn shown(&self) -> &str {
        match self {
            Self::Function { arn }
            | Self::Queue { arn, .. }
            | Self::Topic { arn, .. }
            | Self::Bus { arn, .. }
            | Self::LogGroup { arn } => arn,
            Self::Object { bucket, .. } => bucket,
            Self::Http { url, .. } => url,
        }
    }

    /// A queue, without anything beside the body.
    #[must_use]
    pub fn queue(arn: impl Into<String>, attributes: Attributes) -> Self {
        Self::Queue { arn: arn.into(), attributes, group: None, deduplication: None }
    }

    /// A topic, without a subject.
    #[must_use]
    pub fn topic(arn: impl Into<String>, attributes: Attributes) -> Self {
        Self::Topic { arn: arn.into(), subject: None, attributes, group: None, deduplication: None }
    }
}

/// How long something is tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Retry {
    /// Attempts after the first.
    pub attempts: u32,
    /// From its first attempt on, in milliseconds.
    pub age_ms: i64,
    /// Between two attempts, in milliseconds; growing pauses, 1 second to 5 minutes, where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause_ms: Option<i64>,
}

/// The queue of what is not taken.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The queue's ARN.
    pub arn: String,
    /// Message attributes.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
    /// Whether attributes are to say what went wrong, as EventBridge has it: ERROR_CODE, ERROR_MESSAGE, RETRY_ATTEMPTS and
    /// EXHAUSTED_RETRY_CONDITION.
    #[serde(default)]
    pub says_why: bool,
    /// What is sent there in the place of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// MessageGroupId, where the queue is a FIFO queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// MessageDeduplicationId, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deduplication: Option<String>,
}

impl DeadLetter {
    /// A queue that gets the body as it is.
    #[must_use]
    pub fn plain(arn: impl Into<String>) -> Self {
        Self {
            arn: arn.into(),
            attributes: Attributes::new(),
            says_why: false,
            body: None,
            group: None,
            deduplication: None,
        }
    }
}

impl Delivery {
    pub(crate) fn head(&self) -> Bytes {
        // A record without maps of other keys than text can always be written.
        Bytes::from(serde_json::to_vec(self).unwrap_or_default())
    }
}
