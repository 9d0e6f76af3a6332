//! What was in use lately, as it is kept for the next start of the server.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::function::VersionId;

/// Versions that were in use lately.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct LatelyRecord {
    /// Each once; at most [`crate::limits::LATELY_VERSIONS`].
    pub versions: Vec<UsedVersion>,
}

/// One of them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UsedVersion {
    /// The function's name.
    pub function: Arc<str>,
    /// Which of its versions.
    pub version: VersionId,
    /// How it was used.
    pub used: LatelyUsed,
}

/// How a version was used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LatelyUsed {
    /// Environments that were in use within one look, at most; from 1.
    pub most: u32,
    /// When that look was; what one look saw has one time. Milliseconds since 1970, by the platform's clock.
    pub most_at_ms: i64,
    /// When one saw any in use last, by the same clock.
    pub at_ms: i64,
    /// In which steps its function is called, where they are even and it was called last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<LatelySteps>,
}

/// Even steps in which a function is called, all in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LatelySteps {
    /// From one call to the next.
    pub step_ms: u64,
    /// By how much a step was off at most.
    pub off_ms: u64,
    /// How long the init takes, where that is known.
    pub init_ms: Option<u64>,
    /// When the last call was, since 1970, by the platform's clock.
    pub last_at_ms: i64,
}
