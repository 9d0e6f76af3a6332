//! Function records in the metadata store.

use std::sync::Arc;

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
        Ok(Some(Loaded { record: parse(&key(name), &found.value)?, version: found.version }))
    }

    /// Up to `limit` records behind the name `after`.
    pub(crate) async fn list(&self, after: Option<&str>, limit: usize) -> Result<Vec<FunctionRecord>, ApiError> {
        let after = after.map(key);
        let found = self.parts.store.list(FUNCTION_PREFIX, after.as_deref(), limit).await.map_err(store_failed)?;
        found.iter().map(|(key, found)| parse(key, &found.value)).collect()
    }

    /// Writes a record where `precondition` holds; returns when it is on stable storage and the front end has it.
    pub(crate) async fn write(&self, record: &FunctionRecord, precondition: Precondition) -> Result<(), NotWritten> {
        let key = key(record.name.as_str());
        let value = serde_json::to_vec(record).map_err(|cause| NotWritten::Failed(broken(&key, &cause)))?;
        self.commit(Write::put(key, Bytes::from(value), precondition)).await
    }

    /// Writes a record that is in transition and lets it settle. This goes on where the caller stops waiting, as a
    /// client's disconnecting makes it: a transition that nobody settles would block the function.
    pub(crate) async fn begin(
        self: &Arc<Self>,
        record: FunctionRecord,
        precondition: Precondition,
    ) -> Result<FunctionRecord, NotWritten> {
        let control = Arc::clone(self);
        let begun = tokio::spawn(async move {
            control.write(&record, precondition).await?;
            control.settle_later(record.name.to_string());
            Ok(record)
        });
        begun.await.unwrap_or_else(|cause| {
            error!("writing a record ended early: {cause}");
            Err(NotWritten::Failed(ApiError::service("The change could not be written.")))
        })
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

fn parse(key: &str, value: &[u8]) -> Result<FunctionRecord, ApiError> {
    serde_json::from_slice(value).map_err(|cause| broken(key, &cause))
}

fn broken(key: &str, cause: &serde_json::Error) -> ApiError {
    error!("the record {key} is not readable: {cause}");
    ApiError::service("A stored record is damaged; the server's log names it.")
}

fn store_failed(cause: impl std::fmt::Display) -> ApiError {
    error!("the metadata store failed: {cause}");
    ApiError::service("The metadata store is not available.")
}
