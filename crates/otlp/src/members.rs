//! What the members of a segment say, in OpenTelemetry's words: the names are those of its receiver for X-Ray, as far as
//! that has one, else `aws.xray.` and X-Ray's own.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::{Map, Value as Json};

use crate::span::{Attributes, Event, Failed, Kind, Value};

/// Attributes of a span, at most: the bound that OpenTelemetry's SDKs have.
const ATTRIBUTES: usize = 128;
/// Exceptions of a span that are told.
const EXCEPTIONS: usize = 32;

type Members = Map<String, Json>;

/// Members with names of OpenTelemetry's: X-Ray's member, where it is in it, what it is called.
const NAMED: [(&str, &[(&str, &str)]); 4] = [
    (
        "aws",
        &[
            ("account_id", "aws.account_id"),
            ("operation", "aws.operation"),
            ("queue_url", "aws.queue_url"),
            ("region", "aws.region"),
            ("request_id", "aws.request_id"),
            ("retries", "aws.xray.retries"),
            ("table_name", "aws.table_name"),
        ],
    ),
    (
        "sql",
        &[
            ("connection_string", "db.connection_string"),
            ("database_type", "db.system"),
            ("sanitized_query", "db.statement"),
            ("url", "db.connection_string"),
            ("user", "db.user"),
        ],
    ),
    (
        "http.request",
        &[
            ("client_ip", "http.client_ip"),
            ("method", "http.method"),
            ("url", "http.url"),
            ("user_agent", "http.user_agent"),
            ("x_forwarded_for", "aws.xray.x_forwarded_for"),
        ],
    ),
    ("http.response", &[("content_length", "http.response_content_length"), ("status", "http.status_code")]),
];

/// Who did the work.
pub(crate) fn kind(members: &Members) -> Kind {
    match members.get("namespace").and_then(Json::as_str) {
        Some("aws" | "remote") => Kind::Client,
        _ => Kind::Internal,
    }
}

/// Attributes, exceptions, and whether it went wrong.
pub(crate) fn describe(members: &Members, in_progress: bool) -> (Attributes, Vec<Event>, Option<Failed>) {
    let mut found = Found::default();
    if in_progress {
        found.put("aws.xray.inprogress", Value::Bool(true));
    }
    if members.get("namespace").is_some_and(|namespace| namespace == "aws") {
        found.put_some("aws.service", members.get("name").and_then(text));
    }
    for flag in ["error", "fault", "throttle"] {
        if is_set(members, flag) {
            found.put(format!("aws.xray.{flag}"), Value::Bool(true));
        }
    }
    found.put_some("enduser.id", members.get("user").and_then(text));
    for (path, names) in NAMED {
        found.named(members, path, names);
    }
    found.annotations(members);
    found.metadata(members);
    let cause = members.get("cause");
    // An exception that is told of below, by its id.
    found.put_some("aws.xray.cause", cause.and_then(text));
    let cause = cause.and_then(Json::as_object);
    let exceptions: Vec<&Members> = list(cause, "exceptions").filter_map(Json::as_object).take(EXCEPTIONS).collect();
    let failed = failed(members, cause, exceptions.first().copied());
    (found.all, exceptions.into_iter().map(exception).collect(), failed)
}

fn failed(members: &Members, cause: Option<&Members>, first: Option<&Members>) -> Option<Failed> {
    let flag = ["fault", "throttle", "error"].into_iter().find(|flag| is_set(members, flag));
    if flag.is_none() && first.is_none() {
        return None;
    }
    let said = |of: Option<&Members>, member: &str| Some(of?.get(member)?.as_str()?.to_owned());
    let message = said(first, "message").or_else(|| said(cause, "message"));
    let message = message.unwrap_or_else(|| flag.unwrap_or("exception").to_owned());
    Some(Failed { error_type: said(first, "type"), message })
}

