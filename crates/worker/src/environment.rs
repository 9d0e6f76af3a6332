//! One environment as all of its parts share it, under one lock that is held for microseconds and never across an await.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hearth_runtimes::{Kind, Runtime};
use hearth_sandbox::Sandbox;
use hearth_types::invoke::{FunctionFailure, Initialization, VersionSpec};
use hearth_types::limits::{INIT_TIMEOUT, PROVISIONED_INIT_TIMEOUT, RESTORE_TIMEOUT};
use hearth_types::{EnvironmentId, RequestId};
use tokio::sync::{Notify, Semaphore};

use crate::answer::Debt;
use crate::api::{EnvironmentEvent, EnvironmentSink, Found, InitPhases, Invocation, LogSink, Outcome, WorkerError};
use crate::clock::Moment;
use crate::current::Current;
use crate::delivery::Delivery;
use crate::error_cause::ErrorCause;
use crate::extensions::{Registry, Roster};
use crate::failure::Cause;
use crate::journal::Journal;
use crate::lifecycle::{Init, Lifecycle, Next, NotAllowed, State};
use crate::records::Record;
use crate::segments::{Mailbox, SegmentRoom};
use crate::span::SpanSink;
use crate::text::{self, InitPhase};

/// What all environments of a worker use.
pub(crate) struct Shared {
    pub(crate) events: Arc<dyn EnvironmentSink>,
    pub(crate) logs: Arc<dyn LogSink>,
    pub(crate) spans: Arc<dyn SpanSink>,
    /// Room for what functions add to their spans.
    pub(crate) segment_room: SegmentRoom,
    pub(crate) freeze_after: Duration,
    /// Bytes a second of a streamed answer beyond its first.
    pub(crate) stream_bandwidth: Option<u64>,
}

/// One environment.
pub(crate) struct Environment {
    pub(crate) id: EnvironmentId,
    pub(crate) spec: Arc<VersionSpec>,
    /// None where the machine lacks it.
    pub(crate) runtime: Option<Runtime>,
    pub(crate) journal: Journal,
    pub(crate) shared: Arc<Shared>,
    /// Tells the supervisor to look at the state again.
    pub(crate) wake: Notify,
    /// Connections on which an extension has called.
    pub(crate) extension_connections: AtomicUsize,
    /// Whose turn it is to send a body that is kept whole.
    pub(crate) collecting: Semaphore,
    /// Of traces, from the processes.
    pub(crate) segments: Mailbox,
    inner: Mutex<Inner>,
}

/// What the lock guards.
pub(crate) struct Inner {
    pub(crate) life: Lifecycle,
    pub(crate) current: Option<Current>,
    pub(crate) sandbox: Option<Arc<Sandbox>>,
    pub(crate) frozen: bool,
    /// When the supervisor will look again by itself.
    pub(crate) armed: Option<Instant>,
    pub(crate) extensions: Roster,
    pub(crate) variables_to_tell: Option<Bytes>,
    pub(crate) init_error: Option<InitError>,
    /// Ends when the invoke in progress is over.
    pub(crate) stopping: bool,
    /// Ends now.
    pub(crate) killed: bool,
    /// Ends, because its init ahead of any invoke failed.
    pub(crate) unprepared: bool,
    /// Of the cold start that the invoke in progress was.
    pub(crate) cold: Option<Duration>,
    /// The init that the invoke in progress waited for.
    pub(crate) inited: Option<Init>,
    /// Whether that failed.
    pub(crate) init_failed: bool,
    pub(crate) phases: InitPhases,
    pub(crate) connected: Option<Instant>,
    pub(crate) process_since: Option<Instant>,
    waiting: Option<Waker>,
    ticket: u64,
}

/// The runtime's report that init failed.
pub(crate) struct InitError {
    /// What the invoke answers.
    pub(crate) payload: Bytes,
    pub(crate) error_type: String,
    /// What it came from, for the trace.
    pub(crate) cause: Option<ErrorCause>,
}

/// Why the runtime's answer is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refused {
    NotAllowed(NotAllowed),
    UnknownId,
}

/// What is said to others once the lock is released: in this order.
#[derive(Default)]
pub(crate) struct Aftermath {
    pub(crate) answered: bool,
    pub(crate) reply: Option<(Debt, Result<Outcome, WorkerError>)>,
    /// Its init ahead of any invoke is over, with these parts.
    pub(crate) prepared: Option<InitPhases>,
    /// What was initialised ahead is lost.
    pub(crate) down: bool,
    pub(crate) idle: bool,
    /// Of those that wait for what there is now.
    pub(crate) wakers: Vec<Waker>,
}

