//! Of processors that are kept awake.

use std::time::Duration;

/// The distance of two looks at whether requests are under way still. Ours: the shortest that timers are set to.
pub const AWAKE_LOOK: Duration = Duration::from_millis(1);
/// Looks after which one request alone keeps processors awake no longer. Ours: what waits for 20 ms does not notice 50 µs.
pub const AWAKE_LOOKS: u32 = 20;
