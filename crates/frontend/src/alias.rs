//! Which version an invoke of an alias runs.

use std::sync::Arc;

use hearth_types::function::{AliasRecord, VersionId};

/// An alias as invokes need it.
#[derive(Clone, Debug)]
pub(crate) struct Alias {
    /// The ARN that ends with the alias' name.
    pub(crate) arn: Arc<str>,
    version: VersionId,
    /// Further versions, each with the sum of the weights up to its own.
    further: Box<[(u64, f64)]>,
}

impl Alias {
    pub(crate) fn new(arn: Arc<str>, record: &AliasRecord) -> Self {
        let further = record.weights.iter().scan(0.0, |sum, (version, weight)| {
            *sum += weight;
            Some((*version, *sum))
        });
        Self { arn, version: record.version, further: further.collect() }
    }

    /// Whether chance decides.
    pub(crate) fn is_split(&self) -> bool {
        !self.further.is_empty()
    }

    /// How many of `requested` environments each version has, by its part of the invokes, rounded.
    pub(crate) fn shares(&self, requested: u32) -> Vec<(VersionId, u32)> {
        let (mut from, mut left) = (0.0, requested);
        let mut shares = Vec::with_capacity(self.further.len() + 1);
        for (version, up_to) in &self.further {
            let share = (f64::from(requested) * (up_to - from)).round() as u32;
            let share = share.min(left);
            shares.push((VersionId::Number(*version), share));
            (from, left) = (*up_to, left - share);
        }
        shares.push((self.version, left));
        shares
    }

    /// The version that an invoke runs. `random` is one of all numbers of 64 bits, each as likely as any other.
    pub(crate) fn choose(&self, random: u64) -> VersionId {
        // As many bits as a float between 0 and 1 can tell apart.
        let point = (random >> 11) as f64 / (1_u64 << 53) as f64;
        let chosen = self.further.iter().find(|(_, up_to)| point < *up_to);
        chosen.map_or(self.version, |(version, _)| VersionId::Number(*version))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use hearth_types::RevisionId;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn alias(weights: &[(u64, f64)]) -> Alias {
        let record = AliasRecord {
            version: VersionId::Number(1),
            description: String::new(),
            weights: weights.iter().copied().collect(),
            revision: RevisionId(Uuid::nil()),
        };
        Alias::new("arn".into(), &record)
    }

    #[test]
    fn without_weights_there_is_one_version() {
        let alias = alias(&[]);
        assert!(!alias.is_split());
        assert_eq!((alias.choose(0), alias.choose(u64::MAX)), (VersionId::Number(1), VersionId::Number(1)));
    }

    #[test]
    fn the_whole_weight_leaves_nothing_to_the_first_version_and_none_leaves_it_all() {
        for random in [0, 1, u64::MAX / 2, u64::MAX] {
            assert_eq!(alias(&[(2, 1.0)]).choose(random), VersionId::Number(2));
            assert_eq!(alias(&[(2, 0.0)]).choose(random), VersionId::Number(1));
        }
    }

    #[test]
    fn what_is_provisioned_is_divided_by_weight() {
        let (first, second) = (VersionId::Number(1), VersionId::Number(2));
        assert_eq!(alias(&[]).shares(5), [(first, 5)]);
        assert_eq!(alias(&[(2, 0.25)]).shares(10), [(second, 3), (first, 7)]);
        assert_eq!(alias(&[(2, 0.1)]).shares(1), [(second, 0), (first, 1)]);
        assert_eq!(alias(&[(2, 1.0)]).shares(4), [(second, 4), (first, 0)]);
    }

    proptest! {
        /// All that is provisioned is divided, whatever the weights.
        #[test]
        fn no_part_is_lost(first in 0.0..1.0_f64, second in 0.0..0.5_f64, requested in 0..5000_u32) {
            let weights = alias(&[(2, first * (1.0 - second)), (3, second)]);
            let sum: u32 = weights.shares(requested).iter().map(|(_, share)| share).sum();
            prop_assert_eq!(sum, requested);
        }

        /// Numbers spread evenly give each version its part, to one number of 1,000.
        #[test]
        fn each_version_gets_its_part(first in 0.0..0.5_f64, second in 0.0..0.5_f64, from in 0..u64::MAX / 1000) {
            let alias = alias(&[(2, first), (3, second)]);
            let mut counts = HashMap::new();
            for step in 0..1000 {
                *counts.entry(alias.choose(from + step * (u64::MAX / 1000))).or_insert(0) += 1;
            }
            for (version, weight) in [(1, 1.0 - first - second), (2, first), (3, second)] {
                let count = counts.get(&VersionId::Number(version)).copied().unwrap_or(0);
                prop_assert!((f64::from(count) - weight * 1000.0).abs() <= 1.001, "{version} at {weight}: {count}");
            }
        }
    }
}
