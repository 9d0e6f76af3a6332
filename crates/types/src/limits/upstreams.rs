//! Of requests of our own to other servers.

use std::time::Duration;

/// Bytes of a request that is sent on to an upstream. Ours: DynamoDB's largest batch is 16 MB.
pub const UPSTREAM_BODY_BYTES: usize = 16 * 1024 * 1024;
/// Time for a connection to an upstream.
pub const UPSTREAM_CONNECT: Duration = Duration::from_secs(5);
/// Time for an upstream to begin its answer. Ours: the longest poll of a queue takes 20 s.
pub const UPSTREAM_ANSWER: Duration = Duration::from_secs(120);
/// Time for the next bytes of an upstream's answer. Ours: streams that live long send something every few seconds.
pub const UPSTREAM_STALL: Duration = Duration::from_secs(60);
/// Pieces of an upstream's answer that wait for the client.
pub const UPSTREAM_PIECES: usize = 4;
/// Idle connections kept to one upstream.
pub const UPSTREAM_IDLE: usize = 32;
