//! A service model as the generator needs it: `models/SERVICE.json` with `models/SERVICE.overrides.json` laid over it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};

use super::json::Json;

/// All facts, checked.
pub(crate) struct Model {
    pub(crate) metadata: Metadata,
    pub(crate) operations: Vec<Operation>,
    pub(crate) shapes: BTreeMap<String, Shape>,
    pub(crate) errors: Vec<ErrorShape>,
}

/// What holds for the service as a whole.
pub(crate) struct Metadata {
    pub(crate) protocol: Protocol,
    pub(crate) version: String,
    pub(crate) target_prefix: Option<String>,
    pub(crate) xml_namespace: Option<String>,
}

/// How requests and answers are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Protocol {
    RestJson,
    Json10,
    Json11,
    Query,
}

pub(crate) struct Operation {
    pub(crate) name: String,
    /// How paths lead to it; none where the operation is named beside the path.
    pub(crate) http: Option<Http>,
    pub(crate) status: u64,
    pub(crate) iam: String,
    /// None where it takes nothing.
    pub(crate) input: Option<String>,
    pub(crate) output: Option<String>,
}

pub(crate) struct Http {
    pub(crate) method: String,
    /// Parts between slashes; `{Name}` is a label.
    pub(crate) path: Vec<String>,
    /// The query parameter that tells this operation from another one on the same path.
    pub(crate) query: Option<(String, String)>,
}

pub(crate) struct ErrorShape {
    /// As the model names it.
    pub(crate) name: String,
    /// As answers name it.
    pub(crate) code: String,
    pub(crate) status: u64,
    pub(crate) service_fault: bool,
    /// `message` or `Message`.
    pub(crate) text_member: String,
}

pub(crate) struct Shape {
    pub(crate) kind: Kind,
    pub(crate) sensitive: bool,
}

/// Bounds of a size or a value, as the model writes them.
#[derive(Clone, Default)]
pub(crate) struct Bounds {
    pub(crate) min: Option<String>,
    pub(crate) max: Option<String>,
}

pub(crate) enum Kind {
    Text {
        bounds: Bounds,
        pattern: Option<String>,
        values: Vec<String>,
    },
    Integer {
        bounds: Bounds,
    },
    Long {
        bounds: Bounds,
    },
    Double {
        bounds: Bounds,
    },
    Boolean,
    Blob {
        bounds: Bounds,
    },
    Timestamp,
    List {
        bounds: Bounds,
        member: String,
    },
    Map {
        bounds: Bounds,
        key: String,
        value: String,
    },
    Structure {
        members: Vec<Member>,
    },
    /// Frames of an answer that is streamed: written by hand.
    EventStream,
}

pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) shape: String,
    pub(crate) place: Place,
    pub(crate) wire: String,
    pub(crate) required: bool,
}

/// Where in the message a member stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    Body,
    Label,
    Query,
    Header,
    Status,
    Payload,
}

impl Model {
    /// Reads the facts, lays the overrides over them, and checks that every name leads somewhere.
    pub(crate) fn new(mut facts: Json, overrides: &Json) -> Result<Self> {
        lay_over(&mut facts, overrides)?;
        let part = |name: &str| facts.get(name).with_context(|| format!("the facts have no {name}"));
        let mut shapes = BTreeMap::new();
        let mut errors = Vec::new();
        for (name, json) in part("shapes")?.members() {
            match json.get("error") {
                Some(error) => errors.push(error_shape(name, json, error)?),
                None => drop(shapes.insert(name.clone(), shape(json).with_context(|| name.clone())?)),
            }
        }
        let iam = overrides.get("iam").unwrap_or(&Json::Null);
        if let Some((name, _)) =
            iam.members().iter().find(|(name, _)| facts.get("operations").and_then(|o| o.get(name)).is_none())
        {
            bail!("overrides: iam: the model has no operation {name}");
        }
        let operations = part("operations")?
            .members()
            .iter()
            .map(|(name, json)| operation(name, json, iam).with_context(|| name.clone()))
            .collect::<Result<_>>()?;
        let metadata = metadata(part("metadata")?)?;
        Ok(Self { metadata, operations, shapes, errors })
    }

