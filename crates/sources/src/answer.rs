//! What a function's answer says of the items of its batch, where it reports them (ReportBatchItemFailures). Pure.

use std::collections::HashSet;

use serde_json::Value;

/// Which items of a batch failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Failed {
    /// None.
    Nothing,
    /// These, by their identifiers, all of which are the batch's; never empty.
    Items(HashSet<String>),
    /// All: also where the answer names any that the batch does not have, or is none that can be understood.
    Everything,
}

/// Reads an answer. Empty ones of every kind are a success; what cannot be understood never is (observed).
pub(crate) fn failed(answer: &[u8], is_of_batch: impl Fn(&str) -> bool) -> Failed {
    match serde_json::from_slice(answer) {
        Ok(answer) => named(&answer, is_of_batch).unwrap_or(Failed::Everything),
        Err(_) => Failed::Everything,
    }
}

/// None where the answer is malformed.
fn named(answer: &Value, is_of_batch: impl Fn(&str) -> bool) -> Option<Failed> {
    let items = match answer {
        Value::Null => return Some(Failed::Nothing),
        Value::String(text) if text.is_empty() => return Some(Failed::Nothing),
        Value::Array(all) if all.is_empty() => return Some(Failed::Nothing),
        Value::Object(answer) => match answer.get("batchItemFailures") {
            None | Some(Value::Null) => return Some(Failed::Nothing),
            Some(Value::Array(items)) => items,
            Some(_) => return None,
        },
        _ => return None,
    };
    let identifiers: Option<HashSet<String>> = items.iter().map(|item| identifier(item, &is_of_batch)).collect();
    identifiers.map(|all| if all.is_empty() { Failed::Nothing } else { Failed::Items(all) })
}

fn identifier(item: &Value, is_of_batch: impl Fn(&str) -> bool) -> Option<String> {
    let identifier = item.as_object()?.get("itemIdentifier")?.as_str()?;
    is_of_batch(identifier).then(|| identifier.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(answer: &str) -> Failed {
        failed(answer.as_bytes(), |id| ["a", "b"].contains(&id))
    }

    #[test]
    fn empty_answers_are_a_success() {
        for answer in ["null", "\"\"", "{}", "[]", r#"{"batchItemFailures":null}"#, r#"{"batchItemFailures":[]}"#] {
            assert_eq!(of(answer), Failed::Nothing, "{answer}");
        }
    }

    #[test]
    fn what_is_named_has_failed() {
        let answer = r#"{"batchItemFailures":[{"itemIdentifier":"b"},{"itemIdentifier":"b"}],"more":1}"#;
        assert_eq!(of(answer), Failed::Items(["b".to_owned()].into()));
    }

    #[test]
    fn what_is_malformed_means_all() {
        for answer in [
            r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":1}]}"#,
            r#"{"batchItemFailures":[{"foo":"a"}]}"#,
            r#"{"batchItemFailures":[{"foo":null}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":"other"}]}"#,
            r#"{"batchItemFailures":["a"]}"#,
            r#"{"batchItemFailures":{"itemIdentifier":"a"}}"#,
            r#"{"batchItemFailures":"a"}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":"a"}"#,
            r#"[{"itemIdentifier":"a"}]"#,
            "\"text\"",
            "1",
            "true",
            "",
            "not json",
        ] {
            assert_eq!(of(answer), Failed::Everything, "{answer}");
        }
    }

    proptest! {
        /// Nothing is taken for done that the function might have meant to keep: of any answer, either everything fails,
        /// or exactly what is named, or the answer names nothing.
        #[test]
        fn an_item_that_is_named_is_never_done(ids in prop::collection::vec("[abc]?", 0..4), key in "itemIdentifier|foo") {
            let items: Vec<Value> = ids.iter().map(|id| serde_json::json!({ (key.as_str()): id })).collect();
            let answer = serde_json::json!({ "batchItemFailures": items }).to_string();
            let is_clean = key == "itemIdentifier" && ids.iter().all(|id| ["a", "b"].contains(&id.as_str()));
            match of(&answer) {
                Failed::Nothing => prop_assert!(ids.is_empty()),
                Failed::Items(failed) => {
                    prop_assert!(is_clean);
                    prop_assert_eq!(failed, ids.into_iter().collect::<HashSet<_>>());
                }
                Failed::Everything => prop_assert!(!is_clean),
            }
        }
    }
}
