//! How often each duration came, in buckets of about three per cent.

use crate::agenda::Time;

/// Parts of each power of two, as a power of two.
const PARTS: u32 = 5;
const BUCKETS: usize = (64 - PARTS as usize + 1) << PARTS;

/// Counts of nanoseconds.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    most: Time,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0, most: 0 }
    }

    pub(crate) fn record(&mut self, value: Time) {
        self.counts[bucket(value)] += 1;
        self.total += 1;
        self.most = self.most.max(value);
    }

    /// The value that the share `of` of all recorded ones do not exceed, up to three per cent too high; 0 without any.
    pub(crate) fn quantile(&self, of: f64) -> Time {
        let rank = (self.total as f64 * of).ceil() as u64;
        let mut seen = 0;
        let at = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank.max(1)
        });
        at.map_or(0, |index| ceiling(index).min(self.most))
    }
}

fn bucket(value: Time) -> usize {
    if value < 1 << PARTS {
        return value as usize;
    }
    let shift = 63 - value.leading_zeros() - PARTS;
    (((shift + 1) as usize) << PARTS) + ((value >> shift) as usize & ((1 << PARTS) - 1))
}

/// The greatest value of a bucket.
fn ceiling(index: usize) -> Time {
    let (shift, part) = (index >> PARTS, (index & ((1 << PARTS) - 1)) as u64);
    if shift == 0 {
        return part;
    }
    let base = (part | 1 << PARTS) << (shift - 1);
    base + ((1 << (shift - 1)) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Random;

    #[test]
    fn each_value_is_in_a_bucket_not_far_above_it() {
        let mut random = Random::new(5);
        let values = (0..100).chain((0..10_000).map(|_| random.bits() >> (random.bits() % 64)));
        for value in values.chain([u64::MAX]) {
            let ceiling = ceiling(bucket(value));
            assert!(ceiling >= value && ceiling - value <= value / 32, "{value} in a bucket up to {ceiling}");
        }
    }

    #[test]
    fn quantiles_by_rank() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.quantile(0.99), 0);
        (1..=100).for_each(|value| histogram.record(value * 1000));
        assert!((50_000..52_000).contains(&histogram.quantile(0.5)));
        assert!((99_000..=100_000).contains(&histogram.quantile(0.99)));
        assert_eq!(histogram.quantile(1.0), 100_000);
    }
}
