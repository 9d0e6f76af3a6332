//! The jail that archives are read in: a fork of the spawner with user, PID, mount, network, IPC and UTS namespaces of its
//! own. Its root is empty; it has the archive, the one folder that it writes to where there is one, and a socket for its
//! report, a few system calls, and bounds on all that it can use up. Before it sees the first byte it is nobody with no
//! privilege: it is made ahead, waits for its one archive, and ends with it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use hearth_types::limits::{
    READER_CPU, READER_FILES, READER_MEMORY_BYTES, READER_REPORT_BYTES, READER_TASKS, UNZIPPED_BYTES,
};
use rustix::fs::{CWD, Mode};
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
    /// The empty folder to write to, where there is one: all of the machine's file systems that the reader can reach.
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
    /// User and group: the owner of the packages.
    pub(crate) id: u32,
    /// From the spawner, who maps the ids, and sends the archive.
    pub(crate) orders: OwnedFd,
}

/// The jail's whole life.
pub(crate) fn run(jail: &Jail<'_>) -> ! {
    // Where it could not be made, who sends it an archive hears of it.
    let entered = jail.enter();
    if let Ok(Received::Frame(Order::Read { order }, fds)) = channel::receive(&jail.orders, RecvFlags::empty()) {
        let mut fds = fds.into_iter();
        if let (Some(archive), Some(report), folder, None) = (fds.next(), fds.next(), fds.next(), fds.next()) {
            let message = match entered.and_then(|()| jail.close(&archive, &report, folder.as_ref())) {
                Ok(archive) => jail.read(order, archive.bytes(), folder.as_ref()),
                Err(failure) => failed(failure),
            };
            // The server refuses one that is too long.
            let _ = rustix::io::write(&report, &message);
            // What came along is closed already: builds with assertions would not have it closed once more.
            sys::exit_now(0);
        }
    }
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

impl Jail<'_> {
    /// Gives up all that it could do, before it has anything of a client.
    fn enter(&self) -> Done {
        privileges::die_with_spawner(&self.orders)?;
        sys::close_all_but(&mut [self.orders.as_raw_fd()]).during("closing descriptors")?;
        rustix::stdio::dup2_stderr(rustix::stdio::stdin()).during("closing standard error")?;
        match channel::receive(&self.orders, RecvFlags::empty()).during("waiting for the spawner")? {
            Received::Frame(Order::Start, _) => {}
            _ => return Err(Failure::new(libc::EPIPE, "the spawner died")),
        }
        sys::unshare(NAMESPACES).during("making the reader's namespaces")?;
        enter_root()?;
        limit()?;
        rustix::process::umask(Mode::empty());
        privileges::become_user(self.id)?;
        privileges::die_with_spawner(&self.orders)
    }

    /// With the archive comes the end of all other calls.
    fn close(&self, archive: &OwnedFd, report: &OwnedFd, folder: Option<&OwnedFd>) -> Done<sys::Mapping> {
        let archive = sys::Mapping::of(archive).during("mapping the archive")?;
        let mut keep: Vec<_> = [report].into_iter().chain(folder).map(AsRawFd::as_raw_fd).collect();
        sys::close_all_but(&mut keep).during("closing descriptors")?;
        self.filters.confine_reader()?;
        Ok(archive)
    }

    fn read(&self, order: u32, archive: &[u8], folder: Option<&OwnedFd>) -> Vec<u8> {
        let mut message = vec![REPORTED];
        message.extend((self.reader)(Reading { archive, order, folder: folder.map(AsFd::as_fd) }));
        message
    }
}

/// Makes an empty file system all that there is.
fn enter_root() -> Done {
    let what = "entering the reader's root";
    let root = empty_root().during(what)?;
    rustix::mount::move_mount(&root, "", CWD, "/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).during(what)?;
    rustix::process::fchdir(&root).during(what)?;
    // The old root goes on top of the new one, and away.
    rustix::process::pivot_root(".", ".").during(what)?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).during("leaving the host's root")?;
    rustix::process::chdir("/").during(what)
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
