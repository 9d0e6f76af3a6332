//! The state machine.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::time::Duration;

use hearth_types::EnvironmentId;

use crate::counting::Counting;
use crate::event::{Action, Activity, Event, FunctionKey, Generation, InvokeId, Limits, Origin, StopReason, Throttle};
use crate::fleet::{Fleet, Phase, Version};
use crate::habits::Habits;
use crate::placement::{WorkerId, WorkerView};
use crate::provision::Provisioned;

mod keeping;
mod workers;

/// A shorter wait would let time stand still.
const SHORTEST_PATIENCE: Duration = Duration::from_millis(1);
/// With more versions, looking at all of them after each step would take longer than all else.
#[cfg(debug_assertions)]
const CHECKED_VERSIONS: usize = 64;

/// Counting, assignment, placement and keep-alive of the environments of some workers.
#[derive(Debug)]
pub struct Scheduler {
    limits: Limits,
    pub(crate) fleet: Fleet,
    counting: Counting,
    habits: Habits,
    /// When each parked invoke is looked at again, in order; those placed meanwhile are skipped.
    patience: BinaryHeap<Reverse<Patience>>,
    last_turn: u64,
    /// Generations that have fewer environments than are provisioned, and when each is tried again.
    pub(crate) wanting: BTreeMap<Generation, Duration>,
}

/// A parked invoke's next chance.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Patience {
    /// When a new environment is tried.
    at: Duration,
    /// Tells apart those of the same time: who asked first is first.
    turn: u64,
    /// When it is refused, if there is no room for one.
    give_up_at: Duration,
    generation: Generation,
    invoke: InvokeId,
}

/// What came of looking for room.
#[derive(PartialEq, Eq)]
enum Placing {
    /// The invoke has a new environment, or has been refused.
    Done,
    /// No room yet.
    Wait,
}

