//! Whether a function is called in even steps, and when it will be called next.

use std::time::Duration;

/// Steps of about the same length, one after the other, before the next one is believed in.
const STEADY: u8 = 3;
/// A step that is off by more than this part of the length so far begins anew.
const TOLERANCE: u32 = 8;
/// What comes within this part of a step after a call belongs to that call: a burst is one beat.
const BURST: u32 = 4;

/// The steps between a function's calls, where they are even.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Rhythm {
    /// Milliseconds; none before the first call.
    last_ms: Option<u64>,
    step_ms: u64,
    /// By how much a step was off at most, old ones counting less.
    off_ms: u64,
    steady: u8,
}

impl Rhythm {
    /// A call. Whether it is a beat, and no part of the burst of the one before.
    pub(crate) fn beat(&mut self, now: Duration) -> bool {
        let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let Some(last_ms) = self.last_ms else {
            self.last_ms = Some(now_ms);
            return true;
        };
        let step_ms = now_ms.saturating_sub(last_ms);
        if self.steady > 0 && step_ms < self.step_ms / u64::from(BURST) {
            return false;
        }
        self.last_ms = Some(now_ms);
        let off_ms = step_ms.abs_diff(self.step_ms);
        if self.steady == 0 || off_ms > self.step_ms / u64::from(TOLERANCE) {
            *self = Self { last_ms: self.last_ms, step_ms, off_ms: 0, steady: 1 };
        } else {
            self.step_ms = (3 * self.step_ms + step_ms) / 4;
            self.off_ms = off_ms.max(self.off_ms * 7 / 8);
            self.steady = self.steady.saturating_add(1).min(STEADY);
        }
        true
    }

    /// The earliest that the next call is expected; none where that cannot be said.
    pub(crate) fn next(&self) -> Option<Duration> {
        let last_ms = self.last_ms.filter(|_| self.steady >= STEADY)?;
        Some(Duration::from_millis(last_ms + self.step_ms.saturating_sub(2 * self.off_ms)))
    }

    /// The last beat.
    pub(crate) fn last(&self) -> Option<Duration> {
        self.last_ms.map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(beats_s: &[u64]) -> Option<u64> {
        let mut rhythm = Rhythm::default();
        beats_s.iter().for_each(|at| {
            rhythm.beat(Duration::from_secs(*at));
        });
        rhythm.next().map(|next| next.as_secs())
    }

    #[test]
    fn even_steps_are_believed_in_after_three() {
        assert_eq!(after(&[0, 600, 1200]), None);
        assert_eq!(after(&[0, 600, 1200, 1800]), Some(2400));
        assert_eq!(after(&[7, 607, 1207, 1807, 2407]), Some(3007));
    }

    #[test]
    fn uneven_steps_are_not() {
        assert_eq!(after(&[0, 600, 1000, 1900, 2100, 3100]), None);
        assert_eq!(after(&[0, 600, 1200, 1800, 2700]), None, "one that is missed begins anew");
    }

    #[test]
    fn what_wavers_is_expected_earlier() {
        assert_eq!(after(&[0, 600, 1210, 1800]), Some(2374));
    }

    #[test]
    fn a_burst_is_one_beat() {
        assert_eq!(after(&[0, 600, 601, 602, 1200, 1203, 1800, 1801, 2400]), Some(3000));
    }
}
