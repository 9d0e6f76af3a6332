//! Environments that are made without an invoke.

use std::time::Duration;

use hearth_types::EnvironmentId;

use crate::environment::Phase;
use crate::event::{Action, Generation, Purpose, StopReason, Throttle};
use crate::scheduler::Scheduler;

impl Scheduler {
    /// Makes an environment of a deployed generation ahead of any invoke. It counts among the living, and its memory in
    /// the budget, as any other; idle ones go for it. The rate at which environments may come to be for invokes is none
    /// of its business.
    ///
    /// # Errors
    /// The room that is short; then no idle environment was stopped for it.
    pub(crate) fn prepare(
        &mut self,
        now: Duration,
        generation: Generation,
        purpose: Purpose,
        actions: &mut Vec<Action>,
    ) -> Result<EnvironmentId, Throttle> {
        let memory_mb = self.fleet.versions.get(generation).map_or(0, |version| version.memory_mb);
        let worker = self.make_room(now, memory_mb, actions)?;
        let environment = self.fleet.prepare(generation, worker, purpose, now, &self.limits);
        actions.push(Action::Prepare { environment, generation, worker, purpose });
        Ok(environment)
    }

    /// The init of an environment that has no invoke yet is over.
    pub(crate) fn prepared(&mut self, now: Duration, environment: EnvironmentId, actions: &mut Vec<Action>) {
        if self.fleet.phase(environment) != Some(Phase::Preparing) {
            return;
        }
        self.count_success(environment);
        self.idle(now, environment, actions);
        if let Some(generation) = self.fleet.generation(environment) {
            self.refill(now, generation, actions);
        }
    }

    /// What was initialised ahead is lost: such an environment is worth no more than none.
    pub(crate) fn down(&mut self, now: Duration, environment: EnvironmentId, actions: &mut Vec<Action>) {
        match self.fleet.phase(environment) {
            Some(Phase::Idle) => {
                if self.fleet.environment(environment).is_some_and(|one| one.unused) {
                    self.count_failure(now, environment);
                }
                self.stop(environment, StopReason::Down, actions);
            }
            Some(Phase::Busy | Phase::Settling) => self.fleet.set_down(environment),
            Some(Phase::Preparing | Phase::Stopping) | None => {}
        }
    }
}
