//! What the dispatcher needs of workers; the tests have a simulated one.

use std::future::Future;
use std::sync::Arc;

use hearth_scheduler::WorkerId;
use hearth_types::EnvironmentId;
use hearth_types::invoke::VersionSpec;
use hearth_worker::{Invocation, Recall, Worker};

/// Runs environments. No call blocks; what becomes of them comes back as events.
pub trait Environments: Send + Sync + 'static {
    /// Makes an environment on this worker and gives it its first invoke.
    fn create(&self, worker: WorkerId, id: EnvironmentId, spec: Arc<VersionSpec>, first: Invocation);

    /// Makes an environment on this worker without an invoke.
    fn prepare(&self, worker: WorkerId, id: EnvironmentId, spec: Arc<VersionSpec>);

    /// Gives an idle environment an invoke.
    fn invoke(&self, id: EnvironmentId, invocation: Invocation);

    /// Ends an environment that has no invoke.
    fn stop(&self, id: EnvironmentId);

    /// Ends an environment that has no invoke and whose end nobody waits for; others that start may come first.
    fn leave(&self, id: EnvironmentId) {
        self.stop(id);
    }

    /// Environments of this version, which was just deployed, are likely to be asked for, of this worker as things stand.
    fn foresee(&self, _worker: WorkerId, _spec: &VersionSpec) {}

    /// Environments of these versions were in use lately and are not there, and are likely to be asked for again, of this worker:
    /// all of them that are, whatever it was told before.
    fn recall(&self, _worker: WorkerId, _all: Vec<Recall>) {}

    /// No further environment of this generation is asked for: what is kept for such goes.
    fn forget(&self, _generation: u64) {}

    /// Ends all environments; returns when none is left.
    fn drain(&self) -> impl Future<Output = ()> + Send;
}

/// Alone, it is all workers that there are.
impl Environments for Worker {
    fn create(&self, _: WorkerId, id: EnvironmentId, spec: Arc<VersionSpec>, first: Invocation) {
        Worker::create(self, id, spec, first);
    }

    fn prepare(&self, _: WorkerId, id: EnvironmentId, spec: Arc<VersionSpec>) {
        Worker::prepare(self, id, spec);
    }

    fn invoke(&self, id: EnvironmentId, invocation: Invocation) {
        Worker::invoke(self, id, invocation);
    }

    fn stop(&self, id: EnvironmentId) {
        Worker::stop(self, id);
    }

    fn leave(&self, id: EnvironmentId) {
        Worker::leave(self, id);
    }

    fn foresee(&self, _: WorkerId, spec: &VersionSpec) {
        Worker::foresee(self, spec);
    }

    fn recall(&self, _: WorkerId, all: Vec<Recall>) {
        Worker::recall(self, all);
    }

    fn forget(&self, generation: u64) {
        Worker::forget(self, generation);
    }

    fn drain(&self) -> impl Future<Output = ()> + Send {
        Worker::drain(self)
    }
}
