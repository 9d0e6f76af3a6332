//! Takes down what an environment leaves: a process of its own, because leaving control groups and unmounting /tmp can
//! take tens of milliseconds and must not stand in the way of the next start. It outlives the spawner for long enough
//! to take down the environments of a spawner that was killed.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::net::RecvFlags;

use crate::cgroup::Cgroups;
use crate::cgroup::disk::{Disks, V1Files};
use crate::channel::{self, Received};
use crate::error::{Done, During};
use crate::frame::{Chore, LinkName};
use crate::network;
use crate::sys::{self, Fork};
use crate::tmp::{self, Backing};
use crate::volume;
use crate::weaken::{self, Defence};

/// Loop devices below this number come with the kernel and stay.
const KERNEL_LOOPS: u32 = 8;

/// Starts the reaper and returns the socket that takes its chores, and the process.
pub(super) fn start(
    cgroups: &Cgroups,
    instance: &str,
    tmp_folder: &OwnedFd,
    disks: Option<&Disks>,
) -> Done<(OwnedFd, OwnedFd)> {
    let (ours, reapers) = channel::pair().during("making a socket pair")?;
    match sys::fork(0, None).during("forking the reaper")? {
        Fork::Child => {
            drop(ours);
            run(cgroups, instance, tmp_folder, disks.and_then(|disks| disks.v1.as_ref()), &reapers)
        }
        Fork::Parent { pidfd, .. } => Ok((ours, pidfd)),
    }
}

fn run(cgroups: &Cgroups, instance: &str, tmp_folder: &OwnedFd, disks: Option<&V1Files>, chores: &OwnedFd) -> ! {
    let mut keep: Vec<_> = cgroups
        .descriptors()
        .chain([chores.as_fd(), tmp_folder.as_fd()])
        .chain(disks.into_iter().flat_map(V1Files::descriptors))
        .map(|fd| fd.as_raw_fd())
        .collect();
    let kept = sys::close_all_but(&mut keep);
    let mut forwarding: Vec<LinkName> = Vec::new();
    while kept.is_ok() {
        match channel::receive::<Chore>(chores, RecvFlags::empty()) {
            Ok(Received::Frame(Chore::Forwarding { link }, _)) => forwarding.push(link),
            Ok(Received::Frame(chore, fds)) => do_chore(cgroups, tmp_folder, disks, &chore, fds),
            Ok(Received::Closed) | Err(_) => break,
        }
    }
    forwarding.iter().for_each(|link| network::switch_off(link.as_str()));
    cgroups.wait_until_empty();
    cgroups.remove_all(instance);
    sys::exit_now(0)
}

fn do_chore(cgroups: &Cgroups, tmp_folder: &OwnedFd, disks: Option<&V1Files>, chore: &Chore, fds: Vec<OwnedFd>) {
    match *chore {
        Chore::Forwarding { .. } => {} // Is for the end.
        Chore::Cgroups { .. } if weaken::is_off(Defence::Cleanup) => {}
        Chore::Cgroups { slot } => {
            if let Err(failure) = cgroups.remove(slot) {
                complain(&failure.what, failure.errno);
            }
        }
        Chore::Volume { backing: Backing::Memory { number } } => {
            drop(fds);
            if let Err(failure) = tmp::forget(tmp_folder.as_fd(), number) {
                complain(&failure.what, failure.errno);
            }
        }
        Chore::Volume { backing: Backing::Disk { loop_number } } => {
            // Before, so that what is still to be written for nobody takes no longer than it must.
            if let Some(disks) = disks {
                disks.lift(loop_number);
            }
            drop(fds);
            if loop_number >= KERNEL_LOOPS {
                // Best effort: the device may still be in use by a mount that is just going, or again by another.
                let _ = volume::loop_control().map(|control| sys::loop_remove(control.as_fd(), loop_number));
            }
        }
    }
}

fn complain(what: &str, errno: i32) {
    eprintln!("hearth-spawner: {what}: {}", std::io::Error::from_raw_os_error(errno));
}
