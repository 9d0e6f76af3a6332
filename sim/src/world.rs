//! Clients and workers, played to the scheduler in virtual time.

use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;
use std::time::Duration;

use hearth_scheduler::{Action, Capacity, Event, FunctionKey, Generation, InvokeId, Origin, WorkerId};
use hearth_types::EnvironmentId;

use crate::agenda::{Agenda, Happening, Time};
use crate::core::Core;
use crate::figures::{Figures, Outcome, name};
use crate::policy::Machine;
use crate::random::Random;
use crate::workload::{Function, Progress, Workload};

/// Ticks at one and the same time, after which time is said to stand still.
const TICKS_AT_ONCE: u32 = 100_000;

/// What a world does beside calling functions, and how long its workers take. All times are nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    /// One in so many invokes ends its environment; 0 for none.
    pub crash_one_in: u64,
    /// Between two deploys of a function in the mean; 0 for none.
    pub deploy_every: Time,
    /// Between two changes of a function's reservation in the mean; 0 for none.
    pub reserve_every: Time,
    /// Between two changes of what is provisioned of a function in the mean; 0 for none.
    pub provision_every: Time,
    /// What functions may reserve together.
    pub reservable: u32,
    /// Between two changes of the workers in the mean: one drains, is lost, or another joins; 0 for none.
    pub worker_every: Time,
    /// From an answer until its environment is idle, at most.
    pub settle: Time,
    /// From the order to end until nothing of an environment is left, at most.
    pub teardown: Time,
}

impl Faults {
    /// Workers at work as they should be.
    pub const NONE: Self = Self {
        crash_one_in: 0,
        deploy_every: 0,
        reserve_every: 0,
        provision_every: 0,
        reservable: 0,
        worker_every: 0,
        settle: 0,
        teardown: 20_000_000,
    };
}

/// A function as it goes on.
#[derive(Debug)]
struct Going {
    random: Random,
    progress: Progress,
    generation: Generation,
    reserved: u32,
}

/// An invoke that the scheduler has not placed yet.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    function: u32,
    since: Time,
}

/// An environment's worker, and the function that it runs an invoke of.
#[derive(Clone, Copy, Debug)]
struct Home {
    worker: WorkerId,
    running: Option<u32>,
}

/// A simulation under way.
#[derive(Debug)]
pub struct World<'a, C> {
    core: C,
    functions: &'a [Function],
    each: Capacity,
    until: Time,
    faults: Faults,
    going: Vec<Going>,
    agenda: Agenda,
    now: Time,
    waiting: HashMap<InvokeId, Waiting>,
    workers: Vec<WorkerId>,
    last_worker: u64,
    /// Where environments are; only kept where workers can be lost.
    homes: BTreeMap<EnvironmentId, Home>,
    /// Those whose code was replaced while they waited.
    again: Vec<Waiting>,
    actions: Vec<Action>,
    coming: Vec<Event>,
    invokes: u64,
    /// Whose each generation is, from the first on.
    generations: Vec<u32>,
    reserved: u32,
    random: Random,
    figures: Figures,
}

impl<'a, C: Core> World<'a, C> {
    /// A world in which all functions are deployed and nothing has happened.
    #[must_use]
    pub fn new(core: C, workload: &'a Workload, machine: Machine, seed: u64, faults: Faults) -> Self {
        let going = |index| Going {
            random: Random::of_part(seed, index as u64),
            progress: Progress::default(),
            generation: Generation(0),
            reserved: 0,
        };
        let mut world = Self {
            core,
            functions: &workload.functions,
            each: machine.each,
            until: workload.until,
            faults,
            going: (0..workload.functions.len()).map(going).collect(),
            agenda: Agenda::new(),
            now: 0,
            waiting: HashMap::new(),
            workers: Vec::new(),
            last_worker: 0,
            homes: BTreeMap::new(),
            again: Vec::new(),
            actions: Vec::new(),
            coming: Vec::new(),
            invokes: 0,
            generations: Vec::new(),
            reserved: 0,
            random: Random::of_part(seed, u64::MAX),
            figures: Figures::new(workload.functions.len()),
        };
        (0..machine.workers).for_each(|_| world.join());
        world.plan_at_random(faults.worker_every, Happening::Workers);
        (0..workload.functions.len() as u32).for_each(|function| world.begin(function));
        world
    }

