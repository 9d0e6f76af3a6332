//! Of requests and answers at the edge.

use std::time::Duration;

/// Bytes of a control-plane request: a 50 MiB zip in base64 and its siblings (Lambda: about 70 MB).
pub const CONTROL_BODY_BYTES: usize = 70_167_211;
/// Bytes of every other control-plane request. Ours: the largest real ones are policies and filters.
pub const SMALL_BODY_BYTES: usize = 1024 * 1024;
/// Bytes of a request to a service beside Lambda and S3. Ours: a full batch of log events, 1 MB, escaped as JSON.
pub const NEIGHBOUR_BODY_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of the request line and all headers. Ours (Lambda: 1 MB).
pub const HEAD_BYTES: usize = 64 * 1024;
/// Count of request headers. Ours.
pub const HEADERS: usize = 100;
/// Time for a client to send a whole head, and for a connection to stay idle.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// Time for a client to send a whole body.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(60);
/// Client connections open at a time.
pub const CONNECTIONS: usize = 4096;
/// Bytes of a text that a pattern of the service model is run on; longer texts do not match. Ours.
pub const PATTERN_TEXT_BYTES: usize = 64 * 1024;
/// Ways that a pattern with lookaheads may try. Ours.
pub const PATTERN_BACKTRACKS: usize = 100_000;
/// Characters of a refused value that a validation message repeats. Ours.
pub const MESSAGE_VALUE_CHARS: usize = 8192;
/// Violations that a validation message spells out; it counts all. Ours.
pub const MESSAGE_VIOLATIONS: usize = 100;
/// Depth of nesting in a request's JSON. Ours: the model's deepest input has 6.
pub const JSON_DEPTH: usize = 64;
/// Packages over [`SMALL_BODY_BYTES`] that are taken in at a time, requests of that size that are sent on to upstreams
/// included; a package holds up to 120 MB. Further clients wait.
pub const PACKAGES_IN_WORK: usize = 8;
/// Packages fetched from S3 that are in memory at a time; each has up to [`super::UNZIPPED_BYTES`]. Further clients wait.
pub const PACKAGES_FETCHED: usize = 2;
/// Time for a client to take some bytes of its answer.
pub const ANSWER_STALL: Duration = Duration::from_secs(60);
/// The same where answers that nobody takes hold more than [`UNREAD_ANSWERS_BYTES`]; looked at again as often.
pub const ANSWER_PATIENCE: Duration = Duration::from_secs(1);
/// Bytes of answers, over all connections, that may wait for clients which do not read; twice as many for
/// [`ANSWER_PATIENCE`], and never more.
pub const UNREAD_ANSWERS_BYTES: usize = 256 << 20;
/// Time for a client to stop sending after its connection was ended, so that it sees the answer it got.
pub const LINGER: Duration = Duration::from_secs(5);
/// Bytes that a client may still send in that time; more resets the connection.
pub const LINGER_BYTES: usize = 256 * 1024 * 1024;
