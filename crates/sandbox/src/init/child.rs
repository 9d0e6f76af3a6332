//! The processes that become a function's: its runtime, and programs beside it.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use hearth_types::limits;
use rustix::fs::{Access, CWD, Mode, OFlags};
use rustix::net::{RecvFlags, SendFlags};
use rustix::process::{Pid, Resource, Rlimit};

use super::Plan;
use crate::args::ExecArgs;
use crate::channel::{self, Received};
use crate::error::{Done, During, Failure, NO_INTERPRETER};
use crate::frame::{Event, Order};
use crate::privileges;
use crate::since::Since;
use crate::snapshot;
use crate::sys::{self, Fork};
use crate::weaken::{self, Defence};

/// The user and group a function sees itself as (Lambda: `sbx_user1051`; the numbers are recorded).
const INSIDE_UID: u32 = 993;
const INSIDE_GID: u32 = 990;

/// Functions go before anything else of the machine when memory is short, and before their own init.
const OOM_SCORE_ADJ: &str = "500";

/// The file system of pipes without names.
const PIPEFS: libc::c_long = 0x5049_5045;

/// A core size limit of 1 byte is how the kernel is told not to start the host's dump program.
const NO_PIPED_CORE: u64 = 1;

/// The descriptor at which a program that is started ahead says that it waits, and is told of its function. Above all that
/// a program opens at its start, so that its own have their usual numbers; up to this one the kernel's table does not grow.
const ASSIGNMENT: RawFd = 63;

/// What a process is made from.
pub(super) struct Launch<'a> {
    pub(super) plan: &'a Plan<'a>,
    pub(super) memory_mb: u32,
    pub(super) output: &'a OwnedFd,
    /// None where they come with the word.
    pub(super) args: Option<&'a OwnedFd>,
    pub(super) task: Task<'a>,
}

/// What a process is for.
#[derive(Clone, Copy)]
pub(super) enum Task<'a> {
    /// A function's runtime.
    Runtime,
    /// A function's runtime that a [`Self::Writer`] may look into.
    Template,
    /// A function's runtime as this file has it, which it finds as [`snapshot::IMAGE`].
    Restored { image: &'a OwnedFd },
    /// Writes a template's snapshot into this file, as a process of the same user, and shares its user namespace.
    Writer { image: &'a OwnedFd, runtime: &'a OwnedFd },
    /// A runtime that waits for its function: what it finds as [`ASSIGNMENT`].
    Ahead { hear: &'a OwnedFd },
    /// A function's runtime of which nothing is known yet.
    Held,
    /// The program with this number, each an argument, beside a runtime, whose user namespace it is to share.
    Beside { number: usize, runtime: &'a OwnedFd },
}

impl<'a> Task<'a> {
    /// The runtime whose user namespace it shares.
    fn shares_with(self) -> Option<&'a OwnedFd> {
        match self {
            Self::Beside { runtime, .. } | Self::Writer { runtime, .. } => Some(runtime),
            Self::Runtime | Self::Template | Self::Restored { .. } | Self::Ahead { .. } | Self::Held => None,
        }
    }
}

/// A process of the function.
pub(super) struct Running {
    pub(super) pid: Pid,
    /// Names it for the spawner.
    pub(super) pidfd: OwnedFd,
    /// When it was given its word.
    pub(super) since: Since,
}

/// A process that waits for this one's word before it becomes a customer's.
pub(super) struct Held {
    pid: Pid,
    pidfd: OwnedFd,
    pub(super) word: OwnedFd,
}

/// When init gives up its privileges.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Harmless {
    /// Before the new process may go on.
    First,
    /// Before a customer's code comes: the program is not of one.
    Later,
}

