//! Moments that one process tells another of.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// A moment of the monotonic clock: one for all processes of a machine, those in sandboxes included, which have no time
/// namespace of their own. In nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Since(pub(crate) u64);

impl Since {
    pub(crate) fn now() -> Self {
        let now = clock_gettime(ClockId::Monotonic);
        let now = Duration::try_from(now).unwrap_or_default();
        Self(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
    }

    /// The same for this process. What is told to come later is now.
    pub(crate) fn instant(self) -> Instant {
        let now = Instant::now();
        let past = Duration::from_nanos(Self::now().0.saturating_sub(self.0));
        now.checked_sub(past).unwrap_or(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_clock_of_instants() {
        let (before, since, after) = (Instant::now(), Since::now(), Instant::now());
        // Both clocks are read one after the other, so what is told may seem a little later than it was, never earlier.
        assert!(since.instant() >= before);
        assert!(Since(since.0.saturating_sub(3_000_000_000)).instant() < after - Duration::from_secs(2));
        assert!(Since(u64::MAX).instant() >= after);
    }
}
