//! Records in the metadata store, typed. Where they are: [`hearth_types::keys`].

use std::sync::Arc;

use hearth_api::ApiError;
pub(crate) use hearth_records::{TRIES, contended, put};
pub(crate) use hearth_store::typed::as_found;
use hearth_store::{Precondition, Write, typed};
use hearth_types::function::FunctionRecord;
use hearth_types::{FunctionName, Target, keys};
use serde::de::DeserializeOwned;
use tracing::error;

use crate::Control;

/// Records that are read at a time where all are looked at.
const VISITED: usize = 100;

pub(crate) type Loaded<T = FunctionRecord> = typed::Loaded<T>;

impl Control {
    /// The record under a key, once the front end knows it too where it follows it.
    pub(crate) async fn read<T: DeserializeOwned>(&self, key: &str) -> Result<Option<Loaded<T>>, ApiError> {
        let found = self.records.read::<T>(key).await?;
        if let Some(found) = &found
            && key.starts_with(keys::FOLLOWED)
        {
            self.until_applied(found.version).await;
        }
        Ok(found)
    }

    /// Up to `limit` records whose keys begin with `prefix`, behind the whole key `after`; with what follows the prefix
    /// in their keys.
    pub(crate) async fn read_page<T: DeserializeOwned>(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Loaded<T>)>, ApiError> {
        self.records.read_page(prefix, after, limit).await
    }

    /// All records whose keys begin with `prefix`. For what is bounded by the function that it belongs to.
    pub(crate) async fn read_all<T: DeserializeOwned>(
        &self,
        prefix: &str,
    ) -> Result<Vec<(String, Loaded<T>)>, ApiError> {
        self.read_page(prefix, None, usize::MAX).await
    }

    /// Up to `limit` records like [`Self::read_page`] gives them, of those that are kept.
    pub(crate) async fn read_matching<T: DeserializeOwned>(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
        keep: impl Fn(&T) -> bool,
    ) -> Result<Vec<(String, Loaded<T>)>, ApiError> {
        self.records.read_matching(prefix, after, limit, keep).await
    }

    /// Shows all records whose keys begin with `prefix`, some at a time, with what follows the prefix in their keys.
    pub(crate) async fn visit<T: DeserializeOwned>(
        &self,
        prefix: &str,
        mut seen: impl FnMut(&str, T),
    ) -> Result<(), ApiError> {
        let mut after: Option<String> = None;
        loop {
            let page = self.read_page::<T>(prefix, after.as_deref(), VISITED).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(format!("{prefix}{last}"));
            for (rest, loaded) in page {
                seen(&rest, loaded.record);
            }
        }
    }

    /// All keys that begin with `prefix`.
    pub(crate) async fn keys(&self, prefix: &str) -> Result<Vec<String>, ApiError> {
        self.records.keys(prefix, None, usize::MAX).await
    }

    /// Does all the writes, or none; returns when they are on stable storage and the front end has them.
    ///
    /// The result says whether they are done. If not, another writer was faster: all that the operation decided on must be
    /// looked at again, up to [`TRIES`] times; after that it is [`contended`].
    pub(crate) async fn commit(&self, writes: Vec<Write>) -> Result<bool, ApiError> {
        let is_followed = writes.iter().any(|write| write.key.starts_with(keys::FOLLOWED));
        let committed = self.records.committed(writes).await?;
        if let Some(version) = committed.filter(|_| is_followed) {
            self.until_applied(version).await;
        }
        Ok(committed.is_some())
    }

    /// The record of a function.
    pub(crate) async fn load(&self, name: &str) -> Result<Option<Loaded>, ApiError> {
        self.read(&keys::function(name)).await
    }

    /// Up to `limit` functions behind the name `after`.
    pub(crate) async fn list(&self, after: Option<&str>, limit: usize) -> Result<Vec<FunctionRecord>, ApiError> {
        let after = after.map(keys::function);
        let found = self.read_page(keys::FUNCTIONS, after.as_deref(), limit).await?;
        Ok(found.into_iter().map(|(_, loaded)| loaded.record).collect())
    }

    /// Writes a function's record where `precondition` holds; says, as [`Self::commit`], whether it is done.
    pub(crate) async fn write(&self, record: &FunctionRecord, precondition: Precondition) -> Result<bool, ApiError> {
        self.commit(vec![put(keys::function(record.name.as_str()), record, precondition)?]).await
    }

    /// Changes the record of a function, whatever its state: for settings that its versions do not have.
    ///
    /// # Errors
    /// When there is no such function, or what `change` says.
    pub(crate) async fn change_function(
        &self,
        target: &Target,
        change: impl Fn(&mut FunctionRecord) -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        for _ in 0..TRIES {
            let Some(mut function) = self.load(&target.name).await? else {
                return Err(self.function_not_found(target));
            };
            change(&mut function.record)?;
            if self.write(&function.record, function.unchanged()).await? {
                return Ok(());
            }
        }
        Err(contended())
    }

    /// Writes a function that is in transition and lets it settle. This goes on where the caller stops waiting, as a
    /// client's disconnecting makes it: a transition that nobody settles would block the function. Says, as
    /// [`Self::commit`], whether it is written.
    pub(crate) async fn begin(self: &Arc<Self>, name: &FunctionName, writes: Vec<Write>) -> Result<bool, ApiError> {
        let (control, name) = (Arc::clone(self), name.to_string());
        let begun = tokio::spawn(async move {
            let is_written = control.commit(writes).await?;
            if is_written {
                control.settle_later(name);
            }
            Ok(is_written)
        });
        begun.await.unwrap_or_else(|cause| {
            error!("writing a record ended early: {cause}");
            Err(ApiError::service("The change could not be written."))
        })
    }

    async fn until_applied(&self, version: u64) {
        // The sender goes only when the server does.
        let _ = self.parts.applied.clone().wait_for(|applied| *applied >= version).await;
    }
}

/// Writes a function's record as it is. Belongs into each commit that makes a part of the function: deleting the function
/// removes the parts that it found, and must notice when there is one more.
pub(crate) fn touch(function: &Loaded) -> Result<Write, ApiError> {
    put(keys::function(function.record.name.as_str()), &function.record, function.unchanged())
}
