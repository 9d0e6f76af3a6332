//! The way out of environments, where they have one.
//!
//! All environments of a spawner are behind one router: a network namespace without processes, which has a link to each
//! environment and one to the machine. So the machine's own namespace gets one link, and one table of packet rules, both
//! of which the kernel removes when the spawner's descriptors close, however it ends. What deleting an environment's
//! link costs (some 20 ms), a thread of the kernel pays when the last process and socket of its namespace are gone.

mod examine;
mod expression;
mod forwarding;
mod home;
mod link;
mod netlink;
mod others;
mod range;
mod resolvers;
mod rules;
mod shape;
mod sysctl;
mod table;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use self::forwarding::Forwarding;
use self::link::{Link, Peer};
use self::netlink::Netlink;
use self::range::{Addresses, Network, PREFIX, Range, Routes};
use self::table::Table;
use crate::error::{Done, During, Failure};
use crate::sys;

pub(crate) use self::examine::{links_and_rules, unhindered, ways_out};
pub(crate) use self::forwarding::switch_off;
pub(crate) use self::home::Home;
pub use self::resolvers::name_servers;

/// The router's link to the machine.
const UP: &str = "up";
/// An environment's link to the router.
const INSIDE: &str = "eth0";
/// The size of packets, in bytes, where no uplink wants smaller ones.
const USUAL_MTU: u32 = 1500;

/// NAT for all environments of one spawner.
pub(crate) struct Nat {
    router: OwnedFd,
    range: Range,
    addresses: Addresses,
    mtu: u32,
    /// Megabits a second of each environment, each way.
    mbit: Option<u32>,
    /// Owns the machine's table of packet rules, by its socket.
    rules: Netlink,
    table: String,
    changes: OwnedFd,
    uplinks: BTreeSet<String>,
    forwarding: Forwarding,
}

/// How one environment is connected; for its init.
pub(crate) struct Connection<'a> {
    router: BorrowedFd<'a>,
    /// The router's link to it.
    name: String,
    address: Ipv4Addr,
    gateway: Ipv4Addr,
    mtu: u32,
    mbit: Option<u32>,
}

impl Nat {
    /// Connects the router. Each environment gets `mbit` megabits a second in each direction, or all that there are. `switched` hears of each of the machine's links that is made to forward packets, before it is.
    pub(crate) fn open(mbit: Option<u32>, switched: impl FnMut(&str) -> Done) -> Done<Self> {
        let routes = read_routes()?;
        let name = format!("hearth{}", std::process::id());
        let machine = Netlink::routing().during("opening a netlink socket")?;
        let router = Router::new()?;
        let mtu = mtu_of(&routes.uplinks);
        let link = Link { netlink: &machine, name: &name };
        link.create(&Peer { name: UP, namespace: router.namespace.as_fd() }, mtu)?;
        forwarding::switch_on(&name)?;
        let range = connect_machine(&link, &routes)?;
        router.connect(range, mbit)?;
        let rules = Netlink::filtering().during("opening a netlink socket for packet rules")?;
        let table = Table { netlink: &rules, name: &name, owned: true };
        table.create(&rules::SETS, &rules::of_machine(link.index()?, range))?;
        let hindering = others::forward_drops(&rules, &name)?;
        if !hindering.is_empty() {
            eprintln!("hearth-spawner: functions may reach nothing: {}", examine::hint(&hindering));
        }
        let mut nat = Self {
            router: router.namespace,
            range,
            addresses: Addresses::new(range),
            mtu,
            mbit,
            rules,
            table: name,
            changes: Netlink::route_changes().during("opening a netlink socket for changes of routes")?,
            uplinks: BTreeSet::new(),
            forwarding: Forwarding::look(),
        };
        nat.let_through(&routes.uplinks, switched)?;
        Ok(nat)
    }

