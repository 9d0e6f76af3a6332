//! Links, addresses and routes of the network namespace that a socket was opened in.

use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use super::netlink::{Message, Netlink};
use crate::error::{Done, During};

const NEW_LINK: u16 = 16;
const DELETE_LINK: u16 = 17;
const NEW_ADDRESS: u16 = 20;
const NEW_ROUTE: u16 = 24;

/// What must not be there yet is made.
const CREATE: u16 = 0x400 | 0x200;

const FAMILY_INET: u8 = libc::AF_INET as u8;

/// A link, by name: its own namespace's number for it is looked up where it is needed.
pub(super) struct Link<'a> {
    pub(super) netlink: &'a Netlink,
    pub(super) name: &'a str,
}

/// The other end of a new pair.
pub(super) struct Peer<'a> {
    pub(super) name: &'a str,
    pub(super) namespace: BorrowedFd<'a>,
}

impl Link<'_> {
    /// Makes a pair of links of this packet size in bytes: this one here, its peer in another namespace. Both are down.
    pub(super) fn create(&self, peer: &Peer<'_>, mtu: u32) -> Done {
        let no_link = link_head(0, 0);
        let message = Message::new(NEW_LINK, CREATE, &no_link).text(3, self.name).number(4, mtu).nested(18, |info| {
            info.text(1, "veth").nested(2, |data| {
                data.nested(1, |other| {
                    let namespace = peer.namespace.as_raw_fd() as u32;
                    other.raw(&no_link).text(3, peer.name).number(4, mtu).number(28, namespace)
                })
            })
        });
        self.netlink.ask(&message, &format!("making the link {}", self.name))
    }

    pub(super) fn set_up(&self) -> Done {
        let up = libc::IFF_UP as u32;
        let message = Message::new(NEW_LINK, 0, &link_head(up, up)).text(3, self.name);
        self.netlink.ask(&message, &format!("bringing the link {} up", self.name))
    }

    /// Removes the link, and so its peer.
    pub(super) fn remove(&self) -> Done {
        let message = Message::new(DELETE_LINK, 0, &link_head(0, 0)).text(3, self.name);
        self.netlink.ask(&message, &format!("removing the link {}", self.name))
    }

    /// Gives the link an address that no other link of its network shares.
    pub(super) fn add_address(&self, address: Ipv4Addr) -> Done {
        let mut head = vec![FAMILY_INET, 32, 0, 0];
        head.extend(self.index()?.to_ne_bytes());
        let address = address.octets();
        let message = Message::new(NEW_ADDRESS, CREATE, &head).bytes(2, &address).bytes(1, &address);
        self.netlink.ask(&message, &format!("giving the link {} its address", self.name))
    }

    /// Sends what is for `network`, of which the first `length` bits count, over this link: to `gateway`, or straight.
    pub(super) fn add_route(&self, network: Ipv4Addr, length: u8, gateway: Option<Ipv4Addr>) -> Done {
        const MAIN_TABLE: u8 = 254;
        const STATIC: u8 = 4;
        const UNICAST: u8 = 1;
        const ON_LINK: u32 = 4;
        let scope = if gateway.is_some() { 0 } else { 253 };
        let mut head = vec![FAMILY_INET, length, 0, 0, MAIN_TABLE, STATIC, scope, UNICAST];
        head.extend(gateway.map_or(0, |_| ON_LINK).to_ne_bytes());
        let mut message = Message::new(NEW_ROUTE, CREATE, &head).number(4, self.index()?);
        if length > 0 {
            message = message.bytes(1, &network.octets());
        }
        if let Some(gateway) = gateway {
            message = message.bytes(5, &gateway.octets());
        }
        self.netlink.ask(&message, &format!("making a route over the link {}", self.name))
    }

    pub(super) fn index(&self) -> Done<u32> {
        rustix::net::netdevice::name_to_index(self.netlink.as_fd(), self.name)
            .during(format_args!("looking for the link {}", self.name))
    }
}

/// `struct ifinfomsg` of no certain link.
fn link_head(flags: u32, change: u32) -> Vec<u8> {
    [[0; 4], [0; 4], flags.to_ne_bytes(), change.to_ne_bytes()].concat()
}
