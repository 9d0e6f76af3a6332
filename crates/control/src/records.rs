//! Function records in the metadata store.

use bytes::Bytes;
use hearth_api::ApiError;
use hearth_store::{CommitError, Precondition, Write};
use hearth_types::function::FunctionRecord;
use tracing::error;

use crate::Control;

/// Where function records are: `function/NAME`.
pub(crate) const FUNCTION_PREFIX: &str = "function/";

/// A record and the store's version of it.
pub(crate) struct Loaded {
    pub(crate) record: FunctionRecord,
    pub(crate) version: u64,
}

/// Why a record was not written.
#[derive(Debug)]
pub(crate) enum NotWritten {
    /// Somebody else was faster.
    Conflict,
    /// The store failed.
    Failed(ApiError),
}

impl Control {
    /// The record of a function, once the front end knows it too.
    pub(crate) async fn load(&self, name: &str) -> Result<Option<Loaded>, ApiError> {
        let Some(found) = self.parts.store.get(&key(name)).await.map_err(store_failed)? else {
            return Ok(None);
        };
        self.until_applied(found.version).await;
        Ok(Some(Loaded { record: parse(&found.value)?, version: found.version }))
    }

    /// Up to `limit` records behind the name `after`.
    pub(crate) async fn list(&self, after: Option<&str>, limit: usize) -> Result<Vec<FunctionRecord>, ApiError> {
        let after = after.map(key);
        let found = self.parts.store.list(FUNCTION_PREFIX, after.as_deref(), limit).await.map_err(store_failed)?;
        found.into_iter().map(|(_, found)| parse(&found.value)).collect()
    }

    /// Writes a record where `precondition` holds; returns when it is on stable storage and the front end has it.
    pub(crate) async fn write(&self, record: &FunctionRecord, precondition: Precondition) -> Result<(), NotWritten> {
        let value = serde_json::to_vec(record).map_err(|cause| NotWritten::Failed(broken(&cause)))?;
        self.commit(Write::put(key(record.name.as_str()), Bytes::from(value), precondition)).await
    }

    /// Removes the record of a function.
    pub(crate) async fn remove(&self, name: &str, version: u64) -> Result<(), NotWritten> {
        self.commit(Write::delete(key(name), Precondition::Version(version))).await
    }

    async fn commit(&self, write: Write) -> Result<(), NotWritten> {
        match self.parts.store.commit(vec![write]).await {
            Ok(version) => {
                self.until_applied(version).await;
                Ok(())
            }
            Err(CommitError::Conflict { .. }) => Err(NotWritten::Conflict),
            Err(cause) => {
                error!("the metadata store refused a commit: {cause}");
                Err(NotWritten::Failed(ApiError::service("The metadata store is not available.")))
            }
        }
    }

    async fn until_applied(&self, version: u64) {
        // The sender goes only when the server does.
        let _ = self.parts.applied.clone().wait_for(|applied| *applied >= version).await;
    }
}

fn key(name: &str) -> String {
    format!("{FUNCTION_PREFIX}{name}")
}

fn parse(value: &[u8]) -> Result<FunctionRecord, ApiError> {
    serde_json::from_slice(value).map_err(|cause| broken(&cause))
}

fn broken(cause: &serde_json::Error) -> ApiError {
    error!("a function record does not parse: {cause}");
    ApiError::service("A stored record is damaged; the server's log names it.")
}

fn store_failed(cause: impl std::fmt::Display) -> ApiError {
    error!("the metadata store failed: {cause}");
    ApiError::service("The metadata store is not available.")
}
