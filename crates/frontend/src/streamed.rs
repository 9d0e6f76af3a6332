//! The answer to an InvokeWithResponseStream: a stream of events, each part of the function's answer one of them.

use std::sync::Arc;

use bytes::Bytes;
use hearth_api::event_stream::{self, InvokeComplete, payload_chunk};
use hearth_http::ResponseBody;
use hearth_worker::{Answer, End, Outcome, Part, StreamFailure, WorkerError};
use http::{HeaderName, HeaderValue, Response, header};
use serde::Deserialize;
use tracing::error;

use crate::response::{JSON, set_common, would_have_run};

/// The function's own content type: that of the answer is that of the stream.
const REMAPPED_CONTENT_TYPE: HeaderName = HeaderName::from_static("x-amzn-remapped-content-type");
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// What an InvokeWithResponseStream came to.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are the large one, and none is kept")]
pub enum StreamedResponse {
    /// The function ran, or runs still.
    Executed {
        /// Its answer, or the beginning of it.
        answer: Answer,
        /// Which version ran.
        executed_version: Arc<str>,
        /// As the function saw it.
        trace_id: Arc<str>,
    },
    /// The function exists and would have run.
    DryRun,
}

impl StreamedResponse {
    /// Status, headers and body of the answer; the request id's header is the caller's. The body goes on for as long as
    /// the function sends.
    #[must_use]
    pub fn into_http(self) -> Response<ResponseBody> {
        let Self::Executed { answer, executed_version, trace_id } = self else {
            return would_have_run().map(ResponseBody::from);
        };
        let (content_type, body) = match answer {
            Answer::Whole(outcome) => (JSON, ResponseBody::from(whole(outcome))),
            Answer::Streamed(streamed) => {
                let mut parts = streamed.parts;
                let events = ResponseBody::drawn(move |context| {
                    parts.poll_next(context).map(|part| part.map(|part| Ok(event(part))))
                });
                (streamed.content_type.unwrap_or(BYTES), events)
            }
        };
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(event_stream::CONTENT_TYPE));
        headers.insert(REMAPPED_CONTENT_TYPE, content_type);
        set_common(headers, &executed_version, &trace_id);
        response
    }
}

/// An answer that was not streamed: as one part, and the end. An error has no parts.
fn whole(outcome: Outcome) -> Bytes {
    let Outcome { payload, function_error, log_tail, .. } = outcome;
    if function_error {
        return event(Part::End(End { failure: Some(StreamFailure::Function(payload)), log_tail }));
    }
    let end = event(Part::End(End { failure: None, log_tail }));
    if payload.is_empty() { end } else { [event(Part::Bytes(payload)), end].concat().into() }
}

fn event(part: Part) -> Bytes {
    match part {
        Part::Bytes(bytes) => payload_chunk(&bytes),
        Part::End(End { failure: None, log_tail }) => InvokeComplete::default().with_log(log_tail.as_deref()).frame(),
        Part::End(End { failure: Some(StreamFailure::Function(error)), log_tail }) => {
            let details = String::from_utf8_lossy(&error);
            complete(&error_type(&details), &details, log_tail.as_deref())
        }
        // The status has been sent, and the model has no other event for it.
        Part::End(End { failure: Some(StreamFailure::Platform(cause)), log_tail }) => {
            if !matches!(cause, WorkerError::Ended(_)) {
                error!("an answer broke off: {cause}");
            }
            let details = "The execution environment ended before the invoke was over.";
            complete("ServiceException", details, log_tail.as_deref())
        }
    }
}

fn complete(code: &str, details: &str, log_tail: Option<&[u8]>) -> Bytes {
    let end = InvokeComplete { error_code: Some(code), error_details: Some(details), log_result: None };
    end.with_log(log_tail).frame()
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
