//! The same machine without Hearth, to set its figures beside.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::args::RunArgs;
use crate::stats::Samples;

/// 100 bytes there and back between two threads over loopback.
pub(super) fn round_trip(count: usize) -> Result<Samples> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut near = TcpStream::connect(listener.local_addr()?)?;
    let (mut far, _) = listener.accept()?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let echo = thread::spawn(move || -> std::io::Result<()> {
        let mut message = [0; 100];
        // Ends when the other side closes.
        while far.read_exact(&mut message).is_ok() {
            far.write_all(&message)?;
        }
        Ok(())
    });
    let mut samples = Samples::default();
    let mut message = [7; 100];
    for _ in 0..count {
        let sent = Instant::now();
        near.write_all(&message)?;
        near.read_exact(&mut message)?;
        samples.push(sent.elapsed());
    }
    drop(near);
    echo.join().map_err(|_| anyhow::anyhow!("the echo panicked"))??;
    Ok(samples)
}

/// From the start of an interpreter or binary until it does its first own thing, outside any sandbox.
pub(super) fn start(args: &RunArgs, package: &str) -> Result<Duration> {
    match package {
        "python" => first_byte(&args.python, &["-I", "-S", "-c", "import os; os.write(1, b'x')"]),
        "node" => first_byte(&args.node, &["-e", "require('fs').writeSync(1, 'x')"]),
        _ => first_call(&args.rust),
    }
}

fn first_byte(program: &Path, words: &[&str]) -> Result<Duration> {
    let start = Instant::now();
    let mut child = Command::new(program)
        .args(words)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let mut byte = [0];
    child.stdout.take().context("no standard output")?.read_exact(&mut byte)?;
    let took = start.elapsed();
    ensure!(child.wait()?.success(), "{} failed", program.display());
    Ok(took)
}

/// Until a runtime asks its Runtime API for the first invoke.
fn first_call(program: &Path) -> Result<Duration> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let start = Instant::now();
    let child = Command::new(program)
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", listener.local_addr()?.to_string())
        .envs([("AWS_LAMBDA_FUNCTION_NAME", "bare"), ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")])
        .envs([("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769"), ("AWS_LAMBDA_LOG_GROUP_NAME", "g")])
        .envs([("AWS_LAMBDA_LOG_STREAM_NAME", "s"), ("_HANDLER", "bootstrap")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let ended = Ended(child);
    let (mut stream, _) = listener.accept()?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut bytes = [0; 64];
    let read = stream.read(&mut bytes)?;
    let took = start.elapsed();
    ensure!(read > 0, "{} closed its connection", program.display());
    drop(ended);
    Ok(took)
}

/// Waits for a first call for ever; ended when it has been seen.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
