//! The Runtime API as the processes in an environment see it (runtime contract, section 2), on hyper: all
//! that [`usual`] does not take.

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use hearth_types::RequestId;
use hearth_types::invoke::FunctionFailure;
use hearth_types::limits::{HEADERS, RESPONSE_PAYLOAD_BYTES, STREAM_CONTENT_TYPE_BYTES, STREAMED_RESPONSE_BYTES};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::coalesce::Coalesce;
use crate::delivery::Delivery;
use crate::environment::{Environment, InitError, Refused};
use crate::error_cause::ErrorCause;
use crate::extensions;
use crate::given::{ANSWERING, ANSWERING_ERROR, Given};
use crate::lifecycle::NotAllowed;
use crate::relay::Relayed;
use crate::text;
use crate::usual;

pub(crate) const PREFIX: &str = "/2018-06-01/";
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("lambda-runtime-aws-request-id");
pub(crate) const DEADLINE: HeaderName = HeaderName::from_static("lambda-runtime-deadline-ms");
pub(crate) const INVOKED_ARN: HeaderName = HeaderName::from_static("lambda-runtime-invoked-function-arn");
pub(crate) const TRACE_ID: HeaderName = HeaderName::from_static("lambda-runtime-trace-id");
pub(crate) const CLIENT_CONTEXT: HeaderName = HeaderName::from_static("lambda-runtime-client-context");
pub(crate) const COGNITO_IDENTITY: HeaderName = HeaderName::from_static("lambda-runtime-cognito-identity");
pub(crate) const TENANT_ID: HeaderName = HeaderName::from_static("lambda-runtime-aws-tenant-id");
const RESPONSE_MODE: HeaderName = HeaderName::from_static("lambda-runtime-function-response-mode");
const ERROR_CAUSE: HeaderName = HeaderName::from_static("lambda-runtime-function-xray-error-cause");
const ERROR_TYPE: HeaderName = HeaderName::from_static("lambda-runtime-function-error-type");
/// The mode of answers that are sent on as they come.
const STREAMING: &str = "streaming";
const ERROR_BODY: HeaderName = HeaderName::from_static("lambda-runtime-function-error-body");

pub(crate) type Answer = Response<Full<Bytes>>;

/// Serves one connection of a runtime until either side ends it.
pub(crate) async fn serve(environment: Arc<Environment>, mut stream: TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a runtime's connection was gone at once");
        return;
    }
    let ours = environment.is_managed();
    let come = match usual::serve(&environment, &mut stream, ours).await {
        Ok(Some(come)) => come,
        Ok(None) => return,
        Err(error) => {
            tracing::debug!(environment = %environment.id, %error, "a runtime's connection ended");
            return;
        }
    };
    let caller = extensions::Caller::new(&environment);
    let service = service_fn(|request| handle(&environment, &caller, request));
    let connection = http1::Builder::new()
        .auto_date_header(false)
        // What a runtime sent before it ended is still handled: an error report is its last act.
        .half_close(true)
        .header_read_timeout(None)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(Coalesce::new(stream, come, ours)), service);
    if let Err(error) = connection.await {
        tracing::debug!(environment = %environment.id, %error, "a runtime's connection ended");
    }
}

async fn handle(
    environment: &Environment,
    caller: &extensions::Caller<'_>,
    request: Request<Incoming>,
) -> Result<Answer, Infallible> {
    let path = request.uri().path();
    let get = *request.method() == Method::GET;
    let post = *request.method() == Method::POST;
    if extensions::api::PREFIXES.iter().any(|prefix| path.starts_with(prefix)) {
        caller.is_extension();
        return Ok(extensions::api::handle(environment, request).await);
    }
    let Some(call) = path.strip_prefix(PREFIX) else { return Ok(not_found(path)) };
    Ok(match call {
        "runtime/invocation/next" if get => next(environment).await,
        "ping" if get => answer(StatusCode::OK, HeaderValue::from_static("text/plain"), Bytes::from_static(b"pong")),
        // As on Lambda, where it is told of a failed init when it goes on, that is one of the restore.
        "runtime/restore/error" if post && environment.restores() => init_error(environment, request).await,
        "runtime/restore/next" if get && environment.restores() => restore_next(environment),
        "runtime/restore/next" if get && environment.lock().variables_to_tell.is_some() => tell_variables(environment),
        "runtime/init/error" if post => init_error(environment, request).await,
        "runtime/invocation/next" | "ping" | "runtime/init/error" => method_not_allowed(request.method()),
        _ => match invocation_call(call) {
            Some(_) if !post => method_not_allowed(request.method()),
            Some((id, true)) => {
                let id = id.to_owned();
                response(environment, &id, request).await
            }
            Some((id, false)) => {
                let id = id.to_owned();
                error(environment, &id, request).await
            }
            None => not_found(path),
        },
    })
}

