//! Thousands of invokes on a simulated clock: cold starts, crashes, deploys under load. The same seed gives the same run.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::time::Duration;

use hearth_scheduler::{
    Action, Event, FunctionKey, Generation, InvokeId, Limits, Origin, Scaling, Scheduler, Throttle,
};
use hearth_types::EnvironmentId;

const KEEP_ALIVE: Duration = Duration::from_secs(5);
const LIFE: Duration = Duration::from_secs(60);

/// SplitMix64: enough for a simulation, the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn micros(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_micros(range.start + self.next() % (range.end - range.start))
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.next().is_multiple_of(n)
    }
}

/// What the simulated world does at a time of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Happening {
    Arrive { function: u64 },
    Deploy { function: u64 },
    Reserve { function: u64, concurrency: Option<u32> },
    Answer(EnvironmentId),
    Rest(EnvironmentId),
    Vanish(EnvironmentId),
}

/// An environment as the world sees it.
struct Simulated {
    generation: Generation,
    running: Option<InvokeId>,
    idle_since: Option<Duration>,
    stopped: bool,
}

struct World {
    random: Random,
    account_concurrency: u32,
    now: Duration,
    scheduler: Scheduler,
    agenda: BinaryHeap<Reverse<(Duration, u64, Happening)>>,
    turn: u64,
    environments: HashMap<EnvironmentId, Simulated>,
    /// What new invokes of each function run.
    serving: HashMap<u64, Generation>,
    retired: HashSet<Generation>,
    generations: u64,
    /// Whose each generation is.
    functions: HashMap<Generation, u64>,
    invokes: u64,
    /// Not placed yet, and whose they are.
    unplaced: HashMap<InvokeId, u64>,
    /// What each function reserves.
    reserved: HashMap<u64, u32>,
    tally: Tally,
}

#[derive(Default, PartialEq, Debug)]
struct Tally {
    answered: u64,
    warm: u64,
    cold: u64,
    throttled: u64,
    stale: u64,
    deploys: u64,
    crashes: u64,
    /// Throttled because of what the function or others reserve.
    reserved: u64,
    /// Stopped though no deploy and no end asked for it.
    reaped: u64,
}

impl World {
    fn new(seed: u64, limits: Limits) -> Self {
        Self {
            random: Random(seed),
            account_concurrency: limits.account_concurrency,
            now: Duration::ZERO,
            scheduler: Scheduler::new(limits),
            agenda: BinaryHeap::new(),
            turn: 0,
            environments: HashMap::new(),
            serving: HashMap::new(),
            retired: HashSet::new(),
            generations: 0,
            functions: HashMap::new(),
            invokes: 0,
            unplaced: HashMap::new(),
            reserved: HashMap::new(),
            tally: Tally::default(),
        }
    }

    fn plan(&mut self, after: Duration, happening: Happening) {
        self.turn += 1;
        self.agenda.push(Reverse((self.now + after, self.turn, happening)));
    }

    fn step(&mut self, event: Event) {
        let mut actions = Vec::new();
        self.scheduler.step(self.now, event, &mut actions);
        for action in actions {
            self.act(action);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Assign { invoke, environment } => {
                let e = self.environments.get_mut(&environment).expect("an environment that was made");
                assert!(!e.stopped && e.running.is_none() && e.idle_since.is_some(), "assigned to one that is idle");
                assert!(!self.retired.contains(&e.generation), "assigned to a retired generation");
                e.idle_since = None;
                e.running = Some(invoke);
                self.tally.warm += 1;
                self.placed(invoke, environment);
                let busy = self.random.micros(100..20_000);
                self.plan(busy, Happening::Answer(environment));
            }
            Action::Create { invoke, environment, generation } => {
                assert!(!self.retired.contains(&generation), "made for a retired generation");
                let made = Simulated { generation, running: Some(invoke), idle_since: None, stopped: false };
                assert!(self.environments.insert(environment, made).is_none(), "a new id");
                self.tally.cold += 1;
                self.placed(invoke, environment);
                let busy = self.random.micros(8_000..80_000);
                self.plan(busy, Happening::Answer(environment));
            }
            Action::Throttle { invoke, reason } => {
                assert!(!matches!(reason, Throttle::NeverFits { .. }));
                let function = self.unplaced.remove(&invoke).expect("placed once");
                self.tally.throttled += 1;
                self.justly(function, reason);
            }
            Action::Stale { invoke } => {
                let function = self.unplaced.remove(&invoke).expect("placed once");
                self.tally.stale += 1;
                self.invoke(function);
            }
            Action::Stop { environment } => {
                let e = self.environments.get_mut(&environment).expect("an environment that was made");
                assert!(e.running.is_none() && !e.stopped, "only an idle one is stopped, and once");
                e.stopped = true;
                self.tally.reaped += u64::from(!self.retired.contains(&e.generation));
                let teardown = self.random.micros(1_000..30_000);
                self.plan(teardown, Happening::Vanish(environment));
            }
        }
    }

