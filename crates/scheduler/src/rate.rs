//! How often something may happen.

use std::num::NonZeroU32;
use std::time::Duration;

/// A bucket of tokens: as many may be taken at once as it holds, and it is filled again evenly.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// Tokens of a full bucket.
    pub burst: u32,
    /// Tokens that come back within `per`.
    pub refill: NonZeroU32,
    /// More than nothing.
    pub per: Duration,
}

impl Rate {
    /// That many in each second; at least one.
    #[must_use]
    pub fn per_second(count: u32) -> Self {
        let refill = NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        Self { burst: refill.get(), refill, per: Duration::from_secs(1) }
    }

    /// From one token to the next.
    fn interval(self) -> Duration {
        self.per / self.refill.get()
    }
}

/// How fast environments may come to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scaling {
    /// Each function for itself: as Lambda has it since November 2023, 1,000 in 10 seconds.
    PerFunction(Rate),
    /// All functions together: as Lambda had it before, a burst of 500 to 3,000, then 500 a minute.
    Account(Rate),
    /// As the machine can.
    Unlimited,
}

/// A bucket's level, kept as the time at which it will be full.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Bucket {
    /// Nanoseconds: one such number for each function there is, of which there may be a million.
    full_at_ns: u64,
}

impl Bucket {
    /// Whether a token is there.
    pub(crate) fn has(self, rate: Rate, now: Duration) -> bool {
        let missing = self.full_at().saturating_sub(now);
        let whole = rate.interval().saturating_mul(rate.burst);
        missing.saturating_add(rate.interval()) <= whole
    }

    /// Takes one; whether it is there was asked.
    pub(crate) fn take(&mut self, rate: Rate, now: Duration) {
        let full_at = self.full_at().max(now).saturating_add(rate.interval());
        self.full_at_ns = u64::try_from(full_at.as_nanos()).unwrap_or(u64::MAX);
    }

    fn full_at(self) -> Duration {
        Duration::from_nanos(self.full_at_ns)
    }

    /// Takes one if it is there.
    pub(crate) fn try_take(&mut self, rate: Rate, now: Duration) -> bool {
        let has = self.has(rate, now);
        if has {
            self.take(rate, now);
        }
        has
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LAMBDA: Rate = Rate { burst: 1000, refill: NonZeroU32::new(1000).unwrap(), per: Duration::from_secs(10) };

    fn taken(bucket: &mut Bucket, rate: Rate, now: Duration, asked: u32) -> usize {
        (0..asked).filter(|_| bucket.try_take(rate, now)).count()
    }

    #[test]
    fn a_burst_then_evenly() {
        let mut bucket = Bucket::default();
        let start = Duration::from_secs(100);
        assert_eq!(taken(&mut bucket, LAMBDA, start, 1500), 1000);
        assert_eq!(taken(&mut bucket, LAMBDA, start + Duration::from_millis(9), 5), 0);
        assert_eq!(taken(&mut bucket, LAMBDA, start + Duration::from_millis(10), 5), 1);
        assert_eq!(taken(&mut bucket, LAMBDA, start + Duration::from_secs(5), 1500), 499);
        assert_eq!(taken(&mut bucket, LAMBDA, start + Duration::from_secs(3600), 1500), 1000, "what is unused is lost");
    }

    #[test]
    fn there_is_nothing_in_an_empty_bucket() {
        let never = Rate { burst: 0, ..LAMBDA };
        assert!(!Bucket::default().has(never, Duration::from_secs(9)));
    }

    proptest! {
        /// Against a bucket that is counted in whole parts of a token.
        #[test]
        fn as_counted(burst in 1_u32..20, interval_ms in 1_u64..50, steps in prop::collection::vec((0_u64..120, 0_u32..30), 1..60)) {
            let rate = Rate { burst, refill: NonZeroU32::MIN, per: Duration::from_millis(interval_ms) };
            let full = u64::from(burst) * interval_ms;
            let (mut bucket, mut level, mut now_ms) = (Bucket::default(), full, 1_000_000);
            for (pause_ms, asked) in steps {
                now_ms += pause_ms;
                level = (level + pause_ms).min(full);
                let expected = u64::from(asked).min(level / interval_ms);
                level -= expected * interval_ms;
                let got = taken(&mut bucket, rate, Duration::from_millis(now_ms), asked);
                prop_assert_eq!(got as u64, expected);
            }
        }
    }
}
