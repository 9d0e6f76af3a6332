//! Kinds of event sources, and what each of them has. Pure.

use hearth_api::ApiError;
use hearth_api::types as api;
use serde::{Deserialize, Serialize};

use crate::{invalid, refused};

/// What is polled.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Source {
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
pub(super) enum Position {
    /// At the oldest record.
    TrimHorizon,
    /// At what comes next.
    Latest,
    /// At a time, in milliseconds since 1970.
    At(i64),
}

impl Source {
    /// From the members that say what is polled.
    ///
    /// # Errors
    /// With the texts of the real service; 501 for sources that there are none of here.
    pub(super) fn asked(input: &api::CreateEventSourceMappingRequest) -> Result<Self, ApiError> {
        let source = match (&input.event_source_arn, &input.self_managed_event_source) {
            (None, None) => return Err(invalid("Unrecognized event source.")),
            (Some(_), Some(_)) => {
                return Err(invalid("Only one of EventSourceArn and SelfManagedEventSource can be given."));
            }
            (None, Some(brokers)) => kafka(input, brokers)?,
            (Some(arn), None) => by_arn(input, arn)?,
        };
        source.takes_only_its_own(input)?;
        Ok(source)
    }

    /// Members that would have no effect on a source of this kind.
    fn takes_only_its_own(&self, input: &api::CreateEventSourceMappingRequest) -> Result<(), ApiError> {
        let kafka = matches!(self, Self::Kafka { .. });
        let positioned = self.from().is_some();
        let foreign = [
            ("StartingPosition", input.starting_position.is_some() && !positioned),
            ("StartingPositionTimestamp", input.starting_position_timestamp.is_some() && !positioned),
            ("Topics", input.topics.is_some() && !kafka),
            ("Queues", input.queues.is_some() && !matches!(self, Self::Mq { .. })),
        ];
        foreign.into_iter().find(|(_, given)| *given).map_or(Ok(()), |(member, _)| Err(unsupported(member)))
    }

    /// Where polling begins, where there is a choice.
    pub(super) fn from(&self) -> Option<Position> {
        match self {
            Self::Kinesis { from, .. } | Self::DynamoDb { from, .. } | Self::Kafka { from, .. } => Some(*from),
            Self::Sqs { .. } | Self::Mq { .. } => None,
        }
    }

    /// EventSourceArn.
    pub(super) fn arn(&self) -> Option<&str> {
        match self {
            Self::Sqs { arn } | Self::Kinesis { arn, .. } | Self::DynamoDb { arn, .. } | Self::Mq { arn, .. } => {
                Some(arn)
            }
            Self::Kafka { .. } => None,
        }
    }

    /// What makes two sources the same.
    pub(super) fn identity(&self) -> String {
        match self {
            Self::Kafka { brokers, topic, .. } => format!("kafka:{}:{topic}", brokers.join(",")),
            Self::Mq { arn, queue } => format!("{arn}:{queue}"),
            Self::Sqs { arn } | Self::Kinesis { arn, .. } | Self::DynamoDb { arn, .. } => arn.clone(),
        }
    }

    pub(super) fn is_stream(&self) -> bool {
        matches!(self, Self::Kinesis { .. } | Self::DynamoDb { .. })
    }

    /// A queue that keeps the order of its messages.
    pub(super) fn is_fifo(&self) -> bool {
        matches!(self, Self::Sqs { arn } if arn.ends_with(".fifo"))
    }

    /// The BatchSize that is not given.
    pub(super) fn batch_size(&self) -> i32 {
        if matches!(self, Self::Sqs { .. }) { 10 } else { 100 }
    }

    /// StateTransitionReason of what a client asked for (observed).
    pub(super) fn reason(&self) -> &'static str {
        if self.is_stream() { "User action" } else { "USER_INITIATED" }
    }

    /// 409 for a second mapping of a source and a function (observed).
    pub(super) fn exists(&self, function: &str, uuid: &str) -> ApiError {
        let identity = self.identity();
        let what = match self {
            Self::Sqs { .. } => format!(
                "An event source mapping with SQS arn (\" {identity} \") and function (\" {function} \") already exists."
            ),
            _ => format!(
                "The event source arn (\" {identity} \") and function (\" {function} \") provided mapping already exists."
            ),
        };
        ApiError::conflict(format!("{what} Please update or delete the existing mapping with UUID {uuid}"))
    }
}

