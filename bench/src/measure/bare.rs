//! The same machine without Hearth, to set its figures beside.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::{ClockId, clock_gettime};

use crate::args::RunArgs;
use crate::stats::Samples;

/// 100 bytes there and back between two threads over loopback.
pub(super) fn round_trip(count: usize) -> Result<Samples> {
    let (mut near, mut far) = connected()?;
    let echo = thread::spawn(move || echo(&mut far));
    let samples = ping(&mut near, count)?;
    drop(near);
    echo.join().map_err(|_| anyhow::anyhow!("the echo panicked"))??;
    Ok(samples)
}

/// 100 bytes over loopback through a third thread and back the same way: what an invoke is at the least, with nothing
/// understood, decided or written down. With the CPU time of the thread in the middle for each.
pub(super) fn relay(count: usize) -> Result<(Samples, Duration)> {
    let (mut client, mut client_side) = connected()?;
    let (mut runtime_side, mut runtime) = connected()?;
    let echo = thread::spawn(move || echo(&mut runtime));
    let relay = thread::spawn(move || -> Result<Duration> {
        let mut message = [0; 100];
        let begin = clock_gettime(ClockId::ThreadCPUTime);
        for _ in 0..count {
            forward(&mut client_side, &mut runtime_side, &mut message)?;
            forward(&mut runtime_side, &mut client_side, &mut message)?;
        }
        let spent =
            Duration::try_from(clock_gettime(ClockId::ThreadCPUTime))?.saturating_sub(Duration::try_from(begin)?);
        Ok(spent / u32::try_from(count)?)
    });
    let samples = ping(&mut client, count)?;
    let spent = relay.join().map_err(|_| anyhow::anyhow!("the relay panicked"))??;
    echo.join().map_err(|_| anyhow::anyhow!("the echo panicked"))??;
    Ok((samples, spent))
}

/// Waits for a message as a server does that has many connections, and hands it on.
fn forward(from: &mut TcpStream, to: &mut TcpStream, message: &mut [u8; 100]) -> Result<()> {
    poll(&mut [PollFd::new(from, PollFlags::IN)], None)?;
    from.read_exact(message)?;
    Ok(to.write_all(message)?)
}

fn connected() -> Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let near = TcpStream::connect(listener.local_addr()?)?;
    let (far, _) = listener.accept()?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    Ok((near, far))
}

/// Sends back what comes, until the other side closes.
fn echo(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut message = [0; 100];
    while stream.read_exact(&mut message).is_ok() {
        stream.write_all(&message)?;
    }
    Ok(())
}

fn ping(stream: &mut TcpStream, count: usize) -> Result<Samples> {
    let mut samples = Samples::default();
    let mut message = [7; 100];
    for _ in 0..count {
        let sent = Instant::now();
        stream.write_all(&message)?;
        stream.read_exact(&mut message)?;
        samples.push(sent.elapsed());
    }
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

/// A `bootstrap` outside of any sandbox, with its Runtime API there.
pub(super) fn of_provided(program: &Path, api: &str) -> Result<Ended> {
    let child = Command::new(program)
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", api)
        .envs([("AWS_LAMBDA_FUNCTION_NAME", "bare"), ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")])
        .envs([("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769"), ("AWS_LAMBDA_LOG_GROUP_NAME", "g")])
        .envs([("AWS_LAMBDA_LOG_STREAM_NAME", "s"), ("_HANDLER", "bootstrap")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    Ok(Ended(child))
}

/// Until a runtime asks its Runtime API for the first invoke.
fn first_call(program: &Path) -> Result<Duration> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let start = Instant::now();
    let ended = of_provided(program, &listener.local_addr()?.to_string())?;
    let (mut stream, _) = listener.accept()?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut bytes = [0; 64];
    let read = stream.read(&mut bytes)?;
    let took = start.elapsed();
    ensure!(read > 0, "{} closed its connection", program.display());
    drop(ended);
    Ok(took)
}

/// Waits for its next call for ever; ended when enough has been seen.
pub(super) struct Ended(pub(super) Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
