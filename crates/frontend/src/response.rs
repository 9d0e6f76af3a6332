//! The answer to an Invoke or InvokeWithResponseStream.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hearth_api::event_stream::{self, InvokeComplete, payload_chunk};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use serde::Deserialize;

const EXECUTED_VERSION: HeaderName = HeaderName::from_static("x-amz-executed-version");
const FUNCTION_ERROR: HeaderName = HeaderName::from_static("x-amz-function-error");
const LOG_RESULT: HeaderName = HeaderName::from_static("x-amz-log-result");
const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");
/// The function's own content type, where the answer's is that of the stream.
const REMAPPED_CONTENT_TYPE: HeaderName = HeaderName::from_static("x-amzn-remapped-content-type");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

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
    },
    /// The function exists and would have run.
    DryRun,
}

impl InvokeResponse {
    /// Status, headers and body of an Invoke's answer; the request id's header is the caller's.
    #[must_use]
    pub fn into_http(self) -> Response<Bytes> {
        let Self::Executed { payload, executed_version, function_error, log_tail, trace_id } = self else {
            return would_have_run();
        };
        let mut response = Response::new(payload);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, JSON);
        set_common(headers, &executed_version, &trace_id);
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

    /// The same of an InvokeWithResponseStream's answer: what the function gave as one piece, and how it ended. An error
    /// has no pieces.
    #[must_use]
    pub fn into_event_stream(self) -> Response<Bytes> {
        let Self::Executed { payload, executed_version, function_error, log_tail, trace_id } = self else {
            return would_have_run();
        };
        let details = std::str::from_utf8(&payload).ok().filter(|_| function_error);
        let error_type = details.map(error_type);
        let end = InvokeComplete { error_code: error_type.as_deref(), error_details: details, log_result: None };
        let end = end.with_log(log_tail.as_deref()).frame();
        let body = if function_error { end } else { [payload_chunk(&payload), end].concat().into() };
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(event_stream::CONTENT_TYPE));
        headers.insert(REMAPPED_CONTENT_TYPE, JSON);
        set_common(headers, &executed_version, &trace_id);
        response
    }
}

fn would_have_run() -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

fn set_common(headers: &mut HeaderMap, executed_version: &str, trace_id: &str) {
    if executed_version == "$LATEST" {
        headers.insert(EXECUTED_VERSION, HeaderValue::from_static("$LATEST"));
    } else if let Ok(version) = HeaderValue::from_str(executed_version) {
        headers.insert(EXECUTED_VERSION, version);
    }
    if let Ok(trace_id) = HeaderValue::from_str(trace_id) {
        headers.insert(TRACE_ID, trace_id);
    }
}

/// The type that an error object names.
fn error_type(error: &str) -> String {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Error {
        error_type: String,
    }
    serde_json::from_str::<Error>(error).map_or_else(|_| "Unhandled".to_owned(), |error| error.error_type)
}
