//! Random events against a model so naive that it is plainly right: flat lists, searched from the start each time.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::time::Duration;

use hearth_scheduler::{
    Action, Capacity, Event, FunctionKey, Generation, InvokeId, KeepAlive, Limits, Origin, Placement, Scaling,
    Scheduler, StopReason, Throttle, WorkerId,
};
use hearth_types::EnvironmentId;
use proptest::prelude::*;

/// Where idle environments are kept for a time.
const TIMED: Limits = Limits {
    account_concurrency: 9,
    requests_per_concurrency: None,
    scaling: Scaling::Unlimited,
    placement: Placement::Pack,
    keep_alive: KeepAlive::Fixed(Duration::from_millis(90)),
    life: Duration::from_millis(160),
    life_spread: Duration::from_millis(40),
    settle: Duration::from_millis(20),
    settle_max: Duration::from_millis(50),
    room_wait: Duration::from_millis(70),
};

/// Where they are kept while there is room: for minutes, so that gaps are of many lengths.
const ROOM: Limits = Limits {
    keep_alive: KeepAlive::Room,
    life: Duration::from_secs(3000),
    life_spread: Duration::from_secs(1000),
    ..TIMED
};

/// There is one; see `placement.rs` for several.
const WORKER: WorkerId = WorkerId(1);
const CAPACITY: Capacity = Capacity { memory_mb: 3000, environments: 7 };

#[derive(Clone, Copy, PartialEq, Debug)]
enum Phase {
    Busy,
    Settling,
    Idle(Resting),
    Stopping,
}

#[derive(Clone, Copy, PartialEq, Debug)]
struct Resting {
    since: Duration,
    /// How many became idle before.
    turn: u64,
    /// What is lost with it, and until when that is so.
    loss: u128,
    look: Option<Duration>,
}

struct Environment {
    id: EnvironmentId,
    made_at: Duration,
    answered: bool,
    generation: Generation,
    phase: Phase,
}

struct Version {
    generation: Generation,
    function: FunctionKey,
    memory_mb: u64,
    retired: bool,
    /// How long each environment took for its first answer.
    cold_starts: Vec<Duration>,
}

struct Parked {
    invoke: InvokeId,
    generation: Generation,
    give_up_at: Duration,
    /// When it is looked at again, and how many others were parked, or parked again, before.
    again: (Duration, u64),
}

struct Model {
    limits: Limits,
    /// Where the bins of gaps begin, in milliseconds.
    edges: Vec<u64>,
    /// How long environments of each function were idle before they were used.
    gaps: Vec<(FunctionKey, Duration)>,
    /// Since when the one was idle that went last of each function.
    missed: Vec<(FunctionKey, Duration)>,
    versions: Vec<Version>,
    environments: Vec<Environment>,
    /// Oldest first.
    parked: Vec<Parked>,
    parkings: u64,
    reserved: Vec<(FunctionKey, u32)>,
    created: u64,
    rested: u64,
    actions: Vec<Action>,
}

impl Model {
    fn new(limits: Limits) -> Self {
        Self {
            limits,
            edges: edges(),
            gaps: Vec::new(),
            missed: Vec::new(),
            versions: Vec::new(),
            environments: Vec::new(),
            parked: Vec::new(),
            parkings: 0,
            reserved: Vec::new(),
            created: 0,
            rested: 0,
            actions: Vec::new(),
        }
    }

    fn function_of(&self, id: EnvironmentId) -> FunctionKey {
        self.version(self.environments.iter().find(|e| e.id == id).unwrap().generation).function
    }

    /// What is lost with an environment of this version that has been idle for so long, and for how long in all.
    fn worth(&self, generation: Generation, idle: Duration) -> (u128, Option<Duration>) {
        if self.limits.keep_alive != KeepAlive::Room {
            return (0, None);
        }
        let version = self.version(generation);
        let edges = &self.edges;
        let bin_of = |gap: Duration| edges.iter().rposition(|edge| u128::from(*edge) <= gap.as_millis()).unwrap();
        let from = bin_of(idle);
        let (mut uses, mut kept_ms) = (0, 0);
        for bin in from..edges.len() {
            let seen = self.gaps.iter().filter(|(f, gap)| *f == version.function && bin_of(*gap) == bin).count();
            let middle_ms = if bin == 0 { 500 } else { edges[bin] * 1189 / 1000 };
            let weight = 32 * seen as u128 + 1;
            uses += weight;
            kept_ms += weight * u128::from(middle_ms - edges[from]);
        }
        let cold_us = version.cold_starts.iter().min().copied().unwrap_or_default().as_micros().max(1);
        let loss = ((uses * cold_us) << 60) / (kept_ms * u128::from(version.memory_mb));
        (loss, edges.get(from + 1).copied().map(Duration::from_millis))
    }

