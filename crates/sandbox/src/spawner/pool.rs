//! Sandboxes made ahead, so that a cold start does not wait for namespaces, control groups and a file system.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use hearth_types::limits::{AHEAD_CALM, AHEAD_PACE, EPHEMERAL_MIN_MB};
use rustix::event::Timespec;

use super::Spawner;
use super::readers::Ahead;
use super::slot::Slot;
use crate::bursts::Bursts;
use crate::error::Done;

/// How long nothing must have happened before one more is made: those that are wanted now come first, and what starts in
/// them has the machine's processors for itself.
const IDLE: Duration = AHEAD_CALM;
/// The most to wait after one could not be made.
const IDLE_MAX: Duration = Duration::from_secs(2);

/// Slots that wait for a request. All have the usual /tmp of [`EPHEMERAL_MIN_MB`].
pub(super) struct Pool {
    /// So many always, and so many at most.
    size: RangeInclusive<usize>,
    /// Of requests by something that waited for them.
    bursts: Bursts,
    making: VecDeque<u64>,
    ready: VecDeque<u64>,
    idle: Duration,
}

/// What to do when nothing has happened for as long as the pool has [`Pool::patience`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Make,
    /// It is one too many.
    End(u64),
    Nothing,
}

impl Pool {
    pub(super) fn new(size: RangeInclusive<usize>) -> Self {
        Self { size, bursts: Bursts::default(), making: VecDeque::new(), ready: VecDeque::new(), idle: IDLE }
    }

    /// How many are to wait: as many as the largest burst lately took.
    fn wanted(&self, now: Instant) -> usize {
        self.bursts.largest(now).min(*self.size.end()).max(*self.size.start())
    }

    /// How long to wait for an event before [`Self::step`] is asked; none where only an event changes anything.
    fn patience(&self, now: Instant) -> Option<Duration> {
        match self.step(now) {
            Step::Nothing if self.wanted(now) > *self.size.start() => Some(self.bursts.next_change(now)? - now),
            Step::Nothing => None,
            // More than there always are make the next burst faster, not the one that may be under way.
            Step::Make if self.count() >= *self.size.start() => Some(self.idle.max(AHEAD_PACE)),
            Step::Make | Step::End(_) => Some(self.idle),
        }
    }

    fn step(&self, now: Instant) -> Step {
        let (wanted, count) = (self.wanted(now), self.count());
        match self.ready.front() {
            _ if count < wanted => Step::Make,
            Some(first) if count > wanted => Step::End(*first),
            _ => Step::Nothing,
        }
    }

    fn count(&self) -> usize {
        self.making.len() + self.ready.len()
    }

    /// Takes one out: the one that has been ready longest, else the one that will be ready first.
    fn take(&mut self, tmp_mb: u32, ahead: bool, now: Instant) -> Option<u64> {
        if tmp_mb != EPHEMERAL_MIN_MB {
            return None;
        }
        if !ahead {
            self.bursts.add(now);
        }
        self.ready.pop_front().or_else(|| self.making.pop_front())
    }

    /// Its init has made it.
    pub(super) fn is_ready(&mut self, slot: u64) {
        if let Some(at) = self.making.iter().position(|id| *id == slot) {
            self.making.remove(at);
            self.ready.push_back(slot);
            self.idle = IDLE;
        }
    }

    /// Its init has died.
    pub(super) fn forget(&mut self, slot: u64) {
        let before = self.count();
        self.making.retain(|id| *id != slot);
        self.ready.retain(|id| *id != slot);
        // One that was let go is none of them any more.
        if self.count() < before {
            self.back_off();
        }
    }

    fn back_off(&mut self) {
        self.idle = (self.idle * 2).min(IDLE_MAX);
    }
}

impl Spawner {
    /// How long to wait for something to do before something is made ahead.
    pub(super) fn patience(&self) -> Option<Timespec> {
        if self.reader_ahead == Ahead::Wanted {
            return Some(Timespec::default());
        }
        self.pool.patience(Instant::now()).and_then(|time| Timespec::try_from(time).ok())
    }

