//! Tumbling windows: times of equal length, whose batches hand a state from one to the next.

use hearth_types::limits::STREAM_STATE_BYTES;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A window that is open.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Open {
    /// In milliseconds since 1970.
    pub(crate) start_ms: i64,
    /// What the function answered last; an empty object at first.
    pub(crate) state: Value,
    /// Whether the state is larger than it may be, so that the window ends at once.
    pub(crate) is_overfull: bool,
}

/// What an invoke is to its window.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Share {
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) state: Value,
    /// The last of its window: without records.
    pub(crate) is_final: bool,
    /// It ends before its time.
    pub(crate) is_early: bool,
}

impl Open {
    /// The one that a time lies in.
    pub(crate) fn at(time_ms: i64, length_ms: i64) -> Self {
        Self { start_ms: time_ms - time_ms.rem_euclid(length_ms), state: json!({}), is_overfull: false }
    }

    pub(crate) fn end_ms(&self, length_ms: i64) -> i64 {
        self.start_ms + length_ms
    }

    pub(super) fn share(&self, length_ms: i64, is_final: bool, now_ms: i64) -> Share {
        let end_ms = self.end_ms(length_ms);
        let is_early = is_final && (self.is_overfull || now_ms < end_ms);
        Share { start_ms: self.start_ms, end_ms, state: self.state.clone(), is_final, is_early }
    }

    /// A function that answers none has none.
    pub(super) fn keep(&mut self, state: Value) {
        self.is_overfull = state.to_string().len() > STREAM_STATE_BYTES;
        self.state = if state.is_null() { json!({}) } else { state };
    }
}
