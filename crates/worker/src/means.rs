//! What the runtimes that wait may take of the machine, and of what their processes may have.

use std::time::{Duration, Instant};

use hearth_types::limits::{AHEAD_FREE_PART, AHEAD_MEMORY_PART, OWN_DESCRIPTORS, SANDBOX_DESCRIPTORS, SANDBOXES};
use rustix::process::{Resource, getrlimit};

pub(crate) const MB: u64 = 1024 * 1024;

/// How long what was found of the machine's memory holds.
const LOOK_HOLDS: Duration = Duration::from_secs(1);

/// What all that wait may take together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Means {
    pub(crate) bytes: u64,
    pub(crate) sandboxes: usize,
}

/// The machine, as it was looked at last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    /// Memory that was available.
    available: u64,
    /// What those took then that waited.
    held: u64,
    /// Sandboxes that one worker can have.
    sandboxes: usize,
    at: Instant,
}

impl Look {
    pub(crate) fn now(held: u64) -> Self {
        let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kb = text
            .lines()
            .find_map(|line| line.strip_prefix("MemAvailable:")?.split_whitespace().next()?.parse::<u64>().ok());
        let available = kb.unwrap_or(0) * 1024;
        let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        Self { available, held, sandboxes: sandboxes(descriptors), at: Instant::now() }
    }

    /// Not at each decision: this is where cold starts pass.
    pub(crate) fn again(self, held: u64) -> Self {
        if self.at.elapsed() < LOOK_HOLDS { self } else { Self::now(held) }
    }

    /// Such a part of what is available.
    pub(crate) fn part(&self, part: u64) -> u64 {
        self.available / part
    }

    /// What may wait beside so many environments that live.
    pub(crate) fn means(&self, living: usize) -> Means {
        let free = self.sandboxes.saturating_sub(living);
        Means {
            bytes: (self.available + self.held) / AHEAD_MEMORY_PART,
            sandboxes: free - free.div_ceil(AHEAD_FREE_PART),
        }
    }
}

/// For how many a process has descriptors, up to what one spawner keeps.
fn sandboxes(descriptors: u64) -> usize {
    let most = descriptors.saturating_sub(OWN_DESCRIPTORS) / SANDBOX_DESCRIPTORS;
    usize::try_from(most.min(u64::from(SANDBOXES))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(available: u64, held: u64, descriptors: u64) -> Look {
        Look { available, held, sandboxes: sandboxes(descriptors), at: Instant::now() }
    }

    #[test]
    fn a_thousand_pythons_wait_on_a_machine_of_24_gb() {
        let means = look(20_000 * MB, 0, 524_288).means(0);
        assert!(means.bytes >= 1000 * 5 * MB && means.sandboxes >= 1000, "{means:?}");
    }

    #[test]
    fn what_waits_already_changes_nothing() {
        assert_eq!(look(16_000 * MB, 4_000 * MB, 9999).means(0), look(20_000 * MB, 0, 9999).means(0));
    }

    #[test]
    fn environments_that_live_and_few_descriptors_leave_less() {
        let most = SANDBOXES as usize;
        assert_eq!(look(0, 0, u64::MAX).means(0).sandboxes, most / 4 * 3);
        assert_eq!(look(0, 0, u64::MAX).means(most - 10).sandboxes, 7);
        assert_eq!(look(0, 0, u64::MAX).means(most + 10).sandboxes, 0);
        assert_eq!(look(0, 0, 4608).means(0).sandboxes, 372 - 93);
        assert_eq!(look(0, 0, 100).means(0).sandboxes, 0);
    }
}