    fn placed(&mut self, invoke: InvokeId, environment: EnvironmentId) {
        let function = self.unplaced.remove(&invoke).expect("placed once");
        let generation = self.environments[&environment].generation;
        assert_eq!(self.serving[&function], generation, "the newest code serves");
    }

    /// Invokes of a function that wait or run.
    fn in_flight(&self, function: u64) -> u32 {
        let waiting = self.unplaced.values().filter(|of| **of == function).count();
        let is_its = |e: &&Simulated| e.running.is_some() && self.functions[&e.generation] == function;
        (waiting + self.environments.values().filter(is_its).count()) as u32
    }

    /// What functions without a reservation use together, and what they may.
    fn unreserved(&self) -> (u32, u32) {
        let used = self.serving.keys().filter(|function| !self.reserved.contains_key(function));
        let used = used.map(|function| self.in_flight(*function)).sum();
        (used, self.account_concurrency.saturating_sub(self.reserved.values().sum()))
    }

    /// No invoke is refused for a limit that is not reached.
    fn justly(&mut self, function: u64, reason: Throttle) {
        match reason {
            Throttle::ReservedConcurrency => {
                self.tally.reserved += 1;
                assert!(self.in_flight(function) >= self.reserved[&function], "the reservation is used up");
            }
            Throttle::AccountConcurrency => {
                self.tally.reserved += u64::from(!self.reserved.is_empty());
                assert!(!self.reserved.contains_key(&function), "what is reserved is not lent");
                let (used, limit) = self.unreserved();
                assert!(used >= limit, "the account is used up");
            }
            _ => {}
        }
    }

    fn invoke(&mut self, function: u64) {
        self.invokes += 1;
        let invoke = InvokeId(self.invokes);
        self.unplaced.insert(invoke, function);
        let refused = self.tally.throttled;
        self.step(Event::Invoke { invoke, generation: self.serving[&function], origin: Origin::Client });
        if self.tally.throttled > refused {
            return;
        }
        // Admitted, so it had a place: its function's, or one that nobody reserves.
        match self.reserved.get(&function) {
            Some(limit) => assert!(self.in_flight(function) <= *limit, "more than function {function} reserves"),
            None => {
                let (used, limit) = self.unreserved();
                assert!(used <= limit, "{used} of {limit} unreserved");
            }
        }
    }

    fn reserve(&mut self, function: u64, concurrency: Option<u32>) {
        self.reserved.remove(&function);
        self.reserved.extend(concurrency.map(|limit| (function, limit)));
        self.step(Event::Reserve { function: FunctionKey(function), concurrency });
    }

    fn deploy(&mut self, function: u64) {
        self.generations += 1;
        let generation = Generation(self.generations);
        self.functions.insert(generation, function);
        let memory_mb = [128, 512, 1769][self.random.next() as usize % 3];
        self.step(Event::Deploy { generation, function: FunctionKey(function), memory_mb });
        if let Some(before) = self.serving.insert(function, generation) {
            self.retired.insert(before);
            self.step(Event::Retire(before));
            self.tally.deploys += 1;
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrive { function } => self.invoke(function),
            Happening::Deploy { function } => self.deploy(function),
            Happening::Reserve { function, concurrency } => self.reserve(function, concurrency),
            Happening::Answer(id) => {
                let e = self.environments.get_mut(&id).expect("alive while it runs");
                e.running.take().expect("runs an invoke");
                self.tally.answered += 1;
                if self.random.one_in(50) {
                    self.tally.crashes += 1;
                    return self.happen(Happening::Vanish(id));
                }
                let settle = self.random.micros(0..15_000);
                self.plan(settle, Happening::Rest(id));
                self.step(Event::Answered(id));
            }
            Happening::Rest(id) => {
                if let Some(e) = self.environments.get_mut(&id) {
                    e.idle_since = Some(self.now);
                }
                self.step(Event::Idle(id));
            }
            Happening::Vanish(id) => {
                self.environments.remove(&id);
                self.step(Event::Gone(id));
            }
        }
    }

