//! What must hold between the scheduler and the world, counted a second time and naively.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use hearth_scheduler::{
    Action, Capacity, Event, FunctionKey, Generation, InvokeId, Limits, Purpose, Scaling, Throttle, WorkerId,
};
use hearth_types::EnvironmentId;

use crate::core::Core;

/// Steps between two comparisons of everything with the scheduler's own sums.
const STEPS_BETWEEN_CENSUSES: u64 = 64;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Preparing,
    Busy,
    Settling,
    Idle,
    Stopping,
}

#[derive(Clone, Copy, Debug)]
struct Environment {
    generation: Generation,
    worker: WorkerId,
    phase: Phase,
    /// Nobody may end it for its room.
    provisioned: bool,
    made_at: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Version {
    function: FunctionKey,
    memory_mb: u32,
}

#[derive(Clone, Copy, Debug)]
struct Worker {
    capacity: Capacity,
    draining: bool,
}

#[derive(Clone, Copy, Debug)]
struct Unplaced {
    generation: Generation,
    since: Duration,
}

/// A scheduler, watched: each step is held against the rules.
#[derive(Debug)]
pub struct Checked<C> {
    inner: C,
    limits: Limits,
    workers: HashMap<WorkerId, Worker>,
    versions: HashMap<Generation, Version>,
    retired: HashSet<Generation>,
    environments: HashMap<EnvironmentId, Environment>,
    unplaced: HashMap<InvokeId, Unplaced>,
    reserved: HashMap<FunctionKey, u32>,
    /// Placed and unplaced ones that count.
    in_flight: HashMap<FunctionKey, u32>,
    /// When environments were made that the scaling rate may still count; of all where all share it.
    made: HashMap<Option<FunctionKey>, Vec<Duration>>,
    steps: u64,
    broken: Option<String>,
}

impl<C: Core> Checked<C> {
    /// Watches a scheduler that has not taken a step, and should keep these limits.
    pub fn new(inner: C, limits: Limits) -> Self {
        Self {
            inner,
            limits,
            workers: HashMap::new(),
            versions: HashMap::new(),
            retired: HashSet::new(),
            environments: HashMap::new(),
            unplaced: HashMap::new(),
            reserved: HashMap::new(),
            in_flight: HashMap::new(),
            made: HashMap::new(),
            steps: 0,
            broken: None,
        }
    }

    /// Notes the first rule that does not hold.
    fn hold(&mut self, now: Duration, holds: bool, rule: impl FnOnce() -> String) {
        if !holds && self.broken.is_none() {
            self.broken = Some(format!("at {now:?}, step {}: {}", self.steps, rule()));
        }
    }

    fn before(&mut self, now: Duration, event: Event) {
        match event {
            Event::Deploy { generation, function, memory_mb } => {
                self.versions.insert(generation, Version { function, memory_mb });
            }
            Event::Retire(generation) => {
                self.retired.insert(generation);
            }
            Event::Reserve { function, concurrency } => {
                match concurrency {
                    Some(reserved) => self.reserved.insert(function, reserved),
                    None => self.reserved.remove(&function),
                };
            }
            Event::Invoke { invoke, generation, .. } => {
                self.unplaced.insert(invoke, Unplaced { generation, since: now });
            }
            Event::Answered(environment) => self.answered(environment),
            Event::Idle(environment) => {
                self.answered(environment);
                if let Some(settled) = self.environments.get_mut(&environment)
                    && settled.phase == Phase::Settling
                {
                    settled.phase = Phase::Idle;
                }
            }
            Event::Prepared(environment) => {
                if let Some(prepared) = self.environments.get_mut(&environment)
                    && prepared.phase == Phase::Preparing
                {
                    prepared.phase = Phase::Idle;
                }
            }
            Event::Gone(environment) => {
                self.answered(environment);
                self.environments.remove(&environment);
            }
            Event::Join { worker, capacity } => {
                self.workers.insert(worker, Worker { capacity, draining: false });
            }
            Event::Drain(worker) => {
                if let Some(draining) = self.workers.get_mut(&worker) {
                    draining.draining = true;
                }
            }
            Event::Lost(worker) => {
                self.workers.remove(&worker);
                let lost = self.environments.iter().filter(|(_, e)| e.worker == worker);
                let lost: Vec<EnvironmentId> = lost.map(|(environment, _)| *environment).collect();
                for environment in lost {
                    self.answered(environment);
                    self.environments.remove(&environment);
                }
            }
            Event::Provision { .. }
            | Event::Initialised { .. }
            | Event::InitFailed(_)
            | Event::Down(_)
            | Event::Resume { .. }
            | Event::Close
            | Event::Tick => {}
        }
    }

