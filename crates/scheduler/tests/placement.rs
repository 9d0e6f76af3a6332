//! One test for each rule of placement, and random sizes against the rules as they are told.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::time::Duration;

use hearth_scheduler::{
    Action, Capacity, Event, FunctionKey, Generation, InvokeId, Limits, Origin, Placement, Scheduler, StopReason,
    Throttle, WorkerId,
};
use hearth_types::EnvironmentId;
use proptest::prelude::*;

/// Of generations 1, 2 and 3.
const MEMORY_MB: [u32; 3] = [128, 512, 1024];

/// A scheduler with these, of functions of their own.
struct Bench {
    scheduler: Scheduler,
    now: Duration,
    invokes: u64,
}

impl Bench {
    fn new(placement: Placement, workers: &[(u64, u32)]) -> Self {
        let scheduler = Scheduler::new(Limits { placement, ..Limits::PLAIN });
        let mut bench = Self { scheduler, now: Duration::ZERO, invokes: 0 };
        for (worker, (memory_mb, environments)) in (1..).zip(workers.iter().copied()) {
            bench.step(Event::Join { worker: WorkerId(worker), capacity: Capacity { memory_mb, environments } });
        }
        for (number, memory_mb) in (1..).zip(MEMORY_MB) {
            let (generation, function) = (Generation(number), FunctionKey(number));
            bench.step(Event::Deploy { generation, function, memory_mb });
        }
        bench
    }

    fn step(&mut self, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        self.scheduler.step(self.now, event, &mut actions);
        actions
    }

    fn invoke(&mut self, generation: u64) -> Vec<Action> {
        self.invokes += 1;
        let (invoke, generation) = (InvokeId(self.invokes), Generation(generation));
        self.step(Event::Invoke { invoke, generation, origin: Origin::Client })
    }

    /// The worker and the number of a new environment.
    fn create(&mut self, generation: u64) -> (u64, EnvironmentId) {
        let foreseen = self.scheduler.place_for(MEMORY_MB[generation as usize - 1]);
        match self.invoke(generation)[..] {
            [Action::Create { worker, environment, .. }] => {
                assert_eq!(foreseen, Some(worker));
                (worker.0, environment)
            }
            ref other => panic!("no new environment alone: {other:?}"),
        }
    }

    fn after(&mut self, ms: u64) -> &mut Self {
        self.now += Duration::from_millis(ms);
        self
    }
}

#[test]
fn packing_fills_the_fullest_worker_that_has_room() {
    let mut bench = Bench::new(Placement::Pack, &[(2048, 9), (1024, 9)]);
    assert_eq!(bench.create(1).0, 2, "the smaller one has less left");
    assert_eq!(bench.create(2).0, 2);
    assert_eq!(bench.create(3).0, 1, "where alone it fits");
    assert_eq!(bench.create(1).0, 2);
    assert_eq!(bench.create(2).0, 1, "256 MB are left on the other");
}

#[test]
fn places_for_many_are_those_that_they_would_get_one_after_the_other() {
    for placement in [Placement::Pack, Placement::Spread] {
        let mut bench = Bench::new(placement, &[(2048, 9), (1024, 9)]);
        bench.create(2);
        let foreseen = bench.scheduler.places_for([(128, 3), (1024, 9), (512, 1)]);
        let mut count = 0;
        for (generation, places) in [1, 3, 2].into_iter().zip(foreseen) {
            let mut made = std::collections::BTreeMap::new();
            for _ in 0..places.iter().map(|(_, count)| count).sum() {
                *made.entry(WorkerId(bench.create(generation).0)).or_insert(0) += 1;
                count += 1;
            }
            assert_eq!(made, places.into_iter().collect(), "{placement:?}");
        }
        assert!((4..8).contains(&count), "{placement:?}: as many as fit, {count}");
    }
    assert_eq!(Bench::new(Placement::Pack, &[]).scheduler.places_for([(128, 1)]), [vec![]]);
    assert_eq!(Bench::new(Placement::Pack, &[(128, 9)]).scheduler.places_for([(128, 2)]), [vec![(WorkerId(1), 1)]]);
}

