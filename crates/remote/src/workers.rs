//! All workers of a server: the one in its own process, and those that have joined.

use std::sync::Arc;

use hearth_frontend::Environments;
use hearth_identity::Credentials;
use hearth_scheduler::WorkerId;
use hearth_types::EnvironmentId;
use hearth_types::invoke::VersionSpec;
use hearth_worker::{EnvironmentSink, Invocation, NoSnapshot, Recall, Soon, StartedAhead, Worker, WorkerError};
use tokio::net::UnixStream;

use crate::joined::Hub;
use crate::message::By;

/// The worker in the server's own process.
pub const EMBEDDED: WorkerId = WorkerId(0);

/// The server's dispatcher.
pub type Dispatcher = hearth_frontend::Dispatcher<Workers>;

/// What the server gives environments in other processes.
pub trait Doors: Send + Sync {
    /// Credentials for processes of this version that are about to start, and what these show to fetch them. Its code and
    /// layers are unpacked then, in the data folder.
    ///
    /// # Errors
    /// Why there can be none now.
    fn identify<'a>(&'a self, spec: &'a VersionSpec, by: By) -> Soon<'a, Result<(Credentials, String), String>>;

    /// Those processes are gone.
    fn forget(&self, access_key_id: &str);

    /// Answers what they send on one connection; none where nobody has these credentials.
    fn serve(&self, access_key_id: &str, stream: UnixStream) -> Option<Soon<'static, ()>>;
}

/// The environments of all workers.
pub struct Workers {
    embedded: Option<Worker>,
    hub: Arc<Hub>,
}

impl Workers {
    /// With the worker in this process, if there is to be one. `sink` hears of what happens in all of them.
    #[must_use]
    pub fn new(embedded: Option<Worker>, sink: Arc<dyn EnvironmentSink>) -> Self {
        Self { embedded, hub: Arc::new(Hub::new(sink)) }
    }

    /// The one in this process.
    #[must_use]
    pub fn embedded(&self) -> Option<&Worker> {
        self.embedded.as_ref()
    }

    /// What there is of runtimes started ahead, on all of them.
    #[must_use]
    pub fn started_ahead(&self) -> StartedAhead {
        let own = self.embedded.as_ref().map(Worker::started_ahead);
        self.hub.workers().iter().fold(own.unwrap_or_default(), |all, worker| StartedAhead {
            waiting: all.waiting + worker.numbers.ahead_waiting as usize,
            taken: all.taken + worker.numbers.ahead_taken,
            wanted: all.wanted + worker.numbers.ahead_wanted as usize,
        })
    }

    /// Has a version's snapshot ready: in this process, where a worker is in it, else on one that has joined. The others
    /// make theirs meanwhile.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn snapshot(&self, spec: &VersionSpec) -> Result<(), NoSnapshot> {
        let Some(embedded) = &self.embedded else { return self.hub.snapshot(spec).await };
        embedded.snapshot(spec).await?;
        self.hub.snapshot_beside(self.hub.workers().iter().map(|info| info.worker).collect(), spec);
        Ok(())
    }

    /// Those that have joined.
    #[must_use]
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }
}

impl Environments for Workers {
    fn create(&self, worker: WorkerId, id: EnvironmentId, spec: Arc<VersionSpec>, first: Invocation) {
        match &self.embedded {
            Some(embedded) if worker == EMBEDDED => embedded.create(id, spec, first),
            _ => self.hub.make(worker, id, &spec, Some(first)),
        }
    }

    fn prepare(&self, worker: WorkerId, id: EnvironmentId, spec: Arc<VersionSpec>) {
        match &self.embedded {
            Some(embedded) if worker == EMBEDDED => embedded.prepare(id, spec),
            _ => self.hub.make(worker, id, &spec, None),
        }
    }

    fn invoke(&self, id: EnvironmentId, invocation: Invocation) {
        match (self.hub.find(id), &self.embedded) {
            (Some(remote), _) => remote.invoke(invocation),
            (None, Some(embedded)) => embedded.invoke(id, invocation),
            (None, None) => invocation.reply.send(Err(WorkerError::Ended(id))),
        }
    }

    fn stop(&self, id: EnvironmentId) {
        match (self.hub.find(id), &self.embedded) {
            (Some(remote), _) => remote.stop(),
            (None, Some(embedded)) => embedded.stop(id),
            (None, None) => {}
        }
    }

    fn leave(&self, id: EnvironmentId) {
        match (self.hub.find(id), &self.embedded) {
            (Some(remote), _) => remote.leave(),
            (None, Some(embedded)) => embedded.leave(id),
            (None, None) => {}
        }
    }

    fn foresee(&self, worker: WorkerId, spec: &VersionSpec) {
        match &self.embedded {
            Some(embedded) if worker == EMBEDDED => embedded.foresee(spec),
            _ => self.hub.foresee(worker, spec),
        }
    }

    fn recall(&self, worker: WorkerId, all: Vec<Recall>) {
        match &self.embedded {
            Some(embedded) if worker == EMBEDDED => embedded.recall(all),
            _ => self.hub.recall(worker, all),
        }
    }

    fn forget(&self, generation: u64) {
        if let Some(embedded) = &self.embedded {
            embedded.forget(generation);
        }
        self.hub.forget(generation);
    }

    async fn drain(&self) {
        let embedded = async {
            if let Some(embedded) = &self.embedded {
                embedded.drain().await;
            }
        };
        tokio::join!(embedded, self.hub.end_all());
    }
}
