//! Whether a function is called in even steps, and when it will be called next.

use std::time::Duration;

/// Steps of about the same length, one after the other, before the next one is believed in.
const STEADY: u8 = 3;
/// A step that is off by more than this part of the length so far begins anew.
const TOLERANCE: u32 = 8;
/// What comes within this part of a step after a call belongs to that call: a burst is one beat.
const BURST: u32 = 4;

/// The even steps in which a function is called, as far as another scheduler goes on with them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Steps {
    /// From one call to the next; more than nothing.
    pub step: Duration,
    /// By how much a step was off at most.
    pub off: Duration,
    /// Since the last call.
    pub since: Duration,
    /// How long the init of what was called takes, where that is known.
    pub init: Option<Duration>,
}

/// The steps between a function's calls, where they are even.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Rhythm {
    /// Milliseconds, less than nothing where it was before the scheduler was; none before the first call.
    last_ms: Option<i64>,
    step_ms: u64,
    /// By how much a step was off at most, old ones counting less.
    off_ms: u64,
    steady: u8,
}

impl Rhythm {
    /// A call. Whether it is a beat, and no part of the burst of the one before.
    pub(crate) fn beat(&mut self, now: Duration) -> bool {
        let now_ms = as_ms(now);
        let Some(last_ms) = self.last_ms else {
            self.last_ms = Some(now_ms);
            return true;
        };
        let step_ms = u64::try_from(now_ms.saturating_sub(last_ms)).unwrap_or(0);
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
        let step_ms = self.step_ms.saturating_sub(2 * self.off_ms);
        u64::try_from(last_ms.saturating_add_unsigned(step_ms)).ok().map(Duration::from_millis)
    }

    /// The last beat; the scheduler's beginning where it was before that.
    pub(crate) fn last(&self) -> Option<Duration> {
        self.last_ms.map(|last_ms| Duration::from_millis(u64::try_from(last_ms).unwrap_or(0)))
    }

    /// What another one goes on with; none where the steps are not even.
    pub(crate) fn steps(&self, now: Duration) -> Option<Steps> {
        let last_ms = self.last_ms.filter(|_| self.steady >= STEADY && self.step_ms > 0)?;
        Some(Steps {
            step: Duration::from_millis(self.step_ms),
            off: Duration::from_millis(self.off_ms),
            since: Duration::from_millis(u64::try_from(as_ms(now).saturating_sub(last_ms)).unwrap_or(0)),
            init: None,
        })
    }

    /// One that goes on with these: steps that have passed since the last call are as if they had been called in.
    pub(crate) fn resumed(Steps { step, off, since, .. }: Steps, now: Duration) -> Self {
        let step_ms = as_ms(step).max(1);
        Self {
            last_ms: Some(as_ms(now) - as_ms(since) % step_ms),
            step_ms: step_ms.unsigned_abs(),
            off_ms: as_ms(off).unsigned_abs(),
            steady: STEADY,
        }
    }
}

fn as_ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
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

    #[test]
    fn who_goes_on_with_steps_expects_the_same_calls() {
        let s = Duration::from_secs;
        let mut rhythm = Rhythm::default();
        assert_eq!(rhythm.steps(s(0)), None);
        assert!([0, 600, 1210, 1800].into_iter().all(|at| rhythm.beat(s(at))));
        let next = rhythm.next().unwrap();
        for at in [s(1800), s(2000), next] {
            let steps = rhythm.steps(at).unwrap();
            assert_eq!(Rhythm::resumed(steps, at).next(), Some(next));
            assert_eq!(Rhythm::resumed(steps, s(5)).next(), Some(s(5) + next - at), "on a clock that began anew");
        }
    }

    #[test]
    fn calls_that_nobody_could_hear_are_no_end_of_the_steps() {
        let s = Duration::from_secs;
        let steps = Steps { step: s(600), off: s(0), since: s(2 * 600 + 100), init: None };
        let mut rhythm = Rhythm::resumed(steps, s(5));
        assert_eq!(rhythm.next(), Some(s(505)));
        assert_eq!(rhythm.last(), Some(s(0)));
        assert!(rhythm.beat(s(505)));
        assert_eq!(rhythm.next(), Some(s(1105)));
        for odd in [Duration::ZERO, Duration::MAX] {
            Rhythm::resumed(Steps { step: odd, off: odd, since: odd, init: None }, s(5)).next();
        }
    }
}
