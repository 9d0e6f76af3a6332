//! Records of a topic, as functions get them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use rdkafka::message::{Headers as _, Message as _, OwnedMessage, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

use crate::filter::{Filters, data};
use crate::stream::lane::Record;
use crate::stream::sequence::Sequence;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
    timestamp: i64,
    timestamp_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    headers: Vec<Value>,
}

/// The record, where a mapping's filters let it through.
pub(super) fn record(message: &OwnedMessage, filters: &Filters, now_ms: i64) -> Option<Record> {
    let (timestamp, timestamp_type) = match message.timestamp() {
        Timestamp::LogAppendTime(ms) => (ms, "LOG_APPEND_TIME"),
        Timestamp::CreateTime(ms) => (ms, "CREATE_TIME"),
        Timestamp::NotAvailable => (-1, "NO_TIMESTAMP_TYPE"),
    };
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    let event = Event {
        topic: message.topic(),
        partition: message.partition(),
        offset: message.offset(),
        timestamp,
        timestamp_type,
        key: message.key().map(|key| STANDARD.encode(key)),
        value: message.payload().map(|value| STANDARD.encode(value)),
        headers: headers.map(|header| json!({ (header.key): header.value.unwrap_or_default() })).collect(),
    };
    if !filters.let_through(|| seen(message, &event)) {
        return None;
    }
    let sequence = |offset: i64| Sequence(offset.to_string().into());
    Some(Record {
        sequence: sequence(message.offset()),
        before: None,
        arrival_ms: if timestamp < 0 { now_ms } else { timestamp },
        seen_ms: now_ms,
        event: Bytes::from(serde_json::to_vec(&event).ok()?),
    })
}

/// As patterns see it: key and value parsed, the rest beside them.
fn seen(message: &OwnedMessage, event: &Event<'_>) -> Value {
    let mut seen = serde_json::to_value(event).unwrap_or_default();
    for (name, bytes) in [("key", message.key()), ("value", message.payload())] {
        seen[name] = bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()).map_or(Value::Null, data);
    }
    seen
}

/// What the function gets: records of one partition, which is `TOPIC-PARTITION`.
pub(super) fn payload<'a>(brokers: &str, partition: &str, records: impl IntoIterator<Item = &'a Record>) -> Vec<u8> {
    let (brokers, partition) = (Value::from(brokers), Value::from(partition));
    let mut event =
        format!(r#"{{"eventSource":"SelfManagedKafka","bootstrapServers":{brokers},"records":{{{partition}:["#)
            .into_bytes();
    for (place, record) in records.into_iter().enumerate() {
        if place > 0 {
            event.push(b',');
        }
        event.extend_from_slice(&record.event);
    }
    event.extend_from_slice(b"]}}");
    event
}

/// An answer with identifiers as those of other sources are: of a record its offset, if it is of this partition.
pub(super) fn with_plain_identifiers(answer: &[u8], partition: &str) -> Vec<u8> {
    let Ok(mut answer) = serde_json::from_slice::<Value>(answer) else { return answer.to_vec() };
    for item in answer["batchItemFailures"].as_array_mut().into_iter().flatten() {
        let Some(identifier) = item.get_mut("itemIdentifier") else { continue };
        let is_of_it = identifier["topic-partition"] == partition;
        if let Some(offset) = identifier["offset"].as_i64().filter(|_| is_of_it) {
            *identifier = Value::from(offset.to_string());
        }
    }
    answer.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use rdkafka::message::{Header, OwnedHeaders};

    use super::*;

    fn message(value: &str) -> OwnedMessage {
        let headers = OwnedHeaders::new().insert(Header { key: "h", value: Some("he") });
        let (key, value) = (Some(b"k".to_vec()), Some(value.as_bytes().to_vec()));
        OwnedMessage::new(value, key, "t".to_owned(), Timestamp::CreateTime(5), 2, 15, Some(headers))
    }

    #[test]
    fn events_are_lambdas() {
        let record = record(&message("v"), &Filters::new(&[]).unwrap(), 9).unwrap();
        assert_eq!((record.arrival_ms, &*record.sequence.0), (5, "15"));
        let payload = String::from_utf8(payload("a:1,b:2", "t-2", [&record])).unwrap();
        assert_eq!(
            payload,
            r#"{"eventSource":"SelfManagedKafka","bootstrapServers":"a:1,b:2","records":{"t-2":[{"topic":"t","partition":2,"offset":15,"timestamp":5,"timestampType":"CREATE_TIME","key":"aw==","value":"dg==","headers":[{"h":[104,101]}]}]}}"#
        );
    }

    #[test]
    fn patterns_see_the_value() {
        let passes = |pattern: &str, value: &str| {
            record(&message(value), &Filters::new(&[pattern.to_owned()]).unwrap(), 9).is_some()
        };
        assert!(passes(r#"{"value":{"a":[1]}}"#, r#"{"a":1}"#) && !passes(r#"{"value":{"a":[1]}}"#, "a"));
        assert!(passes(r#"{"key":["k"]}"#, "a") && !passes(r#"{"key":["l"]}"#, "a"));
    }

    #[test]
    fn identifiers_are_of_a_partition_and_an_offset() {
        let of = |identifier: &str| {
            let answer = format!(r#"{{"batchItemFailures":[{{"itemIdentifier":{identifier}}}]}}"#);
            String::from_utf8(with_plain_identifiers(answer.as_bytes(), "t-2")).unwrap()
        };
        assert!(of(r#"{"topic-partition":"t-2","offset":15}"#).contains(r#""itemIdentifier":"15""#));
        for foreign in [r#"{"topic-partition":"t-1","offset":15}"#, r#"{"offset":15}"#, "15", "null"] {
            assert!(!of(foreign).contains("\"15\""), "{foreign}");
        }
    }
}
