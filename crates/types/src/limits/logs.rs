//! Of the log store and of CloudWatch Logs.

use std::time::Duration;

/// Bytes of one log line; what is longer is split (Lambda).
pub const LOG_LINE_BYTES: usize = 256 * 1024;
/// Log lines waiting for the log store; beyond that they are dropped and counted.
pub const LOG_QUEUE_LINES: usize = 32_768;
/// Bytes of log lines waiting for the log store; beyond that they are dropped and counted.
pub const LOG_QUEUE_BYTES: usize = 32 * 1024 * 1024;
/// The part of [`LOG_QUEUE_LINES`] and [`LOG_QUEUE_BYTES`] that one group may have: a flood of one function leaves room
/// for the lines of others.
pub const LOG_QUEUE_SHARE: usize = 4;
/// Bytes per second that a log group takes for long; beyond that lines are dropped and counted. Ours.
pub const LOG_GROUP_RATE: u64 = 8 * 1024 * 1024;
/// Bytes that a log group takes at once above [`LOG_GROUP_RATE`].
pub const LOG_GROUP_BURST: u64 = 64 * 1024 * 1024;
/// Bytes that a line counts beside its message, there and on the disk.
pub const LOG_LINE_OVERHEAD: u64 = 96;
/// Bytes of one file of a log group.
pub const LOG_SEGMENT_BYTES: u64 = 8 * 1024 * 1024;
/// Bytes of a log group; beyond that its oldest file goes.
pub const LOG_GROUP_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes of all log groups; beyond that the oldest file of the largest goes.
pub const LOG_STORE_BYTES: u64 = 8 * 1024 * 1024 * 1024;
/// Bytes of log lines between two looks whether there is room for all.
pub const LOG_STORE_SLACK: u64 = 256 * 1024 * 1024;
/// Log files open for writing at a time.
pub const LOG_OPEN_FILES: usize = 64;
/// Bytes of messages that one reading of a log group gives.
pub const LOG_READ_BYTES: usize = 16 * 1024 * 1024;
/// Requests that read files of the log at a time; further ones wait.
pub const LOG_READERS: usize = 4;
/// Log groups that clients may make. Ours (CloudWatch: 1,000,000).
pub const LOG_GROUPS: usize = 10_000;
/// Streams of a group that clients may make or delete. Ours (CloudWatch: no bound).
pub const LOG_STREAMS: usize = 10_000;
/// Characters of a stream's name (CloudWatch).
pub const LOG_STREAM_CHARS: usize = 512;
/// Bytes of an event that a client puts (CloudWatch: 1 MB).
pub const LOG_EVENT_BYTES: usize = 1024 * 1024;
/// Bytes of all events that a client puts at once, with [`LOG_PUT_OVERHEAD`] for each (CloudWatch).
pub const LOG_PUT_BYTES: usize = 1_048_576;
/// See [`LOG_PUT_BYTES`] (CloudWatch).
pub const LOG_PUT_OVERHEAD: usize = 26;
/// How far events that a client puts at once may be apart (CloudWatch).
pub const LOG_PUT_SPAN: Duration = Duration::from_secs(24 * 60 * 60);
/// How old an event may be when it comes (CloudWatch).
pub const LOG_PUT_OLDEST: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// How far in the future (CloudWatch).
pub const LOG_PUT_NEWEST: Duration = Duration::from_secs(2 * 60 * 60);
/// Events on a page of a log, and the default (CloudWatch).
pub const LOG_PAGE_EVENTS: usize = 10_000;
/// Bytes of messages on a page of a log (CloudWatch: 1 MB).
pub const LOG_PAGE_BYTES: usize = 1024 * 1024;
/// Groups and streams on a page of a list (CloudWatch).
pub const LOG_LIST_PAGE: usize = 50;
/// Live tails at a time (CloudWatch: 15).
pub const LOG_TAILS: usize = 15;
/// Lines that a live tail tells in a second (CloudWatch).
pub const LOG_TAIL_LINES: usize = 500;
/// How long a live tail lasts (CloudWatch).
pub const LOG_TAIL_LIFE: Duration = Duration::from_secs(3 * 60 * 60);
/// Seconds of a live tail that wait for a slow client.
pub const LOG_TAIL_FRAMES: usize = 4;
/// Depth of nesting in a filter pattern. Ours.
pub const LOG_PATTERN_DEPTH: usize = 32;
/// Characters of a log group's name (CloudWatch).
pub const LOG_GROUP_CHARS: usize = 512;
/// Bytes of lines of a log group that has no folder of its own yet, as they are in a file; beyond that it gets one. Ours.
pub const LOG_YOUNG_BYTES: usize = 64 * 1024;
/// Bytes of a file that log groups without folders share. There are two at most, and the groups' lines are in memory too.
pub const LOG_YOUNG_FILE_BYTES: u64 = 8 * 1024 * 1024;
/// How long such a file takes lines, so that those of groups that are deleted go with it.
pub const LOG_YOUNG_FILE_AGE: Duration = Duration::from_secs(24 * 60 * 60);
/// Log groups of such a file that is to go that get folders at a time.
pub const LOG_YOUNG_SETTLED: usize = 2;
/// How often at most some of them do while no lines come.
pub const LOG_YOUNG_PAUSE: Duration = Duration::from_millis(20);
/// How often the log store looks for lines whose retention is over; readers do not see them from then on anyway.
pub const LOG_TIDY_EVERY: Duration = Duration::from_secs(60 * 60);
/// How long a file of a group with a retention is written to, so that it can go in time.
pub const LOG_SEGMENT_AGE: Duration = Duration::from_secs(24 * 60 * 60);
/// Lines that wait for a slow follower of a log; what it misses it is told.
pub const LOG_FOLLOW_LINES: usize = 256;
