//! SQS's older protocol: forms in, XML out, where lists and maps have no element around them and names of their own. Its
//! model is not published any more; the names are those of clients of before 2023.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Response;
use serde_json::Value as Json;

use crate::decode::from_text;
use crate::encode::{JsonWriter, ToJson};
use crate::error::ApiError;
use crate::form::{Node, malformed};
use crate::operation::{OperationType, ServiceOperation as _};
use crate::schema::{Kind, Shape};
use crate::value::{Members, Value};
use crate::xml::XmlWriter;

/// The namespace of its answers.
pub(crate) const NAMESPACE: &str = "http://queue.amazonaws.com/doc/2012-11-05/";

/// What the elements of lists and maps are called, by the member's name.
const NAMES: &[(&str, &str)] = &[
    ("AWSAccountIds", "AWSAccountId"),
    ("Actions", "ActionName"),
    ("AttributeNames", "AttributeName"),
    ("Attributes", "Attribute"),
    ("BinaryListValues", "BinaryListValue"),
    ("Failed", "BatchResultErrorEntry"),
    ("MessageAttributeNames", "MessageAttributeName"),
    ("MessageAttributes", "MessageAttribute"),
    ("MessageSystemAttributeNames", "MessageSystemAttributeName"),
    ("MessageSystemAttributes", "MessageSystemAttribute"),
    ("Messages", "Message"),
    ("QueueUrls", "QueueUrl"),
    ("Results", "ListMessageMoveTasksResultEntry"),
    ("StringListValues", "StringListValue"),
    ("TagKeys", "TagKey"),
    ("Tags", "Tag"),
    ("queueUrls", "QueueUrl"),
    ("tags", "Tag"),
];

fn name_of(member: &str) -> Option<&'static str> {
    NAMES.iter().find(|(known, _)| *known == member).map(|(_, name)| *name)
}

/// Reads what stands in a form for a shape.
pub(crate) fn read(shape: &'static Shape, node: &Node) -> Result<Option<Value>, ApiError> {
    Ok(Some(match &shape.kind {
        Kind::Structure { members, .. } => {
            let values: Result<_, _> =
                members.iter().map(|member| read_member(member.name, member.wire, member.shape, node)).collect();
            Value::Structure(Members(values?))
        }
        Kind::Blob { .. } => match &node.text {
            Some(text) => Value::Blob(STANDARD.decode(text).map_err(|_| malformed("a blob is no base64"))?.into()),
            None => return Ok(None),
        },
        _ => match &node.text {
            Some(text) => from_text(shape, text),
            None => return Ok(None),
        },
    }))
}

fn read_member(name: &str, wire: &str, shape: &'static Shape, node: &Node) -> Result<Option<Value>, ApiError> {
    let of_item = |item: &'static Shape| match &item.kind {
        Kind::Structure { name, .. } => *name,
        _ => wire,
    };
    match &shape.kind {
        Kind::List { member, .. } => {
            let element = name_of(name).unwrap_or_else(|| of_item(member));
            let Some(node) = node.children.get(element) else { return Ok(None) };
            let items = items(node)?.into_iter().map(|node| read(member, node));
            items.collect::<Result<_, _>>().map(Value::List).map(Some)
        }
        Kind::Map { value, .. } => {
            let Some(node) = node.children.get(name_of(name).unwrap_or(wire)) else { return Ok(None) };
            let entries = items(node)?.into_iter().map(|node| entry(value, node));
            entries.collect::<Result<_, _>>().map(Value::Map).map(Some)
        }
        _ => node.children.get(wire).map_or(Ok(None), |node| read(shape, node)),
    }
}

/// What stands below `Name.1`, `Name.2` and so on, in the numbers' order; a single one may stand without a number.
fn items(node: &Node) -> Result<Vec<&Node>, ApiError> {
    let mut found = Vec::new();
    for (number, item) in &node.children {
        match number.parse::<u32>() {
            Ok(number) => found.push((number, item)),
            Err(_) if found.is_empty() => return Ok(vec![node]),
            Err(_) => return Err(malformed("a list's items have no numbers")),
        }
    }
    if found.is_empty() && node.text.as_ref().is_some_and(|text| !text.is_empty()) {
        return Ok(vec![node]);
    }
    found.sort_by_key(|(number, _)| *number);
    Ok(found.into_iter().map(|(_, item)| item).collect())
}

fn entry(shape: &'static Shape, node: &Node) -> Result<(String, Option<Value>), ApiError> {
    let part = |names: [&str; 2]| names.iter().find_map(|name| node.children.get(*name));
    let key = part(["Name", "Key"]).and_then(|key| key.text.clone());
    let key = key.ok_or_else(|| malformed("an entry of a map has no key"))?;
    let value = part(["Value", "value"]).map_or(Ok(None), |node| read(shape, node))?;
    Ok((key, value))
}

/// Writes an output in the older protocol: `OPResponse`, in it `OPResult` where the model has one, and the request's id.
#[must_use]
pub fn encode_older_xml<Op: OperationType>(output: &Op::Output, request_id: impl std::fmt::Display) -> Response<Bytes>
where
    Op::Output: ToJson,
{
    let name = Op::OPERATION.name();
    let mut json = JsonWriter::default();
    output.write(&mut json);
    let output: Json = serde_json::from_slice(&json.into_bytes()).unwrap_or_default();
    let mut xml = XmlWriter::default();
    xml.open_in(&format!("{name}Response"), NAMESPACE);
    // An answer without members takes no room in memory either.
    if size_of::<Op::Output>() > 0 {
        let result = format!("{name}Result");
        xml.open(&result);
        members(&mut xml, name, &output);
        xml.close(&result);
    }
    xml.open("ResponseMetadata");
    xml.member("RequestId", &request_id.to_string());
    xml.close("ResponseMetadata");
    xml.close(&format!("{name}Response"));
    xml.into_response()
}

fn members(xml: &mut XmlWriter, operation: &str, structure: &Json) {
    for (member, value) in structure.as_object().into_iter().flatten() {
        match value {
            Json::Array(items) => {
                let of_operation = format!("{operation}ResultEntry");
                let element = name_of(member).unwrap_or(&of_operation);
                items.iter().for_each(|item| self::element(xml, operation, element, item));
            }
            Json::Object(entries) => match name_of(member) {
                Some(element) => {
                    let key = if element == "Tag" { "Key" } else { "Name" };
                    for (name, value) in entries {
                        xml.open(element);
                        xml.member(key, name);
                        self::element(xml, operation, "Value", value);
                        xml.close(element);
                    }
                }
                None => element(xml, operation, member, value),
            },
            _ => element(xml, operation, member, value),
        }
    }
}

fn element(xml: &mut XmlWriter, operation: &str, name: &str, value: &Json) {
    match value {
        Json::Null => {}
        Json::String(text) => xml.member(name, text),
        Json::Object(_) | Json::Array(_) => {
            xml.open(name);
            members(xml, operation, value);
            xml.close(name);
        }
        Json::Bool(_) | Json::Number(_) => xml.member(name, &value.to_string()),
    }
}