#[test]
fn spreading_takes_the_emptiest() {
    let mut bench = Bench::new(Placement::Spread, &[(2048, 9), (2048, 9), (1024, 9)]);
    let workers: Vec<_> = (0..5).map(|_| bench.create(2).0).collect();
    assert_eq!(workers, [1, 2, 1, 2, 3], "the first to join, of equals; then the one with the fewest");
}

#[test]
fn nothing_is_ended_while_another_worker_has_room() {
    let mut bench = Bench::new(Placement::Pack, &[(1024, 9), (1024, 9)]);
    let (first, idle) = bench.create(3);
    bench.step(Event::Idle(idle));
    assert_eq!((first, bench.create(2).0), (1, 2));
    assert!(bench.scheduler.lives(idle));
}

#[test]
fn room_is_made_where_one_has_been_idle_longest() {
    let mut bench = Bench::new(Placement::Pack, &[(1024, 9), (1024, 9)]);
    let (a, b) = (bench.create(3), bench.create(3));
    assert_eq!((a.0, b.0), (1, 2));
    bench.step(Event::Idle(b.1));
    bench.after(5).step(Event::Idle(a.1));
    let actions = bench.invoke(2);
    assert_eq!(actions[0], Action::Stop { environment: b.1, reason: StopReason::Room });
    assert!(matches!(actions[1..], [Action::Create { worker: WorkerId(2), .. }]), "{actions:?}");
    assert!(bench.scheduler.lives(a.1), "no more than it takes");
}

#[test]
fn two_halves_of_room_are_no_room() {
    let mut bench = Bench::new(Placement::Spread, &[(1024, 9), (1024, 9)]);
    bench.create(2);
    bench.create(2);
    assert_eq!(bench.invoke(3), [], "waits");
    let refused = [Action::Throttle { invoke: InvokeId(3), reason: Throttle::Memory }];
    assert_eq!(bench.after(500).step(Event::Tick), refused);
}

#[test]
fn the_number_of_environments_is_each_workers_own() {
    let mut bench = Bench::new(Placement::Pack, &[(1024, 1), (1024, 2)]);
    let workers: Vec<_> = (0..3).map(|_| bench.create(1).0).collect();
    assert_eq!(workers, [1, 2, 2]);
    assert_eq!(bench.invoke(1), [], "waits");
    let refused = [Action::Throttle { invoke: InvokeId(4), reason: Throttle::Environments }];
    assert_eq!(bench.after(500).step(Event::Tick), refused);
}

#[test]
fn what_fits_into_no_worker_says_how_large_the_largest_is() {
    let mut bench = Bench::new(Placement::Pack, &[(512, 9), (1000, 9)]);
    let reason = Throttle::NeverFits { needed_mb: 1024, budget_mb: 1000 };
    assert_eq!(bench.invoke(3), [Action::Throttle { invoke: InvokeId(1), reason }]);
}

#[test]
fn an_invoke_waits_for_a_worker_but_not_for_ever() {
    let mut bench = Bench::new(Placement::Pack, &[]);
    assert_eq!(bench.invoke(1), []);
    let capacity = Capacity { memory_mb: 1024, environments: 9 };
    let actions = bench.step(Event::Join { worker: WorkerId(1), capacity });
    assert!(matches!(actions[..], [Action::Create { .. }]), "{actions:?}");
    let mut alone = Bench::new(Placement::Pack, &[]);
    assert_eq!(alone.invoke(1), []);
    let mut last = Vec::new();
    while last.is_empty() && alone.now < Limits::PLAIN.room_wait * 2 {
        last = alone.after(10).step(Event::Tick);
    }
    assert_eq!(last, [Action::Throttle { invoke: InvokeId(1), reason: Throttle::NoWorker }]);
    assert_eq!(alone.now, Limits::PLAIN.room_wait);
}