fn exception(members: &Members) -> Event {
    let mut found = Found::default();
    let said = |member: &str| members.get(member).and_then(Json::as_str);
    found.put_some("exception.type", said("type").map(own));
    found.put_some("exception.message", said("message").map(own));
    if members.get("stack").is_some_and(Json::is_array) {
        let mut trace = format!("{}: {}\n", said("type").unwrap_or_default(), said("message").unwrap_or_default());
        for frame in list(Some(members), "stack").filter_map(Json::as_object) {
            let part = |name: &str| frame.get(name).map(plain).unwrap_or_default();
            // Writing to a string does not fail.
            let _ = writeln!(trace, "\tat {}({}: {})", part("label"), part("path"), part("line"));
        }
        found.put("exception.stacktrace", Value::Text(trace));
    }
    for member in ["id", "remote", "truncated", "skipped", "cause"] {
        found.put_some(format!("aws.xray.exception.{member}"), members.get(member).and_then(scalar));
    }
    Event { name: "exception", attributes: found.all }
}

#[derive(Default)]
struct Found {
    all: Attributes,
}

impl Found {
    /// A key that is there already keeps its value.
    fn put(&mut self, key: impl Into<Cow<'static, str>>, value: Value) {
        let key = key.into();
        if self.all.len() < ATTRIBUTES && self.all.iter().all(|(known, _)| *known != key) {
            self.all.push((key, value));
        }
    }

    fn put_some(&mut self, key: impl Into<Cow<'static, str>>, value: Option<Value>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }

    fn named(&mut self, members: &Members, path: &'static str, names: &[(&str, &'static str)]) {
        let found = path.split('.').try_fold(members, |members, part| members.get(part)?.as_object());
        for (member, value) in found.into_iter().flatten() {
            let name = names.iter().find(|(known, _)| known == member).map(|(_, name)| Cow::Borrowed(*name));
            let name = name.unwrap_or_else(|| format!("aws.xray.{path}.{member}").into());
            self.put(name, scalar(value).unwrap_or_else(|| Value::Text(value.to_string())));
        }
    }

    /// By their own names, which are told as well.
    fn annotations(&mut self, members: &Members) {
        let annotations = members.get("annotations").and_then(Json::as_object);
        let plain = |key: &str| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let annotations: Vec<_> = annotations
            .into_iter()
            .flatten()
            .filter(|(key, _)| plain(key))
            .filter_map(|(key, value)| Some((key, scalar(value)?)))
            .take(ATTRIBUTES)
            .collect();
        if !annotations.is_empty() {
            let keys = annotations.iter().map(|(key, _)| (*key).clone()).collect();
            self.put("aws.xray.annotations", Value::Texts(keys));
        }
        annotations.into_iter().for_each(|(key, value)| self.put(key.clone(), value));
    }

    /// Each namespace as JSON.
    fn metadata(&mut self, members: &Members) {
        for (namespace, value) in members.get("metadata").and_then(Json::as_object).into_iter().flatten() {
            self.put(format!("aws.xray.metadata.{namespace}"), Value::Text(value.to_string()));
        }
    }
}

fn is_set(members: &Members, flag: &str) -> bool {
    members.get(flag).and_then(Json::as_bool) == Some(true)
}

fn list<'m>(members: Option<&'m Members>, member: &str) -> impl Iterator<Item = &'m Json> + use<'m> {
    members.and_then(|members| members.get(member)).and_then(Json::as_array).into_iter().flatten()
}

fn scalar(value: &Json) -> Option<Value> {
    match value {
        Json::Bool(is) => Some(Value::Bool(*is)),
        Json::Number(number) => Some(match number.as_i64() {
            Some(number) => Value::Signed(number),
            None => Value::Real(number.as_f64()?),
        }),
        Json::String(text) => Some(own(text)),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

fn text(value: &Json) -> Option<Value> {
    value.as_str().map(own)
}

fn own(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// As it is read, without quotes.
fn plain(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
