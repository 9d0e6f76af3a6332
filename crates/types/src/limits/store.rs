//! Of the metadata store.

/// Bytes of a key of the metadata store. Ours: room for a key of S3 ([`super::S3_KEY_BYTES`]) and what says which one it is.
pub const STORE_KEY_BYTES: usize = 1280;
/// Bytes of a value of the metadata store. Ours: a function's record is some kilobytes.
pub const STORE_VALUE_BYTES: usize = 4 * 1024 * 1024;
/// Writes of one commit. Ours.
pub const STORE_COMMIT_WRITES: usize = 1000;
/// Commits that wait for the metadata store's writer; further callers wait for room.
pub const STORE_QUEUE_COMMITS: usize = 1024;
/// Commits that share one transaction, and so one flush to the disk.
pub const STORE_GROUP_COMMITS: usize = 256;
/// Bytes of a package that is kept beside the metadata, in its commit's own transaction. Ours: four pages of the file, for
/// which a flush takes a tenth longer; larger ones would be written twice, to the log and to the file, and be looked through
/// at each start.
pub const SMALL_BLOB_BYTES: usize = 16 * 1024;
/// Such packages, and removals of them, that wait for a commit; one more has them written without.
pub const SMALL_BLOBS_WAITING: usize = 256;
/// Commits that a watcher may be behind before it starts over from a snapshot.
pub const STORE_WATCH_COMMITS: usize = 1024;