    /// Goes on until nothing is planned, then until `until`.
    fn run(&mut self, until: Duration) {
        loop {
            let planned = self.agenda.peek().map(|Reverse((at, _, _))| *at);
            let tick = self.scheduler.next_tick();
            let Some(next) = planned.into_iter().chain(tick).min().filter(|at| *at <= until) else { break };
            assert!(next >= self.now, "time goes on");
            self.now = next;
            if tick == Some(next) {
                self.step(Event::Tick);
                assert!(self.scheduler.next_tick().is_none_or(|at| at > next), "a tick leaves nothing that is due");
            } else if let Some(Reverse((_, _, happening))) = self.agenda.pop() {
                self.happen(happening);
            }
            let overdue = |e: &Simulated| e.idle_since.is_some_and(|at| !e.stopped && self.now > at + KEEP_ALIVE);
            assert!(!self.environments.values().any(overdue), "idle ones are reaped in time");
        }
    }
}

/// 4,000 invokes of four functions in bursts over 20 s, with a deploy about every 500 ms.
fn simulate(seed: u64, limits: Limits) -> Tally {
    simulate_with(seed, limits, 0)
}

/// The same, and so often a function reserves something else, or nothing any more.
fn simulate_with(seed: u64, limits: Limits, reservations: u32) -> Tally {
    let mut world = World::new(seed, limits);
    for _ in 0..reservations {
        let (function, concurrency) = (world.random.next() % 4, world.random.next() % 6);
        let concurrency = (concurrency < 5).then_some(concurrency as u32);
        let at = world.random.micros(0..20_000_000);
        world.plan(at, Happening::Reserve { function, concurrency });
    }
    for function in 0..4 {
        world.deploy(function);
    }
    for _ in 0..40 {
        let function = world.random.next() % 4;
        let at = world.random.micros(0..20_000_000);
        world.plan(at, Happening::Deploy { function });
    }
    for _ in 0..200 {
        let burst = world.random.micros(0..20_000_000);
        for _ in 0..20 {
            let function = world.random.next() % 4;
            let within = burst + world.random.micros(0..40_000);
            world.plan(within, Happening::Arrive { function });
        }
    }
    world.run(Duration::from_secs(60));
    assert!(world.unplaced.is_empty(), "every invoke was placed or refused");
    assert_eq!((world.scheduler.in_flight(), world.scheduler.living()), (0, 0), "in the end all is quiet");
    assert!(world.environments.is_empty(), "and nothing is left");
    assert_eq!(world.tally.answered + world.tally.throttled, 4000);
    assert_eq!(world.tally.warm + world.tally.cold, world.tally.answered);
    world.tally
}

const AMPLE: Limits = Limits {
    account_concurrency: 1000,
    requests_per_concurrency: None,
    scaling: Scaling::Unlimited,
    memory_budget_mb: 1_000_000,
    environments_max: 1000,
    keep_alive: KEEP_ALIVE,
    life: LIFE,
    life_spread: Duration::ZERO,
    settle: Duration::from_millis(10),
    settle_max: Duration::from_millis(200),
    room_wait: Duration::from_millis(500),
};

#[test]
fn with_ample_room_no_invoke_fails_under_deploys() {
    for seed in 0..8 {
        let tally = simulate(seed, AMPLE);
        assert_eq!((tally.throttled, tally.answered), (0, 4000), "seed {seed}: {tally:?}");
        assert!(tally.warm > 500 && tally.crashes > 0 && tally.deploys == 40 && tally.reaped > 0, "{tally:?}");
    }
}

#[test]
fn in_a_tight_budget_the_bounds_hold() {
    for seed in 0..8 {
        let limits = Limits { account_concurrency: 12, memory_budget_mb: 6000, environments_max: 10, ..AMPLE };
        let tally = simulate(seed, limits);
        assert!(tally.throttled > 0 && tally.answered > 0, "seed {seed}: {tally:?}");
    }
}

#[test]
fn reservations_hold_and_are_no_larger_than_said() {
    for seed in 0..8 {
        let limits = Limits { account_concurrency: 16, ..AMPLE };
        let tally = simulate_with(seed, limits, 200);
        assert!(tally.reserved > 0 && tally.answered > 500, "seed {seed}: {tally:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    assert_eq!(simulate(7, AMPLE), simulate(7, AMPLE));
}