/// `runtime/invocation/ID/response` or `.../error`: the id, and whether it is the response.
pub(crate) fn invocation_call(call: &str) -> Option<(&str, bool)> {
    let (id, what) = call.strip_prefix("runtime/invocation/")?.split_once('/')?;
    match what {
        "response" => Some((id, true)),
        "error" => Some((id, false)),
        _ => None,
    }
}

async fn next(environment: &Environment) -> Answer {
    match delivery(environment).await {
        Ok(delivery) => {
            environment.journal.wake();
            event(delivery)
        }
        Err(refused) => not_allowed(refused),
    }
}

/// The next invoke, once there is one.
pub(crate) async fn delivery(environment: &Environment) -> Result<Delivery, NotAllowed> {
    let ticket = environment.next()?;
    poll_fn(|context| environment.poll_delivery(ticket, context)).await
}

/// An answer that is there whole, and that nobody wants in parts.
pub(crate) fn whole_response(
    environment: &Environment,
    id: &str,
    payload: Bytes,
    since: Instant,
) -> Result<(), Refused> {
    environment.answer(id, ANSWERING, Given::whole(payload, None, since))
}

/// The invoke as the runtime gets it. What is absent is left out.
pub(crate) fn event(delivery: Delivery) -> Answer {
    let mut headers = HeaderMap::with_capacity(8);
    let mut id = [0; uuid::fmt::Hyphenated::LENGTH];
    let id = delivery.request_id.0.hyphenated().encode_lower(&mut id);
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            headers.insert(name, value);
        }
    };
    set(REQUEST_ID, id);
    set(INVOKED_ARN, &delivery.invoked_arn);
    set(TRACE_ID, &delivery.trace_id);
    for (name, value) in [
        (CONTENT_TYPE, &delivery.content_type),
        (CLIENT_CONTEXT, &delivery.client_context),
        (COGNITO_IDENTITY, &delivery.cognito_identity),
        (TENANT_ID, &delivery.tenant),
    ] {
        if let Some(value) = value {
            set(name, value);
        }
    }
    headers.insert(DEADLINE, HeaderValue::from(delivery.deadline_ms));
    headers.entry(CONTENT_TYPE).or_insert(JSON);
    let mut response = Response::new(Full::new(delivery.payload));
    *response.headers_mut() = headers;
    response
}

async fn response(environment: &Environment, id: &str, request: Request<Incoming>) -> Answer {
    let since = Instant::now();
    let request_id = match environment.may_answer(id, ANSWERING) {
        Ok(request_id) => request_id,
        Err(refused) => return refuse(refused),
    };
    let (head, body) = request.into_parts();
    match head.headers.get(RESPONSE_MODE) {
        None => {}
        Some(mode) if mode == STREAMING => {
            let content_type = head.headers.get(CONTENT_TYPE).filter(|kind| kind.len() <= STREAM_CONTENT_TYPE_BYTES);
            match environment.begin_answer(id, content_type.cloned()) {
                Ok(Some(sink)) => return streamed(environment, request_id, since, environment.relay(body, sink).await),
                Ok(None) => {} // Who waits wants it whole.
                Err(refused) => return refuse(refused),
            }
        }
        Some(_) => {
            let failure = Given::failure(text::invalid_response_mode(request_id), since);
            let _ = environment.answer(id, ANSWERING, failure);
            return problem(StatusCode::BAD_REQUEST, "InvalidFunctionResponseMode", "Invalid function response mode");
        }
    }
    match collect(environment, body).await {
        Collected::Whole(payload, trailers) => {
            let (payload, error) = match trailers.and_then(|trailers| error_of(&trailers)) {
                Some((payload, error)) => (payload, Some(error)),
                None => (payload, None),
            };
            accepted(environment.answer(id, ANSWERING, Given::whole(payload, error, since)))
        }
        Collected::TooLarge => give_too_large(environment, id, ANSWERING, since),
        Collected::Broken => {
            let _ = environment.answer(id, ANSWERING, Given::failure(text::truncated_response(request_id), since));
            truncated()
        }
    }
}

