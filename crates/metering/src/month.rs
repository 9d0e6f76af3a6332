//! Months, in UTC, as bills have them.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// A month of a year; the earlier ones come first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Month {
    year: i16,
    /// 1 to 12.
    month: i8,
}

impl Month {
    /// The month in which this is, in milliseconds since 1970.
    #[must_use]
    pub fn of(ms: i64) -> Self {
        let date = Timestamp::from_millisecond(ms).unwrap_or_default().to_zoned(TimeZone::UTC).date();
        Self { year: date.year(), month: date.month() }
    }

    /// So many months earlier.
    #[must_use]
    pub fn earlier(self, months: usize) -> Self {
        let all = i64::from(self.year) * 12 + i64::from(self.month) - 1;
        let all = all - i64::try_from(months).unwrap_or(i64::MAX).min(all);
        Self { year: i16::try_from(all / 12).unwrap_or_default(), month: i8::try_from(all % 12 + 1).unwrap_or(1) }
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl FromStr for Month {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no month like 2026-11");
        let date: Date = format!("{text}-01").parse().map_err(|_| wrong())?;
        let month = Self { year: date.year(), month: date.month() };
        if month.to_string() == text { Ok(month) } else { Err(wrong()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_read_and_counted() {
        let month = Month::of(1_709_640_000_000);
        assert_eq!(month.to_string(), "2024-03");
        assert_eq!("2024-03".parse(), Ok(month));
        assert_eq!(month.earlier(3).to_string(), "2023-12");
        assert_eq!(month.earlier(0), month);
        assert!(month.earlier(1) < month);
        for bad in ["2024-3", "2024-13", "2024", "", "2024-03-01"] {
            assert!(bad.parse::<Month>().is_err(), "{bad}");
        }
    }
}
