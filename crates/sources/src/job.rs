//! What whoever polls for a mapping works with.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hearth_events::Attempt;
use hearth_identity::Caller;
use hearth_metrics::{Counter, OfMapping};
use hearth_store::{Precondition, Write, typed};
use hearth_types::function::{AliasRecord, Configuration, FunctionRecord, VersionId, VersionRecord};
use hearth_types::invoke::EventInvoke;
use hearth_types::keys::Part;
use hearth_types::mapping::{Mapping, Progress};
use hearth_types::{Qualifier, RequestId, keys};
use tokio::sync::{Semaphore, watch};
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
    /// For batches of all mappings, in KiB.
    pub(crate) room: Arc<Semaphore>,
    /// Where events are counted, if they are.
    counts: Option<Arc<OfMapping>>,
    stopping: watch::Sender<bool>,
    result: watch::Sender<Option<String>>,
}

impl Job {
    pub(crate) fn new(uuid: &str, mapping: Mapping, parts: Arc<Parts>, room: Arc<Semaphore>) -> Arc<Self> {
        let (stopping, result) = (watch::Sender::new(false), watch::Sender::new(None));
        let counts = mapping.settings.counts_events.then(|| parts.metrics.mapping(uuid));
        if counts.is_none() {
            parts.metrics.forget_mapping(uuid);
        }
        Arc::new(Self { uuid: uuid.into(), mapping, parts, room, counts, stopping, result })
    }

    /// Counts events, where the mapping asks for it.
    pub(crate) fn count(&self, counter: impl FnOnce(&OfMapping) -> &Counter, events: usize) {
        if let Some(counts) = &self.counts {
            counter(counts).add(events as u64);
        }
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
        let _ = self.parts.clock.timeout(wait, self.stopped()).await;
    }

    /// The mapping's own ARN.
    pub(crate) fn arn(&self) -> String {
        let place = &self.parts.place;
        format!("arn:aws:lambda:{}:{}:event-source-mapping:{}", place.region, place.account, self.uuid)
    }

    /// The function's, as the mapping names it.
    pub(crate) fn function_arn(&self) -> String {
        let arn = self.parts.place.arn(&self.mapping.function);
        let qualifier = self.mapping.qualifier.as_ref().map(|qualifier| format!(":{qualifier}"));
        format!("{arn}{}", qualifier.unwrap_or_default())
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.parts.clock.now_ms()
    }

    /// What the mapping's function is set to now: of the version that it names. None where there is no such one.
    ///
    /// # Errors
    /// When the store cannot be read; with a text for people.
    pub(crate) async fn configuration(&self) -> Result<Option<Configuration>, String> {
        let (function, store) = (&*self.mapping.function, &*self.parts.metadata);
        let id = match self.mapping.qualifier.as_deref().map(Qualifier::from) {
            None | Some(Qualifier::Latest) => VersionId::Latest,
            Some(Qualifier::Version(number)) => VersionId::Number(number),
            Some(Qualifier::Alias(name)) => {
                let key = Part::Alias.key(function, &name);
                match typed::read::<AliasRecord>(store, &key).await.map_err(|fault| fault.to_string())? {
                    Some(alias) => alias.record.version,
                    None => return Ok(None),
                }
            }
        };
        let version = match id {
            VersionId::Latest => {
                let found = typed::read::<FunctionRecord>(store, &keys::function(function)).await;
                found.map(|found| found.map(|found| found.record.latest))
            }
            VersionId::Number(number) => {
                let found = typed::read::<VersionRecord>(store, &keys::version(function, number)).await;
                found.map(|found| found.map(|found| found.record))
            }
        };
        Ok(version.map_err(|fault| fault.to_string())?.map(|version| version.config))
    }

    /// Who the function is to what it is polled from.
    ///
    /// # Errors
    /// When its role is not known; with a text for people.
    pub(crate) async fn caller(&self, config: &Configuration) -> Result<Arc<Caller>, String> {
        self.parts.roles.caller(&self.mapping.function, &config.role).await
    }

    /// Runs the function once with so many events, as the mapping names it, and waits for what comes of it. `trace`: what
    /// the batch came with.
    pub(crate) async fn invoke(&self, events: usize, payload: Bytes, trace: Option<&str>) -> (RequestId, Attempt) {
        // Time stands still for what it leads to, where it is moved by hand.
        let _busy = self.parts.clock.busy();
        let request_id = RequestId(Uuid::new_v4());
        let event = EventInvoke {
            function: self.mapping.function.clone(),
            qualifier: self.mapping.qualifier.clone(),
            request_id,
            payload,
            trace_id: trace.map_or_else(|| new_trace(request_id, self.now_ms()), Arc::from),
            tenant: None,
        };
        let attempt = self.parts.functions.run(event).await;
        self.count(|of| &of.invoked, events);
        if !matches!(attempt, Attempt::Ran { function_error: false, .. }) {
            self.count(|of| &of.failed, events);
        }
        (request_id, attempt)
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

/// A trace of its own, where what is polled brings none. Whether it is traced is the function's to decide.
fn new_trace(request: RequestId, now_ms: i64) -> Arc<str> {
    let root = request.0.as_u128() & (u128::MAX >> 32);
    let seconds = (now_ms / 1000) & 0xffff_ffff;
    format!("Root=1-{seconds:08x}-{root:024x}").into()
}
