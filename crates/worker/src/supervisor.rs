//! One task per environment: makes its processes, watches over them, takes them down, makes them again.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hearth_runtimes::Catalogue;
use hearth_sandbox::{Exit, Happening, Process, Sandbox, Spawner, Tmp, TmpVolume};
use hearth_types::limits::{RUNTIME_CONNECTIONS, TELEMETRY_GRACE};
use rustix::net::SocketFlags;
use tokio::net::unix::pipe;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::api::{GoneReason, Identities};
use crate::bring_up::{bring_up, not_executable, platform};
use crate::clock::Moment;
use crate::environment::Environment;
use crate::failure::Cause;
use crate::interpreters::Interpreters;
use crate::journal::Drained;
use crate::lifecycle::State;
use crate::names::Resolver;
use crate::runtime_api;
use crate::snapshots::Snapshots;
use crate::telemetry::Kind;
use crate::text::{self, ProcessEnd};
use crate::waiting::Pool;

/// How long what a process sent before it ended may take to be read: a bound on waiting for a child that holds the
/// connection open, not something that happens.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How a process ends that is ended from outside.
const SIGKILL: i32 = 9;

/// A segmentation fault.
const SIGSEGV: i32 = 11;

/// What environments are made of.
pub(crate) struct Machine {
    pub(crate) spawner: Spawner,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) identities: Arc<dyn Identities>,
    /// For environments that reach the outside.
    pub(crate) names: Arc<Resolver>,
    /// Runtimes that were started ahead.
    pub(crate) waiting: Arc<Pool>,
    /// Where the layers lie, unpacked, each in a folder named by its digest.
    pub(crate) packages: PathBuf,
    /// Of versions whose environments go on from one.
    pub(crate) snapshots: Snapshots,
    /// That were written down before they knew any function, where such are to be used.
    pub(crate) interpreters: Option<Arc<Interpreters>>,
}

/// The processes of an environment, up.
pub(crate) struct Processes {
    pub(crate) sandbox: Arc<Sandbox>,
    pub(crate) listener: TcpListener,
    /// What they write, while there are such processes.
    pub(crate) outputs: [(Kind, Option<Arc<pipe::Receiver>>); 2],
    pub(crate) connections: JoinSet<()>,
    /// What answers their calls of the server, and their questions about names where they may ask.
    pub(crate) services: JoinSet<()>,
    pub(crate) runtime: Runtime,
    /// Of the extensions with processes of their own, which still run.
    pub(crate) alive: Vec<bool>,
}

/// Where the runtime's process stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Runtime {
    /// Until all extensions before it have registered.
    Waits,
    Runs,
    Gone,
}

/// What the processes bring about.
pub(crate) enum Event {
    Happening(Happening),
    /// Something that is seen to already.
    Other,
}

/// What the supervisor is to do.
enum Order {
    /// Nothing before this moment.
    Wait(Option<Instant>),
    /// End the processes.
    End(Cause),
    /// Let the runtime go.
    StartRuntime,
}

/// Runs an environment to its end.
pub(crate) async fn supervise(environment: Arc<Environment>, machine: Arc<Machine>) -> GoneReason {
    let mut kept: Option<TmpVolume> = None;
    loop {
        if !environment.work_to_do().await {
            environment.fail(&Cause::Killed, false); // Whoever waits for an invoke that has not begun hears of it.
            return if environment.lock().unprepared { GoneReason::InitFailed } else { GoneReason::Stopped };
        }
        let tmp = kept.take().map_or(Tmp::New { mb: environment.spec.ephemeral_mb }, Tmp::Kept);
        match bring_up(&environment, &machine, tmp).await {
            Ok(processes) => kept = watch_over(&environment, processes).await,
            Err(cause) => {
                environment.fail(&cause, false);
                if matches!(cause, Cause::Platform(_)) {
                    return GoneReason::Failed;
                }
            }
        }
    }
}

/// Serves the processes until they end or have to; takes them down. What is left is their /tmp.
async fn watch_over(environment: &Arc<Environment>, mut processes: Processes) -> Option<TmpVolume> {
    let cause = processes.until_the_end(environment).await;
    if !matches!(cause, Cause::Exit(_)) {
        // Nothing more happens inside while the invoke's last lines are written.
        if let Err(error) = processes.sandbox.freeze() {
            tracing::debug!(environment = %environment.id, %error, "not frozen before its end");
        }
    }
    // An end that takes its time is over before the next invoke is given: it has no part in it.
    let slowly = environment.ends_slowly(&cause);
    let idle = environment.fail(&cause, slowly);
    processes.shut_down(environment, &cause).await;
    let Processes { sandbox, connections, outputs, services, .. } = processes;
    drop((connections, outputs, services));
    environment.segments.detach();
    environment.journal.telemetry().end();
    environment.lock().sandbox = None;
    let kept = match Arc::into_inner(sandbox) {
        Some(sandbox) => sandbox.destroy(!environment.is_ending()).await,
        None => None, // Unreachable: all others borrow it under the lock. Dropped, it is taken down as well.
    };
    if slowly {
        // What they wrote last.
        environment.journal.write(Moment::now().wall_ms, []);
        environment.lock().life.cleared(Instant::now());
        environment.say(idle);
    }
    kept
}

