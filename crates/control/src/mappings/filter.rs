//! Whether a filter's pattern is one: the event pattern language as event source mappings take it. Pure.

use hearth_api::ApiError;
use hearth_types::limits::{MAPPING_PATTERN_CHARS, MAPPING_PATTERN_DEPTH};
use serde_json::{Map, Value};

use crate::invalid;

/// # Errors
/// With the text of the real service (observed).
pub(super) fn check(pattern: Option<&str>) -> Result<(), ApiError> {
    let parsed = pattern.filter(|text| text.chars().count() <= MAPPING_PATTERN_CHARS).map(serde_json::from_str);
    match parsed {
        Some(Ok(Value::Object(pattern))) if object(&pattern, MAPPING_PATTERN_DEPTH) => Ok(()),
        _ => Err(invalid("Invalid filter pattern definition.")),
    }
}

/// Keys of an event, each with alternatives or with a pattern of its own; at least one.
fn object(pattern: &Map<String, Value>, depth: usize) -> bool {
    depth > 0 && !pattern.is_empty() && pattern.iter().all(|(key, value)| entry(key, value, depth - 1))
}

fn entry(key: &str, value: &Value, depth: usize) -> bool {
    match value {
        Value::Array(branches) if key == "$or" => {
            branches.len() > 1 && branches.iter().all(|branch| is_pattern(branch, depth))
        }
        Value::Array(alternatives) => !alternatives.is_empty() && alternatives.iter().all(alternative),
        Value::Object(inner) => object(inner, depth),
        _ => false,
    }
}

fn is_pattern(value: &Value, depth: usize) -> bool {
    matches!(value, Value::Object(pattern) if object(pattern, depth))
}

/// A value, or one operator.
fn alternative(value: &Value) -> bool {
    match value {
        Value::Object(operator) => {
            let mut all = operator.iter();
            matches!((all.next(), all.next()), (Some((name, operand)), None) if is_operator(name, operand))
        }
        Value::Array(_) => false,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

fn is_operator(name: &str, operand: &Value) -> bool {
    match name {
        "prefix" | "suffix" => text(operand) || inner(operand, "equals-ignore-case", text),
        "equals-ignore-case" => text(operand),
        "exists" => operand.is_boolean(),
        "numeric" => operand.as_array().is_some_and(|range| numeric(range)),
        "anything-but" => {
            let simple = |value: &Value| value.is_string() || value.is_number();
            let list = |value: &Value| value.as_array().is_some_and(|all| !all.is_empty() && all.iter().all(simple));
            simple(operand)
                || list(operand)
                || inner(operand, "prefix", text)
                || inner(operand, "suffix", text)
                || inner(operand, "equals-ignore-case", |value| text(value) || list(value))
        }
        _ => false,
    }
}

fn text(value: &Value) -> bool {
    value.is_string()
}

fn inner(value: &Value, name: &str, fits: impl Fn(&Value) -> bool) -> bool {
    value.as_object().is_some_and(|one| one.len() == 1 && one.get(name).is_some_and(fits))
}

/// `["=", x]`, or one or two bounds: a lower one, then an upper one that is above it.
fn numeric(range: &[Value]) -> bool {
    let bound = |at: usize| Some((range.get(at)?.as_str()?, range.get(at + 1)?.as_f64()?));
    match (range.len(), bound(0), bound(2)) {
        (2, Some((sign, _)), _) => matches!(sign, "=" | "<" | "<=" | ">" | ">="),
        (4, Some((lower, least)), Some((upper, most))) => {
            matches!(lower, ">" | ">=") && matches!(upper, "<" | "<=") && least < most
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_language() {
        for pattern in [
            r#"{"body":{"my-key":["v"]}}"#,
            r#"{"body":{"n":[{"numeric":[">=",100,"<",200]}],"k":[null,"",1.5,true]}}"#,
            r#"{"body":{"k":[{"exists":false}]}}"#,
            r#"{"eventName":["INSERT"],"dynamodb":{"Keys":{"id":{"S":[{"prefix":"a"},{"suffix":"b"}]}}}}"#,
            r#"{"a":[{"anything-but":["x",1]},{"anything-but":{"prefix":"p"}},{"equals-ignore-case":"X"}]}"#,
            r#"{"$or":[{"a":["x"]},{"b":["y"]}]}"#,
        ] {
            assert!(check(Some(pattern)).is_ok(), "{pattern}");
        }
    }

    #[test]
    fn refuses_what_is_none() {
        for pattern in [
            "simple string",
            "",
            "{}",
            "[]",
            "null",
            r#"[{"eventName":["INSERT"]}]"#,
            r#"{"eventName":"INSERT"}"#,
            r#"{"eventName":[]}"#,
            r#"{"eventName":["INSERT"=123}"#,
            r#"{"a":[["x"]]}"#,
            r#"{"a":[{"wildcard":"x*"}]}"#,
            r#"{"a":[{"numeric":["<",1,">",2]}]}"#,
            r#"{"a":[{"numeric":[">",2,"<",1]}]}"#,
            r#"{"a":[{"exists":"yes"}]}"#,
            r#"{"a":[{"prefix":"x","suffix":"y"}]}"#,
            r#"{"$or":[{"a":["x"]}]}"#,
        ] {
            assert!(check(Some(pattern)).is_err(), "{pattern}");
        }
        assert!(check(None).is_err());
        let deep = format!("{}[1]{}", r#"{"a":"#.repeat(1000), "}".repeat(1000));
        assert!(check(Some(&deep)).is_err());
        let long = format!(r#"{{"a":["{}"]}}"#, "x".repeat(MAPPING_PATTERN_CHARS));
        assert!(check(Some(&long)).is_err());
    }
}
