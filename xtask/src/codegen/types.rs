//! A Rust type per structure and enum that an input or an output leads to.

use std::collections::BTreeSet;

use anyhow::Result;

use super::emit::{header, imports, literal};
use super::model::{Kind, Member, Model, Place, Protocol};
use super::names::{field, type_name, variant};

/// Which conversions a structure needs.
#[derive(Clone, Copy)]
struct Needs {
    decode: bool,
    encode: bool,
}

/// `enums.rs`.
pub(crate) fn enums(model: &Model) -> Result<String> {
    let mut out = String::new();
    for name in enum_shapes(model)? {
        if let Kind::Text { values, .. } = &model.shape(name)?.kind {
            out.push_str(&format!("\nstring_enum! {{ {} {{\n", type_name(name)));
            for value in values {
                out.push_str(&format!("    {} = {},\n", variant(value), literal(value)));
            }
            out.push_str("} }\n");
        }
    }
    let uses = imports(&out, &[("crate::value", &["string_enum"])]);
    Ok(header("The sets of values that members take.") + &uses + &out)
}

/// Whether members take values of sets.
pub(crate) fn has_enums(model: &Model) -> Result<bool> {
    Ok(!enum_shapes(model)?.is_empty())
}

fn enum_shapes(model: &Model) -> Result<Vec<&str>> {
    let mut found = model.reachable(model.inputs().chain(model.outputs()))?.into_iter().collect::<Vec<_>>();
    found.retain(|name| {
        model.shape(name).is_ok_and(|shape| matches!(&shape.kind, Kind::Text { values, .. } if !values.is_empty()))
    });
    Ok(found)
}

/// `inputs.rs`.
pub(crate) fn inputs(model: &Model) -> Result<String> {
    let mut out = String::new();
    for name in model.inputs().collect::<BTreeSet<_>>() {
        out.push_str(&structure(model, name, Needs { decode: true, encode: false })?);
    }
    with_imports(model, "What operations take.", &out)
}

/// `outputs.rs`.
pub(crate) fn outputs(model: &Model) -> Result<String> {
    let mut out = String::new();
    for name in model.outputs().collect::<BTreeSet<_>>() {
        out.push_str(&structure(model, name, Needs { decode: false, encode: true })?);
        if model.metadata.protocol == Protocol::RestJson {
            out.push_str(&output(model, name)?);
        }
    }
    with_imports(model, "What operations answer.", &out)
}

/// `structures.rs`: what inputs and outputs are made of.
pub(crate) fn structures(model: &Model) -> Result<String> {
    let mut out = String::new();
    let decoded = model.reachable(model.inputs())?;
    let encoded = model.reachable(model.outputs())?;
    for name in structure_shapes(model)? {
        let needs = Needs { decode: decoded.contains(name), encode: encoded.contains(name) };
        out.push_str(&structure(model, name, needs)?);
    }
    with_imports(model, "What inputs and outputs are made of.", &out)
}

/// Structures that are neither an operation's input nor its output.
fn structure_shapes(model: &Model) -> Result<Vec<&str>> {
    let roots: BTreeSet<&str> = model.inputs().chain(model.outputs()).collect();
    let mut found = model.reachable(model.inputs().chain(model.outputs()))?.into_iter().collect::<Vec<_>>();
    found.retain(|name| {
        !roots.contains(name) && model.shape(name).is_ok_and(|shape| matches!(shape.kind, Kind::Structure { .. }))
    });
    Ok(found)
}

fn with_imports(model: &Model, subject: &str, text: &str) -> Result<String> {
    let enums: Vec<String> = enum_shapes(model)?.into_iter().map(type_name).collect();
    let structures: Vec<String> = structure_shapes(model)?.into_iter().map(type_name).collect();
    let is_own = |name: &str| text.contains(&format!("pub struct {name} "));
    let others: Vec<&str> = structures.iter().map(String::as_str).filter(|name| !is_own(name)).collect();
    let enums: Vec<&str> = enums.iter().map(String::as_str).collect();
    let uses = imports(
        text,
        &[
            ("bytes", &["Bytes"]),
            ("super::enums", &enums),
            ("super::structures", &others),
            ("crate::encode", &["Head", "JsonWriter", "Output", "ToJson"]),
            ("crate::value", &["FromValue", "Map", "Timestamp", "Value"]),
            ("crate::xml", &["ToXml", "XmlWriter"]),
        ],
    );
    Ok(header(subject) + &uses + text)
}

fn structure(model: &Model, name: &str, needs: Needs) -> Result<String> {
    let members = typed_members(model, name)?;
    let default = if has_default(model, name)? { ", Default" } else { "" };
    let shape = name;
    let name = &type_name(shape);
    let mut out = format!("\n/// `{shape}`.\n#[derive(Clone, PartialEq, Debug{default})]\npub struct {name} {{\n");
    for (_, member) in &members {
        let kind = rust_type(model, &member.shape)?;
        let kind = if member.required { kind } else { format!("Option<{kind}>") };
        out.push_str(&format!("    /// `{}`.\n    pub {}: {kind},\n", member.name, field(&member.name)));
    }
    out.push_str("}\n");
    if needs.decode {
        out.push_str(&from_value(name, &members));
    }
    if needs.encode {
        out.push_str(&to_wire(model.metadata.protocol, name, &members));
    }
    Ok(out)
}

