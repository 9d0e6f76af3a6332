//! Moments as signatures write them.

use std::fmt;
use std::time::Duration;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// A moment in whole seconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Seconds since 1970, rounded down.
    #[must_use]
    pub fn since_1970(duration: Duration) -> Self {
        Self(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX))
    }

    /// Seconds since 1970.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0
    }

    /// From `20240305T120000Z`.
    pub(super) fn parse_basic(text: &str) -> Option<Self> {
        let digits = |range: std::ops::Range<usize>| -> Option<i16> {
            let part = text.get(range)?;
            part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())?
        };
        let small = |range| digits(range).and_then(|number| i8::try_from(number).ok());
        if text.len() != 16 || text.as_bytes()[8] != b'T' || text.as_bytes()[15] != b'Z' {
            return None;
        }
        let (hour, minute, second) = (small(9..11)?, small(11..13)?, small(13..15)?);
        let time = jiff::civil::Time::new(hour, minute, second, 0).ok()?;
        Self::of(Date::new(digits(0..4)?, small(4..6)?, small(6..8)?).ok()?.to_datetime(time))
    }

    /// From `Tue, 05 Mar 2024 12:00:00 GMT`.
    pub(super) fn parse_http(text: &str) -> Option<Self> {
        jiff::fmt::rfc2822::parse(text).ok().map(|time| Self(time.timestamp().as_second()))
    }

    fn of(time: DateTime) -> Option<Self> {
        Some(Self(time.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second()))
    }

    /// `2024-03-05T12:00:00Z`.
    #[must_use]
    pub fn extended(self) -> String {
        jiff::Timestamp::from_second(self.0).unwrap_or_default().to_string()
    }

    pub(super) fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)))
    }

    pub(super) fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)))
    }

    /// `20240305`.
    pub(super) fn date(self) -> String {
        self.to_string().chars().take(8).collect()
    }
}

/// `20240305T120000Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = jiff::Timestamp::from_second(self.0).unwrap_or_default().to_zoned(TimeZone::UTC).datetime();
        let (date, clock) = (time.date(), time.time());
        write!(f, "{:04}{:02}{:02}", date.year(), date.month(), date.day())?;
        write!(f, "T{:02}{:02}{:02}Z", clock.hour(), clock.minute(), clock.second())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_name_the_same_moment() {
        let basic = Timestamp::parse_basic("20240305T120000Z").unwrap();
        assert_eq!(basic, Timestamp(1_709_640_000));
        assert_eq!(Timestamp::parse_http("Tue, 05 Mar 2024 12:00:00 GMT"), Some(basic));
        assert_eq!((basic.to_string().as_str(), basic.date().as_str()), ("20240305T120000Z", "20240305"));
        assert_eq!(basic.extended(), "2024-03-05T12:00:00Z");
    }

    #[test]
    fn what_is_no_moment_is_none() {
        for text in [
            "",
            "20240305T120000",
            "20240305 120000Z",
            "20241305T120000Z",
            "2024-03-05T12:00:0",
            "+0240305T120000Z",
            "2024030éT12000Z",
        ] {
            assert_eq!(Timestamp::parse_basic(text), None, "{text}");
        }
    }
}
