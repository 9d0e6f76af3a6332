//! The fleet over simulated queues and functions, in virtual time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use hearth_types::limits::EVENT_FLEET_BYTES;
use proptest::prelude::*;

use super::*;

/// What a look takes, in milliseconds.
const LOOK_MS: i64 = 2;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    /// With what is skipped, how many, how many bytes.
    Looked(String, Vec<u64>, usize, usize),
    Ran(String, u64),
    Refused(String, u64),
    Sent(String, u64),
}

struct Simulation {
    fleet: Fleet,
    now_ms: i64,
    queues: BTreeMap<String, BTreeMap<u64, usize>>,
    coming: BinaryHeap<Reverse<(i64, u64, Happening)>>,
    /// What a run of a function takes in milliseconds, and how many run at a time at most.
    functions: HashMap<String, (i64, usize)>,
    running: HashMap<String, usize>,
    last: u64,
    /// When each message began to run for the last time, and how often it was refused.
    began: HashMap<u64, i64>,
    refused: u64,
    most_used: usize,
    most_bytes: usize,
}

impl Simulation {
    fn new(pollers: usize) -> Self {
        let bounds = Bounds { pollers, bytes: EVENT_FLEET_BYTES };
        Self {
            fleet: Fleet::new(bounds, Timing { retry_base: Duration::from_secs(60) }),
            now_ms: 0,
            queues: BTreeMap::new(),
            coming: BinaryHeap::new(),
            functions: HashMap::new(),
            running: HashMap::new(),
            last: 0,
            began: HashMap::new(),
            refused: 0,
            most_used: 0,
            most_bytes: 0,
        }
    }

    fn function(mut self, name: &str, run_ms: i64, concurrency: usize) -> Self {
        self.functions.insert(name.into(), (run_ms, concurrency));
        self
    }

    fn later(&mut self, at_ms: i64, what: Happening) {
        self.last += 1;
        self.coming.push(Reverse((at_ms, self.last, what)));
    }

    /// Puts messages of so many bytes into a queue, all at once, at a time to come. Gives the first's id.
    fn send(&mut self, at_ms: i64, queue: &str, count: u64) -> u64 {
        let first = self.last + 1;
        for _ in 0..count {
            let id = self.last + 1;
            self.later(at_ms, Happening::Sent(queue.into(), id));
        }
        first
    }

    fn step(&mut self, input: Input) {
        let actions = self.fleet.step(self.now_ms, [input]);
        self.most_used = self.most_used.max(self.fleet.used);
        self.most_bytes = self.most_bytes.max(self.fleet.bytes);
        for Action::Look { queue, skip, limit, bytes } in actions {
            let skip = skip.into_iter().map(|id| id.0).collect();
            self.later(self.now_ms + LOOK_MS, Happening::Looked(queue.to_string(), skip, limit, bytes));
        }
    }

