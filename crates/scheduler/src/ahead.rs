//! Environments made ahead of calls that can be foreseen.

use std::time::Duration;

use crate::event::{Action, FunctionKey, Generation, Purpose};
use crate::keep_alive::{KeepAlive, Loss};
use crate::rhythm::Steps;
use crate::scheduler::Scheduler;
use crate::time::Time;

/// So much earlier than its call is expected an environment is begun, and twice as long as its version's start takes.
const EARLIER: Duration = Duration::from_millis(250);

impl Scheduler {
    /// An admitted call; the next one may be foreseen by it.
    pub(crate) fn note_call(&mut self, now: Duration, function: FunctionKey, generation: Generation) {
        if self.in_flight_of(function) > 1 {
            return;
        }
        if self.limits.keep_alive == KeepAlive::Histogram {
            self.habits.called_after_minutes(function, generation, now);
        } else {
            let lead = if self.limits.ahead { self.lead_of(generation) } else { Duration::MAX };
            self.habits.called(function, generation, now, lead);
        }
    }

    /// Before this scheduler was, the generation was called in these steps.
    pub(crate) fn resume(&mut self, now: Duration, generation: Generation, steps: Steps) {
        let makes_ahead = self.limits.ahead && self.limits.keep_alive != KeepAlive::Histogram;
        let Some(version) = self.fleet.versions.get_mut(generation).filter(|version| makes_ahead && !version.retired)
        else {
            return;
        };
        version.init = version.init.or(steps.init.map(Time::from));
        let function = version.function;
        self.habits.resume((function, generation), steps, now, self.lead_of(generation));
    }

    /// In which even steps the generation is called; none where there are none, or it was not called last.
    #[must_use]
    pub fn steps_of(&self, now: Duration, generation: Generation) -> Option<Steps> {
        let version = self.fleet.versions.get(generation)?;
        let steps = self.habits.steps(version.function, generation, now)?;
        Some(Steps { init: version.init.map(Time::get), ..steps })
    }

    /// Makes the environments that are due: for what has none, and where that costs nobody more than it is worth.
    pub(crate) fn make_ahead(&mut self, now: Duration, actions: &mut Vec<Action>) {
        while let Some((_, generation)) = self.habits.due_ahead(now) {
            if self.is_worth_making(now, generation) {
                // Without room the call has a cold start, as it would have had.
                let _ = self.prepare(now, generation, Purpose::Ahead, actions);
            }
        }
    }

    fn is_worth_making(&mut self, now: Duration, generation: Generation) -> bool {
        let Some(version) = self.fleet.versions.get(generation) else { return false };
        // One that is stopping is of no use to the call: how long it takes to go is no reason to be without another.
        if version.retired || version.living > 0 {
            return false;
        }
        let cost = version.cost();
        let lead_ms = u64::try_from(self.lead_of(generation).as_millis()).unwrap_or(u64::MAX);
        let own = Loss::of(cost, (1, lead_ms));
        self.first_to_go_for(now, cost.memory_mb).is_ok_and(|first| first.is_none_or(|loss| loss < own))
    }

    fn lead_of(&self, generation: Generation) -> Duration {
        let init = self.fleet.versions.get(generation).and_then(|version| version.init);
        EARLIER + 2 * init.map(Time::get).unwrap_or_default()
    }
}
