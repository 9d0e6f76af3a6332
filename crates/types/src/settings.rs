//! Settings that belong to one qualifier of a function each, as the metadata store keeps them.

use serde::{Deserialize, Serialize};

/// What becomes of asynchronous invokes. It holds for invokes of exactly its qualifier.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct EventInvokeConfig {
    /// Tries after the first, 0 to 2; none where the client gave none: 2.
    pub retries: Option<u8>,
    /// Seconds, 60 to 21,600; none where the client gave none: 21,600.
    pub event_age_s: Option<u32>,
    /// ARN of where a record of each success goes.
    pub on_success: Option<String>,
    /// ARN of where a record of each event goes that could not be processed.
    pub on_failure: Option<String>,
    /// Milliseconds since 1970.
    pub modified_ms: i64,
}
