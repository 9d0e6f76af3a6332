//! The tables that decoding and validating walk: shapes that an input leads to.

use anyhow::Result;

use super::emit::{header, imports, literal, option};
use super::model::{Bounds, Kind, Member, Model, Shape};
use super::names::{printed, screaming, type_name};

/// Patterns that every text of `[a-zA-Z0-9-_]+` satisfies, and which stand in the way of each invoke: such a text is
/// then taken without running the pattern. A property test of the API crate checks the claim.
const WORDS: &[&str] =
    &["FunctionName", "NamespacedFunctionName", "NumericLatestPublishedOrAliasQualifier", "UnqualifiedFunctionName"];

/// `schema.rs`.
pub(crate) fn schema(model: &Model) -> Result<String> {
    let mut out = String::new();
    for name in model.reachable(model.inputs())? {
        let shape = model.shape(name)?;
        if let Kind::Text { pattern: Some(pattern), .. } = &shape.kind {
            let words = WORDS.contains(&name);
            out.push_str(&format!("static {}: Pattern =\n    ", pattern_name(name)));
            out.push_str(&format!("Pattern::new({}, {words});\n", literal(pattern)));
        }
        out.push_str(&format!("pub(crate) static {}: Shape = ", screaming(name)));
        out.push_str(&entry(name, shape));
        out.push_str(";\n");
    }
    let patterns: Vec<String> = model
        .reachable(model.inputs())?
        .into_iter()
        .filter(|name| matches!(model.shape(name), Ok(Shape { kind: Kind::Text { pattern: Some(_), .. }, .. })))
        .map(|name| format!("    &{},\n", pattern_name(name)))
        .collect();
    // Named in full where nothing but this, of the tests, would use its name.
    let pattern = if patterns.is_empty() { "crate::schema::Pattern" } else { "Pattern" };
    out.push_str("\n/// All patterns, for tests.\n#[cfg(test)]\n");
    out.push_str(&format!("pub(crate) static PATTERNS: &[&{pattern}] = &[\n{}];\n", patterns.concat()));
    let mut names = vec!["Kind", "Member", "Pattern", "Place", "Range", "Shape"];
    names.retain(|name| *name != "Pattern" || !patterns.is_empty());
    let uses = imports(&out, &[("super", &["enums"]), ("crate::schema", &names)]);
    let subject = "Shapes of inputs: members, where they stand in the request, and their constraints.";
    Ok(format!("{}{uses}\n{out}", header(subject)))
}

fn pattern_name(shape: &str) -> String {
    format!("PATTERN_OF_{}", screaming(shape))
}

fn entry(name: &str, shape: &Shape) -> String {
    let kind = match &shape.kind {
        Kind::Text { bounds, pattern, values } => {
            let pattern = pattern.as_ref().map(|_| format!("&{}", pattern_name(name)));
            let values =
                if values.is_empty() { "&[]".to_owned() } else { format!("enums::{}::VALUES", type_name(name)) };
            let pattern = option(pattern.as_deref());
            format!("Kind::Text {{ length: {}, pattern: {pattern}, values: {values} }}", range(bounds))
        }
        Kind::Integer { bounds } => format!("Kind::Integer {{ value: {} }}", range(bounds)),
        Kind::Long { bounds } => format!("Kind::Long {{ value: {} }}", range(bounds)),
        Kind::Double { bounds } => format!("Kind::Double {{ value: {} }}", range(bounds)),
        Kind::Boolean => "Kind::Boolean".to_owned(),
        Kind::Blob { bounds } => format!("Kind::Blob {{ length: {} }}", range(bounds)),
        Kind::Timestamp => "Kind::Timestamp".to_owned(),
        Kind::List { bounds, member } => {
            format!("Kind::List {{ length: {}, member: &{} }}", range(bounds), screaming(member))
        }
        Kind::Map { bounds, key, value } => {
            format!("Kind::Map {{ length: {}, key: &{}, value: &{} }}", range(bounds), screaming(key), screaming(value))
        }
        Kind::Structure { members } => {
            let rows: String = members.iter().map(row).collect();
            let rows = if rows.is_empty() { String::new() } else { format!("\n{rows}") };
            format!("Kind::Structure {{ name: {}, members: &[{rows}] }}", literal(name))
        }
        Kind::EventStream => "Kind::Boolean".to_owned(),
    };
    let make = if shape.sensitive { "secret" } else { "new" };
    format!("Shape::{make}({kind})")
}

fn row(member: &Member) -> String {
    format!(
        "    Member {{ name: {}, printed: {}, wire: {}, place: Place::{:?}, shape: &{}, required: {} }},\n",
        literal(&member.name),
        literal(&printed(&member.name)),
        literal(&member.wire),
        member.place,
        screaming(&member.shape),
        member.required
    )
}

fn range(bounds: &Bounds) -> String {
    format!("Range {{ min: {}, max: {} }}", option(bounds.min.as_deref()), option(bounds.max.as_deref()))
}
