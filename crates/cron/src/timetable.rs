//! An expression in a time zone: its times, in milliseconds since 1970.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

use crate::expression::{Expression, Rate};

/// A time zone, by its name in the IANA's database.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Zone(TimeZone);

impl Zone {
    /// None for a name that the database does not have.
    #[must_use]
    pub fn named(name: &str) -> Option<Zone> {
        jiff::tz::db().get(name).ok().map(Zone)
    }

    /// UTC.
    #[must_use]
    pub fn utc() -> Zone {
        Zone(TimeZone::UTC)
    }

    /// What clocks there show.
    fn civil(&self, ms: i64) -> Option<DateTime> {
        Timestamp::from_millisecond(ms).ok().map(|time| self.0.to_datetime(time))
    }

    /// When clocks there first show that; none where they jump over it.
    fn first(&self, civil: DateTime) -> Option<i64> {
        let ambiguous = self.0.to_ambiguous_timestamp(civil);
        match ambiguous.offset() {
            AmbiguousOffset::Gap { .. } => None,
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => {
                ambiguous.earlier().ok().map(Timestamp::as_millisecond)
            }
        }
    }

    /// The same, or as much later as clocks jump.
    fn first_or_later(&self, civil: DateTime) -> Option<i64> {
        self.0.to_ambiguous_timestamp(civil).compatible().ok().map(Timestamp::as_millisecond)
    }
}

/// All times of an expression.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Timetable {
    /// Which.
    pub expression: Expression,
    /// Where. A rate does not depend on it.
    pub zone: Zone,
    /// What a rate counts from, in milliseconds since 1970.
    pub start_ms: i64,
    /// Whether a rate's first time is its start, and not one distance later.
    pub at_start: bool,
}

impl Timetable {
    /// The first time behind `after_ms`; none where there is no more.
    ///
    /// Minutes that clocks jump over in spring do not come; of those that come twice in autumn the first ones count.
    #[must_use]
    pub fn next(&self, after_ms: i64) -> Option<i64> {
        match &self.expression {
            Expression::Rate(rate) => self.next_of_rate(*rate, after_ms),
            Expression::At(civil) => self.zone.first_or_later(*civil).filter(|time| *time > after_ms),
            Expression::Cron(cron) => {
                let mut civil = self.zone.civil(after_ms)?;
                loop {
                    civil = cron.next(civil)?;
                    // Behind a minute that came twice there are some that were already there.
                    if let Some(time) = self.zone.first(civil).filter(|time| *time > after_ms) {
                        return Some(time);
                    }
                }
            }
        }
    }

    fn next_of_rate(&self, Rate { period_ms }: Rate, after_ms: i64) -> Option<i64> {
        let first = if self.at_start { self.start_ms } else { self.start_ms.checked_add(period_ms)? };
        if after_ms < first {
            return Some(first);
        }
        let gone = after_ms.checked_sub(first)? / period_ms;
        first.checked_add(gone.checked_add(1)?.checked_mul(period_ms)?)
    }

    /// The last time behind `after_ms` and not behind `until_ms`.
    #[must_use]
    pub fn latest(&self, after_ms: i64, until_ms: i64) -> Option<i64> {
        let within = |from: i64| self.next(from).filter(|time| *time <= until_ms);
        let mut back = 60_000;
        loop {
            let from = until_ms.saturating_sub(back).max(after_ms);
            if let Some(first) = within(from) {
                return Some(std::iter::successors(Some(first), |time| within(*time)).last().unwrap_or(first));
            }
            if from == after_ms {
                return None;
            }
            back = back.saturating_mul(8);
        }
    }
}
