//! Tables of packet rules, and how they get into the kernel: all at once or not at all.

use std::collections::BTreeSet;

use super::expression::Expression;
use super::netlink::{Message, Netlink};
use crate::error::Done;

const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;
const NEW_TABLE: u16 = SUBSYSTEM;
const NEW_CHAIN: u16 = SUBSYSTEM | 3;
const NEW_RULE: u16 = SUBSYSTEM | 6;
const NEW_SET: u16 = SUBSYSTEM | 9;
const NEW_ELEMENTS: u16 = SUBSYSTEM | 12;
const DELETE_ELEMENTS: u16 = SUBSYSTEM | 14;
const SUBSYSTEM: u16 = 10 << 8;

const CREATE: u16 = 0x400;
const APPEND: u16 = 0x800;

/// Rules for IPv4 and IPv6 together.
const FAMILY_INET: u8 = 1;

/// Flag of a table that goes with the socket that made it, and that nobody else can change.
const OWNED: u32 = 2;

/// Where the kernel asks a chain. The order is the kernel's own.
#[derive(Clone, Copy)]
pub(super) enum Hook {
    Prerouting = 0,
    Input = 1,
    Forward = 2,
    Output = 3,
    Postrouting = 4,
}

/// When, among others of the same hook.
#[derive(Clone, Copy)]
pub(super) enum Priority {
    /// Ahead of connection tracking, and so of whatever changes addresses.
    First = -300,
    Usual = 0,
    /// Where sources are changed.
    SourceAddresses = 100,
}

/// What becomes of a packet that no rule decides on.
#[derive(Clone, Copy)]
pub(super) enum Otherwise {
    Drop = 0,
    Accept = 1,
}

/// A chain with its rules.
pub(super) struct Chain {
    pub(super) name: &'static str,
    pub(super) hook: Hook,
    pub(super) priority: Priority,
    /// Of the rules that change addresses; else filters.
    pub(super) nat: bool,
    pub(super) otherwise: Otherwise,
    /// Each is its steps, in order.
    pub(super) rules: Vec<Vec<Expression>>,
}

/// A set that rules look things up in or count in.
#[derive(Clone, Copy)]
pub(super) enum Set {
    /// Names of links.
    Links(&'static str),
    /// Senders and the connections they have.
    Connections(&'static str),
}

/// A table.
pub(super) struct Table<'a> {
    pub(super) netlink: &'a Netlink,
    pub(super) name: &'a str,
    /// Goes with its socket, and nobody else can change it; else it goes with its network namespace.
    pub(super) owned: bool,
}

impl Table<'_> {
    pub(super) fn create(&self, sets: &[Set], chains: &[Chain]) -> Done {
        let flags = if self.owned { OWNED } else { 0 };
        let table = self.message(NEW_TABLE, CREATE).text(1, self.name).big_endian(2, flags);
        let mut batch = vec![(table, "table".to_owned())];
        for (id, set) in (1..).zip(sets) {
            batch.push((self.set(*set, id), "set".to_owned()));
        }
        for chain in chains {
            batch.push((self.chain(chain), format!("chain {}", chain.name)));
            for (number, rule) in (1..).zip(&chain.rules) {
                batch.push((self.rule(chain.name, rule), format!("chain {}, rule {number}", chain.name)));
            }
        }
        self.carry_out(batch, "making packet rules")
    }

    /// Makes a set of names hold `new` where it holds `old`.
    pub(super) fn change_links(&self, set: &'static str, old: &BTreeSet<String>, new: &BTreeSet<String>) -> Done {
        let go = old.difference(new).map(|name| (DELETE_ELEMENTS, name));
        let come = new.difference(old).map(|name| (NEW_ELEMENTS, name));
        let batch = go.chain(come).map(|(kind, name)| {
            let element = |m: Message| m.nested(1, |m| m.nested(1, |m| m.bytes(1, &link_name(name))));
            let message = self.message(kind, CREATE).text(1, self.name).text(2, set).nested(3, element);
            (message, name.clone())
        });
        self.carry_out(batch.collect(), "changing packet rules")
    }

    fn set(&self, set: Set, id: u32) -> Message {
        const EVALUATED: u32 = 0x20;
        const LINK_NAME: u32 = 41;
        const IPV4_ADDRESS: u32 = 7;
        let (name, flags, key_type, key_bytes) = match set {
            Set::Links(name) => (name, 0, LINK_NAME, 16),
            Set::Connections(name) => (name, EVALUATED, IPV4_ADDRESS, 4),
        };
        let message = self.message(NEW_SET, CREATE).text(1, self.name).text(2, name).big_endian(3, flags);
        let message = message.big_endian(4, key_type).big_endian(5, key_bytes);
        let message = match set {
            Set::Links(_) => message,
            Set::Connections(_) => message.nested(9, |m| m.big_endian(1, hearth_types::limits::SANDBOXES * 2)),
        };
        message.big_endian(10, id)
    }

    fn chain(&self, chain: &Chain) -> Message {
        let hook = |m: Message| m.big_endian(1, chain.hook as u32).big_endian(2, chain.priority as i32 as u32);
        self.message(NEW_CHAIN, CREATE)
            .text(1, self.name)
            .text(3, chain.name)
            .nested(4, hook)
            .big_endian(5, chain.otherwise as u32)
            .text(7, if chain.nat { "nat" } else { "filter" })
    }

    fn rule(&self, chain: &str, steps: &[Expression]) -> Message {
        let steps = |m: Message| steps.iter().fold(m, |m, step| step(m));
        self.message(NEW_RULE, CREATE | APPEND).text(1, self.name).text(2, chain).nested(4, steps)
    }

    fn message(&self, kind: u16, flags: u16) -> Message {
        Message::new(kind, flags, &[FAMILY_INET, 0, 0, 0]).acknowledged()
    }

    fn carry_out(&self, batch: Vec<(Message, String)>, what: &str) -> Done {
        if batch.is_empty() {
            return Ok(());
        }
        // The subsystem's number, in the network's order.
        let head = [[0, 0], (SUBSYSTEM >> 8).to_be_bytes()].concat();
        let frame = |kind| (Message::new(kind, 0, &head), String::new());
        let all: Vec<_> = std::iter::once(frame(BATCH_BEGIN)).chain(batch).chain([frame(BATCH_END)]).collect();
        self.netlink.ask_all(&all, what)
    }
}

/// As the kernel compares names: with zeros up to their greatest length.
fn link_name(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (byte, letter) in bytes.iter_mut().take(15).zip(name.bytes()) {
        *byte = letter;
    }
    bytes
}
