//! Of what is made before its function is known.

use std::time::Duration;

/// Bytes of variables, NULs included, that a runtime which is started ahead of its function has room for; functions with
/// more get one that is started for them. Ours: [`super::ENVIRONMENT_BYTES`], an unusually long session token and the rest.
pub const AHEAD_VARIABLES_BYTES: usize = 12 * 1024;
/// Runtimes that wait for a function at a time, where the machine has the memory. Ours.
pub const AHEAD_RUNTIMES: u64 = 32;
/// MB of memory that the machine must have available for each of them. A waiting Python has some 4 MB of its own, a waiting
/// Node.js 9. Ours.
pub const AHEAD_AVAILABLE_MB_EACH: u64 = 256;
/// For so long after a start of its kind one runtime waits for the next. Ours.
pub const AHEAD_KEEP: Duration = Duration::from_secs(10 * 60);
/// As many wait as starts of their kind came in so long. Ours.
pub const AHEAD_RECENT: Duration = Duration::from_secs(60);
/// How long no function of any kind must have started before one more is started ahead of the next, while others wait:
/// those that start now have the machine's processors for themselves. Ours.
pub const AHEAD_CALM: Duration = Duration::from_millis(20);
/// How long none is started ahead after one that could not be, or that ended while it waited. Ours.
pub const AHEAD_REST: Duration = Duration::from_secs(2);
/// Kinds of starts that are remembered: a version of a runtime, with Node.js a size of its heap. Ours.
pub const AHEAD_KINDS: usize = 64;
/// How often the memory that the machine has available is looked at while runtimes wait. Ours.
pub const AHEAD_LOOK: Duration = Duration::from_secs(60);
/// How long an interpreter serves that was written down before it knew any function, until another one takes its place. Ours:
/// its functions have its hash seed and its memory layout in common.
pub const INTERPRETER_SNAPSHOT_AGE: Duration = Duration::from_secs(600);
