//! Many durations, and what is said of them.

use std::time::Duration;

/// Durations in the order they were measured, until asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples {
    nanos: Vec<u64>,
    sorted: bool,
}

impl Samples {
    pub(crate) fn push(&mut self, duration: Duration) {
        self.nanos.push(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
        self.sorted = false;
    }

    pub(crate) fn append(&mut self, mut other: Self) {
        self.nanos.append(&mut other.nanos);
        self.sorted = false;
    }

    pub(crate) fn count(&self) -> usize {
        self.nanos.len()
    }

    /// The duration that the given part (0 to 1) of all does not exceed, in microseconds. 0 without samples.
    pub(crate) fn quantile_us(&mut self, part: f64) -> f64 {
        if !std::mem::replace(&mut self.sorted, true) {
            self.nanos.sort_unstable();
        }
        let rank = (part * self.nanos.len() as f64).ceil() as usize;
        self.nanos.get(rank.clamp(1, self.nanos.len().max(1)) - 1).map_or(0.0, |nanos| *nanos as f64 / 1e3)
    }

    /// As [`Self::quantile_us`], in milliseconds.
    pub(crate) fn quantile_ms(&mut self, part: f64) -> f64 {
        self.quantile_us(part) / 1e3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_what_was_measured() {
        let mut samples = Samples::default();
        assert_eq!(samples.quantile_us(0.5), 0.0);
        (1..=1000).rev().for_each(|us| samples.push(Duration::from_micros(us)));
        let of = |samples: &mut Samples, part| samples.quantile_us(part);
        assert_eq!(of(&mut samples, 0.5), 500.0);
        assert_eq!(of(&mut samples, 0.99), 990.0);
        assert_eq!(of(&mut samples, 0.999), 999.0);
        assert_eq!(of(&mut samples, 1.0), 1000.0);
        assert_eq!(samples.quantile_ms(1.0), 1.0);
    }
}
