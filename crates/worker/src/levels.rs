//! Which of a function's own lines are kept where it logs as JSON.

use std::borrow::Cow;

use hearth_types::function::LogLevel;
use serde::Deserialize;

/// The members that decide, as Lambda documents them for code that writes JSON by itself.
#[derive(Deserialize)]
struct Decisive<'a> {
    #[serde(borrow, default)]
    level: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    timestamp: Option<Cow<'a, str>>,
}

/// Whether a line of the function is kept at this level. What is no JSON object always is; an object without a level and
/// a time that can be read counts as INFO.
pub(crate) fn keeps(least: LogLevel, line: &[u8]) -> bool {
    if least == LogLevel::Trace || !line.trim_ascii_start().starts_with(b"{") {
        return true;
    }
    match serde_json::from_slice::<Decisive<'_>>(line) {
        Ok(members) => members.level() >= least,
        // Also where the members are no texts.
        Err(_) if is_json(line) => LogLevel::Info >= least,
        Err(_) => true,
    }
}

fn is_json(line: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok()
}

impl Decisive<'_> {
    fn level(&self) -> LogLevel {
        let has_time = self.timestamp.as_ref().is_some_and(|time| time.parse::<jiff::Timestamp>().is_ok());
        let level = self.level.as_deref().filter(|_| has_time).and_then(named);
        level.unwrap_or(LogLevel::Info)
    }
}

/// Levels by the names that the usual logging libraries have for them.
fn named(name: &str) -> Option<LogLevel> {
    const NAMES: [(&str, LogLevel); 9] = [
        ("TRACE", LogLevel::Trace),
        ("DEBUG", LogLevel::Debug),
        ("INFO", LogLevel::Info),
        ("INFORMATION", LogLevel::Info),
        ("WARN", LogLevel::Warn),
        ("WARNING", LogLevel::Warn),
        ("ERROR", LogLevel::Error),
        ("FATAL", LogLevel::Fatal),
        ("CRITICAL", LogLevel::Fatal),
    ];
    NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, level)| *level)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn least_that_drops(line: &str) -> Option<LogLevel> {
        use LogLevel::{Debug, Error, Fatal, Info, Trace, Warn};
        [Trace, Debug, Info, Warn, Error, Fatal].into_iter().find(|least| !keeps(*least, line.as_bytes()))
    }

    #[test]
    fn a_level_with_a_time_counts() {
        let line =
            |level: &str| format!("{{\"level\":\"{level}\",\"timestamp\":\"2024-03-05T12:00:00.1Z\",\"a\":[1]}}\n");
        for (level, dropped_from) in [
            ("TRACE", Some(LogLevel::Debug)),
            ("debug", Some(LogLevel::Info)),
            ("INFO", Some(LogLevel::Warn)),
            ("WARNING", Some(LogLevel::Error)),
            ("error", Some(LogLevel::Fatal)),
            ("CRITICAL", None),
        ] {
            assert_eq!(least_that_drops(&line(level)), dropped_from, "{level}");
        }
    }

    #[test]
    fn an_object_without_them_is_information() {
        for line in [
            "{}",
            "{\"level\":\"ERROR\"}",
            "{\"level\":\"ERROR\",\"timestamp\":\"yesterday\"}",
            "{\"level\":3,\"timestamp\":\"2024-03-05T12:00:00Z\"}",
            "  {\"level\":\"LOUD\",\"timestamp\":\"2024-03-05T12:00:00Z\"}",
        ] {
            assert_eq!(least_that_drops(line), Some(LogLevel::Warn), "{line}");
        }
    }

    #[test]
    fn what_is_no_object_is_kept() {
        for line in ["", "plain", "{\"level\":\"DEBUG\"", "[1]", "\"text\"", "{not json}"] {
            assert_eq!(least_that_drops(line), None, "{line}");
        }
    }
}
