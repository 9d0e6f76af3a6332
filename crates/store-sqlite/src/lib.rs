//! The embedded engines, the default of a server on one machine: metadata in one SQLite file, packages in files, or in rows
//! beside the metadata where they are small.
//!
//! Metadata is written by one thread that gathers the commits that wait into one transaction and one flush
//! (WAL, `synchronous=FULL`); reads are answered from the copy in memory and never touch the disk. Small packages are a part
//! of the next such transaction, and of no copy. Queues have a file and a thread of their own, and no copy in memory.

mod blobs;
mod checksum;
mod log;
mod open;
mod packages;
mod queue;
mod seal;
mod small;
mod store;
mod writer;

pub use blobs::FileBlobStore;
pub use open::OpenError;
pub use packages::SqliteBlobStore;
pub use queue::SqliteQueueStore;
pub use seal::Seal;
pub use store::SqliteStore;