/// The members that have a type, each with its index in the shape.
fn typed_members<'a>(model: &'a Model, name: &str) -> Result<Vec<(usize, &'a Member)>> {
    let members = model.members(name)?.iter().enumerate();
    members
        .filter_map(|(index, member)| match model.shape(&member.shape) {
            Ok(shape) if matches!(shape.kind, Kind::EventStream) => None,
            Ok(_) => Some(Ok((index, member))),
            Err(error) => Some(Err(error)),
        })
        .collect()
}

/// Whether all required members have a default: enums have none.
fn has_default(model: &Model, name: &str) -> Result<bool> {
    for member in model.members(name)?.iter().filter(|m| m.required) {
        let fits = match &model.shape(&member.shape)?.kind {
            Kind::Text { values, .. } => values.is_empty(),
            Kind::Structure { .. } => has_default(model, &member.shape)?,
            _ => true,
        };
        if !fits {
            return Ok(false);
        }
    }
    Ok(true)
}

fn rust_type(model: &Model, shape: &str) -> Result<String> {
    Ok(match &model.shape(shape)?.kind {
        Kind::Text { values, .. } if !values.is_empty() => type_name(shape),
        Kind::Text { .. } => "String".to_owned(),
        Kind::Integer { .. } => "i32".to_owned(),
        Kind::Long { .. } => "i64".to_owned(),
        Kind::Double { .. } => "f64".to_owned(),
        Kind::Boolean => "bool".to_owned(),
        Kind::Blob { .. } => "Bytes".to_owned(),
        Kind::Timestamp => "Timestamp".to_owned(),
        Kind::List { member, .. } => format!("Vec<{}>", rust_type(model, member)?),
        Kind::Map { value, .. } => format!("Map<{}>", rust_type(model, value)?),
        Kind::Structure { .. } | Kind::EventStream => type_name(shape),
    })
}

fn from_value(name: &str, members: &[(usize, &Member)]) -> String {
    let mut out = format!("\nimpl FromValue for {name} {{\n    fn from_value(value: Value) -> Option<Self> {{\n");
    if members.is_empty() {
        out.push_str("        value.structure().map(|_| Self {})\n    }\n}\n");
        return out;
    }
    out.push_str("        let mut members = value.structure()?;\n        Some(Self {\n");
    for (index, member) in members {
        let take = if member.required { "need" } else { "maybe" };
        out.push_str(&format!("            {}: members.{take}({index})?,\n", field(&member.name)));
    }
    out.push_str("        })\n    }\n}\n");
    out
}

/// How a structure writes itself: as JSON, or as the XML of the query protocol.
fn to_wire(protocol: Protocol, name: &str, members: &[(usize, &Member)]) -> String {
    let is_xml = protocol == Protocol::Query;
    let body: Vec<&Member> = members.iter().map(|(_, m)| *m).filter(|m| m.place == Place::Body).collect();
    let (format, writer) = if is_xml { ("xml", "XmlWriter") } else { ("json", "JsonWriter") };
    let shown = if is_xml && body.is_empty() { "_xml" } else { format };
    let mut out = format!("\nimpl {} for {name} {{\n", if is_xml { "ToXml" } else { "ToJson" });
    out.push_str(&format!("    fn write(&self, {shown}: &mut {writer}) {{\n"));
    if !is_xml {
        out.push_str("        json.open('{');\n");
    }
    for member in body {
        let put = if member.required { "member" } else { "maybe" };
        out.push_str(&format!("        {format}.{put}({}, &self.{});\n", literal(&member.wire), field(&member.name)));
    }
    if !is_xml {
        out.push_str("        json.close('}');\n");
    }
    out.push_str("    }\n}\n");
    out
}

/// Where members stand outside the JSON body.
fn output(model: &Model, name: &str) -> Result<String> {
    let members = typed_members(model, name)?;
    let mut lines = String::new();
    for (_, member) in members.iter().filter(|(_, m)| !matches!(m.place, Place::Body | Place::Payload)) {
        let member_field = field(&member.name);
        match member.place {
            Place::Status => lines.push_str(&format!("        head.status(self.{member_field});\n")),
            _ => lines.push_str(&format!(
                "        head.header({}, self.{member_field}.as_deref());\n",
                literal(&member.wire)
            )),
        }
    }
    let payload = members.iter().find(|(_, m)| m.place == Place::Payload);
    let mut out = format!("\nimpl Output for {} {{\n", type_name(name));
    if !lines.is_empty() {
        out.push_str(&format!("    fn head(&self, head: &mut Head) {{\n{lines}    }}\n"));
    }
    if let Some((_, member)) = payload {
        out.push_str(&format!(
            "\n    fn payload(&self) -> Option<Bytes> {{\n        Some(self.{}.clone().unwrap_or_default())\n    }}\n",
            field(&member.name)
        ));
    }
    out.push_str("}\n");
    Ok(out.replace("{\n}", "{}"))
}