/// The end of an answer that went out in parts.
fn streamed(environment: &Environment, id: RequestId, since: Instant, (relayed, produced): (Relayed, u64)) -> Answer {
    let (given, answer) = match relayed {
        Relayed::Whole(trailers) => {
            let error = trailers.and_then(|trailers| error_of(&trailers));
            let (payload, error) = error.map_or((Bytes::new(), None), |(payload, kind)| (payload, Some(kind)));
            (Given::whole(payload, error, since), done())
        }
        Relayed::TooLarge => (
            Given::failure(text::response_too_large(STREAMED_RESPONSE_BYTES), since),
            too_large(STREAMED_RESPONSE_BYTES),
        ),
        Relayed::Broken => (Given::failure(text::truncated_response(id), since), truncated()),
    };
    environment.end_answer(id, Given { produced, ..given });
    answer
}

/// The error that a streamed answer ended with. One that says nothing readable has its type at least.
fn error_of(trailers: &HeaderMap) -> Option<(Bytes, String)> {
    trailers.get(ERROR_TYPE)?;
    let error_type = error_type(trailers);
    let told = trailers.get(ERROR_BODY).and_then(|body| STANDARD.decode(body.as_bytes()).ok());
    let body = told
        .filter(|body| !body.is_empty())
        .unwrap_or_else(|| text::payload(&FunctionFailure { error_type: error_type.clone(), message: String::new() }));
    Some((body.into(), error_type))
}

async fn error(environment: &Environment, id: &str, request: Request<Incoming>) -> Answer {
    let since = Instant::now();
    if let Err(refused) = environment.may_answer(id, ANSWERING_ERROR) {
        return refuse(refused);
    }
    let (kind, cause) = (error_type(request.headers()), error_cause(environment, request.headers()));
    match collect(environment, request.into_body()).await {
        Collected::Whole(payload, _) => {
            let given = Given { cause, ..Given::whole(payload, Some(kind), since) };
            accepted(environment.answer(id, ANSWERING_ERROR, given))
        }
        Collected::TooLarge => give_too_large(environment, id, ANSWERING_ERROR, since),
        Collected::Broken => truncated(),
    }
}

/// It has been restored already: what asks was written down asking.
fn restore_next(environment: &Environment) -> Answer {
    match environment.lock().life.may_fail_init() {
        Ok(()) => answer(StatusCode::OK, JSON, Bytes::new()),
        Err(NotAllowed { from, .. }) => not_allowed(NotAllowed { from, to: "RuntimeRestoreReady" }),
    }
}

/// It was written down before it knew its function, whose variables it is told now: once.
fn tell_variables(environment: &Environment) -> Answer {
    let variables = environment.lock().variables_to_tell.take().unwrap_or_default();
    answer(StatusCode::OK, HeaderValue::from_static("application/octet-stream"), variables)
}

async fn init_error(environment: &Environment, request: Request<Incoming>) -> Answer {
    let (error_type, cause) = (error_type(request.headers()), error_cause(environment, request.headers()));
    match collect(environment, request.into_body()).await {
        Collected::Whole(payload, _) => match environment.init_error(InitError { payload, error_type, cause }) {
            Ok(()) => done(),
            Err(refused) => not_allowed(refused),
        },
        Collected::TooLarge => too_large(RESPONSE_PAYLOAD_BYTES),
        Collected::Broken => truncated(),
    }
}

/// The type that the runtime gives, where it has Lambda's form: `(Runtime|Function).Name` anywhere in it.
pub(crate) fn error_type(headers: &HeaderMap) -> String {
    let given = headers.get(ERROR_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let fits = ["Runtime.", "Function."].iter().any(|prefix| {
        let mut names = given.split(prefix).skip(1);
        names.any(|name| {
            let mut letters = name.chars();
            letters.next().is_some_and(|c| c.is_ascii_uppercase())
                && letters.next().is_some_and(|c| c.is_ascii_alphabetic())
        })
    });
    match given {
        given if fits => given.to_owned(),
        given if given.starts_with("Function.") => "Function.Unknown".to_owned(),
        _ => "Runtime.Unknown".to_owned(),
    }
}

/// What the runtime says that its error came from, where a trace tells of it.
fn error_cause(environment: &Environment, headers: &HeaderMap) -> Option<ErrorCause> {
    let header = headers.get(ERROR_CAUSE).filter(|_| environment.is_traced())?;
    ErrorCause::read(header.as_bytes(), &environment.shared.segment_room)
}

enum Collected {
    Whole(Bytes, Option<HeaderMap>),
    TooLarge,
    Broken,
}

/// A body up to the limit. What is beyond is read and thrown away, so that the connection stays usable. One of an
/// environment's at a time: half sent on all of its connections, they would take up the server's memory, not its own.
async fn collect(environment: &Environment, mut body: Incoming) -> Collected {
    let Ok(_turn) = environment.collecting.acquire().await else { return Collected::Broken };
    let expected = body.size_hint().exact().unwrap_or(0);
    let mut too_large = expected > RESPONSE_PAYLOAD_BYTES as u64;
    let mut whole: Option<Bytes> = None;
    let mut parts = BytesMut::new();
    let mut trailers = None;
    while !body.is_end_stream() {
        let frame = match body.frame().await {
            Some(Ok(frame)) => frame,
            Some(Err(_)) => return Collected::Broken,
            None => break,
        };
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(other) => {
                trailers = other.into_trailers().ok();
                continue;
            }
        };
        let so_far = whole.as_ref().map_or(parts.len(), Bytes::len);
        if too_large || so_far + data.len() > RESPONSE_PAYLOAD_BYTES {
            too_large = true;
            (whole, parts) = (None, BytesMut::new());
        } else if so_far == 0 {
            whole = Some(data); // Most often the only part: it is not copied.
        } else {
            if let Some(first) = whole.take() {
                parts.reserve(usize::try_from(expected).unwrap_or(0).max(first.len() + data.len()));
                parts.extend_from_slice(&first);
            }
            parts.extend_from_slice(&data);
        }
    }
    if too_large { Collected::TooLarge } else { Collected::Whole(whole.unwrap_or_else(|| parts.freeze()), trailers) }
}

