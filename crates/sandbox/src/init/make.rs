//! The first step: everything that depends neither on the runtime nor on the function.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, OwnedFd};

use hearth_types::limits::{INSIDE_BACKLOG, NAMES_BACKLOG, RUNTIME_BACKLOG};
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType};
use rustix::thread::UnshareFlags;

use super::{Plan, TmpPlan, mounts};
use crate::channel;
use crate::error::{Done, During};
use crate::frame::{Event, Note};
use crate::sys;
use crate::volume;

/// Where a runtime finds its Runtime API.
const RUNTIME_API: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(169, 254, 100, 1), 9001);

/// Where the function finds the server's API.
const API: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 4566);

/// Where programs ask for names, as the root's `/etc/resolv.conf` says.
const NAMES: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 53);

/// Where programs send segments of traces, as their variables say.
const SEGMENTS: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(169, 254, 100, 1), 2000);

/// The name resolves, here without any file.
const HOST_NAME: &[u8] = b"localhost";

/// What is made and attached later; none of it is on a path yet.
pub(super) struct Made {
    pub(super) proc: OwnedFd,
    pub(super) dev: Option<OwnedFd>,
    pub(super) tmp: OwnedFd,
}

/// A /tmp, and the number of its loop device where it is on one of this process's making.
struct OwnTmp {
    mount: OwnedFd,
    loop_number: Option<u32>,
    /// Behind the device, where this process has made it.
    file: Option<OwnedFd>,
}

pub(super) fn make(plan: &Plan<'_>) -> Done<Made> {
    let tmp = prepare_tmp(plan)?;
    enter_cgroups(plan)?;
    let sockets = prepare_network(plan)?;
    rustix::system::sethostname(HOST_NAME).during("setting the host name")?;
    let (proc, dev) = (mounts::make_proc()?, mounts::make_dev()?);
    let note = Note::Made { loop_number: tmp.loop_number };
    let mount = tmp.loop_number.map(|_| tmp.mount.as_fd());
    let disk: Vec<_> = mount.into_iter().chain(tmp.file.as_ref().map(AsFd::as_fd)).collect();
    channel::send(&plan.orders, &note, &disk, SendFlags::empty()).during("telling the spawner")?;
    let sockets: Vec<_> = sockets.iter().map(AsFd::as_fd).collect();
    channel::send(&plan.channel, &Event::Ready, &sockets, SendFlags::empty()).during("telling the server")?;
    Ok(Made { proc, dev, tmp: tmp.mount })
}

/// Comes first, so that the shared template's pages are not charged to this environment.
fn prepare_tmp(plan: &Plan<'_>) -> Done<OwnTmp> {
    match &plan.tmp {
        TmpPlan::New { mb } => {
            let (mount, number, file) = volume::create(plan.tmp_folder, *mb, &plan.slot.to_string())?;
            Ok(OwnTmp { mount, loop_number: Some(number), file: Some(file.into()) })
        }
        TmpPlan::Join { loop_number } => {
            Ok(OwnTmp { mount: volume::mount(*loop_number)?, loop_number: Some(*loop_number), file: None })
        }
        TmpPlan::Made(mount) => {
            let mount = mount.try_clone().during("duplicating the mount of /tmp")?;
            Ok(OwnTmp { mount, loop_number: None, file: None })
        }
    }
}

/// Joins the v1 groups (it was cloned into the v2 one) and hides all groups above its own.
fn enter_cgroups(plan: &Plan<'_>) -> Done {
    for procs in &plan.attach {
        rustix::io::write(procs, b"0").during("entering a control group")?;
    }
    sys::unshare(UnshareFlags::NEWCGROUP).during("making a cgroup namespace")
}

/// The sockets that the server gets, in the order of [`Event::Ready`].
fn prepare_network(plan: &Plan<'_>) -> Done<Vec<OwnedFd>> {
    let runtime_api = socket(SocketType::STREAM).during("making the Runtime API's socket")?;
    sys::loopback_up(runtime_api.as_fd()).during("bringing the loopback interface up")?;
    sys::loopback_address(runtime_api.as_fd(), *RUNTIME_API.ip()).during("giving the Runtime API its address")?;
    listen(&runtime_api, RUNTIME_API, RUNTIME_BACKLOG).during("listening on the Runtime API's socket")?;
    let what = "listening for calls of the API";
    let api = socket(SocketType::STREAM).during(what)?;
    listen(&api, API, INSIDE_BACKLOG).during(what)?;
    let mut sockets = vec![runtime_api, api];
    if let Some(connection) = &plan.connection {
        connection.make()?;
        let what = "listening for questions about names";
        sockets.push(datagrams(NAMES).during(what)?);
        let streams = socket(SocketType::STREAM).during(what)?;
        listen(&streams, NAMES, NAMES_BACKLOG).during(what)?;
        sockets.push(streams);
    }
    if plan.segments {
        sockets.push(datagrams(SEGMENTS).during("listening for segments of traces")?);
    }
    Ok(sockets)
}

fn datagrams(address: SocketAddrV4) -> rustix::io::Result<OwnedFd> {
    let socket = socket(SocketType::DGRAM)?;
    rustix::net::bind(&socket, &address)?;
    Ok(socket)
}

fn socket(kind: SocketType) -> rustix::io::Result<OwnedFd> {
    rustix::net::socket_with(AddressFamily::INET, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)
}

fn listen(socket: &OwnedFd, address: SocketAddrV4, backlog: i32) -> rustix::io::Result<()> {
    rustix::net::bind(socket, &address)?;
    rustix::net::listen(socket, backlog)
}
