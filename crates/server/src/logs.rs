//! `hearth logs NAME [-f]`: a function's log from a running server.

use std::io::Write as _;

use anyhow::Result;
use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt as _;

use crate::asking::{Question, ask};
use crate::cli::LogsArgs;

/// Prints the log; with `--follow` until the server ends or the user does.
pub(crate) fn run(args: &LogsArgs) -> Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(print(args))
}

async fn print(args: &LogsArgs) -> Result<()> {
    let path = format!("/_hearth/logs/{}?follow={}&json={}", args.name, args.follow, args.json);
    let (method, body) = (Method::GET, Bytes::new());
    let mut response = ask(Question { endpoint: &args.endpoint, method, path: &path, body, service: "logs" }).await?;
    let mut out = std::io::stdout().lock();
    while let Some(frame) = response.frame().await {
        if let Ok(data) = frame?.into_data() {
            out.write_all(&data)?;
            out.flush()?;
        }
    }
    Ok(())
}
