//! Reading and writing records.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use hearth_store::{CommitError, Operation, Precondition, Versioned, Write};
use hearth_types::limits::S3_RECORDS;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::S3;
use crate::contents::{ContentId, Kept};
use crate::error::S3Error;
use crate::happening::Occasion;
use crate::records::{self, Bucket, Part, Version};
use crate::versions::{Chain, Plan, Step, Stored};

/// Tries against other writers of one object. Each failed one means that another writer got ahead.
const TRIES: usize = 32;
/// Records read at a time where all of a kind are needed.
const PAGE: usize = 1000;

/// Which older versions of an object a change looks at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Older {
    /// None.
    Unread,
    /// All: one of them is sought, or becomes the latest.
    Read,
}

/// Why a commit was not acknowledged.
enum NotWritten {
    Conflict,
    /// It may be there all the same.
    Failed(S3Error),
}

impl S3 {
    pub(crate) async fn load<T: DeserializeOwned>(&self, key: &str) -> Result<Option<Stored<T>>, S3Error> {
        let found = self.parts.store.get(key).await.map_err(|cause| S3Error::internal("reading metadata", cause))?;
        found.map(|found| parse(key, &found)).transpose()
    }

    /// Up to `limit` records whose keys begin with `prefix`, behind the whole key `after`; with what follows the prefix
    /// in their keys.
    pub(crate) async fn page<T: DeserializeOwned>(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Stored<T>)>, S3Error> {
        let found = self.parts.store.list(prefix, after, limit).await;
        let found = found.map_err(|cause| S3Error::internal("reading metadata", cause))?;
        let typed = |(key, found): (String, Versioned)| Ok((key[prefix.len()..].to_owned(), parse(&key, &found)?));
        found.into_iter().map(typed).collect()
    }

    /// All records whose keys begin with `prefix`.
    pub(crate) async fn all<T: DeserializeOwned>(&self, prefix: &str) -> Result<Vec<(String, Stored<T>)>, S3Error> {
        let mut all = Vec::new();
        loop {
            let after = all.last().map(|(rest, _): &(String, Stored<T>)| format!("{prefix}{rest}"));
            let page = self.page(prefix, after.as_deref(), PAGE).await?;
            let is_last = page.len() < PAGE;
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
    }

    pub(crate) async fn is_any(&self, prefix: &str) -> Result<bool, S3Error> {
        let found = self.parts.store.list(prefix, None, 1).await;
        found.map(|found| !found.is_empty()).map_err(|cause| S3Error::internal("reading metadata", cause))
    }

    /// The bucket.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) async fn bucket(&self, name: &str) -> Result<Stored<Bucket>, S3Error> {
        self.load(&records::bucket(name)).await?.ok_or_else(|| S3Error::no_such_bucket(name))
    }

    /// Does the writes if the bucket is still as it was read; whether it did.
    pub(crate) async fn commit(&self, writes: Vec<Write>) -> Result<bool, S3Error> {
        match self.try_commit(writes).await {
            Ok(()) => Ok(true),
            Err(NotWritten::Conflict) => Ok(false),
            Err(NotWritten::Failed(cause)) => Err(cause),
        }
    }

    /// Changes a bucket's record, as often as others get ahead.
    pub(crate) async fn change_bucket(&self, name: &str, change: impl Fn(&mut Bucket)) -> Result<(), S3Error> {
        for _ in 0..TRIES {
            let mut found = self.bucket(name).await?;
            change(&mut found.record);
            let key = records::bucket(name);
            if self.commit(vec![put(key, &found.record, Precondition::Version(found.version))?]).await? {
                return Ok(());
            }
        }
        Err(S3Error::operation_aborted())
    }

