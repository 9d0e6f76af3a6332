//! The jail that archives are read in: a fork of the spawner with user, PID, mount, network, IPC and UTS namespaces of its
//! own. Its root is the one folder that it writes to, or an empty one; it has the archive and a socket for its report, a
//! few system calls, and bounds on all that it can use up. Before it sees the first byte it is nobody with no privilege.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use hearth_types::limits::{
    READER_CPU, READER_FILES, READER_MEMORY_BYTES, READER_REPORT_BYTES, READER_TASKS, UNZIPPED_BYTES,
};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, UnmountFlags};
use rustix::net::RecvFlags;
use rustix::process::{Resource, Rlimit};
use rustix::thread::UnshareFlags;

use crate::channel::{self, Received};
use crate::error::{Done, During, Failure};
use crate::frame::{Event, Frame, Order};
use crate::seccomp::Filters;
use crate::{privileges, sys};

/// What a reader works with.
#[derive(Debug)]
pub struct Reading<'a> {
    /// The archive's bytes.
    pub archive: &'a [u8],
    /// What is to be done, as the server said it.
    pub order: u32,
    /// The empty folder to write to, where there is one: all of the file system that the reader can reach.
    pub folder: Option<BorrowedFd<'a>>,
}

/// Reads an archive inside the jail; what it returns, of at most [`READER_REPORT_BYTES`], is for the server. It may start
/// threads, and call what the filter allows: write files below its folder, and get memory.
pub type Reader = fn(Reading<'_>) -> Vec<u8>;

/// The namespaces beside those of users and processes, which come with the fork.
const NAMESPACES: UnshareFlags =
    UnshareFlags::NEWNS.union(UnshareFlags::NEWNET).union(UnshareFlags::NEWIPC).union(UnshareFlags::NEWUTS);

/// What stands before a report.
const REPORTED: u8 = 0;
const FAILED: u8 = 1;
/// Bytes of what a jail says, at most.
pub(crate) const MESSAGE_BYTES: usize = 1 + READER_REPORT_BYTES;

/// What a jail is made with.
pub(crate) struct Jail<'a> {
    pub(crate) reader: Reader,
    pub(crate) filters: &'a Filters,
    pub(crate) order: u32,
    pub(crate) archive: OwnedFd,
    /// To the server.
    pub(crate) report: OwnedFd,
    /// A detached mount of the folder to write to.
    pub(crate) folder: Option<OwnedFd>,
    /// User and group: the owner of the packages.
    pub(crate) id: u32,
    /// From the spawner, who maps the ids.
    pub(crate) go: OwnedFd,
}

/// The jail's whole life.
pub(crate) fn run(jail: Jail<'_>) -> ! {
    let report = match jail.enter() {
        Ok(inside) => {
            let mut report = vec![REPORTED];
            report.extend((jail.reader)(Reading {
                archive: inside.archive.bytes(),
                order: jail.order,
                folder: jail.folder.is_some().then_some(inside.root.as_fd()),
            }));
            report
        }
        Err(failure) => failed(failure),
    };
    // The server refuses one that is too long.
    let _ = rustix::io::write(&jail.report, &report);
    sys::exit_now(0)
}

/// A failure as a jail says it.
pub(crate) fn failed(failure: Failure) -> Vec<u8> {
    let mut message = vec![FAILED];
    message.extend(Event::Failed(failure).encode());
    message
}

/// What a jail said.
///
/// # Errors
/// Why there was none, or what is wrong with what it said.
pub(crate) fn parse(message: &[u8]) -> Done<Vec<u8>> {
    let broken = || Failure::new(libc::EPROTO, "hearing from the reader of an archive");
    match message.split_first() {
        Some((&REPORTED, report)) if message.len() <= MESSAGE_BYTES => Ok(report.to_vec()),
        Some((&FAILED, frame)) => match frame.try_into().ok().and_then(Event::decode) {
            Some(Event::Failed(failure)) => Err(failure),
            _ => Err(broken()),
        },
        Some(_) => Err(broken()),
        None => Err(Failure::new(libc::ECHILD, "reading an archive: the reader was ended on the way")),
    }
}