    fn answered(&mut self, environment: EnvironmentId) {
        let Some(busy) = self.environments.get_mut(&environment).filter(|e| e.phase == Phase::Busy) else { return };
        busy.phase = Phase::Settling;
        let function = self.versions[&busy.generation].function;
        *self.in_flight.entry(function).or_default() -= 1;
    }

    fn act(&mut self, now: Duration, action: Action) {
        match action {
            Action::Assign { invoke, environment } => {
                let generation = self.placed(now, invoke);
                let to = self.environments.get(&environment).copied();
                self.hold(now, to.is_some_and(|to| to.phase == Phase::Idle), || {
                    format!("{invoke:?} assigned to {environment}, which is {to:?}")
                });
                self.hold(now, to.map(|to| to.generation) == generation, || format!("{invoke:?} runs another code"));
                let life = self.limits.life_of(environment);
                self.hold(now, to.is_some_and(|to| now < to.made_at + life), || {
                    format!("{environment} takes an invoke after its life")
                });
                if let Some(to) = self.environments.get_mut(&environment) {
                    to.phase = Phase::Busy;
                }
            }
            Action::Create { invoke, environment, generation, worker } => {
                let wanted = self.placed(now, invoke);
                self.hold(now, wanted == Some(generation), || format!("{invoke:?} runs another code"));
                let made = Environment { generation, worker, phase: Phase::Busy, provisioned: false, made_at: now };
                let before = self.environments.insert(environment, made);
                self.hold(now, before.is_none(), || format!("{environment} made twice"));
                self.within_scaling(now, generation);
                self.within_capacity(now, worker);
            }
            Action::Prepare { environment, generation, worker, purpose } => {
                self.hold(now, !self.retired.contains(&generation), || format!("{environment} has retired code"));
                let provisioned = purpose == Purpose::Provisioned;
                let made = Environment { generation, worker, phase: Phase::Preparing, provisioned, made_at: now };
                let before = self.environments.insert(environment, made);
                self.hold(now, before.is_none(), || format!("{environment} made twice"));
                self.within_capacity(now, worker);
            }
            Action::Throttle { invoke, reason } => {
                if let Some(Unplaced { generation, .. }) = self.unplaced.remove(&invoke) {
                    self.justly(now, generation, reason);
                } else {
                    self.hold(now, false, || format!("{invoke:?} refused, which does not wait"));
                }
            }
            Action::Stale { invoke } => {
                let stale = self.unplaced.remove(&invoke);
                self.hold(now, stale.is_some_and(|stale| self.retired.contains(&stale.generation)), || {
                    format!("{invoke:?} is not stale")
                });
            }
            Action::Stop { environment, .. } => {
                let phase =
                    self.environments.get_mut(&environment).map(|e| std::mem::replace(&mut e.phase, Phase::Stopping));
                let at_rest = matches!(phase, Some(Phase::Idle | Phase::Preparing));
                self.hold(now, at_rest, || format!("{environment} stopped, which is {phase:?}"));
            }
        }
    }

    /// The invoke waits no more; what it was to run.
    fn placed(&mut self, now: Duration, invoke: InvokeId) -> Option<Generation> {
        let unplaced = self.unplaced.remove(&invoke);
        self.hold(now, unplaced.is_some(), || format!("{invoke:?} placed, which does not wait"));
        let Unplaced { generation, since } = unplaced?;
        self.hold(now, !self.retired.contains(&generation), || format!("{invoke:?} runs code that is retired"));
        let longest = self.limits.settle_max + self.limits.settle + self.limits.room_wait;
        self.hold(now, now - since <= longest, || format!("{invoke:?} waited for {:?}", now - since));
        *self.in_flight.entry(self.versions[&generation].function).or_default() += 1;
        Some(generation)
    }

    /// MB and count of the environments with such a phase on such a worker.
    fn sum(&self, of: impl Fn(&Environment) -> bool) -> (u64, u32) {
        let these = self.environments.values().filter(|e| of(e));
        these.fold((0, 0), |(mb, count), e| (mb + u64::from(self.versions[&e.generation].memory_mb), count + 1))
    }

