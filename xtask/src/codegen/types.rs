//! A Rust type per structure and enum that an input or an output leads to.

use std::collections::BTreeSet;

use anyhow::Result;

use super::emit::{header, literal};
use super::model::{Kind, Member, Model, Place};
use super::names::{field, variant};

/// Which conversions a structure needs.
#[derive(Clone, Copy)]
struct Needs {
    decode: bool,
    encode: bool,
}

const IMPORTS: &str = "use bytes::Bytes;\n\nuse super::enums::*;\nuse super::structures::*;\n";

/// `enums.rs`.
pub(crate) fn enums(model: &Model) -> Result<String> {
    let mut out = header("The sets of values that members take.");
    out.push_str("use crate::value::string_enum;\n");
    for name in model.reachable(model.inputs().chain(model.outputs()))? {
        if let Kind::Text { values, .. } = &model.shape(name)?.kind
            && !values.is_empty()
        {
            out.push_str(&format!("\nstring_enum! {{ {name} {{\n"));
            for value in values {
                out.push_str(&format!("    {} = {},\n", variant(value), literal(value)));
            }
            out.push_str("} }\n");
        }
    }
    Ok(out)
}

/// `inputs.rs`.
pub(crate) fn inputs(model: &Model) -> Result<String> {
    let mut out = header("What operations take.");
    out.push_str(IMPORTS);
    out.push_str("use crate::value::{FromValue, Map, Timestamp, Value};\n");
    for name in model.inputs().collect::<BTreeSet<_>>() {
        out.push_str(&structure(model, name, Needs { decode: true, encode: false })?);
    }
    Ok(out)
}

/// `outputs.rs`.
pub(crate) fn outputs(model: &Model) -> Result<String> {
    let mut out = header("What operations answer.");
    out.push_str(IMPORTS);
    out.push_str("use crate::encode::{Head, JsonWriter, Output, ToJson};\nuse crate::value::{Map, Timestamp};\n");
    for name in model.outputs().collect::<BTreeSet<_>>() {
        out.push_str(&structure(model, name, Needs { decode: false, encode: true })?);
        out.push_str(&output(model, name)?);
    }
    Ok(out)
}

/// `structures.rs`: what inputs and outputs are made of.
pub(crate) fn structures(model: &Model) -> Result<String> {
    let mut out = header("What inputs and outputs are made of.");
    out.push_str("use bytes::Bytes;\n\nuse super::enums::*;\n");
    out.push_str("use crate::encode::{JsonWriter, ToJson};\nuse crate::value::{FromValue, Map, Timestamp, Value};\n");
    let decoded = model.reachable(model.inputs())?;
    let encoded = model.reachable(model.outputs())?;
    let roots: BTreeSet<&str> = model.inputs().chain(model.outputs()).collect();
    for name in decoded.union(&encoded).copied().filter(|name| !roots.contains(name)) {
        if let Kind::Structure { .. } = model.shape(name)?.kind {
            let needs = Needs { decode: decoded.contains(name), encode: encoded.contains(name) };
            out.push_str(&structure(model, name, needs)?);
        }
    }
    Ok(out)
}

fn structure(model: &Model, name: &str, needs: Needs) -> Result<String> {
    let members = typed_members(model, name)?;
    let default = if has_default(model, name)? { ", Default" } else { "" };
    let mut out = format!("\n/// `{name}`.\n#[derive(Clone, PartialEq, Debug{default})]\npub struct {name} {{\n");
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
        out.push_str(&to_json(name, &members));
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
        Kind::Text { values, .. } if !values.is_empty() => shape.to_owned(),
        Kind::Text { .. } => "String".to_owned(),
        Kind::Integer { .. } => "i32".to_owned(),
        Kind::Long { .. } => "i64".to_owned(),
        Kind::Double { .. } => "f64".to_owned(),
        Kind::Boolean => "bool".to_owned(),
        Kind::Blob { .. } => "Bytes".to_owned(),
        Kind::Timestamp => "Timestamp".to_owned(),
        Kind::List { member, .. } => format!("Vec<{}>", rust_type(model, member)?),
        Kind::Map { value, .. } => format!("Map<{}>", rust_type(model, value)?),
        Kind::Structure { .. } | Kind::EventStream => shape.to_owned(),
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

fn to_json(name: &str, members: &[(usize, &Member)]) -> String {
    let body: Vec<&Member> = members.iter().map(|(_, m)| *m).filter(|m| m.place == Place::Body).collect();
    let mut out = format!("\nimpl ToJson for {name} {{\n    fn write(&self, json: &mut JsonWriter) {{\n");
    out.push_str("        json.open('{');\n");
    for member in body {
        let put = if member.required { "member" } else { "maybe" };
        out.push_str(&format!("        json.{put}({}, &self.{});\n", literal(&member.wire), field(&member.name)));
    }
    out.push_str("        json.close('}');\n    }\n}\n");
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
    let mut out = format!("\nimpl Output for {name} {{\n");
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
