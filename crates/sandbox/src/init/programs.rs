//! The processes that init has started, from the moment that it can do nothing any more but watch over them.

use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::SendFlags;
use rustix::process::{Pid, WaitOptions, WaitStatus};

use super::child::{Held, Launch, Running, Task, become_harmless};
use super::{Plan, next_order, tell_server};
use crate::channel;
use crate::error::{Done, During, Failure};
use crate::frame::{Event, Note, Order};
use crate::process::{Exit, Process, Signal};
use crate::since::Since;
use crate::sys::{self, Fork};

/// All of them.
pub(super) struct Programs {
    runtime: Runtime,
    /// Those beside the runtime, in their order.
    beside: Vec<Running>,
    /// What writes the runtime's snapshot, until it is told to.
    writer: Option<Held>,
    /// How it is heard that one has ended.
    ends: OwnedFd,
}

enum Runtime {
    Runs(Running),
    /// Until it is let go.
    Waits(Held),
    /// The programs beside it go on.
    Ended,
}

/// What programs beside a runtime are made from.
pub(super) struct Beside {
    pub(super) count: usize,
    pub(super) output: OwnedFd,
    pub(super) args: OwnedFd,
}

/// Whether there is still something to watch over.
#[derive(PartialEq, Eq)]
enum Next {
    GoOn,
    Over,
}

impl Programs {
    /// A runtime alone.
    pub(super) fn alone(runtime: Running) -> Done<Self> {
        let ends = sys::child_signals().during("listening for ends of processes")?;
        Ok(Self { runtime: Runtime::Runs(runtime), beside: Vec::new(), writer: None, ends })
    }

    /// A runtime alone, and what will write it down: made before this process becomes harmless, as all are.
    pub(super) fn template(runtime: Launch<'_>, image: &OwnedFd) -> Result<Self, Event> {
        let ends = sys::child_signals().during("listening for ends of processes").map_err(Event::Failed)?;
        let (plan, memory_mb, output, args) = (runtime.plan, runtime.memory_mb, runtime.output, runtime.args);
        use_a_number_up().map_err(Event::Failed)?;
        let runtime = runtime.hold().map_err(Event::Failed)?;
        let task = Task::Writer { image, runtime: runtime.pidfd() };
        let writer = Launch { plan, memory_mb, output, args, task }.hold().map_err(Event::Failed)?;
        become_harmless(plan).map_err(Event::Failed)?;
        let runtime = Runtime::Runs(runtime.go(None)?);
        Ok(Self { runtime, beside: Vec::new(), writer: Some(writer), ends })
    }

    /// Starts programs; the runtime waits for them to be ready. All are made before this process becomes harmless, for it
    /// could not make them afterwards, and none runs earlier.
    pub(super) fn start(runtime: Launch<'_>, beside: &Beside) -> Result<Self, Event> {
        let ends = sys::child_signals().during("listening for ends of processes").map_err(Event::Failed)?;
        let (plan, memory_mb) = (runtime.plan, runtime.memory_mb);
        let runtime = runtime.hold().map_err(Event::Failed)?;
        let hold = |number| {
            let task = Task::Beside { number, runtime: runtime.pidfd() };
            Launch { plan, memory_mb, output: &beside.output, args: Some(&beside.args), task }.hold()
        };
        let held: Vec<Held> = (0..beside.count).map(hold).collect::<Done<_>>().map_err(Event::Failed)?;
        become_harmless(plan).map_err(Event::Failed)?;
        let beside = held.into_iter().map(|held| held.go(None)).collect::<Result<_, _>>()?;
        Ok(Self { runtime: Runtime::Waits(runtime), beside, writer: None, ends })
    }

    /// When the first of them was given its word.
    pub(super) fn since(&self) -> Since {
        let runtime = match &self.runtime {
            Runtime::Runs(runtime) => Some(runtime.since),
            Runtime::Waits(_) | Runtime::Ended => None,
        };
        self.beside.first().map(|first| first.since).or(runtime).unwrap_or_else(Since::now)
    }

