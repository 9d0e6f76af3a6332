//! Streams of DynamoDB's tables: how their records are read and look to a function (observed).

use hearth_client::{JsonVersion, Service};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Fetched, Stream, millis, written};
use crate::filter::Filters;
use crate::stream::sequence::Sequence;
use crate::stream::shard::Start;

pub(super) const SERVICE: Service =
    Service { signing_name: "dynamodb", target: "DynamoDBStreams_20120810", json: JsonVersion::V1_0 };

/// Records that the service gives at once (AWS).
pub(super) const READ_RECORDS: usize = 1000;

#[derive(Serialize)]
struct Event<'a> {
    #[serde(rename = "eventID")]
    event_id: &'a Value,
    #[serde(rename = "eventName")]
    event_name: &'a Value,
    #[serde(rename = "eventVersion")]
    event_version: &'a str,
    #[serde(rename = "eventSource")]
    event_source: &'static str,
    #[serde(rename = "awsRegion")]
    aws_region: &'a str,
    dynamodb: &'a Value,
    /// Of what a table's time to live has removed.
    #[serde(rename = "userIdentity", skip_serializing_if = "Value::is_null")]
    user_identity: &'a Value,
    #[serde(rename = "eventSourceARN")]
    event_source_arn: &'a str,
}

pub(super) fn list(arn: &str, page: Option<&str>) -> Value {
    match page {
        Some(last) => json!({"StreamArn": arn, "ExclusiveStartShardId": last}),
        None => json!({"StreamArn": arn}),
    }
}

/// A record as the function gets it; none of it where it is older than what the mapping begins with: the service knows
/// its records' times to the second.
pub(super) fn record(stream: &Stream, record: &Value, start: Start, filters: &Filters) -> Option<Fetched> {
    let change = &record["dynamodb"];
    let sequence = change["SequenceNumber"].as_str()?;
    let arrival_ms = millis(&change["ApproximateCreationDateTime"])?;
    let event = Event {
        event_id: &record["eventID"],
        event_name: &record["eventName"],
        event_version: record["eventVersion"].as_str().unwrap_or("1.1"),
        event_source: "aws:dynamodb",
        aws_region: stream.arn.split(':').nth(3).unwrap_or_default(),
        dynamodb: change,
        user_identity: &record["userIdentity"],
        event_source_arn: &stream.arn,
    };
    let is_wanted = match start {
        Start::TrimHorizon => true,
        Start::After(time_ms) => arrival_ms.div_euclid(1000) >= time_ms.div_euclid(1000),
    };
    let passes = is_wanted && filters.let_through(|| serde_json::to_value(&event).unwrap_or_default());
    let event = if passes { Some(written(&event)?) } else { None };
    let key = change["Keys"].to_string().into();
    Some(Fetched { sequence: Sequence(sequence.into()), key, arrival_ms, event })
}
