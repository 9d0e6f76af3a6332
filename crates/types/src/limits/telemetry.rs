//! Of what extensions subscribe to.

use std::time::Duration;

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
