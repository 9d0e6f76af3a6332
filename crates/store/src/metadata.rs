//! The metadata seam: what an engine must do, in five methods.

use std::collections::HashSet;

use bytes::Bytes;
use hearth_types::limits::{STORE_COMMIT_WRITES, STORE_KEY_BYTES, STORE_VALUE_BYTES};

use crate::{BoxFuture, Watch};

/// A versioned key-value store. Keys are plain text such as `function/NAME`, ordered by their bytes.
///
/// Every commit gets a version, larger than that of every commit before it, also across restarts. A key's version is
/// that of the commit that wrote it last.
pub trait MetadataStore: Send + Sync + 'static {
    /// The value of a key.
    ///
    /// # Errors
    /// When the engine cannot say.
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Versioned>, StoreError>>;

    /// Up to `limit` keys that begin with `prefix`, in order, those behind the whole key `after` where one is given.
    ///
    /// # Errors
    /// When the engine cannot say.
    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(String, Versioned)>, StoreError>>;

    /// Does all the writes, or none. When it returns Ok they are on stable storage, and every later read sees them.
    /// A caller that stops waiting does not stop the commit.
    ///
    /// # Errors
    /// See [`CommitError`].
    fn commit(&self, writes: Vec<Write>) -> BoxFuture<'_, Result<u64, CommitError>>;

    /// The version of the last commit; 0 before the first.
    ///
    /// # Errors
    /// When the engine cannot say.
    fn version(&self) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// Follows the keys that begin with `prefix`: first as they are, then each commit in order.
    fn watch(&self, prefix: &str) -> Watch;
}

/// A value and the version of the commit that wrote it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Versioned {
    /// The commit's version.
    pub version: u64,
    /// The value.
    pub value: Bytes,
}

/// One write of a commit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Write {
    /// The key, 1 to [`STORE_KEY_BYTES`] bytes.
    pub key: String,
    /// What to do with it.
    pub operation: Operation,
    /// What must hold before.
    pub precondition: Precondition,
}

/// What a write does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Operation {
    /// Sets the value, at most [`STORE_VALUE_BYTES`] bytes.
    Put(Bytes),
    /// Removes the key; nothing where it is absent.
    Delete,
    /// Leaves the key as it is: only the precondition counts.
    Check,
}

/// What must hold for a key, or the whole commit is a conflict.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Precondition {
    /// Nothing.
    Any,
    /// The key is not there.
    Absent,
    /// The key is there with this version.
    Version(u64),
}

impl Precondition {
    /// Whether it holds for a key that has this version, or is absent.
    #[must_use]
    pub fn holds(self, found: Option<u64>) -> bool {
        match self {
            Self::Any => true,
            Self::Absent => found.is_none(),
            Self::Version(wanted) => found == Some(wanted),
        }
    }
}

impl Write {
    /// Sets a value.
    pub fn put(key: impl Into<String>, value: impl Into<Bytes>, precondition: Precondition) -> Self {
        Self { key: key.into(), operation: Operation::Put(value.into()), precondition }
    }

    /// Changes nothing, but must hold for the rest to be done.
    pub fn check(key: impl Into<String>, precondition: Precondition) -> Self {
        Self { key: key.into(), operation: Operation::Check, precondition }
    }

    /// Removes a key.
    pub fn delete(key: impl Into<String>, precondition: Precondition) -> Self {
        Self { key: key.into(), operation: Operation::Delete, precondition }
    }
}

/// The engine could not answer.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the metadata store cannot be read: {0}")]
pub struct StoreError(pub String);

/// Why a commit was not acknowledged.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CommitError {
    /// A precondition does not hold; nothing was written.
    #[error("the key {key:?} was changed by somebody else")]
    Conflict {
        /// The first such key.
        key: String,
    },
    /// The commit breaks a bound; nothing was written, and it never will be.
    #[error("the commit is not allowed: {0}")]
    Refused(String),
    /// The engine failed. Not acknowledged, but after a restart it may be there, whole.
    #[error("the metadata store cannot be written: {0}")]
    Unavailable(String),
}

/// Checks the bounds of a commit, the same for all engines.
pub(crate) fn check_bounds(writes: &[Write]) -> Result<(), CommitError> {
    let refused = |text: String| Err(CommitError::Refused(text));
    if !(1..=STORE_COMMIT_WRITES).contains(&writes.len()) {
        return refused(format!("it has {} writes; 1 to {STORE_COMMIT_WRITES} are allowed", writes.len()));
    }
    let mut keys = HashSet::new();
    for write in writes {
        if !(1..=STORE_KEY_BYTES).contains(&write.key.len()) {
            return refused(format!("a key has {} bytes; 1 to {STORE_KEY_BYTES} are allowed", write.key.len()));
        }
        if let Operation::Put(value) = &write.operation
            && value.len() > STORE_VALUE_BYTES
        {
            let key = &write.key;
            return refused(format!("{key:?} gets {} bytes; at most {STORE_VALUE_BYTES} are allowed", value.len()));
        }
        if !keys.insert(&write.key) {
            return refused(format!("it writes the key {:?} twice", write.key));
        }
    }
    Ok(())
}
