//! What a target gets of an event: all of it, a part, a constant, or a template filled with parts. Pure.

use std::collections::BTreeMap;

use bytes::Bytes;
use hearth_types::limits::TARGET_INPUT_BYTES;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::path::Path;

/// Which of these.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Input {
    /// The event.
    #[default]
    Event,
    /// This, whatever the event: JSON.
    Constant(String),
    /// What lies at a path of the event.
    Path(String),
    /// A template with variables.
    Template {
        /// The paths of its variables, by name.
        paths: BTreeMap<String, String>,
        /// `<name>` stands for a variable.
        template: String,
    },
}

/// What a template may say besides its own variables.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About<'a> {
    /// Of the rule.
    pub(crate) rule_arn: &'a str,
    /// Of the rule.
    pub(crate) rule_name: &'a str,
    /// When the event came in, as text.
    pub(crate) ingestion_time: &'a str,
}

/// The names of variables that every template has.
pub(crate) const PREDEFINED: [&str; 5] = [
    "aws.events.rule-arn",
    "aws.events.rule-name",
    "aws.events.event.ingestion-time",
    "aws.events.event",
    "aws.events.event.json",
];

impl Input {
    /// What the target gets; none where that is more than targets take. `text` is the event as it came, `event` the same,
    /// read.
    pub(crate) fn of(&self, text: &Bytes, event: &Value, about: About<'_>) -> Option<Bytes> {
        match self {
            Input::Event => Some(text.clone()),
            Input::Constant(constant) => Some(Bytes::from(constant.clone())),
            Input::Path(path) if path == "$" => Some(text.clone()),
            // What is not there is given as nothing that JSON can say.
            Input::Path(path) => Some(Bytes::from(at(path, event).unwrap_or(Value::Null).to_string())),
            Input::Template { paths, template } => {
                let variable =
                    |name: &str| predefined(name, text, event, about).or_else(|| at(paths.get(name)?, event));
                fill(template, variable).map(Bytes::from)
            }
        }
    }
}

fn at(path: &str, event: &Value) -> Option<Value> {
    Path::parse(path)?.find(event)
}

fn predefined(name: &str, text: &[u8], event: &Value, about: About<'_>) -> Option<Value> {
    match name {
        "aws.events.rule-arn" => Some(about.rule_arn.into()),
        "aws.events.rule-name" => Some(about.rule_name.into()),
        "aws.events.event.ingestion-time" => Some(about.ingestion_time.into()),
        "aws.events.event.json" => serde_json::from_slice(text).ok(),
        "aws.events.event" => {
            let mut event = event.clone();
            event.as_object_mut()?.remove("detail");
            Some(event)
        }
        _ => None,
    }
}

/// The names of a template's variables, in order.
pub(crate) fn variables(template: &str) -> Vec<&str> {
    pieces(template)
        .filter_map(|piece| if let Piece::Variable { name, .. } = piece { Some(name) } else { None })
        .collect()
}

/// Inside quotes a variable is text; outside it is JSON: texts get quotes, and what is not there is an empty text.
fn fill(template: &str, variable: impl Fn(&str) -> Option<Value>) -> Option<String> {
    let mut filled = String::with_capacity(template.len());
    for piece in pieces(template) {
        if filled.len() > TARGET_INPUT_BYTES {
            return None;
        }
        match piece {
            Piece::Text(text) => filled.push_str(text),
            Piece::Variable { name, quoted: true } => filled.push_str(&as_text(variable(name))),
            Piece::Variable { name, quoted: false } => {
                filled.push_str(&variable(name).unwrap_or_else(|| "".into()).to_string());
            }
        }
    }
    (filled.len() <= TARGET_INPUT_BYTES).then_some(filled)
}

/// Within a JSON string: a text as it stands in one, of anything else the JSON without its quotes.
fn as_text(value: Option<Value>) -> String {
    match value {
        None => String::new(),
        Some(Value::String(text)) => {
            let quoted = Value::String(text).to_string();
            quoted[1..quoted.len() - 1].to_owned()
        }
        Some(other) => other.to_string().replace(['"', '\\'], ""),
    }
}

