//! Of environments: when they are made, what they may do, how long they live.

use std::time::Duration;

use super::{MEMORY_MIN_MB, SHUTDOWN_EXTERNAL};

/// Time for the init phase (Lambda).
pub const INIT_TIMEOUT: Duration = Duration::from_secs(10);
/// Cores an environment may use during init (Lambda).
pub const INIT_CORES: u32 = 2;
/// Processes and threads of an environment (Lambda).
pub const ENVIRONMENT_TASKS: u32 = 1024;
/// Open files of a process in an environment (Lambda).
pub const ENVIRONMENT_FILES: u64 = 1024;
/// RLIMIT_NPROC that a function sees (Lambda, recorded).
pub const ENVIRONMENT_RLIMIT_NPROC: u64 = 742;
/// RLIMIT_MEMLOCK in bytes (Lambda, recorded).
pub const ENVIRONMENT_RLIMIT_MEMLOCK: u64 = 65_536;
/// RLIMIT_CORE in bytes (Lambda, recorded).
pub const ENVIRONMENT_RLIMIT_CORE: u64 = 10_737_418_240;
/// RLIMIT_STACK in bytes, soft (Lambda, recorded; the hard one is unlimited).
pub const ENVIRONMENT_RLIMIT_STACK: u64 = 8_388_608;
/// Connections a runtime may hold to its Runtime API.
pub const RUNTIME_CONNECTIONS: usize = 64;
/// Seconds that idle environments are kept at most, where they are kept for a time. Ours.
pub const KEEP_ALIVE_MAX_S: u64 = 86_400;
/// How long an invoke waits at least for an environment that has answered and is about to be idle, before another one is
/// made. Ours: less than a cold start.
pub const SETTLE: Duration = Duration::from_millis(10);
/// How long it waits at most, where cold starts take long. Ours.
pub const SETTLE_MAX: Duration = Duration::from_millis(200);
/// How long an invoke waits for room for a new environment before it is refused. Ours: longer than an environment with
/// extensions, which may be what takes the room, needs for its end and for being taken down on a busy machine.
pub const ROOM_WAIT: Duration = SHUTDOWN_EXTERNAL.saturating_add(Duration::from_secs(3));
/// Invokes that wait for room at a time; more are refused at once. Ours.
pub const ROOM_WAITERS: u32 = 500;
/// Living environments of one worker, unless told otherwise. Ours: a machine's usual 20,000 descriptors allow for it.
pub const ENVIRONMENTS_MAX: u32 = 1000;
/// How long an environment whose room another one needs, or whose time is over, may be there still while others start: a
/// start has the processors first, an end takes about as much of them. Ours.
pub const LEAVE_WITHIN: Duration = Duration::from_millis(250);
/// How far apart such ends are where nothing starts. Ours: about what one takes of a processor.
pub const LEAVE_PACE: Duration = Duration::from_millis(3);
/// So many may be there still in one worker, and no more than half of what may live there. Ours.
pub const LEAVING: u32 = 64;
/// Bytes that may be charged to them whatever the machine has. Ours.
pub const LEAVING_BYTES: u64 = 64 * 1024 * 1024;
/// The part of the machine's available memory that may be, where that is more. Ours.
pub const LEAVING_MEMORY_PART: u64 = 8;
/// Tasks of the platform inside an environment, beyond the function's own: its init.
pub const ENVIRONMENT_OWN_TASKS: u32 = 1;
/// Connections that wait to be accepted by the Runtime API.
pub const RUNTIME_BACKLOG: i32 = 64;
/// Seconds that an environment lives, unless told otherwise; older ones go when they are idle. Ours (Lambda: hours, not
/// stated).
pub const ENVIRONMENT_LIFE_S: u64 = 14 * 60 * 60;
/// Part of its life by which an environment may go earlier, so that those made together do not go together. Ours.
pub const ENVIRONMENT_LIFE_SPREAD: u32 = 8;
/// How much longer than the environment the credentials of its processes are good: longer than the longest invoke, which it
/// may just have begun.
pub const ENVIRONMENT_CREDENTIALS_BEYOND: Duration = Duration::from_secs(60 * 60);
/// Connections of an environment to the outside that the machine keeps track of; each that is over counts until the
/// machine forgets it. Ours: a function's 1,024 files and as much again; the machine's table has room for many such.
pub const ENVIRONMENT_CONNECTIONS: u32 = 2048;

/// RLIMIT_NPROC in a function of so much memory. The recorded figure belongs to 128 MB and is the default that a Linux
/// guest of some 58 MB more derives from its memory: 4 per MB. From about 200 MB on, [`ENVIRONMENT_TASKS`] is lower.
#[must_use]
pub fn environment_rlimit_nproc(memory_mb: u32) -> u64 {
    ENVIRONMENT_RLIMIT_NPROC + 4 * u64::from(memory_mb.saturating_sub(MEMORY_MIN_MB))
}