    /// Until nothing happens any more.
    fn run(&mut self) {
        loop {
            let tick = self.fleet.next_tick();
            let next = self.coming.peek().map(|Reverse((at_ms, ..))| *at_ms);
            match (next, tick) {
                (None, None) => break,
                (next, Some(tick)) if next.is_none_or(|next| tick < next) => {
                    self.now_ms = self.now_ms.max(tick);
                    self.step(Input::Tick);
                }
                _ => {
                    let Some(Reverse((at_ms, _, coming))) = self.coming.pop() else { break };
                    self.now_ms = at_ms;
                    self.happen(coming);
                }
            }
        }
        assert_eq!((self.fleet.used, self.fleet.bytes), (0, 0), "nothing is held in the end");
        assert!(self.fleet.lanes.is_empty() && self.fleet.ring.is_empty(), "no queue is remembered: {:?}", self.fleet);
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Looked(queue, skip, limit, bytes) => self.looked(&queue, &skip, limit, bytes),
            Happening::Ran(queue, id) => {
                *self.running.get_mut(&queue).unwrap() -= 1;
                self.queues.get_mut(&queue).unwrap().remove(&id).expect("each message runs to its end once");
                let verdict = Verdict::default();
                self.step(Input::Finished { queue: queue.as_str().into(), id: MessageId(id), verdict });
            }
            Happening::Refused(queue, id) => {
                self.refused += 1;
                let verdict = Verdict { refused: true, ..Verdict::default() };
                self.step(Input::Finished { queue: queue.as_str().into(), id: MessageId(id), verdict });
            }
            Happening::Sent(queue, id) => {
                let due_ms = self.now_ms;
                self.step(Input::Arrived { queue: queue.as_str().into(), due_ms });
                self.queues.entry(queue).or_default().insert(id, 100);
            }
        }
    }

    fn looked(&mut self, queue: &str, skip: &[u64], limit: usize, bytes: usize) {
        let mut messages: Vec<(MessageId, usize)> = Vec::new();
        let (mut total, mut next_ms) = (0, None);
        for (id, size) in self.queues.entry(queue.to_owned()).or_default().iter().filter(|(id, _)| !skip.contains(id)) {
            total += size;
            if messages.len() >= limit || (!messages.is_empty() && total > bytes) {
                next_ms = Some(0);
                break;
            }
            messages.push((MessageId(*id), *size));
        }
        let ids: Vec<u64> = messages.iter().map(|(id, _)| id.0).collect();
        self.step(Input::Looked { queue: queue.into(), messages, next_ms });
        for id in ids {
            self.begin(queue, id);
        }
    }

    fn begin(&mut self, queue: &str, id: u64) {
        let (run_ms, concurrency) = self.functions[queue];
        let running = self.running.entry(queue.to_owned()).or_default();
        if *running >= concurrency {
            return self.later(self.now_ms, Happening::Refused(queue.into(), id));
        }
        *running += 1;
        self.began.insert(id, self.now_ms);
        self.later(self.now_ms + run_ms, Happening::Ran(queue.into(), id));
    }
}

#[test]
fn a_flood_delays_nobody_else() {
    let mut simulation = Simulation::new(64).function("flood", 500, 1000);
    for lone in 0..20 {
        simulation = simulation.function(&format!("lone{lone}"), 500, 1000);
    }
    simulation.send(0, "flood", 50_000);
    let lone: Vec<(i64, u64)> =
        (0..20_i64).map(|n| (5000 + n * 997, simulation.send(5000 + n * 997, &format!("lone{n}"), 1))).collect();
    simulation.run();
    for (sent_ms, id) in lone {
        let delay_ms = simulation.began[&id] - sent_ms;
        assert!(delay_ms <= LOOK_MS, "a lone event waited {delay_ms} ms beside a flood");
    }
    assert!(simulation.most_used <= 64);
    // 32 at a time, 500 ms each: the flood itself is not slower than its share.
    assert!(simulation.now_ms < 50_000 / 32 * 510 + 5000, "{}", simulation.now_ms);
}

#[test]
fn many_floods_share_alike() {
    let mut simulation = Simulation::new(64);
    let names: Vec<String> = (0..100).map(|n| format!("flood{n}")).collect();
    for name in &names {
        simulation = simulation.function(name, 100, 1000);
        simulation.send(0, name, 200);
    }
    simulation = simulation.function("late", 100, 1000);
    let late = simulation.send(3000, "late", 1);
    simulation.run();
    // There are more floods than pollers: it waits one turn of all others at most.
    let delay_ms = simulation.began[&late] - 3000;
    assert!(delay_ms <= 100 * 3, "{delay_ms} ms");
    assert!(simulation.most_used <= 64);
}

#[test]
fn with_one_place_six_events_run_one_after_another() {
    let mut simulation = Simulation::new(64).function("f", 1000, 1);
    simulation.send(0, "f", 6);
    simulation.run();
    assert!(simulation.queues["f"].is_empty());
    assert!(simulation.now_ms < 7500, "no longer than it takes: {}", simulation.now_ms);
    assert!(simulation.refused < 40, "{}", simulation.refused);
}