impl Processes {
    async fn until_the_end(&mut self, environment: &Arc<Environment>) -> Cause {
        loop {
            let when = match environment.order() {
                Order::End(cause) => return cause,
                Order::StartRuntime => {
                    if let Err(error) = self.sandbox.let_runtime_go().await {
                        return platform(error);
                    }
                    environment.runtime_starts();
                    continue;
                }
                Order::Wait(when) => when,
            };
            let event = match when {
                None => self.event(environment).await,
                Some(when) => {
                    let event = tokio::time::timeout_at(when.into(), self.event(environment)).await;
                    event.unwrap_or(Event::Other)
                }
            };
            if let Event::Happening(happening) = event
                && let Some(cause) = self.end_by(environment, happening).await
            {
                return cause;
            }
        }
    }

    /// Serves until something has happened. Can be dropped and called again.
    pub(crate) async fn event(&mut self, environment: &Arc<Environment>) -> Event {
        let hears = self.runtime != Runtime::Gone || self.alive.contains(&true);
        let [function, extensions] = &mut self.outputs;
        tokio::select! {
            () = environment.wake.notified() => {}
            () = take_output(environment, function) => {}
            () = take_output(environment, extensions) => {}
            accepted = self.listener.accept(), if self.connections.len() < RUNTIME_CONNECTIONS => {
                match accepted {
                    Ok((stream, _)) => self.connect(environment, stream),
                    Err(error) => tracing::debug!(environment = %environment.id, %error, "accepting"),
                }
            }
            Some(_) = self.connections.join_next() => {}
            happening = self.sandbox.happening(), if hears => return Event::Happening(happening),
        }
        Event::Other
    }

    /// What has happened may be the end.
    async fn end_by(&mut self, environment: &Arc<Environment>, happening: Happening) -> Option<Cause> {
        let killed = matches!(happening, Happening::Gone | Happening::Ended(_, Exit::Signal(SIGKILL)));
        if killed && let Err(error) = self.sandbox.check_spawner().await {
            return Some(platform(error));
        }
        match happening {
            Happening::RuntimeRuns => {
                self.runtime = Runtime::Runs;
                None
            }
            Happening::Ended(Process::Runtime, exit) => self.runtime_ended(environment, end_of(exit)).await,
            Happening::Gone => {
                self.alive.fill(false);
                self.runtime_ended(environment, ProcessEnd::Signal(SIGKILL)).await
            }
            Happening::Ended(Process::Beside(number), exit) => {
                self.is_gone(number);
                // What it said before says more.
                let reported = environment.lock().extensions.reported.clone();
                let crashed = Cause::ExtensionExit(number as usize, end_of(exit));
                Some(reported.map_or(crashed, Cause::ExtensionReport))
            }
            Happening::Failed(error) => Some(not_executable(error)),
        }
    }

    async fn runtime_ended(&mut self, environment: &Arc<Environment>, end: ProcessEnd) -> Option<Cause> {
        self.runtime = Runtime::Gone;
        if environment.expects_words() {
            self.hear_last_words(environment).await;
        }
        (!environment.lasts_beyond(end)).then_some(Cause::Exit(end))
    }

    /// The process of the extension with this number has ended.
    pub(crate) fn is_gone(&mut self, number: u32) {
        if let Some(alive) = self.alive.get_mut(number as usize) {
            *alive = false;
        }
    }

    fn connect(&mut self, environment: &Arc<Environment>, stream: TcpStream) {
        environment.connected();
        self.connections.spawn(runtime_api::serve(Arc::clone(environment), stream));
    }

    /// What the runtime sent before it ended still counts: an error report above all.
    async fn hear_last_words(&mut self, environment: &Arc<Environment>) {
        let rest = async {
            while let Some(stream) = accept_pending(&self.listener) {
                self.connections.spawn(runtime_api::serve(Arc::clone(environment), stream));
            }
            // Those of extensions that live on end with them.
            while self.connections.len() > environment.connections_of_extensions() {
                self.connections.join_next().await;
            }
        };
        if tokio::time::timeout(LAST_WORDS, rest).await.is_err() {
            tracing::debug!(environment = %environment.id, "a connection outlived the runtime's process");
        }
    }
}

