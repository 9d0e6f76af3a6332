//! Which source a client asks for, and what each kind of them takes. Pure.

use hearth_api::ApiError;
use hearth_api::types as api;
use hearth_types::mapping::{Position, Source};

use crate::{invalid, refused};

/// From the members that say what is polled.
///
/// # Errors
/// With the texts of the real service; 501 for sources that there are none of here.
pub(super) fn asked(input: &api::CreateEventSourceMappingRequest) -> Result<Source, ApiError> {
    let source = match (&input.event_source_arn, &input.self_managed_event_source) {
        (None, None) => return Err(invalid("Unrecognized event source.")),
        (Some(_), Some(_)) => {
            return Err(invalid("Only one of EventSourceArn and SelfManagedEventSource can be given."));
        }
        (None, Some(brokers)) => kafka(input, brokers)?,
        (Some(arn), None) => by_arn(input, arn)?,
    };
    takes_only_its_own(&source, input)?;
    Ok(source)
}

/// Members that would have no effect on a source of this kind.
fn takes_only_its_own(source: &Source, input: &api::CreateEventSourceMappingRequest) -> Result<(), ApiError> {
    let kafka = matches!(source, Source::Kafka { .. });
    let positioned = source.from().is_some();
    let foreign = [
        ("StartingPosition", input.starting_position.is_some() && !positioned),
        ("StartingPositionTimestamp", input.starting_position_timestamp.is_some() && !positioned),
        ("Topics", input.topics.is_some() && !kafka),
        ("Queues", input.queues.is_some() && !matches!(source, Source::Mq { .. })),
    ];
    foreign.into_iter().find(|(_, given)| *given).map_or(Ok(()), |(member, _)| Err(unsupported(member)))
}

/// The BatchSize that is not given.
pub(super) fn batch_size(source: &Source) -> i32 {
    if matches!(source, Source::Sqs { .. }) { 10 } else { 100 }
}

/// StateTransitionReason of what a client asked for (observed).
pub(super) fn reason(source: &Source) -> &'static str {
    if source.is_stream() { "User action" } else { "USER_INITIATED" }
}

/// 409 for a second mapping of a source and a function (observed).
pub(super) fn exists(source: &Source, function: &str, uuid: &str) -> ApiError {
    let named = match source {
        Source::Kafka { brokers, .. } => brokers.join(","),
        _ => source.arn().unwrap_or_default().to_owned(),
    };
    let what = match source {
        Source::Sqs { .. } => format!(
            "An event source mapping with SQS arn (\" {named} \") and function (\" {function} \") already exists."
        ),
        _ => format!(
            "The event source arn (\" {named} \") and function (\" {function} \") provided mapping already exists."
        ),
    };
    ApiError::conflict(format!("{what} Please update or delete the existing mapping with UUID {uuid}"))
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
    // Only streams must say where polling begins.
    let from = match (input.starting_position, input.starting_position_timestamp) {
        (None, None) => Position::TrimHorizon,
        _ => position(input)?,
    };
    Ok(Source::Kafka { brokers, topic: only("Topics", input.topics.as_deref())?, from })
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
