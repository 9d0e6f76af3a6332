//! Kinesis: how its records are read and look to a function (observed).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hearth_client::{JsonVersion, Service};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Fetched, Stream, millis, written};
use crate::filter::{Filters, data};
use crate::stream::sequence::Sequence;

pub(super) const SERVICE: Service =
    Service { signing_name: "kinesis", target: "Kinesis_20131202", json: JsonVersion::V1_1 };

#[derive(Serialize)]
struct Event<'a> {
    kinesis: Record<'a>,
    #[serde(rename = "eventSource")]
    event_source: &'static str,
    #[serde(rename = "eventVersion")]
    event_version: &'static str,
    #[serde(rename = "eventID")]
    event_id: String,
    #[serde(rename = "eventName")]
    event_name: &'static str,
    #[serde(rename = "invokeIdentityArn")]
    invoke_identity_arn: &'a str,
    #[serde(rename = "awsRegion")]
    aws_region: &'a str,
    #[serde(rename = "eventSourceARN")]
    event_source_arn: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    kinesis_schema_version: &'static str,
    partition_key: &'a str,
    sequence_number: &'a str,
    data: &'a str,
    approximate_arrival_timestamp: f64,
}

/// A stream's name: also by the ARN of a consumer, whose stream is polled as any other.
pub(super) fn name_of(arn: &str) -> &str {
    arn.splitn(6, ':').nth(5).and_then(|resource| resource.split('/').nth(1)).unwrap_or_default()
}

pub(super) fn list(arn: &str, page: Option<&str>) -> Value {
    match page {
        Some(token) => json!({"NextToken": token}),
        None => json!({"StreamName": name_of(arn)}),
    }
}

/// A record as the function gets it. The shard is put before its number by whoever knows it.
pub(super) fn record(stream: &Stream, shard: &str, record: &Value, filters: &Filters) -> Option<Fetched> {
    let text = |name: &str| record[name].as_str();
    let (sequence, key, base64) = (text("SequenceNumber")?, text("PartitionKey")?, text("Data")?);
    let arrival_ms = millis(&record["ApproximateArrivalTimestamp"])?;
    let event = Event {
        kinesis: Record {
            kinesis_schema_version: "1.0",
            partition_key: key,
            sequence_number: sequence,
            data: base64,
            approximate_arrival_timestamp: arrival_ms as f64 / 1000.0,
        },
        event_source: "aws:kinesis",
        event_version: "1.0",
        event_id: format!("{shard}:{sequence}"),
        event_name: "aws:kinesis:record",
        invoke_identity_arn: &stream.role,
        aws_region: stream.arn.split(':').nth(3).unwrap_or_default(),
        event_source_arn: &stream.arn,
    };
    let passes = filters.let_through(|| seen(&event, base64));
    let event = if passes { Some(written(&event)?) } else { None };
    Some(Fetched { sequence: Sequence(sequence.into()), key: key.into(), arrival_ms, event })
}

/// As patterns see it: the data under their own name, the rest beside them.
fn seen(event: &Event<'_>, base64: &str) -> Value {
    let bytes = STANDARD.decode(base64).unwrap_or_default();
    let mut seen = serde_json::to_value(&event.kinesis).unwrap_or_default();
    seen["data"] = std::str::from_utf8(&bytes).map_or(Value::Null, data);
    let around = serde_json::to_value(event).unwrap_or_default();
    if let (Value::Object(seen), Value::Object(around)) = (&mut seen, around) {
        seen.extend(around.into_iter().filter(|(name, _)| name != "kinesis"));
    }
    seen
}
