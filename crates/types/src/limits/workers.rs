//! Bounds between a server and its worker processes.

use std::time::Duration;

use super::RESPONSE_PAYLOAD_BYTES;

/// Bytes of a frame between server and worker process, without what it carries. Ours: room for all that a function's
/// configuration may hold.
pub const WORKER_HEAD_BYTES: usize = 256 * 1024;
/// Bytes that such a frame carries: a buffered answer and the end of its log.
pub const WORKER_BODY_BYTES: usize = RESPONSE_PAYLOAD_BYTES + 64 * 1024;
/// Bytes of log lines that wait in a worker process for the server; what is beyond is dropped, and counted. Ours.
pub const WORKER_LOG_BYTES: usize = 16 * 1024 * 1024;
/// Lines of such. Ours.
pub const WORKER_LOG_LINES: usize = 16 * 1024;
/// Between two times that a worker process tells how it is.
pub const WORKER_NUMBERS: Duration = Duration::from_secs(2);
/// A worker process that has told nothing for so long is lost: it hangs, or was stopped. Ours: far above what a machine that is
/// short of everything keeps it from telling.
pub const WORKER_SILENCE: Duration = Duration::from_secs(30);
/// Worker processes of a server. Ours.
pub const WORKERS_MAX: usize = 64;
