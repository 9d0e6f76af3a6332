//! The keeper of a server's own worker processes (`hearth serve --workers N`): root, as starting a worker needs it, of one
//! thread, and it reads nothing. It starts them, again when one dies, and ends them all when the server is gone.
//!
//! The server holds one end of a pipe, the lease; keeper and workers have the other as their standard input. However the
//! server ends, that says so to all of them.

use std::ffi::OsString;
use std::io::{PipeReader, PipeWriter, pipe};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use hearth_runtimes::Stock;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, WaitStatus};
use tokio::net::unix::pipe::Receiver;
use tracing::{info, warn};

use crate::leftovers::{Left, Patience, Verdict};
use crate::node_args::{KeepArgs, NodeArgs};
use crate::serve::log_to_stderr;
use crate::workers::memory_budget_mb;

/// The command under which the keeper runs.
pub(crate) const COMMAND: &str = "keep-workers";
/// Until a worker that has died is started again: the first time, and at most.
const PAUSE: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A worker that has lived for so long died for a new reason.
const LIVED: Duration = Duration::from_secs(10);
/// What a worker leaves is looked for so often, as nothing tells of its end.
const LOOK: Duration = Duration::from_millis(50);
/// What runtimes are found by, and how much is logged: all that workers get of the server's variables.
const PASSED_ON: [&str; 7] = ["PATH", "HOME", "PYENV_ROOT", "NVM_DIR", "RBENV_ROOT", "JAVA_HOME", "HEARTH_LOG"];

/// The server's side of its keeper. Dropped, its workers end.
pub(crate) struct Keeper {
    lease: PipeWriter,
    process: Child,
    /// What it would write to. It writes nothing: what comes is its end.
    output: Option<ChildStdout>,
}

impl Keeper {
    /// Starts it, and it the workers. For a process that is still root.
    pub(crate) fn begin(workers: u32, data_dir: &Path, segments: bool, node: &NodeArgs) -> Result<Self> {
        let (theirs, lease) = pipe().context("the lease of worker processes")?;
        let mut command = Command::new("/proc/self/exe");
        command.arg0("hearth").arg(COMMAND).arg("--workers").arg(workers.to_string());
        command.arg("--data-dir").arg(data_dir).args(segments.then_some("--xray-daemon"));
        command.args(share(node, workers).words());
        command.env_clear().envs(PASSED_ON.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        // What a terminal sends to the server is the server's to tell.
        command.stdin(theirs).stdout(Stdio::piped()).process_group(0);
        let mut process = command.spawn().context("starting the keeper of worker processes")?;
        let output = process.stdout.take();
        Ok(Self { lease, process, output })
    }

    /// Returns when it is no more.
    pub(crate) async fn closed(&self) {
        let Some(output) = &self.output else { return };
        if let Ok(output) = output.as_fd().try_clone_to_owned().and_then(Receiver::from_owned_fd) {
            let _ = output.readable().await;
        }
    }

    /// Ends the workers, and returns when nothing of them is left.
    pub(crate) async fn end(self) {
        let Self { lease, mut process, .. } = self;
        drop(lease);
        let _ = tokio::task::spawn_blocking(move || process.wait()).await;
    }
}

/// What one of so many workers gets of what is given to all of them.
fn share(node: &NodeArgs, workers: u32) -> NodeArgs {
    let workers = u64::from(workers.max(1));
    NodeArgs {
        memory_budget: Some(memory_budget_mb(node) / workers),
        pool: node.pool.map(|pool| pool.div_ceil(workers)),
        ahead: node.ahead.div_ceil(workers),
        stock: node.stock.iter().map(|stock| share_of(stock, workers)).collect(),
        ..node.clone()
    }
}

fn share_of(stock: &Stock, workers: u64) -> Stock {
    let workers = usize::try_from(workers).unwrap_or(usize::MAX);
    Stock { count: stock.count.div_ceil(workers), ..stock.clone() }
}

fn pidfd(pid: u32) -> std::io::Result<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(rustix::io::Errno::SRCH)?;
    Ok(rustix::process::pidfd_open(pid, PidfdFlags::empty())?)
}

/// A worker, whether it runs or not.
struct Slot {
    name: String,
    running: Option<(Pid, OwnedFd)>,
    life: Life,
    /// It is meant to end.
    leaves: bool,
}

/// When a worker is to be started.
#[derive(Clone, Copy, Debug)]
struct Life {
    since: Instant,
    due: Instant,
    pause: Duration,
}

impl Life {
    fn new(now: Instant) -> Self {
        Self { since: now, due: now, pause: PAUSE }
    }