#[test]
fn what_finds_no_worker_has_no_place() {
    let mut bench = Bench::new(Placement::Pack, &[(512, 1)]);
    assert_eq!(bench.scheduler.place_for(1024), None);
    let (_, environment) = bench.create(2);
    assert_eq!(bench.scheduler.place_for(128), None, "it is busy");
    bench.step(Event::Idle(environment));
    assert_eq!(bench.scheduler.place_for(128), Some(WorkerId(1)), "it can go");
    assert_eq!(Bench::new(Placement::Pack, &[]).scheduler.place_for(128), None);
}

#[test]
fn a_worker_that_drains_takes_nothing_and_ends_what_is_idle() {
    let mut bench = Bench::new(Placement::Pack, &[(1024, 9), (2048, 9)]);
    let (idle, busy) = (bench.create(1), bench.create(1));
    assert_eq!((idle.0, busy.0), (1, 1));
    bench.step(Event::Idle(idle.1));
    assert_eq!(
        bench.step(Event::Drain(WorkerId(1))),
        [Action::Stop { environment: idle.1, reason: StopReason::Drained }]
    );
    assert_eq!(bench.create(1).0, 2);
    assert_eq!(bench.step(Event::Idle(busy.1)), [Action::Stop { environment: busy.1, reason: StopReason::Drained }]);
    assert_eq!(bench.create(1).0, 2);
}

#[test]
fn who_waits_for_an_environment_of_a_draining_worker_gets_another() {
    let mut bench = Bench::new(Placement::Pack, &[(1024, 9), (2048, 9)]);
    let (_, settling) = bench.create(1);
    bench.after(50).step(Event::Answered(settling));
    assert_eq!(bench.invoke(1), [], "waits for the first");
    assert_eq!(bench.step(Event::Drain(WorkerId(1))), []);
    let actions = bench.step(Event::Idle(settling));
    assert_eq!(actions[0], Action::Stop { environment: settling, reason: StopReason::Drained });
    assert!(matches!(actions[1..], [Action::Create { worker: WorkerId(2), .. }]), "{actions:?}");
}

#[test]
fn what_a_lost_worker_had_counts_no_more() {
    let mut bench = Bench::new(Placement::Pack, &[(1024, 9), (2048, 9)]);
    let (busy, idle) = (bench.create(1), bench.create(1));
    let (_, settling) = bench.create(2);
    bench.step(Event::Idle(idle.1));
    bench.step(Event::Answered(settling));
    assert_eq!(bench.invoke(2), [], "waits for the one that settles");
    let actions = bench.step(Event::Lost(WorkerId(1)));
    assert!(matches!(actions[..], [Action::Create { worker: WorkerId(2), .. }]), "{actions:?}");
    assert_eq!((bench.scheduler.in_flight(), bench.scheduler.living()), (1, 1));
    assert_eq!(bench.step(Event::Idle(busy.1)), [], "said too late");
    assert_eq!(bench.create(1).0, 2, "none is idle any more");
}

#[derive(Clone, Copy, Debug)]
enum Move {
    Invoke(u64),
    Idle(usize),
    Gone(usize),
    Join(u64, u32),
    Drain(usize),
    Lost(usize),
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        12 => (1..4u64).prop_map(Move::Invoke),
        8 => any::<usize>().prop_map(Move::Idle),
        2 => any::<usize>().prop_map(Move::Gone),
        2 => (100..4000u64, 1..6u32).prop_map(|(memory_mb, environments)| Move::Join(memory_mb, environments)),
        1 => any::<usize>().prop_map(Move::Drain),
        1 => any::<usize>().prop_map(Move::Lost),
    ]
}

/// A worker as the rules see it.
#[derive(Debug)]
struct Naive {
    worker: WorkerId,
    capacity: Capacity,
    draining: bool,
    /// Size of each environment that is not stopping.
    living: Vec<(EnvironmentId, u64)>,
    stopping: Vec<EnvironmentId>,
}