#[test]
fn a_function_without_room_is_left_alone_ever_longer() {
    let mut simulation = Simulation::new(64).function("f", 1000, 0);
    simulation.send(0, "f", 10);
    for _ in 0..60 {
        let Some(tick) = simulation.fleet.next_tick().filter(|_| simulation.coming.is_empty()) else {
            let Some(Reverse((at_ms, _, coming))) = simulation.coming.pop() else { break };
            simulation.now_ms = at_ms;
            simulation.happen(coming);
            continue;
        };
        simulation.now_ms = tick;
        simulation.step(Input::Tick);
    }
    // Ten at first, then one at a time after 1, 2, 4, ... seconds.
    assert!(simulation.refused < 30 && simulation.now_ms > 60_000, "{} {}", simulation.refused, simulation.now_ms);
    assert_eq!(simulation.queues["f"].len(), 10);
}

#[test]
fn what_is_in_memory_is_bounded() {
    let mut fleet = Fleet::new(
        Bounds { pollers: 10_000, bytes: EVENT_FLEET_BYTES },
        Timing { retry_base: Duration::from_secs(60) },
    );
    let arrivals = (0..500).map(|n| Input::Arrived { queue: format!("f{n}").into(), due_ms: 0 });
    let actions = fleet.step(0, arrivals);
    assert_eq!(actions.len(), EVENT_FLEET_BYTES / EVENT_FLEET_TURN_BYTES);
    assert!(fleet.bytes <= EVENT_FLEET_BYTES);
}

proptest! {
    /// Whatever is sent to whomever, all of it runs, and no bound is broken on the way.
    #[test]
    fn everything_runs_in_the_end(
        pollers in 1..20_usize,
        functions in proptest::collection::vec((1..300_i64, 1..5_usize), 1..6),
        sends in proptest::collection::vec((0..5000_i64, 0..6_usize, 1..30_u64), 1..20),
    ) {
        let mut simulation = Simulation::new(pollers);
        for (n, (run_ms, concurrency)) in functions.iter().enumerate() {
            simulation = simulation.function(&format!("f{n}"), *run_ms, *concurrency);
        }
        let mut sent = 0;
        for (at_ms, function, count) in sends {
            simulation.send(at_ms, &format!("f{}", function % functions.len()), count);
            sent += count;
        }
        simulation.run();
        prop_assert_eq!(simulation.began.len() as u64, sent);
        prop_assert!(simulation.queues.values().all(BTreeMap::is_empty));
        prop_assert!(simulation.most_used <= pollers);
        prop_assert!(simulation.most_bytes <= EVENT_FLEET_BYTES);
    }
}

/// However much waits in one queue, a lone message of another begins after one look: what is promised to it does not
/// depend on the backlog. The flood is a million messages, put at once.
#[test]
fn a_million_waiting_messages_delay_a_lone_one_by_no_more_than_a_look() {
    const BACKLOG: u64 = 1_000_000;
    let mut simulation = Simulation::new(64).function("flood", 20, 1000);
    simulation.queues.insert("flood".into(), (0..BACKLOG).map(|id| (id, 100)).collect());
    simulation.last = BACKLOG;
    simulation.step(Input::Arrived { queue: "flood".into(), due_ms: 0 });
    let lone: Vec<(i64, u64)> = (0..50_i64)
        .map(|n| {
            let (name, sent_ms) = (format!("lone{n}"), 100 + n * 37);
            simulation.functions.insert(name.clone(), (20, 1000));
            (sent_ms, simulation.send(sent_ms, &name, 1))
        })
        .collect();
    while lone.iter().any(|(_, id)| !simulation.began.contains_key(id)) {
        let Some(Reverse((at_ms, _, coming))) = simulation.coming.pop() else { panic!("nothing happens any more") };
        simulation.now_ms = at_ms;
        simulation.happen(coming);
    }
    let delays_ms: Vec<i64> = lone.iter().map(|(sent_ms, id)| simulation.began[id] - sent_ms).collect();
    assert!(delays_ms.iter().all(|delay_ms| *delay_ms <= LOOK_MS), "{delays_ms:?}");
    assert!(simulation.queues["flood"].len() > 990_000, "the flood was still there");
}
