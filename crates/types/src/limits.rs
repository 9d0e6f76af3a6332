//! Every bound of the system, with its unit. "Lambda" marks a figure of the real service.
// long: every bound has its place here.

use std::time::Duration;

mod ahead;
mod awake;
mod clock;
mod disk;
mod metrics;
mod package;
mod patterns;
mod queues;
mod rules;
mod scaling;
mod snapshots;
mod streams;
mod throughput;
mod upstreams;
mod workers;

pub use ahead::*;
pub use awake::*;
pub use clock::*;
pub use disk::*;
pub use metrics::*;
pub use package::*;
pub use patterns::*;
pub use queues::*;
pub use rules::*;
pub use scaling::*;
pub use snapshots::*;
pub use streams::*;
pub use throughput::*;
pub use upstreams::*;
pub use workers::*;

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
/// Bytes of X-Amz-Client-Context, in base64 (Lambda).
pub const CLIENT_CONTEXT_BYTES: usize = 3583;
/// Bytes of all environment variables as compact JSON (Lambda).
pub const ENVIRONMENT_BYTES: usize = 4096;
/// Bytes at the end of an invoke's log that X-Amz-Log-Result carries (Lambda).
pub const LOG_TAIL_BYTES: usize = 4096;
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
/// How often the log store looks for lines whose retention is over; readers do not see them from then on anyway.
pub const LOG_TIDY_EVERY: Duration = Duration::from_secs(60 * 60);
/// How long a file of a group with a retention is written to, so that it can go in time.
pub const LOG_SEGMENT_AGE: Duration = Duration::from_secs(24 * 60 * 60);
/// Lines that wait for a slow follower of a log; what it misses it is told.
pub const LOG_FOLLOW_LINES: usize = 256;
/// Concurrent executions of an account (Lambda's default).
pub const ACCOUNT_CONCURRENCY: u32 = 1000;
/// Concurrent executions that reservations must leave to the functions without one (Lambda).
pub const UNRESERVED_CONCURRENCY_MIN: u32 = 100;
/// Seconds: a function's time limit when none is given, and the largest (Lambda).
pub const TIMEOUT_DEFAULT_S: u32 = 3;
/// See [`TIMEOUT_DEFAULT_S`].
pub const TIMEOUT_MAX_S: u32 = 900;
/// MB of memory (Lambda).
pub const MEMORY_MIN_MB: u32 = 128;
/// See [`MEMORY_MIN_MB`].
pub const MEMORY_MAX_MB: u32 = 10_240;
/// MB of memory that buy one core (Lambda).
pub const MEMORY_MB_PER_CORE: u32 = 1769;
/// MB of /tmp (Lambda).
pub const EPHEMERAL_MIN_MB: u32 = 512;
/// See [`EPHEMERAL_MIN_MB`].
pub const EPHEMERAL_MAX_MB: u32 = 10_240;
/// Characters of a function's name (Lambda).
pub const FUNCTION_NAME_CHARS: usize = 64;
/// Tags of a function (Lambda).
pub const TAGS: usize = 50;
/// Characters of a tag's key (Lambda).
pub const TAG_KEY_CHARS: usize = 128;
/// Characters of a tag's value (Lambda).
pub const TAG_VALUE_CHARS: usize = 256;
/// Tenants that have environments at a time (Lambda: for each 1,000 of concurrency).
pub const TENANTS: usize = 2_500;
/// Layers of a function (Lambda).
pub const LAYERS: usize = 5;
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
/// Functions on a page of a list (Lambda).
pub const LIST_FUNCTIONS_PAGE: usize = 50;
/// Layers, and versions of a layer, on a page of a list (Lambda).
pub const LIST_LAYERS_PAGE: usize = 50;
/// Settings of a function's qualifiers on a page of a list (Lambda).
pub const LIST_SETTINGS_PAGE: usize = 50;
/// Bytes of a policy document (Lambda: 20 KB).
pub const POLICY_BYTES: usize = 20 * 1024;
/// Versions on a page of a list (Lambda).
pub const LIST_VERSIONS_PAGE: usize = 50;
/// Aliases on a page of a list. Ours: the largest that may be asked for.
pub const LIST_ALIASES_PAGE: usize = 10_000;
/// Code signing configurations, and functions of one, on a page of a list. Ours: the largest that may be asked for.
pub const LIST_CODE_SIGNING_PAGE: usize = 10_000;
/// Event source mappings on a page of a list (Lambda).
pub const LIST_MAPPINGS_PAGE: usize = 100;
/// Batches of one queue's mapping that are with the function at a time to begin with (Lambda).
pub const SOURCE_POLLERS_START: usize = 5;
/// The most that this grows to (Lambda).
pub const SOURCE_POLLERS_MAX: usize = 1_250;
/// Milliseconds in which it grows by five while all are in use (Lambda: 300 a minute).
pub const SOURCE_POLLERS_GROWTH_MS: i64 = 1_000;
/// Milliseconds before a batch is tried again for which there was no room; doubled each time.
pub const SOURCE_RETRY_FIRST_MS: i64 = 100;
/// The most milliseconds of that.
pub const SOURCE_RETRY_MOST_MS: i64 = 5_000;
/// Bytes of batches of all mappings that are with functions at a time.
pub const SOURCE_BYTES: usize = 256 * 1024 * 1024;
/// Tries to delete messages that a function took. After that they are delivered again.
pub const SOURCE_DELETE_TRIES: u32 = 5;
/// How long one look at a queue waits for messages (Lambda).
pub const SOURCE_WAIT: Duration = Duration::from_secs(20);
/// Between two tries at a source that cannot be reached: the first, and the longest.
pub const SOURCE_UNREACHED: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));
/// Bytes of an answer with a secret (Secrets Manager: 64 KB of it), as JSON.
pub const SECRET_BYTES: usize = 512 * 1024;
/// Filters of an event source mapping (Lambda).
pub const MAPPING_FILTERS: usize = 5;
/// Characters of a filter's pattern (Lambda).
pub const MAPPING_PATTERN_CHARS: usize = 4096;
/// Versions that an alias may lead to beside its first (Lambda).
pub const ALIAS_WEIGHTS: usize = 1;
/// Connections a runtime may hold to its Runtime API.
pub const RUNTIME_CONNECTIONS: usize = 64;
/// Extensions of an environment (Lambda).
pub const EXTENSIONS: usize = 10;
/// Files in /opt/extensions that are started: one more than may register, so that it hears why it may not.
pub const EXTENSION_PROGRAMS: usize = EXTENSIONS + 1;
/// How long an environment with extensions of the runtime's process alone may take to end (Lambda).
pub const SHUTDOWN_INTERNAL: Duration = Duration::from_millis(500);
/// How long an environment may take to end where extensions have processes of their own (Lambda).
pub const SHUTDOWN_EXTERNAL: Duration = Duration::from_millis(2000);
/// The part of [`SHUTDOWN_INTERNAL`] or [`SHUTDOWN_EXTERNAL`] that the runtime has, in percent (Lambda).
pub const SHUTDOWN_RUNTIME_PERCENT: u32 = 30;
/// Bytes of an extension's name: what a file's may have.
pub const EXTENSION_NAME_BYTES: usize = 255;
/// Bytes of what an extension sends with one call. Ours: the largest are error reports with their stack traces.
pub const EXTENSION_BODY_BYTES: usize = 256 * 1024;
/// How long a link in GetFunction's Code.Location is good (Lambda).
pub const CODE_LINK_LIFE: Duration = Duration::from_secs(600);
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
/// Bytes of a key of the metadata store. Ours: room for a key of S3 ([`S3_KEY_BYTES`]) and what says which one it is.
pub const STORE_KEY_BYTES: usize = 1280;
/// Bytes of a value of the metadata store. Ours: a function's record is some kilobytes.
pub const STORE_VALUE_BYTES: usize = 4 * 1024 * 1024;
/// Writes of one commit. Ours.
pub const STORE_COMMIT_WRITES: usize = 1000;
/// Commits that wait for the metadata store's writer; further callers wait for room.
pub const STORE_QUEUE_COMMITS: usize = 1024;
/// Commits that share one transaction, and so one flush to the disk.
pub const STORE_GROUP_COMMITS: usize = 256;
/// Bytes of a package that is kept beside the metadata, in its commit's own transaction. Ours: four pages of the file, for
/// which a flush takes a tenth longer; larger ones would be written twice, to the log and to the file, and be looked through
/// at each start.
pub const SMALL_BLOB_BYTES: usize = 16 * 1024;
/// Such packages, and removals of them, that wait for a commit; one more has them written without.
pub const SMALL_BLOBS_WAITING: usize = 256;
/// Commits that a watcher may be behind before it starts over from a snapshot.
pub const STORE_WATCH_COMMITS: usize = 1024;
/// Period over which an environment's share of the CPUs is enforced. The smallest share, 128 MB, buys 1.4 ms of it
/// (the kernel's least quota is 1 ms); a longer period would let a function that used its share up stand still longer.
pub const CPU_PERIOD: Duration = Duration::from_millis(20);
/// Tasks of the platform inside an environment, beyond the function's own: its init.
pub const ENVIRONMENT_OWN_TASKS: u32 = 1;
/// Requests that may wait for the spawner at a time; further callers wait for room.
pub const SPAWNER_REQUESTS: usize = 256;
/// Sandboxes of one spawner, the pool and those being taken down included. Ours: each needs two user ids, and about 15
/// descriptors on both sides together.
pub const SANDBOXES: u32 = 2048;
/// How long one step of a sandbox's start may take once its first process is there. Ours: each takes milliseconds, on a machine
/// that has far more to do than it can, seconds; beyond that it stands still, and is killed.
pub const SANDBOX_STEP_TIME: Duration = Duration::from_secs(20);
/// Loop devices beyond the machine's own that one spawner keeps for the next environments, with nothing bound to them.
pub const LOOP_DEVICES_KEPT: usize = 64;
/// Bytes of all arguments and environment variables of a runtime process. Ours: Lambda's 4 KB of variables, the
/// platform's own, and room to spare.
pub const EXEC_STRINGS_BYTES: usize = 256 * 1024;
/// Arguments and environment variables of a runtime process.
pub const EXEC_STRINGS: usize = 4096;
/// Connections that wait to be accepted by the Runtime API.
pub const RUNTIME_BACKLOG: i32 = 64;
/// Connections to the server's API that wait to be accepted, of one environment.
pub const INSIDE_BACKLOG: i32 = 64;
/// Connections of one environment to the server's API; more wait. Ours: clients keep up to 50.
pub const INSIDE_CONNECTIONS: usize = 64;
/// Bytes of requests of one environment that the server holds in memory at a time; more wait.
pub const INSIDE_BODIES_BYTES: usize = 64 * 1024 * 1024;
/// The same of what functions send, all together: apart from those of clients outside.
pub const INSIDE_PACKAGES_IN_WORK: usize = 2;
/// Seconds that an environment lives, unless told otherwise; older ones go when they are idle. Ours (Lambda: hours, not
/// stated).
pub const ENVIRONMENT_LIFE_S: u64 = 14 * 60 * 60;
/// Part of its life by which an environment may go earlier, so that those made together do not go together. Ours.
pub const ENVIRONMENT_LIFE_SPREAD: u32 = 8;
/// How much longer than the environment the credentials of its processes are good: longer than the longest invoke, which it
/// may just have begun.
pub const ENVIRONMENT_CREDENTIALS_BEYOND: Duration = Duration::from_secs(60 * 60);
/// Events of one batch of telemetry: the least and the most that a subscriber may ask for (Lambda).
pub const TELEMETRY_ITEMS: (u32, u32) = (1000, 10_000);
/// The same, unless told otherwise (Lambda).
pub const TELEMETRY_ITEMS_DEFAULT: u32 = 10_000;
/// Bytes of one batch of telemetry: the least and the most (Lambda). Twice as many wait at most, and one event.
pub const TELEMETRY_BYTES: (u32, u32) = (262_144, 1_048_576);
/// The same, unless told otherwise (Lambda).
pub const TELEMETRY_BYTES_DEFAULT: u32 = 262_144;
/// Milliseconds that the first event of a batch waits for others: the least and the most (Lambda).
pub const TELEMETRY_TIMEOUT_MS: (u32, u32) = (25, 30_000);
/// The same, unless told otherwise (Lambda).
pub const TELEMETRY_TIMEOUT_DEFAULT_MS: u32 = 1000;
/// Bytes of a subscription. Ours: real ones have some hundred.
pub const TELEMETRY_SUBSCRIPTION_BYTES: usize = 16 * 1024;
/// Events of an init that are kept for who subscribes during it; what has no room is counted and told. Ours.
pub const TELEMETRY_HISTORY_ITEMS: usize = 1000;
/// Bytes of these events. Ours.
pub const TELEMETRY_HISTORY_BYTES: usize = 256 * 1024;
/// How often a batch is sent until it is given up. Ours (Lambda: not stated).
pub const TELEMETRY_ATTEMPTS: u32 = 5;
/// Time for a subscriber to take a batch, while its processes run. Ours.
pub const TELEMETRY_PATIENCE: Duration = Duration::from_secs(2);
/// Time before a batch is sent once more, as often as it was sent already. Ours.
pub const TELEMETRY_REST: Duration = Duration::from_millis(100);
/// Bytes of a subscriber's answer; more is none. Ours.
pub const TELEMETRY_ANSWER_BYTES: usize = 64 * 1024;
/// Bytes of its head. Ours: the least that hyper knows is 8 KiB.
pub const TELEMETRY_ANSWER_HEAD_BYTES: usize = 16 * 1024;
/// How long an ending environment's extensions wait for telemetry before they hear of the end; of the time that they have
/// for it. Ours.
pub const TELEMETRY_LAST: Duration = Duration::from_millis(500);
/// How much longer than otherwise an idle environment runs while telemetry is on its way to it. Ours.
pub const TELEMETRY_GRACE: Duration = Duration::from_millis(250);
/// Connections with questions about names that wait to be accepted, of one environment.
pub const NAMES_BACKLOG: i32 = 16;
/// Questions about names in work at a time, of one environment; more are not answered.
pub const NAME_QUESTIONS_EACH: usize = 32;
/// The same of all environments.
pub const NAME_QUESTIONS_ALL: usize = 1024;
/// Questions about names that an environment may ask in a second; more are not answered (Lambda: 1,024 packets).
pub const NAME_QUESTIONS_PER_SECOND: u32 = 1024;
/// How long one of the machine's name servers may take to answer.
pub const NAME_SERVER_PATIENCE: Duration = Duration::from_secs(2);
/// How often each of them is asked until there is no answer.
pub const NAME_SERVER_ATTEMPTS: usize = 2;
/// How long a connection with questions about names may be idle.
pub const NAMES_CONNECTION_IDLE: Duration = Duration::from_secs(10);
/// Connections of an environment to the outside that the machine keeps track of; each that is over counts until the
/// machine forgets it. Ours: a function's 1,024 files and as much again; the machine's table has room for many such.
pub const ENVIRONMENT_CONNECTIONS: u32 = 2048;

