//! A `hearth serve` to measure, with a data folder that goes with it.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use tempfile::TempDir;

use crate::args::RunArgs;
use crate::client::Connection;
use crate::process;

/// Far above what a good end takes, but for thousands of environments.
const STOP_WITHIN_S: i64 = 240;

/// A running server.
pub(crate) struct Server {
    child: Child,
    data: Option<TempDir>,
    host: String,
    /// From its start to its ready line.
    pub(crate) ready_after: Duration,
}

impl Server {
    /// Starts a server in a new data folder.
    pub(crate) fn start(run: &RunArgs, args: &[&str]) -> Result<Self> {
        Self::start_in(run, args, TempDir::with_prefix("hearth-bench-")?)
    }

    /// Starts a server, lets `measure` use it, and stops it. An error comes with the end of the server's log.
    pub(crate) fn with<T>(run: &RunArgs, args: &[&str], measure: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        Ok(Self::start(run, args)?.used(measure)?.0)
    }

    /// Lets `measure` use it, and stops it; gives back its data folder. An error comes with the end of the server's log.
    pub(crate) fn used<T>(self, measure: impl FnOnce(&Self) -> Result<T>) -> Result<(T, TempDir)> {
        let measured = measure(&self).with_context(|| format!("with this in the server's log:\n{}", self.log()))?;
        Ok((measured, self.stop()?))
    }

    /// Starts a server in a data folder that may have been used before.
    pub(crate) fn start_in(run: &RunArgs, args: &[&str], data: TempDir) -> Result<Self> {
        let log = File::create(data.path().join("server.log"))?;
        let start = Instant::now();
        let awake = ["--awake", run.awake.as_str()];
        let mut child = Command::new(&run.hearth)
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data.path().join("data"))
            .args(if args.contains(&awake[0]) { &[][..] } else { &awake })
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", run.hearth.display()))?;
        let stdout = child.stdout.take();
        let mut server = Self { child, data: Some(data), host: String::new(), ready_after: Duration::ZERO };
        let mut line = String::new();
        BufReader::new(stdout.context("no standard output")?).read_line(&mut line)?;
        server.ready_after = start.elapsed();
        let host = line.split_whitespace().next_back().and_then(|url| url.strip_prefix("http://"));
        let Some(host) = host else {
            bail!("the server did not become ready: {line:?}\n{}", server.log());
        };
        server.host = host.trim_end_matches('/').to_owned();
        Ok(server)
    }

    /// Address and port.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn connect(&self) -> Result<Connection> {
        Connection::open(&self.host)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The server and the spawner: the platform, without what runs in environments.
    pub(crate) fn platform(&self) -> Result<Vec<u32>> {
        let mut pids = process::children(self.pid())?;
        ensure!(!pids.is_empty(), "the server has no spawner");
        pids.insert(0, self.pid());
        Ok(pids)
    }

    /// CPU time of the platform so far.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        self.platform()?.into_iter().map(process::cpu).sum()
    }

    /// The end of the server's log.
    fn log(&self) -> String {
        let path = self.data.as_ref().map(|data| data.path().join("server.log"));
        let text = path.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Ends the server in the way a supervisor does; gives back its data folder.
    pub(crate) fn stop(mut self) -> Result<TempDir> {
        self.end()?;
        self.data.take().context("stopped twice")
    }

    fn end(&mut self) -> Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        let pid = Pid::from_child(&self.child);
        let handle = pidfd_open(pid, PidfdFlags::empty())?;
        kill_process(pid, Signal::TERM)?;
        let limit = Timespec { tv_sec: STOP_WITHIN_S, tv_nsec: 0 };
        if poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&limit))? == 0 {
            self.child.kill()?;
            self.child.wait()?;
            bail!("the server did not end within {STOP_WITHIN_S} s\n{}", self.log());
        }
        let status = self.child.wait()?;
        ensure!(status.success(), "the server ended with {status}\n{}", self.log());
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("bench: stopping the server: {error:#}");
        }
    }
}