impl Scheduler {
    /// A scheduler without any function or worker.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            fleet: Fleet::default(),
            counting: Counting::default(),
            habits: Habits::default(),
            patience: BinaryHeap::new(),
            last_turn: 0,
            wanting: BTreeMap::new(),
        }
    }

    /// Takes one event and appends what is to be done, in order. `now` must not go back. Events about environments
    /// that are not known (any more) change nothing.
    pub fn step(&mut self, now: Duration, event: Event, actions: &mut Vec<Action>) {
        match event {
            Event::Deploy { generation, function, memory_mb } => self.deploy(generation, function, memory_mb),
            Event::Retire(generation) => self.retire(generation, actions),
            Event::Reserve { function, concurrency } => self.counting.reserve(function, concurrency),
            Event::Invoke { invoke, generation, origin } => self.invoke(now, invoke, generation, origin, actions),
            Event::Answered(environment) => self.answered(now, environment),
            Event::Idle(environment) => self.idle(now, environment, actions),
            Event::Prepared(environment) => self.prepared(now, environment, actions),
            Event::Provision { generation, count } => self.provision(now, generation, count, actions),
            Event::InitFailed(environment) => self.init_failed(now, environment),
            Event::Down(environment) => self.down(now, environment, actions),
            Event::Gone(environment) => self.gone(now, environment, actions),
            Event::Join { worker, capacity } => self.join(worker, capacity),
            Event::Drain(worker) => self.drain(now, worker, actions),
            Event::Lost(worker) => self.lost(now, worker, actions),
            Event::Tick => self.tick(now, actions),
        }
        #[cfg(debug_assertions)]
        self.check();
    }

    /// When [`Event::Tick`] is due next; may be too early, never too late.
    #[must_use]
    pub fn next_tick(&self) -> Option<Duration> {
        let impatient = self.patience.peek().map(|Reverse(patience)| patience.at);
        let wanting = self.wanting.values().min().copied();
        [impatient, self.fleet.idle.first_end(), wanting].into_iter().flatten().min()
    }

    /// Invokes in flight, admitted and not yet answered.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.counting.in_flight()
    }

    /// Invokes in flight of one function.
    #[must_use]
    pub fn in_flight_of(&self, function: FunctionKey) -> u32 {
        self.counting.in_flight_of(function)
    }

    /// Invokes in flight of functions without reserved concurrency.
    #[must_use]
    pub fn unreserved_in_flight(&self) -> u32 {
        self.counting.unreserved_in_flight()
    }

    /// Environments that are not stopping.
    #[must_use]
    pub fn living(&self) -> u32 {
        self.fleet.living()
    }

    /// MB of all environments that are not stopping.
    #[must_use]
    pub fn memory_mb(&self) -> u64 {
        self.fleet.memory_mb()
    }

    /// The workers, the first to join first.
    #[must_use]
    pub fn workers(&self) -> Vec<WorkerView> {
        self.fleet.workers.views()
    }

    /// Where an environment is.
    #[must_use]
    pub fn worker_of(&self, environment: EnvironmentId) -> Option<WorkerId> {
        self.fleet.worker(environment)
    }

    /// The living environments of a function, oldest first: what each runs, and what it is doing.
    #[must_use]
    pub fn environments(&self, function: FunctionKey) -> Vec<(EnvironmentId, Generation, Activity)> {
        self.fleet.activities(function)
    }

    /// Whether an environment is there and not stopping.
    #[must_use]
    pub fn lives(&self, environment: EnvironmentId) -> bool {
        self.fleet.phase(environment).is_some_and(|phase| phase != Phase::Stopping)
    }

    fn deploy(&mut self, generation: Generation, function: FunctionKey, memory_mb: u32) {
        debug_assert!(!self.fleet.versions.contains_key(&generation), "{generation:?} deployed twice");
        self.counting.deployed(function);
        let version = Version {
            function,
            memory_mb,
            retired: false,
            idle: VecDeque::new(),
            provisioned_idle: VecDeque::new(),
            settling: 0,
            parked: VecDeque::new(),
            cold_start: None,
            provisioned: Provisioned::default(),
            alive: 0,
        };
        self.fleet.versions.insert(generation, version);
    }

    fn retire(&mut self, generation: Generation, actions: &mut Vec<Action>) {
        let Some(version) = self.fleet.versions.get_mut(&generation).filter(|version| !version.retired) else { return };
        version.retired = true;
        version.provisioned.wanted = 0;
        let function = version.function;
        let parked = std::mem::take(&mut version.parked);
        let idle = version.idle.iter().chain(&version.provisioned_idle).map(|resting| resting.id);
        let idle: Vec<_> = idle.collect();
        for environment in idle.into_iter().chain(self.fleet.preparing(generation)) {
            self.stop(environment, StopReason::Retired, actions);
        }
        for invoke in parked {
            self.counting.release(function);
            actions.push(Action::Stale { invoke });
        }
        self.counting.retired(function);
        if !self.counting.is_deployed(function) {
            self.habits.forget(function);
        }
        self.fleet.forget_if_done(generation);
    }

    fn invoke(
        &mut self,
        now: Duration,
        invoke: InvokeId,
        generation: Generation,
        origin: Origin,
        actions: &mut Vec<Action>,
    ) {
        let Some(version) = self.fleet.versions.get(&generation).filter(|version| !version.retired) else {
            actions.push(Action::Stale { invoke });
            return;
        };
        let (function, may_park) = (version.function, version.parked.len() < version.settling);
        self.reap(now, actions); // The time may have come before its tick.
        let give_up_at = now + self.limits.room_wait;
        if let Err(reason) = self.counting.admit(now, &self.limits, function, origin) {
            actions.push(Action::Throttle { invoke, reason });
        } else if let Some((environment, since)) = self.fleet.take_idle(generation) {
            self.habits.used(function, now.saturating_sub(since));
            actions.push(Action::Assign { invoke, environment });
        } else if may_park || self.place(now, invoke, generation, give_up_at, actions) == Placing::Wait {
            self.park(now, invoke, generation, give_up_at);
        }
    }

    /// Lets an admitted invoke wait.
    fn park(&mut self, now: Duration, invoke: InvokeId, generation: Generation, give_up_at: Duration) {
        if let Some(version) = self.fleet.versions.get_mut(&generation) {
            version.parked.push_back(invoke);
        }
        while let Some(Reverse(first)) = self.patience.peek()
            && self.parked_at(first.generation, first.invoke).is_none()
        {
            self.patience.pop();
        }
        let at = now + self.patience_of(generation);
        self.look_again(Patience { at, turn: 0, give_up_at, generation, invoke });
    }

    /// How long it is better to wait for a settling environment than to make one.
    fn patience_of(&self, generation: Generation) -> Duration {
        let cold_start = self.fleet.versions.get(&generation).and_then(|version| version.cold_start);
        let settle = self.limits.settle.max(SHORTEST_PATIENCE);
        cold_start.unwrap_or_default().min(self.limits.settle_max).max(settle)
    }

    fn look_again(&mut self, patience: Patience) {
        self.last_turn += 1;
        self.patience.push(Reverse(Patience { turn: self.last_turn, ..patience }));
    }

    /// Finds room for a new environment and makes it for an admitted invoke, or refuses the invoke; neither while
    /// waiting promises more.
    fn place(
        &mut self,
        now: Duration,
        invoke: InvokeId,
        generation: Generation,
        give_up_at: Duration,
        actions: &mut Vec<Action>,
    ) -> Placing {
        let Some(version) = self.fleet.versions.get(&generation) else { return Placing::Done };
        let (function, memory_mb) = (version.function, version.memory_mb);
        let room =
            self.counting.may_scale(now, &self.limits, function).and_then(|()| self.make_room(now, memory_mb, actions));
        match room {
            Ok(worker) => {
                self.counting.scaled(now, &self.limits, function);
                self.habits.made(function, now);
                let environment = self.fleet.create(generation, worker, now);
                actions.push(Action::Create { invoke, environment, generation, worker });
            }
            Err(reason) if now < give_up_at && self.room_is_coming(reason) => return Placing::Wait,
            Err(reason) => {
                self.counting.release(function);
                actions.push(Action::Throttle { invoke, reason });
            }
        }
        Placing::Done
    }

    /// Whether what is short will be less so without any invoke's end.
    fn room_is_coming(&self, short: Throttle) -> bool {
        match short {
            Throttle::Memory => self.fleet.workers.any_settling(),
            Throttle::Environments => self.fleet.workers.any_settling() || self.fleet.workers.any_stopping(),
            // One that was lost comes back, or another takes its place.
            Throttle::NoWorker => true,
            Throttle::AccountConcurrency
            | Throttle::ReservedConcurrency
            | Throttle::RequestRate
            | Throttle::ReservedRequestRate
            | Throttle::ScalingRate
            | Throttle::NeverFits { .. } => false,
        }
    }

    fn answered(&mut self, now: Duration, environment: EnvironmentId) {
        if self.fleet.phase(environment) != Some(Phase::Busy) {
            return;
        }
        if let Some(function) = self.function_of(environment) {
            self.fleet.settle(environment, now);
            self.counting.release(function);
        }
    }

    pub(crate) fn idle(&mut self, now: Duration, environment: EnvironmentId, actions: &mut Vec<Action>) {
        self.answered(now, environment);
        if !matches!(self.fleet.phase(environment), Some(Phase::Settling | Phase::Preparing)) {
            return;
        }
        let Some(generation) = self.fleet.generation(environment) else { return };
        let worn = self.worn(environment, now);
        let Some(version) = self.fleet.versions.get_mut(&generation) else { return };
        if version.retired {
            self.stop(environment, StopReason::Retired, actions);
        } else if let Some(reason) = worn {
            self.stop(environment, reason, actions);
            self.replace_one(now, generation, actions);
            self.refill(now, generation, actions);
        } else if let Some(invoke) = version.parked.pop_front() {
            self.fleet.reuse(environment);
            actions.push(Action::Assign { invoke, environment });
        } else {
            self.rest(now, environment);
        }
    }

    /// Why the environment takes no invoke any more though its generation does.
    fn worn(&self, environment: EnvironmentId, now: Duration) -> Option<StopReason> {
        if self.is_on_draining(environment) {
            return Some(StopReason::Drained);
        }
        if self.fleet.is_down(environment) {
            return Some(StopReason::Down);
        }
        let generation = self.fleet.generation(environment)?;
        if self.fleet.is_provisioned(environment) && self.fleet.has_spare(generation) {
            return Some(StopReason::Spare);
        }
        (self.end_of_life(environment)? <= now).then_some(StopReason::Age)
    }

    fn gone(&mut self, now: Duration, environment: EnvironmentId, actions: &mut Vec<Action>) {
        self.answered(now, environment);
        let Some(generation) = self.fleet.generation(environment) else { return };
        self.unprepared(now, environment);
        self.fleet.remove(environment);
        self.replace_one(now, generation, actions);
        self.refill(now, generation, actions);
    }

    /// Whoever waited for an environment that is no more, or for its room, gets a new one.
    fn replace_one(&mut self, now: Duration, generation: Generation, actions: &mut Vec<Action>) {
        let waits = self.fleet.versions.get(&generation).filter(|version| version.parked.len() > version.settling);
        if let Some(invoke) = waits.and_then(|version| version.parked.front().copied())
            && self.place(now, invoke, generation, Duration::MAX, actions) == Placing::Done
        {
            self.unpark(generation, invoke);
        }
    }

    fn tick(&mut self, now: Duration, actions: &mut Vec<Action>) {
        while let Some(Reverse(patience)) = self.patience.peek().copied().filter(|first| first.0.at <= now) {
            self.patience.pop();
            let Patience { generation, invoke, give_up_at, .. } = patience;
            if self.parked_at(generation, invoke).is_none() {
                continue;
            }
            match self.place(now, invoke, generation, give_up_at, actions) {
                Placing::Done => self.unpark(generation, invoke),
                Placing::Wait => {
                    let at = now + self.limits.settle.max(SHORTEST_PATIENCE);
                    self.look_again(Patience { at, ..patience });
                }
            }
        }
        self.refill_due(now, actions);
        self.reap(now, actions);
    }

    /// The invoke's place among those of its version that wait.
    fn parked_at(&self, generation: Generation, invoke: InvokeId) -> Option<usize> {
        self.fleet.versions.get(&generation)?.parked.iter().position(|parked| *parked == invoke)
    }

    fn unpark(&mut self, generation: Generation, invoke: InvokeId) {
        let Some(place) = self.parked_at(generation, invoke) else { return };
        if let Some(version) = self.fleet.versions.get_mut(&generation) {
            version.parked.remove(place);
        }
    }

    pub(crate) fn stop(&mut self, environment: EnvironmentId, reason: StopReason, actions: &mut Vec<Action>) {
        self.fleet.stop(environment);
        actions.push(Action::Stop { environment, reason });
    }

    fn function_of(&self, environment: EnvironmentId) -> Option<FunctionKey> {
        let generation = self.fleet.generation(environment)?;
        self.fleet.versions.get(&generation).map(|version| version.function)
    }

    /// What must hold between two steps.
    #[cfg(debug_assertions)]
    fn check(&self) {
        if self.fleet.versions.len() > CHECKED_VERSIONS {
            return;
        }
        self.fleet.check();
        self.counting.check();
    }
}
