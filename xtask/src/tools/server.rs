//! A `hearth serve` of our own: started on a free port, stopped and checked when this value goes.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use super::leftovers::Leftovers;
use super::{TempDir, drain};

/// From the start to the ready line. A debug build on a busy machine is far below.
const READY: Duration = Duration::from_secs(60);
/// From SIGTERM to the end. The server itself bounds its draining.
const STOP: Duration = Duration::from_secs(60);

/// A running server and its data folder.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    data: TempDir,
    log: PathBuf,
    url: String,
    stopped: bool,
}

impl Server {
    /// Starts `binary serve ARGS` with an empty data folder and waits until it is ready.
    pub(crate) fn start(binary: &Path, args: &[&str]) -> Result<Self> {
        Self::start_with(binary, args, &std::env::var_os("PATH").unwrap_or_default())
    }

    /// The same with another PATH, on which it looks for interpreters.
    pub(crate) fn start_with(binary: &Path, args: &[&str], path: &OsStr) -> Result<Self> {
        let data = TempDir::new("serve")?;
        let log = data.path().join("server.log");
        let mut child = Command::new(binary)
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data.path().join("data"))
            .args(args)
            .env("PATH", path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?)
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let stdout = child.stdout.take().context("the server has no standard output")?;
        let mut server = Self { child, data, log, url: String::new(), stopped: false };
        server.url = server.ready(stdout)?;
        Ok(server)
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn host(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Stops the server as a supervisor would and makes sure that nothing of it is left.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.end()
    }

    /// The first line on standard output says that the server is ready and ends in its URL.
    fn ready(&mut self, stdout: impl Read + Send + 'static) -> Result<String> {
        let (sender, receiver) = mpsc::sync_channel(1);
        thread::spawn(move || {
            let mut stdout = BufReader::new(stdout);
            let mut line = String::new();
            let read = stdout.read_line(&mut line).map(|_| line);
            // The receiver may have given up waiting; then nobody needs the line.
            let _ = sender.send(read);
            drain(stdout)
        });
        let line = receiver.recv_timeout(READY).map_err(|_| anyhow!("not ready within {READY:?}"));
        let line = line.and_then(|read| Ok(read?)).with_context(|| self.log_text())?;
        let url = line.split_whitespace().next_back().filter(|word| word.starts_with("http://"));
        match url {
            Some(url) => Ok(url.trim_end_matches('/').to_owned()),
            None => bail!("the server did not say that it is ready: {line:?}\n{}", self.log_text()),
        }
    }

    fn log_text(&self) -> String {
        let mut text = String::new();
        let read = File::open(&self.log).and_then(|mut file| {
            file.rewind()?;
            file.read_to_string(&mut text)
        });
        match read {
            Ok(_) => format!("the server's log:\n{text}"),
            Err(error) => format!("the server's log cannot be read: {error}"),
        }
    }

    fn end(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.stopped, true) {
            return Ok(());
        }
        let leftovers = Leftovers::of(self.child.id(), self.data.path())?;
        let status = terminate(&mut self.child)?;
        ensure!(status.success(), "the server ended with {status}\n{}", self.log_text());
        leftovers.check()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("xtask: stopping the server: {error:#}");
        }
    }
}

/// Asks a child to end and waits; kills it when it does not.
fn terminate(child: &mut Child) -> Result<std::process::ExitStatus> {
    if let Some(status) = child.try_wait()? {
        return Ok(status);
    }
    let pid = Pid::from_child(child);
    let handle = pidfd_open(pid, PidfdFlags::empty())?;
    kill_process(pid, Signal::TERM)?;
    let limit = Timespec { tv_sec: i64::try_from(STOP.as_secs())?, tv_nsec: 0 };
    if poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&limit))? == 0 {
        child.kill()?;
        child.wait()?;
        bail!("the server did not end within {STOP:?} after SIGTERM");
    }
    Ok(child.wait()?)
}

/// The binary of a finished build.
pub(crate) fn binary(profile: &str) -> Result<PathBuf> {
    let path = super::target().join(profile).join("hearth");
    fs::metadata(&path).with_context(|| format!("{} is not built", path.display()))?;
    Ok(path)
}
