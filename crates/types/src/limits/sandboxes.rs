//! Of the spawner and its sandboxes.

use std::time::Duration;

/// Period over which an environment's share of the CPUs is enforced. The smallest share, 128 MB, buys 1.4 ms of it
/// (the kernel's least quota is 1 ms); a longer period would let a function that used its share up stand still longer.
pub const CPU_PERIOD: Duration = Duration::from_millis(20);
/// Requests that may wait for the spawner at a time; further callers wait for room.
pub const SPAWNER_REQUESTS: usize = 256;
/// Sandboxes of one spawner, the pool and those being taken down included. Ours: each needs two user ids, and about 15
/// descriptors on both sides together.
pub const SANDBOXES: u32 = 2048;
/// Sandboxes that wait for the next environments. Ours.
pub const POOL_LEAST: usize = 2;
/// Sandboxes that wait at most because the largest burst of the last minutes took so many. Ours: each takes a megabyte of the
/// kernel's.
pub const POOL_MAX: usize = 48;
/// How long one step of a sandbox's start may take once its first process is there. Ours: each takes milliseconds, on a machine
/// that has far more to do than it can, seconds; beyond that it stands still, and is killed.
pub const SANDBOX_STEP_TIME: Duration = Duration::from_secs(20);
/// Loop devices beyond the machine's own that one spawner keeps for the next environments, with nothing bound to them.
pub const LOOP_DEVICES_KEPT: usize = 64;
/// Bytes of all arguments and environment variables of a runtime process. Ours: Lambda's 4 KB of variables, the
/// platform's own, and room to spare.
pub const EXEC_STRINGS_BYTES: usize = 256 * 1024;
/// Arguments and environment variables of a runtime process.
pub const EXEC_STRINGS: usize = 4096;
