//! How long a function's environments were idle before they were used again.

use std::time::Duration;

/// Below a second, then two bins for each doubling, up to 9 hours and more.
const BINS: usize = 32;
/// Where each bin begins, in milliseconds.
const EDGES_MS: [u64; BINS] = edges_ms();
/// What a gap of each bin is taken for, in milliseconds: the geometric middle.
const MIDDLES_MS: [u64; BINS] = middles_ms();
/// One count of a bin weighs this much; each bin has a weight of 1 from the start, together one count: that a function of
/// which nothing is known is used again after a second is as likely as after an hour.
const WEIGHT: u64 = BINS as u64;

/// Counts of gaps by their length. Old ones count less: where a count is full, all are halved.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Gaps {
    counts: [u8; BINS],
}

/// A bin of [`Gaps`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Bin(usize);

impl Bin {
    pub(crate) fn of(gap: Duration) -> Self {
        let gap_ms = u64::try_from(gap.as_millis()).unwrap_or(u64::MAX);
        Self(EDGES_MS.partition_point(|edge| *edge <= gap_ms) - 1)
    }

    /// Where the next one begins; none after the last.
    pub(crate) fn end(self) -> Option<Duration> {
        EDGES_MS.get(self.0 + 1).copied().map(Duration::from_millis)
    }
}

impl Gaps {
    /// Of the shortest ones.
    pub(crate) fn first(&self) -> u64 {
        self.counts[0].into()
    }

    pub(crate) fn add(&mut self, gap: Duration) {
        let Bin(bin) = Bin::of(gap);
        if self.counts[bin] == u8::MAX {
            self.counts.iter_mut().for_each(|count| *count /= 2);
        }
        self.counts[bin] += 1;
    }

    /// Of an environment that has been idle until this bin: uses that are to be expected, against milliseconds that it is
    /// to be kept for them, if it is kept as long as this is worth most; it may go then, unused. Both more than nothing.
    ///
    /// This is Gittins's index. What is used in bursts is worth much for a moment, and little when that has passed,
    /// however long its next use is away then.
    pub(crate) fn expected(&self, Bin(from): Bin) -> (u64, u64) {
        let weights = self.counts.map(|count| u64::from(count) * WEIGHT + 1);
        let mut left: u64 = weights[from..].iter().sum();
        let (mut uses, mut waited_ms) = (0, 0);
        let mut best = (0, 1);
        for bin in from..BINS {
            uses += weights[bin];
            left -= weights[bin];
            waited_ms += weights[bin] * (MIDDLES_MS[bin] - EDGES_MS[from]);
            let end_ms = EDGES_MS.get(bin + 1).copied().unwrap_or(MIDDLES_MS[bin]);
            let kept_ms = waited_ms + left * (end_ms - EDGES_MS[from]);
            // The weights of all bins are less than 2^19 together, the milliseconds of a gap less than 2^26.
            if uses * best.1 > best.0 * kept_ms {
                best = (uses, kept_ms);
            }
        }
        best
    }
}

const fn edges_ms() -> [u64; BINS] {
    let mut edges = [0; BINS];
    let mut bin = 1;
    while bin < BINS {
        let doubled = 1000_u64 << ((bin - 1) / 2);
        edges[bin] = if bin % 2 == 1 { doubled } else { (2 * doubled * doubled).isqrt() };
        bin += 1;
    }
    edges
}

const fn middles_ms() -> [u64; BINS] {
    let mut middles = [500; BINS];
    let mut bin = 1;
    while bin < BINS {
        // The fourth root of 2.
        middles[bin] = EDGES_MS[bin] * 1189 / 1000;
        bin += 1;
    }
    middles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_as_long_as_said() {
        assert_eq!(EDGES_MS[..6], [0, 1000, 1414, 2000, 2828, 4000]);
        assert_eq!(EDGES_MS[BINS - 1], 32_768_000);
        for (gap_ms, bin) in [(0, 0), (999, 0), (1000, 1), (1413, 1), (1414, 2), (32_768_000, 31), (u64::MAX, 31)] {
            assert_eq!(Bin::of(Duration::from_millis(gap_ms)), Bin(bin), "{gap_ms} ms");
        }
        assert_eq!(Bin(1).end(), Some(Duration::from_millis(1414)));
        assert_eq!(Bin(31).end(), None);
    }

    #[test]
    fn what_is_not_known_of_is_expected_less_the_longer_it_is_idle() {
        let gaps = Gaps::default();
        let rates: Vec<_> = (0..BINS).map(|bin| gaps.expected(Bin(bin))).collect();
        // uses / kept falls, but for the first bin, which is as wide as those after it, and the last, after which nothing is
        // known.
        assert!(rates[1..BINS - 4].windows(2).all(|two| two[0].0 * two[1].1 > two[1].0 * two[0].1), "{rates:?}");
    }

    #[test]
    fn a_use_that_comes_nearer_counts_more_until_it_is_over() {
        let mut gaps = Gaps::default();
        (0..20).for_each(|_| gaps.add(Duration::from_secs(600)));
        let rate = |idle_s| {
            let (uses, kept_ms) = gaps.expected(Bin::of(Duration::from_secs(idle_s)));
            uses * 1_000_000_000 / kept_ms
        };
        assert!(rate(60) < rate(200) && rate(200) < rate(400) && rate(800) < rate(400) / 4);
    }

    #[test]
    fn what_comes_in_bursts_is_worth_much_for_a_moment() {
        let mut gaps = Gaps::default();
        (0..90).for_each(|_| gaps.add(Duration::from_secs(2)));
        (0..10).for_each(|_| gaps.add(Duration::from_secs(3600)));
        let kept_for_each_use_s = |idle_s| {
            let (uses, kept_ms) = gaps.expected(Bin::of(Duration::from_secs(idle_s)));
            kept_ms / uses / 1000
        };
        assert!((2..5).contains(&kept_for_each_use_s(0)), "not the mean of all gaps");
        assert!(kept_for_each_use_s(10) > 500);
    }

    #[test]
    fn a_full_count_halves_all() {
        let mut gaps = Gaps::default();
        gaps.add(Duration::from_secs(60));
        gaps.add(Duration::from_secs(60));
        (0..256).for_each(|_| gaps.add(Duration::ZERO));
        assert_eq!(gaps.counts[0], 128);
        assert_eq!(gaps.counts[Bin::of(Duration::from_secs(60)).0], 1);
    }
}