    fn end(&self, e: &Environment, since: Duration) -> Duration {
        let life = e.made_at + self.limits.life_of(e.id);
        match self.limits.keep_alive {
            KeepAlive::Fixed(time) => life.min(since + time),
            _ => life,
        }
    }

    /// Stops one that might still have been used.
    fn let_go(&mut self, id: EnvironmentId, reason: StopReason) {
        let function = self.function_of(id);
        let e = self.environments.iter_mut().find(|e| e.id == id).unwrap();
        let Phase::Idle(resting) = e.phase else { panic!("{id} is not idle") };
        e.phase = Phase::Stopping;
        self.missed.retain(|(f, _)| *f != function);
        self.missed.push((function, resting.since));
        self.actions.push(Action::Stop { environment: id, reason });
    }

    fn version(&self, generation: Generation) -> &Version {
        self.versions.iter().find(|v| v.generation == generation).unwrap()
    }

    fn reservation(&self, function: FunctionKey) -> Option<u32> {
        self.reserved.iter().find(|(f, _)| *f == function).map(|(_, limit)| *limit)
    }

    /// All functions that have an invoke in flight, one entry for each.
    fn in_flight(&self) -> Vec<FunctionKey> {
        let busy = self.environments.iter().filter(|e| e.phase == Phase::Busy).map(|e| e.generation);
        let parked = self.parked.iter().map(|p| p.generation);
        busy.chain(parked).map(|generation| self.version(generation).function).collect()
    }

    fn admits(&self, function: FunctionKey) -> Result<(), Throttle> {
        let in_flight = self.in_flight();
        if let Some(limit) = self.reservation(function) {
            let own = in_flight.iter().filter(|f| **f == function).count();
            return if own < limit as usize { Ok(()) } else { Err(Throttle::ReservedConcurrency) };
        }
        let shared = in_flight.iter().filter(|f| self.reservation(**f).is_none()).count();
        let reserved: u32 = self.reserved.iter().map(|(_, limit)| limit).sum();
        let limit = self.limits.account_concurrency.saturating_sub(reserved);
        if shared < limit as usize { Ok(()) } else { Err(Throttle::AccountConcurrency) }
    }

    fn settling(&self, generation: Generation) -> usize {
        self.environments.iter().filter(|e| e.generation == generation && e.phase == Phase::Settling).count()
    }

    fn waiting(&self, generation: Generation) -> usize {
        self.parked.iter().filter(|p| p.generation == generation).count()
    }

    /// Those not stopping: MB and count; the idle ones of them where asked.
    fn room(&self, only_idle: bool) -> (u64, usize) {
        let counted = |e: &&Environment| match e.phase {
            Phase::Stopping => false,
            Phase::Idle(..) => true,
            _ => !only_idle,
        };
        let all: Vec<_> = self.environments.iter().filter(counted).collect();
        (all.iter().map(|e| self.version(e.generation).memory_mb).sum(), all.len())
    }

    /// Whether the invoke's fate is decided.
    fn place(&mut self, now: Duration, invoke: InvokeId, generation: Generation, give_up_at: Duration) -> bool {
        let memory_mb = self.version(generation).memory_mb;
        let max = CAPACITY.environments as usize;
        let (used_mb, used) = self.room(false);
        let (idle_mb, idle) = self.room(true);
        let refused = if memory_mb > CAPACITY.memory_mb {
            Some(Throttle::NeverFits { needed_mb: memory_mb as u32, budget_mb: CAPACITY.memory_mb })
        } else if self.environments.len() - used >= max {
            Some(Throttle::Environments)
        } else if used_mb - idle_mb + memory_mb > CAPACITY.memory_mb {
            Some(Throttle::Memory)
        } else if used - idle >= max {
            Some(Throttle::Environments)
        } else {
            None
        };
        let settling = self.environments.iter().any(|e| e.phase == Phase::Settling);
        let stopping = self.environments.iter().any(|e| e.phase == Phase::Stopping);
        if let Some(reason) = refused {
            let hope = match reason {
                Throttle::Memory => settling,
                Throttle::Environments => settling || stopping,
                _ => false,
            };
            if hope && now < give_up_at {
                return false;
            }
            self.actions.push(Action::Throttle { invoke, reason });
            return true;
        }
        if self.room(false).0 + memory_mb > CAPACITY.memory_mb || self.room(false).1 >= max {
            self.value_anew(now);
        }
        while self.room(false).0 + memory_mb > CAPACITY.memory_mb || self.room(false).1 >= max {
            self.stop_cheapest();
        }
        let function = self.version(generation).function;
        for (_, since) in self.missed.extract_if(.., |(f, _)| *f == function) {
            self.gaps.push((function, now - since));
        }
        self.created += 1;
        let environment = EnvironmentId(self.created);
        self.environments.push(Environment {
            id: environment,
            made_at: now,
            answered: false,
            generation,
            phase: Phase::Busy,
        });
        self.actions.push(Action::Create { invoke, environment, generation, worker: WORKER });
        true
    }

