//! What decides, as the world sees it.

use std::time::Duration;

use hearth_scheduler::{Action, Event, Scheduler};

/// What decides: the scheduler, or one that is watched.
pub trait Core {
    /// As [`Scheduler::step`].
    fn step(&mut self, now: Duration, event: Event, actions: &mut Vec<Action>);
    /// As [`Scheduler::next_tick`].
    fn next_tick(&self) -> Option<Duration>;
    /// As [`Scheduler::memory_mb`].
    fn memory_mb(&self) -> u64;
    /// As [`Scheduler::living`].
    fn living(&self) -> u32;
    /// As [`Scheduler::in_flight`].
    fn in_flight(&self) -> u32;

    /// As [`Scheduler::read_ahead`].
    fn read_ahead(&self, _events: &[Event]) {}

    /// What it did wrong, if that is known.
    ///
    /// # Errors
    ///
    /// The first rule that was broken, and when.
    fn verdict(&self) -> Result<(), String> {
        Ok(())
    }

    /// The same when nothing is in flight any more.
    ///
    /// # Errors
    ///
    /// As [`Core::verdict`].
    fn at_rest(&self) -> Result<(), String> {
        self.verdict()
    }
}

impl Core for Scheduler {
    fn step(&mut self, now: Duration, event: Event, actions: &mut Vec<Action>) {
        Self::step(self, now, event, actions);
    }

    fn next_tick(&self) -> Option<Duration> {
        Self::next_tick(self)
    }

    fn read_ahead(&self, events: &[Event]) {
        Self::read_ahead(self, events);
    }

    fn memory_mb(&self) -> u64 {
        Self::memory_mb(self)
    }

    fn living(&self) -> u32 {
        Self::living(self)
    }

    fn in_flight(&self) -> u32 {
        Self::in_flight(self)
    }
}