    pub(crate) fn shape(&self, name: &str) -> Result<&Shape> {
        self.shapes.get(name).with_context(|| format!("no shape {name}"))
    }

    /// The members of a structure.
    pub(crate) fn members(&self, name: &str) -> Result<&[Member]> {
        match &self.shape(name)?.kind {
            Kind::Structure { members } => Ok(members),
            _ => bail!("{name} is no structure"),
        }
    }

    /// All shapes that the roots lead to, with themselves.
    pub(crate) fn reachable<'a>(&'a self, roots: impl Iterator<Item = &'a str>) -> Result<BTreeSet<&'a str>> {
        let mut found = BTreeSet::new();
        let mut open: Vec<&str> = roots.collect();
        while let Some(name) = open.pop() {
            if !found.insert(name) {
                continue;
            }
            match &self.shape(name)?.kind {
                Kind::List { member, .. } => open.push(member),
                Kind::Map { key, value, .. } => open.extend([key.as_str(), value]),
                Kind::Structure { members } => open.extend(members.iter().map(|m| m.shape.as_str())),
                _ => {}
            }
        }
        Ok(found)
    }

    /// Names of all input shapes.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = &str> {
        self.operations.iter().filter_map(|o| o.input.as_deref())
    }

    /// Names of all output shapes; a shape that several operations share comes several times.
    pub(crate) fn outputs(&self) -> impl Iterator<Item = &str> {
        self.operations.iter().filter_map(|o| o.output.as_deref())
    }
}

/// Merges shapes, members and operations; then spells patterns as the service prints them.
fn lay_over(facts: &mut Json, overrides: &Json) -> Result<()> {
    let Json::Object(parts) = facts else { bail!("the facts are no object") };
    for (part_name, part) in parts.iter_mut() {
        for (name, change) in overrides.get(part_name).map(Json::members).unwrap_or_default() {
            let new = change.get("type").is_some();
            let mut entry = match part.get(name) {
                Some(entry) => entry.clone(),
                None if new => Json::Object(Vec::new()),
                None => bail!("overrides: the model has no {name} in {part_name}"),
            };
            merge(&mut entry, change);
            part.set(name, entry);
        }
    }
    let Some(prefix) = overrides.get("region_prefix").and_then(Json::text) else { return Ok(()) };
    let Some((_, shapes)) = parts.iter_mut().find(|(name, _)| name == "shapes") else { bail!("no shapes") };
    let Json::Object(shapes) = shapes else { bail!("shapes is no object") };
    for (_, shape) in shapes {
        if let Some(pattern) = shape.get("pattern").and_then(Json::text) {
            let spelt = pattern.replace("[a-z]{2}(", &format!("{prefix}[a-z]{{2}}("));
            shape.set("pattern", Json::Text(spelt));
        }
    }
    Ok(())
}

fn merge(entry: &mut Json, change: &Json) {
    for (name, value) in change.members() {
        match (name.as_str(), entry.get(name)) {
            ("why", _) => {}
            (_, Some(old @ Json::Object(_))) => {
                let mut merged = old.clone();
                merge(&mut merged, value);
                entry.set(name, merged);
            }
            _ => entry.set(name, value.clone()),
        }
    }
}

fn metadata(json: &Json) -> Result<Metadata> {
    let text = |name: &str| json.get(name).and_then(Json::text).map(str::to_owned);
    let protocol = match (text("protocol").as_deref(), text("jsonVersion").as_deref()) {
        (Some("rest-json"), _) => Protocol::RestJson,
        (Some("json"), Some("1.0")) => Protocol::Json10,
        (Some("json"), Some("1.1")) => Protocol::Json11,
        (Some("query"), _) => Protocol::Query,
        (other, _) => bail!("unknown protocol {other:?}"),
    };
    Ok(Metadata {
        protocol,
        version: text("apiVersion").context("apiVersion")?,
        target_prefix: text("targetPrefix"),
        xml_namespace: text("xmlNamespace"),
    })
}