    /// Follows orders, reaps, says how processes end; until the runtime's end, or, with programs beside it, for good. This
    /// process's end takes the others with it.
    pub(super) fn watch_over(mut self, plan: &Plan<'_>) -> Done {
        loop {
            if self.reap(plan)? == Next::Over {
                return Ok(());
            }
            let mut fds = [PollFd::new(&plan.orders, PollFlags::IN), PollFd::new(&self.ends, PollFlags::IN)];
            match poll(&mut fds, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).during("waiting for an end"),
            }
            let [ordered, ended] = fds.map(|fd| !fd.revents().is_empty());
            if ended {
                // What it says of one end says nothing of others that came with it.
                let _ = rustix::io::read(&self.ends, &mut [0_u8; 128]);
            }
            if ordered && self.follow(plan)? == Next::Over {
                return Ok(());
            }
        }
    }

    fn follow(&mut self, plan: &Plan<'_>) -> Done<Next> {
        match next_order(plan)? {
            None => return Ok(Next::Over),
            Some((Order::Go, _)) => self.let_runtime_go(plan)?,
            Some((Order::Write, _)) => self.have_written(plan)?,
            Some((Order::Name { process, signal }, _)) => self.name(plan, process, signal)?,
            Some(_) => {}
        }
        Ok(Next::GoOn)
    }

    /// Lets the writer go, whose last word says what came of it. Nothing else happens here meanwhile.
    fn have_written(&mut self, plan: &Plan<'_>) -> Done {
        let Some(writer) = self.writer.take() else { return Ok(()) };
        match writer.go(None) {
            Err(event) => tell_server(plan, &event),
            Ok(_) => tell_server(plan, &Event::NotWritten(Failure::new(libc::ESRCH, "the snapshot's writer died"))),
        }
    }

    fn let_runtime_go(&mut self, plan: &Plan<'_>) -> Done {
        match std::mem::replace(&mut self.runtime, Runtime::Ended) {
            Runtime::Waits(held) => match held.go(None) {
                Ok(running) => {
                    let since = running.since;
                    self.runtime = Runtime::Runs(running);
                    tell_server(plan, &Event::Running { since })
                }
                Err(event) => tell_server(plan, &event),
            },
            other => {
                self.runtime = other;
                Ok(())
            }
        }
    }

    /// Hands the process to the spawner: to signal it takes a right that this process does not have. One that has ended
    /// needs no signal.
    fn name(&self, plan: &Plan<'_>, process: Process, signal: Signal) -> Done {
        let pidfd = match (process, &self.runtime) {
            (Process::Runtime, Runtime::Runs(running)) => Some(&running.pidfd),
            (Process::Runtime, Runtime::Waits(held)) => Some(held.pidfd()),
            (Process::Runtime, Runtime::Ended) => None,
            (Process::Beside(number), _) => self.beside.get(number as usize).map(|running| &running.pidfd),
        };
        let Some(pidfd) = pidfd else { return Ok(()) };
        channel::send(&plan.orders, &Note::Named { signal }, &[pidfd.as_fd()], SendFlags::DONTWAIT)
            .during("naming a process to the spawner")
    }

    fn reap(&mut self, plan: &Plan<'_>) -> Done<Next> {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    let Some(process) = self.which(pid) else { continue };
                    tell_server(plan, &Event::Exited(process, exit_of(status)))?;
                    if process == Process::Runtime {
                        self.runtime = Runtime::Ended;
                    }
                    if process == Process::Runtime && self.beside.is_empty() {
                        return Ok(Next::Over);
                    }
                }
                Err(rustix::io::Errno::INTR) => {}
                Ok(None) | Err(rustix::io::Errno::CHILD) => return Ok(Next::GoOn),
                Err(error) => return Err(error).during("waiting for a process"),
            }
        }
    }

    /// None for what has been left to this process by others.
    fn which(&self, pid: Pid) -> Option<Process> {
        let runtime = match &self.runtime {
            Runtime::Runs(running) => Some(running.pid),
            Runtime::Waits(held) => Some(held.pid()),
            Runtime::Ended => None,
        };
        if runtime == Some(pid) {
            return Some(Process::Runtime);
        }
        let number = self.beside.iter().position(|running| running.pid == pid)?;
        Some(Process::Beside(number as u32))
    }
}

/// A template's processes have other numbers than the ones that are restored: by that a library knows that it must draw
/// new random numbers, as after a fork.
fn use_a_number_up() -> Done {
    match sys::fork(0, None).during("using a process number up")? {
        Fork::Child => sys::exit_now(0),
        Fork::Parent { pid, .. } => {
            rustix::process::waitpid(Some(pid), WaitOptions::empty()).during("using a process number up").map(drop)
        }
    }
}

pub(super) fn exit_of(status: WaitStatus) -> Exit {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or(libc::SIGKILL)),
    }
}
