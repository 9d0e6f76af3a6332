//! Asynchronous invokes: what is to be kept of one, and running it later.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hearth_api::ApiError;
use hearth_scheduler::Origin;
use hearth_types::invoke::EventInvoke;
use hearth_worker::Invocation;
use http::{HeaderValue, Response, StatusCode};

use crate::dispatcher::Dispatcher;
use crate::environments::Environments;
use crate::invoke::{event_of, now_s};
use crate::request::{Asked, InvokeRequest, Kind};
use crate::response::InvokeResponse;

/// The answer once an event with this trace is kept.
pub(crate) fn accepted(trace_id: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::ACCEPTED;
    if let Ok(trace_id) = HeaderValue::from_str(trace_id) {
        response.headers_mut().insert("x-amzn-trace-id", trace_id);
    }
    response
}

impl Asked<'_> {
    /// What is to be kept: the function takes invokes, and the payload is JSON.
    pub(crate) fn event(self, request: InvokeRequest<'_>, trace_id: Arc<str>) -> EventInvoke {
        EventInvoke {
            function: self.name.into_owned(),
            qualifier: self.qualifier.map(std::borrow::Cow::into_owned),
            request_id: request.request_id,
            payload: event_of(request.payload),
            trace_id,
            tenant: self.tenant,
        }
    }
}

impl<W: Environments> Dispatcher<W> {
    /// Runs an event, as any invoke, with what its qualifier stands for now.
    ///
    /// # Errors
    /// As Invoke has them for a function that does not exist or is not ready, throttles, and failures of the platform.
    pub async fn run_event(&self, event: EventInvoke) -> Result<InvokeResponse, ApiError> {
        let asked = Asked {
            name: event.function.into(),
            qualifier: event.qualifier.map(Into::into),
            entry: None,
            kind: Kind::Now,
            tail: false,
            client_context: None,
            tenant: event.tenant,
        };
        let (ready, invoked_arn) = self.wanted(&asked)?;
        let executed_version = Arc::clone(&ready.spec.version);
        let trace_id = ready.trace_id(Some(event.trace_id.as_bytes()), event.request_id, now_s());
        let (traced, trace_id) = self.enter(&ready, &trace_id)?;
        let (request_id, payload) = (event.request_id, event.payload);
        let outcome = self
            .run(Origin::Queue, ready, |reply| Invocation {
                request_id,
                payload,
                content_type: None,
                invoked_arn,
                client_context: None,
                cognito_identity: None,
                trace_id: Arc::clone(&trace_id),
                traced,
                arrived: Instant::now(),
                tail: false,
                metrics: None,
                reply,
            })
            .await
            .map_err(|refused| self.refusal(refused, &asked))?;
        Ok(InvokeResponse::Executed {
            payload: outcome.payload,
            executed_version,
            function_error: outcome.function_error,
            log_tail: None,
            trace_id,
            timing: None,
        })
    }
}