/// For a member that sources of this kind do not have (observed for DestinationConfig).
pub(super) fn unsupported(member: &str) -> ApiError {
    invalid(format!("Unsupported {member} parameter for given event source mapping type."))
}

fn by_arn(input: &api::CreateEventSourceMappingRequest, arn: &str) -> Result<Source, ApiError> {
    let arn = arn.to_owned();
    let mut parts = arn.split(':').skip(2);
    let (service, rest) = (parts.next().unwrap_or_default(), parts.nth(2).unwrap_or_default());
    let is_stream = rest.starts_with("table/") && rest.contains("/stream/");
    match service {
        "sqs" => Ok(Source::Sqs { arn }),
        "kinesis" if rest.starts_with("stream/") => Ok(Source::Kinesis { from: position(input)?, arn }),
        "dynamodb" if is_stream => match position(input)? {
            Position::At(_) => Err(invalid(format!("Unsupported starting position for arn type: {arn}"))),
            from => Ok(Source::DynamoDb { arn, from }),
        },
        "mq" => Ok(Source::Mq { queue: only("Queues", input.queues.as_deref())?, arn }),
        "kafka" | "rds" => Err(refused(
            "EventSourceArn",
            "sources are SQS, Kinesis, DynamoDB streams, brokers of ActiveMQ and RabbitMQ, and Kafka by \
             SelfManagedEventSource",
        )),
        _ => Err(invalid("Unrecognized event source.")),
    }
}

fn kafka(
    input: &api::CreateEventSourceMappingRequest,
    given: &api::SelfManagedEventSource,
) -> Result<Source, ApiError> {
    let brokers = given.endpoints.as_ref().and_then(|endpoints| endpoints.get("KAFKA_BOOTSTRAP_SERVERS"));
    let brokers = brokers.filter(|brokers| !brokers.is_empty()).cloned();
    let brokers = brokers.ok_or_else(|| invalid("SelfManagedEventSource needs Endpoints.KAFKA_BOOTSTRAP_SERVERS."))?;
    Ok(Source::Kafka { brokers, topic: only("Topics", input.topics.as_deref())?, from: position(input)? })
}

fn position(input: &api::CreateEventSourceMappingRequest) -> Result<Position, ApiError> {
    match (input.starting_position, input.starting_position_timestamp) {
        (None, _) => Err(missing("startingPosition")),
        (Some(api::EventSourcePosition::TrimHorizon), None) => Ok(Position::TrimHorizon),
        (Some(api::EventSourcePosition::Latest), None) => Ok(Position::Latest),
        (Some(api::EventSourcePosition::AtTimestamp), Some(time)) => Ok(Position::At(time.0)),
        // A table's stream refuses the position itself, with or without a time (observed).
        (Some(api::EventSourcePosition::AtTimestamp), None) => match input.event_source_arn.as_deref() {
            Some(arn) if arn.contains(":dynamodb:") => Ok(Position::At(0)),
            _ => Err(missing("startingPositionTimestamp")),
        },
        (Some(other), Some(_)) => Err(invalid(format!(
            "StartingPositionTimestamp can be given only with StartingPosition AT_TIMESTAMP, not with {}.",
            other.as_str()
        ))),
    }
}

/// The service gives this one with a full stop, and as InvalidParameterValueException (observed).
fn missing(member: &str) -> ApiError {
    invalid(format!(
        "1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null."
    ))
}

fn only(member: &str, given: Option<&[String]>) -> Result<String, ApiError> {
    match given {
        Some([one]) => Ok(one.clone()),
        _ => Err(invalid(format!("{member} must name one for this event source."))),
    }
}
