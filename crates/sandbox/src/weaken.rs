//! Single defences switched off, to show that the tests of hostile functions see: an attack that a defence stops must get
//! through where exactly that one is missing. Only a build with the feature `weaken` can do it, which no release has; in all
//! others [`is_off`] is `false` at compile time.

use std::os::fd::{AsFd, OwnedFd, RawFd};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::OpenTreeFlags;

use crate::error::{Done, During};
use crate::init::mounts;
use crate::sys;

/// Where the host's root is left open.
const LEFT_OPEN: RawFd = 62;

/// A defence that such a build can leave out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "weaken", derive(serde::Deserialize))]
#[cfg_attr(feature = "weaken", serde(rename_all = "kebab-case"))]
pub(crate) enum Defence {
    /// The function's system call filter.
    SystemCalls,
    /// The function's user: without it the function is the machine's root with every capability.
    User,
    /// `no_new_privs`. The kernel wants it, or root, for a filter.
    NewPrivileges,
    /// Code and the composed root are read-only; the host's own files stay so in any case.
    ReadOnly,
    /// `nosuid` and `nodev` of /tmp.
    TmpFlags,
    /// What is laid over files of /proc.
    Masks,
    /// `hidepid` of /proc.
    HiddenProcesses,
    /// The PID namespace.
    PidNamespace,
    /// The network namespace.
    NetworkNamespace,
    /// The IPC namespace.
    IpcNamespace,
    /// The UTS namespace.
    UtsNamespace,
    /// The root holds nothing of the host but the runtime: without it the host's root hangs at /opt.
    Root,
    /// Only harmless devices: without it all of the host's are there.
    Devices,
    /// No descriptor is inherited: without it the host's root directory is open as 62.
    Descriptors,
    /// The memory limit of the control group.
    Memory,
    /// The task limit of the control group, and that of the process.
    Tasks,
    /// The process's other resource limits.
    Limits,
    /// The share of the CPU.
    Cpu,
    /// An idle environment is frozen.
    Freeze,
    /// Control groups go with their environment.
    Cleanup,
    /// The seals of a snapshot: without them its processes may change what later ones start from.
    Seals,
    /// What is left free of the machine's disk: without it all /tmps together may fill it.
    Room,
    /// A process becomes a program when init says so. The kernel then wants an environment without its own user.
    Word,
    /// Init goes on once it has made the function's process, before it has given up anything; without it, it stands still
    /// there, where no signal from outside would hit it for certain.
    Pace,
}

/// The variable of the server's that names defences to leave out, with commas between them.
#[cfg(feature = "weaken")]
pub(crate) const VARIABLE: &str = "HEARTH_WEAKEN";

/// Whether this defence is left out.
#[cfg(feature = "weaken")]
pub(crate) fn is_off(defence: Defence) -> bool {
    named().is_ok_and(|defences| defences.contains(&defence))
}

/// Whether this defence is left out: never.
#[cfg(not(feature = "weaken"))]
pub(crate) const fn is_off(_: Defence) -> bool {
    false
}

/// The host's files as the spawner sees them.
pub(crate) struct Host {
    root: OwnedFd,
    devices: OwnedFd,
}

/// Where init stands still, if it is to.
pub(crate) fn stand_still() {
    while is_off(Defence::Pace) {
        std::thread::park();
    }
}

/// The host, where something of it is to be left inside; to be taken before it is out of reach.
pub(crate) fn host() -> Done<Option<Host>> {
    if ![Defence::Root, Defence::Devices, Defence::Descriptors].into_iter().any(is_off) {
        return Ok(None);
    }
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let copy = |path| rustix::mount::open_tree(CWD, path, flags).during("copying the host's root");
    Ok(Some(Host { root: copy("/")?, devices: copy("/dev")? }))
}

/// Leaves inside what the defences that are off would keep out.
pub(crate) fn let_in(host: &Host) -> Done {
    let what = "letting the host in";
    if is_off(Defence::Devices) {
        mounts::attach(&host.devices, "/dev")?;
    }
    if is_off(Defence::Descriptors) {
        let root =
            rustix::fs::openat(&host.root, ".", OFlags::DIRECTORY | OFlags::RDONLY, Mode::empty()).during(what)?;
        sys::inherit_as(root.as_fd(), LEFT_OPEN).during(what)?;
    }
    if is_off(Defence::Root) { mounts::attach(&host.root, "/opt") } else { Ok(()) }
}

/// Hands the choice on to the spawner, which starts with no variables.
///
/// # Errors
/// Names what is no defence.
#[cfg(feature = "weaken")]
pub(crate) fn hand_over(command: &mut std::process::Command) -> Result<(), crate::SandboxError> {
    named().map_err(crate::SandboxError::Invalid)?;
    command.envs(std::env::var_os(VARIABLE).map(|names| (VARIABLE, names)));
    Ok(())
}

#[cfg(feature = "weaken")]
fn named() -> Result<Vec<Defence>, String> {
    use serde::Deserialize as _;
    use serde::de::IntoDeserializer as _;
    let names = std::env::var(VARIABLE).unwrap_or_default();
    let parse = |name: &str| {
        let name: serde::de::value::StrDeserializer<'_, serde::de::value::Error> = name.into_deserializer();
        Defence::deserialize(name).map_err(|error| format!("{VARIABLE}: {error}"))
    };
    names.split(',').filter(|name| !name.is_empty()).map(parse).collect()
}