    fn again(&mut self, at: Duration) -> (Duration, u64) {
        self.parkings += 1;
        (at, self.parkings)
    }

    /// Finds out anew what is lost with those for which that is another amount by now.
    fn value_anew(&mut self, now: Duration) {
        for at in 0..self.environments.len() {
            let Environment { generation, phase, .. } = self.environments[at];
            if let Phase::Idle(resting) = phase
                && resting.look.is_some_and(|look| look <= now)
            {
                let (loss, look) = self.worth(generation, now - resting.since);
                let look = look.map(|idle| resting.since + idle);
                self.environments[at].phase = Phase::Idle(Resting { loss, look, ..resting });
            }
        }
    }

    /// Stops the environment with which least is lost; of several the one that is idle longest.
    fn stop_cheapest(&mut self) {
        let idle = self.environments.iter().filter_map(|e| match e.phase {
            Phase::Idle(resting) => Some((resting.loss, resting.turn, e.id)),
            _ => None,
        });
        let Some((_, _, id)) = idle.min() else { return };
        self.let_go(id, StopReason::Room);
    }

    fn step(&mut self, now: Duration, event: Event) {
        match event {
            Event::Deploy { generation, function, memory_mb } => {
                self.versions.push(Version {
                    generation,
                    function,
                    memory_mb: memory_mb.into(),
                    retired: false,
                    cold_starts: Vec::new(),
                });
            }
            Event::Retire(generation) => self.retire(generation),
            Event::Reserve { function, concurrency } => {
                self.reserved.retain(|(f, _)| *f != function);
                self.reserved.extend(concurrency.map(|limit| (function, limit)));
            }
            Event::Invoke { invoke, generation, .. } => self.invoke(now, invoke, generation),
            Event::Answered(id) => self.answered(now, id),
            Event::Idle(id) => self.idle(now, id),
            Event::Gone(id) => self.gone(now, id),
            Event::Provision { .. } | Event::Prepared(_) | Event::InitFailed(_) | Event::Down(_) => {
                unreachable!("nothing is prepared")
            }
            Event::Tick => self.tick(now),
            Event::Join { .. } | Event::Drain(_) | Event::Lost(_) => {}
        }
    }

    fn retire(&mut self, generation: Generation) {
        for version in self.versions.iter_mut().filter(|v| v.generation == generation) {
            version.retired = true;
        }
        let of = |function| self.versions.iter().any(|v| v.function == function && !v.retired);
        self.gaps.retain(|(function, _)| of(*function));
        self.missed.retain(|(function, _)| of(*function));
        let mut idle: Vec<_> = self.environments.iter_mut().filter(|e| e.generation == generation).collect();
        idle.sort_by_key(|e| if let Phase::Idle(resting) = e.phase { resting.turn } else { u64::MAX });
        for e in idle {
            if let Phase::Idle(..) = e.phase {
                e.phase = Phase::Stopping;
                self.actions.push(Action::Stop { environment: e.id, reason: StopReason::Retired });
            }
        }
        for parked in self.parked.extract_if(.., |p| p.generation == generation) {
            self.actions.push(Action::Stale { invoke: parked.invoke });
        }
    }

    fn invoke(&mut self, now: Duration, invoke: InvokeId, generation: Generation) {
        let Some(version) = self.versions.iter().find(|v| v.generation == generation && !v.retired) else {
            self.actions.push(Action::Stale { invoke });
            return;
        };
        let function = version.function;
        self.reap(now);
        if let Err(reason) = self.admits(function) {
            self.actions.push(Action::Throttle { invoke, reason });
            return;
        }
        let last_used = self.last_used(generation);
        if let Some(environment) = last_used {
            let e = self.environments.iter_mut().find(|e| e.id == environment).unwrap();
            let Phase::Idle(resting) = std::mem::replace(&mut e.phase, Phase::Busy) else { unreachable!() };
            self.gaps.push((function, now - resting.since));
            self.actions.push(Action::Assign { invoke, environment });
            return;
        }
        let give_up_at = now + self.limits.room_wait;
        let one_settles = self.waiting(generation) < self.settling(generation);
        if one_settles || !self.place(now, invoke, generation, give_up_at) {
            let cold = self.version(generation).cold_starts.iter().min().copied().unwrap_or_default();
            let again = self.again(now + cold.clamp(self.limits.settle, self.limits.settle_max));
            self.parked.push(Parked { invoke, generation, give_up_at, again });
        }
    }

