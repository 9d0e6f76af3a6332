//! PID 1 of an environment: the forked spawner going on. It prepares the sandbox as root, starts the function's
//! process, and from then on is a process without any privilege that waits for that one to end.

mod ahead;
mod child;
mod make;
pub(crate) mod mounts;
mod programs;

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::net::{RecvFlags, SendFlags};
use rustix::process::{Pid, WaitOptions};

use self::ahead::Waiting;
use self::child::{Harmless, Launch, Task};
use self::programs::{Beside, Programs, exit_of};
use crate::channel::{self, Received, exactly};
use crate::error::{Done, During, Failure};
use crate::frame::{Event, Order, Role};
use crate::network::Connection;
use crate::process::Process;
use crate::seccomp::Filters;
use crate::since::Since;
use crate::spawner::root::EMPTY_DIRECTORY;
use crate::weaken::{self, Defence};
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
    /// A new one of so many MB, on a disk.
    New { mb: u32 },
    /// The one on this loop device.
    Join { loop_number: u32 },
    /// This mount, attached nowhere yet, of one that the spawner has.
    Made(OwnedFd),
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
    /// Whether somebody is to take segments of traces.
    pub(crate) segments: bool,
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
    if !prepare(plan).map_err(Event::Failed)? {
        return Ok(());
    }
    let Some(programs) = run_programs(plan)? else { return Ok(()) };
    tell_server(plan, &Event::Running { since: programs.since() })
        .and_then(|()| plan.filters.confine_init())
        .map_err(Event::Failed)?;
    programs.watch_over(plan).map_err(Event::Failed)
}

/// Makes and starts. False where the spawner went before.
fn prepare(plan: &Plan<'_>) -> Done<bool> {
    privileges::die_with_spawner(&plan.orders)?;
    let own = [plan.channel.as_raw_fd(), plan.orders.as_raw_fd()];
    let mut keep = own.to_vec();
    keep.extend(plan.attach.iter().map(AsRawFd::as_raw_fd).chain([plan.tmp_folder.as_raw_fd()]));
    if let TmpPlan::Made(mount) = &plan.tmp {
        keep.push(mount.as_raw_fd());
    }
    keep.extend(plan.connection.iter().map(|connection| connection.router().as_raw_fd()));
    sys::close_all_but(&mut keep).during("closing inherited descriptors")?;
    // What the spawner says on standard error is not for here.
    rustix::stdio::dup2_stderr(rustix::stdio::stdin()).during("closing standard error")?;
    let made = make::make(plan)?;
    let Some((Order::Start, fds)) = next_order(plan)? else { return Ok(false) };
    start(plan, fds, made)?;
    // Nothing that only making needed goes on to where a function runs.
    if !weaken::is_off(Defence::Descriptors) {
        sys::close_all_but(&mut own.to_vec()).during("closing descriptors")?;
    }
    Ok(true)
}

fn start(plan: &Plan<'_>, fds: Vec<OwnedFd>, made: make::Made) -> Done {
    let [root] = exactly(fds).ok_or_else(|| unexpected("a start without exactly a root"))?;
    let host = weaken::host()?;
    mounts::enter_root(&root)?;
    made.dev.as_ref().map_or(Ok(()), |dev| mounts::attach(dev, "/dev"))?;
    mounts::attach_proc(&made.proc)?;
    mounts::attach(&made.tmp, "/tmp")?;
    host.as_ref().map_or(Ok(()), weaken::let_in)?;
    tell_server(plan, &Event::Started)
}

