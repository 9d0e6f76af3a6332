//! Targets and actions as the metadata store keeps them.

use hearth_cron::{Expression, Timetable, Zone};
use serde::{Deserialize, Serialize};

/// What may be scaled, and between which bounds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct TargetRecord {
    /// `function:NAME:QUALIFIER`.
    pub(super) resource: String,
    /// In its ARN.
    pub(super) id: String,
    pub(super) bounds: Bounds,
    pub(super) suspended: Suspended,
    /// Milliseconds since 1970.
    pub(super) created_ms: i64,
}

/// Environments of a target.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Bounds {
    pub(super) min: u32,
    pub(super) max: u32,
}

/// What of a target's scaling is suspended.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub(super) struct Suspended {
    pub(super) scaling_in: bool,
    pub(super) scaling_out: bool,
    pub(super) scheduled: bool,
}

/// New bounds of a target at certain times.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct ActionRecord {
    pub(super) resource: String,
    pub(super) name: String,
    /// In its ARN.
    pub(super) id: String,
    pub(super) schedule: String,
    pub(super) zone: Option<String>,
    pub(super) from_ms: Option<i64>,
    pub(super) until_ms: Option<i64>,
    pub(super) min: Option<u32>,
    pub(super) max: Option<u32>,
    /// Since when its times count, in milliseconds since 1970.
    pub(super) start_ms: i64,
    /// Until when its times have been seen to.
    pub(super) seen_ms: i64,
    /// Milliseconds since 1970.
    pub(super) created_ms: i64,
}

impl Bounds {
    /// With what an action says of them; none where the smaller would be above the larger.
    pub(super) fn moved(self, min: Option<u32>, max: Option<u32>) -> Option<Self> {
        let moved = Self { min: min.unwrap_or(self.min), max: max.unwrap_or(self.max) };
        (moved.min <= moved.max).then_some(moved)
    }
}

impl ActionRecord {
    /// The first time that has not been seen to, and the last one that is not behind `now_ms`, where there is one.
    pub(super) fn due(&self, now_ms: i64) -> Due {
        let Some(timetable) = self.timetable() else { return Due::default() };
        let until_ms = self.until_ms.unwrap_or(i64::MAX);
        let next = |after: i64| timetable.next(after).filter(|time| *time <= until_ms);
        let last = timetable.latest(self.seen_ms, until_ms.min(now_ms));
        Due { now: last, next: next(last.unwrap_or(self.seen_ms)) }
    }

    fn timetable(&self) -> Option<Timetable> {
        let expression = Expression::of_schedule(&self.schedule)?;
        let zone = self.zone.as_deref().and_then(Zone::named).unwrap_or_else(Zone::utc);
        Some(Timetable { expression, zone, start_ms: self.start_ms, at_start: self.from_ms.is_some() })
    }
}

/// When an action is due. Of the times that were missed, the last one counts.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Due {
    /// The time that it is due for now.
    pub(super) now: Option<i64>,
    pub(super) next: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    fn action(schedule: &str) -> ActionRecord {
        ActionRecord {
            resource: "function:f:live".to_owned(),
            name: "a".to_owned(),
            id: String::new(),
            schedule: schedule.to_owned(),
            zone: None,
            from_ms: None,
            until_ms: None,
            min: None,
            max: None,
            start_ms: 0,
            seen_ms: 0,
            created_ms: 0,
        }
    }

    #[test]
    fn of_missed_times_the_last_one_counts() {
        let hourly = action("rate(1 hour)");
        assert_eq!(hourly.due(HOUR_MS - 1), Due { now: None, next: Some(HOUR_MS) });
        assert_eq!(hourly.due(3 * HOUR_MS + 5), Due { now: Some(3 * HOUR_MS), next: Some(4 * HOUR_MS) });
        let seen = ActionRecord { seen_ms: 3 * HOUR_MS, ..hourly.clone() };
        assert_eq!(seen.due(3 * HOUR_MS + 5), Due { now: None, next: Some(4 * HOUR_MS) });
        let ends = ActionRecord { until_ms: Some(2 * HOUR_MS), ..hourly };
        assert_eq!(ends.due(9 * HOUR_MS), Due { now: Some(2 * HOUR_MS), next: None });
        assert_eq!(action("at(1970-01-01T02:00:00)").due(HOUR_MS), Due { now: None, next: Some(2 * HOUR_MS) });
    }

    #[test]
    fn bounds_move_one_by_one_and_never_cross() {
        let bounds = Bounds { min: 1, max: 5 };
        assert_eq!(bounds.moved(Some(3), None), Some(Bounds { min: 3, max: 5 }));
        assert_eq!(bounds.moved(None, Some(1)), Some(Bounds { min: 1, max: 1 }));
        assert_eq!(bounds.moved(Some(6), None), None);
        assert_eq!(bounds.moved(Some(0), Some(0)), Some(Bounds { min: 0, max: 0 }));
    }
}
