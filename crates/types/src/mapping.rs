//! Event source mappings: what is polled for which function, and how. Records; what a client may say is control's matter.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Target, keys};

/// A mapping, as it is kept.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Mapping {
    /// The function's name.
    pub function: String,
    /// As given when the mapping was made or last led elsewhere.
    pub qualifier: Option<String>,
    /// What is polled. It never changes.
    pub source: Source,
    /// How.
    pub settings: Settings,
    /// Whether the client wants it polled.
    pub wanted: bool,
    /// Where it is between what the client wants and what is so. Absent in the oldest records, which nothing polled.
    #[serde(default)]
    pub phase: Phase,
    /// Why it is so, where the client's wish is not the reason.
    #[serde(default)]
    pub reason: Option<String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Milliseconds since 1970 of the last change by a client.
    pub last_modified_ms: i64,
}

/// State of a mapping, as Lambda names them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Phase {
    /// Made, and not polled yet.
    Creating,
    /// To be polled again.
    Enabling,
    /// Polled.
    Enabled,
    /// What is in flight comes to its end.
    Disabling,
    /// Not polled.
    #[default]
    Disabled,
    /// What is in flight comes to its end under the old settings.
    Updating,
    /// What is in flight comes to its end; then the mapping is gone.
    Deleting,
}

impl Phase {
    /// State in answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Creating => "Creating",
            Self::Enabling => "Enabling",
            Self::Enabled => "Enabled",
            Self::Disabling => "Disabling",
            Self::Disabled => "Disabled",
            Self::Updating => "Updating",
            Self::Deleting => "Deleting",
        }
    }

    /// Whether it stays until a client asks for something else.
    #[must_use]
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Enabled | Self::Disabled)
    }
}

impl Mapping {
    /// The function that it leads to.
    #[must_use]
    pub fn target(&self) -> Target {
        Target { name: self.function.clone(), qualifier: self.qualifier.clone() }
    }

    /// Names what only one mapping may have: a source and a function, as it is qualified.
    #[must_use]
    pub fn claim(&self) -> String {
        let qualifier = self.qualifier.as_deref().unwrap_or_default();
        keys::mapping_claim(&self.function, qualifier, &self.source.identity())
    }

    /// Whether whoever polls for one does what the other wants.
    #[must_use]
    pub fn is_polled_like(&self, other: &Self) -> bool {
        self.target() == other.target() && self.source == other.source && self.settings == other.settings
    }
}

/// What is polled.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Source {
    /// A queue.
    Sqs {
        /// Its ARN.
        arn: String,
    },
    /// A Kinesis stream, or a consumer of one.
    Kinesis {
        /// Its ARN.
        arn: String,
        /// Where to begin.
        from: Position,
    },
    /// A table's stream.
    DynamoDb {
        /// Its ARN.
        arn: String,
        /// Where to begin.
        from: Position,
    },
    /// A Kafka topic on brokers of the user's.
    Kafka {
        /// `host:port` of brokers.
        brokers: Vec<String>,
        /// The topic.
        topic: String,
        /// Where to begin.
        from: Position,
    },
    /// A queue of an ActiveMQ or RabbitMQ broker.
    Mq {
        /// The broker's ARN.
        arn: String,
        /// The queue.
        queue: String,
    },
}

/// Where to begin in a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Position {
    /// At the oldest record.
    TrimHorizon,
    /// At what comes next.
    Latest,
    /// At a time, in milliseconds since 1970.
    At(i64),
}

impl Source {
    /// Where polling begins, where there is a choice.
    #[must_use]
    pub fn from(&self) -> Option<Position> {
        match self {
            Self::Kinesis { from, .. } | Self::DynamoDb { from, .. } | Self::Kafka { from, .. } => Some(*from),
            Self::Sqs { .. } | Self::Mq { .. } => None,
        }
    }

    /// EventSourceArn.
    #[must_use]
    pub fn arn(&self) -> Option<&str> {
        match self {
            Self::Sqs { arn } | Self::Kinesis { arn, .. } | Self::DynamoDb { arn, .. } | Self::Mq { arn, .. } => {
                Some(arn)
            }
            Self::Kafka { .. } => None,
        }
    }

    /// What makes two sources the same.
    #[must_use]
    pub fn identity(&self) -> String {
        match self {
            Self::Kafka { brokers, topic, .. } => format!("kafka:{}:{topic}", brokers.join(",")),
            Self::Mq { arn, queue } => format!("{arn}:{queue}"),
            Self::Sqs { arn } | Self::Kinesis { arn, .. } | Self::DynamoDb { arn, .. } => arn.clone(),
        }
    }

    /// Whether records stay where they are when they have been read, in shards.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        matches!(self, Self::Kinesis { .. } | Self::DynamoDb { .. })
    }

    /// A queue that keeps the order of its messages.
    #[must_use]
    pub fn is_fifo(&self) -> bool {
        matches!(self, Self::Sqs { arn } if arn.ends_with(".fifo"))
    }
}

/// How a source is polled.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Settings {
    /// Records or messages of a batch at most, 1 to 10,000.
    pub batch_size: i32,
    /// Seconds that a batch may wait to be filled, 0 to 300.
    pub window_s: i32,
    /// Patterns, one of which an event must fit; none lets all pass.
    pub filters: Vec<String>,
    /// Whether the function's answer may name the items that failed.
    pub report_failures: bool,
    /// Where batches go that failed for good: an ARN.
    pub on_failure: Option<String>,
    /// Seconds after which a record is given up; -1 is never.
    pub age_s: i32,
    /// How often a batch is tried again; -1 is for as long as its records live.
    pub retries: i32,
    /// Whether a failed batch is tried again in halves.
    pub bisect: bool,
    /// Batches of one shard at a time, 1 to 10.
    pub parallelization: i32,
    /// Seconds of a window whose batches share a state; 0 is none.
    pub tumbling_s: i32,
    /// Type and URI of what proves who polls.
    pub access: Vec<(String, String)>,
    /// Invokes of a queue's function at a time, 2 to 1,000.
    pub concurrency: Option<i32>,
    /// Kafka's consumer group.
    pub consumer_group: Option<String>,
    /// Whether its events are counted in the metrics.
    #[serde(default)]
    pub counts_events: bool,
}

/// What came of the last look at a source, where there is something to say of it: its own record, for it changes often.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Progress {
    /// LastProcessingResult.
    pub result: Option<String>,
}