/// Between two looks for packages that no function has; longer than an environment of replaced code can still run.
pub const TIDY_EVERY: Duration = Duration::from_secs(30 * 60);
/// Packages over [`SMALL_BODY_BYTES`] that are taken in at a time, requests of that size that are sent on to upstreams
/// included; a package holds up to 120 MB. Further clients wait.
pub const PACKAGES_IN_WORK: usize = 8;
/// Packages fetched from S3 that are in memory at a time; each has up to [`UNZIPPED_BYTES`]. Further clients wait.
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

/// RLIMIT_NPROC in a function of so much memory. The recorded figure belongs to 128 MB and is the default that a Linux
/// guest of some 58 MB more derives from its memory: 4 per MB. From about 200 MB on, [`ENVIRONMENT_TASKS`] is lower.
#[must_use]
pub fn environment_rlimit_nproc(memory_mb: u32) -> u64 {
    ENVIRONMENT_RLIMIT_NPROC + 4 * u64::from(memory_mb.saturating_sub(MEMORY_MIN_MB))
}

/// How far the time of a signed request may be from the server's (AWS).
pub const SIGNATURE_CLOCK: Duration = Duration::from_secs(5 * 60);
/// The same for S3 and for presigned links (AWS).
pub const SIGNATURE_CLOCK_S3: Duration = Duration::from_secs(15 * 60);
/// The longest life of a presigned link (AWS).
pub const SIGNATURE_LINK_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// The life of a presigned link that names none (AWS).
pub const SIGNATURE_LINK_DEFAULT_LIFE: Duration = Duration::from_secs(15 * 60);
/// Headers that a signature covers. Ours: as many as a request may have.
pub const SIGNED_HEADERS: usize = HEADERS;
/// Characters of an access key id (IAM).
pub const ACCESS_KEY_ID_CHARS: usize = 128;
/// Bytes of a session token. Ours (AWS states none and recommends to expect 4 KiB and more).
pub const SESSION_TOKEN_BYTES: usize = 16 * 1024;
/// Bytes of the first line of a chunk in a body of `aws-chunked`. Ours: a size and a signature have about 100.
pub const CHUNK_HEAD_BYTES: usize = 1024;
/// Bytes of the trailer behind the chunks. Ours: checksums and a signature have some hundred.
pub const CHUNK_TRAILER_BYTES: usize = 4096;
/// Users, roles and policies each that are kept ready to be asked; the store has all of them. Ours.
pub const COMPILED_IDENTITIES: usize = 4096;
/// Signing keys that are kept: one an access key, day, region and service. Ours.
pub const SIGNING_KEYS: usize = 1024;
/// Bytes of a policy document that is evaluated. Ours: the largest of AWS's own bounds is 20 KiB.
pub const POLICY_DOCUMENT_BYTES: usize = 64 * 1024;
/// Statements of a policy document. Ours.
pub const POLICY_STATEMENTS: usize = 500;
/// Bytes of an object. Ours: what S3 takes in one request (S3: 50 TB in parts).
pub const S3_OBJECT_BYTES: u64 = 5 * 1024 * 1024 * 1024;
/// Bytes of each part but the last (S3).
pub const S3_PART_MIN_BYTES: u64 = 5 * 1024 * 1024;
/// Parts of an upload (S3).
pub const S3_PARTS: u32 = 10_000;
/// Bytes of an object's key (S3).
pub const S3_KEY_BYTES: usize = 1024;
/// Bytes of an object's own metadata, names and values (S3).
pub const S3_METADATA_BYTES: usize = 2048;
/// Tags of an object (S3).
pub const S3_OBJECT_TAGS: usize = 10;
/// Tags of a bucket (S3).
pub const S3_BUCKET_TAGS: usize = 50;
/// Entries on a page of a list, and keys of one DeleteObjects (S3).
pub const S3_PAGE: usize = 1000;
/// Buckets (S3's default).
pub const S3_BUCKETS: usize = 10_000;
/// Objects, older versions and parts of uploads that are kept, together. Ours: their records are held in memory, some
/// 600 bytes each.
pub const S3_RECORDS: usize = 500_000;
/// Bytes of a request's XML. Ours: 1,000 long keys.
pub const S3_XML_BYTES: usize = 4 * 1024 * 1024;
/// Bytes that are moved at a time between a client and a file.
pub const S3_PIECE_BYTES: usize = 128 * 1024;
/// Time for the next bytes of an object that a client sends.
pub const S3_STALL: Duration = Duration::from_secs(60);
/// Access keys of a server. Ours: all are held in memory, opened.
pub const ACCESS_KEYS: usize = 1000;
/// Characters of a user's name (IAM).
pub const USER_NAME_CHARS: usize = 64;

