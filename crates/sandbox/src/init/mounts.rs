//! The environment's mount namespace: a copy of the runtime's prepared root, with a /proc, a /tmp, the code and the layers
//! of its own. Nothing of the host's mounts was ever in it.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, FileType, Mode};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use crate::error::{Done, During};
use crate::spawner::root::{DEVICE_LINKS, DEVICES, EMPTY_DIRECTORY};
use crate::sys;
use crate::weaken::{self, Defence};

/// Files of /proc that tell of, or act on, the whole machine, or tell of other environments' disks one by one. They read as
/// empty.
const MASKED_FILES: [&str; 11] = [
    "/proc/config.gz",
    "/proc/diskstats",
    "/proc/kcore",
    "/proc/keys",
    "/proc/kmsg",
    "/proc/latency_stats",
    "/proc/partitions",
    "/proc/sched_debug",
    "/proc/sysrq-trigger",
    "/proc/timer_list",
    "/proc/mtrr",
];

/// Directories of /proc that are empty inside.
const MASKED_DIRECTORIES: [&str; 3] = ["/proc/acpi", "/proc/fs", "/proc/scsi"];

/// Directories of /proc that programs read, and nobody may write.
const READ_ONLY: [&str; 3] = ["/proc/bus", "/proc/irq", "/proc/sys"];

/// The major number of all devices that a function sees.
const MEMORY_DEVICES: u32 = 1;

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

/// A /dev of this environment's own, attached nowhere yet: of a node that others have too, inotify would tell when they use
/// it. None where no nodes can be made, as without the machine's root: there the root's stay, which are the host's.
pub(super) fn make_dev() -> Done<Option<OwnedFd>> {
    let what = "making a /dev";
    let fs = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).during(what)?;
    for (name, value) in [("source", "hearth"), ("mode", "755"), ("size", "4k"), ("nr_inodes", "16")] {
        rustix::mount::fsconfig_set_string(&fs, name, value).during(what)?;
    }
    rustix::mount::fsconfig_create(&fs).during(what)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let mount = rustix::mount::fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, attributes).during(what)?;
    let mode = Mode::from_raw_mode(0o666);
    for (name, minor) in DEVICES {
        let device = rustix::fs::makedev(MEMORY_DEVICES, minor);
        match rustix::fs::mknodat(&mount, name, FileType::CharacterDevice, mode, device) {
            Err(Errno::PERM) => return Ok(None),
            made => made.during(what)?,
        }
        // Whatever the umask.
        rustix::fs::chmodat(&mount, name, mode, AtFlags::empty()).during(what)?;
    }
    DEVICE_LINKS.into_iter().try_for_each(|(name, target)| rustix::fs::symlinkat(target, &mount, name).during(what))?;
    sys::mount_setattr(mount.as_fd(), MountAttrFlags::MOUNT_ATTR_RDONLY, false).during(what)?;
    Ok(Some(mount))
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
