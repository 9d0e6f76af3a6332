//! Readers of archives, from the spawner's side: each is a jail with one process in it, for one archive. One is made ahead.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use hearth_types::limits::READERS;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::SendFlags;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};

use super::{Source, Spawner, slot::unwatch};
use crate::channel::{self, exactly};
use crate::error::{Done, During, Failure};
use crate::frame::Order;
use crate::jail::{self, Jail};
use crate::sys::{self, Fork};

/// A jail with its process.
pub(super) struct Reader {
    process: OwnedFd,
    /// Its other end shows the process that this one lives.
    orders: OwnedFd,
    /// Its user, outside.
    id: u32,
    /// Of one at work: the same end of the server's socket that the reader has.
    report: Option<OwnedFd>,
}

impl Reader {
    pub(super) fn process(&self) -> BorrowedFd<'_> {
        self.process.as_fd()
    }

    pub(super) fn report(&self) -> Option<BorrowedFd<'_>> {
        self.report.as_ref().map(AsFd::as_fd)
    }

    /// Whether it still listens.
    fn lives(&self) -> bool {
        let mut orders = [PollFd::new(&self.orders, PollFlags::empty())];
        poll(&mut orders, Some(&Timespec::default())).is_ok() && !orders[0].revents().contains(PollFlags::HUP)
    }

    pub(super) fn kill(&self) {
        let _ = pidfd_send_signal(&self.process, Signal::KILL);
    }

    pub(super) fn wait(&self) {
        let _ = waitid(WaitId::PidFd(self.process.as_fd()), WaitIdOptions::EXITED);
    }
}

/// The reader that is made ahead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ahead {
    /// One is to be made when nothing else is to be done.
    Wanted,
    /// This one waits for its archive.
    Waits(u64),
    /// It could not be made, or ended by itself: the next archive comes first.
    Failed,
}

impl Spawner {
    /// Has an archive read. All that becomes of it is said on the socket for the report.
    pub(super) fn read(&mut self, order: u32, staging: Option<u64>, fds: Vec<OwnedFd>) -> Done {
        let Some([archive, report]) = exactly(fds) else { return Ok(()) };
        let given = self.take_reader().and_then(|id| {
            let given = self.give(id, order, staging, &archive, &report);
            given.map(|()| id).inspect_err(|_| self.end_reader(id))
        });
        self.reader_ahead = Ahead::Wanted;
        match given {
            Ok(id) => {
                if let Some(reader) = self.readers.get_mut(&id) {
                    reader.report = Some(report);
                }
                self.watch(Source::Report(id))
            }
            Err(failure) => {
                // The server may have gone; then nobody wants to know.
                let _ = rustix::net::send(&report, &jail::failed(failure), SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
                Ok(())
            }
        }
    }

    /// The one that waits, or a new one.
    fn take_reader(&mut self) -> Done<u64> {
        let owner = self.packages.owner()?;
        if let Ahead::Waits(id) = std::mem::replace(&mut self.reader_ahead, Ahead::Wanted) {
            if self.readers.get(&id).is_some_and(|reader| reader.id == owner && reader.lives()) {
                return Ok(id);
            }
            self.end_reader(id);
        }
        self.clone_reader(owner)
    }

    fn give(&self, id: u64, order: u32, staging: Option<u64>, archive: &OwnedFd, report: &OwnedFd) -> Done {
        let what = "handing an archive over";
        let Some(reader) = self.readers.get(&id) else { return Err(Failure::new(libc::ECHILD, what)) };
        let folder = staging.map(|number| self.packages.mount_staging(number)).transpose()?;
        let fds: Vec<_> = [archive, report].into_iter().chain(&folder).map(AsFd::as_fd).collect();
        channel::send(&reader.orders, &Order::Read { order }, &fds, SendFlags::DONTWAIT).during(what)
    }

    /// Makes one ahead; nothing else is to be done now.
    pub(super) fn make_reader_ahead(&mut self) {
        let made = self.packages.owner().and_then(|owner| self.clone_reader(owner));
        // Who sends the next archive hears why.
        self.reader_ahead = made.map_or(Ahead::Failed, Ahead::Waits);
    }

    fn clone_reader(&mut self, owner: u32) -> Done<u64> {
        let Some(reader) = self.reader else {
            return Err(Failure::new(libc::ENOSYS, "reading an archive, which this program cannot"));
        };
        if self.readers.len() >= READERS {
            return Err(Failure::new(libc::EAGAIN, format!("reading more than {READERS} archives at a time")));
        }
        let (ours, orders) = channel::pair().during("making a socket pair")?;
        let fork = sys::fork(libc::CLONE_NEWUSER | libc::CLONE_NEWPID, None).during("cloning a reader")?;
        let (pid, process) = match fork {
            Fork::Child => {
                drop(ours);
                jail::run(&Jail { reader, filters: &self.filters, id: owner, orders })
            }
            Fork::Parent { pid, pidfd } => (pid, pidfd),
        };
        drop(orders);
        let id = self.take_id();
        self.readers.insert(id, Reader { process, orders: ours, id: owner, report: None });
        let started = self.watch(Source::Reader(id)).and_then(|()| map_id(pid, owner)).and_then(|()| {
            let orders = self.readers.get(&id).map(|reader| &reader.orders);
            orders
                .map_or(Ok(()), |orders| channel::send(orders, &Order::Start, &[], SendFlags::empty()))
                .during("letting a reader go")
        });
        started.map(|()| id).inspect_err(|_| self.end_reader(id))
    }

    /// A reader has ended, or its server wants no report any more.
    pub(super) fn end_reader(&mut self, id: u64) {
        let Some(reader) = self.readers.remove(&id) else { return };
        if self.reader_ahead == Ahead::Waits(id) {
            self.reader_ahead = Ahead::Failed;
        }
        reader.kill();
        reader.report.iter().for_each(|report| unwatch(&self.epoll, report));
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
