//! Services that Hearth does not have, sent on to other servers: signed again, answers passed on as they come.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hearth_api::error::{Kind, Spelling};
use hearth_api::{Addressed, ApiError};
use hearth_client::{Api, Client, Endpoint};
use hearth_http::ResponseBody;
use hearth_identity::sigv4::{PayloadHash, Scope, Signer, Timestamp};
use hearth_identity::{Caller, Credentials, Secret};
use hearth_types::limits::{UPSTREAM_ANSWER, UPSTREAM_PIECES, UPSTREAM_STALL};
use http::request::Parts;
use http::{HeaderMap, Request, Response, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use tokio::sync::mpsc;
use tracing::warn;

use crate::prepare::Refused;

/// All services that no other upstream is for.
const ALL: &str = "*";

/// What Hearth answers itself, and so sends on to nobody.
const OWN: [&str; 6] = ["lambda", "s3", "iam", "sts", "ssm", "logs"];

/// What Hearth answers itself unless an upstream is named for it.
const OWN_OR_NAMED: [&str; 5] = ["sqs", "sns", "events", "scheduler", "application-autoscaling"];

/// Headers that belong to one connection, or to the signature that is replaced.
const NOT_PASSED: [&str; 12] = [
    "authorization",
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-amz-date",
    "x-amz-security-token",
];

/// One upstream, as the command line names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Upstream {
    service: String,
    endpoint: Endpoint,
}

/// All of them.
pub(crate) struct Upstreams {
    by_service: HashMap<String, Upstream>,
    client: Client,
    credentials: Credentials,
    region: Arc<str>,
    now: fn() -> Duration,
}

/// Reads `SERVICE=URL`.
pub(crate) fn parse(text: &str) -> Result<Upstream, String> {
    let (service, url) = text.split_once('=').ok_or("an upstream looks like sqs=http://127.0.0.1:5000")?;
    let is_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    if service != ALL && (service.is_empty() || !service.bytes().all(is_name)) {
        return Err(format!("{service:?} is no service: name it as signatures do (sqs, dynamodb, events), or *"));
    }
    if OWN.contains(&service) {
        return Err(format!("Hearth answers {service} itself"));
    }
    Ok(Upstream { service: service.to_owned(), endpoint: Endpoint::parse(url)? })
}

/// What upstreams are signed for; emulators take any credentials.
///
/// # Errors
/// When only one half is set.
pub(crate) fn credentials() -> Result<Credentials, Refused> {
    let value = |name: &str| std::env::var(format!("HEARTH_UPSTREAM_{name}")).ok().filter(|value| !value.is_empty());
    match (value("ACCESS_KEY_ID"), value("SECRET_ACCESS_KEY")) {
        (Some(access_key_id), Some(secret)) => {
            Ok(Credentials { access_key_id, secret: Secret::new(secret), session_token: value("SESSION_TOKEN") })
        }
        (None, None) => {
            Ok(Credentials { access_key_id: "test".to_owned(), secret: Secret::new("test"), session_token: None })
        }
        _ => Err(Refused("set both HEARTH_UPSTREAM_ACCESS_KEY_ID and HEARTH_UPSTREAM_SECRET_ACCESS_KEY".to_owned())),
    }
}

impl Upstreams {
    /// # Errors
    /// Two for one service.
    pub(crate) fn new(
        given: &[Upstream],
        client: Client,
        credentials: Credentials,
        region: Arc<str>,
        now: fn() -> Duration,
    ) -> Result<Self, Refused> {
        let mut by_service = HashMap::new();
        for upstream in given {
            if by_service.insert(upstream.service.clone(), upstream.clone()).is_some() {
                return Err(Refused(format!("--upstream is given twice for {}", upstream.service)));
            }
        }
        Ok(Self { by_service, client, credentials, region, now })
    }

    fn of(&self, service: &str) -> Option<&Upstream> {
        if OWN.contains(&service) || service.is_empty() {
            return None;
        }
        let common = self.by_service.get(ALL).filter(|_| !OWN_OR_NAMED.contains(&service));
        self.by_service.get(service).or(common)
    }

    /// Whether requests for the service are sent on.
    pub(crate) fn has(&self, service: &str) -> bool {
        self.of(service).is_some()
    }

    /// Calls of the service with an upstream of its own or the common one.
    pub(crate) fn api(&self, service: &str) -> Option<Api> {
        Some(Api {
            client: self.client.clone(),
            endpoint: self.of(service)?.endpoint.clone(),
            credentials: self.credentials.clone(),
            region: Arc::clone(&self.region),
            now: self.now,
        })
    }

    /// Sends a request on and gives what is answered, as it comes.
    ///
    /// # Errors
    /// When the caller may not, or the upstream does not answer.
    pub(crate) async fn send(
        &self,
        head: &Parts,
        addressed: &Addressed<'_>,
        service: &str,
        caller: &Caller,
        body: Bytes,
    ) -> Result<Response<ResponseBody>, ApiError> {
        let upstream = self.of(service).ok_or_else(|| ApiError::service("There is no such upstream."))?;
        if !caller.is_unchecked() {
            may_all(caller, service, head, addressed.operations(head, &body))?;
        }
        let request = self.signed(head, service, upstream, body)?;
        let answer = self.client.send(request, UPSTREAM_ANSWER).await.map_err(|cause| {
            let server = upstream.endpoint.server();
            warn!("the upstream of {service}, {server}: {cause}");
            ApiError::new(&UNAVAILABLE, format!("The upstream of {service} at {server} does not answer: {cause}"))
        })?;
        Ok(passed_on(answer))
    }

