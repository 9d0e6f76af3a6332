//! Starting the spawner: this binary once more, from a sealed copy in memory.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::ops::RangeInclusive;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::fs::MemfdFlags;
use rustix::net::{RecvFlags, SendFlags};
use serde::{Deserialize, Serialize};

#[cfg(doc)]
use hearth_types::limits::NETWORK_MBIT_MAX;
use hearth_types::limits::{NETWORK_MBIT, POOL_LEAST, POOL_MAX, TMP_THROUGHPUT_MB};
use hearth_types::rootfs::RootPlan;

use crate::args::{seal, sealed};
use crate::channel::{self, Received};
use crate::error::{Done, During, Failure, SandboxError};
use crate::frame::{Answer, Request};
use crate::jail::Reader;
use crate::promise::{Broken, Promise, Unkept};
use crate::{rootless, spawner, sys};

/// The name under which the spawner runs; no path of a program.
const SPAWNER: &str = "hearth-spawner";
/// The name under which it makes the copy of this program that it runs from.
const COPIER: &str = "hearth-spawner-copier";

/// First of the host's user ids that environments use, unless told otherwise. By systemd's conventions nobody gives
/// out ids from here to 2^31.
pub const UID_BASE: u32 = 0x7000_0000;

/// What functions can reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum NetworkMode {
    /// The loopback interface of their own environment, nothing else.
    #[default]
    None,
    /// That, and the outside by the machine's default routes, behind its address. Not the machine itself, nor what is
    /// behind its other links, nor another environment.
    Nat,
}

/// What gives the spawner the right to make environments.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Authority {
    /// The machine's root.
    #[default]
    Root,
    /// Root of a user namespace (see [`crate::enter_user_namespace`]) of an ordinary user, to whom a control group is
    /// delegated. There is no NAT, and /tmp is in memory, where it counts against the function's limit.
    UserNamespace,
}

/// How the spawner works.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SpawnerConfig {
    /// The data folder, absolute. Packages lie unpacked below its `code/`.
    pub data_dir: PathBuf,
    /// A folder of no other spawner's: the disks behind `/tmp` lie below its `tmp/`. The data folder, or one in it.
    pub own_dir: PathBuf,
    /// The runtimes' roots, for [`start_spawner`]; a sandbox is started with an index into them.
    #[serde(skip)]
    pub roots: Vec<RootPlan>,
    /// By what right.
    pub authority: Authority,
    /// First of the user ids for environments, as the spawner's user namespace has them; two for each of at most [`hearth_types::limits::SANDBOXES`].
    pub uid_base: u32,
    /// Sandboxes made ahead: so many at least, and at most where the largest burst lately took as many.
    pub pool: RangeInclusive<usize>,
    /// What functions can reach.
    pub network: NetworkMode,
    /// How fast functions may be.
    pub throughput: Throughput,
    /// Whether processes inside find somebody who takes segments of traces, as X-Ray's daemon does.
    pub segments: bool,
}

/// What one environment gets at most, in each direction; none is as much as there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Throughput {
    /// Megabits a second to and from the outside, at most [`NETWORK_MBIT_MAX`].
    pub network_mbit: Option<u32>,
    /// MB a second to and from the disk behind /tmp.
    pub tmp_mb: Option<u32>,
}

impl Default for Throughput {
    fn default() -> Self {
        Self { network_mbit: Some(NETWORK_MBIT), tmp_mb: Some(TMP_THROUGHPUT_MB) }
    }
}

impl SpawnerConfig {
    /// The usual: user ids from [`UID_BASE`], two sandboxes made ahead; by the right of root.
    #[must_use]
    pub fn new(data_dir: PathBuf, roots: Vec<RootPlan>) -> Self {
        let network = NetworkMode::None;
        Self {
            own_dir: data_dir.clone(),
            data_dir,
            roots,
            authority: Authority::Root,
            uid_base: UID_BASE,
            pool: POOL_LEAST..=POOL_MAX,
            network,
            throughput: Throughput::default(),
            segments: false,
        }
    }