    /// A worker that takes environments got one more, and has room for all that it has.
    fn within_capacity(&mut self, now: Duration, worker: WorkerId) {
        let taking = self.workers.get(&worker).filter(|worker| !worker.draining).copied();
        self.hold(now, taking.is_some(), || format!("{worker:?} takes no environment"));
        let Some(Worker { capacity, .. }) = taking else { return };
        let (mb, count) = self.sum(|e| e.worker == worker && e.phase != Phase::Stopping);
        self.hold(now, mb <= capacity.memory_mb, || format!("{mb} MB live on {worker:?}, of {}", capacity.memory_mb));
        self.hold(now, count <= capacity.environments, || {
            format!("{count} environments live on {worker:?}, of {}", capacity.environments)
        });
    }

    /// No more environments came to be within the rate's time than a full bucket and its refill allow.
    fn within_scaling(&mut self, now: Duration, generation: Generation) {
        let (rate, key) = match self.limits.scaling {
            Scaling::PerFunction(rate) => (rate, Some(self.versions[&generation].function)),
            Scaling::Account(rate) => (rate, None),
            Scaling::Unlimited => return,
        };
        let made = self.made.entry(key).or_default();
        made.retain(|at| *at + rate.per > now);
        made.push(now);
        let count = made.len();
        self.hold(now, count <= (rate.burst + rate.refill.get()) as usize, || {
            format!("{count} environments came to be within {:?}", rate.per)
        });
    }

    /// No invoke is refused for a limit that is not reached.
    fn justly(&mut self, now: Duration, generation: Generation, reason: Throttle) {
        let Version { function, memory_mb } = self.versions[&generation];
        let just = match reason {
            Throttle::AccountConcurrency => self.spare(generation) == 0 && self.unreserved() >= self.unreserved_limit(),
            Throttle::ReservedConcurrency => {
                self.spare(generation) == 0
                    && self.reserved.get(&function).is_some_and(|reserved| self.held_by(function) >= *reserved)
            }
            Throttle::Memory | Throttle::Environments | Throttle::NoWorker | Throttle::NeverFits { .. } => {
                !self.workers.iter().any(|(worker, of)| self.has_room(*worker, *of, memory_mb))
            }
            Throttle::RequestRate | Throttle::ReservedRequestRate => self.limits.requests_per_concurrency.is_some(),
            Throttle::ScalingRate => self.limits.scaling != Scaling::Unlimited,
        };
        self.hold(now, just, || format!("an invoke of {function:?} refused for {reason:?}, which is not so"));
    }

    /// Whether one more fits there, if what is idle goes, and not too many are about to end.
    fn has_room(&self, worker: WorkerId, of: Worker, memory_mb: u32) -> bool {
        let (_, stopping) = self.sum(|e| e.worker == worker && e.phase == Phase::Stopping);
        let stays = |e: &Environment| match e.phase {
            Phase::Busy | Phase::Settling | Phase::Preparing => true,
            Phase::Idle => e.provisioned,
            Phase::Stopping => false,
        };
        let (mb, count) = self.sum(|e| e.worker == worker && stays(e));
        let Capacity { memory_mb: most_mb, environments } = of.capacity;
        !of.draining && mb + u64::from(memory_mb) <= most_mb && count < environments && stopping < environments
    }

    /// Invokes of the function that are admitted and not answered.
    fn in_flight_of(&self, function: FunctionKey) -> u32 {
        let waiting = self.unplaced.values().filter(|of| self.versions[&of.generation].function == function).count();
        self.in_flight.get(&function).copied().unwrap_or_default() + waiting as u32
    }

    /// What the function takes of its concurrency: its invokes in flight, and what is provisioned beyond them.
    fn held_by(&self, function: FunctionKey) -> u32 {
        self.in_flight_of(function) + self.spare_of(|of| of == function)
    }

    /// Provisioned environments of a generation for which it has no invoke in flight.
    fn spare(&self, generation: Generation) -> u32 {
        let its = |e: &&Environment| e.generation == generation;
        let provisioned =
            self.environments.values().filter(its).filter(|e| e.provisioned && e.phase != Phase::Stopping);
        let running = self.environments.values().filter(its).filter(|e| e.phase == Phase::Busy).count();
        let waiting = self.unplaced.values().filter(|of| of.generation == generation).count();
        provisioned.count().saturating_sub(running + waiting) as u32
    }

    fn spare_of(&self, of: impl Fn(FunctionKey) -> bool) -> u32 {
        let provisioned = self.environments.values().filter(|e| e.provisioned);
        let generations: HashSet<Generation> = provisioned.map(|e| e.generation).collect();
        let these = generations.into_iter().filter(|generation| of(self.versions[generation].function));
        these.map(|generation| self.spare(generation)).sum()
    }

