//! Asking a running server, for the commands that do.

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use hearth_identity::sigv4::{PayloadHash, Scope, Signer, Timestamp};
use hearth_identity::{Credentials, Secret};
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;

use crate::admin;

/// Of a server that is not told another one.
const DEFAULT_REGION: &str = "us-east-1";

/// What is asked.
pub(crate) struct Question<'a> {
    pub(crate) endpoint: &'a str,
    pub(crate) method: Method,
    /// With its query.
    pub(crate) path: &'a str,
    pub(crate) body: Bytes,
    /// As signatures name it.
    pub(crate) service: &'a str,
}

/// The JSON of a page.
pub(crate) async fn get_json(endpoint: &str, path: &str) -> Result<Value> {
    let question = Question { endpoint, method: Method::GET, path, body: Bytes::new(), service: "lambda" };
    let body = ask(question).await?.collect().await?.to_bytes();
    serde_json::from_slice(&body).context("the server's answer is no JSON")
}

/// The answer, whose body may still come; what is no success is said.
pub(crate) async fn ask(question: Question<'_>) -> Result<Response<Incoming>> {
    ask_with(question, HeaderMap::new()).await
}

/// The same with these headers, beside those that are always sent.
pub(crate) async fn ask_with(question: Question<'_>, headers: HeaderMap) -> Result<Response<Incoming>> {
    let Question { endpoint, method, path, body, service } = question;
    let uri: Uri = endpoint.parse().with_context(|| format!("--endpoint {endpoint}"))?;
    let authority = uri.authority().with_context(|| format!("--endpoint {endpoint} names no host"))?;
    let port = authority.port_u16().unwrap_or(80);
    let stream = tokio::net::TcpStream::connect((authority.host(), port))
        .await
        .with_context(|| format!("no server answers at {endpoint}; is `hearth serve` running there?"))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // It ends with the answer.
    tokio::spawn(connection);
    let request = Request::builder().method(method).uri(path);
    let request = request.header(http::header::HOST, authority.as_str()).body(Full::new(body.clone()));
    let mut request = request.with_context(|| format!("{path:?} cannot be asked for"))?;
    request.headers_mut().extend(headers);
    let response = sender.send_request(signed(request, &body, service)?).await?;
    if !response.status().is_success() {
        let text = response.collect().await?.to_bytes();
        bail!("{}", String::from_utf8_lossy(&text).trim_end());
    }
    Ok(response)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The region that clients are told of by the environment.
pub(crate) fn region() -> String {
    let told = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
    told.unwrap_or_else(|| DEFAULT_REGION.to_owned())
}

/// Signed with the credentials of the environment, where there are some: a server may ask for that.
fn signed<B>(request: Request<B>, body: &Bytes, service: &str) -> Result<Request<B>> {
    let (Some(access_key_id), Some(secret)) = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY")) else {
        return Ok(request);
    };
    let session_token = variable("AWS_SESSION_TOKEN");
    let credentials = Credentials { access_key_id, secret: Secret::new(secret), session_token };
    let region = region();
    let scope = Scope { region: &region, service };
    let (mut head, content) = request.into_parts();
    let now = Timestamp::since_1970(admin::now());
    Signer { credentials: &credentials, scope }.sign(&mut head, PayloadHash::of(body), now)?;
    Ok(Request::from_parts(head, content))
}
