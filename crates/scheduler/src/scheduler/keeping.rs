//! Idle environments: until when they are kept, and which of them make room for others.

use std::time::Duration;

use hearth_types::EnvironmentId;

use super::Scheduler;
use crate::event::{Action, FunctionKey, StopReason, Throttle};
use crate::keep_alive::{KeepAlive, Loss};
use crate::minutes::Window;
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

    /// The environment is idle from now on. What is lost with it is found out when room is short.
    pub(super) fn rest(&mut self, now: Duration, environment: EnvironmentId) {
        let Some(one) = self.fleet.environment(environment) else { return };
        let (life_end, unused, provisioned) = (one.life_end.get(), one.unused, one.provisioned);
        let function = self.fleet.versions.get(one.generation).map(|version| version.function);
        let by_minutes = function.filter(|_| self.limits.keep_alive == KeepAlive::Histogram);
        if let Some(function) = by_minutes.filter(|function| self.counting.in_flight_of(*function) == 0) {
            self.habits.rests(function, now);
        }
        // One that was made ahead stands for those that were idle since the last call.
        let last_call = || function.and_then(|function| self.habits.idle_since(function));
        let since = if unused { last_call().unwrap_or(now) } else { now };
        let kept = if provisioned { None } else { self.kept_until(now, since, function) };
        self.fleet.rest(environment, since, kept.map_or(life_end, |end| end.min(life_end)));
    }

    /// When an environment that is idle from now on goes, used or not; none: when it is in the way.
    fn kept_until(&self, now: Duration, since: Duration, function: Option<FunctionKey>) -> Option<Duration> {
        match self.limits.keep_alive {
            KeepAlive::Fixed(time) => Some(now + time),
            KeepAlive::Room => None,
            KeepAlive::Histogram => {
                let Window { from, until } = self.habits.window(function?);
                // Before its window it goes at once; another comes when that begins.
                Some(if now < since + from { now } else { since + until }.max(now))
            }
        }
    }

    /// Stops those that have been idle, or have lived, for long enough.
    pub(super) fn reap(&mut self, now: Duration, actions: &mut Vec<Action>) {
        while let Some(environment) = self.fleet.idle.ended(now) {
            let Some(one) = self.fleet.environment(environment) else { return };
            let (is_old, generation) = (one.life_end.get() <= now, one.generation);
            self.let_go(environment, if is_old { StopReason::Age } else { StopReason::Idle }, actions);
            self.refill(now, generation, actions);
        }
    }

    /// Stops an idle environment that might still have been used.
    fn let_go(&mut self, environment: EnvironmentId, reason: StopReason, actions: &mut Vec<Action>) {
        if let (Some(function), Some(rest)) = (self.function_of(environment), self.fleet.resting(environment)) {
            self.habits.gone(function, rest.since.get());
        }
        self.stop(environment, reason, actions);
    }

    /// Finds out anew what is lost with those that have been idle for so long that it is another amount.
    fn value_anew(&mut self, now: Duration) {
        while let Some(environment) = self.fleet.outdated(now) {
            self.fleet.value(environment, self.worth(now, environment));
        }
    }

    /// What is lost with an idle environment, and until when that is so.
    fn worth(&self, now: Duration, environment: EnvironmentId) -> (Loss, Option<Duration>) {
        let version = self.fleet.generation(environment).and_then(|generation| self.fleet.versions.get(generation));
        let (Some(version), Some(rest)) = (version, self.fleet.resting(environment)) else {
            return Default::default();
        };
        let gaps = self.habits.gaps(version.function);
        let (loss, look) = self.limits.keep_alive.loss(version.cost(), &gaps, now.saturating_sub(rest.since.get()));
        (loss, look.map(|idle| rest.since.get() + idle))
    }
}
