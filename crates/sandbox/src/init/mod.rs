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
use crate::network::Connection;
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
    /// How to reach the outside, where it may; with a copy of the spawner's descriptor.
    pub(crate) connection: Option<Connection<'a>>,
    pub(crate) filters: &'a Filters,
    /// Whether the machine hands core dumps to a program.
    pub(crate) cores_piped: bool,
}

/// Runs an environment from its making to its end.
pub(crate) fn run(plan: &Plan<'_>) -> ! {
    if let Err(event) = live(plan) {
        // Nobody to tell where this fails, too: the server then hears from the spawner.
        let _ = channel::send(&plan.channel, &event, &[], SendFlags::DONTWAIT);
    }
    sys::exit_now(0)
}

fn live(plan: &Plan<'_>) -> Result<(), Event> {
    let Some(assigned) = prepare(plan).map_err(Event::Failed)? else { return Ok(()) };
    let runtime = run_function(plan, assigned)?;
    wait_for_end(plan, runtime).map_err(Event::Failed)
}

/// Up to the assignment; none where the spawner went before.
fn prepare(plan: &Plan<'_>) -> Done<Option<Assigned>> {
    privileges::die_with_spawner(&plan.orders)?;
    let own = [plan.channel.as_raw_fd(), plan.orders.as_raw_fd()];
    let mut keep = own.to_vec();
    keep.extend(plan.attach.iter().map(AsRawFd::as_raw_fd).chain([plan.tmp_folder.as_raw_fd()]));
    keep.extend(plan.connection.iter().map(|connection| connection.router().as_raw_fd()));
    sys::close_all_but(&mut keep).during("closing inherited descriptors")?;
    // What the spawner says on standard error is not for here.
    rustix::stdio::dup2_stderr(rustix::stdio::stdin()).during("closing standard error")?;
    let volume = make::make(plan)?;
    let Some((Order::Start, fds)) = next_order(plan)? else { return Ok(None) };
    start(plan, fds, volume)?;
    // Nothing that only making needed goes on to where a function runs.
    sys::close_all_but(&mut own.to_vec()).during("closing descriptors")?;
    let Some((Order::Assign { memory_mb }, fds)) = next_order(plan)? else { return Ok(None) };
    let (fds, layers) = layers_apart(fds);
    let [code, output, args] = exactly(fds).ok_or_else(|| unexpected("an assignment without its 3 descriptors"))?;
    Ok(Some(Assigned { memory_mb, code, layers, output, args }))
}

/// What the function is made from.
struct Assigned {
    memory_mb: u32,
    code: OwnedFd,
    layers: Option<OwnedFd>,
    output: OwnedFd,
    args: OwnedFd,
}

/// Takes the fourth descriptor away, where there is one.
fn layers_apart(mut fds: Vec<OwnedFd>) -> (Vec<OwnedFd>, Option<OwnedFd>) {
    let layers = if fds.len() > 3 { fds.pop() } else { None };
    (fds, layers)
}

fn start(plan: &Plan<'_>, fds: Vec<OwnedFd>, volume: Volume) -> Done {
    let [root] = exactly(fds).ok_or_else(|| unexpected("a start without exactly a root"))?;
    mounts::enter_root(&root)?;
    mounts::mount_proc()?;
    mounts::attach(&volume.mount, "/tmp")?;
    tell_server(plan, &Event::Started)
}

fn run_function(plan: &Plan<'_>, assigned: Assigned) -> Result<Pid, Event> {
    let Assigned { memory_mb, code, layers, output, args } = assigned;
    mounts::attach(&code, "/var/task").map_err(Event::Failed)?;
    if let Some(layers) = &layers {
        mounts::attach(layers, "/opt").map_err(Event::Failed)?;
    }
    drop((code, layers));
    let runtime = child::Launch { plan, memory_mb, output, args }.run()?;
    tell_server(plan, &Event::Running).and_then(|()| plan.filters.confine_init()).map_err(Event::Failed)?;
    Ok(runtime)
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
