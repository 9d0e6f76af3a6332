//! Workers that come and go.

use std::time::Duration;

use super::Scheduler;
use crate::event::{Action, StopReason};
use crate::placement::{Capacity, WorkerId};

impl Scheduler {
    /// Invokes that wait for room look for it there at their next turn.
    pub(super) fn join(&mut self, worker: WorkerId, capacity: Capacity) {
        self.fleet.workers.join(worker, capacity);
    }

    pub(super) fn drain(&mut self, now: Duration, worker: WorkerId, actions: &mut Vec<Action>) {
        self.fleet.workers.drain(worker);
        for environment in self.fleet.idle_on(worker) {
            self.stop(environment, StopReason::Drained, actions);
        }
        for environment in self.fleet.provisioned_idle_on(worker) {
            self.stop(environment, StopReason::Drained, actions);
            if let Some(generation) = self.fleet.generation(environment) {
                self.refill(now, generation, actions);
            }
        }
    }

    /// Who waited for one of its environments gets one of another worker.
    pub(super) fn lost(&mut self, now: Duration, worker: WorkerId, actions: &mut Vec<Action>) {
        // No replacement is placed there, and nothing is stopped that is gone.
        self.fleet.workers.drain(worker);
        for environment in self.fleet.on(worker) {
            // Through no fault of its own.
            self.fleet.set_down(environment);
            self.gone(now, environment, actions);
        }
        self.fleet.workers.lost(worker);
    }
}
