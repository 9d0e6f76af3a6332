//! Streams: sources whose records stay where they are when they have been read, in shards.
//!
//! Each shard is read by a task of its own, in order; those that were split or merged into others are read to their end
//! before these. What is done next with the records is decided without I/O (`lane`, `shard`, `family`); how far each
//! shard is is kept in the metadata store, after each batch, so that a crash repeats batches and loses none.

pub(crate) mod failure;
mod family;
mod kept;
pub(crate) mod lane;
pub(crate) mod outcome;
mod reader;
mod run;
pub(crate) mod sequence;
mod service;
mod shard;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hearth_client::Api;
use hearth_types::mapping::{Position, Settings};
use tokio::task::JoinSet;
use tracing::warn;

pub(crate) use self::service::Kind;

use self::lane::Rules;
use self::reader::Reader;
use self::run::Runner;
use self::service::Stream;
use self::shard::{Checkpoint, Shard};
use crate::Parts;
use crate::filter::Filters;
use crate::job::Job;

/// Between two looks at which shards there are; also when one has come to its end.
const LIST_EVERY: Duration = Duration::from_secs(10);

/// After a look that failed.
const LIST_AGAIN: Duration = Duration::from_secs(2);

/// Whether a stream is there, and may be read by a function with this role. One whose service does not answer, or is
/// not here, is for whoever polls: that is tried again.
///
/// # Errors
/// With what Lambda says to who makes a mapping (observed for a stream that is not there).
pub(crate) async fn check(
    parts: &Parts,
    kind: Kind,
    api: &Option<Api>,
    arn: &str,
    function: &str,
    role: &str,
) -> Result<(), String> {
    let caller = parts.roles.caller(function, role).await?;
    if kind.actions().iter().any(|action| caller.may(action, arn, None, &[]).is_err()) {
        return Err(format!(
            "Cannot access stream {arn}. Please ensure the role can perform the {} Actions on your stream in IAM.",
            kind.needs()
        ));
    }
    let Some(api) = api else { return Ok(()) };
    let stream = Stream { kind, api: api.clone(), arn: arn.to_owned(), role: role.to_owned() };
    match stream.is_there().await {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("Stream not found: {arn}")),
        Err(cause) => {
            warn!("{arn} is not looked at: {cause}");
            Ok(())
        }
    }
}

/// Polls a stream until the job is to stop, and until nothing of it is in flight any more.
pub(crate) async fn poll(job: Arc<Job>, kind: Kind, api: Api) {
    let (Some(arn), Some(from)) = (job.mapping.source.arn(), job.mapping.source.from()) else { return };
    let arn = arn.to_owned();
    let filters = match Filters::new(&job.mapping.settings.filters) {
        Ok(filters) => Arc::new(filters),
        Err(cause) => return job.problem(&cause.to_string()),
    };
    let mut shards = JoinSet::new();
    let mut running = BTreeMap::new();
    while !job.is_stopping() {
        let pause = match look(&job, kind, &api, &arn, from).await {
            Ok((stream, readable)) => {
                let stream = Arc::new(stream);
                for (id, checkpoint) in readable {
                    if running.contains_key(&id) {
                        continue;
                    }
                    let runner = runner(&job, &stream, &filters, id.clone(), checkpoint);
                    let task = shards.spawn(runner.run());
                    running.insert(id, task.id());
                }
                LIST_EVERY
            }
            Err(cause) => {
                job.problem(&cause);
                LIST_AGAIN
            }
        };
        tokio::select! {
            Some(ended) = shards.join_next_with_id() => {
                let id = ended.map_or_else(|cause| cause.id(), |(id, ())| id);
                running.retain(|_, task| *task != id);
            }
            () = job.pause(pause) => {}
        }
    }
    while shards.join_next().await.is_some() {}
}

/// The stream, and those of its shards that can be read now, with where they are.
async fn look(
    job: &Job,
    kind: Kind,
    api: &Api,
    arn: &str,
    from: Position,
) -> Result<(Stream, Vec<(String, Checkpoint)>), String> {
    let config = job.configuration().await?.ok_or("Function not found")?;
    let caller = job.caller(&config).await?;
    for action in kind.actions() {
        caller.may(action, arn, None, &[]).map_err(|denied| denied.to_string())?;
    }
    let stream = Stream { kind, api: api.clone(), arn: arn.to_owned(), role: config.role };
    let listed = stream.shards().await.map_err(|cause| reader::problem(&cause))?;
    let kept = match kept::load(job).await? {
        None => {
            let first = family::first(&listed, from, job.mapping.last_modified_ms);
            kept::begin(job, &first).await?;
            first.into_iter().collect()
        }
        Some(mut kept) => {
            let (new, gone) = (family::new(&listed, &kept), family::gone(&listed, &kept));
            kept::keep(job, &new, &gone).await?;
            kept.extend(new);
            kept
        }
    };
    let readable = family::readable(&listed, &kept);
    let mut kept = kept;
    let with_checkpoint = readable.into_iter().filter_map(|id| kept.remove(&id).map(|checkpoint| (id, checkpoint)));
    Ok((stream, with_checkpoint.collect()))
}

fn runner(job: &Arc<Job>, stream: &Arc<Stream>, filters: &Arc<Filters>, id: String, kept: Checkpoint) -> Runner {
    let settings = &job.mapping.settings;
    let lanes = usize::try_from(settings.parallelization).unwrap_or(1);
    let shard = Shard::new(rules(settings), lanes, kept);
    let reader = Reader::new(Arc::clone(stream), Arc::clone(filters), id.clone(), shard.start(), shard.read().cloned());
    Runner::new(Arc::clone(job), Arc::clone(stream), id, shard, reader)
}

/// What a mapping says of batches.
pub(crate) fn rules(settings: &Settings) -> Rules {
    let seconds = |seconds: i32| i64::from(seconds) * 1000;
    Rules {
        batch: usize::try_from(settings.batch_size).unwrap_or(1).max(1),
        window_ms: seconds(settings.window_s),
        retries: u32::try_from(settings.retries).ok(),
        age_ms: Some(seconds(settings.age_s)).filter(|age_ms| *age_ms > 0),
        bisect: settings.bisect,
        tumbling_ms: Some(seconds(settings.tumbling_s)).filter(|length_ms| *length_ms > 0),
    }
}
