//! What may pass between environments, the machine and the outside. Two tables say so, each enough to keep an environment
//! from the machine and from others: the router's, which all environments are behind, and the machine's.

use std::net::Ipv4Addr;

use hearth_types::limits::ENVIRONMENT_CONNECTIONS;

use super::expression::{
    ADDRESSED_ANEW, Compare, ESTABLISHED_OR_RELATED, Expression, Key, NEW, Side, Tracked, accept, destination_port,
    drop, for_another_machine, in_set, masquerade, meta, more_connections_than, network, reject, tracked,
};
use super::range::Range;
use super::table::{Chain, Hook, Otherwise, Priority, Set};

/// The links of default routes.
pub(super) const UPLINKS: &str = "uplinks";
/// Those of them that forward only because of us.
pub(super) const GUARDED: &str = "guarded";
const CONNECTIONS: &str = "connections";

/// Destinations that are no machine of the outside, with their masks: this network, loopback, link-local with the
/// metadata services of clouds, multicast, and what is above it.
const NOWHERE: [(Ipv4Addr, Ipv4Addr); 4] = [
    (Ipv4Addr::new(0, 0, 0, 0), Ipv4Addr::new(255, 0, 0, 0)),
    (Ipv4Addr::new(127, 0, 0, 0), Ipv4Addr::new(255, 0, 0, 0)),
    (Ipv4Addr::new(169, 254, 0, 0), Ipv4Addr::new(255, 255, 0, 0)),
    (Ipv4Addr::new(224, 0, 0, 0), Ipv4Addr::new(224, 0, 0, 0)),
];

/// Mail between servers: Lambda lets none out, either.
const MAIL_PORT: u16 = 25;

const TCP: u32 = libc::IPPROTO_TCP as u32;
const ICMP: u32 = libc::IPPROTO_ICMP as u32;
const IPV4: u32 = 2;

/// The router's: `up` is its link to the machine.
pub(super) fn of_router(up: u32) -> Vec<Chain> {
    let filter = |name, hook, rules| filter(name, hook, Otherwise::Drop, rules);
    let mut forward = vec![
        rule([meta(Key::Family, Compare::IsNot, IPV4), drop()]),
        rule([meta(Key::InLink, Compare::Is, up), accept()]),
        rule([meta(Key::OutLink, Compare::IsNot, up), reject()]),
    ];
    forward.extend(NOWHERE.map(|(base, mask)| rule([network(Side::Destination, Compare::Is, base, mask), reject()])));
    forward.push(rule([meta(Key::Protocol, Compare::Is, TCP), destination_port(MAIL_PORT), reject()]));
    forward.push(accept());
    vec![filter("forward", Hook::Forward, forward), filter("input", Hook::Input, vec![reject()])]
}

/// Sets that the machine's rules use.
pub(super) const SETS: [Set; 3] = [Set::Links(UPLINKS), Set::Links(GUARDED), Set::Connections(CONNECTIONS)];

/// The machine's: `link` is its link to the router. Packets of others pass as if there were no such rules.
pub(super) fn of_machine(link: u32, range: Range) -> Vec<Chain> {
    let filter = |name, hook, rules| filter(name, hook, Otherwise::Accept, rules);
    let from = || meta(Key::InLink, Compare::Is, link);
    let to = || meta(Key::OutLink, Compare::Is, link);
    let answers = || tracked(Tracked::State, true, ESTABLISHED_OR_RELATED);
    let ours = |how| network(Side::Source, how, range.base, Range::mask());
    let prerouting = vec![
        rule([from(), meta(Key::Family, Compare::IsNot, IPV4), drop()]),
        rule([from(), ours(Compare::IsNot), drop()]),
        rule([from(), for_another_machine(Compare::IsNot), reject()]),
    ];
    let forward = vec![
        rule([from(), answers(), accept()]),
        rule([from(), in_set(Key::OutLinkName, Compare::IsNot, UPLINKS), reject()]),
        rule([from(), more_connections_than(ENVIRONMENT_CONNECTIONS, CONNECTIONS), reject()]),
        rule([from(), accept()]),
        rule([to(), answers(), accept()]),
        rule([to(), drop()]),
        rule([
            in_set(Key::InLinkName, Compare::Is, GUARDED),
            tracked(Tracked::State, true, NEW),
            tracked(Tracked::Status, false, ADDRESSED_ANEW),
            drop(),
        ]),
    ];
    let output = vec![
        rule([to(), answers(), accept()]),
        rule([to(), meta(Key::Protocol, Compare::Is, ICMP), accept()]),
        rule([to(), drop()]),
    ];
    let postrouting = vec![rule([ours(Compare::Is), masquerade()])];
    vec![
        Chain { priority: Priority::First, ..filter("prerouting", Hook::Prerouting, prerouting) },
        filter("input", Hook::Input, vec![rule([from(), drop()])]),
        filter("forward", Hook::Forward, forward),
        filter("output", Hook::Output, output),
        Chain {
            priority: Priority::SourceAddresses,
            nat: true,
            ..filter("postrouting", Hook::Postrouting, postrouting)
        },
    ]
}

fn filter(name: &'static str, hook: Hook, otherwise: Otherwise, rules: Vec<Vec<Expression>>) -> Chain {
    Chain { name, hook, priority: Priority::Usual, nat: false, otherwise, rules }
}

fn rule<const N: usize>(parts: [Vec<Expression>; N]) -> Vec<Expression> {
    parts.into_iter().flatten().collect()
}