    /// Changes an object's versions, as often as others get ahead: `decide` says how, from the state that it finds.
    /// `kept` are files that the new state names, `beside` are writes that belong to the change.
    ///
    /// It goes on where the caller stops waiting, as a client's disconnecting makes it: files must not be removed while
    /// a commit that names them is on its way.
    pub(crate) async fn change<T: Send + 'static>(
        self: &Arc<Self>,
        bucket: &str,
        key: &str,
        older: Older,
        files: Files,
        decide: impl Fn(&Bucket, &Chain) -> Result<(T, Plan), S3Error> + Send + Sync + 'static,
    ) -> Result<T, S3Error> {
        let (s3, bucket, key) = (Arc::clone(self), bucket.to_owned(), key.to_owned());
        let changed = tokio::spawn(async move { s3.change_now(&bucket, &key, older, files, decide).await });
        changed.await.unwrap_or_else(|cause| Err(S3Error::internal("changing an object", cause)))
    }

    async fn change_now<T>(
        self: &Arc<Self>,
        bucket: &str,
        key: &str,
        older: Older,
        mut files: Files,
        decide: impl Fn(&Bucket, &Chain) -> Result<(T, Plan), S3Error>,
    ) -> Result<T, S3Error> {
        for _ in 0..TRIES {
            let within = self.bucket(bucket).await?;
            let chain = self.chain(bucket, key, older).await?;
            let (outcome, plan) = decide(&within.record, &chain)?;
            if within.record.is_going && plan.steps.iter().any(|step| matches!(step, Step::SetLatest(..))) {
                return Err(S3Error::operation_aborted());
            }
            if plan.steps.is_empty() && files.beside.is_empty() {
                return Ok(outcome);
            }
            let mut writes = vec![Write::check(records::bucket(bucket), Precondition::Version(within.version))];
            writes.extend(files.beside.iter().cloned());
            let notice = match &files.occasion {
                Some(occasion) => self.notice(bucket, &within.record, key, occasion, (&chain, &plan))?,
                None => None,
            };
            writes.extend(notice.clone());
            for step in plan.steps {
                writes.push(write(bucket, key, step)?);
            }
            files.kept.iter_mut().for_each(Kept::keep);
            match self.try_commit(writes).await {
                Ok(()) => {
                    notice.into_iter().for_each(|notice| self.tell(notice));
                    self.remove_later(plan.freed);
                    return Ok(outcome);
                }
                Err(NotWritten::Conflict) => files.kept.iter_mut().for_each(Kept::is_not_named),
                // It may be there all the same: the next start looks.
                Err(NotWritten::Failed(cause)) => return Err(cause),
            }
        }
        Err(S3Error::operation_aborted())
    }

    pub(crate) async fn chain(&self, bucket: &str, key: &str, older: Older) -> Result<Chain, S3Error> {
        let latest = self.load(&records::object(bucket, key)).await?;
        let older = match older {
            Older::Unread => Vec::new(),
            Older::Read => self.older(bucket, key).await?,
        };
        Ok(Chain { latest, older })
    }

    /// The older versions of an object, newest first.
    pub(crate) async fn older(&self, bucket: &str, key: &str) -> Result<Vec<Stored<Version>>, S3Error> {
        let found = self.all(&records::older(bucket, key)).await?;
        Ok(found.into_iter().map(|(_, version)| version).collect())
    }

    /// Removes files that no record names any more, beside what the caller goes on with.
    pub(crate) fn remove_later(&self, ids: Vec<ContentId>) {
        if !ids.is_empty() {
            let contents = Arc::clone(&self.contents);
            tokio::task::spawn_blocking(move || contents.remove(&ids));
        }
    }

    async fn try_commit(&self, writes: Vec<Write>) -> Result<(), NotWritten> {
        let (made, gone) = balance(&writes);
        // What is made at the same time elsewhere may pass too: the bound is one of memory, not of a count.
        if made > gone && self.records.load(Ordering::Relaxed) + made > S3_RECORDS {
            let message = format!("There is room for {S3_RECORDS} objects and parts of uploads; delete some.");
            return Err(NotWritten::Failed(S3Error::slow_down(message)));
        }
        match self.parts.store.commit(writes).await {
            Ok(_) => {
                count(&self.records, made, gone);
                Ok(())
            }
            Err(CommitError::Conflict { .. }) => Err(NotWritten::Conflict),
            Err(cause) => Err(NotWritten::Failed(S3Error::internal("writing metadata", cause))),
        }
    }

    /// Brings the files and the records into step again after the last process ended wherever it did; before anything
    /// is served.
    pub(crate) async fn recover(&self) -> Result<(), S3Error> {
        let mut used = HashSet::new();
        let mut records = 0;
        for prefix in [records::OBJECTS, records::OLDER] {
            let versions = self.all::<Version>(prefix).await?;
            records += versions.len();
            used.extend(versions.iter().flat_map(|(_, version)| version.record.files()));
        }
        let uploads = self.parts.store.list(records::UPLOADS, None, usize::MAX).await;
        let uploads = uploads.map_err(|cause| S3Error::internal("reading metadata", cause))?;
        let uploads: HashSet<&str> = uploads.iter().filter_map(|(key, _)| Some(key.rsplit_once('\0')?.1)).collect();
        for (rest, part) in self.all::<Part>(records::PARTS).await? {
            if rest.split_once('/').is_some_and(|(upload, _)| uploads.contains(upload)) {
                used.insert(part.record.segment.file);
                records += 1;
            } else {
                // The upload was completed or aborted, and its parts were still to be removed.
                let key = format!("{}{rest}", records::PARTS);
                self.commit(vec![Write::delete(key, Precondition::Any)]).await?;
            }
        }
        for (name, bucket) in self.all::<Bucket>(records::BUCKETS).await? {
            if bucket.record.is_going {
                self.change_bucket(&name, |bucket| bucket.is_going = false).await?;
            }
        }
        self.records.store(records, Ordering::Relaxed);
        self.contents.retain(&used).map_err(|cause| S3Error::internal("removing files that nothing names", cause))
    }
}

