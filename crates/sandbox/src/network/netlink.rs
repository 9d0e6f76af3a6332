//! Messages to the kernel about links and packet rules, and its answers: as much of netlink as NAT needs.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType};

use crate::error::{Done, During, Failure};

const REQUEST: u16 = 1;
const ACK: u16 = 4;
const ERROR: u16 = 2;
const HEADER_BYTES: usize = 16;
const NESTED: u16 = 0x8000;

/// Group of the messages that tell of changed IPv4 routes.
const ROUTES_GROUP: u32 = 0x40;

/// A request; attributes are added one after the other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Message {
    kind: u16,
    flags: u16,
    /// What comes behind the header.
    body: Vec<u8>,
}

impl Message {
    /// A message of this kind that begins with the fixed part `head`, whose length is a multiple of 4.
    pub(super) fn new(kind: u16, flags: u16, head: &[u8]) -> Self {
        Self { kind, flags, body: head.to_vec() }
    }

    pub(super) fn bytes(mut self, attribute: u16, value: &[u8]) -> Self {
        let length = (4 + value.len()) as u16;
        self.body.extend_from_slice(&length.to_ne_bytes());
        self.body.extend_from_slice(&attribute.to_ne_bytes());
        self.body.extend_from_slice(value);
        self.body.resize(self.body.len().next_multiple_of(4), 0);
        self
    }

    pub(super) fn text(self, attribute: u16, value: &str) -> Self {
        self.bytes(attribute, &[value.as_bytes(), &[0]].concat())
    }

    /// A number as links have it: in the machine's order.
    pub(super) fn number(self, attribute: u16, value: u32) -> Self {
        self.bytes(attribute, &value.to_ne_bytes())
    }

    /// A number as packet rules have it: in the network's order.
    pub(super) fn big_endian(self, attribute: u16, value: u32) -> Self {
        self.bytes(attribute, &value.to_be_bytes())
    }

    pub(super) fn nested(mut self, attribute: u16, inner: impl FnOnce(Self) -> Self) -> Self {
        let start = self.body.len();
        self.body.extend_from_slice(&[0; 2]);
        self.body.extend_from_slice(&(attribute | NESTED).to_ne_bytes());
        let mut whole = inner(self);
        let length = (whole.body.len() - start) as u16;
        whole.body[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        whole
    }

    /// A fixed part inside an attribute.
    pub(super) fn raw(mut self, part: &[u8]) -> Self {
        self.body.extend_from_slice(part);
        self
    }

    #[cfg(test)]
    pub(super) fn into_body(self) -> Vec<u8> {
        self.body
    }

    fn encode(&self, sequence: u32) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + self.body.len());
        bytes.extend_from_slice(&((HEADER_BYTES + self.body.len()) as u32).to_ne_bytes());
        bytes.extend_from_slice(&self.kind.to_ne_bytes());
        bytes.extend_from_slice(&(self.flags | REQUEST).to_ne_bytes());
        bytes.extend_from_slice(&sequence.to_ne_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// A socket to the kernel, in the network namespace where it was opened.
pub(super) struct Netlink(OwnedFd);

impl Netlink {
    /// For links, addresses and routes.
    pub(super) fn routing() -> io::Result<Self> {
        Self::open(None, 0)
    }

    /// For packet rules.
    pub(super) fn filtering() -> io::Result<Self> {
        Self::open(Some(netlink::NETFILTER), 0)
    }

    /// Becomes readable when an IPv4 route has changed.
    pub(super) fn route_changes() -> io::Result<OwnedFd> {
        Ok(Self::open(None, ROUTES_GROUP)?.0)
    }

    fn open(protocol: Option<Protocol>, groups: u32) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)?;
        rustix::net::bind(&socket, &SocketAddrNetlink::new(0, groups))?;
        Ok(Self(socket))
    }

    /// Has the kernel carry one message out.
    pub(super) fn ask(&self, message: &Message, what: &str) -> Done {
        self.send(&[(Message { flags: message.flags | ACK, ..message.clone() }, String::new())], what)
    }

    /// Has the kernel carry all messages out or none, where its part that gets them knows that: each beside what it is for.
    pub(super) fn ask_all(&self, messages: &[(Message, String)], what: &str) -> Done {
        self.send(messages, what)
    }

