//! What a mapping's destination is told of records that were given up.

use bytes::Bytes;
use hearth_delivery::{Delivery, Kind as From, Parcel, Retry, Sender, Source, Target};
use hearth_sqs::Attributes;
use hearth_types::RequestId;
use hearth_types::limits::DELIVERY_AGE;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::lane::{Condition, Record};
use super::service::Kind;

/// Records that were given up, and all that is told of them.
pub(crate) struct Lost<'a> {
    /// Where they were.
    pub(crate) place: Place<'a>,
    /// As the mapping names it.
    pub(crate) function: String,
    pub(crate) records: &'a [Record],
    pub(crate) condition: Condition,
    pub(crate) invokes: u32,
    pub(crate) last: Option<&'a Last>,
    pub(crate) now_ms: i64,
}

/// Where records were that were given up.
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    /// In a shard.
    Shard {
        kind: Kind,
        /// ARN.
        stream: &'a str,
        shard: &'a str,
    },
    /// In a partition of a topic.
    #[cfg_attr(not(feature = "kafka"), expect(dead_code, reason = "only where Kafka is built in"))]
    Partition {
        /// `TOPIC-PARTITION`.
        name: &'a str,
        /// KafkaBatchInfo.
        info: &'a Value,
        /// The event, as JSON.
        event: &'a [u8],
    },
}

/// What the last invoke with them came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Last {
    pub(crate) request: RequestId,
    pub(crate) version: String,
    /// Not where the function's answer named what failed.
    pub(crate) is_function_error: bool,
}

#[derive(Serialize)]
struct Told<'a> {
    #[serde(rename = "requestContext")]
    request: RequestContext<'a>,
    #[serde(rename = "responseContext", skip_serializing_if = "Option::is_none")]
    response: Option<ResponseContext<'a>>,
    version: &'static str,
    timestamp: String,
    #[serde(rename = "KinesisBatchInfo", skip_serializing_if = "Option::is_none")]
    kinesis: Option<&'a BatchInfo<'a>>,
    #[serde(rename = "DDBStreamBatchInfo", skip_serializing_if = "Option::is_none")]
    dynamodb: Option<&'a BatchInfo<'a>>,
    #[serde(rename = "KafkaBatchInfo", skip_serializing_if = "Option::is_none")]
    kafka: Option<&'a Value>,
    /// The event as JSON text; for buckets alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext<'a> {
    request_id: String,
    function_arn: &'a str,
    condition: &'static str,
    approximate_invoke_count: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResponseContext<'a> {
    status_code: u16,
    executed_version: &'a str,
    /// Null where the function ran well and named what failed (observed).
    function_error: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchInfo<'a> {
    shard_id: &'a str,
    start_sequence_number: &'a str,
    end_sequence_number: &'a str,
    approximate_arrival_of_first_record: String,
    approximate_arrival_of_last_record: String,
    batch_size: usize,
    stream_arn: &'a str,
}

impl Lost<'_> {
    /// The record, in the order of Lambda. Of what was too old it says nothing of the function (observed).
    fn told(&self, with_payload: bool) -> Bytes {
        let info = match self.place {
            Place::Shard { kind, stream, shard } => self.info(kind, stream, shard),
            Place::Partition { .. } => None,
        };
        let of_shard = |of: Kind| match self.place {
            Place::Shard { kind, .. } if kind == of => info.as_ref(),
            _ => None,
        };
        let (kafka, payload) = match self.place {
            Place::Shard { .. } => (None, event(self.records)),
            Place::Partition { info, event, .. } => (Some(info), event.to_vec()),
        };
        let request = self.last.map_or_else(|| RequestId(Uuid::new_v4()), |last| last.request);
        let ran = self.last.filter(|_| self.condition == Condition::RetryAttemptsExhausted);
        let told = Told {
            request: RequestContext {
                request_id: request.to_string(),
                function_arn: &self.function,
                condition: self.condition.name(),
                approximate_invoke_count: self.invokes,
            },
            response: ran.map(|last| ResponseContext {
                status_code: 200,
                executed_version: &last.version,
                function_error: last.is_function_error.then_some("Unhandled"),
            }),
            version: "1.0",
            timestamp: time(self.now_ms),
            kinesis: of_shard(Kind::Kinesis),
            dynamodb: of_shard(Kind::DynamoDb),
            kafka,
            payload: with_payload.then(|| String::from_utf8_lossy(&payload).into_owned()),
        };
        // Text and numbers alone can always be written.
        Bytes::from(serde_json::to_vec(&told).unwrap_or_default())
    }

    fn info<'b>(&'b self, kind: Kind, stream: &'b str, shard: &'b str) -> Option<BatchInfo<'b>> {
        let (first, last) = (self.records.first()?, self.records.last()?);
        Some(BatchInfo {
            shard_id: shard,
            start_sequence_number: &first.sequence.0,
            end_sequence_number: &last.sequence.0,
            approximate_arrival_of_first_record: kind.arrival(first.arrival_ms),
            approximate_arrival_of_last_record: kind.arrival(last.arrival_ms),
            batch_size: self.records.len(),
            stream_arn: stream,
        })
    }

    /// On its way to the destination. `mapping`: its UUID and ARN; `name` and `role`: the function's.
    pub(crate) fn parcel(&self, destination: &str, mapping: (&str, String), name: &str, role: &str) -> Parcel {
        let (uuid, arn) = mapping;
        let (target, body) = match destination.split(':').nth(2) {
            Some("s3") => {
                let bucket = destination.splitn(6, ':').nth(5).unwrap_or_default().to_owned();
                (Target::Object { bucket, key: self.key(uuid) }, self.told(true))
            }
            Some("sns") => (Target::topic(destination.to_owned(), Attributes::new()), self.told(false)),
            _ => (Target::queue(destination.to_owned(), Attributes::new()), self.told(false)),
        };
        Parcel {
            lane: format!("mapping/{uuid}"),
            delivery: Delivery {
                source: Source { kind: From::Mapping, arn },
                sender: Sender::Function { name: name.to_owned(), role: role.to_owned() },
                target,
                retry: Retry { attempts: u32::MAX, age_ms: age_ms(), pause_ms: None },
                dead_letter: None,
                trace: None,
                since_ms: 0,
                attempts: 0,
            },
            body,
        }
    }

    fn key(&self, uuid: &str) -> String {
        let time = jiff::Timestamp::from_millisecond(self.now_ms).unwrap_or_default();
        let (day, second) = (time.strftime("%Y/%m/%d"), time.strftime("%Y-%m-%dT%H.%M.%S"));
        let (Place::Shard { shard: part, .. } | Place::Partition { name: part, .. }) = self.place;
        format!("aws/lambda/{uuid}/{part}/{day}/{second}-{}", Uuid::new_v4())
    }
}