    fn started(self, now: Instant) -> Self {
        Self { since: now, ..self }
    }

    /// How long until the next start: twice as long each time, until one has lived for long.
    fn died(self, now: Instant) -> Self {
        let lived = now.saturating_duration_since(self.since) >= LIVED;
        let pause = if lived { PAUSE } else { self.pause };
        Self { due: now + pause, pause: (pause * 2).min(PAUSE_MAX), ..self }
    }
}

/// Keeps them until the server is gone.
pub(crate) fn run(args: &KeepArgs) -> Result<()> {
    log_to_stderr();
    let lease: PipeReader = rustix::io::dup(std::io::stdin().as_fd()).context("the lease")?.into();
    // What a dead worker leaves, its spawner, becomes this process's child: its place is free when that is gone.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).context("waiting for what workers leave")?;
    let now = Instant::now();
    let slot = |n| Slot { name: format!("worker-{n}"), running: None, life: Life::new(now), leaves: false };
    let mut slots: Vec<_> = (0..args.workers).map(slot).collect();
    loop {
        let leaves = reap(&mut slots);
        let now = Instant::now();
        for slot in slots.iter_mut().filter(|slot| !leaves && slot.running.is_none() && slot.life.due <= now) {
            start(slot, args, now);
        }
        let dues = slots.iter().filter(|slot| slot.running.is_none()).map(|slot| slot.life.due);
        let next = dues.min().map(|due| due.saturating_duration_since(Instant::now()).max(LOOK));
        if wait(&slots, Some(&lease), if leaves { Some(LOOK) } else { next }) {
            end(&mut slots);
            return Ok(());
        }
    }
}

fn start(slot: &mut Slot, args: &KeepArgs, now: Instant) {
    slot.life = slot.life.started(now);
    let started = command(&slot.name, args).spawn().and_then(|child| {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(rustix::io::Errno::SRCH)?;
        Ok((pid, pidfd(child.id())?))
    });
    match started {
        Ok(running) => slot.running = Some(running),
        Err(error) => {
            slot.life = slot.life.died(now);
            warn!("{} cannot be started: {error}", slot.name);
        }
    }
}

fn command(name: &str, args: &KeepArgs) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("hearth").args(["worker", "--with-lease", "--name", name]).arg("--data-dir").arg(&args.data_dir);
    command.args(args.xray_daemon.then_some("--xray-daemon"));
    command.args(args.node.words()).stdout(Stdio::null());
    command
}

/// Takes note of all that have died. Whether something of them is left that still ends.
fn reap(slots: &mut [Slot]) -> bool {
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) => note(slots, pid, status),
            Ok(None) => {
                let running = slots.iter().filter(|slot| slot.running.is_some()).count();
                return children().is_none_or(|children| children > running);
            }
            // None at all.
            Err(_) => return false,
        }
    }
}

fn note(slots: &mut [Slot], pid: Pid, status: WaitStatus) {
    let of = |slot: &&mut Slot| slot.running.as_ref().is_some_and(|(running, _)| *running == pid);
    let Some(slot) = slots.iter_mut().find(of) else { return };
    slot.running = None;
    if slot.leaves {
        return;
    }
    let now = Instant::now();
    slot.life = slot.life.died(now);
    let again = slot.life.due.saturating_duration_since(now).as_secs_f32();
    warn!("{} (process {}) has ended ({status:?}); it is started again in {again} s", slot.name, pid.as_raw_nonzero());
}

/// Processes that are this one's children; none where the system does not say.
fn children() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/thread-self/children").ok()?;
    Some(text.split_whitespace().count())
}

/// Waits for a worker's end, at most so long. Whether the server is gone.
fn wait(slots: &[Slot], lease: Option<&PipeReader>, at_most: Option<Duration>) -> bool {
    let leased = lease.map(|lease| PollFd::new(lease, PollFlags::IN));
    let running = slots.iter().filter_map(|slot| slot.running.as_ref());
    let all = leased.into_iter().chain(running.map(|(_, gone)| PollFd::new(gone, PollFlags::IN)));
    let mut all: Vec<_> = all.collect();
    let at_most = at_most.and_then(|at_most| Timespec::try_from(at_most).ok());
    // Nobody writes to it: all that can come is its end.
    poll(&mut all, at_most.as_ref()).is_ok_and(|_| lease.is_some() && !all[0].revents().is_empty())
}

