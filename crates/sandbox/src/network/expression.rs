//! The words of packet rules, as `nf_tables` takes them.

use std::net::Ipv4Addr;

use super::netlink::Message;

/// The register that values are compared in.
const REGISTER: u32 = 1;
const VERDICT_REGISTER: u32 = 0;

/// One step of a rule: a packet for which it does not hold leaves the rule.
pub(super) type Expression = Box<dyn Fn(Message) -> Message>;

/// Data of a packet that rules look at.
#[derive(Clone, Copy)]
pub(super) enum Key {
    /// The link that it came by, by number.
    InLink = 4,
    /// The link that it leaves by, by number.
    OutLink = 5,
    /// The name of that link.
    OutLinkName = 7,
    /// Name of the link that it came by.
    InLinkName = 6,
    /// IPv4 or IPv6.
    Family = 15,
    /// TCP, UDP, ICMP...
    Protocol = 16,
}

/// What connection tracking knows of a packet.
#[derive(Clone, Copy)]
pub(super) enum Tracked {
    /// [`ESTABLISHED_OR_RELATED`] and its like.
    State = 0,
    /// [`ADDRESSED_ANEW`] and its like.
    Status = 2,
}

/// The packet belongs to a connection that was let through, or is an error about one.
pub(super) const ESTABLISHED_OR_RELATED: u32 = 2 | 4;
/// The packet begins a connection.
pub(super) const NEW: u32 = 8;
/// The machine has changed where the packet goes to.
pub(super) const ADDRESSED_ANEW: u32 = 1 << 5;

/// How a value is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Compare {
    Is = 0,
    IsNot = 1,
}

fn expression(name: &'static str, data: impl Fn(Message) -> Message + 'static) -> Expression {
    Box::new(move |message| message.nested(1, |m| m.text(1, name).nested(2, &data)))
}

fn load(key: Key) -> Expression {
    expression("meta", move |m| m.big_endian(1, REGISTER).big_endian(2, key as u32))
}

fn compare(how: Compare, value: Vec<u8>) -> Expression {
    expression("cmp", move |m| m.big_endian(1, REGISTER).big_endian(2, how as u32).nested(3, |m| m.bytes(1, &value)))
}

fn mask(mask: Vec<u8>) -> Expression {
    let none = vec![0; mask.len()];
    expression("bitwise", move |m| {
        m.big_endian(1, REGISTER)
            .big_endian(2, REGISTER)
            .big_endian(3, mask.len() as u32)
            .nested(4, |m| m.bytes(1, &mask))
            .nested(5, |m| m.bytes(1, &none))
    })
}

/// A number of the packet's data is, or is not, this one.
pub(super) fn meta(key: Key, how: Compare, value: u32) -> Vec<Expression> {
    let value = match key {
        Key::Family | Key::Protocol => vec![value as u8],
        _ => value.to_ne_bytes().to_vec(),
    };
    vec![load(key), compare(how, value)]
}

/// A name of the packet's data is, or is not, in this set.
pub(super) fn in_set(key: Key, how: Compare, set: &'static str) -> Vec<Expression> {
    const INVERTED: u32 = 1;
    let flags = if how == Compare::Is { 0 } else { INVERTED };
    vec![load(key), expression("lookup", move |m| m.text(1, set).big_endian(2, REGISTER).big_endian(5, flags))]
}

/// Some, or none, of these bits are set.
pub(super) fn tracked(what: Tracked, some: bool, bits: u32) -> Vec<Expression> {
    let how = if some { Compare::IsNot } else { Compare::Is };
    let read = expression("ct", move |m| m.big_endian(1, REGISTER).big_endian(2, what as u32));
    vec![read, mask(bits.to_ne_bytes().to_vec()), compare(how, vec![0; 4])]
}

/// Offset of the sender's and of the receiver's address in the head of an IPv4 packet.
#[derive(Clone, Copy)]
pub(super) enum Side {
    Source = 12,
    Destination = 16,
}

fn address(side: Side) -> Expression {
    const NETWORK_HEAD: u32 = 1;
    expression("payload", move |m| {
        m.big_endian(1, REGISTER).big_endian(2, NETWORK_HEAD).big_endian(3, side as u32).big_endian(4, 4)
    })
}

/// An IPv4 address is, or is not, in a network.
pub(super) fn network(side: Side, how: Compare, base: Ipv4Addr, bits: Ipv4Addr) -> Vec<Expression> {
    let [base, bits] = [base, bits].map(|address| address.octets().to_vec());
    vec![address(side), mask(bits), compare(how, base)]
}

/// The port that a TCP or UDP packet is for.
pub(super) fn destination_port(port: u16) -> Vec<Expression> {
    const TRANSPORT_HEAD: u32 = 2;
    let read = expression("payload", |m| {
        m.big_endian(1, REGISTER).big_endian(2, TRANSPORT_HEAD).big_endian(3, 2).big_endian(4, 2)
    });
    vec![read, compare(Compare::Is, port.to_be_bytes().to_vec())]
}

/// The packet is for one other machine: none of this one's addresses, no broadcast, no multicast.
pub(super) fn for_another_machine(how: Compare) -> Vec<Expression> {
    const ADDRESS_TYPE: u32 = 3;
    const OF_DESTINATION: u32 = 2;
    const UNICAST: u32 = 1;
    let read =
        expression("fib", |m| m.big_endian(1, REGISTER).big_endian(2, ADDRESS_TYPE).big_endian(3, OF_DESTINATION));
    vec![read, compare(how, UNICAST.to_ne_bytes().to_vec())]
}

/// The packet's sender has more connections than this, each counted in the set.
pub(super) fn more_connections_than(count: u32, set: &'static str) -> Vec<Expression> {
    const ADD: u32 = 0;
    const ABOVE: u32 = 1;
    let add = expression("dynset", move |m| {
        let counted = |m: Message| m.text(1, "connlimit").nested(2, |m| m.big_endian(1, count).big_endian(2, ABOVE));
        m.text(1, set).big_endian(3, ADD).big_endian(4, REGISTER).nested(7, counted)
    });
    vec![address(Side::Source), add]
}

fn verdict(code: u32) -> Vec<Expression> {
    vec![expression("immediate", move |m| {
        m.big_endian(1, VERDICT_REGISTER).nested(2, |m| m.nested(2, |m| m.big_endian(1, code)))
    })]
}

pub(super) fn accept() -> Vec<Expression> {
    verdict(1)
}

pub(super) fn drop() -> Vec<Expression> {
    verdict(0)
}

/// Tells the sender that the way is prohibited, so that it need not wait.
pub(super) fn reject() -> Vec<Expression> {
    const ICMP_OF_EITHER_FAMILY: u32 = 2;
    const PROHIBITED: u8 = 3;
    vec![expression("reject", |m| m.big_endian(1, ICMP_OF_EITHER_FAMILY).bytes(2, &[PROHIBITED]))]
}

/// Sends the packet under the address of the link that it leaves by.
pub(super) fn masquerade() -> Vec<Expression> {
    vec![expression("masq", |m| m)]
}
