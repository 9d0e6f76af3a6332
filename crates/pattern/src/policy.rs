//! Filter policies of SNS's subscriptions: the same language, on a message's attributes or on its body.

use hearth_types::limits::{FILTER_POLICY_COMBINATIONS, FILTER_POLICY_KEYS};
use serde_json::{Map, Value};

use crate::alternative::Alternatives;
use crate::{Dialect, Pattern, PatternError, compile, json};

/// What a filter policy looks at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Scope {
    /// The message's attributes.
    #[default]
    MessageAttributes,
    /// The message, which has to be JSON.
    MessageBody,
}

/// A filter policy that was read.
#[derive(Clone, Debug)]
pub struct FilterPolicy {
    scope: Scope,
    /// None lets everything through: `{}`.
    pattern: Option<Pattern>,
}

impl FilterPolicy {
    /// # Errors
    /// With SNS's reason, before which it puts `Invalid parameter: FilterPolicy: ` (or, subscribing, `Invalid parameter:
    /// Attributes Reason: FilterPolicy: `).
    pub fn parse(text: &str, scope: Scope) -> Result<FilterPolicy, PatternError> {
        let policy = match serde_json::from_str(text) {
            Ok(Value::Object(policy)) => policy,
            _ => return Err(PatternError::new("failed to parse JSON.")),
        };
        if policy.is_empty() {
            return Ok(FilterPolicy { scope, pattern: None });
        }
        if keys(&policy) > FILTER_POLICY_KEYS {
            return Err(PatternError(format!("Filter policy can not have more than {FILTER_POLICY_KEYS} keys")));
        }
        if scope == Scope::MessageAttributes && is_nested(&policy) {
            return Err(PatternError::new(
                "Filter policy scope MessageAttributes does not support nested filter policy",
            ));
        }
        if combinations(&policy, 1)? > FILTER_POLICY_COMBINATIONS {
            return Err(PatternError::new("Filter policy is too complex"));
        }
        let pattern = Pattern::read(&Value::Object(policy), Dialect::Whole)?;
        Ok(FilterPolicy { scope, pattern: Some(pattern) })
    }

    /// What it looks at.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// Whether a message goes to the subscription. `attributes` are the message's, made by [`attribute`]. A body that is
    /// no JSON object has nothing that a policy on the body could find.
    #[must_use]
    pub fn lets_through(&self, attributes: &Map<String, Value>, body: &str) -> bool {
        let Some(pattern) = &self.pattern else { return true };
        match self.scope {
            // A copy: messages have few attributes, and what is matched is a value.
            Scope::MessageAttributes => pattern.matches(&Value::Object(attributes.clone())),
            Scope::MessageBody => json(body).is_ok_and(|body| body.is_object() && pattern.matches(&body)),
        }
    }
}

/// What a policy sees of an attribute of a message; nothing of a binary one.
#[must_use]
pub fn attribute(data_type: &str, text: &str) -> Option<Value> {
    match data_type.split_once('.') {
        Some(("String", "Array")) => Some(json(text).ok().filter(Value::is_array).unwrap_or_else(|| text.into())),
        _ => match data_type.split('.').next() {
            Some("String") => Some(text.into()),
            Some("Number") => Some(serde_json::from_str(text).map_or_else(|_| text.into(), Value::Number)),
            _ => None,
        },
    }
}

/// The names at the top; those in branches of an `$or` count too.
fn keys(policy: &Map<String, Value>) -> usize {
    let each = policy.iter().map(|(key, value)| match compile::branches(key, value) {
        Some(branches) => branches.into_iter().map(keys).sum(),
        None => 1,
    });
    each.sum()
}

fn is_nested(policy: &Map<String, Value>) -> bool {
    policy.iter().any(|(key, value)| match compile::branches(key, value) {
        Some(branches) => branches.into_iter().any(is_nested),
        None => value.is_object(),
    })
}