    fn answered(&mut self, now: Duration, id: EnvironmentId) {
        let Some(e) = self.environments.iter_mut().find(|e| e.id == id && e.phase == Phase::Busy) else { return };
        e.phase = Phase::Settling;
        if !std::mem::replace(&mut e.answered, true) {
            let (generation, took) = (e.generation, now - e.made_at);
            self.versions.iter_mut().find(|v| v.generation == generation).unwrap().cold_starts.push(took);
        }
    }

    fn last_used(&self, generation: Generation) -> Option<EnvironmentId> {
        let idle = self.environments.iter().filter(|e| e.generation == generation).filter_map(|e| match e.phase {
            Phase::Idle(resting) => Some((resting.turn, e.id)),
            _ => None,
        });
        idle.max_by_key(|(turn, _)| *turn).map(|(_, id)| id)
    }

    fn idle(&mut self, now: Duration, id: EnvironmentId) {
        self.answered(now, id);
        let Some(e) = self.environments.iter_mut().find(|e| e.id == id) else { return };
        if !matches!(e.phase, Phase::Busy | Phase::Settling) {
            return;
        }
        let generation = e.generation;
        if self.version(generation).retired {
            self.stop(id, StopReason::Retired);
        } else if self.is_old(now, id) {
            self.stop(id, StopReason::Age);
            self.replace(now, generation);
        } else if let Some(at) = self.parked.iter().position(|p| p.generation == generation) {
            let invoke = self.parked.remove(at).invoke;
            self.environments.iter_mut().find(|e| e.id == id).unwrap().phase = Phase::Busy;
            self.actions.push(Action::Assign { invoke, environment: id });
        } else {
            self.rested += 1;
            let (loss, look) = self.worth(generation, Duration::ZERO);
            let resting = Resting { since: now, turn: self.rested, loss, look: look.map(|idle| now + idle) };
            self.environments.iter_mut().find(|e| e.id == id).unwrap().phase = Phase::Idle(resting);
        }
    }

    fn stop(&mut self, id: EnvironmentId, reason: StopReason) {
        self.environments.iter_mut().find(|e| e.id == id).unwrap().phase = Phase::Stopping;
        self.actions.push(Action::Stop { environment: id, reason });
    }

    fn gone(&mut self, now: Duration, id: EnvironmentId) {
        self.answered(now, id);
        let Some(at) = self.environments.iter().position(|e| e.id == id) else { return };
        let generation = self.environments.remove(at).generation;
        self.replace(now, generation);
    }

    fn is_old(&self, now: Duration, id: EnvironmentId) -> bool {
        self.environments.iter().any(|e| e.id == id && now - e.made_at >= self.limits.life_of(id))
    }

    fn replace(&mut self, now: Duration, generation: Generation) {
        if self.waiting(generation) > self.settling(generation) {
            let at = self.parked.iter().position(|p| p.generation == generation).unwrap();
            if self.place(now, self.parked[at].invoke, generation, Duration::MAX) {
                self.parked.remove(at);
            }
        }
    }

    fn tick(&mut self, now: Duration) {
        loop {
            let due = (0..self.parked.len()).filter(|at| self.parked[*at].again.0 <= now);
            let Some(at) = due.min_by_key(|at| self.parked[*at].again) else { break };
            let Parked { invoke, generation, give_up_at, .. } = self.parked[at];
            if self.place(now, invoke, generation, give_up_at) {
                self.parked.remove(at);
            } else {
                self.parked[at].again = self.again(now + self.limits.settle);
            }
        }
        self.reap(now);
    }

    fn reap(&mut self, now: Duration) {
        let mut ended: Vec<_> = self
            .environments
            .iter()
            .filter_map(|e| match e.phase {
                Phase::Idle(resting) => Some((self.end(e, resting.since), resting.turn, e.id)),
                _ => None,
            })
            .filter(|(end, ..)| *end <= now)
            .collect();
        ended.sort_unstable();
        for (_, _, id) in ended {
            self.let_go(id, if self.is_old(now, id) { StopReason::Age } else { StopReason::Idle });
        }
    }
}

