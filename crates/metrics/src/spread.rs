//! Times as finely as a median needs, in little room.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Parts of each doubling.
const PARTS: u32 = 4;
/// Up to 2^36 microseconds: more than any run takes.
const COUNTS: usize = 36 * PARTS as usize;

/// How many times there were of each length: neighbours differ by a quarter at most.
#[derive(Debug)]
pub struct Spread(Box<[AtomicU64]>);

impl Default for Spread {
    fn default() -> Self {
        Self((0..COUNTS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Spread {
    /// One more.
    pub fn add(&self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        if let Some(count) = self.0.get(place(us).min(COUNTS - 1)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The lengths that there were, each by the least microseconds that it stands for, and how many.
    #[must_use]
    pub fn read(&self) -> Vec<(u64, u64)> {
        let counts = self.0.iter().enumerate().map(|(at, count)| (least(at), count.load(Ordering::Relaxed)));
        counts.filter(|(_, count)| *count > 0).collect()
    }
}

/// Whole doublings, and the quarter of the next one.
fn place(us: u64) -> usize {
    let us = us.max(1);
    let doublings = us.ilog2();
    let quarter = if doublings < 2 { 0 } else { (us >> (doublings - 2)) & 3 };
    (doublings * PARTS) as usize + quarter as usize
}

fn least(place: usize) -> u64 {
    let (doublings, quarter) = (place as u32 / PARTS, place as u64 % u64::from(PARTS));
    let whole = 1_u64 << doublings;
    whole + whole / 4 * quarter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_found_at_its_length() {
        for us in [1, 2, 4, 5, 7, 100, 1234, 999_999, 900_000_000] {
            let spread = Spread::default();
            spread.add(Duration::from_micros(us));
            let [(least, 1)] = spread.read()[..] else { panic!("{us}: {:?}", spread.read()) };
            assert!(least <= us && us < least.max(2) * 3 / 2, "{us} counts as {least}");
        }
        let spread = Spread::default();
        spread.add(Duration::MAX);
        spread.add(Duration::ZERO);
        assert_eq!(spread.read().iter().map(|(_, count)| count).sum::<u64>(), 2);
    }
}
