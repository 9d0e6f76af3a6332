//! Attributes of messages, and their checksum.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hearth_api::sqs::types as api;
use hearth_api::{ApiError, Map};
use hearth_types::limits::SQS_MESSAGE_ATTRIBUTES;
use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};

use crate::errors::invalid_parameter;

/// By name, in order.
pub type Attributes = BTreeMap<String, Attribute>;

/// A value of a message's attribute.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Attribute {
    /// `String`, `Number`, `Binary`, with a label of the sender's.
    pub kind: String,
    /// What it says.
    pub value: Value,
}

/// What an attribute says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Value {
    /// Of types `String` and `Number`.
    Text(String),
    /// In base64.
    Binary(String),
}

/// Reads what a sender gave.
pub(crate) fn read(given: Option<Map<api::MessageAttributeValue>>) -> Result<Attributes, ApiError> {
    let given = given.unwrap_or_default();
    if given.len() > SQS_MESSAGE_ATTRIBUTES {
        return Err(invalid_parameter(format!(
            "Number of message attributes [{}] exceeds the allowed maximum [{SQS_MESSAGE_ATTRIBUTES}].",
            given.len()
        )));
    }
    given.into_iter().map(|(name, value)| Ok((name.clone(), attribute(&name, value)?))).collect()
}

fn attribute(name: &str, given: api::MessageAttributeValue) -> Result<Attribute, ApiError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || name.len() > 256 || !name.chars().all(allowed) {
        return Err(invalid_parameter(format!("Message attribute name '{name}' is invalid.")));
    }
    let edges = |c: char| c == '.';
    let lower = name.to_ascii_lowercase();
    if name.starts_with(edges)
        || name.ends_with(edges)
        || name.contains("..")
        || lower.starts_with("aws.")
        || lower.starts_with("amazon.")
    {
        return Err(invalid_parameter(format!("Message attribute name '{name}' is invalid.")));
    }
    let kind = given.data_type;
    if kind.is_empty() {
        return Err(invalid_parameter(format!(
            "The message attribute '{name}' must contain non-empty message attribute type."
        )));
    }
    if kind.len() > 256 {
        return Err(invalid_parameter(format!("Message attribute type '{kind}' is too long.")));
    }
    let base = kind.split('.').next().unwrap_or_default();
    let value = match (base, given.string_value, given.binary_value) {
        ("String", Some(text), None) if !text.is_empty() => Value::Text(text),
        ("Number", Some(text), None) if text.parse::<f64>().is_ok() => Value::Text(text),
        ("Number", Some(text), None) => {
            return Err(invalid_parameter(format!(
                "Can't cast the value of message (user) attribute '{name}' to a number: {text}"
            )));
        }
        ("Binary", None, Some(bytes)) if !bytes.is_empty() => Value::Binary(STANDARD.encode(bytes)),
        ("String" | "Number" | "Binary", ..) => {
            return Err(invalid_parameter(format!(
                "The message attribute '{name}' must contain a non-empty message attribute value for message attribute type '{kind}'."
            )));
        }
        _ => {
            return Err(invalid_parameter(format!(
                "The message attribute '{name}' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String."
            )));
        }
    };
    Ok(Attribute { kind, value })
}

impl Attribute {
    /// Of type `String` or `Number`.
    pub fn text(kind: &str, text: impl Into<String>) -> Self {
        Self { kind: kind.to_owned(), value: Value::Text(text.into()) }
    }

    /// Of type `Binary`.
    pub fn binary(kind: &str, bytes: &[u8]) -> Self {
        Self { kind: kind.to_owned(), value: Value::Binary(STANDARD.encode(bytes)) }
    }

    fn bytes(&self) -> Vec<u8> {
        match &self.value {
            Value::Text(text) => text.clone().into_bytes(),
            Value::Binary(base64) => STANDARD.decode(base64).unwrap_or_default(),
        }
    }

    pub(crate) fn shown(&self) -> api::MessageAttributeValue {
        let (string_value, binary_value) = match &self.value {
            Value::Text(text) => (Some(text.clone()), None),
            Value::Binary(_) => (None, Some(Bytes::from(self.bytes()))),
        };
        api::MessageAttributeValue { string_value, binary_value, data_type: self.kind.clone(), ..Default::default() }
    }
}

/// Bytes that attributes count.
pub(crate) fn size(attributes: &Attributes) -> usize {
    attributes.iter().map(|(name, attribute)| name.len() + attribute.kind.len() + attribute.bytes().len()).sum()
}

pub(crate) fn md5(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Of the names in order, each with type and value, and their lengths; none where there are no attributes.
pub(crate) fn md5_of<'a>(attributes: impl Iterator<Item = (&'a String, &'a Attribute)>) -> Option<String> {
    let mut text = Vec::new();
    let add = |text: &mut Vec<u8>, bytes: &[u8]| {
        text.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        text.extend(bytes);
    };
    for (name, attribute) in attributes {
        add(&mut text, name.as_bytes());
        add(&mut text, attribute.kind.as_bytes());
        text.push(if matches!(attribute.value, Value::Text(_)) { 1 } else { 2 });
        add(&mut text, &attribute.bytes());
    }
    (!text.is_empty()).then(|| md5(&text))
}
