//! `hearth invoke`: runs a function, and shows where the time went.

use std::io::{Read as _, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hearth_logs::escape_for_terminal;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use http_body_util::BodyExt as _;

use crate::asking::{Question, ask_with};
use crate::cli::InvokeArgs;

/// Columns of the longest bar.
const BAR: f64 = 40.0;

/// 1: the function, or the request, failed.
pub(crate) fn run(args: &InvokeArgs) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(invoke(args)));
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("hearth: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether it went well.
async fn invoke(args: &InvokeArgs) -> Result<bool> {
    let qualifier = args.qualifier.as_ref().map(|qualifier| format!("?Qualifier={}", encoded(qualifier)));
    let path =
        format!("/2015-03-31/functions/{}/invocations{}", encoded(&args.function), qualifier.unwrap_or_default());
    let mut headers = HeaderMap::new();
    if args.timing {
        headers.insert(HeaderName::from_static("x-hearth-timing"), HeaderValue::from_static("on"));
    }
    if args.log {
        headers.insert(HeaderName::from_static("x-amz-log-type"), HeaderValue::from_static("Tail"));
    }
    let body = payload(&args.payload)?;
    let question = Question { endpoint: &args.endpoint, method: Method::POST, path: &path, body, service: "lambda" };
    let since = Instant::now();
    let response = ask_with(question, headers).await?;
    let head = response.headers().clone();
    let answer = response.collect().await?.to_bytes();
    let took = since.elapsed();
    let mut out = std::io::stdout().lock();
    out.write_all(&answer).and_then(|()| out.write_all(b"\n")).context("standard output")?;
    if let Some(log) = head.get("x-amz-log-result") {
        let log = STANDARD.decode(log.as_bytes()).unwrap_or_default();
        let lines = String::from_utf8_lossy(&log);
        lines.lines().for_each(|line| eprintln!("{}", escape_for_terminal(line)));
    }
    if args.timing {
        let parts = head.get("server-timing").and_then(|value| value.to_str().ok()).unwrap_or_default();
        eprint!("{}", shown(&parts_of(parts), took));
    }
    let error = head.get("x-amz-function-error").map(|kind| String::from_utf8_lossy(kind.as_bytes()).into_owned());
    if let Some(kind) = &error {
        eprintln!("hearth: the function failed: {}", escape_for_terminal(kind));
    }
    Ok(error.is_none())
}

/// The event: as it is given, of a file, or of standard input.
pub(crate) fn payload(given: &str) -> Result<Bytes> {
    if given == "-" {
        let mut all = Vec::new();
        std::io::stdin().lock().read_to_end(&mut all).context("standard input")?;
        return Ok(all.into());
    }
    match given.strip_prefix('@') {
        Some(file) => Ok(std::fs::read(file).with_context(|| format!("--payload @{file}"))?.into()),
        None => Ok(Bytes::copy_from_slice(given.as_bytes())),
    }
}

/// A part of a path.
pub(crate) fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// Of `name;dur=1.5, ...`: names and milliseconds.
fn parts_of(header: &str) -> Vec<(String, f64)> {
    let part = |part: &str| {
        let (name, ms) = part.trim().split_once(";dur=")?;
        Some((name.to_owned(), ms.parse().ok()?))
    };
    header.split(',').filter_map(part).collect()
}

/// A line with a bar for each part; what is left of `took` is the client's and the network's.
fn shown(parts: &[(String, f64)], took: Duration) -> String {
    let whole = took.as_secs_f64() * 1000.0;
    let known: f64 = parts.iter().map(|(_, ms)| ms).sum();
    let rest = ("client".to_owned(), (whole - known).max(0.0));
    let is_cold = parts.iter().any(|(name, _)| name == "sandbox");
    let mut text = format!("{} start, {whole:.3} ms\n", if is_cold { "cold" } else { "warm" });
    for (name, ms) in parts.iter().chain([&rest]) {
        let bar = "#".repeat((ms / whole.max(f64::MIN_POSITIVE) * BAR).round() as usize);
        text += format!("  {name:<10} {ms:>10.3} ms  {bar}").trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_time_went_is_drawn() {
        let parts = parts_of("queue;dur=0.5, sandbox;dur=2.000, invoke;dur=5, broken");
        let text = shown(&parts, Duration::from_millis(10));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "cold start, 10.000 ms");
        assert_eq!(lines[3], format!("  invoke          5.000 ms  {}", "#".repeat(20)));
        assert_eq!(lines[4], format!("  client          2.500 ms  {}", "#".repeat(10)));
    }

    #[test]
    fn names_are_parts_of_paths() {
        assert_eq!(encoded("arn:aws:lambda:f/$LATEST"), "arn%3Aaws%3Alambda%3Af%2F%24LATEST");
    }
}