impl Launch<'_> {
    /// Starts the runtime; the new process waits until init is harmless, where that is to come first. Returns once the
    /// runtime's program runs.
    pub(super) fn run(self, harmless: Harmless) -> Result<Running, Event> {
        let plan = self.plan;
        let held = self.hold().map_err(Event::Failed)?;
        weaken::stand_still();
        if harmless == Harmless::First {
            become_harmless(plan).map_err(Event::Failed)?;
        }
        held.go(None)
    }

    /// Makes the process; it waits for its word.
    pub(super) fn hold(self) -> Done<Held> {
        self.hand_output_over().during("handing the output over")?;
        let (ours, childs) = channel::pair().during("making a socket pair")?;
        let shares = self.task.shares_with().is_some() || weaken::is_off(Defence::User);
        let user = if shares { 0 } else { libc::CLONE_NEWUSER };
        let (pid, pidfd) = match sys::fork(user, None).during("cloning into a user namespace")? {
            Fork::Child => {
                drop(ours);
                self.become_program(&childs)
            }
            Fork::Parent { pid, pidfd } => (pid, pidfd),
        };
        drop(childs);
        self.map_ids(pid)?;
        if matches!(self.task, Task::Held) {
            let what = "letting a process prepare itself";
            channel::send(&ours, &Order::Launch, &[], SendFlags::empty()).during(what)?;
        }
        Ok(Held { pid, pidfd, word: ours })
    }

    /// The function may open its output by name (/dev/stdout), which asks for the owner of the pipe. The server, which
    /// sent the descriptor, is not trusted with root's right to give things away: a pipe without a name it is, or it
    /// stays whose it was.
    fn hand_output_over(&self) -> rustix::io::Result<()> {
        if rustix::fs::fstatfs(self.output)?.f_type != PIPEFS {
            return Ok(());
        }
        let owner = rustix::fs::Uid::from_raw(self.plan.ids.function);
        rustix::fs::fchown(self.output, Some(owner), None)
    }

    /// One user and one group inside, each a number of its own outside.
    fn map_ids(&self, pid: Pid) -> Done {
        let outside = self.plan.ids.function;
        let write = |file: &str, text: String| {
            let path = format!("/proc/{}/{file}", pid.as_raw_nonzero());
            std::fs::write(&path, text).during(format_args!("writing {path}"))
        };
        if weaken::is_off(Defence::User) || self.task.shares_with().is_some() {
            return write("oom_score_adj", OOM_SCORE_ADJ.to_owned());
        }
        write("uid_map", format!("{INSIDE_UID} {outside} 1"))?;
        write("setgroups", "deny".to_owned())?;
        write("gid_map", format!("{INSIDE_GID} {outside} 1"))?;
        write("oom_score_adj", OOM_SCORE_ADJ.to_owned())
    }

    fn become_program(self, parent: &OwnedFd) -> ! {
        let event = match self.task {
            Task::Writer { image, .. } => match self.become_writer(parent, image) {
                Ok(bytes) => Event::Written { bytes },
                Err(failure) => Event::NotWritten(failure),
            },
            _ => match self.confine(parent) {
                Ok(args) => execute(args),
                Err(failure) => Event::Failed(failure),
            },
        };
        let _ = channel::send(parent, &event, &[], SendFlags::empty());
        sys::exit_now(1)
    }

    /// All that comes before the program. What does not need to be the function's user is done while init still maps ids
    /// and gives up its privileges.
    fn confine(&self, parent: &OwnedFd) -> Done<ExecArgs> {
        let given = self.become_users(parent)?;
        let file = self.args.or(given.first());
        let file = file.ok_or_else(|| Failure::new(libc::EINVAL, "running a program that nothing is said of"))?;
        let mut args = ExecArgs::open(file).during("reading the arguments")?;
        if let Task::Beside { number, .. } = self.task {
            let program = args.argv.get(number).cloned();
            args.argv = vec![program.ok_or_else(|| Failure::new(libc::EINVAL, "running a program that is not named"))?];
        }
        rustix::process::chdir(&args.cwd).during(format_args!("entering {}", args.cwd.to_string_lossy()))?;
        if !matches!(self.task, Task::Held) {
            self.close_and_filter()?;
        }
        Ok(args)
    }

    /// All that can come before anything is known of the function. What is left to do after it, a function may do.
    fn lower_itself(&self) -> Done {
        become_function()?;
        self.close_and_filter()
    }

    fn close_and_filter(&self) -> Done {
        if !weaken::is_off(Defence::Descriptors) {
            sys::close_all_on_exec().during("closing descriptors")?;
        }
        match self.task {
            Task::Ahead { hear } => sys::inherit_as(hear.as_fd(), ASSIGNMENT).during("handing a pipe over")?,
            Task::Restored { image } => {
                sys::inherit_as(image.as_fd(), snapshot::IMAGE).during("handing a snapshot over")?;
            }
            Task::Template => sys::be_traced_by_same_user(),
            Task::Runtime | Task::Held | Task::Beside { .. } | Task::Writer { .. } => {}
        }
        if !weaken::is_off(Defence::SystemCalls) {
            self.plan.filters.confine_function()?;
        }
        Ok(())
    }

    /// Up to the moment that it is the function's user, which its parent waits for; what that has sent with its word.
    fn become_users(&self, parent: &OwnedFd) -> Done<Vec<OwnedFd>> {
        self.set_stdio()?;
        rustix::process::setsid().during("making a session")?;
        rustix::process::umask(Mode::from_raw_mode(0o022));
        sys::reset_signals();
        self.set_limits()?;
        if !weaken::is_off(Defence::User) {
            if let Some(runtime) = self.task.shares_with() {
                sys::join_user_namespace(runtime.as_fd()).during("entering the runtime's user namespace")?;
            }
            privileges::drop_bounding_set()?;
        }
        if matches!(self.task, Task::Held) {
            wait_for(parent, &Order::Launch)?;
            self.lower_itself()?;
        }
        let given = if weaken::is_off(Defence::Word) && self.args.is_some() {
            Vec::new()
        } else {
            wait_for(parent, &Order::Start)?
        };
        if !matches!(self.task, Task::Held) {
            become_function()?;
        }
        Ok(given)
    }

    /// It executes nothing: what it has beyond its task goes, and the function must not look into it.
    fn become_writer(&self, parent: &OwnedFd, image: &OwnedFd) -> Done<u64> {
        self.become_users(parent)?;
        sys::close_all_but(&mut [parent.as_raw_fd(), image.as_raw_fd()]).during("closing descriptors")?;
        let undumpable = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
        undumpable.during("making a writer undumpable")?;
        if !weaken::is_off(Defence::SystemCalls) {
            self.plan.filters.confine_writer()?;
        }
        snapshot::write(image)
    }

    fn set_stdio(&self) -> Done {
        let null = rustix::fs::openat(CWD, "/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
            .during("opening /dev/null")?;
        rustix::stdio::dup2_stdin(null.as_fd())
            .and_then(|()| rustix::stdio::dup2_stdout(self.output))
            .and_then(|()| rustix::stdio::dup2_stderr(self.output))
            .during("setting standard input and output")
    }

    /// Limits as recorded on Lambda, where this process may set them: raising a hard one needs a right of the machine's
    /// root that a container's root may lack.
    fn set_limits(&self) -> Done {
        if weaken::is_off(Defence::Limits) {
            return Ok(());
        }
        let both = |value| (Some(value), Some(value));
        let core = if self.plan.cores_piped { NO_PIPED_CORE } else { limits::ENVIRONMENT_RLIMIT_CORE };
        let wanted = [
            (Resource::Nofile, both(limits::ENVIRONMENT_FILES)),
            (Resource::Nproc, (nproc_limit(self.memory_mb), nproc_limit(self.memory_mb))),
            (Resource::Core, both(core)),
            (Resource::Memlock, both(limits::ENVIRONMENT_RLIMIT_MEMLOCK)),
            (Resource::Stack, (Some(limits::ENVIRONMENT_RLIMIT_STACK), None)),
            (Resource::As, (None, None)),
            (Resource::Cpu, (None, None)),
            (Resource::Data, (None, None)),
            (Resource::Fsize, (None, None)),
            (Resource::Rss, (None, None)),
        ];
        for (resource, (current, maximum)) in wanted {
            let ceiling = rustix::process::getrlimit(resource).maximum;
            let limit = Rlimit { current: lower(current, ceiling), maximum: lower(maximum, ceiling) };
            rustix::process::setrlimit(resource, limit).during(format_args!("setting the limit {resource:?}"))?;
        }
        Ok(())
    }
}