fn operation(name: &str, json: &Json, iam: &Json) -> Result<Operation> {
    let owned = |text: Option<&Json>| text.and_then(Json::text).map(str::to_owned);
    let status = json.get("http").and_then(|http| number(http.get("responseCode")));
    Ok(Operation {
        name: name.to_owned(),
        http: json.get("http").map(http).transpose()?,
        status: status.unwrap_or(200),
        iam: iam.get(name).and_then(Json::text).unwrap_or(name).to_owned(),
        input: owned(json.get("input")),
        output: owned(json.get("output")),
    })
}

fn http(json: &Json) -> Result<Http> {
    let uri = json.get("requestUri").and_then(Json::text).context("requestUri")?;
    let (path, query) = uri.split_once('?').map_or((uri, None), |(path, query)| (path, query.split_once('=')));
    Ok(Http {
        method: json.get("method").and_then(Json::text).context("method")?.to_owned(),
        path: path.trim_matches('/').split('/').map(str::to_owned).collect(),
        query: query.map(|(name, value)| (name.to_owned(), value.to_owned())),
    })
}

/// An error without a status of its own is the client's, unless the model says otherwise.
fn error_shape(name: &str, json: &Json, error: &Json) -> Result<ErrorShape> {
    let members = json.get("members").map(Json::members).unwrap_or_default();
    let text = members.iter().find(|(n, _)| n.eq_ignore_ascii_case("message"));
    let service_fault = json.get("fault") == Some(&Json::Bool(true));
    Ok(ErrorShape {
        name: name.to_owned(),
        code: error.get("code").and_then(Json::text).unwrap_or(name).to_owned(),
        status: number(error.get("httpStatusCode")).unwrap_or(if service_fault { 500 } else { 400 }),
        service_fault,
        text_member: text.map_or("message", |(n, _)| n).to_owned(),
    })
}

fn number(json: Option<&Json>) -> Option<u64> {
    match json {
        Some(Json::Number(number)) => number.as_u64(),
        _ => None,
    }
}

fn shape(json: &Json) -> Result<Shape> {
    let text = |name: &str| json.get(name).and_then(Json::text).map(str::to_owned);
    let bound = |name: &str| match json.get(name) {
        Some(Json::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let bounds = Bounds { min: bound("min"), max: bound("max") };
    let kind = match text("type").context("type")?.as_str() {
        "string" => Kind::Text {
            bounds,
            pattern: text("pattern"),
            values: json.get("enum").map(Json::texts).unwrap_or_default().into_iter().map(str::to_owned).collect(),
        },
        "integer" => Kind::Integer { bounds },
        "long" => Kind::Long { bounds },
        "double" | "float" => Kind::Double { bounds },
        "boolean" => Kind::Boolean,
        "blob" => Kind::Blob { bounds },
        "timestamp" => Kind::Timestamp,
        "list" | "map" if json.get("flattened").is_some() => bail!("flattened lists and maps are not known here"),
        "list" => Kind::List { bounds, member: text("member").context("member")? },
        "map" => Kind::Map { bounds, key: text("key").context("key")?, value: text("value").context("value")? },
        "structure" if json.get("eventstream").is_some() => Kind::EventStream,
        "structure" => Kind::Structure { members: members(json)? },
        other => bail!("unknown type {other}"),
    };
    Ok(Shape { kind, sensitive: json.get("sensitive").is_some() })
}

fn members(json: &Json) -> Result<Vec<Member>> {
    let required = json.get("required").map(Json::texts).unwrap_or_default();
    let payload = json.get("payload").and_then(Json::text);
    let members = json.get("members").map(Json::members).unwrap_or_default();
    let member = |(name, json): &(String, Json)| {
        let place = match json.get("location").and_then(Json::text) {
            _ if payload == Some(name) => Place::Payload,
            None => Place::Body,
            Some("uri") => Place::Label,
            Some("querystring") => Place::Query,
            Some("header") => Place::Header,
            Some("statusCode") => Place::Status,
            Some(other) => bail!("{name}: unknown location {other}"),
        };
        Ok(Member {
            name: name.clone(),
            shape: json.get("shape").and_then(Json::text).with_context(|| format!("{name}: shape"))?.to_owned(),
            place,
            wire: json.get("locationName").and_then(Json::text).unwrap_or(name).to_owned(),
            required: required.contains(&name.as_str()),
        })
    };
    members.iter().map(member).collect()
}