/// Entries on a page of one of IAM's lists, unless told otherwise (AWS).
pub const IAM_PAGE: i32 = 100;
/// The same, whatever is asked for (AWS).
pub const IAM_PAGE_MAX: usize = 1000;
/// Characters of a role's trust policy, white space aside (AWS).
pub const TRUST_POLICY_CHARS: usize = 2048;
/// Characters of all inline policies of a role, white space aside (AWS).
pub const INLINE_POLICIES_CHARS: usize = 10_240;
/// Characters of a managed policy, white space aside (AWS).
pub const MANAGED_POLICY_CHARS: usize = 6144;
/// Versions of a managed policy (AWS).
pub const POLICY_VERSIONS: usize = 5;
/// Managed policies attached to a role (AWS).
pub const ATTACHED_POLICIES: usize = 10;
/// Seconds that a role's sessions may last, unless told otherwise (AWS).
pub const SESSION_DEFAULT_S: u32 = 3600;
/// The same of sessions that a session assumes (AWS).
pub const SESSION_CHAINED_S: u32 = 3600;
/// Characters of a session's policy (AWS).
pub const SESSION_POLICY_CHARS: usize = 2048;
/// Characters of a parameter's name. AWS: 1,011 with what its ARN begins with.
pub const PARAMETER_NAME_CHARS: usize = 1011;
/// Levels of a parameter's name (AWS).
pub const PARAMETER_LEVELS: usize = 15;
/// Characters of a parameter's value, of the standard tier (AWS).
pub const PARAMETER_CHARS: usize = 4096;
/// The same of the advanced tier (AWS).
pub const PARAMETER_ADVANCED_CHARS: usize = 8192;
/// Versions that are kept of a parameter (AWS).
pub const PARAMETER_VERSIONS: u64 = 100;
/// Labels of a version of a parameter (AWS).
pub const PARAMETER_LABELS: usize = 10;
/// Parameters on a page of a list (AWS).
pub const PARAMETERS_PAGE: usize = 50;
/// The same below a path (AWS).
pub const PARAMETERS_BY_PATH_PAGE: usize = 10;