    /// Nothing else is to be done now.
    pub(super) fn make_ahead(&mut self) -> Done {
        if self.reader_ahead == Ahead::Wanted {
            self.make_reader_ahead();
            return Ok(());
        }
        match self.pool.step(Instant::now()) {
            Step::Make => match self.clone_new(EPHEMERAL_MIN_MB) {
                Ok(slot) => self.pool.making.push_back(slot),
                // A request for one will tell the server why; until then, less and less often.
                Err(_) => self.pool.back_off(),
            },
            Step::End(slot) => {
                self.pool.ready.retain(|id| *id != slot);
                self.slots.get(&slot).into_iter().for_each(Slot::kill);
            }
            Step::Nothing => {}
        }
        Ok(())
    }

    pub(super) fn take_from_pool(&mut self, tmp_mb: u32, ahead: bool) -> Option<u64> {
        self.pool.take(tmp_mb, ahead, Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use hearth_types::limits::AHEAD_KEEP;

    use super::*;

    #[test]
    fn hands_out_what_is_ready_first() {
        let (mut pool, now) = (Pool::new(2..=2), Instant::now());
        pool.making.extend([1, 2]);
        pool.is_ready(2);
        assert!(pool.patience(now).is_none(), "two are there or coming");
        assert_eq!(pool.take(EPHEMERAL_MIN_MB * 2, false, now), None, "another /tmp than theirs");
        assert_eq!(pool.take(EPHEMERAL_MIN_MB, false, now), Some(2));
        assert_eq!(pool.take(EPHEMERAL_MIN_MB, false, now), Some(1));
        assert_eq!(pool.take(EPHEMERAL_MIN_MB, false, now), None);
        pool.is_ready(1);
        assert!(pool.ready.is_empty(), "it is no longer the pool's");
    }

    #[test]
    fn as_many_wait_as_the_largest_burst_took() {
        let (mut pool, now) = (Pool::new(2..=9), Instant::now());
        for _ in 0..3 {
            pool.take(EPHEMERAL_MIN_MB, false, now);
            pool.take(EPHEMERAL_MIN_MB, true, now);
        }
        assert_eq!((pool.step(now), pool.patience(now)), (Step::Make, Some(IDLE)));
        pool.ready.extend([1, 2]);
        assert_eq!((pool.step(now), pool.patience(now)), (Step::Make, Some(AHEAD_PACE)));
        pool.ready.push_back(3);
        assert_eq!((pool.step(now), pool.patience(now)), (Step::Nothing, Some(AHEAD_KEEP)));
        let later = now + AHEAD_KEEP;
        assert_eq!((pool.step(later), pool.patience(later)), (Step::End(1), Some(IDLE)));
        pool.ready.pop_front();
        assert_eq!((pool.step(later), pool.patience(later)), (Step::Nothing, None));
    }

    #[test]
    fn there_is_an_end_to_that_and_none_waits_where_none_is_to() {
        let (mut pool, mut none, now) = (Pool::new(2..=9), Pool::new(0..=0), Instant::now());
        for _ in 0..20 {
            pool.take(EPHEMERAL_MIN_MB, false, now);
            none.take(EPHEMERAL_MIN_MB, false, now);
        }
        assert_eq!((pool.wanted(now), none.wanted(now)), (9, 0));
        assert_eq!((none.step(now), none.patience(now)), (Step::Nothing, None));
    }

    #[test]
    fn tries_less_often_after_failures() {
        let (mut pool, now) = (Pool::new(1..=1), Instant::now());
        for slot in 0..100 {
            pool.making.push_back(slot);
            pool.forget(slot);
        }
        assert_eq!(pool.patience(now), Some(IDLE_MAX));
        pool.making.push_back(100);
        pool.is_ready(100);
        assert_eq!(pool.idle, IDLE);
        pool.forget(7);
        assert_eq!(pool.idle, IDLE, "it was none of them");
    }
}