/// Waits for a word of init's, and returns what came with it.
fn wait_for(parent: &OwnedFd, word: &Order) -> Done<Vec<OwnedFd>> {
    match channel::receive::<Order>(parent, RecvFlags::empty()).during("waiting for init")? {
        Received::Frame(order, fds) if order == *word => Ok(fds),
        _ => Err(Failure::new(libc::EPIPE, "init died")),
    }
}

impl Held {
    /// Gives the word, with the arguments where it has none yet; returns once the program runs.
    pub(super) fn go(self, args: Option<OwnedFd>) -> Result<Running, Event> {
        let Self { pid, pidfd, word } = self;
        let since = Since::now();
        let fds: Vec<_> = args.iter().map(AsFd::as_fd).collect();
        let given = channel::send(&word, &Order::Start, &fds, SendFlags::empty()).during("letting a process go");
        given.map_err(Event::Failed)?;
        // Its end closes when the program replaces it; until then it may say what is wrong.
        match channel::receive(&word, RecvFlags::empty()).during("waiting for a process") {
            Ok(Received::Closed) => Ok(Running { pid, pidfd, since }),
            Ok(Received::Frame(event, _)) => Err(event),
            Err(failure) => Err(Event::Failed(failure)),
        }
    }

    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    pub(super) fn pidfd(&self) -> &OwnedFd {
        &self.pidfd
    }
}

