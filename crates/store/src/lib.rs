//! The seams to stable storage: a small versioned key-value store for metadata, a content-addressed store for packages,
//! queues of messages; their in-memory engines; and the conformance suites that every engine passes.

mod blob;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
#[cfg(any(test, feature = "conformance"))]
mod fair_conformance;
mod folder;
#[cfg(any(test, feature = "conformance"))]
mod group_conformance;
mod memory;
mod memory_queue;
mod metadata;
mod queue;
#[cfg(any(test, feature = "conformance"))]
pub mod queue_conformance;
mod table;
pub mod typed;

use std::pin::Pin;

pub use blob::{BlobError, BlobStore, StagedBlob};
pub use folder::make_folder;
pub use memory::{MemoryBlobStore, MemoryStore};
pub use memory_queue::MemoryQueueStore;
pub use metadata::{CommitError, MetadataStore, Operation, Precondition, StoreError, Versioned, Write};
pub use queue::{
    Count, Depth, Due, Found, Look, Message, MessageId, Once, QueueError, QueueStore, Step, Take, check_steps,
};
pub use table::{Change, Committed, Pending, Table, Watch, WatchEvent};

/// A future of a method that is called through `dyn`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
