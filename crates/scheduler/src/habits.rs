//! What is known of the calls of each function. A function that has never been called costs nothing here.

use std::time::Duration;

use crate::event::FunctionKey;
use crate::gaps::Gaps;
use crate::ids::IdMap;

/// What is known of one function's calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Habit {
    pub(crate) gaps: Gaps,
    /// Since when the environment had been idle that went last and might still have been used.
    missed: Option<Duration>,
}

/// What is known of all functions' calls.
#[derive(Debug, Default)]
pub(crate) struct Habits {
    of: IdMap<FunctionKey, Habit>,
}

impl Habits {
    /// The gaps between a function's uses, as far as they are known.
    pub(crate) fn gaps(&self, function: FunctionKey) -> Gaps {
        self.of.get(&function).map(|habit| habit.gaps).unwrap_or_default()
    }

    /// An environment that had been idle for so long is used.
    pub(crate) fn used(&mut self, function: FunctionKey, gap: Duration) {
        self.of.entry(function).or_default().gaps.add(gap);
    }

    /// An environment that has been idle since then goes, so that a later use of it cannot be seen.
    pub(crate) fn gone(&mut self, function: FunctionKey, since: Duration) {
        self.of.entry(function).or_default().missed = Some(since);
    }

    /// One has to be made: had one that is gone been kept, it would have been used now.
    pub(crate) fn made(&mut self, function: FunctionKey, now: Duration) {
        let Some(habit) = self.of.get_mut(&function) else { return };
        if let Some(since) = habit.missed.take() {
            habit.gaps.add(now.saturating_sub(since));
        }
    }

    /// The function is no more.
    pub(crate) fn forget(&mut self, function: FunctionKey) {
        self.of.remove(&function);
    }
}
