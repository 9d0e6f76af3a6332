//! Requests to function URLs: told by their Host, and answered by the function alone.

use std::sync::Arc;

use bytes::Bytes;
use hearth_access::NotAdmitted;
use hearth_api::ApiError;
use hearth_frontend::payload_too_large;
use hearth_frontend::url::{FunctionUrl, Sharing, Signer, UrlRequest, forbidden, respond, shown_trace_id, unknown};
use hearth_http::{BodyError, RequestBody, ResponseBody, read_body};
use hearth_identity::Caller;
use hearth_identity::sigv4::{Dialect, SignatureError};
use hearth_types::UrlHost;
use hearth_types::limits::{BODY_TIMEOUT, SYNC_PAYLOAD_BYTES};
use http::{HeaderMap, HeaderValue, Response, header};
use tracing::debug;

use crate::admin;
use crate::gateway::{Arrival, Gateway, REQUEST_TIMEOUT};
use crate::room::Place;

/// The service that signatures are for.
const SERVICE: &str = "lambda";

/// The function's host that a request names. One among several counts: such a request is for nobody else either.
pub(crate) fn url_host(headers: &HeaderMap) -> Option<UrlHost> {
    headers.get_all(header::HOST).iter().find_map(|host| UrlHost::parse(host.to_str().ok()?))
}

impl Gateway {
    /// Answers a request to this host.
    pub(crate) async fn function_url(
        &self,
        arrival: Arrival<'_>,
        host: &UrlHost,
        body: RequestBody,
    ) -> Response<ResponseBody> {
        let Some(url) = FunctionUrl::find(self.dispatcher.functions(), self.access.place(), host) else {
            return unknown().response().map(ResponseBody::from);
        };
        let head = arrival.head;
        let sharing = Sharing { cors: url.cors(), origin: head.headers.get(header::ORIGIN) };
        if let Some(response) = sharing.preflight(&head.method) {
            return response.map(ResponseBody::from);
        }
        let trace_id = self.dispatcher.trace_id_of_url(&url, &head.headers, arrival.id, admin::now());
        let outcome = self.run_url(arrival, host, &url, &trace_id, body).await;
        let mut response = outcome.unwrap_or_else(|error| {
            debug!("{} {}: {error}", arrival.peer, arrival.id);
            error.response().map(ResponseBody::from)
        });
        sharing.apply(response.headers_mut());
        if let Ok(shown) = HeaderValue::try_from(shown_trace_id(&trace_id)) {
            response.headers_mut().insert("x-amzn-trace-id", shown);
        }
        response
    }

    async fn run_url(
        &self,
        arrival: Arrival<'_>,
        host: &UrlHost,
        url: &FunctionUrl,
        trace_id: &Arc<str>,
        body: RequestBody,
    ) -> Result<Response<ResponseBody>, ApiError> {
        let (head, source) = (arrival.head, arrival.peer.ip());
        let ((body, _place), signer) = if url.is_signed() {
            let signer = self.access.signer(arrival.way.door, head, source, SERVICE).await;
            let signer = signer.map_err(|cause| not_admitted(&cause))?;
            let read = read(arrival, body).await?;
            let caller = signer.visitor.admit(&read.0).map_err(|cause| not_admitted(&cause))?;
            allow(url, &caller)?;
            (read, Some(shown(&caller, signer.access_key_id, &self.access.place().account)))
        } else {
            allow(url, &self.access.anybody(head, source))?;
            (read(arrival, body).await?, None)
        };
        let request = UrlRequest {
            head,
            body: &body,
            host,
            source,
            id: arrival.id,
            time: admin::now(),
            trace_id,
            signer: signer.as_ref(),
        };
        let event = request.event();
        let answer = self.dispatcher.invoke_url(url, event, arrival.id, trace_id).await;
        Ok(respond(url, answer.map_err(as_forbidden)?, &host.name()).await)
    }
}

fn allow(url: &FunctionUrl, caller: &Caller) -> Result<(), ApiError> {
    if url.permits(caller) { Ok(()) } else { Err(forbidden()) }
}

async fn read<'a>(arrival: Arrival<'a>, body: RequestBody) -> Result<(Bytes, Place<'a>), ApiError> {
    let place = arrival.way.room.take(&body, SYNC_PAYLOAD_BYTES).await?;
    let body = read_body(body, SYNC_PAYLOAD_BYTES, BODY_TIMEOUT).await.map_err(|cause| match cause {
        BodyError::TooLarge { .. } => payload_too_large(),
        BodyError::TooSlow(_) | BodyError::Broken(_) => {
            ApiError::new(&REQUEST_TIMEOUT, format!("The request did not arrive whole: {cause}"))
        }
    })?;
    Ok((body, place))
}

/// Without a signature a request is like one that may not (observed).
fn not_admitted(cause: &NotAdmitted) -> ApiError {
    match cause {
        NotAdmitted::Signature(SignatureError::Missing) => forbidden(),
        other => other.error(Dialect::Json),
    }
}

/// A URL whose function or alias is gone is like one without permissions (observed).
fn as_forbidden(error: ApiError) -> ApiError {
    if error.kind.code == hearth_api::error::modelled::RESOURCE_NOT_FOUND.code { forbidden() } else { error }
}

fn shown(caller: &Caller, access_key: String, account: &str) -> Signer {
    Signer {
        access_key,
        account_id: account.to_owned(),
        caller_id: caller.user_id().to_owned(),
        cognito_identity: (),
        principal_org_id: (),
        user_arn: caller.arn(),
        user_id: caller.user_id().to_owned(),
    }
}
