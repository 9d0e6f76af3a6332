//! Readers of archives, from the spawner's side: each is a jail with one process in it, for one archive.

use std::os::fd::{AsFd, OwnedFd};

use hearth_types::limits::READERS;
use rustix::net::SendFlags;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};

use super::{Source, Spawner, slot::unwatch};
use crate::channel::{self, exactly};
use crate::error::{Done, During, Failure};
use crate::frame::Order;
use crate::jail::{self, Jail};
use crate::sys::{self, Fork};

/// A reader at work.
pub(super) struct Reader {
    process: OwnedFd,
    /// The same end of the server's socket that the reader has.
    report: OwnedFd,
    /// Its other end, which the reader has until it is ready, shows it that this process lives.
    _orders: OwnedFd,
}

impl Reader {
    pub(super) fn process(&self) -> std::os::fd::BorrowedFd<'_> {
        self.process.as_fd()
    }

    pub(super) fn report(&self) -> std::os::fd::BorrowedFd<'_> {
        self.report.as_fd()
    }

    pub(super) fn kill(&self) {
        let _ = pidfd_send_signal(&self.process, Signal::KILL);
    }

    pub(super) fn wait(&self) {
        let _ = waitid(WaitId::PidFd(self.process.as_fd()), WaitIdOptions::EXITED);
    }
}

impl Spawner {
    /// Has an archive read. All that becomes of it is said on the socket for the report.
    pub(super) fn read(&mut self, order: u32, staging: Option<u64>, fds: Vec<OwnedFd>) -> Done {
        let Some([archive, report]) = exactly(fds) else { return Ok(()) };
        match self.clone_reader(order, staging, archive, &report) {
            Ok((process, orders)) => {
                let id = self.take_id();
                self.readers.insert(id, Reader { process, report, _orders: orders });
                self.watch(Source::Reader(id))?;
                self.watch(Source::Report(id))
            }
            Err(failure) => {
                // The server may have gone; then nobody wants to know.
                let _ = rustix::net::send(&report, &jail::failed(failure), SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
                Ok(())
            }
        }
    }

    fn clone_reader(
        &self,
        order: u32,
        staging: Option<u64>,
        archive: OwnedFd,
        report: &OwnedFd,
    ) -> Done<(OwnedFd, OwnedFd)> {
        let Some(reader) = self.reader else {
            return Err(Failure::new(libc::ENOSYS, "reading an archive, which this program cannot"));
        };
        if self.readers.len() >= READERS {
            return Err(Failure::new(libc::EAGAIN, format!("reading more than {READERS} archives at a time")));
        }
        let id = self.packages.owner()?;
        let folder = staging.map(|number| self.packages.mount_staging(number)).transpose()?;
        let (ours, go) = channel::pair().during("making a socket pair")?;
        let report = report.try_clone().during("duplicating a descriptor")?;
        let fork = sys::fork(libc::CLONE_NEWUSER | libc::CLONE_NEWPID, None).during("cloning a reader")?;
        match fork {
            Fork::Child => {
                drop(ours);
                jail::run(Jail { reader, filters: &self.filters, order, archive, report, folder, id, go })
            }
            Fork::Parent { pid, pidfd } => {
                drop(go);
                let started = map_id(pid, id).and_then(|()| {
                    channel::send(&ours, &Order::Start, &[], SendFlags::empty()).during("letting a reader go")
                });
                // Without the word it ends at the closing of our end.
                started.map(|()| (pidfd, ours))
            }
        }
    }

    /// A reader has ended, or its server wants no report any more.
    pub(super) fn end_reader(&mut self, id: u64) {
        let Some(reader) = self.readers.remove(&id) else { return };
        reader.kill();
        unwatch(&self.epoll, &reader.report);
        unwatch(&self.epoll, &reader.process);
        reader.wait();
    }
}

/// The owner of the packages, and nobody else, under its own number.
fn map_id(pid: Pid, id: u32) -> Done {
    let write = |file: &str, text: &str| {
        let path = format!("/proc/{}/{file}", pid.as_raw_nonzero());
        std::fs::write(&path, text).during(format_args!("writing {path}"))
    };
    let same = format!("{id} {id} 1");
    write("uid_map", &same)?;
    write("setgroups", "deny")?;
    write("gid_map", &same)
}