enum Piece<'t> {
    Text(&'t str),
    Variable { name: &'t str, quoted: bool },
}

/// A template taken apart; it is put together again by its pieces.
fn pieces(template: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = template;
    let mut quoted = false;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some((name, behind)) = variable_at(rest) {
            rest = behind;
            return Some(Piece::Variable { name, quoted });
        }
        let mut escaped = false;
        let end = rest.char_indices().find(|(at, character)| {
            if *at > 0 && *character == '<' && variable_at(&rest[*at..]).is_some() {
                return true;
            }
            match character {
                '\\' => escaped = !escaped,
                '"' if !escaped => quoted = !quoted,
                _ => {}
            }
            escaped = escaped && *character == '\\';
            false
        });
        let (text, behind) = rest.split_at(end.map_or(rest.len(), |(at, _)| at));
        rest = behind;
        Some(Piece::Text(text))
    })
}

/// `<name>` at the beginning, and what is behind it.
fn variable_at(text: &str) -> Option<(&str, &str)> {
    let (name, behind) = text.strip_prefix('<')?.split_once('>')?;
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    is_name.then_some((name, behind))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const EVENT: &str =
        r#"{"id":"i","source":"s","resources":["r1","r2"],"detail":{"state":"on","n":5,"quote":"a\"b","o":{"k":"v"}}}"#;

    fn filled(template: &str) -> String {
        let paths = [
            ("state", "$.detail.state"),
            ("n", "$.detail.n"),
            ("quote", "$.detail.quote"),
            ("o", "$.detail.o"),
            ("all", "$.resources"),
            ("none", "$.detail.none"),
        ];
        let paths = paths.map(|(name, path)| (name.to_owned(), path.to_owned())).into();
        of(Input::Template { paths, template: template.to_owned() })
    }

    fn of(input: Input) -> String {
        let about = About { rule_arn: "arn:rule", rule_name: "rule", ingestion_time: "2024-01-01T00:00:00Z" };
        let made = input.of(&Bytes::from_static(EVENT.as_bytes()), &serde_json::from_str(EVENT).unwrap(), about);
        String::from_utf8(made.unwrap().to_vec()).unwrap()
    }

    #[test]
    fn what_is_made_has_a_bound() {
        let variable = |_: &str| Some(Value::from("x".repeat(1000)));
        assert!(fill(&"<a>".repeat(200), variable).is_some());
        assert_eq!(fill(&"<a>".repeat(100_000), variable), None);
    }

    #[test]
    fn the_event_and_its_parts() {
        assert_eq!(of(Input::Event), EVENT);
        assert_eq!(of(Input::Path("$".into())), EVENT);
        assert_eq!(of(Input::Path("$.detail.o".into())), r#"{"k":"v"}"#);
        assert_eq!(of(Input::Path("$.detail.state".into())), r#""on""#);
        assert_eq!(of(Input::Constant("[1]".into())), "[1]");
    }

    #[test]
    fn templates() {
        assert_eq!(filled(r#""it is <state>""#), r#""it is on""#);
        assert_eq!(
            filled(r#"{"state": <state>, "n": <n>, "all": <all>}"#),
            r#"{"state": "on", "n": 5, "all": ["r1","r2"]}"#
        );
        assert_eq!(filled(r#"{"state": "<state>", "n": "<n>"}"#), r#"{"state": "on", "n": "5"}"#);
        assert_eq!(filled(r#"{"o": <o>, "text": "<o>"}"#), r#"{"o": {"k":"v"}, "text": "{k:v}"}"#);
        assert_eq!(filled(r#"{"q": <quote>, "t": "<quote>"}"#), r#"{"q": "a\"b", "t": "a\"b"}"#);
        assert_eq!(filled(r#"{"none": <none>, "t": "-<none>-"}"#), r#"{"none": "", "t": "--"}"#);
        assert_eq!(filled(r#"{"esc\"": <state>, "a < b": "<state>"}"#), r#"{"esc\"": "on", "a < b": "on"}"#);
        assert_eq!(filled("<n><n>"), "55");
    }

    #[test]
    fn what_every_template_has() {
        assert_eq!(filled("<aws.events.rule-name>"), r#""rule""#);
        assert_eq!(
            filled(r#""<aws.events.rule-arn> <aws.events.event.ingestion-time>""#),
            r#""arn:rule 2024-01-01T00:00:00Z""#
        );
        let whole: Value = serde_json::from_str(&filled("<aws.events.event.json>")).unwrap();
        assert_eq!(whole, serde_json::from_str::<Value>(EVENT).unwrap());
        let without: Value = serde_json::from_str(&filled("<aws.events.event>")).unwrap();
        assert_eq!(without, json!({"id": "i", "source": "s", "resources": ["r1", "r2"]}));
        assert_eq!(variables("<a> \"<b>\" <c d>"), ["a", "b"]);
    }
}