    /// The same world, which keeps what comes of each call.
    #[must_use]
    pub(crate) fn keeping_calls(mut self) -> Self {
        self.figures.keep_calls();
        self
    }

    /// Plays until nobody calls any more and all invokes have ended.
    ///
    /// # Errors
    ///
    /// What the scheduler did wrong.
    pub fn run(mut self) -> Result<Figures, String> {
        let mut ticks_at_once = 0;
        loop {
            let tick = self.core.next_tick().map(|at| (at.as_nanos() as Time).max(self.now));
            let planned = self.agenda.next_at();
            if self.now > self.until && planned.is_none() && self.waiting.is_empty() {
                break;
            }
            match (planned, tick) {
                (Some(at), tick) if tick.is_none_or(|tick| at <= tick) => {
                    ticks_at_once = 0;
                    self.advance(at);
                    self.read_ahead();
                    if let Some((_, what)) = self.agenda.pop() {
                        self.happen(what);
                    }
                }
                (_, Some(at)) => {
                    ticks_at_once = if at == self.now { ticks_at_once + 1 } else { 0 };
                    if ticks_at_once > TICKS_AT_ONCE {
                        return Err(format!("time stands still at {at} ns"));
                    }
                    self.advance(at);
                    self.step(Event::Tick);
                }
                (_, None) => break,
            }
            self.core.verdict()?;
        }
        if !self.waiting.is_empty() {
            return Err(format!("{} invokes never ended", self.waiting.len()));
        }
        self.core.at_rest()?;
        Ok(self.figures)
    }

    /// Reads what the next happenings will need, together: one by one each would wait for it.
    fn read_ahead(&mut self) {
        let mut read = 0;
        for (_, what) in self.agenda.foretell() {
            match *what {
                Happening::Arrive(function) => {
                    let generation = self.going[function as usize].generation;
                    self.coming.push(Event::Invoke { invoke: InvokeId(0), generation, origin: Origin::Client });
                    read ^= self.functions[function as usize].read() ^ self.figures.read(function);
                }
                Happening::Answer { function, environment } => {
                    self.coming.push(Event::Idle(environment));
                    read ^= u64::from(self.functions[function as usize].memory_mb);
                }
                Happening::Init { environment, .. }
                | Happening::Rest(environment)
                | Happening::Prepare(environment) => {
                    self.coming.push(Event::Idle(environment));
                }
                Happening::Vanish(environment) => self.coming.push(Event::Gone(environment)),
                Happening::Provision(_) | Happening::Deploy(_) | Happening::Reserve(_) | Happening::Workers => {}
            }
        }
        if !self.coming.is_empty() {
            black_box(read);
            self.core.read_ahead(&self.coming);
            self.coming.clear();
        }
    }

    fn begin(&mut self, function: u32) {
        let Function { memory_mb, reserved, .. } = self.functions[function as usize];
        let generation = self.next_generation(function);
        self.going[function as usize].generation = generation;
        self.step(Event::Deploy { generation, function: key(function), memory_mb });
        if let Some(concurrency) = reserved {
            self.step(Event::Reserve { function: key(function), concurrency: Some(concurrency) });
        }
        self.plan_arrival(function);
        self.plan_at_random(self.faults.deploy_every, Happening::Deploy(function));
        self.plan_at_random(self.faults.reserve_every, Happening::Reserve(function));
        self.plan_at_random(self.faults.provision_every, Happening::Provision(function));
    }

    fn next_generation(&mut self, function: u32) -> Generation {
        self.generations.push(function);
        Generation(self.generations.len() as u64)
    }

    fn plan_arrival(&mut self, function: u32) {
        let Going { random, progress, .. } = &mut self.going[function as usize];
        let next = self.functions[function as usize].arrivals.next(progress, random, self.now);
        if let Some(at) = next.filter(|at| *at < self.until) {
            self.agenda.plan(at, Happening::Arrive(function));
        }
    }

    fn plan_at_random(&mut self, every: Time, what: Happening) {
        if every > 0 {
            let at = self.now + (every as f64 * self.random.exponential()) as Time + 1;
            if at < self.until {
                self.agenda.plan(at, what);
            }
        }
    }