impl Environment {
    pub(crate) fn new(
        id: EnvironmentId,
        spec: Arc<VersionSpec>,
        runtime: Option<Runtime>,
        stream: Arc<str>,
        shared: Arc<Shared>,
        first: Option<Invocation>,
    ) -> Self {
        let journal = Journal::new(Arc::clone(&shared.logs), Arc::clone(&spec.log_group), stream, spec.log_format);
        journal.keep_tail(first.as_ref().is_some_and(|first| first.tail));
        let segments = Mailbox::new(shared.segment_room.clone(), first.as_ref().and_then(|first| first.traced));
        let inner = Inner {
            life: first.as_ref().map_or_else(|| ahead(&spec), |_| Lifecycle::new(timeout(&spec))),
            current: first.map(Current::new),
            sandbox: None,
            frozen: false,
            armed: None,
            extensions: Roster::new(Registry::new(&[])),
            variables_to_tell: None,
            init_error: None,
            stopping: false,
            killed: false,
            unprepared: false,
            cold: None,
            inited: None,
            init_failed: false,
            phases: InitPhases::default(),
            connected: None,
            process_since: None,
            waiting: None,
            ticket: 0,
        };
        Self {
            id,
            spec,
            runtime,
            journal,
            shared,
            wake: Notify::new(),
            extension_connections: AtomicUsize::new(0),
            collecting: Semaphore::new(1),
            segments,
            inner: Mutex::new(inner),
        }
    }

    /// Whether the runtime is one of ours, with a bootstrap of ours.
    pub(crate) fn is_managed(&self) -> bool {
        self.runtime.as_ref().is_some_and(|runtime| runtime.kind != Kind::Provided)
    }