    /// Readable when [`Self::follow_routes`] has something to do.
    pub(crate) fn changes(&self) -> BorrowedFd<'_> {
        self.changes.as_fd()
    }

    /// Lets environments out by the links that have a default route now.
    pub(crate) fn follow_routes(&mut self, switched: impl FnMut(&str) -> Done) -> Done {
        let mut nothing = [0; 4096];
        // What exactly changed does not matter, nor does it if more did than fits.
        while !matches!(
            rustix::net::recv(&self.changes, &mut nothing, rustix::net::RecvFlags::DONTWAIT),
            Err(rustix::io::Errno::AGAIN)
        ) {}
        self.let_through(&read_routes()?.uplinks, switched)
    }

    fn let_through(&mut self, uplinks: &BTreeSet<String>, mut switched: impl FnMut(&str) -> Done) -> Done {
        let table = Table { netlink: &self.rules, name: &self.table, owned: true };
        let missing = self.forwarding.missing(uplinks);
        // The guard comes before the switch.
        table.change_links(rules::GUARDED, &BTreeSet::new(), &missing)?;
        for link in &missing {
            switched(link)?;
            self.forwarding.switch_on(link)?;
        }
        table.change_links(rules::UPLINKS, &self.uplinks, uplinks)?;
        self.uplinks.clone_from(uplinks);
        Ok(())
    }

    /// Takes down what the machine sees of it. Left alone, the link would go with the router's namespace: later, when a
    /// thread of the kernel comes to it.
    pub(crate) fn close(self) -> Done {
        let machine = Netlink::routing().during("opening a netlink socket")?;
        Link { netlink: &machine, name: &self.table }.remove()
    }

    /// An address for an environment.
    pub(crate) fn take_address(&mut self) -> Done<Ipv4Addr> {
        self.addresses.take()
    }

    /// How the environment in this slot is to be connected.
    pub(crate) fn connection(&self, slot: u64, address: Ipv4Addr) -> Connection<'_> {
        let (router, gateway, mtu) = (self.router.as_fd(), self.range.router(), self.mtu);
        Connection { router, name: format!("e{slot}"), address, gateway, mtu, mbit: self.mbit }
    }

    /// An environment that had this address is gone.
    pub(crate) fn give_back(&mut self, address: Ipv4Addr) {
        self.addresses.give_back(address);
    }
}

impl Connection<'_> {
    /// The only descriptor that it needs.
    pub(crate) fn router(&self) -> BorrowedFd<'_> {
        self.router
    }

    /// Connects the network namespace that this process is in. It has no address of IPv6, and so no way for it.
    pub(crate) fn make(&self) -> Done {
        let own = own_namespace()?;
        enter(self.router)?;
        let made = self.make_in_router(&own);
        enter(own.as_fd())?;
        made?;
        let netlink = Netlink::routing().during("opening a netlink socket")?;
        let link = Link { netlink: &netlink, name: INSIDE };
        sysctl::set_if_there(&format!("ipv6/conf/{INSIDE}/disable_ipv6"), "1")?;
        self.mbit.map_or(Ok(()), |mbit| link.limit(mbit))?;
        link.set_up()?;
        link.add_address(self.address)?;
        link.add_route(Ipv4Addr::UNSPECIFIED, 0, Some(self.gateway))
    }

    fn make_in_router(&self, own: &OwnedFd) -> Done {
        let netlink = Netlink::routing().during("opening a netlink socket")?;
        let link = Link { netlink: &netlink, name: &self.name };
        link.create(&Peer { name: INSIDE, namespace: own.as_fd() }, self.mtu)?;
        self.mbit.map_or(Ok(()), |mbit| link.limit(mbit))?;
        link.set_up()?;
        link.add_route(self.address, 32, None)
    }
}

/// The router while it is being connected.
struct Router {
    namespace: OwnedFd,
    routing: Netlink,
}

impl Router {
    fn new() -> Done<Self> {
        let own = own_namespace()?;
        sys::unshare(UnshareFlags::NEWNET).during("making a network namespace for the router")?;
        let made = Self::prepare();
        enter(own.as_fd())?;
        made
    }

