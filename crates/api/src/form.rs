//! Forms of the query protocol: `Tags.member.1.Key=a&Tags.member.1.Value=b`, read along the shape of the input.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hearth_types::limits::JSON_DEPTH;

use crate::decode::from_text;
use crate::error::ApiError;
use crate::older_query;
use crate::schema::{Kind, Shape};
use crate::uri::query_pairs;
use crate::value::{Members, Value};

/// The parameters of a form, as the tree that the dots in their names make.
#[derive(Default, Debug)]
pub struct Form {
    root: Node,
}

/// What stands below a part of a name.
#[derive(Default, Debug)]
pub(crate) struct Node {
    pub(crate) text: Option<String>,
    pub(crate) children: BTreeMap<String, Node>,
}

impl Form {
    /// Reads the parameters of a form, or of a query.
    ///
    /// # Errors
    /// `SerializationException` for percent codes that make no text, and for names of too many parts.
    pub fn parse(text: &[u8]) -> Result<Self, ApiError> {
        let text = std::str::from_utf8(text).map_err(|_| malformed("it is not UTF-8"))?;
        let mut root = Node::default();
        for pair in query_pairs(text) {
            let (name, value) = pair.ok_or_else(|| malformed("it has a percent code that makes no text"))?;
            if name.split('.').count() > JSON_DEPTH {
                return Err(malformed("a parameter's name has too many parts"));
            }
            let node = name.split('.').fold(&mut root, |node, step| node.children.entry(step.to_owned()).or_default());
            node.text = Some(value.into_owned());
        }
        Ok(Self { root })
    }

    /// A parameter whose name has no dots.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.root.children.get(name)?.text.as_deref()
    }

    /// The form of a request to the URL of a queue: what does not name the queue is for that one.
    #[must_use]
    pub fn at_queue(mut self, path: &str) -> Self {
        if !path.trim_matches('/').is_empty() {
            let node = self.root.children.entry("QueueUrl".to_owned()).or_default();
            node.text.get_or_insert_with(|| path.to_owned());
        }
        self
    }

    /// The members of a structure as SQS's older protocol has them.
    ///
    /// # Errors
    /// As of [`Form::read`].
    pub(crate) fn read_older(&self, shape: &'static Shape) -> Result<Option<Value>, ApiError> {
        older_query::read(shape, &self.root)
    }

    /// The members of a structure that stand in the form.
    ///
    /// # Errors
    /// `SerializationException` for lists and maps that are not numbered, and blobs that are no base64.
    pub(crate) fn read(&self, shape: &'static Shape) -> Result<Option<Value>, ApiError> {
        value(shape, &self.root)
    }
}

fn value(shape: &'static Shape, node: &Node) -> Result<Option<Value>, ApiError> {
    Ok(Some(match &shape.kind {
        Kind::Structure { members, .. } => {
            let read = |wire: &str, shape| node.children.get(wire).map_or(Ok(None), |node| value(shape, node));
            let values: Result<_, _> = members.iter().map(|member| read(member.wire, member.shape)).collect();
            Value::Structure(Members(values?))
        }
        Kind::List { member, .. } => {
            let items = numbered(node, "member")?.into_iter().map(|node| value(member, node));
            Value::List(items.collect::<Result<_, _>>()?)
        }
        Kind::Map { value: of, .. } => {
            let entries = numbered(node, "entry")?.into_iter().map(|node| entry(of, node));
            Value::Map(entries.collect::<Result<_, _>>()?)
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

/// What stands below `member.1`, `member.2` and so on, in the numbers' order.
fn numbered<'a>(node: &'a Node, step: &str) -> Result<Vec<&'a Node>, ApiError> {
    let Some(items) = node.children.get(step) else {
        // `Name=` is an empty list.
        return if node.children.is_empty() {
            Ok(Vec::new())
        } else {
            Err(malformed("a list's items have no numbers"))
        };
    };
    let mut found = Vec::new();
    for (number, item) in &items.children {
        found.push((number.parse::<u32>().map_err(|_| malformed("a list's items have no numbers"))?, item));
    }
    found.sort_by_key(|(number, _)| *number);
    Ok(found.into_iter().map(|(_, item)| item).collect())
}

fn entry(shape: &'static Shape, node: &Node) -> Result<(String, Option<Value>), ApiError> {
    // Some maps of SNS have names of their own for the two.
    let part = |name, other| node.children.get(name).or_else(|| node.children.get(other));
    let key = part("key", "Name").and_then(|key| key.text.clone());
    let key = key.ok_or_else(|| malformed("an entry of a map has no key"))?;
    let value = part("value", "Value").map_or(Ok(None), |node| value(shape, node))?;
    Ok((key, value))
}

pub(crate) fn malformed(why: &str) -> ApiError {
    ApiError::serialization(format!("The form cannot be read: {why}"))
}
