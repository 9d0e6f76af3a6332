//! Carries out what the scheduler decides.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use hearth_api::ApiError;
use hearth_clock::{Busy, Clock};
use hearth_metrics::Metrics;
use hearth_scheduler::{Action, Event, Generation, InvokeId, Limits, Origin, Scheduler, Throttle, WorkerId};
use hearth_types::EnvironmentId;
use hearth_types::Place;
use hearth_types::invoke::VersionSpec;
use hearth_worker::{
    Answer, EnvironmentEvent, EnvironmentSink, GoneReason, InitPhases, Invocation, Outcome, Reply, Worker, WorkerError,
};
use tokio::sync::{Notify, oneshot};
use tracing::warn;

use crate::environments::Environments;
use crate::invoke::invocable;
use crate::optimize::Optimizations;
use crate::recall::{Made, Recalls};
use crate::snapshot::{EntryState, FunctionSnapshot, Generations, Ready};
use crate::tenants::Tenants;
use crate::writer::Writer;

/// How often an invoke looks its function up again when deploys overtake it. Each time the snapshot is newer.
const LOOK_UPS: usize = 16;

/// What a dispatcher is told.
#[derive(Clone, Debug)]
pub struct DispatcherConfig {
    /// Where this server says it is.
    pub place: Place,
    /// `x86_64` or `arm64`: what this machine runs.
    pub architecture: &'static str,
    /// The scheduler's bounds.
    pub limits: Limits,
    /// By which environments grow old.
    pub clock: Clock,
    /// Where invokes are counted.
    pub metrics: Arc<Metrics>,
}

/// Assigns invokes to environments of one worker.
pub struct Dispatcher<W = Worker> {
    place: Place,
    pub(crate) functions: FunctionSnapshot,
    pub(crate) generations: Arc<Generations>,
    pub(crate) writer: Mutex<Writer>,
    /// Held for one step of the scheduler, never while an action is carried out.
    pub(crate) core: Mutex<Core>,
    pub(crate) clock: Clock,
    /// A tick is due earlier than the timer knows.
    pub(crate) earlier: Notify,
    /// What is provisioned was changed.
    pub(crate) provisioned: Notify,
    /// Nothing is in flight.
    pub(crate) quiet: Notify,
    pub(crate) draining: AtomicBool,
    pub(crate) optimizations: Optimizations,
    pub(crate) recalls: Mutex<Recalls>,
    pub(crate) worker: W,
}

pub(crate) struct Core {
    pub(crate) scheduler: Scheduler,
    /// Invokes that the scheduler has and no environment.
    waiting: HashMap<InvokeId, Waiting>,
    last_invoke: u64,
    /// What can be invoked, by its generation: what environments without an invoke are made of.
    pub(crate) serving: HashMap<Generation, Arc<Ready>>,
    /// Those of which environments are provisioned.
    pub(crate) provisioned: HashMap<Generation, Arc<Ready>>,
    pub(crate) tenants: Tenants,
    /// What the timer waits for.
    pub(crate) armed: Option<Duration>,
    /// Held from when something is due earlier than that until the timer knows: a manual clock does not go past it.
    pub(crate) rearming: Option<Busy>,
    /// Of environments whose first invoke is answered, and of those that were made without one.
    pub(crate) phases: HashMap<EnvironmentId, InitPhases>,
    pub(crate) made: Made,
    /// Environments that were ended, by why.
    pub(crate) stops: BTreeMap<&'static str, u64>,
}

/// An invoke on its way to an environment.
pub(crate) struct Waiting {
    origin: Origin,
    ready: Arc<Ready>,
    invocation: Invocation,
    /// Hears of a new environment, or why there is none.
    fate: oneshot::Sender<Fate>,
    looked_up: usize,
}

/// What became of an invoke that got no idle environment.
enum Fate {
    Created(EnvironmentId),
    Refused(Refused),
}

