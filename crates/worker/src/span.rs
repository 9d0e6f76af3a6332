//! What a traced invoke went through: the facts of its spans. Who keeps or sends them is the sink's business.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hearth_types::invoke::VersionSpec;
use hearth_types::{EnvironmentId, RequestId};
use serde::{Deserialize, Serialize};

use crate::api::InitPhases;
use crate::error_cause::ErrorCause;
use crate::segments::Segments;

/// By what the spans of a traced invoke hang together: the parts of `X-Amzn-Trace-Id`, and the ids of its own spans.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Traced {
    /// `Root`: seconds in the upper 32 bits, the rest random.
    pub trace: u128,
    /// The caller's span, where it named one.
    pub parent: Option<u64>,
    /// The span of the service's work on the request.
    pub service: u64,
    /// The span of the function's run, below that: what the function sees as its parent.
    pub function: u64,
}

impl Traced {
    /// `1-8hex-24hex`.
    #[must_use]
    pub fn root(&self) -> String {
        format!("1-{:08x}-{:024x}", self.trace >> 96, self.trace & (u128::MAX >> 32))
    }
}

/// A traced invoke as its records name it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TraceContext<'a> {
    pub(crate) traced: Traced,
    /// As the function sees it.
    pub(crate) header: &'a str,
}

/// A traced invoke that is over.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct InvokeSpan {
    /// Where it hangs.
    pub traced: Traced,
    /// As the logs have it.
    pub request_id: RequestId,
    /// What ran.
    pub spec: Arc<VersionSpec>,
    /// As it was asked for.
    pub invoked_arn: Arc<str>,
    /// Where it ran.
    pub environment: EnvironmentId,
    /// When the request came, in nanoseconds since 1970.
    pub arrived_ns: u64,
    /// From there until an environment was found, or was to be made.
    pub queued: Duration,
    /// The init that came first, where there was one.
    pub init: Option<InitSpan>,
    /// When the run began, in nanoseconds since 1970. A repeated init is a part of the run.
    pub began_ns: u64,
    /// From there to the first bytes of the answer, and to its last; none where there was none.
    pub answered: Option<(Duration, Duration)>,
    /// From there to the end.
    pub took: Duration,
    /// The type of the error that it ended with.
    pub error: Option<String>,
    /// What the runtime said that it came from: of the init where that failed.
    pub cause: Option<ErrorCause>,
    /// As REPORT says it.
    pub billed_ms: u64,
}

/// An init that an invoke waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct InitSpan {
    /// In nanoseconds since 1970.
    pub began_ns: u64,
    /// Its parts, one after the other.
    pub phases: InitPhases,
    /// Whether it was made again inside the invoke, after something went wrong.
    pub repeated: bool,
    /// Whether it failed, so that there was no invoke.
    pub failed: bool,
}

/// Who takes spans. Called on the path of an invoke: must not block; what has no room is dropped and counted by the
/// receiver.
pub trait SpanSink: Send + Sync {
    /// A traced invoke is over.
    fn span(&self, span: InvokeSpan);

    /// What its processes sent of their own, of this invoke or of the one before.
    fn segments(&self, segments: Segments);
}

/// Nobody takes them.
impl SpanSink for () {
    fn span(&self, _: InvokeSpan) {}

    fn segments(&self, _: Segments) {}
}

/// Now on both clocks, so that moments of the one can be told on the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Anchor {
    at: Instant,
    ns: u64,
}

impl Anchor {
    pub(crate) fn now() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { at: Instant::now(), ns: nanos(wall) }
    }

    /// Nanoseconds since 1970.
    pub(crate) fn ns(self) -> u64 {
        self.ns
    }

    /// Nanoseconds since 1970 of a moment that has been.
    pub(crate) fn ns_of(self, moment: Instant) -> u64 {
        self.ns.saturating_sub(nanos(self.at.saturating_duration_since(moment)))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_written_as_headers_have_it() {
        let trace = 0x65f0_a1b2_0123_4567_89ab_cdef_0123_4567;
        let traced = Traced { trace, parent: None, service: 1, function: 2 };
        assert_eq!(traced.root(), "1-65f0a1b2-0123456789abcdef01234567");
    }
}
