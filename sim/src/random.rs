//! Numbers that look random and are the same for the same seed.

use std::f64::consts::TAU;

/// SplitMix64: eight bytes of state, so that each of a million functions has its own, and what one function draws moves
/// nothing in another.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A sequence of its own for the part `index` of what this seed makes.
    #[must_use]
    pub fn of_part(seed: u64, index: u64) -> Self {
        let mut mixed = Self(seed ^ index.wrapping_mul(0xd134_2543_de82_ef95));
        Self(mixed.bits())
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Evenly in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Evenly in 0..`bound`, which is more than 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The high half of the product: without the bias and the division of a remainder.
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// Whether one of `n` equal chances came; never for 0.
    pub fn one_in(&mut self, n: u64) -> bool {
        n > 0 && self.below(n) == 0
    }

    /// Exponentially with mean 1.
    pub fn exponential(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }

    /// Normally with mean 0 and deviation 1 (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (2.0 * self.exponential()).sqrt();
        radius * (TAU * self.unit()).cos()
    }

    /// Log-normally: `e` to the power of what is normal with this mean and deviation.
    pub fn log_normal(&mut self, mean: f64, deviation: f64) -> f64 {
        (mean + deviation * self.normal()).exp()
    }

    /// By the Burr distribution (type XII) with shapes `c` and `k` and this scale.
    pub fn burr(&mut self, c: f64, k: f64, scale: f64) -> f64 {
        let above = 1.0 - self.unit();
        scale * (above.powf(-1.0 / k) - 1.0).powf(1.0 / c)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: usize = 100_000;

    fn median(draw: impl FnMut() -> f64) -> f64 {
        let mut all: Vec<f64> = std::iter::repeat_with(draw).take(DRAWS).collect();
        all.sort_by(f64::total_cmp);
        all[DRAWS / 2]
    }

    #[test]
    fn draws_follow_their_distributions() {
        let mut random = Random::new(1);
        let mean = (0..DRAWS).map(|_| random.exponential()).sum::<f64>() / DRAWS as f64;
        assert!((mean - 1.0).abs() < 0.02, "{mean}");
        let variance = (0..DRAWS).map(|_| random.normal().powi(2)).sum::<f64>() / DRAWS as f64;
        assert!((variance - 1.0).abs() < 0.03, "{variance}");
        // The medians as the closed forms have them.
        let expected = 107.083 * (2_f64.powf(1.0 / 0.221) - 1.0).powf(1.0 / 11.652);
        let burr = median(|| random.burr(11.652, 0.221, 107.083));
        assert!((burr / expected - 1.0).abs() < 0.01, "{burr}, not {expected}");
        let log_normal = median(|| random.log_normal(-0.38, 2.36));
        assert!((log_normal / (-0.38_f64).exp() - 1.0).abs() < 0.05, "{log_normal}");
    }

    #[test]
    fn parts_are_apart() {
        let first: Vec<u64> = (0..4).map(|part| Random::of_part(7, part).bits()).collect();
        let other: Vec<u64> = (0..4).map(|part| Random::of_part(8, part).bits()).collect();
        assert!(first.iter().all(|drawn| !other.contains(drawn)));
        assert_eq!(first, (0..4).map(|part| Random::of_part(7, part).bits()).collect::<Vec<_>>());
    }
}
