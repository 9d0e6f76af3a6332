//! The environment's mount namespace: a copy of the runtime's prepared root, with a /proc, a /tmp, the code and the layers
//! of its own. Nothing of the host's mounts was ever in it.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::CWD;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use crate::error::{Done, During};
use crate::spawner::root::EMPTY_DIRECTORY;
use crate::sys;
use crate::weaken::{self, Defence};

/// Files of /proc that tell of, or act on, the whole machine. They read as empty.
const MASKED_FILES: [&str; 9] = [
    "/proc/config.gz",
    "/proc/kcore",
    "/proc/keys",
    "/proc/kmsg",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/sysrq-trigger",
    "/proc/timer_list",
    "/proc/mtrr",
];

/// Directories of /proc that are empty inside.
const MASKED_DIRECTORIES: [&str; 2] = ["/proc/acpi", "/proc/scsi"];

/// Directories of /proc that programs read, and nobody may write.
const READ_ONLY: [&str; 4] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"];

/// Moves into a private copy of the mount namespace whose root is the runtime's.
pub(super) fn enter_root(namespace: &OwnedFd) -> Done {
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Mount)).during("entering the root")?;
    sys::unshare(UnshareFlags::NEWNS).during("making a mount namespace")
}

/// The /proc of this PID namespace, attached nowhere yet. To be made while another /proc can be seen: without, a kernel
/// gives none to the root of a user namespace.
pub(super) fn make_proc() -> Done<OwnedFd> {
    let what = "making a /proc";
    let fs = rustix::mount::fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC).during(what)?;
    if !weaken::is_off(Defence::HiddenProcesses) {
        rustix::mount::fsconfig_set_string(&fs, "hidepid", "invisible").during(what)?;
    }
    rustix::mount::fsconfig_create(&fs).during(what)?;
    let attributes =
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    rustix::mount::fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, attributes).during(what)
}

/// Attaches the /proc, with what concerns the machine hidden.
pub(super) fn attach_proc(proc: &OwnedFd) -> Done {
    attach(proc, "/proc")?;
    if weaken::is_off(Defence::Masks) {
        return Ok(());
    }
    MASKED_FILES.iter().try_for_each(|path| cover(path, "/dev/null", path))?;
    MASKED_DIRECTORIES.iter().try_for_each(|path| cover(path, EMPTY_DIRECTORY, path))?;
    READ_ONLY.iter().try_for_each(|path| cover(path, path, path))
}

/// Attaches a detached mount.
pub(crate) fn attach(mount: &OwnedFd, path: &str) -> Done {
    rustix::mount::move_mount(mount, "", CWD, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .during(format_args!("mounting {path}"))
}

/// Puts `source`, read-only, over `path`. A kernel without `path` has nothing to cover.
pub(super) fn cover(path: &str, source: &str, name: &str) -> Done {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let what = format!("covering {name}");
    if rustix::fs::access(path, rustix::fs::Access::EXISTS).is_err() {
        return Ok(());
    }
    let tree = rustix::mount::open_tree(CWD, source, flags).during(&what)?;
    sys::mount_setattr(tree.as_fd(), MountAttrFlags::MOUNT_ATTR_RDONLY, false).during(&what)?;
    attach(&tree, path)
}
