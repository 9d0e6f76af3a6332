//! How long a function's calls take.

use std::sync::LazyLock;

use crate::Random;
use crate::agenda::Time;

/// Draws of the spread around a mean; a table, as a billion logarithms would take minutes.
const DRAWS: usize = 4096;
/// Deviation of the logarithm within one function. Ours: what is published is how means differ between functions.
const DEVIATION: f64 = 0.5;

/// Log-normal factors with mean 1.
static FACTORS: LazyLock<Box<[f32]>> = LazyLock::new(|| {
    let mut random = Random::new(0);
    let factors: Vec<f64> = (0..DRAWS).map(|_| random.log_normal(0.0, DEVIATION)).collect();
    let mean = factors.iter().sum::<f64>() / DRAWS as f64;
    factors.iter().map(|factor| (factor / mean) as f32).collect()
});

/// A distribution of durations.
#[derive(Clone, Debug)]
pub enum Durations {
    /// Always these nanoseconds.
    Exactly(u64),
    /// Log-normally around this mean, in nanoseconds.
    Around(u64),
    /// Nanoseconds at the quantiles, ascending in both; evenly between two of them.
    Quantiles(Box<[(f32, u64)]>),
}

impl Durations {
    pub(crate) fn draw(&self, random: &mut Random) -> Time {
        match self {
            Self::Exactly(duration) => *duration,
            Self::Around(mean) => {
                let factor = FACTORS[random.bits() as usize % DRAWS];
                (*mean as f64 * f64::from(factor)) as Time
            }
            Self::Quantiles(points) => between(points, random.unit() as f32),
        }
    }
}

fn between(points: &[(f32, u64)], at: f32) -> Time {
    let above = points.partition_point(|(quantile, _)| *quantile <= at);
    match (above.checked_sub(1).and_then(|below| points.get(below)), points.get(above)) {
        (Some((q0, d0)), Some((q1, d1))) => {
            let share = f64::from((at - q0) / (q1 - q0));
            d0 + (d1.saturating_sub(*d0) as f64 * share) as Time
        }
        (Some((_, only)), None) | (None, Some((_, only))) => *only,
        (None, None) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_and_quantiles_are_kept() {
        let mut random = Random::new(2);
        let around = Durations::Around(1_000_000);
        let mean = (0..50_000).map(|_| around.draw(&mut random)).sum::<u64>() / 50_000;
        assert!((980_000..1_020_000).contains(&mean), "{mean}");
        let points = Durations::Quantiles(Box::new([(0.0, 10), (0.5, 20), (1.0, 1000)]));
        let mut drawn: Vec<Time> = (0..10_001).map(|_| points.draw(&mut random)).collect();
        drawn.sort_unstable();
        assert!(drawn[0] >= 10 && drawn[10_000] <= 1000);
        assert!((19..=40).contains(&drawn[5_000]), "{}", drawn[5_000]);
    }
}