/// What the reader has.
struct Inside {
    archive: sys::Mapping,
    root: OwnedFd,
}

impl Jail<'_> {
    fn enter(&self) -> Done<Inside> {
        privileges::die_with_spawner(&self.go)?;
        let fds = [&self.archive, &self.report, &self.go].into_iter().chain(&self.folder);
        sys::close_all_but(&mut fds.map(AsRawFd::as_raw_fd).collect::<Vec<_>>()).during("closing descriptors")?;
        rustix::stdio::dup2_stderr(rustix::stdio::stdin()).during("closing standard error")?;
        match channel::receive(&self.go, RecvFlags::empty()).during("waiting for the spawner")? {
            Received::Frame(Order::Start, _) => {}
            _ => return Err(Failure::new(libc::EPIPE, "the spawner died")),
        }
        let archive = sys::Mapping::of(&self.archive).during("mapping the archive")?;
        sys::unshare(NAMESPACES).during("making the reader's namespaces")?;
        let root = self.enter_root()?;
        limit()?;
        rustix::process::umask(Mode::empty());
        privileges::become_user(self.id)?;
        privileges::die_with_spawner(&self.go)?;
        let mut keep = [&self.report, &root].map(AsRawFd::as_raw_fd);
        sys::close_all_but(&mut keep).during("closing descriptors")?;
        self.filters.confine_reader()?;
        Ok(Inside { archive, root })
    }

    /// Makes the folder, or an empty file system, all that there is.
    fn enter_root(&self) -> Done<OwnedFd> {
        let what = "entering the reader's root";
        let empty;
        let root = match &self.folder {
            Some(folder) => folder,
            None => {
                empty = empty_root().during(what)?;
                &empty
            }
        };
        rustix::mount::move_mount(root, "", CWD, "/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).during(what)?;
        rustix::process::fchdir(root).during(what)?;
        // The old root goes on top of the new one, and away.
        rustix::process::pivot_root(".", ".").during(what)?;
        rustix::mount::unmount(".", UnmountFlags::DETACH).during("leaving the host's root")?;
        rustix::process::chdir("/").during(what)?;
        rustix::fs::open("/", OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).during(what)
    }
}

fn empty_root() -> io::Result<OwnedFd> {
    let fs = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_set_string(&fs, "size", "4k")?;
    rustix::mount::fsconfig_set_string(&fs, "mode", "555")?;
    rustix::mount::fsconfig_create(&fs)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    Ok(rustix::mount::fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

/// Bounds on what a reader that has gone bad could use up.
fn limit() -> Done {
    let limits = [
        (Resource::Data, READER_MEMORY_BYTES),
        (Resource::Cpu, READER_CPU.as_secs()),
        (Resource::Nofile, READER_FILES),
        (Resource::Fsize, UNZIPPED_BYTES),
        (Resource::Nproc, READER_TASKS),
        (Resource::Memlock, 0),
        (Resource::Core, 0),
    ];
    for (resource, most) in limits {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        rustix::process::setrlimit(resource, limit).during(format_args!("setting the limit {resource:?}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_apart() {
        assert_eq!(parse(&[REPORTED, 7, 8]).unwrap(), [7, 8]);
        let failure = Failure::new(libc::ENOSPC, "making something");
        assert_eq!(parse(&failed(failure.clone())).unwrap_err(), failure);
        assert_eq!(parse(&[]).unwrap_err().errno, libc::ECHILD);
        for broken in [&[FAILED][..], &[2], &[REPORTED; MESSAGE_BYTES + 1]] {
            assert_eq!(parse(broken).unwrap_err().errno, libc::EPROTO);
        }
    }
}