impl Waiting {
    fn refuse(self, reason: Refused) {
        // The fate first: dropping the reply wakes who waits. Who has gone away need not know.
        let _ = self.fate.send(Fate::Refused(reason));
        drop(self.invocation);
    }
}

/// Why an invoke has no outcome.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The function, or the version, was deleted meanwhile.
    Gone,
    /// Deploys kept overtaking the invoke.
    Overtaken,
    /// The function changed into one that cannot be invoked.
    NotReady(ApiError),
    Draining,
    Throttled(Throttle),
    Platform(WorkerError),
    /// Nobody answered; a defect.
    Lost,
}

/// Something to do outside the lock.
pub(crate) enum Work {
    Create(WorkerId, EnvironmentId, Waiting),
    Prepare(WorkerId, EnvironmentId, Arc<VersionSpec>),
    Assign(EnvironmentId, Waiting),
    Refuse(Waiting, Throttle),
    LookUp(Waiting),
    Stop(EnvironmentId),
    Leave(EnvironmentId),
}

impl<W: Environments> Dispatcher<W> {
    /// A dispatcher and its worker, which `worker` makes; it gets the sink for its events.
    pub fn new(config: DispatcherConfig, worker: impl FnOnce(Arc<dyn EnvironmentSink>) -> W) -> Arc<Self> {
        let (place, generations) = (config.place.clone(), Arc::<Generations>::default());
        let writer = Writer::new(place, config.architecture, Arc::clone(&generations), config.metrics);
        Arc::new_cyclic(|this: &Weak<Self>| Self {
            functions: FunctionSnapshot::default(),
            generations,
            writer: Mutex::new(writer),
            place: config.place,
            core: Mutex::new(Core {
                scheduler: Scheduler::new(config.limits),
                waiting: HashMap::new(),
                last_invoke: 0,
                serving: HashMap::new(),
                provisioned: HashMap::new(),
                tenants: Tenants::default(),
                armed: None,
                rearming: None,
                phases: HashMap::new(),
                made: Made::default(),
                stops: BTreeMap::new(),
            }),
            clock: config.clock,
            earlier: Notify::new(),
            provisioned: Notify::new(),
            quiet: Notify::new(),
            draining: AtomicBool::new(false),
            optimizations: Optimizations::default(),
            recalls: Mutex::default(),
            worker: worker(Arc::new(Sink(this.clone()))),
        })
    }

    /// What can be invoked.
    #[must_use]
    pub fn functions(&self) -> &FunctionSnapshot {
        &self.functions
    }