    /// By this right, with the user ids that come with it.
    #[must_use]
    pub fn by(self, authority: Authority) -> Self {
        let uid_base = match authority {
            Authority::Root => UID_BASE,
            Authority::UserNamespace => rootless::UID_BASE,
        };
        Self { authority, uid_base, ..self }
    }
}

/// A running spawner that nobody talks with yet.
#[derive(Debug)]
pub struct SpawnerConnection {
    pub(crate) control: OwnedFd,
    pub(crate) process: Child,
    pub(crate) cgroup_v2: bool,
    pub(crate) authority: Authority,
    pub(crate) broken: Vec<Broken>,
}

impl SpawnerConnection {
    /// Whether control groups are v2 alone (else v1 with a v2 hierarchy beside it).
    #[must_use]
    pub fn cgroup_v2(&self) -> bool {
        self.cgroup_v2
    }

    /// By what right it works.
    #[must_use]
    pub fn authority(&self) -> Authority {
        self.authority
    }

    /// What is promised elsewhere and not kept here.
    #[must_use]
    pub fn broken(&self) -> &[Broken] {
        &self.broken
    }

    /// Does without what could be kept, and says why.
    pub fn give_up(&mut self, promise: Promise, why: &str) {
        self.broken.push(Broken { promise, why: SandboxError::Invalid(why.to_owned()) });
    }

    /// Ends it, and returns once nothing of it is left.
    pub fn end(self) {
        let Self { control, mut process, .. } = self;
        drop(control);
        // Who else could have waited for it?
        let _ = process.wait();
    }

    /// The spawner's process id.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }
}

/// First statement of `main`: where this process was started as the spawner, runs it and never returns. `reader` is what
/// reads archives in a jail, for [`crate::Spawner::read_archive`].
pub fn run_if_spawner(reader: Option<Reader>) {
    let args: Vec<OsString> = std::env::args_os().collect();
    let [name, control, config] = args.as_slice() else { return };
    let number = |arg: &OsString| arg.to_str().and_then(|text| text.parse().ok()).unwrap_or(-1);
    if name == COPIER {
        run_from_copy(number(control), number(config));
    }
    if name != SPAWNER {
        return;
    }
    // A panic must not unwind through state that forked processes share.
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("{SPAWNER}: {panic}");
        std::process::abort();
    }));
    match take_over(number(control), number(config)) {
        Ok((config, control)) => spawner::run(config, control, reader),
        Err(failure) => {
            eprintln!("{SPAWNER} cannot be started by hand ({}: error {})", failure.what, failure.errno);
            sys::exit_now(1)
        }
    }
}

fn take_over(control: i32, config: i32) -> Done<(SpawnerConfig, OwnedFd)> {
    sys::close_all_but(&mut [control, config]).during("closing inherited descriptors")?;
    let control = sys::inherited(control).during("taking the control socket over")?;
    let config = sys::inherited(config).during("taking the configuration over")?;
    let config = io::read_to_string(File::from(config)).during("reading the configuration")?;
    let config =
        serde_json::from_str(&config).map_err(|error| Failure::new(libc::EINVAL, format!("configuration: {error}")))?;
    Ok((config, control))
}

/// Starts the spawner and waits until it is ready, see [`begin_spawner`].
///
/// # Errors
/// Says which part of the machine is missing: a cgroup controller, mkfs.ext4, loop devices, a right of root.
pub fn start_spawner(config: &SpawnerConfig) -> Result<SpawnerConnection, SandboxError> {
    begin_spawner(config)?.finish(&config.roots)
}

