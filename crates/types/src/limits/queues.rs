//! Of what waits: queues, asynchronous invokes, SQS.

use std::time::Duration;

/// Bytes of an asynchronous invoke's payload (Lambda: 1 MiB).
pub const EVENT_PAYLOAD_BYTES: usize = 1024 * 1024;
/// Attempts at an event after the first, unless told otherwise (Lambda).
pub const EVENT_RETRIES_DEFAULT: u32 = 2;
/// Seconds that an event may be old, unless told otherwise (Lambda: 6 hours).
pub const EVENT_AGE_DEFAULT_S: u32 = 21_600;
/// How often the pause after a refusal is doubled: 1 s to the 5 minutes at which it ends (Lambda).
pub const EVENT_PAUSE_DOUBLINGS: u32 = 9;
/// Bytes of a function's answer that are kept while its event waits for another attempt. Ours.
pub const EVENT_ANSWER_KEPT_BYTES: usize = 64 * 1024;
/// Bytes of a record of an event's end; a longer one has no payloads (SQS and SNS: 256 KB).
pub const EVENT_RECORD_BYTES: usize = 256 * 1024;
/// Bytes of a dead letter's ErrorMessage (Lambda: the first 1 KB).
pub const DEAD_LETTER_TEXT_BYTES: usize = 1024;
/// Events in work at a time, unless told otherwise; one function gets half of them at most. Ours.
pub const EVENT_POLLERS: u64 = 64;
/// Bytes of the events that are in memory.
pub const EVENT_FLEET_BYTES: usize = 64 * 1024 * 1024;
/// Events that a function's queue gives at one turn.
pub const EVENT_FLEET_TURN: usize = 16;
/// Bytes of these: one event of the largest size, at least.
pub const EVENT_FLEET_TURN_BYTES: usize = EVENT_PAYLOAD_BYTES;
/// Events of a function in work at a time, until it shows how many it takes.
pub const EVENT_LANE_START: usize = 16;
/// Parcels that are being sent at a time; one lane gets half of them at most. Ours.
pub const DELIVERY_POLLERS: usize = 32;
/// Bytes of a lane of parcels. Ours: what [`QUEUE_NAME_BYTES`] leaves.
pub const DELIVERY_LANE_BYTES: usize = 240;
/// How long a record is tried to be delivered. Ours, after the age of events.
pub const DELIVERY_AGE: Duration = Duration::from_secs(6 * 60 * 60);
/// Events that people are shown, or have run at once, in one answer. Ours.
pub const EVENTS_SHOWN: usize = 1000;
/// Events that are read at once for that.
pub const EVENT_DESK_TURN: usize = 100;
/// Bytes of these.
pub const EVENT_DESK_BYTES: usize = 4 * 1024 * 1024;
/// Events that ended without success and are remembered, without what was sent. Ours.
pub const EVENT_FAILURES_KEPT: usize = 1000;
/// Bytes of what InvokeAsync, the older way, takes (Lambda).
pub const INVOKE_ASYNC_BYTES: usize = 256 * 1024;
/// Bytes of a queue's name. Ours: a function's or a queue's name, and what says which kind it is.
pub const QUEUE_NAME_BYTES: usize = 256;
/// Bytes of a message's head. Ours: ids, times, and what a sender may say beside the body.
pub const QUEUE_HEAD_BYTES: usize = 256 * 1024;
/// Bytes of a message's body: an event ([`EVENT_PAYLOAD_BYTES`]) with the record of what became of it.
pub const QUEUE_BODY_BYTES: usize = 8 * 1024 * 1024;
/// Bytes of the name of a message's group (SQS: 128 characters).
pub const QUEUE_GROUP_NAME_BYTES: usize = 128;
/// Bytes of what tells that a message was put before: a digest, and room to spare.
pub const QUEUE_ONCE_BYTES: usize = 64;
/// Expired marks of what was put that go with each new one: they go faster than they come.
pub const QUEUE_ONCE_SWEEP: usize = 4;
/// Messages of fair groups that were taken and are due again, which one take finds at most. Ours.
pub const QUEUE_FAIR_SWEEP: usize = 1000;
/// Steps of one commit to the queues. Ours.
pub const QUEUE_COMMIT_STEPS: usize = 1000;
/// Requests that wait for the queues' writer; further callers wait for room.
pub const QUEUE_WAITING: usize = 1024;
/// Requests that share one transaction, and so one flush to the disk.
pub const QUEUE_GROUP: usize = 512;
/// Bytes of what shares one transaction; the last one may exceed it.
pub const QUEUE_GROUP_BYTES: usize = 16 * 1024 * 1024;
/// Messages that one step of a purge removes, between which others get their turn.
pub const QUEUE_PURGE_STEP: usize = 5000;
/// Characters of a queue's name (SQS).
pub const SQS_NAME_CHARS: usize = 80;
/// Bytes of a message with its attributes, and of all of a batch (SQS).
pub const SQS_MESSAGE_BYTES: usize = 1024 * 1024;
/// Attributes of a message (SQS).
pub const SQS_MESSAGE_ATTRIBUTES: usize = 10;
/// Entries of a batch, and messages of one receive (SQS).
pub const SQS_BATCH: usize = 10;
/// Bytes of the bodies of one receive; the first is given however large it is. Ours.
pub const SQS_RECEIVE_BYTES: usize = 2 * 1024 * 1024;
/// Seconds that a message may be invisible (SQS).
pub const SQS_VISIBILITY_MAX_S: i64 = 43_200;
/// Seconds that a message may be delayed (SQS).
pub const SQS_DELAY_MAX_S: i64 = 900;
/// Seconds that a message may be kept (SQS).
pub const SQS_RETENTION_MAX_S: i64 = 1_209_600;
/// Seconds that a receive may wait (SQS).
pub const SQS_WAIT_MAX_S: i64 = 20;
/// Characters of a tag's key (SQS).
pub const SQS_TAG_KEY_CHARS: usize = 128;
/// Characters of a tag's value (SQS).
pub const SQS_TAG_VALUE_CHARS: usize = 256;
/// Messages of one queue that may be in flight (SQS).
pub const SQS_IN_FLIGHT: u64 = 120_000;
/// The same of a FIFO queue (SQS).
pub const SQS_IN_FLIGHT_FIFO: u64 = 20_000;
/// Messages that the platform itself takes at a time at most: a batch of an event source mapping (Lambda).
pub const SQS_INSIDE_BATCH: usize = 10_000;
/// Milliseconds for which a message is not accepted twice (SQS).
pub const SQS_DEDUPLICATION_MS: i64 = 5 * 60 * 1000;
/// Milliseconds after a queue was deleted in which its name is not given again (SQS).
pub const SQS_DELETED_MS: i64 = 60 * 1000;
/// Milliseconds between two purges of a queue (SQS).
pub const SQS_PURGE_MS: i64 = 60 * 1000;
/// Characters of a message's group, and of its deduplication id (SQS).
pub const SQS_GROUP_CHARS: usize = 128;
/// Between two looks for messages that are older than their queue keeps them. Ours.
pub const SQS_SWEEP: Duration = Duration::from_secs(60);
/// Actions of one permission that AddPermission adds (SQS).
pub const SQS_PERMISSION_ACTIONS: usize = 7;
/// Messages that a move task moves at a time. Ours.
pub const SQS_MOVE_BATCH: usize = 100;
/// Milliseconds for which the messages that a move task has taken are its own. Ours.
pub const SQS_MOVE_HOLD_MS: i64 = 30_000;
/// Messages that a move task moves in a second, as its caller may set it (SQS).
pub const SQS_MOVE_RATE: i32 = 500;
/// Move tasks that a list has at most, and that are kept of a queue (SQS).
pub const SQS_MOVE_TASKS: usize = 10;
/// Queues on a page of a list (SQS).
pub const SQS_LIST_PAGE: usize = 1000;
/// Milliseconds in which a FIFO queue's receive with a ReceiveRequestAttemptId may be asked for again (SQS: 5 minutes).
pub const SQS_ATTEMPT_MS: i64 = 5 * 60 * 1000;
/// Receives of all queues that are known for that. Ours: the oldest is forgotten for a new one.
pub const SQS_ATTEMPTS: usize = 10_000;
/// Bytes of an upstream's answer with messages: ten of 1 MB, escaped. Ours.
pub const SQS_UPSTREAM_BYTES: usize = 32 * 1024 * 1024;
/// How long one look at an upstream's queue waits for messages. Ours: a mapping that stops waits for its end.
pub const SQS_UPSTREAM_WAIT: Duration = Duration::from_secs(5);
/// Characters of a topic's name (SNS).
pub const SNS_NAME_CHARS: usize = 256;
/// Topics, and subscriptions, on a page of a list (SNS).
pub const SNS_PAGE: usize = 100;
/// Subscriptions of a topic. Ours: a message goes to all of them in one commit ([`QUEUE_COMMIT_STEPS`]).
pub const SNS_SUBSCRIPTIONS: usize = 500;
/// Bytes of a message with its attributes, and of all of a batch (SNS).
pub const SNS_MESSAGE_BYTES: usize = 256 * 1024;
/// Characters of a subject (SNS).
pub const SNS_SUBJECT_CHARS: usize = 100;
/// Messages of a batch (SNS).
pub const SNS_BATCH: usize = 10;
/// Milliseconds in which a FIFO topic takes a message of the same deduplication id once (SNS: 5 minutes).
pub const SNS_DEDUPLICATION_MS: i64 = 5 * 60 * 1000;
/// Publications whose time is over that a FIFO topic forgets with the next one, at most. Ours: more than a batch adds, so
/// that what is kept stays what these minutes had.
pub const SNS_FORGET_STEP: usize = 2 * SNS_BATCH;
/// Attempts to deliver to queues and functions after the first (SNS).
pub const SNS_RETRIES: u32 = 100_015;
/// Milliseconds over which these are made (SNS: 23 days).
pub const SNS_RETRY_AGE_MS: i64 = 23 * 24 * 60 * 60 * 1000;
/// How long an HTTP endpoint may take to answer (SNS).
pub const SNS_HTTP_PATIENCE: Duration = Duration::from_secs(15);
/// Bytes of its answer that are read. Ours: only its status counts.
pub const SNS_HTTP_ANSWER_BYTES: usize = 64 * 1024;
/// Milliseconds for which a bucket's event is tried to be delivered (S3: a day).
pub const S3_NOTICE_AGE_MS: i64 = 24 * 60 * 60 * 1000;
/// Invokes of a function in one chain of what led to what; the next one is refused (Lambda: about 16).
pub const RECURSIVE_INVOKES: u32 = 16;
