//! Which environments end next of those whose end nobody waits for. Decides only: time is given, nothing is done.
//!
//! An end costs the processors about as much as what is left of a cold start from a runtime that waits, and most of them
//! are told just as another environment starts that needs the room. So they wait until nothing has started for a moment,
//! frozen as they are, though neither for long nor with much memory.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hearth_types::limits::{AHEAD_CALM, LEAVE_PACE, LEAVE_WITHIN};

/// Environments that are to end, the one that was told first in front.
pub(crate) struct Leaving<E> {
    /// So many may wait at a time, and so much memory may be charged to them.
    most: Most,
    waiting: VecDeque<Departure<E>>,
    /// What is charged to those that wait.
    bytes: u64,
    /// When what started last will be through with its beginning.
    calm_from: Option<Instant>,
    /// When one ended last because it was calm.
    ended: Option<Instant>,
}

/// What all that wait may be together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Most {
    pub(crate) environments: usize,
    pub(crate) bytes: u64,
}

struct Departure<E> {
    environment: E,
    bytes: u64,
    told: Instant,
}

/// What to do next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Step<E> {
    /// It ends now.
    End(E),
    /// Nothing for so long.
    Wait(Duration),
    /// Nothing: none waits.
    Done,
}

impl<E> Leaving<E> {
    pub(crate) fn new(most: Most) -> Self {
        Self { most, waiting: VecDeque::new(), bytes: 0, calm_from: None, ended: None }
    }

    /// From now on they may have so much memory.
    pub(crate) fn allow(&mut self, bytes: u64) {
        self.most.bytes = bytes;
    }

    /// An environment starts.
    pub(crate) fn starts(&mut self, now: Instant) {
        self.calm_from = Some(now + AHEAD_CALM);
    }

    /// This one is to end; so much memory is charged to it. Whether the first of all is to end at once for that.
    pub(crate) fn add(&mut self, environment: E, bytes: u64, now: Instant) -> bool {
        self.waiting.push_back(Departure { environment, bytes, told: now });
        self.bytes += bytes;
        self.is_over()
    }

    /// What to do.
    pub(crate) fn step(&mut self, now: Instant) -> Step<E> {
        let Some(first) = self.waiting.front() else { return Step::Done };
        let calm_from = self.calm_from.max(self.ended.map(|ended| ended + LEAVE_PACE)).unwrap_or(now);
        let due = calm_from.min(first.told + LEAVE_WITHIN);
        if due > now && !self.is_over() {
            return Step::Wait(due - now);
        }
        if calm_from <= now {
            self.ended = Some(now);
        }
        self.end_first()
    }

    fn is_over(&self) -> bool {
        self.waiting.len() > self.most.environments || self.bytes > self.most.bytes
    }

    fn end_first(&mut self) -> Step<E> {
        let Some(Departure { environment, bytes, .. }) = self.waiting.pop_front() else { return Step::Done };
        self.bytes -= bytes;
        Step::End(environment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1024 * 1024;

    /// Those of 1 MB each that are told in a moment in which another one starts.
    fn told(most: Most, environments: &[u64], now: Instant) -> Leaving<u64> {
        let mut leaving = Leaving::new(most);
        leaving.starts(now);
        for one in environments {
            leaving.add(*one, MB, now);
        }
        leaving
    }

    fn most(environments: usize, mb: u64) -> Most {
        Most { environments, bytes: mb * MB }
    }

    #[test]
    fn one_ends_when_nothing_has_started_for_a_moment() {
        let now = Instant::now();
        let mut leaving = told(most(8, 100), &[1], now);
        assert_eq!(leaving.step(now), Step::Wait(AHEAD_CALM));
        let later = now + AHEAD_CALM / 2;
        leaving.starts(later);
        assert_eq!(leaving.step(now + AHEAD_CALM), Step::Wait(AHEAD_CALM / 2));
        assert_eq!(leaving.step(later + AHEAD_CALM), Step::End(1));
        assert_eq!(leaving.step(later + AHEAD_CALM), Step::Done);
    }

    #[test]
    fn where_nothing_starts_none_waits_but_for_the_one_before() {
        let now = Instant::now();
        let mut leaving = Leaving::new(most(8, 100));
        assert!(!leaving.add(1, MB, now));
        assert!(!leaving.add(2, MB, now));
        assert_eq!(leaving.step(now), Step::End(1));
        assert_eq!(leaving.step(now), Step::Wait(LEAVE_PACE));
        assert_eq!(leaving.step(now + LEAVE_PACE), Step::End(2));
    }

    #[test]
    fn none_waits_for_long_while_others_start() {
        let now = Instant::now();
        let mut leaving = told(most(8, 100), &[1], now);
        let mut at = now;
        while at < now + LEAVE_WITHIN {
            leaving.starts(at);
            let left = now + LEAVE_WITHIN - at;
            assert_eq!(leaving.step(at), Step::Wait(left.min(AHEAD_CALM)));
            at += AHEAD_CALM / 4;
        }
        assert_eq!(leaving.step(now + LEAVE_WITHIN), Step::End(1));
    }

    #[test]
    fn no_more_wait_than_may() {
        let now = Instant::now();
        let mut leaving = told(most(2, 100), &[1, 2], now);
        assert!(leaving.add(3, MB, now));
        assert!(leaving.add(4, MB, now));
        assert_eq!(leaving.step(now), Step::End(1));
        assert_eq!(leaving.step(now), Step::End(2));
        assert_eq!(leaving.step(now), Step::Wait(AHEAD_CALM));
        assert_eq!(told(most(0, 100), &[1], now).step(now), Step::End(1));
    }

    #[test]
    fn nor_with_more_memory_than_they_may_have() {
        let now = Instant::now();
        let mut leaving = told(most(8, 2), &[1, 2], now);
        assert!(leaving.add(3, MB, now));
        assert_eq!(leaving.step(now), Step::End(1));
        assert_eq!(leaving.step(now), Step::Wait(AHEAD_CALM));
        leaving.allow(0);
        assert_eq!(leaving.step(now), Step::End(2));
    }
}