    /// Whether a trace tells of the invoke in progress.
    pub(crate) fn is_traced(&self) -> bool {
        self.lock().current.as_ref().is_some_and(|current| current.traced.is_some())
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an invoke. It is called on a free environment only; otherwise the invoke is refused.
    pub(crate) fn invoke(&self, invocation: Invocation) {
        let now = Moment::now();
        let mut inner = self.lock();
        if inner.is_ending() || inner.current.is_some() {
            drop(inner);
            invocation.reply.send(Err(WorkerError::Ended(self.id)));
            return;
        }
        if invocation.tail {
            self.journal.keep_tail(true);
        }
        self.segments.begins(invocation.traced);
        inner.current = Some(Current::new(invocation));
        if inner.life.invoke(now.at) {
            inner.thaw();
            self.journal.telemetry().set_awake(true);
            self.log_start(now, &inner);
            let waiting = inner.waiting.take();
            let extensions = inner.extensions.invoke_begins();
            let wake = inner.must_wake(now.at, self.shared.freeze_after);
            drop(inner);
            extensions.into_iter().chain(waiting).for_each(Waker::wake);
            if wake {
                self.wake.notify_one();
            }
        } else {
            drop(inner);
            self.wake.notify_one();
        }
    }

    /// Ends it once the invoke that it may have is over.
    pub(crate) fn stop(&self) {
        self.lock().stopping = true;
        self.wake.notify_one();
    }

    /// The runtime's process runs.
    pub(crate) fn started(&self, sandbox: Arc<Sandbox>, found: Found, took: Duration) {
        let since = sandbox.runs_since();
        let mut inner = self.lock();
        inner.life.started(since);
        inner.sandbox = Some(sandbox);
        inner.frozen = false;
        inner.phases = InitPhases { found, sandbox: took, ..InitPhases::default() };
        inner.process_since = Some(since);
        inner.connected = None;
    }

    /// The runtime has made a connection.
    pub(crate) fn connected(&self) {
        self.lock().connected.get_or_insert_with(Instant::now);
    }

    /// The runtime asks for the next invoke: a ticket to wait with.
    pub(crate) fn next(&self) -> Result<u64, NotAllowed> {
        let now = Moment::now();
        let mut inner = self.lock();
        let mut aftermath = Aftermath::default();
        let extensions = inner.extensions.standing();
        match inner.life.next(now.at, extensions)? {
            Next::InitDone { init, took } => aftermath = self.init_done(&mut inner, now, init, took),
            Next::InvokeDone { took } => aftermath = self.finish(&mut inner, now, took, None, None),
            Next::RuntimeDone { took } => self.runtime_done(&mut inner, now, took),
            Next::RuntimeInitDone { .. } | Next::Again => {}
        }
        inner.ticket += 1;
        let (ticket, superseded) = (inner.ticket, inner.waiting.take());
        let wake = inner.must_wake(now.at, self.shared.freeze_after);
        drop(inner);
        if let Some(superseded) = superseded {
            superseded.wake();
        }
        if wake {
            self.wake.notify_one();
        }
        self.say(aftermath);
        Ok(ticket)
    }

    /// Waits for an invoke. Ends with an error when a later call for one has come.
    pub(crate) fn poll_delivery(&self, ticket: u64, context: &mut Context<'_>) -> Poll<Result<Delivery, NotAllowed>> {
        let mut inner = self.lock();
        if inner.ticket != ticket {
            return Poll::Ready(Err(NotAllowed { from: "RuntimeReady", to: "RuntimeReady" }));
        }
        let State::Running { since } = inner.life.state() else {
            inner.wait_with(context.waker());
            return Poll::Pending;
        };
        let deadline = since + inner.life.timeout();
        match inner.current.as_mut().and_then(|current| current.event.take()) {
            Some(mut delivery) => {
                delivery.deadline_ms = Moment::now().wall_ms_at(deadline);
                delivery.tenant.clone_from(&self.spec.tenant);
                Poll::Ready(Ok(delivery))
            }
            None => {
                inner.wait_with(context.waker());
                Poll::Pending
            }
        }
    }

    /// Whether the runtime may answer this invoke now: looked at before its body is read.
    pub(crate) fn may_answer(&self, request_id: &str, to: &'static str) -> Result<RequestId, Refused> {
        self.lock().may_answer(request_id, to)
    }

    /// The runtime's report that it cannot load the function.
    pub(crate) fn init_error(&self, error: InitError) -> Result<(), NotAllowed> {
        let mut inner = self.lock();
        inner.life.may_fail_init()?;
        inner.init_error.get_or_insert(error);
        drop(inner);
        self.wake.notify_one();
        Ok(())
    }

    /// The processes are done for: what that means for the invoke in progress. The sandbox still has to be taken down.
    /// `later` keeps it back that the environment is free: what is returned says so.
    pub(crate) fn fail(&self, cause: &Cause, later: bool) -> Aftermath {
        let now = Moment::now();
        let mut inner = self.lock();
        let mut aftermath = self.fail_in(&mut inner, now, cause);
        drop(inner);
        let kept_back = Aftermath { idle: aftermath.idle && later, ..Aftermath::default() };
        aftermath.idle &= !later;
        self.say(aftermath);
        kept_back
    }

    /// The runtime and all extensions are ready: the invoke begins, where one is there.
    pub(crate) fn init_done(&self, inner: &mut Inner, now: Moment, init: Init, took: Duration) -> Aftermath {
        inner.init_is_over(now.at);
        inner.cold = (init == Init::First && inner.current.is_some()).then_some(took);
        (inner.inited, inner.init_failed) = (inner.current.is_some().then_some(init), false);
        inner.phases.log(self.id, &self.spec.function);
        if let Some(sandbox) = &inner.sandbox
            && let Err(error) = sandbox.limit_cpu(self.spec.memory_mb)
        {
            tracing::error!(environment = %self.id, %error, "the share of the processor is not set");
        }
        inner.extensions.registry.close();
        let phase = if init == Init::First { InitPhase::Init } else { InitPhase::Invoke };
        let failed = None;
        self.log_extensions(inner, now);
        let records = [Record::InitRuntimeDone { phase, failed }, Record::InitReport { phase, took, failed }];
        self.journal.records(now.wall_ms, &self.spec, records);
        if inner.current.is_none() {
            self.journal.telemetry().close();
            self.journal.telemetry().flush();
            return Aftermath { prepared: Some(inner.phases), ..Aftermath::default() };
        }
        self.journal.clear_tail();
        self.log_start(now, inner);
        self.journal.telemetry().close();
        let wakers = inner.extensions.invoke_begins().into_iter().chain(inner.waiting.take()).collect();
        Aftermath { wakers, ..Aftermath::default() }
    }

    /// Of the invoke in progress. What sends its event to the runtime, or logs its end, wakes who keeps the log.
    pub(crate) fn log_start(&self, now: Moment, inner: &Inner) {
        let Some(current) = &inner.current else { return };
        let start = Record::Start { request_id: current.request_id, tracing: current.tracing() };
        self.journal.record_quietly(now.wall_ms, &self.spec, start);
    }

    /// Processes are being made.
    pub(crate) fn log_init_start(&self, runtime: &Runtime) {
        let phase = match self.lock().life.state() {
            State::Down { init: Init::Repeated, .. } => InitPhase::Invoke,
            _ => InitPhase::Init,
        };
        let stream = self.journal.stream();
        self.journal.telemetry().open();
        self.journal.records(
            Moment::now().wall_ms,
            &self.spec,
            [Record::InitStart { phase, runtime: runtime.into(), stream }],
        );
    }

    /// Tells whom it concerns. Never called with the lock held.
    pub(crate) fn say(&self, aftermath: Aftermath) {
        if aftermath.answered {
            self.shared.events.event(EnvironmentEvent::Answered(self.id));
        }
        if let Some((reply, outcome)) = aftermath.reply {
            reply.pay(outcome);
        }
        aftermath.wakers.into_iter().for_each(Waker::wake);
        if let Some(phases) = aftermath.prepared {
            self.shared.events.event(EnvironmentEvent::Prepared(self.id, phases));
        }
        // Ahead of its being idle, so that no invoke is given to what has to be initialised again.
        if aftermath.down {
            self.shared.events.event(EnvironmentEvent::Down(self.id));
        }
        if aftermath.idle {
            self.shared.events.event(EnvironmentEvent::Idle(self.id));
        }
    }

    /// What an invoke answers where the platform speaks for the function.
    pub(crate) fn failure_payload(failure: &FunctionFailure) -> Bytes {
        text::payload(failure).into()
    }
}

/// Of an environment that is made without an invoke.
fn ahead(spec: &VersionSpec) -> Lifecycle {
    let timeout = timeout(spec);
    let init_limit = match spec.initialization {
        Initialization::OnDemand => INIT_TIMEOUT,
        Initialization::SnapStart => RESTORE_TIMEOUT,
        Initialization::Provisioned => PROVISIONED_INIT_TIMEOUT.max(timeout),
    };
    Lifecycle::ahead(timeout, init_limit)
}

fn timeout(spec: &VersionSpec) -> Duration {
    Duration::from_secs(u64::from(spec.timeout_s))
}

impl Inner {
    /// Whether it takes no invoke any more.
    pub(crate) fn is_ending(&self) -> bool {
        self.stopping || self.killed || self.unprepared
    }

