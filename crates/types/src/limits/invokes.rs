//! Of what an invoke carries, and how it answers.

use std::time::Duration;

/// Bytes of a synchronous invoke's payload (Lambda: 6 MiB).
pub const SYNC_PAYLOAD_BYTES: usize = 6 * 1024 * 1024;
/// Bytes of a buffered response (Lambda: 6 MiB + 100).
pub const RESPONSE_PAYLOAD_BYTES: usize = SYNC_PAYLOAD_BYTES + 100;
/// Bytes of a streamed response (Lambda: 200 MiB).
pub const STREAMED_RESPONSE_BYTES: usize = 200 * 1024 * 1024;
/// Bytes of a streamed response that are sent as fast as the client takes them (Lambda: 6 MiB).
pub const STREAM_BURST_BYTES: u64 = 6 * 1024 * 1024;
/// MiB a second of a streamed response beyond that, unless told otherwise (Lambda).
pub const STREAM_BANDWIDTH_MB: u64 = 2;
/// How often what may be sent is filled up (Lambda).
pub const STREAM_REFILL: Duration = Duration::from_millis(125);
/// Bytes of a streamed response's content type; a longer one is left out. Ours: clients take lines of 64 KiB at most.
pub const STREAM_CONTENT_TYPE_BYTES: usize = 1024;
/// Parts of a streamed response that wait for the client; each is what one read of the runtime's connection brought, up to
/// 400 KiB. Ours.
pub const STREAM_PARTS: usize = 4;
/// Bytes of all headers of an answer through a function URL. Ours: what clients take.
pub const URL_ANSWER_HEAD_BYTES: usize = 64 * 1024;
/// Bytes of the JSON that describes them ahead of a streamed answer. Ours: as much, escaped.
pub const URL_PRELUDE_BYTES: usize = 2 * URL_ANSWER_HEAD_BYTES;
/// Bytes of X-Amz-Client-Context, in base64 (Lambda).
pub const CLIENT_CONTEXT_BYTES: usize = 3583;
/// Bytes at the end of an invoke's log that X-Amz-Log-Result carries (Lambda).
pub const LOG_TAIL_BYTES: usize = 4096;
