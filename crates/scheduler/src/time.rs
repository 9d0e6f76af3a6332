//! Times as they are kept: of environments and functions there may be a million each.

use std::num::NonZeroU64;
use std::time::Duration;

/// A time, since the beginning or since something, in half the room that a `Duration` takes, and in no more where there may
/// be none. Whole nanoseconds, up to half a millennium; what is longer is that.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Time {
    /// One more than the nanoseconds.
    ns: NonZeroU64,
}

impl Time {
    pub(crate) const BEGINNING: Self = Self { ns: NonZeroU64::MIN };

    pub(crate) fn get(self) -> Duration {
        self.into()
    }
}

impl Default for Time {
    fn default() -> Self {
        Self::BEGINNING
    }
}

impl From<Duration> for Time {
    fn from(time: Duration) -> Self {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Self { ns: NonZeroU64::MIN.saturating_add(ns) }
    }
}

impl From<Time> for Duration {
    fn from(time: Time) -> Self {
        Self::from_nanos(time.ns.get() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_nanoseconds_and_takes_eight_bytes() {
        for ns in [0, 1, 999_999_999, 1_000_000_000, u64::MAX - 1] {
            let time = Duration::from_nanos(ns);
            assert_eq!(Time::from(time).get(), time);
        }
        assert_eq!(Time::from(Duration::MAX).get(), Duration::from_nanos(u64::MAX - 1));
        assert_eq!(size_of::<Option<Time>>(), 8);
    }
}