    /// How long the parts of the init took that ends now, or fails.
    pub(crate) fn init_is_over(&mut self, now: Instant) {
        if let (Some(since), connected) = (self.process_since, self.connected.unwrap_or(now)) {
            self.phases.runtime = connected.saturating_duration_since(since);
            self.phases.function = now.saturating_duration_since(connected);
        }
    }

    /// What the cold start was made of that the invoke in progress was.
    pub(crate) fn cold_phases(&self) -> Option<InitPhases> {
        self.cold.map(|_| self.phases)
    }

    pub(crate) fn may_answer(&self, request_id: &str, to: &'static str) -> Result<RequestId, Refused> {
        self.life.may_answer(to).map_err(Refused::NotAllowed)?;
        let given = uuid::Uuid::try_parse(request_id).map(RequestId);
        match (&self.current, given) {
            (Some(current), Ok(given)) if current.request_id == given => Ok(given),
            _ => Err(Refused::UnknownId),
        }
    }

    fn wait_with(&mut self, waker: &Waker) {
        match &mut self.waiting {
            Some(known) if known.will_wake(waker) => {}
            other => *other = Some(waker.clone()),
        }
    }

    fn thaw(&mut self) {
        if self.frozen
            && let Some(sandbox) = &self.sandbox
        {
            if let Err(error) = sandbox.thaw() {
                tracing::error!(%error, "a frozen environment is not thawed; its invoke will time out");
            }
            self.frozen = false;
        }
    }

    pub(crate) fn memory_peak(&self) -> u64 {
        self.sandbox.as_ref().and_then(|sandbox| sandbox.memory_peak_bytes().ok()).unwrap_or(0)
    }

    /// Whether the supervisor must be told, because something is due before it looks again by itself.
    pub(crate) fn must_wake(&mut self, now: Instant, freeze_after: Duration) -> bool {
        let due = match self.life.state() {
            State::Idle { since } if !self.frozen => Some(since + freeze_after),
            _ => self.life.deadline(),
        };
        let wake = self.stopping || due.is_some_and(|due| self.armed.is_none_or(|armed| armed > due.max(now)));
        if wake {
            self.armed = due; // Once is enough.
        }
        wake
    }
}
