//! What is known of the calls of each function. A function that has never been called costs a place at most.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::event::{FunctionKey, Generation};
use crate::gaps::Gaps;
use crate::minutes::{Minutes, Window};
use crate::rhythm::{Rhythm, Steps};
use crate::table::Table;
use crate::time::Time;

/// What is known of one function's calls: within two lines of the processor's cache.
#[derive(Clone, Debug)]
#[repr(align(64))]
struct Habit {
    gaps: Gaps,
    rhythm: Rhythm,
    /// What was called last.
    generation: Generation,
    /// When an environment is made for its next call.
    ahead_at: Option<Time>,
    /// Since when the environment had been idle that went last and might still have been used.
    missed: Option<Time>,
    /// Only where environments are kept by it.
    minutes: Option<Box<Minutes>>,
}

impl Habit {
    fn new(generation: Generation) -> Self {
        Self {
            gaps: Gaps::default(),
            rhythm: Rhythm::default(),
            generation,
            ahead_at: None,
            missed: None,
            minutes: None,
        }
    }
}

/// What is known of all functions' calls.
#[derive(Debug, Default)]
pub(crate) struct Habits {
    of: Table<FunctionKey, Habit>,
    ahead: BTreeSet<(Duration, FunctionKey)>,
}

impl Habits {
    /// Reads what is known of a function; see [`crate::Scheduler::read_ahead`].
    pub(crate) fn read(&self, function: FunctionKey) -> u64 {
        self.of
            .get(function)
            .map_or(0, |habit| habit.gaps.first() ^ habit.generation.0 ^ u64::from(habit.missed.is_some()))
    }

    /// The gaps between a function's uses, as far as they are known.
    pub(crate) fn gaps(&self, function: FunctionKey) -> Gaps {
        self.of.get(function).map(|habit| habit.gaps).unwrap_or_default()
    }

    /// The function is called while nothing of it runs. An environment for the next such call is due `lead` before it,
    /// where that can be foreseen.
    pub(crate) fn called(&mut self, function: FunctionKey, generation: Generation, now: Duration, lead: Duration) {
        let habit = self.of.get_or_insert_with(function, || Habit::new(generation));
        habit.generation = generation;
        if habit.rhythm.beat(now) {
            let ahead_at = habit.rhythm.next().map(|next| next.saturating_sub(lead)).filter(|at| *at > now);
            if ahead_at.map(Time::from) != habit.ahead_at {
                self.set_ahead(function, ahead_at);
            }
        }
    }

    /// The function was called in these steps before anything was known of it. An environment for the next call is due `lead`
    /// before it.
    pub(crate) fn resume(
        &mut self,
        (function, generation): (FunctionKey, Generation),
        steps: Steps,
        now: Duration,
        lead: Duration,
    ) {
        if self.of.contains(function) {
            return;
        }
        let rhythm = Rhythm::resumed(steps, now);
        let ahead_at = rhythm.next().map(|next| next.saturating_sub(lead)).filter(|at| *at > now);
        self.of.insert(function, Habit { rhythm, ..Habit::new(generation) });
        self.set_ahead(function, ahead_at);
    }

    /// In which steps the function is called, where they are even and the last call was of this generation.
    pub(crate) fn steps(&self, function: FunctionKey, generation: Generation, now: Duration) -> Option<Steps> {
        let habit = self.of.get(function).filter(|habit| habit.generation == generation)?;
        habit.rhythm.steps(now)
    }

    /// The same where a histogram of minutes tells when an environment is made.
    pub(crate) fn called_after_minutes(&mut self, function: FunctionKey, generation: Generation, now: Duration) {
        let habit = self.of.get_or_insert_with(function, || Habit::new(generation));
        habit.generation = generation;
        habit.minutes.get_or_insert_default().called(now);
        self.set_ahead(function, None);
    }

    /// Nothing of the function runs from now on.
    pub(crate) fn rests(&mut self, function: FunctionKey, now: Duration) {
        let Some(minutes) = self.of.get_mut(function).and_then(|habit| habit.minutes.as_mut()) else { return };
        // One that was made ahead is idle as well, but no call has ended.
        if minutes.idle_since().is_none() {
            minutes.rests(now);
            let from = minutes.window().from;
            self.set_ahead(function, (!from.is_zero()).then(|| now + from));
        }
    }

    /// From when to when an environment of the function is kept.
    pub(crate) fn window(&self, function: FunctionKey) -> Window {
        let minutes = self.of.get(function).and_then(|habit| habit.minutes.as_deref());
        minutes.map_or_else(|| Minutes::default().window(), Minutes::window)
    }

    fn set_ahead(&mut self, function: FunctionKey, at: Option<Duration>) {
        let Some(habit) = self.of.get_mut(function) else { return };
        if let Some(before) = std::mem::replace(&mut habit.ahead_at, at.map(Time::from)) {
            self.ahead.remove(&(before.get(), function));
        }
        self.ahead.extend(at.map(|at| (at, function)));
    }

    /// When the next environment is due.
    pub(crate) fn next_ahead(&self) -> Option<Duration> {
        self.ahead.first().map(|(at, _)| *at)
    }

    /// What an environment is to be made for now. Asked once, it is due no more.
    pub(crate) fn due_ahead(&mut self, now: Duration) -> Option<(FunctionKey, Generation)> {
        let (at, function) = self.ahead.first().copied().filter(|(at, _)| *at <= now)?;
        self.ahead.remove(&(at, function));
        let habit = self.of.get_mut(function)?;
        habit.ahead_at = None;
        Some((function, habit.generation))
    }

    /// Since when nothing of the function has run, as far as that is known: since its last call at least.
    pub(crate) fn idle_since(&self, function: FunctionKey) -> Option<Duration> {
        let habit = self.of.get(function)?;
        habit.minutes.as_ref().map_or_else(|| habit.rhythm.last(), |minutes| minutes.idle_since())
    }

    /// An environment that had been idle for so long is used.
    pub(crate) fn used(&mut self, function: FunctionKey, gap: Duration) {
        if let Some(habit) = self.of.get_mut(function) {
            habit.gaps.add(gap);
        }
    }

    /// An environment that has been idle since then goes, so that a later use of it cannot be seen.
    pub(crate) fn gone(&mut self, function: FunctionKey, since: Duration) {
        if let Some(habit) = self.of.get_mut(function) {
            habit.missed = Some(since.into());
        }
    }

    /// One has to be made: had one that is gone been kept, it would have been used now.
    pub(crate) fn made(&mut self, function: FunctionKey, now: Duration) {
        let Some(habit) = self.of.get_mut(function) else { return };
        if let Some(since) = habit.missed.take() {
            habit.gaps.add(now.saturating_sub(since.get()));
        }
    }

    /// The function is no more.
    pub(crate) fn forget(&mut self, function: FunctionKey) {
        if let Some(at) = self.of.remove(function).and_then(|habit| habit.ahead_at) {
            self.ahead.remove(&(at.get(), function));
        }
    }
}
