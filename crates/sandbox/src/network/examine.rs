//! Whether this machine can give environments a way to the outside; for a report to its user.

use std::os::fd::{AsFd, OwnedFd};

use hearth_types::limits::NETWORK_MBIT;
use rustix::net::{RecvFlags, SendFlags};
use rustix::process::{WaitId, WaitIdOptions};

use super::link::{Link, Peer};
use super::netlink::Netlink;
use super::range;
use super::table::Table;
use super::{UP, USUAL_MTU, forwarding, others, own_namespace, read_routes, rules};
use crate::channel::{self, Received};
use crate::error::{Done, During, Failure};
use crate::frame::Event;
use crate::sys::{self, Fork};

/// Makes links and packet rules as NAT does, in a network namespace that goes with the attempt.
pub(crate) fn links_and_rules() -> Done<String> {
    let (ours, childs) = channel::pair().during("making a socket pair")?;
    let process = match sys::fork(libc::CLONE_NEWNET, None).during("making a network namespace")? {
        Fork::Child => attempt(&childs),
        Fork::Parent { pidfd, .. } => pidfd,
    };
    drop(childs);
    let answer = channel::receive(&ours, RecvFlags::empty());
    rustix::process::waitid(WaitId::PidFd(process.as_fd()), WaitIdOptions::EXITED).during("waiting for an attempt")?;
    match answer {
        Ok(Received::Frame(Event::Ready, _)) => {
            Ok("veth links, their limits and nf_tables rules can be made".to_owned())
        }
        Ok(Received::Frame(Event::Failed(failure), _)) => Err(failure),
        _ => Err(Failure::new(libc::ECHILD, "trying to make links and packet rules")),
    }
}

fn attempt(parent: &OwnedFd) -> ! {
    let event = match make() {
        Ok(()) => Event::Ready,
        Err(failure) => Event::Failed(failure),
    };
    let _ = channel::send(parent, &event, &[], SendFlags::empty());
    sys::exit_now(0)
}

fn make() -> Done {
    let routing = Netlink::routing().during("opening a netlink socket")?;
    let link = Link { netlink: &routing, name: "hearth" };
    link.create(&Peer { name: UP, namespace: own_namespace()?.as_fd() }, USUAL_MTU)?;
    link.limit(NETWORK_MBIT)?;
    let netlink = Netlink::filtering().during("opening a netlink socket for packet rules")?;
    let range = range::free(&[]).next().ok_or_else(|| Failure::new(libc::EADDRNOTAVAIL, "finding addresses"))?;
    let table = |name, owned| Table { netlink: &netlink, name, owned };
    table("machine", true).create(&rules::SETS, &rules::of_machine(link.index()?, range))?;
    table("router", false).create(&[], &rules::of_router(link.index()?))
}

/// Where packets would go.
pub(crate) fn ways_out() -> Done<String> {
    let uplinks = read_routes()?.uplinks;
    let known: Vec<&str> = uplinks.iter().map(String::as_str).collect();
    let forwarding = if forwarding::of_machine() {
        "the machine forwards packets"
    } else {
        "the machine forwards no packets; these links will, for environments only and as long as the server runs"
    };
    match known.as_slice() {
        [] => Err(Failure::new(libc::ENETUNREACH, "looking for a default route: there is none, so nothing is reached")),
        links => Ok(format!("by {}; {forwarding}", links.join(", "))),
    }
}

/// Whether others' packet rules would drop what environments send.
pub(crate) fn unhindered() -> Done<String> {
    let netlink = Netlink::filtering().during("opening a netlink socket for packet rules")?;
    match others::forward_drops(&netlink, "")?.as_slice() {
        [] => Ok("no other firewall that is known by nf_tables".to_owned()),
        chains => Err(Failure::new(libc::EACCES, hint(chains))),
    }
}

/// What to do about chains that drop what is passed on.
pub(super) fn hint(chains: &[String]) -> String {
    let chains = chains.join(", ");
    format!("{chains} drops forwarded packets: let those from and to links named hearth* through (see the guide)")
}
