//! What the members of a segment say, in OpenTelemetry's words: the names are those of its receiver for X-Ray, as far as
//! that has one, else `aws.xray.` and X-Ray's own.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::{Map, Value as Json};

use crate::span::{Attributes, Event, Failed, Kind, Value};

/// Attributes of a span, at most: the bound that OpenTelemetry's SDKs have.
const ATTRIBUTES: usize = 128;
/// Bytes of a key, at most.
const KEY: usize = 255;
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

/// What a cause says of one exception.
pub(crate) fn exception(members: &Members) -> Event {
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
        if key.len() <= KEY && self.all.len() < ATTRIBUTES && self.all.iter().all(|(known, _)| *known != key) {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn described(segment: &Json) -> (Vec<(String, Value)>, Vec<Event>, Option<Failed>) {
        let (attributes, events, failed) = describe(segment.as_object().unwrap(), false);
        (attributes.into_iter().map(|(key, value)| (key.into_owned(), value)).collect(), events, failed)
    }

    fn keys(segment: &Json) -> Vec<String> {
        described(segment).0.into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn members_have_the_names_of_opentelemetrys_receiver() {
        let segment = json!({
            "name": "DynamoDB", "namespace": "aws", "error": true, "throttle": true, "user": "ann",
            "aws": {"operation": "GetItem", "region": "eu-west-1", "table_name": "t", "request_id": "R", "retries": 2, "bucket_name": "b"},
            "http": {"request": {"method": "POST", "url": "https://h/"}, "response": {"status": 400, "content_length": 7}},
            "sql": {"url": "jdbc:x", "sanitized_query": "select ?", "database_type": "PostgreSQL", "preparation": "call"},
        });
        let (mut attributes, ..) = described(&segment);
        attributes.sort_by(|a, b| a.0.cmp(&b.0));
        let text = |value: &str| Value::Text(value.to_owned());
        let expected = [
            ("aws.operation", text("GetItem")),
            ("aws.region", text("eu-west-1")),
            ("aws.request_id", text("R")),
            ("aws.service", text("DynamoDB")),
            ("aws.table_name", text("t")),
            ("aws.xray.aws.bucket_name", text("b")),
            ("aws.xray.error", Value::Bool(true)),
            ("aws.xray.retries", Value::Signed(2)),
            ("aws.xray.sql.preparation", text("call")),
            ("aws.xray.throttle", Value::Bool(true)),
            ("db.connection_string", text("jdbc:x")),
            ("db.statement", text("select ?")),
            ("db.system", text("PostgreSQL")),
            ("enduser.id", text("ann")),
            ("http.method", text("POST")),
            ("http.response_content_length", Value::Signed(7)),
            ("http.status_code", Value::Signed(400)),
            ("http.url", text("https://h/")),
        ];
        assert_eq!(attributes, expected.map(|(key, value)| (key.to_owned(), value)));
        assert_eq!(kind(segment.as_object().unwrap()), Kind::Client);
    }

    #[test]
    fn annotations_keep_their_names_and_types_and_replace_nothing() {
        let segment = json!({
            "annotations": {"text": "a", "count": -3, "share": 0.5, "is": true, "a.b": "no", "list": [1], "": 1},
            "metadata": {"default": {"k": [1]}, "other": "x"},
        });
        let (attributes, ..) = described(&segment);
        let of = |key: &str| attributes.iter().find(|(known, _)| known == key).map(|(_, value)| value.clone());
        assert_eq!(of("count"), Some(Value::Signed(-3)));
        assert_eq!(of("share"), Some(Value::Real(0.5)));
        assert_eq!((of("is"), of("a.b"), of("list")), (Some(Value::Bool(true)), None, None));
        assert_eq!(of("aws.xray.metadata.default"), Some(Value::Text(r#"{"k":[1]}"#.to_owned())));
        assert_eq!(of("aws.xray.metadata.other"), Some(Value::Text("\"x\"".to_owned())));
        let Some(Value::Texts(mut told)) = of("aws.xray.annotations") else { panic!("{attributes:?}") };
        told.sort();
        assert_eq!(told, ["count", "is", "share", "text"]);
    }

    #[test]
    fn there_are_no_more_than_a_collector_takes() {
        let many = |count: usize| (0..count).map(|n| (format!("k{n}"), json!(n))).collect::<Members>();
        assert_eq!(keys(&json!({"annotations": many(500), "metadata": many(500)})).len(), ATTRIBUTES);
        assert!(keys(&json!({"metadata": {"k".repeat(KEY): 1}})).is_empty());
        let exceptions: Vec<Json> = (0..100).map(|n| json!({"message": n.to_string()})).collect();
        assert_eq!(described(&json!({"cause": {"exceptions": exceptions}})).1.len(), EXCEPTIONS);
    }

    #[test]
    fn what_went_wrong_is_said_by_the_first_exception() {
        let stack = json!([{"path": "app.py", "line": 7, "label": "pay"}, {"label": "main"}, 5]);
        let exception =
            json!({"id": "00000000000000aa", "type": "KeyError", "message": "'x'", "remote": true, "stack": stack});
        let (_, events, failed) =
            described(&json!({"fault": true, "cause": {"message": "m", "exceptions": [exception]}}));
        assert_eq!(failed, Some(Failed { error_type: Some("KeyError".to_owned()), message: "'x'".to_owned() }));
        let text = |value: &str| Value::Text(value.to_owned());
        let expected = [
            ("exception.type", text("KeyError")),
            ("exception.message", text("'x'")),
            ("exception.stacktrace", text("KeyError: 'x'\n\tat pay(app.py: 7)\n\tat main(: )\n")),
            ("aws.xray.exception.id", text("00000000000000aa")),
            ("aws.xray.exception.remote", Value::Bool(true)),
        ];
        assert_eq!(events[0].attributes, expected.map(|(key, value)| (key.into(), value)));
        let message = |segment: &Json| described(segment).2.map(|failed| failed.message);
        assert_eq!(message(&json!({"error": true})).as_deref(), Some("error"));
        assert_eq!(message(&json!({"throttle": true, "error": true})).as_deref(), Some("throttle"));
        assert_eq!(message(&json!({"fault": true, "cause": {"message": "m"}})).as_deref(), Some("m"));
        assert_eq!(message(&json!({"fault": false, "cause": "00000000000000aa"})), None);
        assert_eq!(keys(&json!({"cause": "00000000000000aa"})), ["aws.xray.cause"]);
    }
}
