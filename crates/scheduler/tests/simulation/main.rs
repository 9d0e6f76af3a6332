//! Thousands of invokes on a simulated clock: cold starts, crashes, deploys under load. The same seed gives the same run.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod stories;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::time::Duration;

use hearth_scheduler::{
    Action, Capacity, Event, FunctionKey, Generation, InvokeId, KeepAlive, Limits, Origin, Placement, Scheduler,
    Throttle, WorkerId, WorkerView,
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
    Join { memory_mb: u64, environments: u32 },
    LoseWorker,
    DrainWorker,
}

/// An environment as the world sees it.
struct Simulated {
    worker: WorkerId,
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
    /// Those that are there, and whether they drain.
    workers: HashMap<WorkerId, (Capacity, bool)>,
    last_worker: u64,
    /// MB of an environment of each generation.
    sizes: HashMap<Generation, u64>,
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
    /// Invokes whose worker was lost.
    lost: u64,
    workers_lost: u64,
    /// Workers that went when they had nothing left.
    drained: u64,
}

impl World {
    fn new(seed: u64, limits: Limits, workers: &[Capacity]) -> Self {
        let mut world = Self {
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
            workers: HashMap::new(),
            sizes: HashMap::new(),
            last_worker: 0,
        };
        for capacity in workers {
            world.join(*capacity);
        }
        world
    }

    fn join(&mut self, capacity: Capacity) {
        self.last_worker += 1;
        let worker = WorkerId(self.last_worker);
        self.workers.insert(worker, (capacity, false));
        self.step(Event::Join { worker, capacity });
    }

    /// One of the workers, any.
    fn some_worker(&mut self) -> Option<WorkerId> {
        let mut all: Vec<_> = self.workers.keys().copied().collect();
        all.sort_unstable();
        let pick = self.random.next() as usize;
        all.get(pick % all.len().max(1)).copied()
    }

    /// It ends, with all that it has; another comes after a while.
    fn lose_one(&mut self) {
        let Some(worker) = self.some_worker() else { return };
        let (capacity, _) = self.workers.remove(&worker).expect("it is there");
        let lost: Vec<_> = self.environments.iter().filter(|(_, e)| e.worker == worker).map(|(id, _)| *id).collect();
        for id in lost {
            let lost = self.environments.remove(&id).expect("it is there");
            self.tally.lost += u64::from(lost.running.is_some());
        }
        self.tally.workers_lost += 1;
        self.step(Event::Lost(worker));
        let after = self.random.micros(0..300_000);
        self.plan(after, Happening::Join { memory_mb: capacity.memory_mb, environments: capacity.environments });
    }

    /// It ends when nothing is left there; another comes at once.
    fn drain_one(&mut self) {
        let Some(worker) = self.some_worker() else { return };
        let (capacity, draining) = self.workers.get_mut(&worker).expect("it is there");
        let capacity = *capacity;
        if !std::mem::replace(draining, true) {
            self.join(capacity);
            self.step(Event::Drain(worker));
        }
    }

    /// What a worker has must fit there.
    fn check_workers(&mut self) {
        for WorkerView { worker, capacity, draining, environments, memory_mb, .. } in self.scheduler.workers() {
            let on_it = || self.environments.values().filter(|e| e.worker == worker && !e.stopped);
            let used: u64 = on_it().map(|e| self.sizes[&e.generation]).sum();
            assert_eq!((used, on_it().count() as u32), (memory_mb, environments), "what is on {worker:?}");
            assert!(used <= capacity.memory_mb && environments <= capacity.environments, "fits on {worker:?}");
            if draining && !self.environments.values().any(|e| e.worker == worker) {
                self.workers.remove(&worker);
                self.tally.drained += 1;
                self.step(Event::Lost(worker));
            }
        }
    }

    fn plan(&mut self, after: Duration, happening: Happening) {
        self.turn += 1;
        self.agenda.push(Reverse((self.now + after, self.turn, happening)));
    }

    fn step(&mut self, event: Event) {
        let mut actions = Vec::new();
        self.scheduler.step(self.now, event, &mut actions);
        // None of them counts any more by the time the first of them asks again.
        let stale: Vec<_> = actions
            .iter()
            .filter_map(|action| match action {
                Action::Stale { invoke } => Some(self.unplaced.remove(invoke).expect("placed once")),
                _ => None,
            })
            .collect();
        for action in actions {
            self.act(action);
        }
        for function in stale {
            self.tally.stale += 1;
            self.invoke(function);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Assign { invoke, environment } => {
                let e = self.environments.get_mut(&environment).expect("an environment that was made");
                assert!(!e.stopped && e.running.is_none() && e.idle_since.is_some(), "assigned to one that is idle");
                assert!(!self.retired.contains(&e.generation), "assigned to a retired generation");
                assert!(self.workers.get(&e.worker).is_some_and(|(_, draining)| !draining), "its worker takes some");
                e.idle_since = None;
                e.running = Some(invoke);
                self.tally.warm += 1;
                self.placed(invoke, environment);
                let busy = self.random.micros(100..20_000);
                self.plan(busy, Happening::Answer(environment));
            }
            Action::Create { invoke, environment, generation, worker } => {
                assert!(self.workers.get(&worker).is_some_and(|(_, draining)| !draining), "{worker:?} takes some");
                assert!(!self.retired.contains(&generation), "made for a retired generation");
                let made = Simulated { worker, generation, running: Some(invoke), idle_since: None, stopped: false };
                assert!(self.environments.insert(environment, made).is_none(), "a new id");
                self.tally.cold += 1;
                self.placed(invoke, environment);
                let busy = self.random.micros(8_000..80_000);
                self.plan(busy, Happening::Answer(environment));
            }
            Action::Prepare { .. } => unreachable!("nothing is provisioned"),
            Action::Throttle { invoke, reason } => {
                assert!(!matches!(reason, Throttle::NeverFits { .. }));
                let function = self.unplaced.remove(&invoke).expect("placed once");
                self.tally.throttled += 1;
                self.justly(function, reason);
            }
            Action::Stale { .. } => {}
            Action::Stop { environment, .. } => {
                let e = self.environments.get_mut(&environment).expect("an environment that was made");
                assert!(e.running.is_none() && !e.stopped, "only an idle one is stopped, and once");
                e.stopped = true;
                let draining = self.workers.get(&e.worker).is_some_and(|(_, draining)| *draining);
                self.tally.reaped += u64::from(!draining && !self.retired.contains(&e.generation));
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
        self.sizes.insert(generation, u64::from(memory_mb));
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
            Happening::Join { memory_mb, environments } => self.join(Capacity { memory_mb, environments }),
            Happening::LoseWorker => self.lose_one(),
            Happening::DrainWorker => self.drain_one(),
            Happening::Answer(id) => {
                // Unless it was lost with its worker.
                let Some(e) = self.environments.get_mut(&id) else { return };
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
            self.check_workers();
            let overdue = |e: &Simulated| e.idle_since.is_some_and(|at| !e.stopped && self.now > at + KEEP_ALIVE);
            assert!(!self.environments.values().any(overdue), "idle ones are reaped in time");
        }
    }
}
