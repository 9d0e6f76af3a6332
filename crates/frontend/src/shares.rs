//! Which part of the environments that are likely to be asked for is each worker's. Decides only.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use hearth_scheduler::WorkerId;

/// Environments of one version that are likely to be asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Likely<K> {
    /// What of the same is as good for another as for this.
    pub(crate) kind: K,
    /// Where they would start if all were asked for one after the other: how many on which worker.
    pub(crate) places: Vec<(WorkerId, u32)>,
}

/// Of which of these, by index, each worker is to be ready for how many: for those that would start there, and for at least that
/// part of each kind which it has of all that start. How many start where is known; which ones is not, as nobody knows who is
/// called first.
pub(crate) fn shares<K: Eq + Hash>(all: &[Likely<K>]) -> BTreeMap<WorkerId, BTreeMap<usize, u32>> {
    let mut shares: BTreeMap<WorkerId, BTreeMap<usize, u32>> = BTreeMap::new();
    for (index, likely) in all.iter().enumerate() {
        for (worker, count) in &likely.places {
            *shares.entry(*worker).or_default().entry(index).or_default() += count;
        }
    }
    let total: u128 = all.iter().map(Likely::count).sum();
    let kinds = by_kind(all);
    for share in shares.values_mut() {
        let starts: u128 = share.values().map(|count| u128::from(*count)).sum();
        for members in kinds.values() {
            let of_kind: u128 = members.iter().map(|index| all[*index].count()).sum();
            let has: u128 = members.iter().filter_map(|index| share.get(index)).map(|count| u128::from(*count)).sum();
            let mut short = (of_kind * starts).div_ceil(total.max(1)).saturating_sub(has);
            for index in members {
                let known = share.entry(*index).or_default();
                let more = (all[*index].count() - u128::from(*known)).min(short);
                *known += u32::try_from(more).unwrap_or(u32::MAX);
                short -= more;
            }
        }
        share.retain(|_, count| *count > 0);
    }
    shares
}

fn by_kind<K: Eq + Hash>(all: &[Likely<K>]) -> HashMap<&K, Vec<usize>> {
    let mut kinds: HashMap<&K, Vec<usize>> = HashMap::new();
    all.iter().enumerate().for_each(|(index, likely)| kinds.entry(&likely.kind).or_default().push(index));
    kinds
}

impl<K> Likely<K> {
    /// As many as there is room for.
    fn count(&self) -> u128 {
        self.places.iter().map(|(_, count)| u128::from(*count)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn likely(kind: &'static str, places: &[(u64, u32)]) -> Likely<&'static str> {
        Likely { kind, places: places.iter().map(|(worker, count)| (WorkerId(*worker), *count)).collect() }
    }

    /// Of which, and how many, by worker.
    fn of(all: &[Likely<&'static str>]) -> Vec<(u64, Vec<(usize, u32)>)> {
        shares(all).into_iter().map(|(worker, share)| (worker.0, share.into_iter().collect())).collect()
    }

    #[test]
    fn what_all_goes_to_one_worker_is_its() {
        assert_eq!(of(&[]), []);
        assert_eq!(of(&[likely("p", &[])]), [], "there is no room for it");
        let all = [likely("p", &[(1, 3)]), likely("n", &[(1, 1)]), likely("n", &[])];
        assert_eq!(of(&all), [(1, vec![(0, 3), (1, 1)])]);
    }

    #[test]
    fn what_is_of_one_kind_is_each_workers_as_it_would_start() {
        let all = [likely("p", &[(1, 1)]), likely("p", &[(2, 1)]), likely("p", &[(1, 1), (2, 1)])];
        assert_eq!(of(&all), [(1, vec![(0, 1), (2, 1)]), (2, vec![(1, 1), (2, 1)])]);
    }

    #[test]
    fn of_each_kind_one_waits_wherever_it_may_start_first() {
        let all = [likely("p", &[(1, 1)]), likely("n", &[(2, 1)])];
        assert_eq!(of(&all), [(1, vec![(0, 1), (1, 1)]), (2, vec![(0, 1), (1, 1)])]);
    }

    #[test]
    fn each_worker_has_of_a_kind_the_part_that_it_has_of_all() {
        // Of eight three quarters start on the first.
        let all = [likely("p", &[(1, 4)]), likely("n", &[(1, 2), (2, 2)])];
        assert_eq!(of(&all), [(1, vec![(0, 4), (1, 3)]), (2, vec![(0, 1), (1, 2)])]);
    }

    #[test]
    fn a_worker_where_nothing_starts_has_no_part() {
        let all = [likely("p", &[(2, 9)]), likely("n", &[(2, 1)])];
        assert_eq!(of(&all), [(2, vec![(0, 9), (1, 1)])]);
    }

    #[test]
    fn no_worker_is_to_be_ready_for_more_of_a_version_than_there_are() {
        let most = u32::MAX;
        let all = [likely("p", &[(1, most)]), likely("p", &[(2, most)]), likely("n", &[(2, 1)])];
        for (_, share) in of(&all) {
            assert!(share.iter().all(|(index, count)| u128::from(*count) <= all[*index].count()), "{share:?}");
        }
    }
}
