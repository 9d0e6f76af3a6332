//! A message as a function gets it. Pure.

use std::collections::BTreeMap;

use hearth_sqs::{Received, Value};
use serde::Serialize;
use serde_json::json;

use crate::filter;

/// System attributes, in the order in which Lambda gives them; others come behind.
const SYSTEM: [&str; 8] = [
    "ApproximateReceiveCount",
    "AWSTraceHeader",
    "SentTimestamp",
    "SequenceNumber",
    "MessageGroupId",
    "SenderId",
    "MessageDeduplicationId",
    "ApproximateFirstReceiveTimestamp",
];

/// A message that was received.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) id: String,
    pub(crate) handle: String,
    /// MessageGroupId.
    pub(crate) group: Option<String>,
    /// The trace that it was sent in.
    pub(crate) trace: Option<String>,
    /// Its record, JSON.
    pub(crate) json: Vec<u8>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    message_id: &'a str,
    receipt_handle: &'a str,
    body: &'a str,
    attributes: Ordered<'a>,
    message_attributes: BTreeMap<&'a str, Attribute<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    md5_of_message_attributes: Option<Option<&'a str>>,
    md5_of_body: &'a str,
    event_source: &'static str,
    #[serde(rename = "eventSourceARN")]
    event_source_arn: &'a str,
    aws_region: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Attribute<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    string_value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    binary_value: Option<&'a str>,
    string_list_values: [(); 0],
    binary_list_values: [(); 0],
    data_type: &'a str,
}

/// Entries in an order of their own.
struct Ordered<'a>(Vec<(&'a str, &'a str)>);

impl Serialize for Ordered<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

/// The record of a message, from a queue of this ARN. `is_filtered`: then a message without attributes has their checksum
/// as null, and otherwise not at all (observed).
pub(crate) fn item(message: Received, arn: &str, is_filtered: bool) -> Item {
    let mut system: Vec<(&str, &str)> =
        message.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    system.sort_by_key(|(name, _)| SYSTEM.iter().position(|known| known == name).unwrap_or(SYSTEM.len()));
    let md5 = message.md5_of_attributes.as_deref();
    let attributes = message.message_attributes.iter();
    let record = Record {
        message_id: &message.message_id,
        receipt_handle: &message.handle,
        body: &String::from_utf8_lossy(&message.body),
        attributes: Ordered(system),
        message_attributes: attributes.map(|(name, value)| (name.as_str(), attribute(value))).collect(),
        md5_of_message_attributes: if md5.is_some() || is_filtered { Some(md5) } else { None },
        md5_of_body: &message.md5_of_body,
        event_source: "aws:sqs",
        event_source_arn: arn,
        aws_region: arn.split(':').nth(3).unwrap_or_default(),
    };
    // A record whose keys are all text can always be written.
    let json = serde_json::to_vec(&record).unwrap_or_default();
    let trace = message.attributes.get("AWSTraceHeader").cloned();
    Item { id: message.message_id, handle: message.handle, group: message.group, trace, json }
}

fn attribute(attribute: &hearth_sqs::Attribute) -> Attribute<'_> {
    let (string_value, binary_value) = match &attribute.value {
        Value::Text(text) => (Some(text.as_str()), None),
        Value::Binary(base64) => (None, Some(base64.as_str())),
    };
    let lists: ([(); 0], [(); 0]) = ([], []);
    Attribute {
        string_value,
        binary_value,
        string_list_values: lists.0,
        binary_list_values: lists.1,
        data_type: &attribute.kind,
    }
}

/// A message as filters see it: what its body says.
pub(crate) fn filtered(message: &Received) -> serde_json::Value {
    json!({ "body": filter::data(&String::from_utf8_lossy(&message.body)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:sqs:eu-west-1:000000000000:q";

    fn message() -> Received {
        let system = [
            ("SenderId", "me"),
            ("ApproximateFirstReceiveTimestamp", "2"),
            ("SentTimestamp", "1"),
            ("ApproximateReceiveCount", "1"),
        ];
        Received {
            message_id: "id".into(),
            handle: "handle".into(),
            body: "a \"b\"".into(),
            attributes: system.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            message_attributes: BTreeMap::new(),
            md5_of_body: "5".into(),
            md5_of_attributes: None,
            sent_ms: 1,
            group: None,
        }
    }

    fn text(message: Received, is_filtered: bool) -> String {
        String::from_utf8(item(message, ARN, is_filtered).json).unwrap()
    }

    #[test]
    fn a_record_has_what_lambda_gives_in_its_order() {
        let plain = r#"{"messageId":"id","receiptHandle":"handle","body":"a \"b\"","attributes":{"ApproximateReceiveCount":"1","SentTimestamp":"1","SenderId":"me","ApproximateFirstReceiveTimestamp":"2"},"messageAttributes":{},"md5OfBody":"5","eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:eu-west-1:000000000000:q","awsRegion":"eu-west-1"}"#;
        assert_eq!(text(message(), false), plain);
        let filtered = plain.replace(r#""md5OfBody""#, r#""md5OfMessageAttributes":null,"md5OfBody""#);
        assert_eq!(text(message(), true), filtered);
    }

    #[test]
    fn attributes_are_told_with_their_types() {
        let attributes = [
            ("n".to_owned(), hearth_sqs::Attribute::text("Number", "1")),
            ("b".to_owned(), hearth_sqs::Attribute::binary("Binary.x", b"\0\x01")),
        ];
        let message =
            Received { message_attributes: attributes.into(), md5_of_attributes: Some("6".into()), ..message() };
        let record: serde_json::Value = serde_json::from_str(&text(message, false)).unwrap();
        let empty = json!([]);
        assert_eq!(record["md5OfMessageAttributes"], "6");
        assert_eq!(
            record["messageAttributes"],
            json!({
                "b": {"binaryValue": "AAE=", "stringListValues": empty, "binaryListValues": empty, "dataType": "Binary.x"},
                "n": {"stringValue": "1", "stringListValues": empty, "binaryListValues": empty, "dataType": "Number"},
            })
        );
    }
}
