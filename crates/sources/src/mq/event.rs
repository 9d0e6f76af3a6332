//! Messages of RabbitMQ, as functions get them.

use amqprs::{BasicProperties, FieldTable, FieldValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

/// A message as the function gets it.
pub(super) fn record(of: &BasicProperties, redelivered: bool, content: &[u8]) -> Value {
    json!({
        "basicProperties": properties(of, content.len()),
        "redelivered": redelivered,
        "data": STANDARD.encode(content),
    })
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

    #[test]
    fn records_are_lambdas() {
        let mut headers = FieldTable::new();
        headers.insert("h".try_into().unwrap(), FieldValue::from("he"));
        headers.insert("n".try_into().unwrap(), FieldValue::I(10));
        let mut properties = BasicProperties::default();
        properties.with_content_type("text/plain").with_headers(headers).with_timestamp(2021);
        let record = record(&properties, false, b"a");
        assert_eq!((&record["data"], &record["redelivered"]), (&json!("YQ=="), &json!(false)));
        let properties = &record["basicProperties"];
        assert_eq!(properties["headers"], json!({"h": {"bytes": [104, 101]}, "n": 10}));
        assert_eq!(properties["timestamp"], "Jan 1, 1970, 12:33:41 AM");
        assert_eq!((&properties["contentType"], &properties["userId"]), (&json!("text/plain"), &Value::Null));
        assert_eq!(properties["bodySize"], 1);
    }
}
