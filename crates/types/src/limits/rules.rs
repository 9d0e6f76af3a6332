//! Of event buses, rules and schedules.

use std::time::Duration;

/// Entries of a PutEvents (EventBridge).
pub const EVENT_ENTRIES: usize = 10;
/// Bytes of all entries of a PutEvents (EventBridge).
pub const EVENT_ENTRIES_BYTES: usize = 256 * 1024;
/// Bytes that a time counts among them (EventBridge).
pub const EVENT_TIME_BYTES: usize = 14;
/// Buses that one event comes through: from a rule's bus to another, and no further (EventBridge).
pub const EVENT_BUSES: usize = 2;
/// Rules of a bus (EventBridge).
pub const RULES: usize = 300;
/// Targets of a rule (EventBridge).
pub const RULE_TARGETS: usize = 5;
/// Characters of a rule's pattern (EventBridge, where more than 2048 were granted).
pub const RULE_PATTERN_CHARS: usize = 4096;
/// Entries on a page of a list of buses, rules, targets or schedules (EventBridge).
pub const RULES_PAGE: usize = 100;
/// Variables of a target's template (EventBridge).
pub const TEMPLATE_VARIABLES: usize = 100;
/// Bytes that a target gets (EventBridge).
pub const TARGET_INPUT_BYTES: usize = 256 * 1024;
/// Attempts after the first to reach a target, unless told otherwise, and at most (EventBridge).
pub const TARGET_ATTEMPTS: u32 = 185;
/// Seconds during which a target is tried, unless told otherwise, and at most (EventBridge).
pub const TARGET_AGE_S: i64 = 86_400;
/// Bytes of a bus's policy (EventBridge).
pub const BUS_POLICY_BYTES: usize = 10 * 1024;
/// The pause after a failure of the store before what is due is looked at again. Ours.
pub const TIMER_PAUSE: Duration = Duration::from_secs(5);
/// Bytes of a schedule's input (EventBridge Scheduler).
pub const SCHEDULE_INPUT_BYTES: usize = 256 * 1024;

/// Scalable targets and scheduled actions on a page of a list (Application Auto Scaling).
pub const SCALING_PAGE: usize = 50;

/// Scalable targets that there may be.
pub const SCALABLE_TARGETS: usize = 1000;

/// Scheduled actions that there may be: all are looked at whenever one is due.
pub const SCHEDULED_ACTIONS: usize = 1000;
