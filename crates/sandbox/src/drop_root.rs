//! The server's farewell to root: afterwards it is a user of its own that reaches nothing but its data folder or, where it
//! never was the machine's root, its user without any right over others, and without what is that user's own.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode};
use rustix::mount::{MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags};
use rustix::thread::UnshareFlags;

use crate::error::{Done, During, Failure, SandboxError};
use crate::volume::TMP_FOLDER;
use crate::{Authority, privileges, sys};

/// User and group id of the server once it has given up root. By systemd's conventions nobody gives it out; nobody
/// needs an entry for it in /etc/passwd.
pub const SERVER_ID: u32 = 0x7FFF_0000;

/// Directories that exist on every system and that the server needs nothing from: one is covered, for this process
/// alone, by what leads to the data folder. The folder itself may lie where only root can go.
const COVERED: [&str; 3] = ["/mnt", "/srv", "/media"];

/// Gives the data folder to [`SERVER_ID`] (the folder alone may be entered by nobody else), makes it reachable at the
/// path that is returned, and gives up root for good: user, groups, capabilities, new privileges, being traced.
///
/// Where the authority is a user namespace, the user stays who it is; what else is its own (its home, /tmp, /run/user) is
/// hidden from this process, and the right over the namespace's other ids is given up.
///
/// To be called after [`crate::start_spawner`] and before any thread; a listening socket must be open already where it
/// needs a privilege. Files of the folder are given away one by one only when the folder is not the server's yet.
///
/// # Errors
/// What failed. The process should end then: it may have given up a part.
pub fn drop_root(data_dir: &Path, authority: Authority) -> Result<PathBuf, SandboxError> {
    require_one_thread()?;
    let data_dir = data_dir.canonicalize().during(format_args!("looking for {}", data_dir.display()))?;
    if authority == Authority::Root {
        give_away(&data_dir)?;
    }
    let reachable = make_reachable(&data_dir)?;
    rustix::thread::set_thread_groups(&[]).during("dropping supplementary groups")?;
    match authority {
        Authority::Root => privileges::become_user(SERVER_ID)?,
        Authority::UserNamespace => {
            cover_own()?;
            // Its user is the data folder's, which is root here: another would not be its owner.
            privileges::become_user(0)?;
        }
    }
    rustix::fs::access(&reachable, rustix::fs::Access::READ_OK | rustix::fs::Access::WRITE_OK)
        .during(format_args!("entering {}", reachable.display()))?;
    Ok(reachable)
}

/// Ids belong to threads; others would keep root.
fn require_one_thread() -> Done {
    let threads = std::fs::read_dir("/proc/self/task").during("counting threads")?.count();
    if threads == 1 {
        return Ok(());
    }
    Err(Failure::new(
        libc::EBUSY,
        format!("giving up root with {threads} threads; it must come before any other thread"),
    ))
}

fn give_away(data_dir: &Path) -> Done {
    let what = format!("giving {} to the user {SERVER_ID}", data_dir.display());
    let owner = std::fs::symlink_metadata(data_dir).during(&what)?.uid();
    if owner != SERVER_ID {
        give_tree_away(data_dir, data_dir).during(&what)?;
    }
    rustix::fs::chmod(data_dir, Mode::from_raw_mode(0o700)).during(&what)
}

/// The folder comes last, so that a start that was interrupted begins anew.
fn give_tree_away(path: &Path, data_dir: &Path) -> io::Result<()> {
    if path == data_dir.join(TMP_FOLDER) {
        // The spawner's own.
        return Ok(());
    }
    if std::fs::symlink_metadata(path)?.is_dir() {
        for entry in std::fs::read_dir(path)? {
            give_tree_away(&entry?.path(), data_dir)?;
        }
    }
    lchown(path, Some(SERVER_ID), Some(SERVER_ID))
}

/// Hides, for this process alone, where its user has files.
fn cover_own() -> Done {
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute() && home != Path::new("/"));
    let usual = ["/home", "/root", "/tmp", "/var/tmp", "/run/user"].map(PathBuf::from);
    for place in usual.into_iter().chain(home).filter(|place| place.is_dir()) {
        let what = format!("hiding {}", place.display());
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC | MountFlags::RDONLY;
        rustix::mount::mount("hearth", &place, "tmpfs", flags, c"mode=555,size=4k").during(what)?;
    }
    Ok(())
}

fn make_reachable(data_dir: &Path) -> Done<PathBuf> {
    let what = format!("mounting {} where the server can reach it", data_dir.display());
    let cover = COVERED.into_iter().map(Path::new).find(|path| path.is_dir() && !data_dir.starts_with(path));
    let cover = cover.ok_or_else(|| Failure::new(libc::ENOENT, format!("{what}: none of {COVERED:?} is there")))?;
    sys::unshare(UnshareFlags::NEWNS).during("making the server's mount namespace")?;
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .during("making mounts private")?;
    let data = open_data(data_dir).during(&what)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    rustix::mount::mount("hearth", cover, "tmpfs", flags, c"mode=755,size=64k").during(&what)?;
    let reachable = cover.join("hearth");
    std::fs::create_dir(&reachable).during(&what)?;
    rustix::mount::move_mount(&data, "", CWD, &reachable, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).during(&what)?;
    rustix::mount::mount_remount(cover, flags | MountFlags::RDONLY, c"mode=755,size=64k").during(&what)?;
    Ok(reachable)
}

/// The data folder as a detached mount.
fn open_data(data_dir: &Path) -> io::Result<std::os::fd::OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = rustix::mount::open_tree(CWD, data_dir, flags)?;
    let attributes =
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    sys::mount_setattr(tree.as_fd(), attributes, false)?;
    Ok(tree)
}
