//! Records in the metadata store, typed. Where they are: [`hearth_types::keys`].

use hearth_api::ApiError;
use hearth_store::typed::{self, Loaded};
use hearth_store::{CommitError, Precondition, Write};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::error;

use crate::Rules;

/// Tries against other writers of one record. Each failed one means that another writer got ahead.
const TRIES: usize = 16;

impl Rules {
    pub(crate) async fn read<T: DeserializeOwned>(&self, key: &str) -> Result<Option<Loaded<T>>, ApiError> {
        typed::read(&*self.parts.store, key).await.map_err(|fault| failed(&fault))
    }

    /// Up to `limit` records that are kept, of those whose keys begin with `prefix`, behind the whole key `after`; with
    /// what follows the prefix in their keys.
    pub(crate) async fn read_matching<T: DeserializeOwned>(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
        keep: impl Fn(&T) -> bool,
    ) -> Result<Vec<(String, Loaded<T>)>, ApiError> {
        let store = &*self.parts.store;
        typed::read_matching(store, prefix, after, limit, keep).await.map_err(|fault| failed(&fault))
    }

    /// Does all the writes, or none. False where somebody else was faster.
    pub(crate) async fn commit(&self, writes: Vec<Write>) -> Result<bool, ApiError> {
        match self.parts.store.commit(writes).await {
            Ok(_) => Ok(true),
            Err(CommitError::Conflict { .. }) => Ok(false),
            Err(cause) => {
                error!("the metadata store refused a commit: {cause}");
                Err(ApiError::service("The metadata store is not available."))
            }
        }
    }

    /// Tries until nobody else was faster. A try gives none where somebody was.
    pub(crate) async fn until_written<T, F>(&self, mut attempt: impl FnMut() -> F) -> Result<T, ApiError>
    where
        F: Future<Output = Result<Option<T>, ApiError>>,
    {
        for _ in 0..TRIES {
            if let Some(done) = attempt().await? {
                return Ok(done);
            }
        }
        Err(ApiError::service("The record is being written by others."))
    }
}

/// Sets a record.
pub(crate) fn put<T: Serialize>(key: String, record: &T, precondition: Precondition) -> Result<Write, ApiError> {
    typed::put(key, record, precondition).map_err(|fault| failed(&fault))
}

fn failed(fault: &typed::Fault) -> ApiError {
    error!("the metadata store: {fault}");
    ApiError::service(match fault {
        typed::Fault::Damaged { .. } => "A stored record is damaged; the server's log names it.",
        typed::Fault::Store(_) => "The metadata store is not available.",
    })
}
