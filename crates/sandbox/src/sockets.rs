//! The sockets in an environment's network that its init hands to the server.

use std::io;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};

use crate::sys;

/// Where the processes inside ask for names: 127.0.0.1:53 in their network, both non-blocking. With NAT only.
#[derive(Debug)]
pub struct NameSockets {
    /// For datagrams.
    pub datagrams: UdpSocket,
    /// For connections.
    pub streams: TcpListener,
}

/// All of one environment, until they are taken.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    pub(crate) runtime_api: Option<TcpListener>,
    pub(crate) api: Option<TcpListener>,
    pub(crate) names: Option<NameSockets>,
    pub(crate) segments: Option<UdpSocket>,
}

impl Sockets {
    /// Those that stand beside [`crate::frame::Event::Ready`]; none where the listeners are missing that all have.
    pub(crate) fn of(sockets: Vec<OwnedFd>) -> Option<Self> {
        let mut sockets = sockets.into_iter();
        let (runtime_api, api) = (sockets.next()?, sockets.next()?);
        // Those for names are two, the one for segments is one.
        let names = if sockets.len() >= 2 { sockets.next().zip(sockets.next()) } else { None };
        Some(Self {
            runtime_api: Some(runtime_api.into()),
            api: Some(api.into()),
            names: names
                .map(|(datagrams, streams)| NameSockets { datagrams: datagrams.into(), streams: streams.into() }),
            segments: sockets.next().map(UdpSocket::from),
        })
    }
}

/// How many datagrams a socket had no room for since it was made, modulo 2^32.
///
/// # Errors
/// The system's: a kernel before 4.12 does not tell.
pub fn datagrams_dropped(socket: impl AsFd) -> io::Result<u32> {
    let [.., dropped] = sys::memory_info(socket.as_fd())?;
    Ok(dropped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_many_there_are_says_which_there_are() {
        let some = |count: usize| (0..count).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap().into()).collect();
        assert!(Sockets::of(some(1)).is_none());
        for (count, names, segments) in [(2, false, false), (3, false, true), (4, true, false), (5, true, true)] {
            let sockets = Sockets::of(some(count)).unwrap();
            assert_eq!((sockets.names.is_some(), sockets.segments.is_some()), (names, segments), "of {count}");
        }
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let (full, sender) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        assert_eq!(datagrams_dropped(&full).unwrap(), 0);
        let to = full.local_addr().unwrap();
        let mut sent = 0;
        while datagrams_dropped(&full).unwrap() < 3 {
            sender.send_to(&[7; 32 * 1024], to).unwrap();
            sent += 1;
            assert!(sent < 100_000, "nothing is dropped");
        }
        full.set_nonblocking(true).unwrap();
        let mut kept = 0;
        while full.recv(&mut [0; 1]).is_ok() {
            kept += 1;
        }
        assert_eq!(kept + 3, sent);
    }
}
