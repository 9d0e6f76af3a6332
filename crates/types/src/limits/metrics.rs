//! Of what is counted.

use std::time::Duration;

/// Functions that are counted each by itself in the metrics; those beyond together. Ours: Prometheus keeps each of their
/// numbers as a series.
pub const METRIC_FUNCTIONS: usize = 1000;
/// Event source mappings that are counted each by itself in the metrics; those beyond together. Ours.
pub const METRIC_MAPPINGS: usize = 1000;
/// Queues whose depths are in the metrics. Ours.
pub const METRIC_QUEUES: usize = 1000;
/// Functions whose use is metered each by itself; those beyond together. Ours: each is a record in every month.
pub const METERED_FUNCTIONS: usize = 10_000;
/// How often what was metered is written down: so much of it a crash may lose. Ours.
pub const METER_WRITE: Duration = Duration::from_secs(2);
/// Months, the present one among them, whose use is kept. Ours.
pub const METERED_MONTHS: usize = 13;
/// Traced invokes whose spans wait for the collector; beyond that they are dropped and counted. Ours.
pub const SPAN_QUEUE: usize = 4096;
/// Traced invokes whose spans go in one request. Ours.
pub const SPAN_BATCH: usize = 256;
/// How long a request with spans waits for more of them; and until the second attempt, twice that until the third. Ours.
pub const SPAN_LINGER: Duration = Duration::from_millis(500);
/// Time for the collector to answer.
pub const SPAN_PATIENCE: Duration = Duration::from_secs(10);
/// How often a batch of spans is sent before it is given up. Ours.
pub const SPAN_TRIES: u32 = 5;
/// Bytes of a collector's answer that are read.
pub const SPAN_ANSWER_BYTES: usize = 64 * 1024;
/// Bytes of one segment that a function sends, with its header: X-Ray's daemon takes no more.
pub const SEGMENT_BYTES: usize = 64 * 1024;
/// Segments that are taken of one traced invoke. Ours.
pub const SEGMENTS_OF_INVOKE: usize = 1000;
/// Bytes of them. Ours.
pub const SEGMENT_BYTES_OF_INVOKE: usize = 512 * 1024;
/// Bytes of segments that wait in one process: for the end of their invokes, and for the collector. Ours.
pub const SEGMENT_BYTES_WAITING: usize = 32 * 1024 * 1024;
/// What a segment that waits takes beside its own bytes, roughly. Ours.
pub const SEGMENT_OVERHEAD_BYTES: usize = 128;
/// Segments of so many invokes wait for the collector, or in a worker process for their way to the server. Ours.
pub const SEGMENT_LETTERS: usize = 4096;
/// How often segments of one traced invoke that come after its end are passed on at once; then they wait for the end of
/// the next. Ours.
pub const SEGMENT_LATE_LETTERS: usize = 16;
/// Bytes of segments that go in one request to the collector, as functions sent them. Ours.
pub const SEGMENT_BYTES_OF_REQUEST: usize = 2 * 1024 * 1024;
/// Bytes of the header in which a runtime says what led to an error; runtimes send no longer one.
pub const ERROR_CAUSE_HEADER_BYTES: usize = 1024 * 1024;
/// Bytes that are kept of it, as on Lambda.
pub const ERROR_CAUSE_BYTES: usize = 64 * 1024;
/// Exceptions that are kept of it. Ours.
pub const ERROR_CAUSE_EXCEPTIONS: usize = 32;
/// Memories that one request to tune may try. Ours.
pub const TUNE_SETTINGS: usize = 46;
/// Warm runs with each of them, at most. Ours.
pub const TUNE_RUNS: usize = 1000;
