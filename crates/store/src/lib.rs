//! The seams to stable storage: a small versioned key-value store for metadata and a content-addressed store for
//! packages; their in-memory engines; and the conformance suite that every engine passes.

mod blob;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod memory;
mod metadata;
mod table;
pub mod typed;

use std::pin::Pin;

pub use blob::{BlobError, BlobStore};
pub use memory::{MemoryBlobStore, MemoryStore};
pub use metadata::{CommitError, MetadataStore, Operation, Precondition, StoreError, Versioned, Write};
pub use table::{Change, Committed, Pending, Table, Watch, WatchEvent};

/// A future of a method that is called through `dyn`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
