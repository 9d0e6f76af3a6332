//! From a pattern's JSON to the combinations it comes to.

use std::sync::Arc;

use hearth_types::limits::PATTERN_COMBINATIONS;
use serde_json::{Map, Value};

use crate::alternative::Alternatives;
use crate::operator;
use crate::tree::Node;
use crate::{Dialect, PatternError};

/// # Errors
/// On what is no pattern, and on one whose `$or`s come to too many combinations.
pub(crate) fn compile(pattern: &Value, dialect: Dialect) -> Result<Vec<Node>, PatternError> {
    match pattern {
        Value::Object(pattern) => object(pattern, dialect),
        _ => Err(PatternError::new("Filter is not an object")),
    }
}

fn object(pattern: &Map<String, Value>, dialect: Dialect) -> Result<Vec<Node>, PatternError> {
    if pattern.is_empty() {
        return Err(PatternError::new("Empty objects are not allowed"));
    }
    let mut all = vec![Node::default()];
    for (key, value) in pattern {
        all = product(&all, &entry(key, value, dialect)?)?;
    }
    Ok(all)
}

fn entry(key: &str, value: &Value, dialect: Dialect) -> Result<Vec<Node>, PatternError> {
    if let Some(branches) = branches(key, value) {
        let each = branches.into_iter().map(|branch| object(branch, dialect));
        return within(each.collect::<Result<Vec<_>, _>>()?.concat());
    }
    let below = match value {
        Value::Object(inner) => object(inner, dialect)?,
        Value::Array(list) => vec![Node::of_value(Alternatives::parse(list, dialect)?)],
        _ => return Err(PatternError(format!("\"{key}\" must be an object or an array"))),
    };
    let key: Arc<str> = key.into();
    Ok(below.into_iter().map(|node| Node::of_member(Arc::clone(&key), node)).collect())
}

/// `$or` is a key like any other, unless it has two objects or more none of which looks like an operator.
pub(crate) fn branches<'a>(key: &str, value: &'a Value) -> Option<Vec<&'a Map<String, Value>>> {
    let Value::Array(list) = value else { return None };
    if key != "$or" || list.len() < 2 {
        return None;
    }
    list.iter().map(|branch| branch.as_object().filter(|branch| is_branch(branch))).collect()
}

fn is_branch(object: &Map<String, Value>) -> bool {
    !object.is_empty() && !object.keys().any(|key| operator::NAMES.contains(&key.as_str()))
}

fn product(some: &[Node], others: &[Node]) -> Result<Vec<Node>, PatternError> {
    if some.len().saturating_mul(others.len()) > PATTERN_COMBINATIONS {
        return Err(too_many());
    }
    let pairs = some.iter().flat_map(|one| others.iter().map(move |other| (one, other)));
    pairs.map(|(one, other)| one.clone().and(other)).collect()
}

fn within(all: Vec<Node>) -> Result<Vec<Node>, PatternError> {
    if all.len() > PATTERN_COMBINATIONS { Err(too_many()) } else { Ok(all) }
}

fn too_many() -> PatternError {
    PatternError(format!("Rule is too complex: its $or come to more than {PATTERN_COMBINATIONS} combinations"))
}