    fn unreserved_limit(&self) -> u32 {
        self.limits.account_concurrency.saturating_sub(self.reserved.values().sum())
    }

    /// The same of all functions without a reservation.
    fn unreserved(&self) -> u32 {
        let shares = |function: &FunctionKey| !self.reserved.contains_key(function);
        let placed: u32 = self.in_flight.iter().filter(|(function, _)| shares(function)).map(|(_, count)| count).sum();
        let waiting = self.unplaced.values().filter(|of| shares(&self.versions[&of.generation].function));
        placed + waiting.count() as u32 + self.spare_of(|function| shares(&function))
    }

    /// The new invoke, if it was not refused, found its limits not reached.
    fn admitted(&mut self, now: Duration, invoke: InvokeId, generation: Generation, actions: &[Action]) {
        let refused = actions.iter().any(|action| match action {
            Action::Throttle { invoke: refused, .. } | Action::Stale { invoke: refused } => *refused == invoke,
            _ => false,
        });
        if refused {
            return;
        }
        let function = self.versions[&generation].function;
        let (used, limit) = match self.reserved.get(&function) {
            Some(reserved) => (self.held_by(function), *reserved),
            None => (self.unreserved(), self.unreserved_limit()),
        };
        self.hold(now, used <= limit, || format!("{invoke:?} admitted as number {used} of {limit}"));
    }

    /// All sums of the scheduler, counted anew.
    fn census(&mut self, now: Duration) {
        let (mb, count) = self.sum(|e| e.phase != Phase::Stopping);
        let (told_mb, told_count) = (self.inner.memory_mb(), self.inner.living());
        self.hold(now, (mb, count) == (told_mb, told_count), || {
            format!("{count} environments with {mb} MB live, not {told_count} with {told_mb} MB")
        });
        let in_flight = self.in_flight.values().sum::<u32>() + self.unplaced.len() as u32;
        let told = self.inner.in_flight();
        self.hold(now, in_flight == told, || format!("{in_flight} invokes are in flight, not {told}"));
        let idle: HashSet<Generation> = self.with(Phase::Idle).map(|e| e.generation).collect();
        let beside = self.unplaced.iter().find(|(_, of)| idle.contains(&of.generation)).map(|(invoke, _)| *invoke);
        self.hold(now, beside.is_none(), || format!("{beside:?} waits beside an idle environment"));
        let drained = !idle.iter().any(|generation| self.retired.contains(generation));
        self.hold(now, drained, || "an idle environment has code that is retired".to_owned());
        let drained =
            self.with(Phase::Idle).all(|e| self.workers.get(&e.worker).is_some_and(|worker| !worker.draining));
        self.hold(now, drained, || "an environment is idle on a worker that drains".to_owned());
    }

    fn with(&self, phase: Phase) -> impl Iterator<Item = &Environment> {
        self.environments.values().filter(move |e| e.phase == phase)
    }
}

impl<C: Core> Core for Checked<C> {
    fn step(&mut self, now: Duration, event: Event, actions: &mut Vec<Action>) {
        self.steps += 1;
        let had_spare = matches!(event, Event::Invoke { generation, .. } if self.spare(generation) > 0);
        self.before(now, event);
        let first = actions.len();
        self.inner.step(now, event, actions);
        for action in &actions[first..] {
            self.act(now, *action);
        }
        if let Event::Invoke { invoke, generation, .. } = event
            && !had_spare
        {
            self.admitted(now, invoke, generation, &actions[first..]);
        }
        if self.steps.is_multiple_of(STEPS_BETWEEN_CENSUSES) {
            self.census(now);
        }
    }

    fn next_tick(&self) -> Option<Duration> {
        self.inner.next_tick()
    }

    fn memory_mb(&self) -> u64 {
        self.inner.memory_mb()
    }

    fn living(&self) -> u32 {
        self.inner.living()
    }

    fn in_flight(&self) -> u32 {
        self.inner.in_flight()
    }

    fn verdict(&self) -> Result<(), String> {
        self.broken.clone().map_or(Ok(()), Err)
    }

    fn at_rest(&self) -> Result<(), String> {
        self.verdict()?;
        match self.with(Phase::Busy).count() + self.with(Phase::Settling).count() + self.unplaced.len() {
            0 => Ok(()),
            left => Err(format!("{left} invokes have no end")),
        }
    }
}