    fn signed(
        &self,
        head: &Parts,
        service: &str,
        upstream: &Upstream,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, ApiError> {
        let cannot = || ApiError::validation("The request cannot be sent on to the service's upstream.");
        let hash = PayloadHash::of(&body);
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.method = head.method.clone();
        parts.uri = upstream.uri(&head.uri).ok_or_else(cannot)?;
        parts.headers = passed(&head.headers);
        // The Host stays the client's, so that addresses in answers, as those of queues, lead back here.
        if let Some(host) = head.headers.get(header::HOST) {
            parts.headers.insert(header::HOST, host.clone());
        }
        let scope = Scope { region: &self.region, service };
        let signer = Signer { credentials: &self.credentials, scope };
        signer.sign(&mut parts, hash, Timestamp::since_1970((self.now)())).map_err(|_| cannot())?;
        Ok(Request::from_parts(parts, Full::new(body)))
    }
}

/// Asks for every operation that a request names, on all resources: which one it is about only the upstream knows. One
/// that names none is its method: `apigateway:POST`.
fn may_all(caller: &Caller, service: &str, head: &Parts, mut operations: Vec<String>) -> Result<(), ApiError> {
    if operations.is_empty() {
        operations.push(head.method.as_str().to_owned());
    }
    for operation in operations {
        let may = caller.may(&format!("{service}:{operation}"), "*", None, &[]);
        may.map_err(|denied| ApiError::access_denied(Some(denied.to_string())))?;
    }
    Ok(())
}

impl Upstream {
    /// Where a request for this server goes there; a signature in the query is left out.
    fn uri(&self, asked: &Uri) -> Option<Uri> {
        let is_kept = |pair: &&str| {
            let name = pair.split('=').next().unwrap_or_default().to_ascii_lowercase();
            !["algorithm", "credential", "date", "expires", "signedheaders", "signature", "security-token"]
                .iter()
                .any(|part| name.strip_prefix("x-amz-") == Some(part))
        };
        let query: Vec<&str> = asked.query().unwrap_or_default().split('&').filter(is_kept).collect();
        let query = query.join("&");
        let mark = if query.is_empty() { "" } else { "?" };
        self.endpoint.uri(&format!("{}{mark}{query}", asked.path()))
    }
}

/// All headers but those of the connection and of the signature.
fn passed(headers: &HeaderMap) -> HeaderMap {
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(|name| name.trim().to_ascii_lowercase()))
        .collect();
    let is_passed =
        |name: &str| name != "host" && !NOT_PASSED.contains(&name) && !named.iter().any(|other| other == name);
    headers
        .iter()
        .filter(|(name, _)| is_passed(name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// The answer, its body in pieces as they come. One that ends early is cut off where its length was announced; streams of
/// events, which have none, check themselves.
fn passed_on(answer: Response<Incoming>) -> Response<ResponseBody> {
    let (head, mut body) = answer.into_parts();
    let (pieces, received) = mpsc::channel(UPSTREAM_PIECES);
    tokio::spawn(async move {
        while let Ok(Some(Ok(frame))) = tokio::time::timeout(UPSTREAM_STALL, body.frame()).await {
            let Ok(piece) = frame.into_data() else { continue };
            if pieces.send(piece).await.is_err() {
                return;
            }
        }
    });
    let mut response = Response::new(ResponseBody::Pieces(received));
    *response.status_mut() = head.status;
    *response.headers_mut() = passed(&head.headers);
    if let Some(length) = head.headers.get(header::CONTENT_LENGTH) {
        response.headers_mut().insert(header::CONTENT_LENGTH, length.clone());
    }
    response
}

static UNAVAILABLE: Kind = Kind {
    code: "ServiceUnavailable",
    status: 503,
    spelling: Spelling::Lower,
    fault: Some(hearth_api::error::Fault::Service),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstreams_are_services_and_addresses() {
        assert!(parse("sqs=https://127.0.0.1:5000").is_ok() && parse("*=http://localhost:5000/base/").is_ok());
        for text in ["sqs", "=http://h", "SQS=http://h", "lambda=http://h", "sqs=ftp://h", "sqs=h:1", "sqs=http://h/?q"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn paths_go_below_the_upstreams_without_old_signatures() {
        let upstream = parse("sqs=http://h:1/base/").unwrap();
        let uri = |asked: &str| upstream.uri(&asked.parse().unwrap()).unwrap().to_string();
        assert_eq!(uri("/"), "http://h:1/base/");
        assert_eq!(uri("/q?a=1&X-Amz-Signature=f&X-Amz-Date=1&b"), "http://h:1/base/q?a=1&b");
        assert_eq!(uri("/q?X-Amz-Signature=f"), "http://h:1/base/q");
    }

    #[test]
    fn services_without_an_upstream_of_their_own_go_to_the_common_one() {
        let given = ["sqs=http://a", "*=http://b"].map(|text| parse(text).unwrap());
        let credentials = Credentials { access_key_id: "k".to_owned(), secret: Secret::new("s"), session_token: None };
        let upstreams =
            Upstreams::new(&given, Client::new(), credentials.clone(), "us-east-1".into(), || Duration::ZERO).unwrap();
        let server = |service: &str| upstreams.of(service).map(|upstream| upstream.endpoint.server().as_str());
        assert_eq!((server("sqs"), server("kinesis"), server("iam"), server("")), (Some("a"), Some("b"), None, None));
        let common =
            Upstreams::new(&given[1..], Client::new(), credentials.clone(), "us-east-1".into(), || Duration::ZERO)
                .unwrap();
        assert!(common.has("kinesis") && !common.has("sqs"), "one that is here goes elsewhere only by its name");
        let twice = [given[0].clone(), given[0].clone()];
        assert!(Upstreams::new(&twice, Client::new(), credentials, "us-east-1".into(), || Duration::ZERO).is_err());
    }
}
