//! `hearth logs NAME [-f]`: a function's log from a running server.

use std::io::Write as _;

use anyhow::{Context as _, Result, bail};
use http::Uri;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;

use crate::cli::LogsArgs;

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
    let request = http::Request::get(format!("/_hearth/logs/{}?follow={}&json={}", args.name, args.follow, args.json))
        .header(http::header::HOST, authority.as_str())
        .body(Empty::<bytes::Bytes>::new())
        .with_context(|| format!("{:?} cannot be a function's name", args.name))?;
    let mut response = sender.send_request(request).await?;
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
