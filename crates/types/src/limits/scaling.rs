//! How fast requests and environments may come.

use std::num::NonZeroU32;
use std::time::Duration;

/// Requests a second for each unit of concurrency (Lambda's quota of synchronous requests).
pub const REQUESTS_PER_CONCURRENCY: u32 = 10;
/// Time in which a function's environments may grow by as many as the profile says.
pub const SCALING_PERIOD: Duration = Duration::from_secs(10);
/// Environments that may come to be in each minute after a burst, in the profile of before November 2023.
pub const SCALING_AFTER_BURST_PER_MINUTE: NonZeroU32 = NonZeroU32::new(500).unwrap();
