//! The table of operations and the table of errors.

use anyhow::{Context, Result};

use super::emit::{header, imports, literal, option};
use super::model::{Http, Kind, Model, Operation, Place};
use super::names::{screaming, type_name};
use super::services::Entry;

/// The enum, its table, and a type per operation that ties its input to its output.
pub(crate) fn operations(entry: &Entry, model: &Model) -> Result<String> {
    let mut out = format!("/// An operation of {}.\n", entry.id);
    out.push_str("#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]\npub enum Operation {\n");
    for operation in &model.operations {
        let documentation = match &operation.http {
            Some(http) => format!("{} /{}", http.method, http.path.join("/")),
            None => format!("{}:{}", entry.name, operation.iam),
        };
        out.push_str(&format!("    /// `{documentation}`\n    {},\n", operation.name));
    }
    out.push_str("}\n\n");
    out.push_str(&table(entry, model)?);
    out.push_str("/// Types that stand for operations.\npub mod ops {\n");
    let mut types = String::new();
    for operation in &model.operations {
        let of = |module: &str, shape: &Option<String>| match shape {
            Some(shape) => format!("{module}::{}", type_name(shape)),
            None => "()".to_owned(),
        };
        let (input, output) = (of("inputs", &operation.input), of("outputs", &operation.output));
        types.push_str(&format!("        {}({input}) -> {output},\n", operation.name));
    }
    let uses = imports(&types, &[("super::super", &["inputs", "outputs"])]);
    out.push_str(&format!("    {}    use crate::operation::operation_types;\n\n", uses));
    out.push_str(&format!("    operation_types! {{ super::Operation;\n{types}    }}\n}}\n"));
    let names: &[&str] = &["Part", "Protocol", "Route", "Row", "Service", "Table", "service_operations"];
    let uses = imports(&out, &[("super", &["schema"]), ("crate::operation", names)]);
    Ok(header("The operations: names, routes, statuses, permissions, input and output.") + &uses + "\n" + &out)
}

fn table(entry: &Entry, model: &Model) -> Result<String> {
    let metadata = &model.metadata;
    let text = |value: &Option<String>| option(value.as_deref().map(literal).as_deref());
    let mut out = "service_operations!(Operation);\n\n".to_owned();
    out.push_str("/// All that holds for the service, a row per operation in the order of the enum, and the routes.\n");
    out.push_str("pub(crate) static TABLE: Table<Operation> = Table {\n    service: Service {\n");
    for (field, value) in [
        ("name", literal(&entry.name)),
        ("id", literal(&entry.id)),
        ("protocol", format!("Protocol::{:?}", metadata.protocol)),
        ("version", literal(&metadata.version)),
        ("target_prefix", text(&metadata.target_prefix)),
        ("xml_namespace", text(&metadata.xml_namespace)),
        ("validation", literal(&entry.validation)),
    ] {
        out.push_str(&format!("        {field}: {value},\n"));
    }
    out.push_str("    },\n    all: &[\n");
    for operation in &model.operations {
        out.push_str(&format!("        Operation::{},\n", operation.name));
    }
    out.push_str("    ],\n    rows: &[\n");
    for operation in &model.operations {
        out.push_str(&row(entry, model, operation)?);
    }
    out.push_str("    ],\n");
    out.push_str(&routes(model)?);
    out.push_str("};\n\n");
    Ok(out)
}

fn row(entry: &Entry, model: &Model, operation: &Operation) -> Result<String> {
    let streams = match &operation.output {
        Some(output) => model.members(output)?.iter().any(|m| is_stream(model, &m.shape)),
        None => false,
    };
    let input = operation.input.as_deref().map(|shape| format!("&schema::{}", screaming(shape)));
    Ok(format!(
        "        Row {{ name: {}, iam: \"{}:{}\", status: {}, streams: {streams}, input: {} }},\n",
        literal(&operation.name),
        entry.name,
        operation.iam,
        operation.status,
        option(input.as_deref())
    ))
}

fn is_stream(model: &Model, shape: &str) -> bool {
    model.shape(shape).is_ok_and(|s| matches!(s.kind, Kind::EventStream))
}

/// Routes by the first part of their path: for Lambda, a date. What a query parameter selects stands before what takes
/// the rest.
fn routes(model: &Model) -> Result<String> {
    let routed: Vec<(&Operation, &Http)> =
        model.operations.iter().filter_map(|o| o.http.as_ref().map(|http| (o, http))).collect();
    let mut firsts: Vec<&str> = routed.iter().map(|(_, http)| http.path[0].as_str()).collect();
    firsts.sort_unstable();
    firsts.dedup();
    let mut out = "    routes: &[\n".to_owned();
    for first in firsts {
        out.push_str(&format!("        ({}, &[\n", literal(first)));
        let mut of_first: Vec<_> = routed.iter().filter(|(_, http)| http.path[0] == first).collect();
        of_first.sort_by_key(|(_, http)| http.query.is_none());
        for (operation, http) in of_first {
            out.push_str(&route(model, operation, http)?);
        }
        out.push_str("        ]),\n");
    }
    out.push_str("    ],\n");
    Ok(out)
}

fn route(model: &Model, operation: &Operation, http: &Http) -> Result<String> {
    let input = operation.input.as_deref().with_context(|| format!("{}: input", operation.name))?;
    let labels: Vec<&str> =
        model.members(input)?.iter().filter(|m| m.place == Place::Label).map(|m| m.wire.as_str()).collect();
    let mut parts = Vec::new();
    for part in &http.path[1..] {
        match part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) {
            Some(label) if labels.contains(&label) => parts.push(format!("Part::Label({})", literal(label))),
            Some(label) => anyhow::bail!("{}: no member for label {label}", operation.name),
            None => parts.push(format!("Part::Text({})", literal(part))),
        }
    }
    let query = http.query.as_ref().map(|(name, value)| format!("({}, {})", literal(name), literal(value)));
    Ok(format!(
        "            Route {{ method: {}, parts: &[{}], query: {}, operation: Operation::{} }},\n",
        literal(&http.method),
        parts.join(", "),
        option(query.as_deref()),
        operation.name
    ))
}

/// A constant per modelled error.
pub(crate) fn errors(model: &Model) -> Result<String> {
    let mut out = header("The errors that the service model names.");
    out.push_str("use crate::error::{Fault, Kind, Spelling};\n\n");
    for error in &model.errors {
        let fault = if error.service_fault { "Service" } else { "User" };
        let spelling = if error.text_member == "message" { "Lower" } else { "Upper" };
        out.push_str(&format!("/// `{}`, status {}.\n", error.code, error.status));
        out.push_str(&format!("pub static {}: Kind =\n    ", screaming(error.name.trim_end_matches("Exception"))));
        out.push_str(&format!(
            "Kind {{ code: {}, status: {}, spelling: Spelling::{spelling}, fault: Some(Fault::{fault}) }};\n",
            literal(&error.code),
            error.status
        ));
    }
    Ok(out)
}
