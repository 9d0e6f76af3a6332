//! Follows the mappings' records and does what [`crate::life`] says.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use hearth_store::typed::{self, Loaded};
use hearth_store::{CommitError, Precondition, WatchEvent, Write};
use hearth_types::keys;
use hearth_types::limits::{SOURCE_BYTES, STORE_COMMIT_WRITES};
use hearth_types::mapping::{Mapping, Phase};
use tokio::sync::{Semaphore, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tracing::{error, info};

use crate::life::{Running, Step, next};
use crate::{Parts, job::Job, kinds};

/// Before a task that ended unasked is begun again, and a commit that failed is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// All mappings, and what runs for them.
pub(crate) struct Manager {
    parts: Arc<Parts>,
    /// For batches of all mappings, in KiB.
    room: Arc<Semaphore>,
    known: BTreeMap<String, Loaded<Mapping>>,
    running: HashMap<String, Arc<Job>>,
    tasks: JoinSet<()>,
    names: HashMap<Id, String>,
    /// What could not be committed.
    again: BTreeSet<String>,
}

impl Manager {
    pub(crate) fn new(parts: Arc<Parts>) -> Self {
        Self {
            parts,
            room: Arc::new(Semaphore::new(SOURCE_BYTES / 1024)),
            known: BTreeMap::new(),
            running: HashMap::new(),
            tasks: JoinSet::new(),
            names: HashMap::new(),
            again: BTreeSet::new(),
        }
    }

    /// Until it is to stop, and all that runs has come to its end.
    pub(crate) async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        let mut changes = self.parts.metadata.watch(keys::MAPPINGS);
        loop {
            tokio::select! {
                event = changes.next() => match event {
                    Some(event) => self.heard(event).await,
                    None => break,
                },
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended).await,
                () = tokio::time::sleep(AGAIN), if !self.again.is_empty() => self.try_again().await,
                () = until(&mut stopping) => break,
            }
        }
        self.running.values().for_each(|job| job.stop());
        while self.tasks.join_next().await.is_some() {}
    }

    async fn heard(&mut self, event: WatchEvent) {
        let touched: BTreeSet<String> = match event {
            WatchEvent::Snapshot { entries, .. } => {
                self.known.clear();
                for (key, found) in entries {
                    self.learn(&key, Some(&found.value), found.version);
                }
                self.known.keys().chain(self.running.keys()).cloned().collect()
            }
            WatchEvent::Commit { version, changes } => {
                let learnt = changes.iter().filter_map(|one| self.learn(&one.key, one.value.as_deref(), version));
                learnt.collect()
            }
        };
        for uuid in touched {
            self.look(&uuid).await;
        }
    }

    /// What does not parse leaves what runs as it was.
    fn learn(&mut self, key: &str, value: Option<&[u8]>, version: u64) -> Option<String> {
        let uuid = key.strip_prefix(keys::MAPPINGS)?.to_owned();
        match value.map(serde_json::from_slice) {
            None => {
                self.known.remove(&uuid);
                self.parts.metrics.forget_mapping(&uuid);
            }
            Some(Ok(record)) => drop(self.known.insert(uuid.clone(), Loaded { record, version })),
            Some(Err(cause)) => {
                error!("the record {key} does not parse: {cause}");
                return None;
            }
        }
        Some(uuid)
    }

    async fn ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = match &ended {
            Ok((id, ())) => *id,
            Err(cause) => cause.id(),
        };
        let Some(uuid) = self.names.remove(&id) else { return };
        self.running.remove(&uuid);
        self.look(&uuid).await;
    }

    async fn try_again(&mut self) {
        for uuid in std::mem::take(&mut self.again) {
            self.look(&uuid).await;
        }
    }

    /// Takes the next steps of a mapping, as many as there are now.
    async fn look(&mut self, uuid: &str) {
        loop {
            let record = self.known.get(uuid);
            let running = match self.running.get(uuid) {
                None => Running::Nothing,
                Some(job) if job.is_stopping() => Running::Stopping,
                Some(job) => Running::For(&job.mapping),
            };
            let not_polled = record.and_then(|mapping| kinds::not_polled(&mapping.record, &self.parts));
            match (next(record.map(|mapping| &mapping.record), running, not_polled.is_none()), record) {
                (Step::Start, Some(mapping)) => self.start(uuid, mapping.record.clone()),
                (Step::Stop, _) => return self.running.get(uuid).into_iter().for_each(|job| job.stop()),
                (Step::Settle(phase), Some(mapping)) => {
                    let record = Mapping { phase, reason: None, ..mapping.record.clone() };
                    return self.write(uuid, record, mapping.unchanged()).await;
                }
                (Step::NotPolled, Some(mapping)) => {
                    let reason = not_polled.map(str::to_owned);
                    let record = Mapping { phase: Phase::Disabled, reason, ..mapping.record.clone() };
                    return self.write(uuid, record, mapping.unchanged()).await;
                }
                (Step::Remove, Some(mapping)) => {
                    let (claim, unchanged) = (mapping.record.claim(), mapping.unchanged());
                    return self.remove(uuid, claim, unchanged).await;
                }
                _ => return,
            }
        }
    }

    fn start(&mut self, uuid: &str, mapping: Mapping) {
        let job = Job::new(uuid, mapping, Arc::clone(&self.parts), Arc::clone(&self.room));
        let task = self.tasks.spawn(supervised(Arc::clone(&job)));
        self.names.insert(task.id(), uuid.to_owned());
        self.running.insert(uuid.to_owned(), job);
    }

    /// What is written comes back as a change. Where somebody was faster, theirs does.
    async fn write(&mut self, uuid: &str, record: Mapping, unchanged: Precondition) {
        let write = typed::put(keys::mapping(uuid), &record, unchanged);
        match write {
            Ok(write) => self.commit(uuid, vec![write]).await,
            Err(fault) => error!("{fault}"),
        }
    }

    /// The mapping goes with all that was kept for it, which goes first where it is too much for one commit.
    async fn remove(&mut self, uuid: &str, claim: String, unchanged: Precondition) {
        let parts = keys::parts_of_mapping(uuid);
        loop {
            let found = match self.parts.metadata.list(&parts, None, STORE_COMMIT_WRITES - 2).await {
                Ok(found) => found,
                Err(cause) => return self.failed(uuid, &cause.to_string()),
            };
            let is_last = found.len() < STORE_COMMIT_WRITES - 2;
            let mut writes: Vec<Write> =
                found.into_iter().map(|(key, _)| Write::delete(key, Precondition::Any)).collect();
            if is_last {
                writes.push(Write::delete(keys::mapping(uuid), unchanged));
                writes.push(Write::delete(claim, Precondition::Any));
                return self.commit(uuid, writes).await;
            }
            if let Err(cause) = self.parts.metadata.commit(writes).await {
                return self.failed(uuid, &cause.to_string());
            }
        }
    }

    async fn commit(&mut self, uuid: &str, writes: Vec<Write>) {
        match self.parts.metadata.commit(writes).await {
            Ok(_) | Err(CommitError::Conflict { .. }) => {}
            Err(cause) => self.failed(uuid, &cause.to_string()),
        }
    }

    fn failed(&mut self, uuid: &str, cause: &str) {
        error!("the mapping {uuid} cannot be brought to its next state: {cause}");
        self.again.insert(uuid.to_owned());
    }
}

async fn until(stopping: &mut watch::Receiver<bool>) {
    // A sender that is gone has nobody to tell it either.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

/// Polls until the job is to stop, over again where whoever polls ends before.
async fn supervised(job: Arc<Job>) {
    let results = tokio::spawn(Arc::clone(&job).keep_results());
    while !job.is_stopping() {
        match tokio::spawn(kinds::poll(Arc::clone(&job))).await {
            Ok(()) if job.is_stopping() => break,
            Ok(()) => info!("polling for the mapping {} ended unasked: it begins again", job.uuid),
            Err(cause) => {
                error!("polling for the mapping {} broke off: {cause}", job.uuid);
                job.problem("Internal error");
            }
        }
        job.pause(AGAIN).await;
    }
    results.abort();
}
