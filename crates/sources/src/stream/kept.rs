//! What is kept of a mapping's shards, in the metadata store. It goes with the mapping.

use std::collections::BTreeMap;

use hearth_store::{CommitError, Precondition, Write, typed};
use hearth_types::keys;
use hearth_types::limits::STORE_COMMIT_WRITES;
use serde::{Deserialize, Serialize};

use super::shard::Checkpoint;
use crate::job::Job;

/// All shards that there were when the mapping began are kept.
#[derive(Serialize, Deserialize)]
struct Begun {
    at_ms: i64,
}

/// A page of shards.
const PAGE: usize = 500;

fn begun_key(job: &Job) -> String {
    format!("{}stream", keys::parts_of_mapping(&job.uuid))
}

fn shards_prefix(job: &Job) -> String {
    format!("{}shard/", keys::parts_of_mapping(&job.uuid))
}

/// What is kept; none before the mapping has begun.
pub(super) async fn load(job: &Job) -> Result<Option<BTreeMap<String, Checkpoint>>, String> {
    let store = &*job.parts.metadata;
    let text = |fault: typed::Fault| fault.to_string();
    if typed::read::<Begun>(store, &begun_key(job)).await.map_err(text)?.is_none() {
        return Ok(None);
    }
    let prefix = shards_prefix(job);
    let mut all = BTreeMap::new();
    let mut after: Option<String> = None;
    loop {
        let page = store.list(&prefix, after.as_deref(), PAGE).await.map_err(|cause| cause.to_string())?;
        let is_last = page.len() < PAGE;
        for (key, found) in page {
            let record = serde_json::from_slice(&found.value).map_err(|cause| format!("{key}: {cause}"))?;
            all.insert(key.strip_prefix(&prefix).unwrap_or_default().to_owned(), record);
            after = Some(key);
        }
        if is_last {
            return Ok(Some(all));
        }
    }
}

/// Keeps the shards with which a mapping begins. Only when all are kept it has begun.
pub(super) async fn begin(job: &Job, shards: &[(String, Checkpoint)]) -> Result<(), String> {
    keep(job, shards, &[]).await?;
    let begun = typed::put(begun_key(job), &Begun { at_ms: job.now_ms() }, Precondition::Any);
    commit(job, vec![begun.map_err(|fault| fault.to_string())?]).await
}

/// Keeps where shards are, and forgets those that are gone.
pub(super) async fn keep(job: &Job, shards: &[(String, Checkpoint)], gone: &[String]) -> Result<(), String> {
    let prefix = shards_prefix(job);
    let put = |(id, checkpoint): &(String, Checkpoint)| {
        typed::put(format!("{prefix}{id}"), checkpoint, Precondition::Any).map_err(|fault| fault.to_string())
    };
    let mut writes = shards.iter().map(put).collect::<Result<Vec<Write>, String>>()?;
    writes.extend(gone.iter().map(|id| Write::delete(format!("{prefix}{id}"), Precondition::Any)));
    while !writes.is_empty() {
        let rest = writes.split_off(writes.len().min(STORE_COMMIT_WRITES - 1));
        commit(job, std::mem::replace(&mut writes, rest)).await?;
    }
    Ok(())
}

/// As long as the mapping is there: one that has gone leaves nothing.
async fn commit(job: &Job, writes: Vec<Write>) -> Result<(), String> {
    let store = &*job.parts.metadata;
    loop {
        let mapping = store.get(&keys::mapping(&job.uuid)).await.map_err(|cause| cause.to_string())?;
        let Some(mapping) = mapping else { return Ok(()) };
        let is_there = Write::check(keys::mapping(&job.uuid), Precondition::Version(mapping.version));
        match store.commit([vec![is_there], writes.clone()].concat()).await {
            Ok(_) => return Ok(()),
            // Its state has changed meanwhile.
            Err(CommitError::Conflict { .. }) => {}
            Err(cause) => return Err(cause.to_string()),
        }
    }
}
