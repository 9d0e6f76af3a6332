//! Takes down what an environment leaves, and limits its disk: a process of its own, because both can take tens of
//! milliseconds and must not stand in the way of the next start. It outlives the spawner for long enough to take down the
//! environments of a spawner that was killed.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::thread;

use rustix::net::RecvFlags;

use super::devices::Devices;
use crate::cgroup::Cgroups;
use crate::cgroup::disk::Disks;
use crate::channel::{self, Received};
use crate::chore::{Chore, LinkName};
use crate::error::{Done, During};
use crate::network;
use crate::sys::{self, Fork};
use crate::tmp::{self, Backing};
use crate::weaken::{self, Defence};

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
            run(cgroups, instance, tmp_folder, disks, &reapers)
        }
        Fork::Parent { pidfd, .. } => Ok((ours, pidfd)),
    }
}

fn run(cgroups: &Cgroups, instance: &str, tmp_folder: &OwnedFd, disks: Option<&Disks>, chores: &OwnedFd) -> ! {
    let mut keep: Vec<_> =
        cgroups.descriptors().chain([chores.as_fd(), tmp_folder.as_fd()]).map(|fd| fd.as_raw_fd()).collect();
    let mut forwarding: Vec<LinkName> = Vec::new();
    if sys::close_all_but(&mut keep).is_ok() {
        thread::scope(|scope| {
            let devices = Devices::new(scope, cgroups, disks);
            while let Ok(Received::Frame(chore, fds)) = channel::receive(chores, RecvFlags::empty()) {
                match chore {
                    Chore::Forwarding { link } => forwarding.push(link), // Is for the end.
                    Chore::Cgroups { .. } if weaken::is_off(Defence::Cleanup) => {}
                    Chore::Cgroups { slot } => or_complain(cgroups.remove(slot)),
                    Chore::Limit { slot, loop_number } => devices.limit(slot, loop_number, fds),
                    Chore::Volume { backing: Backing::Disk { loop_number } } => devices.let_go(loop_number, fds),
                    Chore::Volume { backing: Backing::Memory { number } } => {
                        drop(fds);
                        or_complain(tmp::forget(tmp_folder.as_fd(), number));
                    }
                }
            }
        });
    }
    forwarding.iter().for_each(|link| network::switch_off(link.as_str()));
    cgroups.wait_until_empty();
    cgroups.remove_all(instance);
    sys::exit_now(0)
}

pub(super) fn or_complain(done: Done) {
    if let Err(failure) = done {
        eprintln!("hearth-spawner: {}: {}", failure.what, std::io::Error::from_raw_os_error(failure.errno));
    }
}
