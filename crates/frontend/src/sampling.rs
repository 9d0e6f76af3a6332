//! Which requests are traced that nobody decided about: as Lambda has it, one a second and a twentieth of the others.

use std::sync::atomic::{AtomicU64, Ordering};

/// Of the requests beyond the first of each second, one in so many.
const ONE_IN: u64 = 20;

/// Decides for the requests to one version.
#[derive(Debug, Default)]
pub(crate) struct Sampler {
    /// The second, since 1970, that has had its first.
    second: AtomicU64,
}

impl Sampler {
    /// Whether this request is traced. `random` is one of all numbers of 64 bits, each as likely as any other.
    pub(crate) fn takes(&self, now_s: u64, random: u64) -> bool {
        let known = self.second.load(Ordering::Relaxed);
        let is_first =
            known != now_s && self.second.compare_exchange(known, now_s, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        is_first || random.is_multiple_of(ONE_IN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_second_and_a_twentieth_of_the_rest() {
        let sampler = Sampler::default();
        assert!(sampler.takes(100, 1));
        let taken = (0..2000).filter(|random| sampler.takes(100, *random)).count();
        assert_eq!(taken, 100);
        assert!(sampler.takes(101, 1) && !sampler.takes(101, 1));
    }
}