impl Naive {
    fn free_mb(&self) -> u64 {
        self.capacity.memory_mb - self.living.iter().map(|(_, mb)| mb).sum::<u64>()
    }

    fn has_room(&self, mb: u64) -> bool {
        let most = self.capacity.environments as usize;
        !self.draining && self.free_mb() >= mb && self.living.len() < most
    }

    fn may_take(&self, mb: u64) -> bool {
        self.has_room(mb) && self.stopping.len() < self.capacity.environments as usize
    }

    fn stop(&mut self, id: EnvironmentId) {
        let stopped = self.living.extract_if(.., |(living, _)| *living == id);
        self.stopping.extend(stopped.map(|(id, _)| id));
    }

    fn gone(&mut self, id: EnvironmentId) {
        self.stop(id);
        self.stopping.retain(|stopping| *stopping != id);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn each_new_environment_is_where_the_rules_say(steps in prop::collection::vec(moves(), 1..150), spread: bool) {
        let placement = if spread { Placement::Spread } else { Placement::Pack };
        let mut bench = Bench::new(placement, &[]);
        let (mut workers, mut made): (Vec<Naive>, Vec<EnvironmentId>) = (Vec::new(), Vec::new());
        let mut joined = 0;
        for step in steps {
            let some = |pick: usize| made.get(pick % made.len().max(1)).copied().unwrap_or(EnvironmentId(0));
            let some_worker = |pick: usize| workers.get(pick % workers.len().max(1)).map_or(WorkerId(0), |w| w.worker);
            let event = match step {
                Move::Invoke(number) => {
                    bench.invokes += 1;
                    let (invoke, generation) = (InvokeId(bench.invokes), Generation(number));
                    Event::Invoke { invoke, generation, origin: Origin::Client }
                }
                Move::Idle(pick) => Event::Idle(some(pick)),
                Move::Gone(pick) => Event::Gone(some(pick)),
                Move::Join(memory_mb, environments) => {
                    joined += 1;
                    Event::Join { worker: WorkerId(joined), capacity: Capacity { memory_mb, environments } }
                }
                Move::Drain(pick) => Event::Drain(some_worker(pick)),
                Move::Lost(pick) => Event::Lost(some_worker(pick)),
            };
            match event {
                Event::Join { worker, capacity } => {
                    let (living, stopping) = (Vec::new(), Vec::new());
                    workers.push(Naive { worker, capacity, draining: false, living, stopping });
                }
                Event::Drain(worker) => {
                    workers.iter_mut().filter(|w| w.worker == worker).for_each(|w| w.draining = true);
                }
                Event::Lost(worker) => workers.retain(|w| w.worker != worker),
                Event::Gone(id) => workers.iter_mut().for_each(|w| w.gone(id)),
                _ => {}
            }
            let mut ended = false;
            for action in bench.step(event) {
                match action {
                    Action::Stop { environment, .. } => {
                        ended = true;
                        workers.iter_mut().for_each(|w| w.stop(environment));
                    }
                    Action::Create { worker, environment, generation, .. } => {
                        let mb = [0, 128, 512, 1024][generation.0 as usize];
                        let chosen = workers.iter().find(|w| w.worker == worker).expect("it is there");
                        prop_assert!(chosen.has_room(mb) && (ended || chosen.may_take(mb)), "{mb} MB on {chosen:?}");
                        let better = workers.iter().filter(|w| w.may_take(mb)).any(|w| match placement {
                            Placement::Pack => w.free_mb() < chosen.free_mb(),
                            Placement::Spread => w.free_mb() > chosen.free_mb(),
                        });
                        prop_assert!(ended || !better, "{mb} MB on {worker:?} of {workers:?}");
                        let host = workers.iter_mut().find(|w| w.worker == worker).expect("it is there");
                        host.living.push((environment, mb));
                        made.push(environment);
                    }
                    _ => {}
                }
            }
        }
    }
}