/// A connection that waits to be accepted. The kernel is asked: tokio knows of one only when its driver has looked since.
fn accept_pending(listener: &TcpListener) -> Option<TcpStream> {
    let stream = rustix::net::accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC).ok()?;
    TcpStream::from_std(stream.into()).ok()
}

/// Waits for output and takes it, until there will be none.
async fn take_output(environment: &Environment, (of, output): &mut (Kind, Option<Arc<pipe::Receiver>>)) {
    let Some(pipe) = output else { return std::future::pending().await };
    let more =
        pipe.readable().await.is_ok() && environment.journal.drain(*of, Moment::now().wall_ms) != Drained::Closed;
    if !more {
        *output = None;
    }
}

fn end_of(exit: Exit) -> ProcessEnd {
    match exit {
        Exit::Code(status) => ProcessEnd::Status(status),
        Exit::Signal(number) => ProcessEnd::Signal(number),
    }
}

impl Environment {
    /// Waits, without processes, until an invoke needs some. False when the environment ends.
    async fn work_to_do(&self) -> bool {
        loop {
            {
                let inner = self.lock();
                if inner.killed || inner.unprepared || (inner.stopping && inner.current.is_none()) {
                    return false;
                }
                if inner.current.is_some() || inner.life.is_to_be_prepared() {
                    return true;
                }
            }
            self.wake.notified().await;
        }
    }

    /// Whether the runtime may have something to say: a connection that only waits for an invoke never ends by itself.
    fn expects_words(&self) -> bool {
        matches!(self.lock().life.state(), State::Init { .. } | State::Running { .. } | State::Answering { .. })
    }

    /// Whether the invoke in progress is answered only at its time limit although its runtime ended like this: so it is
    /// on Lambda after a segmentation fault (recorded). Its log says at once what happened.
    fn lasts_beyond(&self, end: ProcessEnd) -> bool {
        let inner = self.lock();
        let (State::Running { .. }, Some(current)) = (inner.life.state(), &inner.current) else { return false };
        let lasts = end == ProcessEnd::Signal(SIGSEGV);
        if lasts {
            let failure = text::exited(current.request_id, end);
            self.journal.write(Moment::now().wall_ms, [format!("{}\n", failure.message)]);
        }
        lasts
    }

    fn is_ending(&self) -> bool {
        self.lock().is_ending()
    }

    /// What is due now; and freezes what has been idle long enough.
    fn order(&self) -> Order {
        let now = Instant::now();
        let mut inner = self.lock();
        if inner.killed {
            return Order::End(Cause::Killed);
        }
        if inner.stopping && inner.current.is_none() {
            return Order::End(Cause::Stopped);
        }
        if inner.init_error.is_some() {
            return Order::End(Cause::InitError);
        }
        if let Some(reported) = &inner.extensions.reported {
            return Order::End(Cause::ExtensionReport(reported.clone()));
        }
        if inner.extensions.registry.lets_runtime_go() {
            return Order::StartRuntime;
        }
        if inner.life.deadline().is_some_and(|deadline| deadline <= now) {
            return Order::End(Cause::Timeout);
        }
        let grace = self.grace();
        let timeout = inner.life.timeout();
        let when = match inner.life.state() {
            State::Idle { since } if !inner.frozen && since + grace <= now => {
                self.freeze(&mut inner);
                // Ahead of the deadline of whatever invoke comes next, so that it need not tell.
                Some(now + timeout)
            }
            State::Idle { since } if !inner.frozen => Some(since + grace),
            State::Idle { .. } => None,
            // A short invoke will be over by then: freezing is looked at again without being told.
            State::Running { since } if since + grace > now => inner.life.deadline().map(|d| d.min(since + grace)),
            _ => inner.life.deadline(),
        };
        inner.armed = when;
        Order::Wait(when)
    }

    /// How long it runs on when it is idle: somewhat longer where something is on its way to an extension.
    fn grace(&self) -> Duration {
        let more = if self.journal.telemetry().is_settled() { Duration::ZERO } else { TELEMETRY_GRACE };
        self.shared.freeze_after + more
    }

    fn freeze(&self, inner: &mut crate::environment::Inner) {
        if let Some(sandbox) = &inner.sandbox {
            match sandbox.freeze() {
                Ok(()) => {
                    inner.frozen = true;
                    self.journal.telemetry().set_awake(false);
                }
                Err(error) => tracing::error!(environment = %self.id, %error, "an idle environment is not frozen"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing is awaited in between: the driver has not looked at the listener yet.
    #[tokio::test]
    async fn a_connection_is_there_before_the_driver_knows() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let _client = std::net::TcpStream::connect(address).unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        assert!(accept_pending(&listener).is_some());
        assert!(accept_pending(&listener).is_none());
    }
}
