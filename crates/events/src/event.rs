//! An event as its queue keeps it. The body is the payload, byte for byte.

use bytes::Bytes;
use hearth_types::RequestId;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The prefix of the functions' queues.
pub(crate) const EVENTS: &str = "event/";

/// The queue of a function's events.
pub(crate) fn queue_of(function: &str) -> String {
    format!("{EVENTS}{function}")
}

/// What is known of an event beside its payload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Event {
    /// The same at each attempt.
    pub(crate) id: RequestId,
    /// As it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) qualifier: Option<String>,
    /// When it was acknowledged, in milliseconds since 1970.
    pub(crate) accepted_ms: i64,
    pub(crate) trace_id: String,
    /// On whose behalf it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tenant: Option<String>,
    /// How often the function ran.
    #[serde(default)]
    pub(crate) attempts: u32,
    /// How often in a row the platform failed.
    #[serde(default)]
    pub(crate) failures: u32,
    /// What the function said last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last: Option<Answer>,
}

/// An answer of a function.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) version: String,
    pub(crate) function_error: bool,
    /// None where it is too long to be kept, or no JSON.
    pub(crate) payload: Option<Box<RawValue>>,
}

impl Event {
    pub(crate) fn head(&self) -> Bytes {
        // A record without maps of other keys than text can always be written.
        Bytes::from(serde_json::to_vec(self).unwrap_or_default())
    }

    pub(crate) fn read(head: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(head)
    }

    /// As settings and ARNs have it.
    pub(crate) fn qualifier(&self) -> &str {
        self.qualifier.as_deref().unwrap_or("$LATEST")
    }
}

impl Answer {
    /// `errorMessage` of an error object.
    pub(crate) fn error_message(&self) -> Option<String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct ErrorObject {
            error_message: String,
        }
        let object: ErrorObject = serde_json::from_str(self.payload.as_ref()?.get()).ok()?;
        Some(object.error_message)
    }

    pub(crate) fn new(payload: &Bytes, function_error: bool, version: &str) -> Self {
        let text = std::str::from_utf8(payload).ok();
        let payload = text.and_then(|text| serde_json::from_str::<Box<RawValue>>(text).ok());
        Self { version: version.to_owned(), function_error, payload }
    }
}