/// Up to the moment that the function's programs run and this process can do nothing any more. None where the spawner
/// went before.
fn run_programs(plan: &Plan<'_>) -> Result<Option<Programs>, Event> {
    match next_order(plan).map_err(Event::Failed)? {
        Some((Order::Assign { memory_mb, role: Role::Template, .. }, fds)) => {
            let ([code, output, args, image], layers) = apart(fds).map_err(Event::Failed)?;
            mount(code, layers).map_err(Event::Failed)?;
            let launch = Launch { plan, memory_mb, output: &output, args: Some(&args), task: Task::Template };
            Programs::template(launch, &image).map(Some)
        }
        Some((Order::Assign { memory_mb, role: Role::Interpreter, .. }, fds)) => {
            let without = || Event::Failed(unexpected("an interpreter without its descriptors"));
            let [output, args, image] = exactly(fds).ok_or_else(without)?;
            let launch = Launch { plan, memory_mb, output: &output, args: Some(&args), task: Task::Template };
            Programs::template(launch, &image).map(Some)
        }
        Some((Order::Assign { memory_mb, role: Role::Restored, .. }, fds)) => {
            let ([code, output, args, image], layers) = apart(fds).map_err(Event::Failed)?;
            mount(code, layers).map_err(Event::Failed)?;
            let task = Task::Restored { image: &image };
            let launch = Launch { plan, memory_mb, output: &output, args: Some(&args), task };
            Programs::alone(launch.run(Harmless::First)?).map(Some).map_err(Event::Failed)
        }
        Some((Order::Assign { memory_mb, beside: 0, .. }, fds)) => {
            let ([code, output, args], layers) = apart(fds).map_err(Event::Failed)?;
            mount(code, layers).map_err(Event::Failed)?;
            let launch = Launch { plan, memory_mb, output: &output, args: Some(&args), task: Task::Runtime };
            Programs::alone(launch.run(Harmless::First)?).map(Some).map_err(Event::Failed)
        }
        Some((Order::Assign { memory_mb, beside, .. }, fds)) => {
            let ([code, output, args, beside_output, beside_args], layers) = apart(fds).map_err(Event::Failed)?;
            mount(code, layers).map_err(Event::Failed)?;
            let beside = Beside { count: beside as usize, output: beside_output, args: beside_args };
            let launch = Launch { plan, memory_mb, output: &output, args: Some(&args), task: Task::Runtime };
            Programs::start(launch, &beside).map(Some)
        }
        Some((Order::Launch, fds)) => run_ahead(plan, fds),
        _ => Ok(None),
    }
}

/// Has a process wait for its function: a program or, where nothing is said of one, what will become the function's. Until
/// then nothing of any customer is in here; so this process may keep its privileges, which mounting the code takes.
fn run_ahead(plan: &Plan<'_>, mut fds: Vec<OwnedFd>) -> Result<Option<Programs>, Event> {
    let args = if fds.len() > 1 { fds.pop() } else { None };
    let [output] = exactly(fds).ok_or_else(|| Event::Failed(unexpected("a launch without its descriptors")))?;
    let waiting = match args {
        Some(args) => Waiting::launch(plan, output, args)?,
        None => Waiting::hold(plan, &output).map_err(Event::Failed)?,
    };
    tell_server(plan, &Event::Running { since: Since::now() }).map_err(Event::Failed)?;
    if !waiting.waits_for_order(plan).map_err(Event::Failed)? {
        return wait_for_end(plan, waiting.pid()).map_err(Event::Failed).map(|()| None);
    }
    let Some((Order::Assign { memory_mb, .. }, fds)) = next_order(plan).map_err(Event::Failed)? else {
        return Ok(None);
    };
    let ([code, told], layers) = apart(fds).map_err(Event::Failed)?;
    mount(code, layers).map_err(Event::Failed)?;
    Programs::alone(waiting.employ(plan, memory_mb, told)?).map(Some).map_err(Event::Failed)
}

/// The descriptors of an assignment, and the mount of layers where there is one more.
fn apart<const N: usize>(mut fds: Vec<OwnedFd>) -> Done<([OwnedFd; N], Option<OwnedFd>)> {
    let layers = if fds.len() > N { fds.pop() } else { None };
    let fds = exactly(fds).ok_or_else(|| unexpected("an assignment without its descriptors"))?;
    Ok((fds, layers))
}

fn mount(code: OwnedFd, layers: Option<OwnedFd>) -> Done {
    mounts::attach(&code, "/var/task")?;
    match layers {
        Some(layers) => mounts::attach(&layers, "/opt"),
        None if weaken::is_off(Defence::Root) => Ok(()),
        // What is below is not for functions.
        None => mounts::cover("/opt", EMPTY_DIRECTORY, "/opt"),
    }
}

/// Reaps until a process that has no function yet has ended, and says how. This process's end takes the others with it.
fn wait_for_end(plan: &Plan<'_>, runtime: Pid) -> Done {
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == runtime => {
                return tell_server(plan, &Event::Exited(Process::Runtime, exit_of(status)));
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
