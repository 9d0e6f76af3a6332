//! Which shards of a stream are read: of those that were split or merged into others, these come after them. Pure.

use std::collections::{BTreeMap, BTreeSet};

use hearth_types::mapping::Position;

use super::service::Listed;
use super::shard::{Checkpoint, Start};

/// What is kept for the shards that there are when a mapping begins. What a table or stream had closed before is none of
/// what comes next.
pub(super) fn first(listed: &[Listed], from: Position, since_ms: i64) -> Vec<(String, Checkpoint)> {
    let start = match from {
        Position::TrimHorizon => Start::TrimHorizon,
        Position::Latest => Start::After(since_ms),
        Position::At(time_ms) => Start::After(time_ms),
    };
    let is_over = |shard: &Listed| from == Position::Latest && shard.is_closed;
    let first = listed
        .iter()
        .map(|shard| (shard.id.clone(), Checkpoint { is_finished: is_over(shard), ..Checkpoint::new(start) }));
    first.collect()
}

/// What is to be kept for shards that have come since: whatever is in them was not read yet.
pub(super) fn new(listed: &[Listed], kept: &BTreeMap<String, Checkpoint>) -> Vec<(String, Checkpoint)> {
    let new = listed.iter().filter(|shard| !kept.contains_key(&shard.id));
    new.map(|shard| (shard.id.clone(), Checkpoint::new(Start::TrimHorizon))).collect()
}

/// What was kept of shards that the service has no more.
pub(super) fn gone(listed: &[Listed], kept: &BTreeMap<String, Checkpoint>) -> Vec<String> {
    let there: BTreeSet<&str> = listed.iter().map(|shard| &*shard.id).collect();
    kept.keys().filter(|id| !there.contains(&***id)).cloned().collect()
}

/// Those that can be read now: not read to their end, as all of their parents are that there still are.
pub(super) fn readable(listed: &[Listed], kept: &BTreeMap<String, Checkpoint>) -> Vec<String> {
    let is_finished = |id: &str| kept.get(id).is_none_or(|checkpoint| checkpoint.is_finished);
    let is_readable = |shard: &&Listed| {
        !is_finished(&shard.id) && shard.parents.iter().all(|parent| *parent == shard.id || is_finished(parent))
    };
    listed.iter().filter(is_readable).map(|shard| shard.id.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(id: &str, parents: &[&str], is_closed: bool) -> Listed {
        let parents = parents.iter().map(|parent| (*parent).to_owned()).collect();
        Listed { id: id.to_owned(), parents, is_closed }
    }

    fn split() -> Vec<Listed> {
        vec![
            shard("a", &["gone"], true),
            shard("b", &["a"], true),
            shard("c", &["a"], false),
            shard("d", &["b", "c"], false),
        ]
    }

    #[test]
    fn children_come_after_their_parents() {
        let listed = split();
        let mut kept: BTreeMap<_, _> = first(&listed, Position::TrimHorizon, 5).into_iter().collect();
        assert_eq!(readable(&listed, &kept), ["a"]);
        kept.get_mut("a").unwrap().is_finished = true;
        assert_eq!(readable(&listed, &kept), ["b", "c"]);
        kept.get_mut("b").unwrap().is_finished = true;
        assert_eq!(readable(&listed, &kept), ["c"]);
        kept.get_mut("c").unwrap().is_finished = true;
        assert_eq!(readable(&listed, &kept), ["d"]);
    }

    #[test]
    fn what_comes_next_is_in_the_open_shards_from_now_on_and_in_new_ones_from_their_beginning() {
        let listed = split();
        let mut kept: BTreeMap<_, _> = first(&listed, Position::Latest, 5).into_iter().collect();
        assert_eq!(readable(&listed, &kept), ["c"]);
        assert_eq!(kept["c"].start, Start::After(5));
        let later = [&listed[2..], &[shard("e", &["c"], false)]].concat();
        assert_eq!(gone(&later, &kept), ["a", "b"]);
        let new = new(&later, &kept);
        assert_eq!(new, [("e".to_owned(), Checkpoint::new(Start::TrimHorizon))]);
        kept.extend(new);
        assert_eq!(readable(&later, &kept), ["c"]);
    }
}