impl Kind {
    /// Kinesis knows milliseconds, DynamoDB seconds (observed).
    fn arrival(self, ms: i64) -> String {
        match self {
            Self::Kinesis => time(ms),
            Self::DynamoDb => {
                let time = jiff::Timestamp::from_second(ms.div_euclid(1000)).unwrap_or_default();
                format!("{time:.0}")
            }
        }
    }
}

/// `2024-03-05T12:00:00.123Z`.
pub(crate) fn time(ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    format!("{time:.3}")
}

/// What the function gets, without what windows add.
pub(super) fn event<'a>(records: impl IntoIterator<Item = &'a Record>) -> Vec<u8> {
    let mut event = br#"{"Records":["#.to_vec();
    for (place, record) in records.into_iter().enumerate() {
        if place > 0 {
            event.push(b',');
        }
        event.extend_from_slice(&record.event);
    }
    event.extend_from_slice(b"]}");
    event
}

fn age_ms() -> i64 {
    i64::try_from(DELIVERY_AGE.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::sequence::Sequence;

    const NOW: i64 = 1_709_640_000_123;

    fn record(number: u32) -> Record {
        let sequence = Sequence(number.to_string().into());
        Record { sequence, before: None, arrival_ms: NOW, seen_ms: NOW, event: Bytes::from_static(br#"{"a":"\""}"#) }
    }

    fn lost<'a>(kind: Kind, records: &'a [Record], condition: Condition, last: Option<&'a Last>) -> Lost<'a> {
        let function = "arn:aws:lambda:us-east-1:000000000000:function:f".to_owned();
        let place = Place::Shard { kind, stream: "S", shard: "shard-0" };
        Lost { place, function, records, condition, invokes: 2, last, now_ms: NOW }
    }

    fn last(is_function_error: bool) -> Last {
        Last { request: RequestId(Uuid::nil()), version: "$LATEST".to_owned(), is_function_error }
    }

    fn text(bytes: Bytes) -> String {
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn it_is_lambdas() {
        let (records, last) = ([record(1), record(2)], last(true));
        let lost = lost(Kind::Kinesis, &records, Condition::RetryAttemptsExhausted, Some(&last));
        assert_eq!(
            text(lost.told(false)),
            r#"{"requestContext":{"requestId":"00000000-0000-0000-0000-000000000000","functionArn":"arn:aws:lambda:us-east-1:000000000000:function:f","condition":"RetryAttemptsExhausted","approximateInvokeCount":2},"responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":"Unhandled"},"version":"1.0","timestamp":"2024-03-05T12:00:00.123Z","KinesisBatchInfo":{"shardId":"shard-0","startSequenceNumber":"1","endSequenceNumber":"2","approximateArrivalOfFirstRecord":"2024-03-05T12:00:00.123Z","approximateArrivalOfLastRecord":"2024-03-05T12:00:00.123Z","batchSize":2,"streamArn":"S"}}"#
        );
        assert!(text(lost.told(true)).ends_with(r#","payload":"{\"Records\":[{\"a\":\"\\\"\"},{\"a\":\"\\\"\"}]}"}"#));
        assert!(lost.key("u").starts_with("aws/lambda/u/shard-0/2024/03/05/2024-03-05T12.00.00-"));
    }

    #[test]
    fn a_function_that_named_what_failed_had_no_error() {
        let (records, last) = ([record(1)], last(false));
        let told = text(lost(Kind::DynamoDb, &records, Condition::RetryAttemptsExhausted, Some(&last)).told(false));
        assert!(told.contains(r#""functionError":null"#) && told.contains(r#""DDBStreamBatchInfo":{"#), "{told}");
        assert!(told.contains(r#""approximateArrivalOfFirstRecord":"2024-03-05T12:00:00Z""#), "{told}");
    }

    #[test]
    fn of_what_was_too_old_nothing_is_said_of_the_function() {
        let (records, last) = ([record(1)], last(true));
        let told = text(lost(Kind::Kinesis, &records, Condition::RecordAgeExceeded, Some(&last)).told(false));
        assert!(told.contains(r#""condition":"RecordAgeExceeded""#) && !told.contains("responseContext"), "{told}");
    }
}