/// The product of how many values each list has, times its depth; of `$or` the sum of the branches.
fn combinations(policy: &Map<String, Value>, depth: usize) -> Result<usize, PatternError> {
    let mut product: usize = 1;
    for (key, value) in policy {
        let factor = match (compile::branches(key, value), value) {
            (Some(branches), _) => branches
                .into_iter()
                .try_fold(0_usize, |sum, branch| Ok(sum.saturating_add(combinations(branch, depth)?)))?,
            (None, Value::Object(inner)) => combinations(inner, depth + 1)?,
            (None, Value::Array(list)) => Alternatives::parse(list, Dialect::Whole)?.count() * depth,
            // Refused with its reason when the pattern is read.
            (None, _) => 1,
        };
        product = product.saturating_mul(factor);
    }
    Ok(product)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(all: &[(&str, &str, &str)]) -> Map<String, Value> {
        let each = all.iter().filter_map(|(name, kind, text)| Some(((*name).to_owned(), attribute(kind, text)?)));
        each.collect()
    }

    #[test]
    fn attributes_are_seen_as_what_they_are() {
        let message = attributes(&[
            ("store", "String", "example"),
            ("price", "Number", "100.0"),
            ("interests", "String.Array", r#"["rugby", "football", null, 3]"#),
            ("picture", "Binary", "AAAA"),
            ("kind", "String.custom", "k"),
        ]);
        for (policy, expected) in [
            (r#"{"store":["example"]}"#, true),
            (r#"{"store":["Example"]}"#, false),
            (r#"{"store":[{"equals-ignore-case":"EXAMPLE"}],"price":[100]}"#, true),
            (r#"{"price":[{"numeric":[">=",100,"<",101]}]}"#, true),
            (r#"{"price":["100.0"]}"#, false),
            (r#"{"interests":["football","baseball"]}"#, true),
            (r#"{"interests":[null]}"#, true),
            (r#"{"interests":[3.0]}"#, true),
            (r#"{"interests":[{"anything-but":["rugby"]}]}"#, true),
            (r#"{"picture":[{"exists":true}]}"#, false),
            (r#"{"picture":[{"exists":false}]}"#, true),
            (r#"{"kind":["k"]}"#, true),
            (r#"{"$or":[{"store":["x"]},{"price":[100]}]}"#, true),
            ("{}", true),
        ] {
            let policy_read = FilterPolicy::parse(policy, Scope::MessageAttributes).unwrap();
            assert_eq!(policy_read.lets_through(&message, "body"), expected, "{policy}");
        }
    }

    #[test]
    fn more_combinations_than_can_be_counted_are_too_many() {
        let keys: Vec<String> = (0..64).map(|n| format!(r#""{n}":[1,2]"#)).collect();
        let branch = format!(r#"{{"a":{{{}}}}}"#, keys.join(","));
        let policy = format!(r#"{{"$or":[{branch},{branch}]}}"#);
        let refused = FilterPolicy::parse(&policy, Scope::MessageBody).unwrap_err();
        assert_eq!(refused.to_string(), "Filter policy is too complex");
    }

    #[test]
    fn bodies_are_json_or_nothing() {
        let policy = FilterPolicy::parse(r#"{"a":{"b":["x"]}}"#, Scope::MessageBody).unwrap();
        assert!(policy.lets_through(&Map::new(), r#"{"a":[{"b":"y"},{"b":"x"}]}"#));
        assert!(!policy.lets_through(&Map::new(), r#"{"a":{"b":"y"}}"#));
        let absent = FilterPolicy::parse(r#"{"a":[{"exists":false}]}"#, Scope::MessageBody).unwrap();
        assert!(absent.lets_through(&Map::new(), "{}"));
        assert!(!absent.lets_through(&Map::new(), "no JSON") && !absent.lets_through(&Map::new(), "[]"));
    }

    #[test]
    fn what_is_refused() {
        let many = format!(r#"{{"a":[{}]}}"#, (0..151).map(|n| n.to_string()).collect::<Vec<_>>().join(","));
        for (scope, policy, reason) in [
            (Scope::MessageAttributes, "nothing", "failed to parse JSON."),
            (Scope::MessageAttributes, "[]", "failed to parse JSON."),
            (
                Scope::MessageAttributes,
                r#"{"a":{"b":["x"]}}"#,
                "Filter policy scope MessageAttributes does not support nested filter policy",
            ),
            (
                Scope::MessageBody,
                r#"{"a":[1],"b":[1],"c":[1],"d":[1],"e":[1],"f":[1]}"#,
                "Filter policy can not have more than 5 keys",
            ),
            (Scope::MessageAttributes, many.as_str(), "Filter policy is too complex"),
            (Scope::MessageAttributes, r#"{"a":"x"}"#, "\"a\" must be an object or an array"),
            (Scope::MessageAttributes, r#"{"a":[]}"#, "Empty arrays are not allowed"),
            (Scope::MessageBody, r#"{"a":{"b":[{"nothing":1}]}}"#, "Unrecognized match type nothing"),
        ] {
            let refused = FilterPolicy::parse(policy, scope).unwrap_err();
            assert_eq!(refused.to_string(), reason, "{policy}");
        }
        let nested = r#"{"a":{"b":{"c":[1,2,3,4]}},"d":{"e":[1,2,3,4,5,6]}}"#;
        assert!(FilterPolicy::parse(nested, Scope::MessageBody).is_ok(), "12 by 12 is 144");
        let nested = r#"{"a":{"b":{"c":[1,2,3,4]}},"d":{"e":[1,2,3,4,5,6,7]}}"#;
        assert!(FilterPolicy::parse(nested, Scope::MessageBody).is_err(), "12 by 14 is 168");
    }
}
