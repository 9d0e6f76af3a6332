//! From an HTTP request to an answer: the doors, then the server's own pages, then the service that it addresses.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use hearth_api::{Addressed, ApiError, Matched, Operation, Style, route};
use hearth_control::Control;
use hearth_frontend::{Dispatcher, InvokeRequest, payload_too_large};
use hearth_http::{BodyError, Handler, ResponseBody, doors, read_body};
use hearth_identity::policy::{Context, Principal};
use hearth_identity::{Caller, Rights};
use hearth_neighbours::Neighbours;
use hearth_s3::S3;
use hearth_types::RequestId;
use hearth_types::limits::{BODY_TIMEOUT, CONTROL_BODY_BYTES, SMALL_BODY_BYTES, SYNC_PAYLOAD_BYTES};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use hyper::body::{Body as _, Incoming};
use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::debug;
use uuid::Uuid;

use crate::admin::Admin;
use crate::service::is_s3;

/// The operations that the front end answers.
pub(crate) const INVOKES: &[Operation] = &[Operation::Invoke, Operation::InvokeWithResponseStream];

/// Answers every request.
pub(crate) struct Gateway {
    pub(crate) admin: Admin,
    pub(crate) control: Arc<Control>,
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) neighbours: Neighbours,
    pub(crate) s3: Arc<S3>,
    /// 12 digits.
    pub(crate) account: Arc<str>,
    /// A place for each package that is being taken in.
    pub(crate) packages: Semaphore,
}

impl Handler for Gateway {
    async fn handle(&self, peer: SocketAddr, request: Request<Incoming>) -> Response<ResponseBody> {
        let id = RequestId(Uuid::new_v4());
        let mut response = self.answer(peer, id, request).await;
        if let Ok(value) = HeaderValue::try_from(id.to_string()) {
            response.headers_mut().insert("x-amzn-requestid", value);
        }
        response
    }
}

impl Gateway {
    async fn answer(&self, peer: SocketAddr, id: RequestId, request: Request<Incoming>) -> Response<ResponseBody> {
        if let Err(refusal) = doors::check(request.headers()) {
            return ApiError::access_denied(Some(refusal.to_string())).response().map(ResponseBody::from);
        }
        let uri = request.uri();
        if let Some(path) = uri.path().strip_prefix("/_hearth/") {
            return self.admin.answer(request.method(), path, uri.query().unwrap_or_default()).await;
        }
        let (head, body) = request.into_parts();
        let mut addressed = Addressed::of(&head);
        if addressed.service.is_none() && is_s3(&head) {
            addressed.service = Some("s3".into());
        }
        match (addressed.service.as_deref(), addressed.style) {
            (Some("lambda"), _) | (None, Style::Path) => {
                let outcome = self.lambda(id, &head, body).await;
                outcome.unwrap_or_else(|error| {
                    debug!("{peer} {id}: {error}");
                    error.response().map(ResponseBody::from)
                })
            }
            (Some("s3"), _) => self.s3.handle(&id.to_string(), Request::from_parts(head, body)).await,
            _ => self.neighbour(id, &head, &addressed, &self.everybody(), body).await,
        }
    }

    /// Whoever asks, as long as nobody's credentials are checked: the account's owner.
    fn everybody(&self) -> Caller {
        let account = self.account.to_string();
        let owner = Principal::Root { account: account.clone() };
        Caller::new(owner, account, Rights::Everything, Context::default())
    }

    async fn lambda(&self, id: RequestId, head: &Parts, body: Incoming) -> Result<Response<ResponseBody>, ApiError> {
        let matched = route(head.method.as_str(), head.uri.path(), head.uri.query())?;
        if let Some(encoding) = head.headers.get(header::CONTENT_ENCODING) {
            return Err(unsupported_encoding(encoding));
        }
        let _turn = self.turn(matched.operation, &body).await?;
        let body = read_body(body, body_limit(matched.operation), BODY_TIMEOUT)
            .await
            .map_err(|error| body_error(matched.operation, &error))?;
        if INVOKES.contains(&matched.operation) {
            return self.invoke(id, &matched, &head.headers, body).await;
        }
        self.operate(&matched, &head.headers, body).await.map(|response| response.map(ResponseBody::from))
    }

    /// Waits until a package that a client sends may be held in memory; its bytes wait in the kernel until then.
    async fn turn(&self, operation: Operation, body: &Incoming) -> Result<Option<SemaphorePermit<'_>>, ApiError> {
        let is_large = body.size_hint().upper().is_none_or(|bytes| bytes > SMALL_BODY_BYTES as u64);
        let may_be = body_limit(operation) == CONTROL_BODY_BYTES;
        if !(is_large && may_be) {
            return Ok(None);
        }
        self.packages.acquire().await.map(Some).map_err(|_| ApiError::service("The server is stopping."))
    }

    async fn invoke(
        &self,
        id: RequestId,
        matched: &Matched,
        headers: &HeaderMap,
        payload: Bytes,
    ) -> Result<Response<ResponseBody>, ApiError> {
        let response = self.dispatcher.invoke(InvokeRequest { matched, headers, payload, request_id: id }).await?;
        let response = match matched.operation {
            Operation::InvokeWithResponseStream => response.into_event_stream(),
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
        _ => SMALL_BODY_BYTES,
    }
}

fn body_error(operation: Operation, error: &BodyError) -> ApiError {
    match (error, operation) {
        (BodyError::TooLarge { .. }, Operation::Invoke | Operation::InvokeWithResponseStream) => payload_too_large(),
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
