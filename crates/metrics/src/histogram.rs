//! Times, sorted by how long they are.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How many times there were up to each bound. Nothing guards one number against another: a reader beside a writer may
/// miss a part of the latest.
#[derive(Debug)]
pub struct Histogram {
    /// In milliseconds, growing.
    bounds_ms: &'static [u64],
    /// Of each bound those that are not within an earlier one; then those beyond all.
    counts: Box<[AtomicU64]>,
    sum_us: AtomicU64,
}

impl Histogram {
    /// With these bounds, in milliseconds, growing.
    #[must_use]
    pub fn new(bounds_ms: &'static [u64]) -> Self {
        let counts = (0..=bounds_ms.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds_ms, counts, sum_us: AtomicU64::new(0) }
    }

    /// One more.
    pub fn add(&self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let at = self.bounds_ms.partition_point(|bound_ms| bound_ms.saturating_mul(1000) < us);
        if let Some(count) = self.counts.get(at) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    /// Each bound in seconds with how many are within it; then how many there are.
    pub(crate) fn read(&self) -> (Vec<(f64, u64)>, u64) {
        let mut within = 0;
        let mut counts = self.counts.iter().map(|count| {
            within += count.load(Ordering::Relaxed);
            within
        });
        let bounds = self.bounds_ms.iter().map(|bound_ms| Duration::from_millis(*bound_ms).as_secs_f64());
        let bounds = bounds.zip(&mut counts).collect();
        (bounds, counts.next().unwrap_or(0))
    }

    /// In seconds.
    pub(crate) fn sum_s(&self) -> f64 {
        Duration::from_micros(self.sum_us.load(Ordering::Relaxed)).as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_counts_within_the_first_bound_that_it_does_not_exceed() {
        let histogram = Histogram::new(&[1, 10]);
        for us in [0, 1000, 1001, 10_000, 10_001, 5_000_000] {
            histogram.add(Duration::from_micros(us));
        }
        assert_eq!(histogram.read(), (vec![(0.001, 2), (0.01, 4)], 6));
        assert!((histogram.sum_s() - 5.022_002).abs() < 1e-9);
    }
}
