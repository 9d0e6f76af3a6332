//! From an HTTP request to an answer: the doors, then the server's own pages, then the service that it addresses.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use hearth_access::{Access, Door, Visitor};
use hearth_api::{Addressed, ApiError, ErrorFormat, Matched, Operation, Style, route};
use hearth_control::Control;
use hearth_control::permit::Said;
use hearth_events::Events;
use hearth_frontend::{InvokeRequest, InvokeResponse, async_payload_too_large, payload_too_large};
use hearth_http::doors::{self, Asked};
use hearth_http::{BodyError, Handler, RequestBody, ResponseBody, read_body};
use hearth_identity::Caller;
use hearth_identity::sigv4::{Body, Dialect};
use hearth_logs::CloudWatchLogs;
use hearth_neighbours::Neighbours;
use hearth_remote::Dispatcher;
use hearth_rules::Rules;
use hearth_s3::S3;
use hearth_sns::Sns;
use hearth_sqs::Sqs;
use hearth_types::RequestId;
use hearth_types::limits::{
    BODY_TIMEOUT, CONTROL_BODY_BYTES, INVOKE_ASYNC_BYTES, SMALL_BODY_BYTES, SYNC_PAYLOAD_BYTES,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, header};
use tracing::debug;
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use crate::admin::Admin;
use crate::awake::Awake;
use crate::events;
use crate::function_url::url_host;
use crate::neighbours;
use crate::operate::decode_off;
use crate::room::Room;
use crate::service::is_s3;
use crate::upstream::Upstreams;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// A page that lies in a bucket may be a stranger's: a browser gives it an origin that it shares with nobody, least of all
/// with the API at the same address.
const OF_NO_ORIGIN: HeaderValue = HeaderValue::from_static("sandbox");

/// The operations that the front end answers.
pub(crate) const INVOKES: &[Operation] =
    &[Operation::Invoke, Operation::InvokeAsync, Operation::InvokeWithResponseStream];

/// Answers every request.
pub(crate) struct Gateway {
    pub(crate) admin: Admin,
    pub(crate) control: Arc<Control>,
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) events: Arc<Events>,
    pub(crate) neighbours: Neighbours,
    pub(crate) cloudwatch_logs: CloudWatchLogs,
    /// Other servers, for the services that this one lacks.
    pub(crate) upstreams: Upstreams,
    pub(crate) s3: Arc<S3>,
    pub(crate) sns: Arc<Sns>,
    pub(crate) sqs: Arc<Sqs>,
    pub(crate) rules: Arc<Rules>,
    /// Who may come in.
    pub(crate) access: Arc<Access>,
    /// For what comes to the public address.
    pub(crate) room: Room,
    /// Told of each request of clients.
    pub(crate) awake: Arc<Awake>,
}

/// Where a request came in.
#[derive(Clone, Copy)]
pub(crate) struct Way<'a> {
    pub(crate) door: Door<'a>,
    pub(crate) room: &'a Room,
}

/// A request's head, and how it came in.
#[derive(Clone, Copy)]
pub(crate) struct Arrival<'a> {
    pub(crate) id: RequestId,
    pub(crate) way: Way<'a>,
    pub(crate) peer: SocketAddr,
    pub(crate) head: &'a Parts,
}

impl Handler for Gateway {
    async fn handle(&self, peer: SocketAddr, request: Request<RequestBody>) -> Response<ResponseBody> {
        let _under_way = self.awake.begin();
        self.serve(Way { door: Door::Outer, room: &self.room }, peer, request).await
    }
}

impl Gateway {
    /// Answers a request that came in this way.
    pub(crate) async fn serve(
        &self,
        way: Way<'_>,
        peer: SocketAddr,
        request: Request<RequestBody>,
    ) -> Response<ResponseBody> {
        let id = RequestId(Uuid::new_v4());
        let (head, body) = request.into_parts();
        let asked = if self.access.asks_for_signatures(way.door) { Asked::Signature } else { Asked::Nothing };
        let arrival = Arrival { id, way, peer, head: &head };
        // What is sent to a function's host reaches that function or nothing.
        let url = url_host(&head.headers);
        let door = if url.is_some() { doors::check_function } else { doors::check };
        let mut response = match (door(&head.headers, asked), url) {
            (Ok(()), None) => self.answer(arrival, body).await,
            (Ok(()), Some(host)) => self.function_url(arrival, &host, body).await,
            (Err(refusal), _) => ApiError::access_denied(Some(refusal.to_string())).response().map(ResponseBody::from),
        };
        if let Ok(value) = HeaderValue::from_str(id.0.hyphenated().encode_lower(&mut [0; Hyphenated::LENGTH])) {
            // What another server answered has an id of its own.
            response.headers_mut().entry(REQUEST_ID).or_insert(value);
        }
        response
    }

