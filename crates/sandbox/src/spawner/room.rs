//! Keeps the platform's room on the machine's disk: a /tmp is promised more than it takes, and all of them together may be
//! promised more than there is. Before the last of it goes, those environments end whose /tmps take the most.

use std::cmp::Reverse;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use hearth_types::limits::{DISK_FREE_BYTES, DISK_FREE_PART, DISK_WORTH_BYTES};
use rustix::fs::fstatvfs;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use super::Spawner;
use super::slot::Slot;
use crate::disk::Disk;
use crate::error::{Done, During};
use crate::frame::Answer;

/// Bytes that a disk takes in a second, at most.
const DISK_BYTES_PER_S: u64 = 4 << 30;
/// Between two looks at it.
const SOON: Duration = Duration::from_millis(100);
const LATE: Duration = Duration::from_secs(10);
/// What was ended gives its room back within this time; where nothing was, nothing changes soon.
const GOING: Duration = Duration::from_secs(1);

/// When the disk is to be looked at, and what the server knows of it.
pub(super) struct Room {
    time: OwnedFd,
    told: Disk,
}

impl Room {
    /// The first look comes soon.
    pub(super) fn new() -> Done<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let time = timerfd_create(TimerfdClockId::Monotonic, flags).during("making a timer for the machine's disk")?;
        let room = Self { time, told: Disk::default() };
        room.look_in(SOON)?;
        Ok(room)
    }

    pub(super) fn time(&self) -> BorrowedFd<'_> {
        self.time.as_fd()
    }

    fn look_in(&self, wait: Duration) -> Done {
        let none = Timespec { tv_sec: 0, tv_nsec: 0 };
        let wait = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: i64::from(wait.subsec_nanos()) };
        let once = Itimerspec { it_interval: none, it_value: wait };
        timerfd_settime(&self.time, TimerfdTimerFlags::empty(), &once).during("setting a timer").map(drop)
    }
}

impl Spawner {
    /// Looks how much of the disk is left.
    pub(super) fn keep_room(&mut self) -> Done {
        let Ok(disk) = fstatvfs(&self.tmp_folder) else { return self.look_in(LATE) };
        // What only root may use is of no use to the server.
        let (all, free) = (disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize);
        let kept = kept_free(all);
        if free >= kept {
            self.tell_of_disk(false, 0)?;
            return self.look_in(until_next(free - kept));
        }
        let volumes = self.slots.iter().filter_map(|(id, slot)| Some((*id, slot.disk_bytes()?)));
        let largest = largest(volumes.collect(), kept - free);
        // Who sees one of them end finds it counted.
        self.tell_of_disk(true, largest.len() as u64)?;
        for (id, bytes) in &largest {
            let (took, left, kept) = (bytes >> 20, free >> 20, kept >> 20);
            eprintln!(
                "hearth-spawner: the disk behind /tmp has {left} MB left of the {kept} that stay free: the environment \
                 in sandbox {id}, whose /tmp took {took} MB of it, is ended"
            );
            self.slots.get_mut(id).into_iter().for_each(Slot::spoil);
        }
        self.look_in(GOING)
    }

    /// Tells the server whether the disk is short and that so many more environments end for it, where either is news.
    fn tell_of_disk(&mut self, short: bool, end: u64) -> Done {
        let Some(room) = &mut self.room else { return Ok(()) };
        let disk = Disk { short, ended: room.told.ended + end };
        if disk == room.told {
            return Ok(());
        }
        room.told = disk;
        self.answer(&Answer::Disk(disk), &[])
    }

    fn look_in(&self, wait: Duration) -> Done {
        self.room.as_ref().map_or(Ok(()), |room| room.look_in(wait))
    }
}

/// Bytes that stay free of a disk of so many.
fn kept_free(all: u64) -> u64 {
    (all / DISK_FREE_PART).min(DISK_FREE_BYTES)
}

/// When so many bytes more than must be are free: before they can have gone.
fn until_next(more: u64) -> Duration {
    Duration::from_millis(more / (DISK_BYTES_PER_S / 1000)).clamp(SOON, LATE)
}

/// The volumes that take the most, until they together take what is missing; those that take little would not help.
fn largest(mut volumes: Vec<(u64, u64)>, missing: u64) -> Vec<(u64, u64)> {
    volumes.retain(|(_, bytes)| *bytes >= DISK_WORTH_BYTES);
    volumes.sort_unstable_by_key(|(id, bytes)| (Reverse(*bytes), *id));
    let mut before = 0;
    let helps = |(_, bytes): &(u64, u64)| {
        let still = before < missing;
        before += bytes;
        still
    };
    volumes.into_iter().take_while(helps).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1 << 20;

    #[test]
    fn a_small_disk_keeps_a_part_and_a_large_one_no_more_than_is_needed() {
        assert_eq!(kept_free(1000 * MB), 100 * MB);
        assert_eq!(kept_free(1 << 40), DISK_FREE_BYTES);
    }

    #[test]
    fn it_is_looked_at_before_it_can_be_full() {
        assert_eq!(until_next(0), SOON);
        assert_eq!(until_next(DISK_BYTES_PER_S * 3).as_secs(), 3);
        assert_eq!(until_next(u64::MAX), LATE);
    }

    #[test]
    fn those_go_that_take_the_most_and_no_more_than_must() {
        let volumes = vec![(1, 40 * MB), (2, 500 * MB), (3, MB), (4, 500 * MB), (5, 60 * MB)];
        let ids = |missing| largest(volumes.clone(), missing).into_iter().map(|(id, _)| id).collect::<Vec<_>>();
        assert_eq!(ids(1), [2]);
        assert_eq!(ids(500 * MB), [2]);
        assert_eq!(ids(501 * MB), [2, 4]);
        assert_eq!(ids(u64::MAX), [2, 4, 5, 1], "what takes little stays: it would not help");
    }
}
