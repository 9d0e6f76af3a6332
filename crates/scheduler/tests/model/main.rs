//! Random events against a model so naive that it is plainly right: flat lists, searched from the start each time.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod moves;

use std::time::Duration;

use hearth_scheduler::{
    Action, Capacity, Event, FunctionKey, Generation, InvokeId, KeepAlive, Limits, Origin, Scheduler, StopReason,
    Throttle, WorkerId,
};
use hearth_types::EnvironmentId;

/// Where idle environments are kept for a time.
const TIMED: Limits = Limits {
    account_concurrency: 9,
    keep_alive: KeepAlive::Fixed(Duration::from_millis(90)),
    life: Duration::from_millis(160),
    life_spread: Duration::from_millis(40),
    settle: Duration::from_millis(20),
    settle_max: Duration::from_millis(50),
    room_wait: Duration::from_millis(70),
    ..Limits::PLAIN
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
    /// How long an init takes, late ones counting more.
    init: Option<Duration>,
}

/// One that waits: for an environment of its version, or for room.
#[derive(Clone, Copy)]
struct Parked {
    invoke: InvokeId,
    generation: Generation,
    since: Duration,
    due: Duration,
    for_room: bool,
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
    /// Who asked first comes first.
    parked: Vec<Parked>,
    reserved: Vec<(FunctionKey, u32)>,
    created: u64,
    rested: u64,
    actions: Vec<Action>,
}

impl Model {
    fn new(limits: Limits) -> Self {
        Self {
            limits,
            edges: moves::edges(),
            gaps: Vec::new(),
            missed: Vec::new(),
            versions: Vec::new(),
            environments: Vec::new(),
            parked: Vec::new(),
            reserved: Vec::new(),
            created: 0,
            rested: 0,
            actions: Vec::new(),
        }
    }

    fn function_of(&self, id: EnvironmentId) -> FunctionKey {
        self.version(self.environments.iter().find(|e| e.id == id).unwrap().generation).function
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

    /// Why there is no room for one more, even if all idle ones went.
    fn short(&self, memory_mb: u64) -> Option<Throttle> {
        let max = CAPACITY.environments as usize;
        let (used_mb, used) = self.room(false);
        let (idle_mb, idle) = self.room(true);
        if memory_mb > CAPACITY.memory_mb {
            Some(Throttle::NeverFits { needed_mb: memory_mb as u32, budget_mb: CAPACITY.memory_mb })
        } else if self.environments.len() - used >= max {
            Some(Throttle::Environments)
        } else if used_mb - idle_mb + memory_mb > CAPACITY.memory_mb {
            Some(Throttle::Memory)
        } else if used - idle >= max {
            Some(Throttle::Environments)
        } else {
            None
        }
    }

    /// A new environment, or what it lacks.
    fn place(&mut self, now: Duration, invoke: InvokeId, generation: Generation) -> Result<(), Throttle> {
        let memory_mb = self.version(generation).memory_mb;
        let max = CAPACITY.environments as usize;
        if let Some(reason) = self.short(memory_mb) {
            return Err(reason);
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
        Ok(())
    }

    /// A new environment for one that waits; without room it waits for that, unless it has waited for long enough.
    fn place_parked(&mut self, now: Duration, at: usize) {
        let Parked { invoke, generation, since, .. } = self.parked[at];
        match self.place(now, invoke, generation) {
            Ok(()) => drop(self.parked.remove(at)),
            Err(Throttle::Memory | Throttle::Environments) if now < since + self.limits.room_wait => {
                self.parked[at].for_room = true;
                self.parked[at].due = since + self.limits.room_wait;
            }
            Err(reason) => {
                self.parked.remove(at);
                self.actions.push(Action::Throttle { invoke, reason });
            }
        }
    }

    /// While there is room for one that waits for it, the first of those gets it.
    fn serve_room(&mut self, now: Duration) {
        let fits =
            |model: &Self, p: &Parked| p.for_room && model.short(model.version(p.generation).memory_mb).is_none();
        while let Some(at) = self.parked.iter().position(|p| fits(self, p)) {
            self.place_parked(now, at);
        }
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
                let (memory_mb, cold_starts) = (memory_mb.into(), Vec::new());
                let (retired, init) = (false, None);
                self.versions.push(Version { generation, function, memory_mb, retired, cold_starts, init });
            }
            Event::Retire(generation) => self.retire(generation),
            Event::Reserve { function, concurrency } => {
                self.reserved.retain(|(f, _)| *f != function);
                self.reserved.extend(concurrency.map(|limit| (function, limit)));
            }
            Event::Invoke { invoke, generation, .. } => self.invoke(now, invoke, generation),
            Event::Initialised { environment, took } => self.initialised(environment, took),
            Event::Answered(id) => self.answered(now, id),
            Event::Idle(id) => self.idle(now, id),
            Event::Gone(id) => self.gone(now, id),
            Event::Provision { .. } | Event::Prepared(_) | Event::InitFailed(_) | Event::Down(_) => {
                unreachable!("nothing is prepared")
            }
            Event::Tick => self.tick(now),
            Event::Join { .. } | Event::Drain(_) | Event::Lost(_) | Event::Resume { .. } | Event::Close => {}
        }
        self.serve_room(now);
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
        let patience = self.patience(generation);
        let parked = Parked { invoke, generation, since: now, due: now + patience, for_room: false };
        if self.waiting(generation) < self.settling(generation) {
            self.parked.push(parked);
            return;
        }
        match self.place(now, invoke, generation) {
            Ok(()) => {}
            Err(Throttle::Memory | Throttle::Environments) => {
                self.parked.push(Parked { due: now + self.limits.room_wait, for_room: true, ..parked });
            }
            Err(reason) => self.actions.push(Action::Throttle { invoke, reason }),
        }
    }