    /// What the environments are of.
    #[must_use]
    pub fn worker(&self) -> &W {
        &self.worker
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// Runs one invoke and waits for the whole of its answer. `invocation` gets where its reply goes.
    pub(crate) async fn run(
        &self,
        origin: Origin,
        ready: Arc<Ready>,
        invocation: impl FnOnce(Reply) -> Invocation,
    ) -> Result<Outcome, Refused> {
        self.run_as(origin, ready, invocation).await
    }

    /// Runs one invoke and waits until its answer begins, where the function streams it; otherwise for the whole.
    pub(crate) async fn run_streamed(
        &self,
        ready: Arc<Ready>,
        invocation: impl FnOnce(Reply) -> Invocation,
    ) -> Result<Answer, Refused> {
        self.run_as(Origin::Client, ready, invocation).await
    }

    async fn run_as<A: Replied>(
        &self,
        origin: Origin,
        ready: Arc<Ready>,
        invocation: impl FnOnce(Reply) -> Invocation,
    ) -> Result<A, Refused>
    where
        Reply: From<oneshot::Sender<Result<A, WorkerError>>>,
    {
        if self.draining.load(Ordering::Acquire) {
            return Err(Refused::Draining);
        }
        let (reply, outcome) = oneshot::channel();
        let (fate, mut known_fate) = oneshot::channel();
        let metrics = Some(Arc::clone(&ready.metrics) as _);
        let invocation = Invocation { metrics, ..invocation(reply.into()) };
        self.submit(Waiting { origin, ready, invocation, fate, looked_up: 0 });
        match (outcome.await, known_fate.try_recv()) {
            (Ok(Ok(outcome)), Ok(Fate::Created(environment))) => {
                self.remember(environment, outcome.phases());
                Ok(outcome)
            }
            (Ok(outcome), _) => outcome.map_err(Refused::Platform),
            (Err(_), Ok(Fate::Refused(reason))) => Err(reason),
            (Err(_), _) => Err(Refused::Lost),
        }
    }

    /// Keeps what a cold start was made of for as long as its environment lives, and weighs others by it.
    fn remember(&self, environment: EnvironmentId, phases: Option<InitPhases>) {
        let Some(phases) = phases else { return };
        self.turn(Event::Initialised { environment, took: phases.in_order().iter().sum() });
        let mut core = lock(&self.core);
        if core.scheduler.lives(environment) {
            core.phases.insert(environment, phases);
        }
    }

    fn submit(&self, waiting: Waiting) {
        let work = {
            let mut core = lock(&self.core);
            core.last_invoke += 1;
            let invoke = InvokeId(core.last_invoke);
            let (generation, origin) = (waiting.ready.generation(), waiting.origin);
            core.waiting.insert(invoke, waiting);
            self.step(&mut core, Event::Invoke { invoke, generation, origin })
        };
        self.carry_out(work);
    }

    pub(crate) fn turn(&self, event: Event) {
        let work = self.step(&mut lock(&self.core), event);
        self.carry_out(work);
    }

    pub(crate) fn step(&self, core: &mut Core, event: Event) -> Vec<Work> {
        let mut actions = Vec::new();
        core.scheduler.step(self.clock.uptime(), event, &mut actions);
        let next = core.scheduler.next_tick();
        if next.is_some_and(|next| core.armed.is_none_or(|armed| next < armed)) {
            core.armed = next;
            core.rearming.get_or_insert_with(|| self.clock.busy());
            self.earlier.notify_one();
        }
        if self.draining.load(Ordering::Relaxed) && core.scheduler.in_flight() == 0 {
            self.quiet.notify_one();
        }
        actions.into_iter().filter_map(|action| core.work(action)).collect()
    }

    pub(crate) fn carry_out(&self, work: Vec<Work>) {
        for work in work {
            match work {
                Work::Create(worker, environment, Waiting { ready, invocation, fate, .. }) => {
                    let _ = fate.send(Fate::Created(environment));
                    self.worker.create(worker, environment, Arc::clone(&ready.spec), invocation);
                }
                Work::Prepare(worker, environment, spec) => self.worker.prepare(worker, environment, spec),
                Work::Assign(environment, waiting) => self.worker.invoke(environment, waiting.invocation),
                Work::Refuse(waiting, reason) => {
                    if reason.is_limit() {
                        waiting.ready.metrics.throttles.count();
                    }
                    waiting.refuse(Refused::Throttled(reason));
                }
                Work::LookUp(waiting) => self.look_up(waiting),
                Work::Stop(environment) => self.worker.stop(environment),
                Work::Leave(environment) => self.worker.leave(environment),
            }
        }
    }

    /// A deploy has overtaken the invoke: it runs what serves now.
    fn look_up(&self, waiting: Waiting) {
        let looked_up = waiting.looked_up + 1;
        let entry = self.functions.get(&waiting.ready.spec.function);
        match entry.as_deref().and_then(|entry| entry.version(waiting.ready.version)) {
            None => waiting.refuse(Refused::Gone),
            Some(_) if looked_up > LOOK_UPS => waiting.refuse(Refused::Overtaken),
            Some(state) => match self.again(state, &waiting.ready) {
                Ok(ready) => self.submit(Waiting { ready, looked_up, ..waiting }),
                Err(error) => waiting.refuse(Refused::NotReady(error)),
            },
        }
    }

    /// What serves now in the place of what did.
    fn again(&self, now: &EntryState, before: &Ready) -> Result<Arc<Ready>, ApiError> {
        let ready = invocable(now, &before.spec.function)?;
        match &before.spec.tenant {
            Some(tenant) => self.of_tenant(ready, tenant),
            None => Ok(Arc::clone(ready)),
        }
    }

    fn heard(&self, event: EnvironmentEvent) {
        match event {
            EnvironmentEvent::Answered(environment) => self.turn(Event::Answered(environment)),
            EnvironmentEvent::Idle(environment) => self.turn(Event::Idle(environment)),
            EnvironmentEvent::Prepared(environment, phases) => {
                self.remember(environment, Some(phases));
                self.turn(Event::Prepared(environment));
            }
            EnvironmentEvent::Down(environment) => self.turn(Event::Down(environment)),
            EnvironmentEvent::Gone(environment, reason) => {
                match reason {
                    GoneReason::Failed => warn!("{environment} could not be made"),
                    GoneReason::InitFailed => self.turn(Event::InitFailed(environment)),
                    GoneReason::Stopped => {}
                }
                lock(&self.core).phases.remove(&environment);
                self.turn(Event::Gone(environment));
            }
        }
    }
}

/// What an invoke is replied to with.
trait Replied {
    /// What the cold start was made of.
    fn phases(&self) -> Option<InitPhases>;
}

impl Replied for Outcome {
    fn phases(&self) -> Option<InitPhases> {
        self.phases
    }
}

impl Replied for Answer {
    fn phases(&self) -> Option<InitPhases> {
        match self {
            Self::Whole(outcome) => outcome.phases,
            Self::Streamed(streamed) => streamed.phases,
        }
    }
}

impl Core {
    /// The action with the invoke that it is about. An invoke that nobody waits for cannot be.
    fn work(&mut self, action: Action) -> Option<Work> {
        let waiting = &mut self.waiting;
        match action {
            Action::Create { invoke, environment, worker, .. } => {
                let waiting = waiting.remove(&invoke)?;
                self.count(&waiting.ready, environment);
                self.made.one_of(waiting.ready.generation());
                Some(Work::Create(worker, environment, waiting))
            }
            Action::Prepare { environment, generation, worker, purpose } => {
                let ready = self.serving.get(&generation)?;
                Some(Work::Prepare(worker, environment, ready.spec_for(purpose)))
            }
            Action::Assign { invoke, environment } => {
                let waiting = waiting.remove(&invoke)?;
                self.count(&waiting.ready, environment);
                Some(Work::Assign(environment, waiting))
            }
            Action::Throttle { invoke, reason } => Some(Work::Refuse(waiting.remove(&invoke)?, reason)),
            Action::Stale { invoke } => Some(Work::LookUp(waiting.remove(&invoke)?)),
            Action::Stop { environment, reason } => {
                *self.stops.entry(reason.name()).or_default() += 1;
                Some(if reason.is_pressing() { Work::Stop(environment) } else { Work::Leave(environment) })
            }
        }
    }
}

impl Core {
    /// Counts an invoke of a version of which environments are provisioned.
    fn count(&self, ready: &Ready, environment: EnvironmentId) {
        if self.scheduler.is_provisioned(environment) {
            ready.metrics.provisioned_invocations.count();
        } else if self.scheduler.provisioned(ready.generation()).wanted > 0 {
            ready.metrics.spillover_invocations.count();
        }
    }
}

/// Hears the worker without keeping the dispatcher alive.
struct Sink<W>(Weak<Dispatcher<W>>);

impl<W: Environments> EnvironmentSink for Sink<W> {
    fn event(&self, event: EnvironmentEvent) {
        if let Some(dispatcher) = self.0.upgrade() {
            dispatcher.heard(event);
        }
    }
}

/// A thread that panicked while it held the lock left nothing half done that the next step would not find out.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
