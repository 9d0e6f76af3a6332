//! `hearth logs NAME [-f]`: a function's log from a running server.

use std::io::Write as _;

use anyhow::{Context as _, Result, bail};
use hearth_identity::sigv4::{PayloadHash, Scope, Signer, Timestamp};
use hearth_identity::{Credentials, Secret};
use http::{Request, Uri};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;

use crate::admin;
use crate::cli::LogsArgs;

/// Of a server that is not told another one.
const DEFAULT_REGION: &str = "us-east-1";

/// Prints the log; with `--follow` until the server ends or the user does.
pub(crate) fn run(args: &LogsArgs) -> Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(print(args))
}

async fn print(args: &LogsArgs) -> Result<()> {
    let endpoint: Uri = args.endpoint.parse().with_context(|| format!("--endpoint {}", args.endpoint))?;
    let authority = endpoint.authority().with_context(|| format!("--endpoint {} names no host", args.endpoint))?;
    let port = authority.port_u16().unwrap_or(80);
    let stream = tokio::net::TcpStream::connect((authority.host(), port))
        .await
        .with_context(|| format!("no server answers at {}; is `hearth serve` running there?", args.endpoint))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = Request::get(format!("/_hearth/logs/{}?follow={}&json={}", args.name, args.follow, args.json))
        .header(http::header::HOST, authority.as_str())
        .body(Empty::<bytes::Bytes>::new())
        .with_context(|| format!("{:?} cannot be a function's name", args.name))?;
    let mut response = sender.send_request(signed(request)?).await?;
    if !response.status().is_success() {
        let text = response.collect().await?.to_bytes();
        bail!("{}", String::from_utf8_lossy(&text));
    }
    let mut out = std::io::stdout().lock();
    while let Some(frame) = response.frame().await {
        if let Ok(data) = frame?.into_data() {
            out.write_all(&data)?;
            out.flush()?;
        }
    }
    connection.abort();
    Ok(())
}

/// Signed with the credentials of the environment, where there are some: a server may ask for that.
fn signed<B>(request: Request<B>) -> Result<Request<B>> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (Some(access_key_id), Some(secret)) = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY")) else {
        return Ok(request);
    };
    let session_token = variable("AWS_SESSION_TOKEN");
    let credentials = Credentials { access_key_id, secret: Secret::new(secret), session_token };
    let region = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
    let scope = Scope { region: region.as_deref().unwrap_or(DEFAULT_REGION), service: "logs" };
    let (mut head, body) = request.into_parts();
    let now = Timestamp::since_1970(admin::now());
    Signer { credentials: &credentials, scope }.sign(&mut head, PayloadHash::of(&[]), now)?;
    Ok(Request::from_parts(head, body))
}