    async fn answer(&self, arrival: Arrival<'_>, body: RequestBody) -> Response<ResponseBody> {
        let head = arrival.head;
        // Its own pages are not for functions.
        if let (Some(path), Door::Outer) = (head.uri.path().strip_prefix("/_hearth/"), arrival.way.door) {
            return self
                .own_page(arrival, path, body)
                .await
                .unwrap_or_else(|error| error.response().map(ResponseBody::from));
        }
        let mut addressed = Addressed::of(head);
        if addressed.service.is_none() && (is_s3(head) || self.names_a_bucket(head, addressed.style).await) {
            addressed.service = Some("s3".into());
        }
        match (addressed.service.as_deref(), addressed.style) {
            (Some("lambda"), _) | (None, Style::Path) => {
                let outcome = self.lambda(arrival, body).await;
                outcome.unwrap_or_else(|error| {
                    debug!("{} {}: {error}", arrival.peer, arrival.id);
                    error.response().map(ResponseBody::from)
                })
            }
            (Some("s3"), _) => self.s3(arrival, body).await,
            _ => self.neighbour(arrival, &addressed, body).await,
        }
    }

    /// Whether a request without a signature, whose path is none of Lambda's, is for a bucket that is there.
    async fn names_a_bucket(&self, head: &Parts, style: Style) -> bool {
        style == Style::Path && self.s3.names_a_bucket(&head.headers, &head.uri).await
    }

    /// The server's own pages.
    async fn own_page(
        &self,
        arrival: Arrival<'_>,
        path: &str,
        body: RequestBody,
    ) -> Result<Response<ResponseBody>, ApiError> {
        let (method, query) = (&arrival.head.method, arrival.head.uri.query().unwrap_or_default());
        let body = match *method {
            Method::POST => {
                let _place = arrival.way.room.take(&body, SMALL_BODY_BYTES).await?;
                let body = read_body(body, SMALL_BODY_BYTES, BODY_TIMEOUT).await;
                body.map_err(|error| neighbours::body_error(&error))?
            }
            _ => Bytes::new(),
        };
        self.may_see(arrival, path, &body).await?;
        Ok(self.admin.answer(method, path, query, &body).await)
    }

    async fn may_see(&self, arrival: Arrival<'_>, path: &str, body: &Bytes) -> Result<(), ApiError> {
        let Some(asked) = self.admin.permission(&arrival.head.method, path, self.access.place()) else { return Ok(()) };
        let visitor = self.visitor(arrival, asked.service, Dialect::Json).await?;
        let caller = visitor.admit(body).map_err(|cause| cause.error(Dialect::Json))?;
        let may = caller.may(asked.action, &asked.resource, None, &[]);
        may.map_err(|denied| ApiError::access_denied(Some(denied.to_string())))
    }

