//! What an Invoke asks for, from the request's parts.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use hearth_api::types::{InvocationRequest, InvocationType, LogType, ResponseStreamingInvocationType};
use hearth_api::{ApiError, Matched, Operation, decode, ops};
use hearth_types::limits::{EVENT_PAYLOAD_BYTES, INVOKE_ASYNC_BYTES, SYNC_PAYLOAD_BYTES};
use hearth_types::{Place, RequestId, Unresolved};
use http::{HeaderMap, HeaderName};

use crate::snapshot::{FunctionEntry, FunctionSnapshot};
use crate::{client_context, json};

const INVOCATION_TYPE: HeaderName = HeaderName::from_static("x-amz-invocation-type");
const LOG_TYPE: HeaderName = HeaderName::from_static("x-amz-log-type");
const CLIENT_CONTEXT: HeaderName = HeaderName::from_static("x-amz-client-context");
const DURABLE_NAME: HeaderName = HeaderName::from_static("x-amz-durable-execution-name");
const TENANT_ID: HeaderName = HeaderName::from_static("x-amz-tenant-id");
pub(crate) const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");

/// An Invoke or InvokeWithResponseStream as it came over HTTP.
#[derive(Debug)]
pub struct InvokeRequest<'a> {
    /// The route's match.
    pub matched: &'a Matched,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The whole body.
    pub payload: Bytes,
    /// Made for this request; logs and headers show it.
    pub request_id: RequestId,
}

/// 413 for a payload over the limit; also for one that was not read to its end because of it.
#[must_use]
pub fn payload_too_large() -> ApiError {
    ApiError::request_too_large(format!(
        "Request must be smaller than {SYNC_PAYLOAD_BYTES} bytes for the InvokeFunction operation"
    ))
}

/// The same of InvokeAsync.
#[must_use]
pub fn async_payload_too_large() -> ApiError {
    ApiError::request_too_large(format!(
        "Request must be smaller than {INVOKE_ASYNC_BYTES} bytes for the InvokeAsync operation"
    ))
}

/// What is to become of the invoke.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// It runs, and its answer is waited for.
    Now,
    /// It is kept, and runs when there is room.
    Later,
    /// Nothing runs.
    DryRun,
}

/// What is wanted, all of it valid; whether the function exists is open.
pub(crate) struct Asked<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) qualifier: Option<Cow<'a, str>>,
    /// Where the short way has found it already.
    pub(crate) entry: Option<Arc<FunctionEntry>>,
    pub(crate) kind: Kind,
    pub(crate) tail: bool,
    pub(crate) client_context: Option<Arc<str>>,
    /// On whose behalf.
    pub(crate) tenant: Option<Arc<str>>,
}

impl<'a> InvokeRequest<'a> {
    /// Reads and validates the request; the size and content of its payload too, unless nothing is to run.
    pub(crate) fn read(&self, functions: &FunctionSnapshot, place: &Place) -> Result<Asked<'a>, ApiError> {
        if self.payload.len() > SYNC_PAYLOAD_BYTES {
            return Err(payload_too_large());
        }
        let asked = match self.usual(functions) {
            Some(asked) => asked,
            None => self.unusual(place)?,
        };
        if asked.kind == Kind::Later && self.payload.len() > EVENT_PAYLOAD_BYTES {
            return Err(ApiError::request_too_large(format!(
                "{} byte payload is too large for the Event invocation type (limit {EVENT_PAYLOAD_BYTES} bytes)",
                self.payload.len()
            )));
        }
        if asked.kind != Kind::DryRun && !self.payload.is_empty() {
            json::check(&self.payload)
                .map_err(|flaw| ApiError::invalid_request_content(json::explain(&self.payload, flaw)))?;
        }
        Ok(asked)
    }

    /// The short way: the plain name of a function that exists, no query, no rare header.
    fn usual(&self, functions: &FunctionSnapshot) -> Option<Asked<'a>> {
        let plain = self.matched.operation != Operation::InvokeAsync
            && !self.matched.has_query()
            && [DURABLE_NAME, TENANT_ID, CLIENT_CONTEXT].iter().all(|name| !self.headers.contains_key(name))
            && matches!(self.header(&INVOCATION_TYPE), None | Some(b"RequestResponse"));
        let tail = match self.header(&LOG_TYPE) {
            None | Some(b"None") => false,
            Some(b"Tail") => true,
            _ => return None,
        };
        let name = self.matched.label("FunctionName").filter(|_| plain)?;
        let entry = functions.get(name)?;
        Some(Asked {
            name: Cow::Borrowed(name),
            qualifier: None,
            entry: Some(entry),
            kind: Kind::Now,
            tail,
            client_context: None,
            tenant: None,
        })
    }

    /// The long way: everything against the service model, names taken apart.
    fn unusual(&self, place: &Place) -> Result<Asked<'a>, ApiError> {
        let input = self.input()?;
        let unsupported = |member| Err(ApiError::unsupported_member(self.matched.operation, member));
        if input.durable_execution_name.is_some() {
            return unsupported("DurableExecutionName");
        }
        let target = place.resolve(&input.function_name, input.qualifier.as_deref()).map_err(unresolved)?;
        Ok(Asked {
            name: Cow::Owned(target.name),
            qualifier: target.qualifier.map(Cow::Owned),
            entry: None,
            kind: match input.invocation_type {
                Some(InvocationType::Event) => Kind::Later,
                Some(InvocationType::DryRun) => Kind::DryRun,
                Some(InvocationType::RequestResponse) | None => Kind::Now,
            },
            tail: input.log_type == Some(LogType::Tail),
            client_context: self.header(&CLIENT_CONTEXT).map(client_context::decode).transpose()?,
            tenant: input.tenant_id.map(Arc::from),
        })
    }

    /// What is asked for apart from the payload. The operations ask alike.
    fn input(&self) -> Result<InvocationRequest, ApiError> {
        if self.matched.operation == Operation::InvokeAsync {
            let input = decode::<ops::InvokeAsync>(self.matched, self.headers, self.payload.clone())?;
            return Ok(InvocationRequest {
                function_name: input.function_name,
                invocation_type: Some(InvocationType::Event),
                ..InvocationRequest::default()
            });
        }
        if !self.is_streamed() {
            return decode::<ops::Invoke>(self.matched, self.headers, Bytes::new());
        }
        let input = decode::<ops::InvokeWithResponseStream>(self.matched, self.headers, Bytes::new())?;
        Ok(InvocationRequest {
            function_name: input.function_name,
            invocation_type: input.invocation_type.map(|kind| match kind {
                ResponseStreamingInvocationType::RequestResponse => InvocationType::RequestResponse,
                ResponseStreamingInvocationType::DryRun => InvocationType::DryRun,
            }),
            log_type: input.log_type,
            client_context: input.client_context,
            qualifier: input.qualifier,
            tenant_id: input.tenant_id,
            ..InvocationRequest::default()
        })
    }

    /// Whether the answer is to be a stream of events.
    pub(crate) fn is_streamed(&self) -> bool {
        self.matched.operation == Operation::InvokeWithResponseStream
    }

    pub(crate) fn header(&self, name: &HeaderName) -> Option<&[u8]> {
        self.headers.get(name).map(http::HeaderValue::as_bytes)
    }
}

/// The answer to a name that means nothing here.
pub(crate) fn unresolved(cause: Unresolved) -> ApiError {
    match cause {
        Unresolved::TwoQualifiers => ApiError::invalid_parameter(cause.to_string()),
        Unresolved::OtherRegion { .. } => ApiError::not_found(cause.to_string()),
        Unresolved::OtherAccount => ApiError::access_denied(None),
    }
}
