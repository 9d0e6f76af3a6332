//! What subscribers are told, in the forms of both interfaces.

use std::cell::OnceCell;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::buffer::Lost;
use super::subscription::{Form, Kind, Subscription};
use crate::text;

/// Why events are lost, as Lambda says it.
const FALLEN_BEHIND: &str = "Consumer seems to have fallen behind as it has not acknowledged receipt of logs.";

/// Something that happened in an environment.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A line of the function, or of its extensions.
    Line { kind: Kind, wall_ms: i64, text: Bytes },
    /// Something of the platform, whole, for each interface that has it.
    Platform { telemetry: Option<Bytes>, logs: Option<LogsRecord> },
}

/// An event of the Logs API.
#[derive(Clone, Debug)]
pub(crate) struct LogsRecord {
    pub(crate) event: Bytes,
    /// Since schema version 2021-03-18.
    pub(crate) is_later: bool,
}

#[derive(Serialize)]
struct Envelope<'a, R> {
    time: String,
    #[serde(rename = "type")]
    kind: &'a str,
    record: R,
}

/// An event as both interfaces write it. `wall_ms` is milliseconds since 1970.
pub(crate) fn envelope(wall_ms: i64, kind: &str, record: impl Serialize) -> Bytes {
    let event = Envelope { time: text::rfc3339(wall_ms), kind, record };
    // There is nothing in what is passed here that could not be written.
    serde_json::to_vec(&event).unwrap_or_default().into()
}

impl Event {
    /// A failure that ended an invoke, in one line: the Logs API alone has it as an event.
    pub(crate) fn fault(wall_ms: i64, message: &str) -> Self {
        let event = envelope(wall_ms, "platform.fault", message);
        Self::Platform { telemetry: None, logs: Some(LogsRecord { event, is_later: false }) }
    }

    /// Bytes that it takes while it is kept.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Line { text, .. } => text.len(),
            Self::Platform { telemetry, logs } => {
                telemetry.as_ref().map_or(0, Bytes::len) + logs.as_ref().map_or(0, |record| record.event.len())
            }
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Line { kind, .. } => *kind,
            Self::Platform { .. } => Kind::Platform,
        }
    }
}

/// An event on its way to subscribers, who share what is written.
pub(crate) struct Written<'a> {
    event: &'a Event,
    /// The function writes its log in JSON.
    objects: bool,
    /// A line as a string.
    string: OnceCell<Bytes>,
    /// And as the object that it may be.
    object: OnceCell<Bytes>,
}

impl<'a> Written<'a> {
    /// `objects`: the function writes its log in JSON.
    pub(crate) fn new(event: &'a Event, objects: bool) -> Self {
        Self { event, objects, string: OnceCell::new(), object: OnceCell::new() }
    }

    /// As a subscriber gets it: none where it has not asked for it.
    pub(crate) fn of(&self, subscription: &Subscription) -> Option<Bytes> {
        if !subscription.kinds.contains(&self.event.kind()) {
            return None;
        }
        match self.event {
            Event::Line { kind, wall_ms, text } => {
                let objects = self.objects && subscription.form == Form::Telemetry { objects: true };
                let form = if objects { &self.object } else { &self.string };
                Some(form.get_or_init(|| line(kind.name(), *wall_ms, text, objects)).clone())
            }
            Event::Platform { telemetry, logs } => match subscription.form {
                Form::Telemetry { .. } => telemetry.clone(),
                Form::Logs { runtime_done } => {
                    logs.as_ref().filter(|record| runtime_done || !record.is_later).map(|record| record.event.clone())
                }
            },
        }
    }
}

impl Kind {
    /// In events and subscriptions.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::Function => "function",
            Self::Extension => "extension",
        }
    }
}

/// What was lost, for subscribers to the platform's events.
pub(crate) fn logs_dropped(wall_ms: i64, lost: Lost) -> Bytes {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Dropped {
        dropped_bytes: u64,
        dropped_records: u64,
        reason: &'static str,
    }
    let Lost { records, bytes } = lost;
    let record = Dropped { dropped_bytes: bytes, dropped_records: records, reason: FALLEN_BEHIND };
    envelope(wall_ms, "platform.logsDropped", record)
}

/// A string with all that was written, or the very object that it is.
fn line(kind: &str, wall_ms: i64, text: &[u8], objects: bool) -> Bytes {
    let object = if objects { serde_json::from_slice::<&RawValue>(text.trim_ascii()).ok() } else { None };
    match object.filter(|object| object.get().starts_with('{') && !object.get().contains('\n')) {
        Some(object) => envelope(wall_ms, kind, object),
        None => envelope(wall_ms, kind, String::from_utf8_lossy(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: i64 = 1_709_640_000_120;

    fn written(text: &'static [u8], objects: bool) -> String {
        let event = line("function", AT, text, objects);
        let text = std::str::from_utf8(&event).unwrap();
        let record = text.strip_prefix(r#"{"time":"2024-03-05T12:00:00.120Z","type":"function","record":"#).unwrap();
        record.strip_suffix('}').unwrap().to_owned()
    }

    #[test]
    fn a_line_is_a_string_whatever_is_in_it() {
        assert_eq!(written(b"plain\n", false), r#""plain\n""#);
        assert_eq!(written(b"{\"a\": 1}\n", false), r#""{\"a\": 1}\n""#);
        assert_eq!(written(b"\xff\x00\x1b[0m\"}\n", true), r#""�\u0000\u001b[0m\"}\n""#);
        for no_object in [&b"[1]\n"[..], b"1\n", b"{\"a\":\n", b"{} {}\n", b"\n"] {
            assert!(written(no_object, true).starts_with('"'), "{no_object:?}");
        }
    }

    #[test]
    fn a_line_of_json_is_an_object_where_functions_write_such() {
        assert_eq!(written(b"{\"level\": \"INFO\", \"n\": 1.0}\n", true), r#"{"level": "INFO", "n": 1.0}"#);
    }
}