fn accepted(result: Result<(), Refused>) -> Answer {
    result.map_or_else(refuse, |()| done())
}

pub(crate) fn done() -> Answer {
    answer(StatusCode::ACCEPTED, JSON, Bytes::from_static(b"{\"status\":\"OK\"}\n"))
}

pub(crate) fn refuse(refused: Refused) -> Answer {
    match refused {
        Refused::NotAllowed(state) => not_allowed(state),
        Refused::UnknownId => problem(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID"),
    }
}

pub(crate) fn not_allowed(NotAllowed { from, to }: NotAllowed) -> Answer {
    let message = format!("State transition from {from} to {to} failed for runtime. {}", text::INVALID_TRANSITION);
    problem(StatusCode::FORBIDDEN, "InvalidStateTransition", &message)
}

/// Ends the invoke whose answer does not fit.
fn give_too_large(environment: &Environment, id: &str, to: &'static str, since: Instant) -> Answer {
    let failure = Given::failure(text::response_too_large(RESPONSE_PAYLOAD_BYTES), since);
    match environment.answer(id, to, failure) {
        Ok(()) => too_large(RESPONSE_PAYLOAD_BYTES),
        Err(refused) => refuse(refused),
    }
}

fn too_large(limit: usize) -> Answer {
    let message = format!("Exceeded maximum allowed payload size ({limit} bytes).");
    problem(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &message)
}

fn truncated() -> Answer {
    problem(StatusCode::BAD_REQUEST, "TruncatedHTTPRequest", "The request ended before its body was complete")
}

pub(crate) fn not_found(path: &str) -> Answer {
    let message = if path.starts_with("/2018-06-01/runtime/restore/") {
        "This function has no SnapStart: there is nothing to restore"
    } else {
        "The Runtime API has no such path"
    };
    problem(StatusCode::NOT_FOUND, "NotFound", message)
}

pub(crate) fn method_not_allowed(method: &Method) -> Answer {
    problem(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", &format!("This path does not take {method}"))
}

pub(crate) fn problem(status: StatusCode, kind: &str, message: &str) -> Answer {
    let body = serde_json::json!({ "errorMessage": message, "errorType": kind });
    answer(status, JSON, body.to_string().into())
}

pub(crate) fn answer(status: StatusCode, content_type: HeaderValue, body: Bytes) -> Answer {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_invocations() {
        assert_eq!(invocation_call("runtime/invocation/abc/response"), Some(("abc", true)));
        assert_eq!(invocation_call("runtime/invocation/abc/error"), Some(("abc", false)));
        assert_eq!(invocation_call("runtime/invocation/abc/other"), None);
        assert_eq!(invocation_call("runtime/invocation/response"), None);
    }

    #[test]
    fn error_types_have_lambdas_form_or_become_unknown() {
        let kind = |given: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ERROR_TYPE, HeaderValue::from_static(given));
            error_type(&headers)
        };
        assert_eq!(kind("Runtime.ImportModuleError"), "Runtime.ImportModuleError");
        assert_eq!(kind("Function.MyOwn"), "Function.MyOwn");
        assert_eq!(kind("Function.1"), "Function.Unknown");
        assert_eq!(kind("ValueError"), "Runtime.Unknown");
        assert_eq!(error_type(&HeaderMap::new()), "Runtime.Unknown");
    }
}
