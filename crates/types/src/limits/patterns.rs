//! Of event patterns.

/// Combinations that the `$or`s of a pattern come to (EventBridge).
pub const PATTERN_COMBINATIONS: usize = 1000;
/// Greatest number, either way, that is compared as a number (EventBridge: five billion).
pub const PATTERN_NUMBER_MAX: f64 = 5.0e9;
/// Names at the top of a filter policy (SNS).
pub const FILTER_POLICY_KEYS: usize = 5;
/// Combinations of values that a filter policy comes to (SNS).
pub const FILTER_POLICY_COMBINATIONS: usize = 150;