    /// Whoever sent a request for this service. The signature is checked when the body is there.
    pub(crate) async fn visitor<'a>(
        &'a self,
        arrival: Arrival<'a>,
        service: &'a str,
        dialect: Dialect,
    ) -> Result<Visitor<'a>, ApiError> {
        let visitor = self.access.visitor(arrival.way.door, arrival.head, arrival.peer.ip(), service).await;
        visitor.map_err(|cause| cause.error(dialect))
    }

    async fn lambda(&self, arrival: Arrival<'_>, body: RequestBody) -> Result<Response<ResponseBody>, ApiError> {
        let head = arrival.head;
        let matched = route(head.method.as_str(), head.uri.path(), head.uri.query())?;
        if let Some(encoding) = head.headers.get(header::CONTENT_ENCODING) {
            return Err(unsupported_encoding(encoding));
        }
        let visitor = self.visitor(arrival, "lambda", Dialect::Json).await?;
        let limit = body_limit(matched.operation);
        let _place = arrival.way.room.take(&body, limit).await?;
        let body = read_body(body, limit, BODY_TIMEOUT).await.map_err(|error| body_error(matched.operation, &error))?;
        let caller = visitor.admit(&body).map_err(|cause| cause.error(Dialect::Json))?;
        self.permit(&caller, &matched, &body).await?;
        let answer = if INVOKES.contains(&matched.operation) {
            self.invoke(arrival.id, &matched, &head.headers, body).await
        } else {
            self.operate(&matched, &head.headers, body).await.map(|response| response.map(ResponseBody::from))
        };
        answer.map_err(|error| self.control.told(&matched, error))
    }

    /// S3 compares bodies as they stream in with what was signed of them.
    async fn s3(&self, arrival: Arrival<'_>, body: RequestBody) -> Response<ResponseBody> {
        let admitted = match self.visitor(arrival, "s3", Dialect::S3).await {
            Ok(visitor) => visitor.admit_ahead().map_err(|cause| cause.error(Dialect::S3)),
            Err(error) => Err(error),
        };
        let (caller, signed) = match admitted {
            Ok(admitted) => admitted,
            Err(error) => return error.response_in(ErrorFormat::S3, arrival.id).map(ResponseBody::from),
        };
        let mut head = arrival.head.clone();
        if let Some(Body::Chunked(framing)) = signed {
            head.extensions.insert(framing);
        }
        head.extensions.insert(arrival.peer.ip());
        let mut response = self.s3.handle(&arrival.id.to_string(), caller, Request::from_parts(head, body)).await;
        if let Door::Outer = arrival.way.door {
            response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, OF_NO_ORIGIN);
        }
        response
    }

    /// Lets a caller on who may do what is asked for.
    async fn permit(&self, caller: &Caller, matched: &Matched, body: &Bytes) -> Result<(), ApiError> {
        if caller.is_unchecked() {
            return Ok(());
        }
        let said = decode_off(body.len(), || Said::read(matched, body))?;
        self.control.permit(caller, matched, &said).await
    }

    async fn invoke(
        &self,
        id: RequestId,
        matched: &Matched,
        headers: &HeaderMap,
        payload: Bytes,
    ) -> Result<Response<ResponseBody>, ApiError> {
        let request = InvokeRequest { matched, headers, payload, request_id: id };
        if matched.operation == Operation::InvokeWithResponseStream {
            return Ok(self.dispatcher.invoke_streamed(request).await?.into_http());
        }
        let response = self.dispatcher.invoke(request).await?;
        if let InvokeResponse::Event(event) = &response {
            events::keep(&self.events, event).await?;
        }
        let response = match matched.operation {
            Operation::InvokeAsync => response.into_http_of_async(),
            _ => response.into_http(),
        };
        Ok(response.map(ResponseBody::from))
    }
}

fn body_limit(operation: Operation) -> usize {
    match operation {
        Operation::CreateFunction | Operation::UpdateFunctionCode | Operation::PublishLayerVersion => {
            CONTROL_BODY_BYTES
        }
        Operation::Invoke | Operation::InvokeWithResponseStream => SYNC_PAYLOAD_BYTES,
        Operation::InvokeAsync => INVOKE_ASYNC_BYTES,
        _ => SMALL_BODY_BYTES,
    }
}

fn body_error(operation: Operation, error: &BodyError) -> ApiError {
    match (error, operation) {
        (BodyError::TooLarge { .. }, Operation::Invoke | Operation::InvokeWithResponseStream) => payload_too_large(),
        (BodyError::TooLarge { .. }, Operation::InvokeAsync) => async_payload_too_large(),
        (BodyError::TooLarge { limit }, other) => ApiError::request_entity_too_large(format!(
            "Request must be smaller than {limit} bytes for the {} operation",
            other.name()
        )),
        (BodyError::TooSlow(_) | BodyError::Broken(_), _) => {
            ApiError::new(&REQUEST_TIMEOUT, format!("The request did not arrive whole: {error}"))
        }
    }
}

/// A client that does not send its body in time, or not all of it.
pub(crate) static REQUEST_TIMEOUT: hearth_api::error::Kind = hearth_api::error::Kind {
    code: "RequestTimeoutException",
    status: 408,
    spelling: hearth_api::error::Spelling::Lower,
    fault: Some(hearth_api::error::Fault::User),
};

pub(crate) fn unsupported_encoding(encoding: &HeaderValue) -> ApiError {
    let shown = String::from_utf8_lossy(encoding.as_bytes()).chars().take(40).collect::<String>();
    ApiError::new(
        &hearth_api::error::modelled::UNSUPPORTED_MEDIA_TYPE,
        format!("Bodies with Content-Encoding {shown:?} are not taken: send them as they are"),
    )
}
