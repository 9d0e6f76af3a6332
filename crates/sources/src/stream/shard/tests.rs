//! A shard that is polled, with functions that fail and servers that crash at any moment.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::stream::lane::{Behind, Next, Outcome};

const RULES: Rules = Rules { batch: 3, window_ms: 0, retries: None, age_ms: None, bisect: false, tumbling_ms: None };

fn sequence(number: usize) -> Sequence {
    Sequence(number.to_string().into())
}

fn key_of(number: usize) -> String {
    format!("key-{}", number % 5)
}

fn records(numbers: std::ops::Range<usize>) -> Vec<Fetched> {
    let record = |number: usize| Fetched {
        sequence: sequence(number),
        key: key_of(number).into(),
        arrival_ms: 0,
        // Every seventh is held back by a filter.
        event: (!number.is_multiple_of(7)).then(|| Bytes::from(number.to_string())),
    };
    numbers.map(record).collect()
}

#[derive(Clone, Debug)]
enum Event {
    Read(usize),
    Success(usize),
    Partial(usize, usize),
    Failure(usize),
    /// What was kept last is all that is known; with how many lanes it goes on.
    Crash(usize),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let lane = 0..4_usize;
    let event = prop_oneof![
        3 => (1..9_usize).prop_map(Event::Read),
        6 => lane.clone().prop_map(Event::Success),
        2 => (lane.clone(), 0..4_usize).prop_map(|(lane, done)| Event::Partial(lane, done)),
        2 => lane.prop_map(Event::Failure),
        1 => (1..5_usize).prop_map(Event::Crash),
    ];
    proptest::collection::vec(event, 0..120)
}

/// What the test knows beside the shard.
struct World {
    shard: Shard,
    kept: Checkpoint,
    rules: Rules,
    lanes: usize,
    /// Of each key, the last record that is done with: order means that it never goes back but after a crash.
    last: BTreeMap<String, usize>,
    done: BTreeSet<usize>,
    now_ms: i64,
}

impl World {
    fn new(lanes: usize, rules: Rules) -> Self {
        let kept = Checkpoint::new(Start::TrimHorizon);
        let shard = Shard::new(rules, lanes, kept.clone());
        Self { shard, kept, rules, lanes, last: BTreeMap::new(), done: BTreeSet::new(), now_ms: 0 }
    }

    fn next_number(&self) -> usize {
        self.shard.read().map_or(1, |read| read.0.parse::<usize>().unwrap() + 1)
    }

    /// Invokes in a lane if there is something to be invoked with, and says what came of it.
    fn invoke(&mut self, lane: usize, outcome: impl FnOnce(usize) -> (Outcome, usize)) {
        let lane = lane % self.shard.lanes.len();
        let lane = &mut self.shard.lanes[lane];
        self.now_ms += 1_000_000;
        let Next::Invoke { records, .. } = lane.next(self.now_ms, Behind::Quiet) else { return };
        let (outcome, done) = outcome(records);
        for record in lane.records().iter().take(done) {
            let number: usize = record.sequence.0.parse().unwrap();
            let last = self.last.insert(key_of(number), number);
            assert!(last.is_none_or(|last| last < number), "{number} came after {last:?}");
            self.done.insert(number);
        }
        lane.ended(self.now_ms, outcome);
        self.kept = self.shard.checkpoint(false);
    }

    fn apply(&mut self, event: &Event) {
        match *event {
            Event::Read(count) => {
                let from = self.next_number();
                self.shard.take(self.now_ms, records(from..from + count));
            }
            Event::Success(lane) => self.invoke(lane, |records| (Outcome::Success(Value::Null), records)),
            Event::Partial(lane, done) => self.invoke(lane, |records| {
                let done = done.min(records.saturating_sub(1));
                (Outcome::From(done, Value::Null), done)
            }),
            Event::Failure(lane) => self.invoke(lane, |_| (Outcome::Failure, 0)),
            Event::Crash(lanes) => {
                self.lanes = lanes;
                self.shard = Shard::new(self.rules, lanes, self.kept.clone());
            }
        }
    }
}

proptest! {
    #[test]
    fn nothing_is_lost_or_done_twice_and_keys_keep_their_order(
        lanes in 1..5_usize,
        bisect in any::<bool>(),
        events in events(),
    ) {
        let mut world = World::new(lanes, Rules { bisect, ..RULES });
        events.iter().for_each(|event| world.apply(event));
        // Then all goes well, and what was read before the last crash is read again.
        let end = world.done.last().map_or(1, |last| last + 1).max(world.next_number());
        let from = world.next_number();
        world.shard.take(world.now_ms, records(from..end));
        while !world.shard.is_empty() {
            (0..world.shard.lanes.len()).for_each(|lane| world.apply(&Event::Success(lane)));
        }
        let expected: BTreeSet<usize> = (1..world.next_number()).filter(|number| !number.is_multiple_of(7)).collect();
        prop_assert_eq!(&world.done, &expected);
        let end = world.shard.checkpoint(true);
        prop_assert!(end.is_finished && end.ahead.is_empty());
        prop_assert_eq!(end.after, world.shard.read().cloned());
    }
}

#[test]
fn a_lane_that_is_stuck_holds_only_what_shares_its_hash() {
    let mut world = World::new(4, RULES);
    world.shard.take(0, records(1..31));
    let stuck = lane_of("key-1", 4);
    for _ in 0..40 {
        for lane in (0..4).filter(|lane| *lane != stuck) {
            world.apply(&Event::Success(lane));
        }
    }
    let left: BTreeSet<usize> = (1..31_usize).filter(|number| !number.is_multiple_of(7)).collect();
    let left: Vec<usize> = left.difference(&world.done).copied().collect();
    assert!(left.contains(&1) && left.iter().all(|number| lane_of(&key_of(*number), 4) == stuck));
    assert_eq!(world.kept.after, None, "the first record is not done with");
    assert!(world.shard.has_room(1_000_000) == (left.len() < 15));
}

#[test]
fn there_is_room_for_the_next_batch_of_each_lane_and_not_for_all_the_world() {
    let mut shard = Shard::new(RULES, 1, Checkpoint::new(Start::TrimHorizon));
    assert!(shard.has_room(10));
    shard.take(0, records(1..4));
    assert!(shard.has_room(10) && !shard.has_room(3));
    shard.take(0, records(4..10));
    assert!(!shard.has_room(1000));
}