    fn prepare() -> Done<Self> {
        sysctl::set_if_there("ipv6/conf/all/disable_ipv6", "1")?;
        sysctl::set_if_there("ipv6/conf/default/disable_ipv6", "1")?;
        sysctl::set("ipv4/ip_forward", "1")?;
        // A packet whose answer would go to another environment is not let in. Links made later take it over.
        sysctl::set("ipv4/conf/all/rp_filter", "1")?;
        sysctl::set("ipv4/conf/default/rp_filter", "1")?;
        for kind in ["all", "default"] {
            sysctl::set(&format!("ipv4/conf/{kind}/accept_redirects"), "0")?;
            sysctl::set(&format!("ipv4/conf/{kind}/send_redirects"), "0")?;
        }
        let routing = Netlink::routing().during("opening a netlink socket")?;
        Ok(Self { namespace: own_namespace()?, routing })
    }

    /// The rules come first: no packet passes without them. Their table goes with the namespace.
    fn connect(&self, range: Range, mbit: Option<u32>) -> Done {
        let own = own_namespace()?;
        enter(self.namespace.as_fd())?;
        let connected = self.connect_from_inside(range, mbit);
        enter(own.as_fd())?;
        connected
    }

    fn connect_from_inside(&self, range: Range, mbit: Option<u32>) -> Done {
        let up = Link { netlink: &self.routing, name: UP };
        let rules = Netlink::filtering().during("opening a netlink socket for packet rules")?;
        let table = Table { netlink: &rules, name: "hearth", owned: false };
        table.create(&[], &rules::of_router(up.index()?))?;
        if let Some(mbit) = mbit {
            // Nothing goes by the router's own loopback: it shows, before any environment, that the kernel can.
            Link { netlink: &self.routing, name: "lo" }.limit(mbit)?;
        }
        up.set_up()?;
        up.add_address(range.router())?;
        up.add_route(Ipv4Addr::UNSPECIFIED, 0, Some(range.machine()))
    }
}

/// Gives the machine's end its address and the route to all environments, in the first range that is free. Another spawner
/// may take the same one at this moment: then it is the next.
fn connect_machine(link: &Link<'_>, routes: &Routes) -> Done<Range> {
    let resolvers = name_servers().into_iter().filter_map(|address| match address.ip() {
        std::net::IpAddr::V4(address) => Some(Network::of_host(address)),
        std::net::IpAddr::V6(_) => None,
    });
    let known: Vec<Network> = routes.networks.iter().copied().chain(resolvers).collect();
    sysctl::set_if_there(&format!("ipv6/conf/{}/disable_ipv6", link.name), "1")?;
    sysctl::set(&format!("ipv4/conf/{}/rp_filter", link.name), "1")?;
    sysctl::set(&format!("ipv4/conf/{}/accept_redirects", link.name), "0")?;
    link.set_up()?;
    for range in range::free(&known) {
        match link.add_route(range.base, PREFIX, Some(range.router())) {
            Ok(()) => {
                link.add_address(range.machine())?;
                return Ok(range);
            }
            Err(failure) if failure.errno == libc::EEXIST => {}
            Err(failure) => return Err(failure),
        }
    }
    Err(Failure::new(libc::EADDRNOTAVAIL, "finding addresses for environments that no route of this machine covers"))
}

fn read_routes() -> Done<Routes> {
    let path = "/proc/net/route";
    Ok(Routes::parse(&std::fs::read_to_string(path).during(format_args!("reading {path}"))?))
}

/// The smallest size of packets among the uplinks, so that none has to be sent twice.
fn mtu_of(uplinks: &BTreeSet<String>) -> u32 {
    let of = |link: &String| std::fs::read_to_string(format!("/sys/class/net/{link}/mtu")).ok()?.trim().parse().ok();
    uplinks.iter().filter_map(of).min().unwrap_or(USUAL_MTU).clamp(576, USUAL_MTU)
}

/// The network namespace that this process is in.
fn own_namespace() -> Done<OwnedFd> {
    rustix::fs::openat(CWD, "/proc/self/ns/net", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .during("opening the network namespace")
}

fn enter(namespace: BorrowedFd<'_>) -> Done {
    move_into_link_name_space(namespace, Some(LinkNameSpaceType::Network)).during("entering a network namespace")
}
