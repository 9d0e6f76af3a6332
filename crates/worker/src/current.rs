//! The invoke that an environment works on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hearth_metrics::Runs;
use hearth_types::RequestId;

use crate::answer::Debt;
use crate::api::{Invocation, Outcome};
use crate::delivery::Delivery;
use crate::error_cause::ErrorCause;
use crate::given::Answered;
use crate::span::{TraceContext, Traced};

/// The invoke in progress.
pub(crate) struct Current {
    pub(crate) request_id: RequestId,
    pub(crate) invoked_arn: Arc<str>,
    pub(crate) trace_id: Arc<str>,
    pub(crate) traced: Option<Traced>,
    /// When it was asked for, and when it came to this environment.
    pub(crate) arrived: Instant,
    pub(crate) given: Instant,
    pub(crate) tail: bool,
    /// Taken once it is paid.
    pub(crate) reply: Option<Debt>,
    /// The answer, while it waits for the end of the log.
    pub(crate) outcome: Option<Outcome>,
    /// Taken once the runtime has it.
    pub(crate) event: Option<Delivery>,
    /// Some once the runtime has answered.
    pub(crate) answered: Option<Answered>,
    /// What the runtime said that its error came from, for the trace.
    pub(crate) cause: Option<ErrorCause>,
    /// The log says already that the runtime was through after so long.
    pub(crate) runtime_done: Option<Duration>,
    pub(crate) metrics: Option<Arc<dyn Runs>>,
}

impl Current {
    pub(crate) fn new(invocation: Invocation) -> Self {
        let Invocation { request_id, payload, content_type, invoked_arn, client_context, cognito_identity, .. } =
            invocation;
        let (trace_id, traced, arrived) = (invocation.trace_id, invocation.traced, invocation.arrived);
        let event = Delivery {
            request_id,
            payload,
            content_type,
            invoked_arn: Arc::clone(&invoked_arn),
            client_context,
            cognito_identity,
            trace_id: Arc::clone(&trace_id),
            deadline_ms: 0,
            tenant: None,
        };
        Self {
            request_id,
            invoked_arn,
            trace_id,
            traced,
            arrived,
            given: Instant::now(),
            tail: invocation.tail,
            reply: Some(Debt::Reply(invocation.reply)),
            outcome: None,
            event: Some(event),
            answered: None,
            cause: None,
            runtime_done: None,
            metrics: invocation.metrics,
        }
    }

    /// What its records say of its trace.
    pub(crate) fn tracing(&self) -> Option<TraceContext<'_>> {
        self.traced.map(|traced| TraceContext { traced, header: &self.trace_id })
    }

    /// From when it was asked for until it came here.
    pub(crate) fn queued(&self) -> Duration {
        self.given.saturating_duration_since(self.arrived)
    }
}