/// The server is gone: so is all that it had, when this returns.
fn end(slots: &mut [Slot]) {
    info!("the server has ended; its worker processes end");
    // Nothing that ends is started again.
    slots.iter_mut().for_each(|slot| slot.leaves = true);
    let mut patience = Patience::new(Instant::now(), left(slots));
    while reap(slots) || slots.iter().any(|slot| slot.running.is_some()) {
        match patience.look(Instant::now(), || left(slots)) {
            Verdict::Wait => {}
            Verdict::Kill => {
                for (pid, _) in slots.iter().filter_map(|slot| slot.running.as_ref()) {
                    let _ = rustix::process::kill_process(*pid, Signal::KILL);
                }
            }
            Verdict::GiveUp => return warn!("something of the worker processes is left, and does not end"),
        }
        wait(slots, None, Some(LOOK));
    }
}

fn left(slots: &[Slot]) -> Left {
    let running = slots.iter().filter_map(|slot| slot.running.as_ref());
    Left::behind(&running.map(|(pid, _)| pid.as_raw_nonzero().get().unsigned_abs()).collect::<Vec<_>>())
}

impl NodeArgs {
    /// The same as words of a command.
    pub(crate) fn words(&self) -> Vec<OsString> {
        let Self {
            network,
            network_throughput,
            tmp_throughput,
            isolation_at_least,
            freeze_after,
            memory_budget,
            runtime,
            stream_bandwidth,
            pool,
            ahead,
            stock,
            start_python,
        } = self;
        let mut words: Vec<OsString> = Vec::new();
        let mut say = |name: &str, value: OsString| words.extend([name.into(), value]);
        say("--network", word(network));
        say("--network-throughput", network_throughput.to_string().into());
        say("--tmp-throughput", tmp_throughput.to_string().into());
        say("--isolation-at-least", word(isolation_at_least));
        say("--freeze-after", freeze_after.to_string().into());
        say("--stream-bandwidth", stream_bandwidth.to_string().into());
        say("--ahead", ahead.to_string().into());
        say("--start-python", word(start_python));
        if let Some(pool) = pool {
            say("--pool", pool.to_string().into());
        }
        if let Some(memory_budget) = memory_budget {
            say("--memory-budget", memory_budget.to_string().into());
        }
        for hearth_runtimes::StandIn { runtime, program } in runtime {
            let mut value = OsString::from(format!("{runtime}="));
            value.push(program);
            say("--runtime", value);
        }
        for stock in stock {
            words.extend(["--stock".into(), stock.to_string().into()]);
        }
        words
    }
}

fn word(value: &impl clap::ValueEnum) -> OsString {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command as Words};

    fn parsed(words: &[OsString]) -> NodeArgs {
        let all = ["hearth", "worker"].map(OsString::from).into_iter().chain(words.iter().cloned());
        match Cli::try_parse_from(all).unwrap().command {
            Words::Worker(args) => args.node,
            _ => panic!("a worker"),
        }
    }

    #[test]
    fn a_worker_is_told_what_the_server_was() {
        for given in [
            &[][..],
            &["--network", "nat", "--network-throughput", "7", "--tmp-throughput", "0", "--pool", "5", "--ahead", "0"],
            &[
                "--isolation-at-least",
                "limits",
                "--freeze-after",
                "9",
                "--memory-budget",
                "77",
                "--stream-bandwidth",
                "1",
            ],
            &["--start-python", "snapshot", "--isolation-at-least", "disk"],
            &["--stock", "python3.11=7", "--stock", "nodejs20.x:512=9"],
            &["--runtime", "ruby3.3=/usr/bin/ruby3.1", "--runtime", "ruby3.4=/usr/bin/ruby3.1"],
        ] {
            let given: Vec<OsString> = given.iter().map(Into::into).collect();
            let node = parsed(&given);
            assert_eq!(format!("{:?}", parsed(&node.words())), format!("{node:?}"));
        }
    }

    #[test]
    fn the_memory_is_shared() {
        let node =
            parsed(&["--memory-budget", "9000", "--pool", "2", "--ahead", "3", "--stock", "p=5"].map(OsString::from));
        let one = share(&node, 2);
        assert_eq!(one.stock[0].count, 3);
        assert_eq!((one.memory_budget, one.pool, one.ahead), (Some(4500), Some(1), 2));
    }

    #[test]
    fn pauses_grow_until_one_has_lived() {
        let begin = Instant::now();
        let mut life = Life::new(begin).started(begin);
        let mut pauses = Vec::new();
        for _ in 0..10 {
            life = life.died(begin);
            pauses.push(life.due - begin);
        }
        assert_eq!(pauses[..3], [PAUSE, PAUSE * 2, PAUSE * 4]);
        assert_eq!(pauses[9], PAUSE_MAX);
        let life = life.died(begin + LIVED);
        assert_eq!(life.due, begin + LIVED + PAUSE);
    }
}
