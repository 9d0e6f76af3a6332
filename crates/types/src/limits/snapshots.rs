//! Of processes that are written down.

use std::time::Duration;

/// For a function to go on from its snapshot, its after-restore hooks included.
pub const RESTORE_TIMEOUT: Duration = Duration::from_secs(10);
/// Versions that are initialised for their snapshot at a time, but for those that take long. Ours.
pub const SNAPSHOTS_AT_A_TIME: usize = 2;
/// An initialisation for a snapshot that has not ended by then takes long, and stands in nobody's way any more. Ours.
pub const SNAPSHOT_QUICK: Duration = Duration::from_secs(10);
/// Versions, each of another function, whose initialisation for their snapshot takes long at a time. Ours.
pub const SNAPSHOTS_SLOW: usize = 8;
/// For writing down a process that waits for it. Ours.
pub const SNAPSHOT_WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of all snapshots of one worker. Ours: beyond that those go that were used least recently.
pub const SNAPSHOTS_BYTES: u64 = 4 * 1024 * 1024 * 1024;
/// Bytes of one snapshot of an initialised process: what is written of it and some empty pages between.
pub const SNAPSHOT_BYTES: u64 = 12 * 1024 * 1024 * 1024;
