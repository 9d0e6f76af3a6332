//! Whether an event has what is asked.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

use crate::tree::Node;

/// Each place of the event is looked at once at most, and once for each value that may be absent.
pub(crate) fn matches(asked: &Node, event: &Value) -> bool {
    let left = if asked.may_lack { Cow::Owned(without_absent(asked, event)) } else { Cow::Borrowed(asked) };
    asks_nothing(&left) || found(&left, event)
}

/// Whether the value has all of it. Of an array one element has to have it all.
fn found(asked: &Node, value: &Value) -> bool {
    match value {
        Value::Array(elements) => elements.iter().any(|element| found(asked, element)),
        Value::Object(object) => {
            asked.value.is_none()
                && asked
                    .members
                    .iter()
                    .all(|(key, below)| object.get(key.as_ref()).is_some_and(|value| found(below, value)))
        }
        value => asked.members.is_empty() && asked.value.as_ref().is_some_and(|all| all.matches(value)),
    }
}

fn asks_nothing(asked: &Node) -> bool {
    asked.value.is_none() && asked.members.is_empty()
}

/// What is left to ask when what may be absent, and is so in the whole event, is taken out.
fn without_absent(asked: &Node, event: &Value) -> Node {
    rest(asked, event, &mut Vec::new())
}

fn rest<'n>(asked: &'n Node, event: &Value, path: &mut Vec<&'n str>) -> Node {
    let fulfilled = asked.value.as_ref().is_some_and(|all| all.absent && !has_value(event, path));
    let value = asked.value.as_ref().filter(|_| !fulfilled).map(Arc::clone);
    let mut members = std::collections::BTreeMap::new();
    for (key, below) in &asked.members {
        path.push(key);
        let below = if below.may_lack { rest(below, event, path) } else { below.clone() };
        path.pop();
        if !asks_nothing(&below) {
            members.insert(Arc::clone(key), below);
        }
    }
    Node { value, members, may_lack: false }
}

/// Whether there is a value, no mere object, at the path, in any element of the arrays on its way.
fn has_value(at: &Value, path: &[&str]) -> bool {
    match (at, path) {
        (Value::Array(elements), path) => elements.iter().any(|element| has_value(element, path)),
        (Value::Object(object), [key, below @ ..]) => object.get(*key).is_some_and(|value| has_value(value, below)),
        (Value::Object(_), []) => false,
        (_, path) => path.is_empty(),
    }
}
