//! Frames and descriptors over `SOCK_SEQPACKET` sockets.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

use tokio::io::unix::AsyncFd;

use crate::frame::{FRAME_BYTES, Frame};

/// Descriptors beside one frame, at most.
pub(crate) const FRAME_FDS: usize = 12;

/// What one receive gave.
pub(crate) enum Received<F> {
    /// A frame and the descriptors beside it.
    Frame(F, Vec<OwnedFd>),
    /// The other end is closed.
    Closed,
}

/// Two connected ends, closed on exec.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// Registers a socket with the tokio runtime that the caller is in.
pub(crate) fn register(socket: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd names the same open socket for as long as it lives, and the AsyncFd owns it.
    Ok(unsafe { AsyncFd::register(socket) }?)
}

/// Sends one frame. With [`SendFlags::DONTWAIT`] a full socket is `WouldBlock`.
pub(crate) fn send(socket: impl AsFd, frame: &impl Frame, fds: &[BorrowedFd<'_>], flags: SendFlags) -> io::Result<()> {
    let bytes = frame.encode();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FRAME_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    loop {
        match sendmsg(&socket, &[IoSlice::new(&bytes)], &mut control, flags | SendFlags::NOSIGNAL) {
            Err(rustix::io::Errno::INTR) => {}
            other => return Ok(other.map(drop)?),
        }
    }
}

/// Receives one frame. A datagram that is no such frame, or that carried more descriptors than fit, is `InvalidData`.
pub(crate) fn receive<F: Frame>(socket: impl AsFd, flags: RecvFlags) -> io::Result<Received<F>> {
    let mut bytes = [0; FRAME_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FRAME_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = loop {
        let mut parts = [IoSliceMut::new(&mut bytes)];
        match recvmsg(&socket, &mut parts, &mut control, flags | RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => {}
            // It closed without having read everything.
            Err(rustix::io::Errno::CONNRESET) => return Ok(Received::Closed),
            other => break other?,
        }
    };
    let fds: Vec<OwnedFd> = control
        .drain()
        .filter_map(|part| if let RecvAncillaryMessage::ScmRights(fds) = part { Some(fds) } else { None })
        .flatten()
        .collect();
    if message.bytes == 0 {
        return Ok(Received::Closed);
    }
    let whole = message.bytes == FRAME_BYTES && !message.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC);
    match F::decode(&bytes) {
        Some(frame) if whole => Ok(Received::Frame(frame, fds)),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "a datagram that is no frame")),
    }
}

/// The descriptors beside a frame, where exactly `N` came.
pub(crate) fn exactly<const N: usize>(fds: Vec<OwnedFd>) -> Option<[OwnedFd; N]> {
    fds.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Event, Order};

    #[test]
    fn frames_and_descriptors_arrive_together() {
        let (a, b) = pair().unwrap();
        send(&a, &Event::Ready, &[a.as_fd(), b.as_fd()], SendFlags::empty()).unwrap();
        let Received::Frame(Event::Ready, fds) = receive::<Event>(&b, RecvFlags::empty()).unwrap() else {
            panic!("no Ready")
        };
        assert!(exactly::<2>(fds).is_some());
        drop(a);
        assert!(matches!(receive::<Event>(&b, RecvFlags::empty()), Ok(Received::Closed)));
    }

    #[test]
    fn a_short_datagram_is_refused() {
        let (a, b) = pair().unwrap();
        rustix::net::send(&a, &[1, 0, 0, 0], SendFlags::empty()).unwrap();
        let error = receive::<Order>(&b, RecvFlags::empty()).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
