//! Records in the metadata store as operations of services read and write them: typed, and what goes wrong is an error
//! that a client can be told.

use std::sync::Arc;

use hearth_api::ApiError;
use hearth_store::typed::{self, Fault, Loaded};
use hearth_store::{CommitError, MetadataStore, Precondition, Write};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::error;

/// Tries against other writers of one record. Each failed one means that another writer got ahead.
pub const TRIES: usize = 16;

/// The records of a store.
#[derive(Clone)]
pub struct Records(Arc<dyn MetadataStore>);

impl Records {
    /// Those of this one.
    #[must_use]
    pub fn of(store: &Arc<dyn MetadataStore>) -> Self {
        Self(Arc::clone(store))
    }

    /// The record under a key.
    ///
    /// # Errors
    /// When it is damaged, or there is no store; as for all that follows.
    pub async fn read<T: DeserializeOwned>(&self, key: &str) -> Result<Option<Loaded<T>>, ApiError> {
        typed::read(&*self.0, key).await.map_err(|fault| failed(&fault))
    }

    /// Up to `limit` records whose keys begin with `prefix`, behind the whole key `after`; with what follows the prefix
    /// in their keys.
    ///
    /// # Errors
    /// See [`Self::read`].
    pub async fn read_page<T: DeserializeOwned>(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Loaded<T>)>, ApiError> {
        typed::read_page(&*self.0, prefix, after, limit).await.map_err(|fault| failed(&fault))
    }

    /// Up to `limit` records as [`Self::read_page`] gives them, of those that are kept.
    ///
    /// # Errors
    /// See [`Self::read`].
    pub async fn read_matching<T: DeserializeOwned>(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
        keep: impl Fn(&T) -> bool,
    ) -> Result<Vec<(String, Loaded<T>)>, ApiError> {
        typed::read_matching(&*self.0, prefix, after, limit, keep).await.map_err(|fault| failed(&fault))
    }

    /// All records that are kept.
    ///
    /// # Errors
    /// See [`Self::read`].
    pub async fn all<T: DeserializeOwned>(&self, prefix: &str, keep: impl Fn(&T) -> bool) -> Result<Vec<T>, ApiError> {
        let found = self.read_matching(prefix, None, usize::MAX, keep).await?;
        Ok(found.into_iter().map(|(_, loaded)| loaded.record).collect())
    }

    /// Up to `limit` keys that begin with `prefix`, behind the whole key `after`.
    ///
    /// # Errors
    /// When there is no store.
    pub async fn keys(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, ApiError> {
        let found = self.0.list(prefix, after, limit).await.map_err(|cause| failed(&cause.into()))?;
        Ok(found.into_iter().map(|(key, _)| key).collect())
    }

    /// Does all the writes, or none; returns when they are on stable storage. False where somebody else was faster: all
    /// that the operation decided on must be looked at again, up to [`TRIES`] times; after that it is [`contended`].
    ///
    /// # Errors
    /// When the store does not take them.
    pub async fn commit(&self, writes: Vec<Write>) -> Result<bool, ApiError> {
        Ok(self.committed(writes).await?.is_some())
    }

    /// As [`Self::commit`], with the version that the commit has.
    ///
    /// # Errors
    /// See [`Self::commit`].
    pub async fn committed(&self, writes: Vec<Write>) -> Result<Option<u64>, ApiError> {
        match self.0.commit(writes).await {
            Ok(version) => Ok(Some(version)),
            Err(CommitError::Conflict { .. }) => Ok(None),
            Err(cause) => {
                error!("the metadata store refused a commit: {cause}");
                Err(unavailable())
            }
        }
    }

    /// Tries until nobody else was faster. A try gives none where somebody was.
    ///
    /// # Errors
    /// What a try says, or [`contended`].
    pub async fn until_written<T, F>(&self, mut attempt: impl FnMut() -> F) -> Result<T, ApiError>
    where
        F: Future<Output = Result<Option<T>, ApiError>>,
    {
        for _ in 0..TRIES {
            if let Some(done) = attempt().await? {
                return Ok(done);
            }
        }
        Err(contended())
    }
}

/// Sets a record.
///
/// # Errors
/// One that cannot be written as JSON.
pub fn put<T: Serialize>(key: String, record: &T, precondition: Precondition) -> Result<Write, ApiError> {
    typed::put(key, record, precondition).map_err(|fault| failed(&fault))
}

/// For an operation that [`TRIES`] other writers got ahead of.
#[must_use]
pub fn contended() -> ApiError {
    ApiError::service("The record is being written by others.")
}

fn failed(fault: &Fault) -> ApiError {
    error!("the metadata store: {fault}");
    match fault {
        Fault::Damaged { .. } => ApiError::service("A stored record is damaged; the server's log names it."),
        Fault::Store(_) => unavailable(),
    }
}

fn unavailable() -> ApiError {
    ApiError::service("The metadata store is not available.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use hearth_store::MemoryStore;

    fn records() -> Records {
        Records(Arc::new(MemoryStore::default()))
    }

    #[tokio::test]
    async fn a_commit_says_whether_somebody_was_faster() {
        let records = records();
        let new = || put("k".into(), &1, Precondition::Absent).unwrap();
        assert!(records.commit(vec![new()]).await.unwrap() && !records.commit(vec![new()]).await.unwrap());
    }

    #[tokio::test]
    async fn tries_come_to_an_end() {
        let (records, mut tries) = (records(), 0);
        let never = records.until_written(|| {
            tries += 1;
            async { Ok(None::<()>) }
        });
        assert_eq!(never.await.unwrap_err().message, contended().message);
        assert_eq!(tries, TRIES);
    }

    #[tokio::test]
    async fn a_damaged_record_is_not_taken_for_an_absent_one() {
        let records = records();
        records.commit(vec![put("k".into(), &1, Precondition::Absent).unwrap()]).await.unwrap();
        let error = records.read::<String>("k").await.unwrap_err();
        assert_eq!((error.kind.status, records.read::<String>("other").await.unwrap().is_none()), (500, true));
    }
}