/// Starts the spawner and does not wait for it: it looks at the machine while its caller finds out what roots there are.
/// Needs root, or to be root of a user namespace, and a process of one thread: nothing else may fork while descriptors are
/// handed over.
///
/// # Errors
/// The system's.
pub fn begin_spawner(config: &SpawnerConfig) -> Result<StartingSpawner, SandboxError> {
    if !config.data_dir.is_absolute() {
        return Err(SandboxError::Invalid(format!("data folder {}: not an absolute path", config.data_dir.display())));
    }
    let (control, spawners) = channel::pair().during("making the control socket")?;
    let text = serde_json::to_vec(config)
        .map_err(|error| SandboxError::Invalid(format!("configuration of the spawner: {error}")))?;
    let text = sealed("hearth-config", &text).during("writing the spawner's configuration")?;
    let handed_over = [spawners.as_raw_fd(), text.as_raw_fd()];
    let mut command = Command::new(THIS_PROGRAM);
    command.arg0(COPIER).args(handed_over.map(|fd| fd.to_string()));
    command.env_clear().current_dir("/").stdin(Stdio::null()).stdout(Stdio::null());
    #[cfg(feature = "weaken")]
    crate::weaken::hand_over(&mut command)?;
    sys::hand_over(&mut command, handed_over);
    let process = command.spawn().during("starting the spawner")?;
    Ok(StartingSpawner { control, process, authority: config.authority })
}

/// A spawner that is on its way, and knows no roots yet. Dropped, it ends.
#[derive(Debug)]
pub struct StartingSpawner {
    control: OwnedFd,
    process: Child,
    authority: Authority,
}

impl StartingSpawner {
    /// Gives it the runtimes' roots and waits until it is ready.
    ///
    /// # Errors
    /// As [`start_spawner`].
    pub fn finish(self, roots: &[RootPlan]) -> Result<SpawnerConnection, SandboxError> {
        let Self { control, mut process, authority } = self;
        let roots =
            serde_json::to_vec(roots).map_err(|error| SandboxError::Invalid(format!("roots of runtimes: {error}")))?;
        let roots = sealed("hearth-roots", &roots).during("writing the runtimes' roots")?;
        match channel::send(&control, &Request::Roots, &[roots.as_fd()], SendFlags::empty()) {
            // It has ended, and has said why.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            sent => sent.during("sending the runtimes' roots")?,
        }
        let mut broken = Vec::new();
        let last = loop {
            match channel::receive(&control, RecvFlags::empty()).during("waiting for the spawner")? {
                Received::Frame(Answer::Unkept { promise, failure }, _) => {
                    broken.push(Unkept { promise, failure }.into());
                }
                other => break other,
            }
        };
        match last {
            Received::Frame(Answer::Hello { cgroup_v2 }, _) => {
                Ok(SpawnerConnection { control, process, cgroup_v2, authority, broken })
            }
            Received::Frame(Answer::Failed { failure, .. }, _) => {
                process.wait().during("waiting for the spawner's end")?;
                Err(failure.into())
            }
            Received::Frame(..) | Received::Closed => {
                process.kill().and_then(|()| process.wait()).during("waiting for the spawner's end")?;
                Err(SandboxError::SpawnerGone)
            }
        }
    }
}

/// The file that this process runs from, whatever its path is by now.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// Goes on as the spawner, from a copy.
fn run_from_copy(control: RawFd, config: RawFd) -> ! {
    let what = "copying this program into memory";
    let started: Done = copy_of_this_program().during(what).and_then(|program| {
        // Both descriptors are still for whoever this process becomes.
        let arguments = [control, config].map(|fd| fd.to_string());
        Err(Command::new(sys::fd_path(&program)).arg0(SPAWNER).args(arguments).exec()).during("starting the copy")
    });
    if let (Err(failure), Ok(control)) = (started, sys::inherited(control)) {
        let _ = channel::send(&control, &Answer::Failed { id: 0, failure }, &[], SendFlags::empty());
    }
    sys::exit_now(1)
}

/// The running program, where no one can change it and a function that gets hold of it finds nothing to write to.
fn copy_of_this_program() -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut copy = File::from(rustix::fs::memfd_create(SPAWNER, flags)?);
    io::copy(&mut File::open(THIS_PROGRAM)?, &mut copy)?;
    seal(copy)
}
