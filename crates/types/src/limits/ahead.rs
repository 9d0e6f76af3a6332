//! Of what is made before its function is known.

use std::time::Duration;

/// Bytes of variables, NULs included, that a runtime which is started ahead of its function has room for; functions with
/// more get one that is started for them. Ours: [`super::ENVIRONMENT_BYTES`], an unusually long session token and the rest.
pub const AHEAD_VARIABLES_BYTES: usize = 12 * 1024;
/// Runtimes that wait for a function at a time because some of their kind were wanted or deployed lately. Ours.
pub const AHEAD_RUNTIMES: u64 = 32;
/// The most that may be asked for in its place, and of one runtime as a stock. Ours: as many sandboxes as one spawner keeps.
pub const AHEAD_MAX: u64 = super::SANDBOXES as u64;
/// All that wait together take at most one part in so many of the memory that the machine would have available without
/// them. Ours.
pub const AHEAD_MEMORY_PART: u64 = 4;
/// MB that one of a kind counts for until one of it has been seen. Ours: the first Node.js of a machine takes that.
pub const AHEAD_UNSEEN_MB: u64 = 32;
/// MB that one counts for beyond what its control group is charged with: the kernel's. Ours.
pub const AHEAD_KERNEL_MB: u64 = 1;
/// One part in so many of the sandboxes that can be besides those that live is left free of them: what finds none of its kind
/// must find room. Ours.
pub const AHEAD_FREE_PART: usize = 4;
/// Descriptors that one sandbox takes of a process, at most. Ours, measured: 10.3 in the server.
pub const SANDBOX_DESCRIPTORS: u64 = 11;
/// Descriptors that a process has for all else. Ours.
pub const OWN_DESCRIPTORS: u64 = 512;
/// For so long after a start of its kind, or a deployment, a runtime waits for the next. Ours.
pub const AHEAD_KEEP: Duration = Duration::from_secs(10 * 60);
/// Starts of a kind within so long of each other are one burst; as many wait as the largest of the last [`AHEAD_KEEP`] had.
/// Ours: in less than that one processor has started as many as it can meanwhile.
pub const AHEAD_BURST: Duration = Duration::from_secs(10);
/// So many runtimes of a kind wait at most because functions were deployed within [`AHEAD_BURST`] of each other. Ours: of
/// hundreds that are deployed at once, most are not called soon.
pub const AHEAD_DEPLOYED: usize = 4;
/// How long no function of any kind must have started before one more is started ahead of the next, while others wait, and none
/// have been deployed before more than one is started for those: what goes on now has the machine's processors for itself. Ours.
pub const AHEAD_CALM: Duration = Duration::from_millis(20);
/// While functions are invoked, those beyond [`AHEAD_RUNTIMES`] are started so far apart: filling a large stock then takes a
/// tenth or two of one processor. Ours.
pub const AHEAD_PACE: Duration = Duration::from_millis(100);
/// How long none is started ahead after one that could not be, or that ended while it waited. Ours.
pub const AHEAD_REST: Duration = Duration::from_secs(2);
/// Kinds of starts that are remembered: a version of a runtime, with Node.js a size of its heap. Ours.
pub const AHEAD_KINDS: usize = 64;
/// How often the memory that the machine has available is looked at while runtimes wait. Ours.
pub const AHEAD_LOOK: Duration = Duration::from_secs(10);
/// How often the server looks which versions are in use, and writes it down where that is news; what was in use since the last
/// look counts as at once. Ours: a crash takes no more than that, and no more bursts are one than those of [`AHEAD_BURST`].
pub const LATELY_LOOK: Duration = AHEAD_BURST;
/// For versions that were in use within so long before the start of a server, or of a worker, runtimes wait soon after it. Ours: an upgrade or a
/// restart of the machine is shorter, and what has not been called for longer is hardly called in the [`AHEAD_KEEP`] that
/// they wait.
pub const LATELY_KEEP: Duration = Duration::from_secs(60 * 60);
/// By so much a version was in use later than is written of it before that alone is written. Ours: what is always in use costs
/// a commit a minute.
pub const LATELY_STEP: Duration = Duration::from_secs(60);
/// Versions that are remembered so, those used last. Ours: 60 KB at most; without `--ahead` no more runtimes than [`AHEAD_RUNTIMES`] wait.
pub const LATELY_VERSIONS: usize = 256;
/// How long an interpreter serves that was written down before it knew any function, until another one takes its place. Ours:
/// its functions have its hash seed and its memory layout in common.
pub const INTERPRETER_SNAPSHOT_AGE: Duration = Duration::from_secs(600);