    fn initialised(&mut self, id: EnvironmentId, took: Duration) {
        let Some(generation) = self.environments.iter().find(|e| e.id == id).map(|e| e.generation) else { return };
        let version = self.versions.iter_mut().find(|v| v.generation == generation).unwrap();
        version.init = Some(version.init.map_or(took, |before| (3 * before + took) / 4));
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
        } else {
            self.hand_over(now, id, generation);
        }
    }

    /// It goes to its own version's first; but if another's has waited for room for half of the time, that has its room.
    fn hand_over(&mut self, now: Duration, id: EnvironmentId, generation: Generation) {
        let half = self.limits.room_wait / 2;
        let first_for_room = self.parked.iter().position(|p| p.for_room);
        let pressing = first_for_room
            .filter(|at| self.parked[*at].generation != generation && self.parked[*at].since + half <= now);
        if pressing.is_none() && self.waiting(generation) > 0 {
            return self.give_to_own(id, generation);
        }
        self.rested += 1;
        // What is lost with it is found out when room is short.
        let look = (self.limits.keep_alive == KeepAlive::Room).then_some(now);
        let resting = Resting { since: now, turn: self.rested, loss: 0, look };
        self.environments.iter_mut().find(|e| e.id == id).unwrap().phase = Phase::Idle(resting);
        let Some(at) = pressing else { return };
        self.place_parked(now, at);
        if let Some(id) = self.last_used(generation).filter(|_| self.waiting(generation) > 0) {
            self.give_to_own(id, generation);
        }
    }

    fn give_to_own(&mut self, id: EnvironmentId, generation: Generation) {
        let at = self.parked.iter().position(|p| p.generation == generation).unwrap();
        let invoke = self.parked.remove(at).invoke;
        self.environments.iter_mut().find(|e| e.id == id).unwrap().phase = Phase::Busy;
        self.actions.push(Action::Assign { invoke, environment: id });
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
            self.place_parked(now, at);
        }
    }

    fn tick(&mut self, now: Duration) {
        loop {
            let due = (0..self.parked.len()).filter(|at| self.parked[*at].due <= now);
            let Some(at) = due.min_by_key(|at| (self.parked[*at].due, *at)) else { break };
            self.place_parked(now, at);
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
