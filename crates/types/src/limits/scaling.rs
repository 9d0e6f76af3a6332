//! How fast requests and environments may come.

use std::num::NonZeroU32;
use std::time::Duration;

/// Requests a second for each unit of concurrency (Lambda's quota of synchronous requests).
pub const REQUESTS_PER_CONCURRENCY: u32 = 10;
/// Time in which a function's environments may grow by as many as the profile says.
pub const SCALING_PERIOD: Duration = Duration::from_secs(10);
/// Environments that may come to be in each minute after a burst, in the profile of before November 2023.
pub const SCALING_AFTER_BURST_PER_MINUTE: NonZeroU32 = NonZeroU32::new(500).unwrap();

/// Time for the init phase of a provisioned environment, unless its function's timeout is longer (Lambda).
pub const PROVISIONED_INIT_TIMEOUT: Duration = Duration::from_secs(130);
/// Environments of one version that are made at once for its provisioned concurrency; invokes need processors as well.
pub const PREPARED_AT_ONCE: u32 = 8;
/// How long after a failure, or for want of room, the making of provisioned environments is tried again; twice as long
/// after each further failure.
pub const PROVISION_RETRY: Duration = Duration::from_secs(1);
/// The longest such wait.
pub const PROVISION_RETRY_MAX: Duration = Duration::from_secs(300);
/// How often what is provisioned is metered.
pub const PROVISION_METERED: Duration = Duration::from_secs(1);
/// How long a change of provisioned concurrency is said to be in progress at least: clients that look at once see it, as
/// they do on Lambda, where it takes minutes.
pub const PROVISION_IN_PROGRESS: Duration = Duration::from_millis(500);
