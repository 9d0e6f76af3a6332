//! Which addresses environments get: a range that the machine itself has no use for.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use crate::error::{Done, Failure};

/// Bits of an address that name the range.
pub(super) const PREFIX: u8 = 20;
/// Addresses of a range.
const SIZE: u32 = 1 << (32 - PREFIX as u32);
/// Not for environments: the range's own name, the machine's end, the router.
const TAKEN: u32 = 3;

/// Where ranges are looked for, in this order: corners of the private networks that few use.
const CANDIDATES: [Ipv4Addr; 8] = [
    Ipv4Addr::new(10, 213, 208, 0),
    Ipv4Addr::new(10, 87, 208, 0),
    Ipv4Addr::new(10, 151, 208, 0),
    Ipv4Addr::new(10, 29, 208, 0),
    Ipv4Addr::new(172, 29, 208, 0),
    Ipv4Addr::new(172, 22, 208, 0),
    Ipv4Addr::new(192, 168, 208, 0),
    Ipv4Addr::new(100, 121, 208, 0),
];

/// The addresses of all environments of one spawner, and of what connects them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Range {
    pub(super) base: Ipv4Addr,
}

impl Range {
    /// The machine's end of its link to the router.
    pub(super) fn machine(self) -> Ipv4Addr {
        self.at(1)
    }

    /// The router, which all environments send to.
    pub(super) fn router(self) -> Ipv4Addr {
        self.at(2)
    }

    /// The mask of the bits that name the range.
    pub(super) fn mask() -> Ipv4Addr {
        Ipv4Addr::from_bits(!(SIZE - 1))
    }

    fn at(self, offset: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.base.to_bits() + offset)
    }

    fn overlaps(self, other: &Network) -> bool {
        let mask = Self::mask().to_bits() & other.mask;
        (self.base.to_bits() ^ other.address) & mask == 0
    }
}

/// Addresses that the machine knows a way to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Network {
    address: u32,
    mask: u32,
}

impl Network {
    pub(super) fn of_host(address: Ipv4Addr) -> Self {
        Self { address: address.to_bits(), mask: u32::MAX }
    }
}

/// The ranges that overlap nothing in `known`.
pub(super) fn free(known: &[Network]) -> impl Iterator<Item = Range> {
    let free = |range: &Range| !known.iter().any(|network| range.overlaps(network));
    CANDIDATES.into_iter().map(|base| Range { base }).filter(free)
}

/// What `/proc/net/route` tells: the networks that have a route of their own, and the links of default routes.
#[derive(PartialEq, Eq, Debug, Default)]
pub(super) struct Routes {
    pub(super) networks: Vec<Network>,
    pub(super) uplinks: BTreeSet<String>,
}

impl Routes {
    pub(super) fn parse(text: &str) -> Self {
        let mut routes = Self::default();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let [link, address, _, flags, _, _, _, mask, ..] = fields.as_slice() else { continue };
            // Addresses stand there as the machine's number of their four bytes.
            let number = |text: &str| u32::from_str_radix(text, 16).map(|n| u32::from_be_bytes(n.to_ne_bytes()));
            let (Ok(address), Ok(mask), Ok(flags)) = (number(address), number(mask), u32::from_str_radix(flags, 16))
            else {
                continue;
            };
            const UP: u32 = 1;
            const REJECT: u32 = 0x200;
            if mask != 0 {
                routes.networks.push(Network { address, mask });
            } else if flags & (UP | REJECT) == UP {
                routes.uplinks.insert((*link).to_owned());
            }
        }
        routes
    }
}

/// Gives each environment an address that no other has, and one that was given back as late as possible again: its link
/// may be there for a moment longer.
pub(super) struct Addresses {
    range: Range,
    taken: Vec<bool>,
    next: usize,
}

impl Addresses {
    pub(super) fn new(range: Range) -> Self {
        Self { range, taken: vec![false; (SIZE - TAKEN - 1) as usize], next: 0 }
    }

    pub(super) fn take(&mut self) -> Done<Ipv4Addr> {
        let count = self.taken.len();
        let free = (0..count).map(|step| (self.next + step) % count).find(|index| !self.taken[*index]);
        let index = free.ok_or_else(|| Failure::new(libc::EADDRNOTAVAIL, "finding a free address"))?;
        self.taken[index] = true;
        self.next = index + 1;
        Ok(self.range.at(TAKEN + index as u32))
    }

    pub(super) fn give_back(&mut self, address: Ipv4Addr) {
        let index = address.to_bits().wrapping_sub(self.range.at(TAKEN).to_bits()) as usize;
        if let Some(taken) = self.taken.get_mut(index) {
            *taken = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
        eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
        eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
        tun0\t0000D50A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
        *\t00000000\t00000000\t0200\t0\t0\t0\t00000000\t0\t0\t0\n\
        nonsense\n";

    fn network(address: [u8; 4], mask: u32) -> Network {
        Network { address: u32::from_be_bytes(address), mask }
    }

    #[test]
    fn routes_are_read() {
        let routes = Routes::parse(TABLE);
        let networks = [network([192, 0, 2, 0], 0xFFFF_FF00), network([10, 213, 0, 0], 0xFFFF_0000)];
        assert_eq!(routes.networks, networks);
        assert_eq!(routes.uplinks, BTreeSet::from(["eth0".to_owned()]));
    }

    #[test]
    fn a_range_avoids_what_the_machine_knows() {
        let first = |known: &[Network]| free(known).next().map(|range| range.base);
        assert_eq!(first(&[]), Some(CANDIDATES[0]));
        assert_eq!(first(&Routes::parse(TABLE).networks), Some(CANDIDATES[1]));
        assert_eq!(first(&[Network::of_host(Ipv4Addr::new(10, 213, 223, 255))]), Some(CANDIDATES[1]));
        assert_eq!(first(&[Network::of_host(Ipv4Addr::new(10, 213, 224, 0))]), Some(CANDIDATES[0]));
        let private = [
            network([10, 0, 0, 0], 0xFF00_0000),
            network([172, 16, 0, 0], 0xFFF0_0000),
            network([192, 168, 0, 0], 0xFFFF_0000),
        ];
        assert_eq!(first(&private), Some(CANDIDATES[7]));
        assert_eq!(first(&[network([0, 0, 0, 0], 0x8000_0000), network([128, 0, 0, 0], 0x8000_0000)]), None);
    }

    #[test]
    fn an_address_comes_back_late_and_is_never_shared() {
        let range = Range { base: CANDIDATES[0] };
        let mut addresses = Addresses::new(range);
        let first = addresses.take().unwrap();
        assert_eq!(first, Ipv4Addr::new(10, 213, 208, 3));
        addresses.give_back(first);
        assert_ne!(addresses.take().unwrap(), first);
        let mut all: BTreeSet<Ipv4Addr> = BTreeSet::new();
        while let Ok(address) = addresses.take() {
            assert!(all.insert(address));
        }
        assert!(all.contains(&first) && all.len() > 2 * hearth_types::limits::SANDBOXES as usize - 10);
        assert_eq!(all.last(), Some(&Ipv4Addr::new(10, 213, 223, 254)));
    }
}