/// At nothing, at a second, and at each half doubling of it.
fn edges() -> Vec<u64> {
    let halves = (0..31).map(|halves| (1000.0 * 2.0_f64.powf(f64::from(halves) / 2.0)) as u64);
    std::iter::once(0).chain(halves).collect()
}

/// What a test case does next; numbers choose among what is there at that time.
#[derive(Clone, Copy, Debug)]
enum Move {
    Deploy { function: u64, memory_mb: u32 },
    Retire(usize),
    Reserve { function: u64, concurrency: Option<u32> },
    Invoke(usize),
    Answered(usize),
    Idle(usize),
    Gone(usize),
    Pass(u64),
    PassSeconds(u64),
    Tick,
}

fn moves() -> impl Strategy<Value = Move> {
    let memory = prop_oneof![Just(128), Just(500), Just(1769), Just(3000), Just(4000)];
    prop_oneof![
        1 => (1..4u64, memory).prop_map(|(function, memory_mb)| Move::Deploy { function, memory_mb }),
        1 => any::<usize>().prop_map(Move::Retire),
        1 => (1..4u64, prop::option::of(0..4u32))
            .prop_map(|(function, concurrency)| Move::Reserve { function, concurrency }),
        12 => any::<usize>().prop_map(Move::Invoke),
        5 => any::<usize>().prop_map(Move::Answered),
        8 => any::<usize>().prop_map(Move::Idle),
        3 => any::<usize>().prop_map(Move::Gone),
        4 => (0..40u64).prop_map(Move::Pass),
        1 => (0..400u64).prop_map(Move::PassSeconds),
        3 => Just(Move::Tick),
    ]
}

fn event(step: Move, deployed: u64, created: u64, invokes: &mut u64) -> Event {
    let generation = |pick: usize| Generation(pick as u64 % deployed + 1);
    let environment = |pick: usize| EnvironmentId(pick as u64 % (created + 1) + 1);
    match step {
        Move::Deploy { function, memory_mb } => {
            Event::Deploy { generation: Generation(deployed + 1), function: FunctionKey(function), memory_mb }
        }
        Move::Retire(pick) => Event::Retire(generation(pick)),
        Move::Reserve { function, concurrency } => Event::Reserve { function: FunctionKey(function), concurrency },
        Move::Invoke(pick) => {
            *invokes += 1;
            Event::Invoke { invoke: InvokeId(*invokes), generation: generation(pick), origin: Origin::Client }
        }
        Move::Answered(pick) => Event::Answered(environment(pick)),
        Move::Idle(pick) => Event::Idle(environment(pick)),
        Move::Gone(pick) => Event::Gone(environment(pick)),
        Move::Pass(_) | Move::PassSeconds(_) | Move::Tick => Event::Tick,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn does_what_the_naive_model_does(
        limits in prop_oneof![Just(TIMED), Just(ROOM)],
        steps in prop::collection::vec(moves(), 1..200),
    ) {
        let (mut scheduler, mut model) = (Scheduler::new(limits), Model::new(limits));
        let (mut now, mut invokes) = (Duration::ZERO, 0);
        let first = Event::Deploy { generation: Generation(1), function: FunctionKey(1), memory_mb: 128 };
        scheduler.step(now, Event::Join { worker: WORKER, capacity: CAPACITY }, &mut Vec::new());
        scheduler.step(now, first, &mut Vec::new());
        model.step(now, first);
        for step in steps {
            match step {
                Move::Pass(ms) => now += Duration::from_millis(ms),
                Move::PassSeconds(s) => now += Duration::from_secs(s),
                _ => {}
            }
            if matches!(step, Move::Pass(_) | Move::PassSeconds(_)) {
                continue;
            }
            let event = event(step, model.versions.len() as u64, model.created, &mut invokes);
            let mut actions = Vec::new();
            scheduler.step(now, event, &mut actions);
            model.step(now, event);
            prop_assert_eq!(actions, std::mem::take(&mut model.actions), "after {:?}", event);
            prop_assert_eq!(scheduler.in_flight() as usize, model.in_flight().len());
            prop_assert_eq!((scheduler.memory_mb(), scheduler.living() as usize), model.room(false));
            let due = scheduler.next_tick();
            let idle = model.environments.iter().filter_map(|e| match e.phase {
                Phase::Idle(resting) => Some(model.end(e, resting.since)),
                _ => None,
            });
            let needed = idle.chain(model.parked.iter().map(|p| p.again.0)).min();
            prop_assert!(needed.is_none() || due <= needed, "a tick is due at {needed:?}, not at {due:?}");
        }
    }
}