    fn send(&self, messages: &[(Message, String)], what: &str) -> Done {
        let bytes: Vec<u8> =
            (0..).zip(messages).flat_map(|(sequence, (message, _))| message.encode(sequence)).collect();
        rustix::net::send(&self.0, &bytes, SendFlags::empty()).during(what)?;
        // The kernel has answered before the call above returned.
        let mut answers = [0; 8192];
        let mut acknowledged = 0;
        loop {
            let length = match rustix::net::recv(&self.0, &mut answers, RecvFlags::DONTWAIT) {
                Ok((length, _)) => length,
                Err(rustix::io::Errno::AGAIN) => break,
                Err(error) => return Err(error).during(what),
            };
            for (sequence, errno) in read_answers(&answers[..length]) {
                acknowledged += 1;
                if errno != 0 {
                    let step = messages.get(sequence as usize).map_or("", |(_, step)| step.as_str());
                    let step = if step.is_empty() { String::new() } else { format!(" ({step})") };
                    return Err(Failure::new(errno, format!("{what}{step}")));
                }
            }
        }
        let wanted = messages.iter().filter(|(message, _)| message.flags & ACK != 0).count();
        if acknowledged < wanted {
            return Err(Failure::new(libc::EPROTO, format!("{what}: the kernel did not answer")));
        }
        Ok(())
    }
}

impl Netlink {
    /// What there is of what the message asks for: each without its header.
    pub(super) fn list(&self, message: &Message, what: &str) -> Done<Vec<Vec<u8>>> {
        const DONE: u16 = 3;
        rustix::net::send(&self.0, &message.encode(0), SendFlags::empty()).during(what)?;
        let mut bytes = vec![0; 64 * 1024];
        let mut found = Vec::new();
        loop {
            let (length, _) = rustix::net::recv(&self.0, &mut bytes, RecvFlags::DONTWAIT).during(what)?;
            for (kind, body) in split(&bytes[..length]) {
                match kind {
                    DONE => return Ok(found),
                    ERROR => {
                        let errno = body.first_chunk().map_or(libc::EPROTO, |errno| -i32::from_ne_bytes(*errno));
                        return Err(Failure::new(errno, what));
                    }
                    _ => found.push(body.to_vec()),
                }
            }
        }
    }
}

impl AsFd for Netlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Message {
    /// The same, with an answer even where all is well.
    pub(super) fn acknowledged(mut self) -> Self {
        self.flags |= ACK;
        self
    }
}

/// Sequence and error number (0: done) of each answer in a datagram: behind the error is the header of what failed.
fn read_answers(bytes: &[u8]) -> Vec<(u32, i32)> {
    let errors = split(bytes).into_iter().filter(|(kind, _)| *kind == ERROR);
    errors.filter_map(|(_, body)| Some((number(body, 12)?, -(number(body, 0)? as i32)))).collect()
}

/// Kind and body of each message in a datagram.
fn split(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut messages = Vec::new();
    while let Some(length) = number(bytes, 0).map(|length| length as usize) {
        let Some(body) = bytes.get(HEADER_BYTES..length) else { break };
        messages.push((u16::from_ne_bytes([bytes[4], bytes[5]]), body));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    messages
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_aligned_and_nested_ones_have_their_length() {
        let message = Message::new(16, 0x600, &[9; 4]).nested(2, |m| m.text(1, "ab")).big_endian(3, 1);
        let head = [36_u32.to_ne_bytes(), [0; 4], 7_u32.to_ne_bytes(), [0; 4]].concat();
        let encoded = message.encode(7);
        assert_eq!(encoded.len(), 40);
        assert_eq!(encoded[8..16], head[8..16]);
        assert_eq!(encoded[16..20], [9; 4]);
        let attribute = |length: u16, kind: u16| [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
        assert_eq!(encoded[20..24], attribute(12, 2 | NESTED));
        assert_eq!(encoded[24..32], [attribute(7, 1), b"ab\0\0".to_vec()].concat());
        assert_eq!(encoded[32..], [attribute(8, 3), vec![0, 0, 0, 1]].concat());
    }

    #[test]
    fn errors_are_found_among_answers() {
        let answer = |sequence: u32, errno: i32| {
            let mut bytes = 36_u32.to_ne_bytes().to_vec();
            bytes.extend([ERROR.to_ne_bytes(), [0; 2]].concat());
            bytes.extend([0; 8]);
            bytes.extend((-errno).to_ne_bytes());
            // The header of what is answered.
            bytes.extend([0; 8]);
            bytes.extend(sequence.to_ne_bytes());
            bytes.extend([0; 4]);
            bytes
        };
        assert_eq!(read_answers(&[answer(1, 0), answer(2, 17)].concat()), [(1, 0), (2, 17)]);
        for end in 0..36 {
            assert_eq!(read_answers(&answer(1, 0)[..end]), []);
        }
        let mut endless = answer(1, 0);
        endless[..4].fill(0);
        assert_eq!(read_answers(&endless), []);
    }

    #[test]
    fn the_kernel_answers_requests() {
        // The loopback interface's own flags, left as they are: needs no privilege to be refused or root to be done.
        let loopback = Message::new(16, 0, &[0; 16]).text(3, "no-such-link");
        let failure = Netlink::routing().unwrap().ask(&loopback, "asking").unwrap_err();
        assert!([libc::ENODEV, libc::EPERM].contains(&failure.errno), "{failure:?}");
    }
}
