//! Of streams as event sources.

use std::time::Duration;

use super::SYNC_PAYLOAD_BYTES;

/// Bytes of the records of a batch of a stream: with what is around them they are one invoke's (AWS).
pub const STREAM_BATCH_BYTES: usize = SYNC_PAYLOAD_BYTES - 1024;
/// Bytes of the state that the batches of a tumbling window hand on (AWS).
pub const STREAM_STATE_BYTES: usize = 1024 * 1024;
/// Before a batch of a stream is tried again; doubled from one to the next.
pub const STREAM_RETRY: Duration = Duration::from_millis(500);
/// The longest of these.
pub const STREAM_RETRY_MAX: Duration = Duration::from_secs(60);
/// Bytes of a shard's records that wait, beyond which no more are read. One read can add 10 MB (Kinesis).
pub const STREAM_PENDING_BYTES: usize = 8 * 1024 * 1024;
/// Records of a shard that are asked for at once (Kinesis; DynamoDB gives 1,000).
pub const STREAM_READ_RECORDS: usize = 10_000;
/// Bytes of the answer to that. Kinesis: 10 MB of data, in base64 and with names.
pub const STREAM_READ_BYTES: usize = 32 * 1024 * 1024;
/// Shards of a stream that are followed. More than AWS's quota without asking.
pub const STREAM_SHARDS: usize = 10_000;
/// Bytes of the head of one of a broker's STOMP frames. Ours.
pub const STOMP_HEAD_BYTES: usize = 64 * 1024;
/// Bytes of a message in one. Ours: more than an event can carry in base64.
pub const STOMP_BODY_BYTES: usize = 16 * 1024 * 1024;
/// Frames that were read and wait; behind them the broker does.
pub const STOMP_AHEAD: usize = 64;
