//! Sandboxes made ahead, so that a cold start does not wait for namespaces, control groups and a file system.

use std::collections::VecDeque;
use std::time::Duration;

use hearth_types::limits::{AHEAD_CALM, EPHEMERAL_MIN_MB};
use rustix::event::Timespec;

use super::Spawner;
use super::readers::Ahead;
use crate::error::Done;

/// How long nothing must have happened before one more is made: those that are wanted now come first, and what starts in
/// them has the machine's processors for itself.
const IDLE: Duration = AHEAD_CALM;
/// The most to wait after one could not be made.
const IDLE_MAX: Duration = Duration::from_secs(2);

/// Slots that wait for a request. All have the usual /tmp of [`EPHEMERAL_MIN_MB`].
pub(super) struct Pool {
    wanted: usize,
    making: VecDeque<u64>,
    ready: VecDeque<u64>,
    idle: Duration,
}

impl Pool {
    pub(super) fn new(wanted: usize) -> Self {
        Self { wanted, making: VecDeque::new(), ready: VecDeque::new(), idle: IDLE }
    }

    /// How long to wait for an event before one more is made; none where there are enough.
    pub(super) fn patience(&self) -> Option<Timespec> {
        let enough = self.making.len() + self.ready.len() >= self.wanted;
        if enough { None } else { Timespec::try_from(self.idle).ok() }
    }

    /// Takes one out: the one that has been ready longest, else the one that will be ready first.
    fn take(&mut self, tmp_mb: u32) -> Option<u64> {
        if tmp_mb != EPHEMERAL_MIN_MB {
            return None;
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
        self.making.retain(|id| *id != slot);
        self.ready.retain(|id| *id != slot);
        self.back_off();
    }

    fn back_off(&mut self) {
        self.idle = (self.idle * 2).min(IDLE_MAX);
    }
}

impl Spawner {
    /// How long to wait for something to do before something is made ahead.
    pub(super) fn patience(&self) -> Option<Timespec> {
        if self.reader_ahead == Ahead::Wanted { Some(Timespec::default()) } else { self.pool.patience() }
    }

    pub(super) fn make_ahead(&mut self) -> Done {
        if self.reader_ahead == Ahead::Wanted {
            self.make_reader_ahead();
            return Ok(());
        }
        self.fill_pool()
    }

    pub(super) fn take_from_pool(&mut self, tmp_mb: u32) -> Option<u64> {
        self.pool.take(tmp_mb)
    }

    /// Begins one more; nothing else is to be done now.
    fn fill_pool(&mut self) -> Done {
        match self.clone_new(EPHEMERAL_MIN_MB) {
            Ok(slot) => self.pool.making.push_back(slot),
            // A request for one will tell the server why; until then, less and less often.
            Err(_) => self.pool.back_off(),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hands_out_what_is_ready_first() {
        let mut pool = Pool::new(2);
        pool.making.extend([1, 2]);
        pool.is_ready(2);
        assert!(pool.patience().is_none(), "two are there or coming");
        assert_eq!(pool.take(EPHEMERAL_MIN_MB * 2), None, "another /tmp than theirs");
        assert_eq!(pool.take(EPHEMERAL_MIN_MB), Some(2));
        assert_eq!(pool.take(EPHEMERAL_MIN_MB), Some(1));
        assert_eq!(pool.take(EPHEMERAL_MIN_MB), None);
        pool.is_ready(1);
        assert!(pool.ready.is_empty(), "it is no longer the pool's");
    }

    #[test]
    fn tries_less_often_after_failures() {
        let mut pool = Pool::new(1);
        for slot in 0..100 {
            pool.making.push_back(slot);
            pool.forget(slot);
        }
        assert_eq!(pool.patience(), Timespec::try_from(IDLE_MAX).ok());
        pool.making.push_back(100);
        pool.is_ready(100);
        assert_eq!(pool.idle, IDLE);
    }
}