    fn advance(&mut self, at: Time) {
        let counted = at.min(self.until);
        self.figures.pass(counted.saturating_sub(self.now), self.core.memory_mb());
        self.now = at;
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Arrive(function) => {
                self.plan_arrival(function);
                self.invoke(Waiting { function, since: self.now });
            }
            Happening::Answer { environment, .. } if self.is_lost(environment) => {}
            Happening::Answer { function, environment } => {
                self.figures.ended(self.functions[function as usize].memory_mb);
                if let Some(home) = self.homes.get_mut(&environment) {
                    home.running = None;
                }
                if self.random.one_in(self.faults.crash_one_in) {
                    self.step(Event::Gone(environment));
                } else if self.faults.settle > 0 {
                    self.step(Event::Answered(environment));
                    let settled = self.now + self.random.below(self.faults.settle);
                    self.agenda.plan(settled, Happening::Rest(environment));
                } else {
                    self.step(Event::Idle(environment));
                }
            }
            Happening::Rest(environment) => self.step(Event::Idle(environment)),
            Happening::Vanish(environment) => self.step(Event::Gone(environment)),
            Happening::Init { function, environment } => {
                let took = Duration::from_nanos(self.functions[function as usize].start);
                self.step(Event::Initialised { environment, took });
            }
            Happening::Prepare(environment) => self.prepared(environment),
            Happening::Provision(function) => self.provision(function),
            Happening::Deploy(function) => self.deploy(function),
            Happening::Reserve(function) => self.reserve(function),
            Happening::Workers => self.change_workers(),
        }
        while let Some(stale) = self.again.pop() {
            self.invoke(stale);
        }
    }

    fn deploy(&mut self, function: u32) {
        let generation = self.next_generation(function);
        let memory_mb = self.functions[function as usize].memory_mb;
        self.step(Event::Deploy { generation, function: key(function), memory_mb });
        let before = std::mem::replace(&mut self.going[function as usize].generation, generation);
        self.step(Event::Retire(before));
        self.plan_at_random(self.faults.deploy_every, Happening::Deploy(function));
    }

    fn reserve(&mut self, function: u32) {
        let before = std::mem::take(&mut self.going[function as usize].reserved);
        let left = self.faults.reservable - (self.reserved - before);
        let wanted = self.random.below(u64::from(left) + 1) as u32;
        let concurrency = (!self.random.one_in(3)).then_some(wanted);
        self.going[function as usize].reserved = concurrency.unwrap_or(0);
        self.reserved = self.reserved - before + concurrency.unwrap_or(0);
        self.step(Event::Reserve { function: key(function), concurrency });
        self.plan_at_random(self.faults.reserve_every, Happening::Reserve(function));
    }

    /// The init of an environment without an invoke is over.
    fn prepared(&mut self, environment: EnvironmentId) {
        if self.is_lost(environment) {
            return;
        }
        if self.random.one_in(self.faults.crash_one_in) {
            self.step(Event::InitFailed(environment));
            self.step(Event::Gone(environment));
            return;
        }
        self.step(Event::Prepared(environment));
        if self.random.one_in(self.faults.crash_one_in) {
            self.step(Event::Down(environment));
        }
    }

    fn provision(&mut self, function: u32) {
        let count = self.random.below(4) as u32;
        let generation = self.going[function as usize].generation;
        self.step(Event::Provision { generation, count });
        self.plan_at_random(self.faults.provision_every, Happening::Provision(function));
    }

    fn join(&mut self) {
        self.last_worker += 1;
        let worker = WorkerId(self.last_worker);
        self.workers.push(worker);
        self.step(Event::Join { worker, capacity: self.each });
    }

    /// One of the workers drains or is lost; or another joins.
    fn change_workers(&mut self) {
        let worker = self.workers.get(self.random.below(self.workers.len() as u64 + 1) as usize).copied();
        match worker {
            None => self.join(),
            Some(worker) if self.random.one_in(2) => self.step(Event::Drain(worker)),
            Some(worker) => self.lose(worker),
        }
        self.plan_at_random(self.faults.worker_every, Happening::Workers);
    }

    fn lose(&mut self, worker: WorkerId) {
        self.workers.retain(|other| *other != worker);
        let (functions, figures) = (self.functions, &mut self.figures);
        self.homes.retain(|_, home| {
            if let (true, Some(function)) = (home.worker == worker, home.running) {
                figures.ended(functions[function as usize].memory_mb);
            }
            home.worker != worker
        });
        self.step(Event::Lost(worker));
    }

    /// Its worker was lost while it ran an invoke.
    fn is_lost(&self, environment: EnvironmentId) -> bool {
        self.can_lose() && !self.homes.contains_key(&environment)
    }

    fn can_lose(&self) -> bool {
        self.faults.worker_every > 0
    }

    fn invoke(&mut self, waiting: Waiting) {
        self.invokes += 1;
        let invoke = InvokeId(self.invokes);
        let generation = self.going[waiting.function as usize].generation;
        self.core.step(
            Duration::from_nanos(self.now),
            Event::Invoke { invoke, generation, origin: Origin::Client },
            &mut self.actions,
        );
        if !self.act(Some((invoke, waiting))) {
            self.waiting.insert(invoke, waiting);
        }
    }

    fn step(&mut self, event: Event) {
        self.core.step(Duration::from_nanos(self.now), event, &mut self.actions);
        self.act(None);
    }

    /// Does what the scheduler says. Whether the `new` invoke is placed or refused.
    fn act(&mut self, new: Option<(InvokeId, Waiting)>) -> bool {
        self.figures.steps += 1;
        let mut done = false;
        let mut actions = std::mem::take(&mut self.actions);
        for action in actions.drain(..) {
            let invoke = match action {
                Action::Assign { invoke, .. }
                | Action::Create { invoke, .. }
                | Action::Throttle { invoke, .. }
                | Action::Stale { invoke } => Some(invoke),
                Action::Stop { .. } | Action::Prepare { .. } => None,
            };
            let waiting = match new {
                Some((id, waiting)) if Some(id) == invoke => {
                    done = true;
                    Some(waiting)
                }
                _ => invoke.and_then(|invoke| self.waiting.remove(&invoke)),
            };
            match (action, waiting) {
                (Action::Assign { environment, .. }, Some(waiting)) => self.start(waiting, environment, false),
                (Action::Create { environment, worker, .. }, Some(waiting)) => {
                    if self.can_lose() {
                        self.homes.insert(environment, Home { worker, running: None });
                    }
                    self.start(waiting, environment, true);
                }
                (Action::Throttle { reason, .. }, Some(Waiting { function, since })) => {
                    self.figures.throttled(reason);
                    self.figures.keep(since, function, Outcome::Throttled(name(reason)));
                }
                (Action::Stale { .. }, stale) => self.again.extend(stale),
                (Action::Prepare { environment, generation, worker, .. }, _) => {
                    self.prepare(environment, generation, worker);
                }
                (Action::Stop { environment, .. }, _) => {
                    let teardown = self.now + self.faults.teardown;
                    self.agenda.plan(teardown, Happening::Vanish(environment));
                }
                // What nobody waits for; those who watch the scheduler have noted it.
                (Action::Assign { .. } | Action::Create { .. } | Action::Throttle { .. }, None) => {}
            }
        }
        self.actions = actions;
        done
    }

    fn prepare(&mut self, environment: EnvironmentId, generation: Generation, worker: WorkerId) {
        if self.can_lose() {
            self.homes.insert(environment, Home { worker, running: None });
        }
        self.figures.ahead += 1;
        let Some(function) = self.generations.get(generation.0 as usize - 1).copied() else { return };
        let ready = self.now + self.functions[function as usize].start;
        self.agenda.plan(ready, Happening::Init { function, environment });
        self.agenda.plan(ready, Happening::Prepare(environment));
    }

    /// An invoke runs from now on.
    fn start(&mut self, waiting: Waiting, environment: EnvironmentId, cold: bool) {
        let function = &self.functions[waiting.function as usize];
        let init = if cold { function.start } else { 0 };
        let duration = function.durations.draw(&mut self.going[waiting.function as usize].random);
        self.figures.keep(waiting.since, waiting.function, if cold { Outcome::Cold } else { Outcome::Warm });
        self.figures.started(waiting.function, self.now - waiting.since + init, cold, function.memory_mb);
        if let Some(home) = self.homes.get_mut(&environment) {
            home.running = Some(waiting.function);
        }
        if cold {
            self.agenda.plan(self.now + init, Happening::Init { function: waiting.function, environment });
        }
        let end = self.now + init + duration;
        self.agenda.plan(end, Happening::Answer { function: waiting.function, environment });
    }
}

fn key(function: u32) -> FunctionKey {
    FunctionKey(u64::from(function))
}
