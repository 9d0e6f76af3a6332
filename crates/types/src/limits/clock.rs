//! Of what waits for a time.

use std::time::Duration;

/// The longest that is slept for a time of the wall clock, so that one that is set makes nothing late for long.
pub const CLOCK_LOOK: Duration = Duration::from_secs(30);
/// Turns of all other tasks before a manual clock goes on to the next sleeper. Ours.
pub const CLOCK_SETTLE_TURNS: u32 = 16;
/// Times that one advance of a manual clock stops at. Ours: one for each second of eleven days.
pub const CLOCK_STEPS: u32 = 1_000_000;
/// How far one advance moves it at most. Ours.
pub const CLOCK_ADVANCE_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// Real time that an advance waits for what was begun to be done, unless told otherwise. Ours.
pub const CLOCK_PATIENCE: Duration = Duration::from_secs(60);
