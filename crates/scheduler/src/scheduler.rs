//! The state machine.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use hearth_types::EnvironmentId;

use crate::counting::Counting;
use crate::environment::{Environment, Phase};
use crate::event::{Action, Activity, Event, FunctionKey, Generation, InvokeId, Limits, Origin, StopReason};
use crate::fleet::{Fleet, Version};
use crate::habits::Habits;
use crate::placement::{WorkerId, WorkerView};
use crate::provision::Provisioned;
use crate::waiting::Waiting;

mod keeping;
mod queueing;
mod workers;

/// With more versions, looking at all of them after each step would take longer than all else.
#[cfg(debug_assertions)]
const CHECKED_VERSIONS: usize = 64;

/// Counting, assignment, placement and keep-alive of the environments of some workers.
#[derive(Debug)]
pub struct Scheduler {
    pub(crate) limits: Limits,
    pub(crate) fleet: Fleet,
    pub(crate) counting: Counting,
    pub(crate) habits: Habits,
    waiting: Waiting,
    /// Generations that have fewer environments than are provisioned, and when each is tried again.
    pub(crate) wanting: BTreeMap<Generation, Duration>,
    /// Generations that wait for concurrency to be free.
    pub(crate) crowded: BTreeSet<Generation>,
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
            waiting: Waiting::default(),
            wanting: BTreeMap::new(),
            crowded: BTreeSet::new(),
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
            Event::Initialised { environment, took } => self.fleet.initialised(environment, took),
            Event::Idle(environment) => self.idle(now, environment, actions),
            Event::Prepared(environment) => self.prepared(now, environment, actions),
            Event::Provision { generation, count } => self.provision(now, generation, count, actions),
            Event::InitFailed(environment) => self.init_failed(now, environment),
            Event::Down(environment) => self.down(now, environment, actions),
            Event::Gone(environment) => self.gone(now, environment, actions),
            Event::Join { worker, capacity } => self.join(worker, capacity),
            Event::Drain(worker) => self.drain(now, worker, actions),
            Event::Lost(worker) => self.lost(now, worker, actions),
            Event::Resume { generation, steps } => self.resume(now, generation, steps),
            Event::Close => self.fleet.workers.close(),
            Event::Tick => self.tick(now, actions),
        }
        self.refill_crowded(now, actions);
        self.serve_room(now, actions);
        #[cfg(debug_assertions)]
        self.check();
    }

    /// When [`Event::Tick`] is due next; may be too early, never too late.
    #[must_use]
    pub fn next_tick(&self) -> Option<Duration> {
        let wanting = self.wanting.values().min().copied();
        [self.waiting.next_due(), self.fleet.idle.first_end(), self.habits.next_ahead(), wanting]
            .into_iter()
            .flatten()
            .min()
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
        let mut views = self.fleet.workers.views();
        // Those that are provisioned make no room by their end, and are counted apart from those that do.
        for worker in self.fleet.provisioned_idle().filter_map(|id| self.fleet.worker(id)) {
            views.iter_mut().filter(|view| view.worker == worker).for_each(|view| view.idle += 1);
        }
        views
    }

    /// Where a new environment of this size would go now; none where no worker has room for it, nor can make it.
    #[must_use]
    pub fn place_for(&self, memory_mb: u32) -> Option<WorkerId> {
        self.fleet.workers.place(self.limits.placement, memory_mb).ok()
    }

    /// Where as many new environments of these sizes, in MB, would go one after the other, as long as none has to end for them:
    /// by size, how many on which worker.
    #[must_use]
    pub fn places_for(&self, wanted: impl IntoIterator<Item = (u32, u32)>) -> Vec<Vec<(WorkerId, u32)>> {
        self.fleet.workers.places(self.limits.placement, wanted)
    }

    /// How many environments of each generation have had an invoke since the last look: those that nobody keeps initialised, of
    /// those that live or of those that ended, whichever are more.
    #[must_use]
    pub fn in_use(&self) -> Vec<(Generation, u32)> {
        self.fleet.in_use()
    }

    /// That was looked at: what is in use is from now on what has had an invoke since.
    pub fn looked(&mut self, now: Duration) {
        self.fleet.looked(now);
    }

    /// How many environments of each generation are there and not stopping, in no order; none is not in it.
    #[must_use]
    pub fn living_by_generation(&self) -> Vec<(Generation, u32)> {
        self.fleet.living_by_generation()
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

    /// Whether a generation has an environment, stopping ones among them.
    #[must_use]
    pub fn has_environments(&self, generation: Generation) -> bool {
        self.fleet.versions.get(generation).is_some_and(|version| version.alive > 0)
    }

    fn deploy(&mut self, generation: Generation, function: FunctionKey, memory_mb: u32) {
        debug_assert!(!self.fleet.versions.contains(generation), "{generation:?} deployed twice");
        self.counting.deployed(function);
        let version = Version {
            function,
            memory_mb,
            retired: false,
            idle: VecDeque::new(),
            settling: 0,
            first_answer: None,
            init: None,
            provisioned: Provisioned::default(),
            alive: 0,
            living: 0,
        };
        self.fleet.versions.insert(generation, version);
    }

    fn retire(&mut self, generation: Generation, actions: &mut Vec<Action>) {
        let Some(version) = self.fleet.versions.get_mut(generation).filter(|version| !version.retired) else { return };
        version.retired = true;
        version.provisioned.wanted = 0;
        let function = version.function;
        let idle: Vec<_> = version.idle.iter().map(|resting| resting.id).collect();
        let provisioned = self.fleet.provisioned_idle_of(generation);
        for environment in idle.into_iter().chain(provisioned).chain(self.fleet.preparing(generation)) {
            self.stop(environment, StopReason::Retired, actions);
        }
        for waiter in self.waiting.take_all(generation) {
            self.release(generation);
            actions.push(Action::Stale { invoke: waiter.invoke });
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
        let Some(version) = self.fleet.versions.get(generation).filter(|version| !version.retired) else {
            actions.push(Action::Stale { invoke });
            return;
        };
        let function = version.function;
        self.reap(now, actions); // The time may have come before its tick.
        let has_spare = self.has_spare_provisioned(generation);
        if let Err(reason) = self.counting.admit(now, &self.limits, function, origin, has_spare) {
            actions.push(Action::Throttle { invoke, reason });
            return;
        }
        self.count_in(generation);
        self.note_call(now, function, generation);
        if let Some((environment, since)) = self.fleet.take_idle(generation) {
            self.habits.used(function, now.saturating_sub(since));
            actions.push(Action::Assign { invoke, environment });
        } else {
            self.without_idle(now, invoke, generation, actions);
        }
    }

    fn answered(&mut self, now: Duration, environment: EnvironmentId) {
        let Some(one) = self.fleet.environment(environment).filter(|one| one.phase == Phase::Busy) else { return };
        let generation = one.generation;
        self.fleet.settle(environment, now);
        self.release(generation);
    }

    pub(crate) fn idle(&mut self, now: Duration, environment: EnvironmentId, actions: &mut Vec<Action>) {
        self.answered(now, environment);
        let Some(one) = self.fleet.environment(environment) else { return };
        if !matches!(one.phase, Phase::Settling | Phase::Preparing) {
            return;
        }
        let (generation, worn) = (one.generation, self.worn(one, now));
        if self.fleet.versions.get(generation).is_none_or(|version| version.retired) {
            self.stop(environment, StopReason::Retired, actions);
        } else if let Some(reason) = worn {
            self.stop(environment, reason, actions);
            self.replace_one(now, generation, actions);
            self.refill(now, generation, actions);
        } else {
            self.hand_over(now, environment, generation, actions);
        }
    }

    /// Why the environment takes no invoke any more though its generation does.
    fn worn(&self, one: &Environment, now: Duration) -> Option<StopReason> {
        if self.fleet.workers.is_draining(one.worker) {
            return Some(StopReason::Drained);
        }
        if one.down {
            return Some(StopReason::Down);
        }
        if one.provisioned && self.fleet.has_spare(one.generation) {
            return Some(StopReason::Spare);
        }
        (one.life_end.get() <= now).then_some(StopReason::Age)
    }

    fn gone(&mut self, now: Duration, environment: EnvironmentId, actions: &mut Vec<Action>) {
        self.answered(now, environment);
        let Some(generation) = self.fleet.generation(environment) else { return };
        self.unprepared(now, environment);
        self.end(environment);
        self.fleet.remove(environment);
        self.replace_one(now, generation, actions);
        self.refill(now, generation, actions);
    }

    fn tick(&mut self, now: Duration, actions: &mut Vec<Action>) {
        self.end_waits(now, actions);
        self.refill_due(now, actions);
        self.reap(now, actions);
        self.make_ahead(now, actions);
    }

    pub(crate) fn stop(&mut self, environment: EnvironmentId, reason: StopReason, actions: &mut Vec<Action>) {
        self.end(environment);
        actions.push(Action::Stop { environment, reason });
    }

    fn function_of(&self, environment: EnvironmentId) -> Option<FunctionKey> {
        let generation = self.fleet.generation(environment)?;
        self.fleet.versions.get(generation).map(|version| version.function)
    }

    /// What must hold between two steps.
    #[cfg(debug_assertions)]
    fn check(&self) {
        if self.fleet.versions.len() > CHECKED_VERSIONS {
            return;
        }
        self.fleet.check();
        self.counting.check();
        self.check_provisioned();
        for (generation, version) in self.fleet.versions.iter() {
            let is_none_idle = version.idle.is_empty() && self.fleet.provisioned_idle_of(generation).is_empty();
            let waits = self.waiting.count_of(generation) > 0;
            assert!(!waits || (is_none_idle && !version.retired), "nobody waits beside an idle environment");
        }
    }
}