/// This process gives up all that it could do, before a customer's goes.
pub(super) fn become_harmless(plan: &Plan<'_>) -> Done {
    privileges::drop_bounding_set()?;
    become_harmless_at_last(plan)
}

/// The same where the bounding set is empty already, which takes nothing that this process may do now.
pub(super) fn become_harmless_at_last(plan: &Plan<'_>) -> Done {
    privileges::become_user_for_good(plan.ids.init)?;
    privileges::die_with_spawner(&plan.orders)
}

/// The limit of a function's tasks, no higher than what this process may give.
pub(super) fn nproc_limit(memory_mb: u32) -> Option<u64> {
    let wanted = Some(limits::environment_rlimit_nproc(memory_mb)).filter(|_| !weaken::is_off(Defence::Tasks));
    lower(wanted, rustix::process::getrlimit(Resource::Nproc).maximum)
}

fn become_function() -> Done {
    let what = "becoming the function's user";
    if weaken::is_off(Defence::User) {
        return Ok(());
    }
    let (uid, gid) = (rustix::thread::Uid::from_raw(INSIDE_UID), rustix::thread::Gid::from_raw(INSIDE_GID));
    rustix::thread::set_thread_res_gid(gid, gid, gid).during(what)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).during(what)?;
    privileges::drop_capabilities()?;
    if weaken::is_off(Defence::NewPrivileges) {
        return Ok(());
    }
    rustix::thread::set_no_new_privs(true).during("setting no_new_privs")
}

/// Becomes the program; returns only where it cannot.
fn execute(mut args: ExecArgs) -> Event {
    let mut error = sys::exec(&args.argv[0], &args.argv, &args.env);
    let is_there = |program: &CString| rustix::fs::access(program.as_c_str(), Access::EXISTS).is_ok();
    if let Some(otherwise) = args.otherwise.take_if(|_| !is_there(&args.argv[0])) {
        let other_error = sys::exec(&otherwise, std::slice::from_ref(&otherwise), &args.env);
        // Where neither is there, the first one's path says it.
        if is_there(&otherwise) {
            (args.argv[0], error) = (otherwise, other_error);
        }
    }
    let errno = match error.raw_os_error() {
        Some(libc::ENOENT) if is_there(&args.argv[0]) => NO_INTERPRETER,
        errno => errno.unwrap_or(libc::EIO),
    };
    Event::NotExecutable(Failure::new(errno, args.argv[0].to_string_lossy()))
}

/// The lower of two limits; none is unlimited.
fn lower(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::lower;

    #[test]
    fn unlimited_is_the_highest() {
        assert_eq!(lower(None, Some(1)), Some(1));
        assert_eq!(lower(Some(2), Some(1)), Some(1));
        assert_eq!(lower(Some(1), None), Some(1));
        assert_eq!(lower(None, None), None);
    }
}
