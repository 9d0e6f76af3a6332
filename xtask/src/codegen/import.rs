//! A service model of the AWS SDKs, stripped to the facts that the API layer is generated from.

use super::json::Json;

/// Members of operations and shapes that carry no fact of the protocol.
const DROPPED: &[&str] = &["documentation", "documentationUrl", "readonly", "box", "name", "idempotent", "exception"];

/// Keeps operations and shapes, without texts.
pub(crate) fn strip(model: &Json) -> Json {
    let part = |name: &str| {
        let entries = model.get(name).map(Json::members).unwrap_or_default();
        Json::Object(entries.iter().map(|(name, entry)| (name.clone(), strip_entry(entry))).collect())
    };
    Json::Object(vec![("operations".to_owned(), part("operations")), ("shapes".to_owned(), part("shapes"))])
}

fn strip_entry(entry: &Json) -> Json {
    let kept = entry.members().iter().filter(|(name, _)| !DROPPED.contains(&name.as_str()));
    Json::Object(
        kept.map(|(name, value)| {
            let value = match name.as_str() {
                "members" => strip_members(value),
                "input" | "output" | "member" | "key" | "value" => target(value),
                "errors" => Json::Array(errors(value)),
                _ => value.clone(),
            };
            (name.clone(), value)
        })
        .collect(),
    )
}

fn strip_members(members: &Json) -> Json {
    let texts = ["documentation", "deprecated", "deprecatedMessage"];
    Json::Object(
        members
            .members()
            .iter()
            .map(|(name, member)| {
                let kept = member.members().iter().filter(|(n, _)| !texts.contains(&n.as_str())).cloned().collect();
                (name.clone(), Json::Object(kept))
            })
            .collect(),
    )
}

/// `{"shape": "X"}` says no more than `"X"`.
fn target(reference: &Json) -> Json {
    reference.get("shape").cloned().unwrap_or(Json::Null)
}

fn errors(list: &Json) -> Vec<Json> {
    match list {
        Json::Array(items) => items.iter().map(target).collect(),
        _ => Vec::new(),
    }
}
