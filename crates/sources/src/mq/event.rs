//! Messages of RabbitMQ, as functions get them.

use amqprs::{BasicProperties, FieldTable, FieldValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use crate::filter::data;

/// A message that was delivered.
#[derive(Debug)]
pub(super) struct Message {
    /// By which it is acknowledged.
    pub(super) tag: u64,
    pub(super) redelivered: bool,
    pub(super) properties: BasicProperties,
    pub(super) content: Vec<u8>,
}

impl Message {
    /// As the function gets it.
    pub(super) fn record(&self) -> Value {
        json!({
            "basicProperties": properties(&self.properties, self.content.len()),
            "redelivered": self.redelivered,
            "data": STANDARD.encode(&self.content),
        })
    }

    /// As patterns see it: its data parsed.
    pub(super) fn seen(&self) -> Value {
        let mut seen = self.record();
        seen["data"] = std::str::from_utf8(&self.content).map_or(Value::Null, data);
        seen
    }
}

/// What the function gets: records, which are JSON, of one queue.
pub(super) fn payload(arn: &str, queue: &str, virtual_host: &str, records: &[Vec<u8>]) -> Vec<u8> {
    let (arn, name) = (Value::from(arn), Value::from(format!("{queue}::{virtual_host}")));
    let mut event =
        format!(r#"{{"eventSource":"aws:rmq","eventSourceArn":{arn},"rmqMessagesByQueue":{{{name}:["#).into_bytes();
    for (place, record) in records.iter().enumerate() {
        if place > 0 {
            event.push(b',');
        }
        event.extend_from_slice(record);
    }
    event.extend_from_slice(b"]}}");
    event
}

fn properties(of: &BasicProperties, bytes: usize) -> Value {
    json!({
        "contentType": of.content_type(),
        "contentEncoding": of.content_encoding(),
        "headers": of.headers().map(table).unwrap_or_default(),
        "deliveryMode": of.delivery_mode(),
        "priority": of.priority(),
        "correlationId": of.correlation_id(),
        "replyTo": of.reply_to(),
        "expiration": of.expiration(),
        "messageId": of.message_id(),
        "timestamp": of.timestamp().and_then(time),
        "type": of.message_type(),
        "userId": of.user_id(),
        "appId": of.app_id(),
        "clusterId": of.cluster_id(),
        "bodySize": bytes,
    })
}

/// `Jan 1, 1970, 12:33:41 AM`, as Lambda has it.
fn time(seconds: u64) -> Option<String> {
    let time = Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?;
    Some(time.to_zoned(TimeZone::UTC).strftime("%b %-d, %Y, %-I:%M:%S %p").to_string())
}

fn table(table: &FieldTable) -> Map<String, Value> {
    table.as_ref().iter().map(|(name, value)| (name.to_string(), header(value))).collect()
}

/// Texts are bytes there, which they are on the wire.
fn header(value: &FieldValue) -> Value {
    match value {
        FieldValue::t(value) => json!(value),
        FieldValue::b(value) => json!(value),
        FieldValue::B(value) => json!(value),
        FieldValue::s(value) => json!(value),
        FieldValue::u(value) => json!(value),
        FieldValue::I(value) => json!(value),
        FieldValue::i(value) => json!(value),
        FieldValue::l(value) => json!(value),
        FieldValue::f(value) => json!(value),
        FieldValue::d(value) => json!(value),
        FieldValue::D(value) => json!(value.to_string()),
        FieldValue::S(text) => json!({ "bytes": text.as_ref().as_bytes() }),
        FieldValue::A(array) => Vec::from(array.clone()).iter().map(header).collect(),
        FieldValue::T(seconds) => json!(time(*seconds)),
        FieldValue::F(inner) => Value::Object(table(inner)),
        FieldValue::V => Value::Null,
        FieldValue::x(bytes) => json!({ "bytes": Vec::<u8>::from(bytes.clone()) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(content: &str) -> Message {
        let mut headers = FieldTable::new();
        headers.insert("h".try_into().unwrap(), FieldValue::from("he"));
        headers.insert("n".try_into().unwrap(), FieldValue::I(10));
        let mut properties = BasicProperties::default();
        properties.with_content_type("text/plain").with_headers(headers).with_timestamp(2021);
        Message { tag: 1, redelivered: false, properties, content: content.as_bytes().to_vec() }
    }

    #[test]
    fn records_are_lambdas() {
        let record = message("a").record();
        assert_eq!((&record["data"], &record["redelivered"]), (&json!("YQ=="), &json!(false)));
        let properties = &record["basicProperties"];
        assert_eq!(properties["headers"], json!({"h": {"bytes": [104, 101]}, "n": 10}));
        assert_eq!(properties["timestamp"], "Jan 1, 1970, 12:33:41 AM");
        assert_eq!((&properties["contentType"], &properties["userId"]), (&json!("text/plain"), &Value::Null));
        assert_eq!(properties["bodySize"], 1);
        let payload: Value =
            serde_json::from_slice(&payload("arn", "q", "/", &[b"1".to_vec(), b"2".to_vec()])).unwrap();
        let expected =
            json!({"eventSource": "aws:rmq", "eventSourceArn": "arn", "rmqMessagesByQueue": {"q::/": [1, 2]}});
        assert_eq!(payload, expected);
    }

    #[test]
    fn patterns_see_what_the_data_say() {
        assert_eq!(message(r#"{"a":1}"#).seen()["data"], json!({"a": 1}));
        assert_eq!(message("a").seen()["data"], json!("a"));
    }
}
