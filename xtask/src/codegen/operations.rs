//! The table of operations and the table of errors.

use anyhow::Result;

use super::emit::{header, literal};
use super::model::{Kind, Model, Operation, Place};
use super::names::screaming;

/// The enum, the table, the routes, and a type per operation that ties its input to its output.
pub(crate) fn operations(model: &Model) -> Result<String> {
    let mut out = header("The operations: names, routes, statuses, permissions, input and output.");
    out.push_str("use super::schema;\nuse crate::operation::{Part, Route, Row};\n\n");
    out.push_str("/// An operation of the API.\n#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]\n");
    out.push_str("pub enum Operation {\n");
    for operation in &model.operations {
        let method = &operation.method;
        let path = operation.path.join("/");
        out.push_str(&format!("    /// `{method} /{path}`\n    {},\n", operation.name));
    }
    out.push_str("}\n\nimpl Operation {\n    /// All operations, by name.\n");
    out.push_str(&format!("    pub const ALL: [Self; {}] = [\n", model.operations.len()));
    for operation in &model.operations {
        out.push_str(&format!("        Self::{},\n", operation.name));
    }
    out.push_str("    ];\n}\n\n/// One row per operation, in the order of the enum.\npub(crate) static ROWS: [Row; ");
    out.push_str(&format!("{}] = [\n", model.operations.len()));
    for operation in &model.operations {
        out.push_str(&row(model, operation)?);
    }
    out.push_str("];\n\n");
    out.push_str(&routes(model)?);
    out.push_str("/// Types that stand for operations.\npub mod ops {\n");
    out.push_str("    use super::super::{inputs, outputs};\n    use crate::operation::operation_types;\n\n");
    out.push_str("    operation_types! {\n");
    for operation in &model.operations {
        let output = operation.output.as_ref().map_or("()".to_owned(), |shape| format!("outputs::{shape}"));
        out.push_str(&format!("        {}(inputs::{}) -> {output},\n", operation.name, operation.input));
    }
    out.push_str("    }\n}\n");
    Ok(out)
}

fn row(model: &Model, operation: &Operation) -> Result<String> {
    let streams = match &operation.output {
        Some(output) => model.members(output)?.iter().any(|m| is_stream(model, &m.shape)),
        None => false,
    };
    Ok(format!(
        "    Row {{ name: {}, iam: \"lambda:{}\", status: {}, streams: {streams}, input: &schema::{} }},\n",
        literal(&operation.name),
        operation.iam,
        operation.status,
        screaming(&operation.input)
    ))
}

fn is_stream(model: &Model, shape: &str) -> bool {
    model.shape(shape).is_ok_and(|s| matches!(s.kind, Kind::EventStream))
}

/// Routes by the date that the path begins with. What a query parameter selects stands before what takes the rest.
fn routes(model: &Model) -> Result<String> {
    let mut dates: Vec<&str> = model.operations.iter().map(|o| o.path[0].as_str()).collect();
    dates.sort_unstable();
    dates.dedup();
    let mut out = "/// The routes by the first part of their path.\n".to_owned();
    out.push_str("pub(crate) static ROUTES: &[(&str, &[Route])] = &[\n");
    for date in dates {
        out.push_str(&format!("    ({}, &[\n", literal(date)));
        let mut of_date: Vec<&Operation> = model.operations.iter().filter(|o| o.path[0] == date).collect();
        of_date.sort_by_key(|o| o.query.is_none());
        for operation in of_date {
            out.push_str(&route(model, operation)?);
        }
        out.push_str("    ]),\n");
    }
    out.push_str("];\n\n");
    Ok(out)
}

fn route(model: &Model, operation: &Operation) -> Result<String> {
    let labels: Vec<&str> =
        model.members(&operation.input)?.iter().filter(|m| m.place == Place::Label).map(|m| m.wire.as_str()).collect();
    let mut parts = Vec::new();
    for part in &operation.path[1..] {
        match part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) {
            Some(label) if labels.contains(&label) => parts.push(format!("Part::Label({})", literal(label))),
            Some(label) => anyhow::bail!("{}: no member for label {label}", operation.name),
            None => parts.push(format!("Part::Text({})", literal(part))),
        }
    }
    let query = operation.query.as_ref().map(|(name, value)| format!("({}, {})", literal(name), literal(value)));
    Ok(format!(
        "        Route {{ method: {}, parts: &[{}], query: {}, operation: Operation::{} }},\n",
        literal(&operation.method),
        parts.join(", "),
        super::emit::option(query.as_deref()),
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
        out.push_str(&format!("/// `{}`, status {}.\n", error.name, error.status));
        out.push_str(&format!("pub static {}: Kind =\n    ", screaming(error.name.trim_end_matches("Exception"))));
        out.push_str(&format!(
            "Kind {{ code: {}, status: {}, spelling: Spelling::{spelling}, fault: Some(Fault::{fault}) }};\n",
            literal(&error.name),
            error.status
        ));
    }
    Ok(out)
}
