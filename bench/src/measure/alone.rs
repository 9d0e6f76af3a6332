//! The official Python client without Hearth: what it takes by itself for one invoke, on a Runtime API that has its event
//! ready and throws its answer away. No platform can be faster with this client.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::args::RunArgs;
use crate::measure::bare::Ended;
use crate::stats::Samples;

const EVENT: &[u8] = br#"{"hello":"x"}"#;
/// Samples that are thrown away first.
const WARM_UP: usize = 500;

/// What each invoke took.
#[derive(Default)]
pub(super) struct Turns {
    /// From an event sent until its answer is there.
    pub(super) answers: Samples,
    /// Until the next event is asked for: at one invoke at a time, what a client waits for.
    pub(super) whole: Samples,
}

/// Runs the client, and ends it.
pub(super) fn awslambdaric(args: &RunArgs, count: usize) -> Result<Turns> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("app.py"), "def handler(event, context):\n    return event\n")?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let client = Command::new(&args.python)
        .args(["-m", "awslambdaric", "app.handler"])
        .current_dir(folder.path())
        .env_clear()
        .env("PYTHONPATH", &args.awslambdaric)
        .env("LAMBDA_TASK_ROOT", folder.path())
        .env("AWS_LAMBDA_RUNTIME_API", listener.local_addr()?.to_string())
        .envs([("AWS_LAMBDA_FUNCTION_NAME", "alone"), ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")])
        .envs([("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769"), ("AWS_REGION", "us-east-1")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot start {}", args.python.display()))?;
    let _ended = Ended(client);
    let (stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    serve(stream, count)
}

fn serve(mut stream: TcpStream, count: usize) -> Result<Turns> {
    let mut requests = BufReader::new(stream.try_clone()?);
    let mut turns = Turns::default();
    asks(&mut requests, "/invocation/next")?;
    for number in 0..WARM_UP + count {
        stream.write_all(&next(number))?;
        let sent = Instant::now();
        asks(&mut requests, "/response")?;
        let answered = sent.elapsed();
        stream.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")?;
        asks(&mut requests, "/invocation/next")?;
        if number >= WARM_UP {
            turns.answers.push(answered);
            turns.whole.push(sent.elapsed());
        }
    }
    Ok(turns)
}

/// One request, of which the path ends so.
fn asks(requests: &mut BufReader<TcpStream>, end: &str) -> Result<()> {
    let first = read(requests)?;
    let path = first.split(' ').nth(1).unwrap_or_default();
    ensure!(path.ends_with(end), "the client sends {first:?} instead of what ends in {end}");
    Ok(())
}

fn next(number: usize) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Lambda-Runtime-Aws-Request-Id: 8476a536-e9f4-11e8-9739-{number:012x}\r\n\
         Lambda-Runtime-Deadline-Ms: 9999999999999\r\n\
         Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:000000000000:function:alone\r\n\r\n",
        EVENT.len()
    );
    [head.as_bytes(), EVENT].concat()
}

/// One request: its first line.
fn read(from: &mut BufReader<TcpStream>) -> Result<String> {
    let (mut first, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            bail!("the client has closed its connection");
        }
        let line = line.trim_end();
        if first.is_empty() {
            line.clone_into(&mut first);
        } else if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse()?;
        } else if line.is_empty() {
            break;
        }
    }
    from.take(length).read_to_end(&mut Vec::new())?;
    Ok(first)
}
