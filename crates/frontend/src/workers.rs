//! Workers that come and go.

use hearth_scheduler::{Capacity, Event, WorkerId, WorkerView};

use crate::dispatcher::{Dispatcher, lock};
use crate::environments::Environments;

impl<W: Environments> Dispatcher<W> {
    /// The worker takes environments from now on. Its number must be new.
    pub fn join(&self, worker: WorkerId, capacity: Capacity) {
        self.turn(Event::Join { worker, capacity });
        self.tell_recalls();
    }

    /// The worker gets no new environment; those that it has are stopped as soon as they are idle.
    pub fn drain_worker(&self, worker: WorkerId) {
        self.turn(Event::Drain(worker));
        self.tell_recalls();
    }

    /// The worker is no more, and all invokes that it had have been replied to.
    pub fn lost(&self, worker: WorkerId) {
        self.turn(Event::Lost(worker));
        {
            let core = &mut *lock(&self.core);
            core.phases.retain(|environment, _| core.scheduler.lives(*environment));
        }
        self.tell_recalls();
    }

    /// The workers as they stand, the first to join first.
    #[must_use]
    pub fn workers(&self) -> Vec<WorkerView> {
        lock(&self.core).scheduler.workers()
    }
}
