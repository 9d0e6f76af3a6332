//! The answer to an Invoke.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hearth_types::invoke::EventInvoke;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use crate::event::accepted;
use crate::timing::Timing;

const EXECUTED_VERSION: HeaderName = HeaderName::from_static("x-amz-executed-version");
const FUNCTION_ERROR: HeaderName = HeaderName::from_static("x-amz-function-error");
const LOG_RESULT: HeaderName = HeaderName::from_static("x-amz-log-result");
const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What an invoke came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum InvokeResponse {
    /// The function ran, well or not.
    Executed {
        /// The function's answer, or its error object.
        payload: Bytes,
        /// Which version ran.
        executed_version: Arc<str>,
        /// Whether the payload is an error.
        function_error: bool,
        /// The end of the log, where it was asked for.
        log_tail: Option<Bytes>,
        /// As the function saw it.
        trace_id: Arc<str>,
        /// Where the time went, where that was asked for.
        timing: Option<Timing>,
    },
    /// The function exists and would have run.
    DryRun,
    /// It is to be kept, then acknowledged, then run.
    Event(EventInvoke),
}

impl InvokeResponse {
    /// Status, headers and body of an Invoke's answer; the request id's header is the caller's.
    #[must_use]
    pub fn into_http(self) -> Response<Bytes> {
        let (payload, executed_version, function_error, log_tail, trace_id, timing) = match self {
            Self::Executed { payload, executed_version, function_error, log_tail, trace_id, timing } => {
                (payload, executed_version, function_error, log_tail, trace_id, timing)
            }
            Self::DryRun => return would_have_run(),
            Self::Event(event) => return accepted(&event.trace_id),
        };
        let mut response = Response::new(payload);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, JSON);
        set_common(headers, &executed_version, &trace_id);
        if let Some(timing) = timing {
            timing.set(headers);
        }
        if function_error {
            headers.insert(FUNCTION_ERROR, HeaderValue::from_static("Unhandled"));
        }
        if let Some(tail) = log_tail
            && let Ok(tail) = HeaderValue::from_maybe_shared(Bytes::from(STANDARD.encode(tail)))
        {
            headers.insert(LOG_RESULT, tail);
        }
        response
    }

    /// The same of an InvokeAsync's answer: the status again, as its first clients read it there.
    #[must_use]
    pub fn into_http_of_async(self) -> Response<Bytes> {
        let mut response = self.into_http();
        *response.body_mut() = Bytes::from(format!("{{\"Status\":{}}}", response.status().as_u16()));
        response.headers_mut().insert(header::CONTENT_TYPE, JSON);
        response
    }
}

pub(crate) fn would_have_run() -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

pub(crate) fn set_common(headers: &mut HeaderMap, executed_version: &str, trace_id: &str) {
    if executed_version == "$LATEST" {
        headers.insert(EXECUTED_VERSION, HeaderValue::from_static("$LATEST"));
    } else if let Ok(version) = HeaderValue::from_str(executed_version) {
        headers.insert(EXECUTED_VERSION, version);
    }
    if let Ok(trace_id) = HeaderValue::from_str(trace_id) {
        headers.insert(TRACE_ID, trace_id);
    }
}
