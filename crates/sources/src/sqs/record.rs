//! A message as a function gets it. Pure.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hearth_api::sqs::types as api;
use serde::Serialize;
use serde_json::{Value, json};

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
    binary_value: Option<String>,
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
pub(crate) fn item(message: api::Message, arn: &str, is_filtered: bool) -> Item {
    let system = message.attributes.iter().flat_map(api_entries);
    let mut system: Vec<(&str, &str)> = system.map(|(name, value)| (name, value.as_str())).collect();
    system.sort_by_key(|(name, _)| SYSTEM.iter().position(|known| known == name).unwrap_or(SYSTEM.len()));
    let trace = system.iter().find(|(name, _)| *name == "AWSTraceHeader").map(|(_, value)| (*value).to_owned());
    let md5 = message.md5_of_message_attributes.as_deref();
    let record = Record {
        message_id: message.message_id.as_deref().unwrap_or_default(),
        receipt_handle: message.receipt_handle.as_deref().unwrap_or_default(),
        body: message.body.as_deref().unwrap_or_default(),
        attributes: Ordered(system),
        message_attributes: message.message_attributes.iter().flat_map(api_entries).map(attribute).collect(),
        md5_of_message_attributes: if md5.is_some() || is_filtered { Some(md5) } else { None },
        md5_of_body: message.md5_of_body.as_deref().unwrap_or_default(),
        event_source: "aws:sqs",
        event_source_arn: arn,
        aws_region: arn.split(':').nth(3).unwrap_or_default(),
    };
    // A record whose keys are all text can always be written.
    let json = serde_json::to_vec(&record).unwrap_or_default();
    Item { id: message.message_id.unwrap_or_default(), handle: message.receipt_handle.unwrap_or_default(), trace, json }
}

fn api_entries<T>(map: &hearth_api::Map<T>) -> impl Iterator<Item = (&str, &T)> {
    map.iter()
}

fn attribute<'a>((name, value): (&'a str, &'a api::MessageAttributeValue)) -> (&'a str, Attribute<'a>) {
    let attribute = Attribute {
        string_value: value.string_value.as_deref(),
        binary_value: value.binary_value.as_ref().map(|bytes| STANDARD.encode(bytes)),
        string_list_values: [],
        binary_list_values: [],
        data_type: &value.data_type,
    };
    (name, attribute)
}

/// A message as filters see it: what its body says.
pub(crate) fn filtered(message: &api::Message) -> Value {
    json!({ "body": filter::data(message.body.as_deref().unwrap_or_default()) })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hearth_api::Map;

    use super::*;

    const ARN: &str = "arn:aws:sqs:eu-west-1:000000000000:q";

    fn message() -> api::Message {
        let system = [
            ("SenderId", "me"),
            ("ApproximateFirstReceiveTimestamp", "2"),
            ("SentTimestamp", "1"),
            ("ApproximateReceiveCount", "1"),
        ];
        let system: Map<String> = system.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        api::Message {
            message_id: Some("id".into()),
            receipt_handle: Some("handle".into()),
            body: Some("a \"b\"".into()),
            md5_of_body: Some("5".into()),
            attributes: Some(system),
            ..Default::default()
        }
    }

    fn text(message: api::Message, is_filtered: bool) -> String {
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
        let of = |string: Option<&str>, binary: Option<&'static [u8]>, kind: &str| api::MessageAttributeValue {
            string_value: string.map(str::to_owned),
            binary_value: binary.map(Bytes::from_static),
            data_type: kind.into(),
            ..Default::default()
        };
        let attributes = [("n", of(Some("1"), None, "Number")), ("b", of(None, Some(b"\0\x01"), "Binary.x"))];
        let attributes: Map<_> = attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let message = api::Message {
            message_attributes: Some(attributes),
            md5_of_message_attributes: Some("6".into()),
            ..message()
        };
        let record: Value = serde_json::from_str(&text(message, false)).unwrap();
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
