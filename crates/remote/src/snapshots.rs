//! Snapshots of versions on worker processes: each makes its own, of what starts there.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearth_scheduler::WorkerId;
use hearth_types::invoke::VersionSpec;
use hearth_worker::NoSnapshot;
use tokio::sync::oneshot;

use crate::joined::Hub;
use crate::message::ToWorker;

type Outcome = Result<(), NoSnapshot>;

/// Who waits to hear of a snapshot.
#[derive(Default)]
pub(crate) struct Asked {
    last: AtomicU64,
    waiting: Mutex<HashMap<(WorkerId, u64), oneshot::Sender<Outcome>>>,
}

impl Asked {
    fn ask(&self, worker: WorkerId) -> (u64, oneshot::Receiver<Outcome>) {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        let (tell, told) = oneshot::channel();
        self.lock().insert((worker, number), tell);
        (number, told)
    }

    pub(crate) fn answered(&self, worker: WorkerId, number: u64, outcome: Outcome) {
        let asked = self.lock().remove(&(worker, number));
        if let Some(asked) = asked {
            let _ = asked.send(outcome);
        }
    }

    /// The worker is no more.
    pub(crate) fn lost(&self, worker: WorkerId) {
        self.lock().retain(|(of, _), _| *of != worker);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(WorkerId, u64), oneshot::Sender<Outcome>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hub {
    /// Has a version's snapshot ready on one worker, and then, without waiting for them, on the others. Waits for a worker
    /// where none has joined.
    pub(crate) async fn snapshot(self: &Arc<Self>, spec: &VersionSpec) -> Outcome {
        loop {
            self.until_joined(1).await;
            let mut workers = self.workers().into_iter().map(|info| info.worker);
            let Some(first) = workers.next() else { continue };
            // One that was lost meanwhile has said nothing of the version.
            let Some(outcome) = self.snapshot_on(first, spec).await else { continue };
            if outcome.is_ok() {
                self.snapshot_beside(workers.collect(), spec);
            }
            return outcome;
        }
    }

    /// Has it ready on all of them, which other starts need not wait for.
    pub(crate) fn snapshot_beside(self: &Arc<Self>, workers: Vec<WorkerId>, spec: &VersionSpec) {
        for worker in workers {
            let (hub, spec) = (Arc::clone(self), spec.clone());
            tokio::spawn(async move {
                if let Some(Err(why)) = hub.snapshot_on(worker, &spec).await {
                    tracing::warn!("{}:{} has no snapshot on worker {}: {why}", spec.function, spec.version, worker.0);
                }
            });
        }
    }

    /// None where the worker is no more.
    async fn snapshot_on(&self, worker: WorkerId, spec: &VersionSpec) -> Option<Outcome> {
        let to = self.way_to(worker)?;
        let (number, told) = self.snapshots().ask(worker);
        let spec = Box::new(spec.clone());
        if to.send(ToWorker::Snapshot { number, spec }).await.is_err() || self.way_to(worker).is_none() {
            self.snapshots().lost(worker);
            return None;
        }
        told.await.ok()
    }

    /// Lets a generation's snapshots go, wherever there are some.
    pub(crate) fn forget(&self, generation: u64) {
        for to in self.workers().iter().filter_map(|info| self.way_to(info.worker)) {
            tokio::spawn(async move { to.send(ToWorker::Forget { generation }).await });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_hears_of_its_own_worker() {
        let asked = Asked::default();
        let ((first, told_first), (second, told_second)) = (asked.ask(WorkerId(1)), asked.ask(WorkerId(2)));
        asked.answered(WorkerId(2), first, Ok(()));
        asked.answered(WorkerId(1), first, Err(NoSnapshot::Unsupported("no".to_owned())));
        assert_eq!(told_first.await.unwrap(), Err(NoSnapshot::Unsupported("no".to_owned())));
        asked.lost(WorkerId(2));
        asked.answered(WorkerId(2), second, Ok(()));
        assert!(told_second.await.is_err());
    }
}