/// Files that a change brings, and the writes beside it.
#[derive(Default)]
pub(crate) struct Files {
    pub(crate) kept: Vec<Kept>,
    pub(crate) beside: Vec<Write>,
    /// What others are told of it.
    pub(crate) occasion: Option<Occasion>,
}

impl Files {
    /// No files, on this occasion.
    pub(crate) fn none(occasion: Occasion) -> Self {
        Self { kept: Vec::new(), beside: Vec::new(), occasion: Some(occasion) }
    }
}

fn write(bucket: &str, key: &str, step: Step) -> Result<Write, S3Error> {
    Ok(match step {
        Step::SetLatest(version, precondition) => put(records::object(bucket, key), &version, precondition)?,
        Step::RemoveLatest(precondition) => Write::delete(records::object(bucket, key), precondition),
        Step::Keep(version) => {
            put(records::older_version(bucket, key, version.generation), &version, Precondition::Absent)?
        }
        Step::SetOlder(version, precondition) => {
            put(records::older_version(bucket, key, version.generation), &version, precondition)?
        }
        Step::RemoveOlder(generation, precondition) => {
            Write::delete(records::older_version(bucket, key, generation), precondition)
        }
    })
}

/// Sets a record.
pub(crate) fn put<T: Serialize>(key: String, record: &T, precondition: Precondition) -> Result<Write, S3Error> {
    let value = serde_json::to_vec(record).map_err(|cause| S3Error::internal("writing a record", cause))?;
    Ok(Write::put(key, Bytes::from(value), precondition))
}

fn parse<T: DeserializeOwned>(key: &str, found: &Versioned) -> Result<Stored<T>, S3Error> {
    let record = serde_json::from_slice(&found.value);
    let record = record.map_err(|cause| S3Error::internal(&format!("the record {key:?} is not readable"), cause))?;
    Ok(Stored { record, version: found.version })
}

/// How many records a commit makes, and how many it removes.
fn balance(writes: &[Write]) -> (usize, usize) {
    let is_made =
        |write: &&Write| matches!(write.operation, Operation::Put(_)) && write.precondition == Precondition::Absent;
    let is_gone = |write: &&Write| write.operation == Operation::Delete;
    (writes.iter().filter(is_made).count(), writes.iter().filter(is_gone).count())
}

fn count(records: &AtomicUsize, made: usize, gone: usize) {
    let _ = records.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| Some((now + made).saturating_sub(gone)));
}
