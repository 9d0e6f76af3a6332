//! What is behind /tmp: a disk where the spawner is the machine's root, memory where it is not.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags};

use crate::Authority;
use crate::error::{Done, During, Failure};
use crate::sys;
use crate::volume::{self, TMP_FOLDER};

/// Which /tmp a sandbox gets.
#[derive(Debug)]
pub enum Tmp {
    /// An empty one of so many MB.
    New {
        /// MB that the function can use.
        mb: u32,
    },
    /// One that an earlier sandbox left.
    Kept(TmpVolume),
}

/// A /tmp with what a function left in it, for the next sandbox of the same environment. Dropped, it is gone.
#[derive(Debug)]
pub struct TmpVolume {
    pub(crate) id: u64,
    pub(crate) mb: u32,
    /// Its closing lets the volume go.
    pub(crate) _lease: OwnedFd,
}

impl TmpVolume {
    /// MB that the function can use.
    #[must_use]
    pub fn mb(&self) -> u32 {
        self.mb
    }
}

/// As many as a disk has.
const INODES_PER_MB: u32 = 64;

/// A /tmp that lives as long as its mount does.
pub(crate) struct Volume {
    pub(crate) mount: OwnedFd,
    pub(crate) backing: Backing,
    /// Behind a disk, whose blocks are the machine's.
    pub(crate) file: Option<OwnedFd>,
}

/// Where its files are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Backing {
    /// On /dev/loopN.
    Disk { loop_number: u32 },
    /// In a file system of its own, which is mounted under this number in the spawner's folder: a second mount of it can
    /// be had only from there.
    Memory { number: u64 },
}

/// Where a spawner's /tmps are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    Disk,
    Memory,
}

impl Place {
    /// On a disk, or the reason why they cannot be.
    pub(crate) fn choose(authority: Authority) -> Done<Self> {
        match authority {
            Authority::Root => volume::check_machine().map(|()| Self::Disk),
            Authority::UserNamespace => {
                let why =
                    "without root /tmp is in memory, and counts against the function's limit; start hearth as root";
                Err(Failure::new(libc::EPERM, why))
            }
        }
    }
}

/// Opens the spawner's folder, empty but for templates of disks.
pub(crate) fn open_folder(data_dir: &Path, place: Place) -> Done<OwnedFd> {
    let folder = volume::open_folder(data_dir)?;
    if place == Place::Disk {
        return Ok(folder);
    }
    // Covers it for the spawner and its children alone, so that nothing has to be removed.
    let mount = memory("mode=700,size=1m,nr_inodes=64k")?;
    let path = data_dir.join(TMP_FOLDER);
    let what = format!("mounting {}", path.display());
    rustix::mount::move_mount(&mount, "", CWD, &path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).during(&what)?;
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    rustix::fs::openat(CWD, &path, flags, Mode::empty()).during(what)
}

impl Volume {
    /// An empty one in memory, of `mb` MB. `number` is of no other at this time.
    pub(crate) fn in_memory(folder: BorrowedFd<'_>, number: u64, mb: u32) -> Done<Self> {
        let name = number.to_string();
        let what = "making a /tmp in memory";
        rustix::fs::mkdirat(folder, &name, Mode::from_raw_mode(0o700)).during(what)?;
        let mounted = memory(&format!("mode=1777,size={mb}m,nr_inodes={}", mb * INODES_PER_MB)).and_then(|mount| {
            let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
            rustix::mount::move_mount(&mount, "", folder, &name, flags).during(what)?;
            Ok(mount)
        });
        if mounted.is_err() {
            let _ = rustix::fs::unlinkat(folder, &name, rustix::fs::AtFlags::REMOVEDIR);
        }
        Ok(Self { mount: mounted?, backing: Backing::Memory { number }, file: None })
    }

    /// One more mount of it, attached nowhere yet.
    pub(crate) fn mount_again(&self) -> Done<OwnedFd> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
        rustix::mount::open_tree(&self.mount, "", flags).during("mounting a /tmp once more")
    }
}

/// Takes one in memory out of the folder; its pages go with its last mount.
pub(crate) fn forget(folder: BorrowedFd<'_>, number: u64) -> Done {
    let path = format!("{}/{number}", sys::fd_path(folder));
    rustix::mount::unmount(&path, UnmountFlags::DETACH).during("unmounting a /tmp")?;
    rustix::fs::unlinkat(folder, number.to_string(), rustix::fs::AtFlags::REMOVEDIR).during("removing a /tmp")
}

/// A file system in memory, attached nowhere yet.
fn memory(options: &str) -> Done<OwnedFd> {
    let what = "making a file system in memory";
    let fs = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).during(what)?;
    for option in options.split(',') {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        rustix::mount::fsconfig_set_string(&fs, name, value).during(what)?;
    }
    rustix::mount::fsconfig_create(&fs).during(what)?;
    let attributes =
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOATIME;
    rustix::mount::fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, attributes).during(what)
}
