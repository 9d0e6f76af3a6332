//! The loop devices behind /tmp, from the reaper's side: limited, let go, and kept for a while to be used again. Both to
//! add a device and to remove one is work for the kernel, its first limit and its removal wait for grace periods; a device
//! that has been used has a limit within microseconds.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Scope};

use hearth_types::limits::LOOP_DEVICES_KEPT;

use super::reaper::or_complain;
use crate::cgroup::Cgroups;
use crate::cgroup::disk::Disks;
use crate::sys;
use crate::volume;

/// Loop devices below this number come with the kernel and stay.
const KERNEL_LOOPS: u32 = 8;
/// Threads that limit; each waits for a grace period of its own.
const LIMITERS: u32 = 16;
/// Threads that unmount. What a function has written last may have to be flushed first, which no limit is to wait for.
const CLOSERS: usize = 8;
/// Bytes of a thread's stack.
const STACK: usize = 128 * 1024;
/// What waits for a thread; further work waits in the reaper's socket.
const QUEUE: usize = 64;

/// The threads, for who has the chores. They end with it, when all is done.
pub(super) struct Devices {
    /// All that is about a device goes to the same one, in its order.
    limiters: Vec<SyncSender<Work>>,
}

/// What is to be done with a device.
enum Work {
    Limit { slot: u64, loop_number: u32, io: Option<OwnedFd> },
    LetGo(Volume),
}

/// A /tmp that nobody needs any more.
struct Volume {
    loop_number: u32,
    mount: Vec<OwnedFd>,
}

/// Devices that nothing is bound to, as far as is known.
type Idle = Mutex<BTreeSet<u32>>;

impl Devices {
    pub(super) fn new<'scope, 'env>(
        scope: &'scope Scope<'scope, 'env>,
        cgroups: &'env Cgroups,
        disks: Option<&'env Disks>,
    ) -> Self {
        let idle = Arc::new(Idle::default());
        let (to_closers, volumes) = sync_channel(QUEUE);
        let volumes = Arc::new(Mutex::new(volumes));
        for _ in 0..CLOSERS {
            let (idle, volumes) = (idle.clone(), volumes.clone());
            start(scope, move || close(&volumes, &idle));
        }
        let limiter = |_| {
            let (sender, work) = sync_channel(QUEUE);
            let (idle, to_closers) = (idle.clone(), to_closers.clone());
            start(scope, move || look_after(&work, cgroups, disks, &idle, &to_closers));
            sender
        };
        Self { limiters: (0..LIMITERS).map(limiter).collect() }
    }

    /// Limits the disk of a slot; where that fails the slot ends.
    pub(super) fn limit(&self, slot: u64, loop_number: u32, mut fds: Vec<OwnedFd>) {
        self.hand_over(loop_number, Work::Limit { slot, loop_number, io: fds.pop() });
    }

    pub(super) fn let_go(&self, loop_number: u32, mount: Vec<OwnedFd>) {
        self.hand_over(loop_number, Work::LetGo(Volume { loop_number, mount }));
    }

    fn hand_over(&self, loop_number: u32, work: Work) {
        // The thread listens for as long as this value is there.
        let _ = self.limiters[(loop_number % LIMITERS) as usize].send(work);
    }
}

/// A reaper without its threads is no reaper: the spawner notices its end.
fn start<'scope>(scope: &'scope Scope<'scope, '_>, work: impl FnOnce() + Send + 'scope) {
    if let Err(error) = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work) {
        eprintln!("hearth-spawner: starting a thread of the reaper: {error}");
        sys::exit_now(1);
    }
}

fn look_after(
    work: &Receiver<Work>,
    cgroups: &Cgroups,
    disks: Option<&Disks>,
    idle: &Idle,
    to_closers: &SyncSender<Volume>,
) {
    for work in work {
        match work {
            Work::Limit { slot, loop_number, io } => {
                lock(idle).remove(&loop_number);
                let limited = disks.map_or(Ok(()), |disks| disks.limit(loop_number, io.as_ref()));
                // Where there is nothing left to kill, nothing is left to limit either.
                if let Err(failure) = limited
                    && cgroups.kill(slot).is_ok()
                {
                    or_complain(Err(failure));
                }
            }
            Work::LetGo(volume) => {
                // Before, so that what is still to be written for nobody takes no longer than it must.
                if let Some(disks) = disks {
                    disks.lift(volume.loop_number);
                }
                let _ = to_closers.send(volume);
            }
        }
    }
}

/// Unmounts; removes devices that are too many, and all of them at the end.
fn close(volumes: &Mutex<Receiver<Volume>>, idle: &Idle) {
    let next = || volumes.lock().unwrap_or_else(PoisonError::into_inner).recv();
    while let Ok(Volume { loop_number, mount }) = next() {
        drop(mount);
        if loop_number < KERNEL_LOOPS {
            continue;
        }
        // A statement of its own: nobody is to wait for the lock while the kernel removes a device.
        let surplus = keep(&mut lock(idle), loop_number);
        surplus.into_iter().for_each(remove);
    }
    while let Some(number) = { lock(idle).pop_last() } {
        remove(number);
    }
}

/// Keeps one more; gives back the one that goes for it. The kernel hands out the lowest first.
fn keep(idle: &mut BTreeSet<u32>, number: u32) -> Option<u32> {
    idle.insert(number);
    if idle.len() > LOOP_DEVICES_KEPT { idle.pop_last() } else { None }
}

fn remove(number: u32) {
    // Best effort: the device may still be in use by a mount that is just going, or again by another.
    let _ = volume::loop_control().map(|control| sys::loop_remove(control.as_fd(), number));
}

fn lock(idle: &Idle) -> MutexGuard<'_, BTreeSet<u32>> {
    // Nothing can panic while it is held.
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_go_first() {
        let mut idle = BTreeSet::new();
        let kept = LOOP_DEVICES_KEPT as u32;
        assert!((10..10 + kept).all(|number| keep(&mut idle, number).is_none()));
        assert_eq!(keep(&mut idle, 9), Some(9 + kept));
        assert_eq!(keep(&mut idle, 10), None, "it is there already");
        assert_eq!(keep(&mut idle, 1000), Some(1000));
    }
}
