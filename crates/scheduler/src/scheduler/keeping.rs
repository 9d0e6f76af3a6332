//! Idle environments: until when they are kept, and which of them make room for others.

use std::time::Duration;

use hearth_types::EnvironmentId;

use super::Scheduler;
use crate::event::{Action, StopReason, Throttle};
use crate::keep_alive::Loss;
use crate::placement::WorkerId;

impl Scheduler {
    /// Where one more of `memory_mb` goes. Stops idle environments there, with which least is lost, until it fits; none
    /// where all of them together would not be enough.
    pub(crate) fn make_room(
        &mut self,
        now: Duration,
        memory_mb: u32,
        actions: &mut Vec<Action>,
    ) -> Result<WorkerId, Throttle> {
        let (placement, workers) = (self.limits.placement, &self.fleet.workers);
        let worker = workers.place(placement, memory_mb)?;
        if workers.fits(worker, memory_mb) {
            return Ok(worker);
        }
        self.value_anew(now);
        let worker = self.fleet.workers.place(placement, memory_mb)?;
        while !self.fleet.workers.fits(worker, memory_mb) {
            let Some(cheapest) = self.fleet.workers.cheapest(worker) else { break };
            self.let_go(cheapest, StopReason::Room, actions);
        }
        Ok(worker)
    }

    /// What is lost with the first environment that goes for one more of `memory_mb`; none where none has to.
    pub(crate) fn first_to_go_for(&mut self, now: Duration, memory_mb: u32) -> Result<Option<Loss>, Throttle> {
        self.value_anew(now);
        let worker = self.fleet.workers.place(self.limits.placement, memory_mb)?;
        let fits = self.fleet.workers.fits(worker, memory_mb);
        Ok(if fits { None } else { self.fleet.workers.cheapest_loss(worker) })
    }

    /// The environment is idle from now on.
    pub(super) fn rest(&mut self, now: Duration, environment: EnvironmentId) {
        let life = self.end_of_life(environment).unwrap_or(now);
        let kept = if self.fleet.is_provisioned(environment) { None } else { self.limits.keep_alive.end(now) };
        // One that was made ahead stands for those that were idle since the last call.
        let last_call = || self.function_of(environment).and_then(|function| self.habits.last_call(function));
        let since = if self.fleet.is_unused(environment) { last_call().unwrap_or(now) } else { now };
        self.fleet.rest(environment, since, kept.map_or(life, |end| end.min(life)));
        self.fleet.value(environment, self.worth(now, environment));
    }

    /// Stops those that have been idle, or have lived, for long enough.
    pub(super) fn reap(&mut self, now: Duration, actions: &mut Vec<Action>) {
        while let Some(environment) = self.fleet.idle.ended(now) {
            let is_old = self.end_of_life(environment).is_none_or(|end| end <= now);
            let generation = self.fleet.generation(environment);
            self.let_go(environment, if is_old { StopReason::Age } else { StopReason::Idle }, actions);
            if let Some(generation) = generation {
                self.refill(now, generation, actions);
            }
        }
    }

    pub(super) fn end_of_life(&self, environment: EnvironmentId) -> Option<Duration> {
        self.fleet.made_at(environment).map(|made_at| made_at + self.limits.life_of(environment))
    }

    /// Stops an idle environment that might still have been used.
    fn let_go(&mut self, environment: EnvironmentId, reason: StopReason, actions: &mut Vec<Action>) {
        if let (Some(function), Some(plan)) = (self.function_of(environment), self.fleet.idle.get(environment)) {
            self.habits.gone(function, plan.since);
        }
        self.stop(environment, reason, actions);
    }

    /// Finds out anew what is lost with those that have been idle for so long that it is another amount.
    fn value_anew(&mut self, now: Duration) {
        while let Some(environment) = self.fleet.idle.outdated(now) {
            self.fleet.value(environment, self.worth(now, environment));
        }
    }

    /// What is lost with an idle environment, and until when that is so.
    fn worth(&self, now: Duration, environment: EnvironmentId) -> (Loss, Option<Duration>) {
        let version = self.fleet.generation(environment).and_then(|generation| self.fleet.versions.get(&generation));
        let (Some(version), Some(plan)) = (version, self.fleet.idle.get(environment)) else {
            return Default::default();
        };
        let gaps = self.habits.gaps(version.function);
        let (loss, look) = self.limits.keep_alive.loss(version.memory_mb, &gaps, now.saturating_sub(plan.since));
        (loss, look.map(|idle| plan.since + idle))
    }
}
