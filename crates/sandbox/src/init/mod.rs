//! PID 1 of an environment: the forked spawner going on. It prepares the sandbox as root, starts the function's
//! process, and from then on is a process without any privilege that waits for that one to end.

mod child;
mod make;
mod mounts;

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::net::{RecvFlags, SendFlags};
use rustix::process::{Pid, WaitOptions};

use crate::Exit;
use crate::channel::{self, Received, exactly};
use crate::error::{Done, During, Failure};
use crate::frame::{Event, Order};
use crate::seccomp::Filters;
use crate::volume::Volume;
use crate::{privileges, sys};

/// The host's user ids of one environment; its group ids have the same numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ids {
    /// Of the function.
    pub(crate) function: u32,
    /// Of init once it has dropped everything: another one, so that the function cannot signal or trace it.
    pub(crate) init: u32,
}

/// Which /tmp init prepares.
pub(crate) enum TmpPlan {
    /// A new one of so many MB.
    New { mb: u32 },
    /// The one on this loop device.
    Join { loop_number: u32 },
}

/// What a new init works with.
pub(crate) struct Plan<'a> {
    /// Unique among all slots of this spawner.
    pub(crate) slot: u64,
    pub(crate) ids: Ids,
    pub(crate) tmp: TmpPlan,
    /// To the server.
    pub(crate) channel: OwnedFd,
    /// From and to the spawner.
    pub(crate) orders: OwnedFd,
    /// `cgroup.procs` files of the v1 hierarchies.
    pub(crate) attach: Vec<OwnedFd>,
    /// Folder of the /tmp volumes; a copy of the spawner's descriptor.
    pub(crate) tmp_folder: BorrowedFd<'a>,
    pub(crate) filters: &'a Filters,
    /// Whether the machine hands core dumps to a program.
    pub(crate) cores_piped: bool,
}

/// Runs an environment from its making to its end.
pub(crate) fn run(plan: &Plan<'_>) -> ! {
    let status = match live(plan) {
        Ok(()) => 0,
        Err(failure) => {
            // Nobody to tell where this fails, too: the server then sees the channel closed.
            let _ = channel::send(&plan.channel, &Event::Failed(failure), &[], SendFlags::DONTWAIT);
            1
        }
    };
    sys::exit_now(status)
}

fn live(plan: &Plan<'_>) -> Done {
    privileges::die_with_spawner(&plan.orders)?;
    let mut keep: Vec<_> =
        [&plan.channel, &plan.orders].into_iter().chain(&plan.attach).map(AsRawFd::as_raw_fd).collect();
    keep.push(plan.tmp_folder.as_raw_fd());
    sys::close_all_but(&mut keep).during("closing inherited descriptors")?;
    // What the spawner says on standard error is not for here.
    rustix::stdio::dup2_stderr(rustix::stdio::stdin()).during("closing standard error")?;
    let volume = make::make(plan)?;
    let Some((Order::Start, fds)) = next_order(plan)? else { return Ok(()) };
    start(plan, fds, volume)?;
    let Some((Order::Assign { memory_mb }, fds)) = next_order(plan)? else { return Ok(()) };
    let child = assign(plan, memory_mb, fds)?;
    wait_for_end(plan, child)
}

fn start(plan: &Plan<'_>, fds: Vec<OwnedFd>, volume: Volume) -> Done {
    let [root] = exactly(fds).ok_or_else(|| unexpected("a start without exactly a root"))?;
    mounts::enter_root(&root)?;
    mounts::mount_proc()?;
    mounts::attach(&volume.mount, "/tmp")?;
    tell_server(plan, &Event::Started)
}

fn assign(plan: &Plan<'_>, memory_mb: u32, fds: Vec<OwnedFd>) -> Done<Pid> {
    let [code, output, args] = exactly(fds).ok_or_else(|| unexpected("an assignment without its 3 descriptors"))?;
    mounts::attach(&code, "/var/task")?;
    drop(code);
    let launch = child::Launch { plan, memory_mb, output, args };
    let child = launch.run()?;
    tell_server(plan, &Event::Running)?;
    plan.filters.confine_init()?;
    Ok(child)
}

/// Reaps until the runtime process has ended, and says how. This process's end takes the others with it.
fn wait_for_end(plan: &Plan<'_>, runtime: Pid) -> Done {
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == runtime => {
                let exit = match (status.exit_status(), status.terminating_signal()) {
                    (Some(code), _) => Exit::Code(code),
                    (None, signal) => Exit::Signal(signal.unwrap_or(libc::SIGKILL)),
                };
                return tell_server(plan, &Event::Exited(exit));
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).during("waiting for the runtime process"),
        }
    }
}

/// The next order; none once the spawner has gone.
fn next_order(plan: &Plan<'_>) -> Done<Option<(Order, Vec<OwnedFd>)>> {
    match channel::receive(&plan.orders, RecvFlags::empty()).during("waiting for an order")? {
        Received::Frame(order, fds) => Ok(Some((order, fds))),
        Received::Closed => Ok(None),
    }
}

fn tell_server(plan: &Plan<'_>, event: &Event) -> Done {
    channel::send(plan.channel.as_fd(), event, &[], SendFlags::DONTWAIT).during("telling the server")
}

fn unexpected(what: &str) -> Failure {
    Failure::new(libc::EPROTO, what)
}
