//! Of event source mappings.

use std::time::Duration;

/// Batches of one queue's mapping that are with the function at a time to begin with (Lambda).
pub const SOURCE_POLLERS_START: usize = 5;
/// The most that this grows to (Lambda).
pub const SOURCE_POLLERS_MAX: usize = 1_250;
/// Milliseconds in which it grows by five while all are in use (Lambda: 300 a minute).
pub const SOURCE_POLLERS_GROWTH_MS: i64 = 1_000;
/// Milliseconds before a batch is tried again for which there was no room; doubled each time.
pub const SOURCE_RETRY_FIRST_MS: i64 = 100;
/// The most milliseconds of that.
pub const SOURCE_RETRY_MOST_MS: i64 = 5_000;
/// Bytes of batches of all mappings that are with functions at a time.
pub const SOURCE_BYTES: usize = 256 * 1024 * 1024;
/// Tries to delete messages that a function took. After that they are delivered again.
pub const SOURCE_DELETE_TRIES: u32 = 5;
/// How long one look at a queue waits for messages (Lambda).
pub const SOURCE_WAIT: Duration = Duration::from_secs(20);
/// Between two tries at a source that cannot be reached: the first, and the longest.
pub const SOURCE_UNREACHED: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));
/// Bytes of an answer with a secret (Secrets Manager: 64 KB of it), as JSON.
pub const SECRET_BYTES: usize = 512 * 1024;
/// Filters of an event source mapping (Lambda).
pub const MAPPING_FILTERS: usize = 5;
/// Characters of a filter's pattern (Lambda).
pub const MAPPING_PATTERN_CHARS: usize = 4096;
