//! What whoever polls for a mapping works with.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hearth_events::{Attempt, Run};
use hearth_identity::Caller;
use hearth_store::{Precondition, Write, typed};
use hearth_types::function::FunctionRecord;
use hearth_types::mapping::{Mapping, Progress};
use hearth_types::{RequestId, keys};
use tokio::sync::watch;
use tracing::warn;
use uuid::Uuid;

use crate::Parts;

/// Between two records of what came of polling: they change often, and each is a write.
const RESULTS_APART: Duration = Duration::from_secs(1);

/// One mapping that is polled. Its settings are those of its whole life: others get another job.
pub(crate) struct Job {
    pub(crate) uuid: Arc<str>,
    pub(crate) mapping: Mapping,
    pub(crate) parts: Arc<Parts>,
    stopping: watch::Sender<bool>,
    result: watch::Sender<Option<String>>,
}

impl Job {
    pub(crate) fn new(uuid: &str, mapping: Mapping, parts: Arc<Parts>) -> Arc<Self> {
        let (stopping, result) = (watch::Sender::new(false), watch::Sender::new(None));
        Arc::new(Self { uuid: uuid.into(), mapping, parts, stopping, result })
    }

    /// Tells it to stop.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Returns once it is to stop.
    pub(crate) async fn stopped(&self) {
        // The sender is the job's own: it is there as long as this waits.
        let _ = self.stopping.subscribe().wait_for(|stopping| *stopping).await;
    }

    /// Waits, but not longer than until it is to stop.
    pub(crate) async fn pause(&self, wait: Duration) {
        let _ = tokio::time::timeout(wait, self.stopped()).await;
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.parts.clock.now_ms()
    }

    /// The function as it is now; none where it is gone.
    ///
    /// # Errors
    /// When the store cannot be read; with a text for people.
    pub(crate) async fn function(&self) -> Result<Option<FunctionRecord>, String> {
        let key = keys::function(&self.mapping.function);
        let found = typed::read(&*self.parts.metadata, &key).await.map_err(|fault| fault.to_string())?;
        Ok(found.map(|found| found.record))
    }

    /// Who the function is to what it is polled from.
    ///
    /// # Errors
    /// When its role is not known; with a text for people.
    pub(crate) async fn caller(&self, function: &FunctionRecord) -> Result<Arc<Caller>, String> {
        self.parts.roles.caller(&self.mapping.function, &function.latest.config.role).await
    }

    /// Runs the function once, as the mapping names it, and waits for what comes of it. `trace`: what the batch came with.
    pub(crate) async fn invoke(&self, payload: Bytes, trace: Option<&str>) -> (RequestId, Attempt) {
        // Time stands still for what it leads to, where it is moved by hand.
        let _busy = self.parts.clock.busy();
        let request_id = RequestId(Uuid::new_v4());
        let run = Run {
            function: self.mapping.function.clone(),
            qualifier: self.mapping.qualifier.clone(),
            request_id,
            payload,
            trace_id: trace.map_or_else(|| new_trace(request_id, self.now_ms()), Arc::from),
        };
        (request_id, self.parts.functions.run(run).await)
    }

    /// Says what came of polling: LastProcessingResult. None takes it away.
    pub(crate) fn tell(&self, result: Option<&str>) {
        self.result.send_if_modified(|known| {
            let is_new = known.as_deref() != result;
            if is_new {
                *known = result.map(str::to_owned);
            }
            is_new
        });
    }

    /// Says that something is wrong, here and in the log. It is tried again.
    pub(crate) fn problem(&self, what: &str) {
        let text = format!("PROBLEM: {what}");
        if self.result.borrow().as_deref() != Some(&*text) {
            warn!("mapping {} to {}: {what}", self.uuid, self.mapping.function);
        }
        self.tell(Some(&text));
    }

    /// Writes down what [`Self::tell`] says, for as long as the job lives.
    pub(crate) async fn keep_results(self: Arc<Self>) {
        let mut results = self.result.subscribe();
        let key = keys::mapping_progress(&self.uuid);
        let known = typed::read::<Progress>(&*self.parts.metadata, &key).await;
        let mut kept = known.ok().flatten().and_then(|found| found.record.result);
        self.result.send_replace(kept.clone());
        results.mark_unchanged();
        while results.changed().await.is_ok() {
            let result = results.borrow_and_update().clone();
            while result != kept && !results.has_changed().unwrap_or(true) {
                if self.keep(Progress { result: result.clone() }).await {
                    kept.clone_from(&result);
                }
                tokio::time::sleep(RESULTS_APART).await;
            }
        }
    }

    /// As long as the mapping is there: one that has gone leaves nothing. Says whether it is done.
    async fn keep(&self, progress: Progress) -> bool {
        let store = &*self.parts.metadata;
        let mapping = match store.get(&keys::mapping(&self.uuid)).await {
            Ok(Some(mapping)) => mapping,
            Ok(None) => return true,
            Err(cause) => {
                warn!("{cause}");
                return false;
            }
        };
        let is_there = Write::check(keys::mapping(&self.uuid), Precondition::Version(mapping.version));
        let Ok(put) = typed::put(keys::mapping_progress(&self.uuid), &progress, Precondition::Any) else { return true };
        let kept = store.commit(vec![is_there, put]).await;
        kept.inspect_err(|cause| warn!("the result of the mapping {} is not kept: {cause}", self.uuid)).is_ok()
    }
}

/// A trace of its own, where what is polled brings none.
fn new_trace(request: RequestId, now_ms: i64) -> Arc<str> {
    let random = request.0.as_u128();
    let (root, parent) = (random & (u128::MAX >> 32), (random >> 64) as u64 ^ random as u64);
    let seconds = (now_ms / 1000) & 0xffff_ffff;
    format!("Root=1-{seconds:08x}-{root:024x};Parent={parent:016x};Sampled=0").into()
}
