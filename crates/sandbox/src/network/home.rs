//! Sockets in the network of an environment, made from outside of it.
//!
//! A socket belongs for its whole life to the network namespace in which it was made, whoever connects it later. So the
//! server needs no privilege to reach what listens in an environment, and cannot reach anything else by such a socket.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::thread::{ThreadNameSpaceType, UnshareFlags, move_into_thread_name_spaces};

use super::{enter, own_namespace};
use crate::Authority;
use crate::error::{Done, During};
use crate::sys;

/// The network namespace that the spawner comes back to.
pub(crate) struct Home(OwnedFd);

impl Home {
    /// Of this process. The machine's own namespace is root's alone to come back to: without root it is a new one, with
    /// nothing in it.
    pub(crate) fn open(authority: Authority) -> Done<Self> {
        if authority == Authority::UserNamespace {
            sys::unshare(UnshareFlags::NEWNET).during("making the spawner's network namespace")?;
        }
        own_namespace().map(Self)
    }

    /// A TCP socket in the network of a process. The outer error is that there is no way back.
    pub(crate) fn socket_in(&self, process: BorrowedFd<'_>) -> Done<Done<OwnedFd>> {
        let there = move_into_thread_name_spaces(process, ThreadNameSpaceType::NETWORK);
        let socket = there.and_then(|()| {
            socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)
        });
        enter(self.0.as_fd())?;
        Ok(socket.during("making a socket in an environment"))
    }
}
