//! A service model of the AWS SDKs, stripped to the facts that the API layer is generated from.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use super::json::Json;

/// Members of operations and shapes that carry no fact of the protocol.
const DROPPED: &[&str] = &["documentation", "documentationUrl", "readonly", "box", "name", "idempotent", "exception"];

/// What is kept of what the model says of the service as a whole.
const METADATA: &[&str] = &["apiVersion", "protocol", "jsonVersion", "targetPrefix", "xmlNamespace"];

/// Keeps operations and shapes, without texts: of the operations those that are `wanted`, where a choice is given, and
/// the shapes that these lead to.
pub(crate) fn strip(model: &Json, wanted: Option<&[String]>) -> Result<Json> {
    let part = |name: &str| model.get(name).map(Json::members).unwrap_or_default();
    let metadata = part("metadata").iter().filter(|(name, _)| METADATA.contains(&name.as_str())).cloned().collect();
    let protocol = model.get("metadata").and_then(|m| m.get("protocol")).and_then(Json::text);
    let is_rest = protocol == Some("rest-json");
    let is_wanted = |name: &String| wanted.is_none_or(|wanted| wanted.contains(name));
    let operations: Vec<_> =
        part("operations").iter().filter(|(name, _)| is_wanted(name)).map(|(n, o)| (n.clone(), stripped(o))).collect();
    if let Some(missing) = wanted.into_iter().flatten().find(|name| !operations.iter().any(|(n, _)| n == *name)) {
        bail!("the model has no operation {missing}");
    }
    let mut operations = Json::Object(operations);
    let mut shapes = Json::Object(part("shapes").iter().map(|(name, shape)| (name.clone(), stripped(shape))).collect());
    if protocol == Some("json") {
        without_flattening(&mut shapes);
    }
    if !is_rest {
        without_http(&mut operations);
    }
    if wanted.is_some() {
        keep_reachable(&mut shapes, &operations);
    }
    Ok(Json::Object(vec![
        ("metadata".to_owned(), Json::Object(metadata)),
        ("operations".to_owned(), operations),
        ("shapes".to_owned(), shapes),
    ]))
}

fn stripped(entry: &Json) -> Json {
    let kept = entry.members().iter().filter(|(name, _)| !DROPPED.contains(&name.as_str()));
    let mut members: Vec<_> = kept
        .map(|(name, value)| {
            let value = match name.as_str() {
                "members" => strip_members(value),
                "input" | "output" | "member" | "key" | "value" => target(value),
                "errors" => Json::Array(errors(value)),
                _ => value.clone(),
            };
            (name.clone(), value)
        })
        .collect();
    // Where errors have neither code nor status of their own, only this tells them from other structures.
    if entry.get("exception").is_some() && entry.get("error").is_none() {
        members.push(("error".to_owned(), Json::Object(Vec::new())));
    }
    Json::Object(members)
}

/// Lists and maps without an element around them: a fact of XML, which JSON has no use for.
fn without_flattening(shapes: &mut Json) {
    let Json::Object(shapes) = shapes else { return };
    for (_, shape) in shapes {
        if let Json::Object(facts) = shape {
            facts.retain(|(name, _)| name != "flattened");
        }
    }
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

/// All operations of such a service are a POST to `/`.
fn without_http(operations: &mut Json) {
    if let Json::Object(operations) = operations {
        for (_, operation) in operations {
            if let Json::Object(members) = operation {
                members.retain(|(name, _)| name != "http");
            }
        }
    }
}

fn keep_reachable(shapes: &mut Json, operations: &Json) {
    let mut open: Vec<String> = operations.members().iter().flat_map(|(_, operation)| targets(operation)).collect();
    let mut found = BTreeSet::new();
    while let Some(name) = open.pop() {
        if let Some(shape) = shapes.get(&name)
            && found.insert(name)
        {
            open.extend(targets(shape));
        }
    }
    if let Json::Object(shapes) = shapes {
        shapes.retain(|(name, _)| found.contains(name));
    }
}

/// The shapes that an operation or a shape names.
fn targets(entry: &Json) -> Vec<String> {
    let direct = ["input", "output", "member", "key", "value"].iter().filter_map(|name| entry.get(name)?.text());
    let members = entry.get("members").map(Json::members).unwrap_or_default();
    let of_members = members.iter().filter_map(|(_, member)| member.get("shape")?.text());
    let errors = entry.get("errors").map(Json::texts).unwrap_or_default();
    direct.chain(of_members).chain(errors).map(str::to_owned).collect()
}
