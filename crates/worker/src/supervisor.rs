//! One task per environment: makes its processes, watches over them, takes them down, makes them again.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hearth_runtimes::{API, Catalogue, Launch, RUNTIME_API, Runtime, Session, ahead, launch};
use hearth_sandbox::{Assignment, Exit, Program, Sandbox, SandboxError, Spawner, Tmp, TmpVolume};
use hearth_types::limits::{EPHEMERAL_MIN_MB, RUNTIME_CONNECTIONS, TELEMETRY_GRACE};
use rustix::net::SocketFlags;
use tokio::net::unix::pipe;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::api::{GoneReason, Identities, Identity};
use crate::clock::Moment;
use crate::environment::Environment;
use crate::failure::Cause;
use crate::journal::{Drained, output_pipe};
use crate::lifecycle::State;
use crate::names::Resolver;
use crate::runtime_api;
use crate::telemetry::Kind;
use crate::text::{self, ProcessEnd};
use crate::waiting::{Pool, Ready};

/// How long what a process sent before it ended may take to be read: a bound on waiting for a child that holds the
/// connection open, not something that happens.
const LAST_WORDS: Duration = Duration::from_secs(1);

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
}

/// The processes of an environment, up.
struct Processes {
    sandbox: Arc<Sandbox>,
    listener: TcpListener,
    output: Option<Arc<pipe::Receiver>>,
    connections: JoinSet<()>,
    /// What answers their calls of the server, and their questions about names where they may ask.
    services: JoinSet<()>,
    /// The runtime's process is gone, and its invoke lasts until the time limit.
    gone: bool,
}

/// What the supervisor is to do.
enum Order {
    /// Nothing before this moment.
    Wait(Option<Instant>),
    /// End the processes.
    End(Cause),
}

/// Runs an environment to its end.
pub(crate) async fn supervise(environment: Arc<Environment>, machine: Arc<Machine>) -> GoneReason {
    let mut kept: Option<TmpVolume> = None;
    loop {
        if !environment.work_to_do().await {
            environment.fail(&Cause::Killed); // Whoever waits for an invoke that has not begun hears of it.
            return GoneReason::Stopped;
        }
        let tmp = kept.take().map_or(Tmp::New { mb: environment.spec.ephemeral_mb }, Tmp::Kept);
        match bring_up(&environment, &machine, tmp).await {
            Ok(processes) => kept = watch_over(&environment, processes).await,
            Err(cause) => {
                environment.fail(&cause);
                if matches!(cause, Cause::Platform(_)) {
                    return GoneReason::Failed;
                }
            }
        }
    }
}

async fn bring_up(environment: &Arc<Environment>, machine: &Machine, tmp: Tmp) -> Result<Processes, Cause> {
    let begin = Instant::now();
    let spec = &environment.spec;
    let runtime = match &environment.runtime {
        Some(runtime) => runtime,
        None => match machine.catalogue.find(&spec.runtime) {
            Ok(runtime) => runtime,
            Err(missing) => return Err(Cause::Known(missing.failure())),
        },
    };
    let Identity { credentials, door } = machine.identities.identity(spec).await.map_err(Cause::Platform)?;
    let log_stream = environment.journal.stream();
    let session = Session { log_stream, runtime_api: RUNTIME_API, api: API, credentials: &credentials };
    let start = launch(runtime, spec, session).map_err(|error| {
        let error_type = "Runtime.InvalidEntrypoint".to_owned();
        Cause::Known(hearth_types::invoke::FunctionFailure { error_type, message: error.to_string() })
    })?;
    let waiting = waiting(environment, machine, runtime, &start, &tmp).await;
    environment.log_init_start(&runtime.version);
    let employed = match waiting {
        Some(ready) => employ(environment, machine, ready, &start).await,
        None => None,
    };
    let (mut sandbox, output) = match employed {
        Some(employed) => employed,
        None => start_anew(environment, machine, start, tmp).await?,
    };
    let listener = registered(sandbox.take_listener())?;
    let mut services = JoinSet::new();
    services.spawn(door(registered(sandbox.take_api())?));
    if let Some(sockets) = sandbox.take_names() {
        services.spawn(Arc::clone(&machine.names).serve(sockets));
    }
    let sandbox = Arc::new(sandbox);
    environment.started(Arc::clone(&sandbox), begin.elapsed());
    Ok(Processes { sandbox, listener, output: Some(output), connections: JoinSet::new(), services, gone: false })
}

fn registered(listener: Option<std::net::TcpListener>) -> Result<TcpListener, Cause> {
    let listener = listener.ok_or_else(|| Cause::Platform("its listener was taken already".to_owned()))?;
    TcpListener::from_std(listener).map_err(|error| Cause::Platform(format!("registering its listener: {error}")))
}

/// A runtime that was started ahead, where there is one that the function cannot tell from one of its own.
async fn waiting(
    environment: &Environment,
    machine: &Machine,
    runtime: &Runtime,
    start: &Launch,
    tmp: &Tmp,
) -> Option<Ready> {
    // What waits has the usual /tmp, with nothing in it.
    let fits = matches!(tmp, Tmp::New { mb: EPHEMERAL_MIN_MB });
    let kind = fits.then(|| ahead(runtime, &environment.spec, start)).flatten()?;
    machine.waiting.take(&kind).await
}

/// None where it has ended meanwhile.
async fn employ(
    environment: &Environment,
    machine: &Machine,
    ready: Ready,
    start: &Launch,
) -> Option<(Sandbox, Arc<pipe::Receiver>)> {
    let Ready { waiting, output } = ready;
    environment.journal.attach(Kind::Function, Arc::clone(&output));
    match machine.spawner.employ(waiting, assignment(environment), &start.env).await {
        Ok(sandbox) => {
            machine.waiting.taken();
            Some((sandbox, output))
        }
        Err(error) => {
            tracing::warn!(environment = %environment.id, %error, "a runtime that waited is not taken");
            None
        }
    }
}

async fn start_anew(
    environment: &Environment,
    machine: &Machine,
    start: Launch,
    tmp: Tmp,
) -> Result<(Sandbox, Arc<pipe::Receiver>), Cause> {
    let (reader, writer) = output_pipe().map_err(|error| Cause::Platform(format!("a pipe for its output: {error}")))?;
    let reader = Arc::new(reader);
    let made = machine.spawner.make(tmp).await.map_err(platform)?;
    let started = machine.spawner.start(made, start.root).await.map_err(platform)?;
    environment.journal.attach(Kind::Function, Arc::clone(&reader));
    let Launch { argv, otherwise, env, cwd, .. } = start;
    let program = Program { argv, otherwise, env, cwd, output: writer };
    let assigned = machine.spawner.assign(started, assignment(environment), program).await;
    assigned.map(|sandbox| (sandbox, reader)).map_err(not_executable)
}

fn assignment(environment: &Environment) -> Assignment {
    let spec = &environment.spec;
    Assignment { code: spec.code, layers: spec.layers.clone(), memory_mb: spec.memory_mb }
}

fn platform(error: SandboxError) -> Cause {
    Cause::Platform(error.to_string())
}

/// The last step fails for the function's sake where its program cannot be executed.
fn not_executable(error: SandboxError) -> Cause {
    match error {
        SandboxError::NotExecutable { program, source } => {
            let missing = source.kind() == io::ErrorKind::NotFound;
            let text = source.to_string();
            let error = text.split(" (os error").next().unwrap_or_default().to_owned();
            Cause::NotExecutable { program, error, missing }
        }
        other => platform(other),
    }
}

/// Serves the processes until they end or have to; takes them down. What is left is their /tmp.
async fn watch_over(environment: &Arc<Environment>, mut processes: Processes) -> Option<TmpVolume> {
    let cause = processes.until_the_end(environment).await;
    let Processes { sandbox, connections, output, services, .. } = processes;
    if !matches!(cause, Cause::Exit(_)) {
        // Nothing more happens inside while the invoke's last lines are written.
        if let Err(error) = sandbox.freeze() {
            tracing::debug!(environment = %environment.id, %error, "not frozen before its end");
        }
    }
    environment.fail(&cause);
    drop((connections, output, services));
    environment.journal.telemetry().end();
    environment.lock().sandbox = None;
    match Arc::into_inner(sandbox) {
        Some(sandbox) => sandbox.destroy(!environment.is_ending()).await,
        None => None, // Unreachable: all others borrow it under the lock. Dropped, it is taken down as well.
    }
}

impl Processes {
    async fn until_the_end(&mut self, environment: &Arc<Environment>) -> Cause {
        let timer = tokio::time::sleep(Duration::ZERO);
        tokio::pin!(timer);
        loop {
            let armed = match environment.order() {
                Order::End(cause) => return cause,
                Order::Wait(None) => false,
                Order::Wait(Some(when)) => {
                    timer.as_mut().reset(when.into());
                    true
                }
            };
            tokio::select! {
                () = environment.wake.notified() => {}
                () = &mut timer, if armed => {}
                more = take_output(environment, &self.output) => {
                    if !more {
                        self.output = None;
                    }
                }
                accepted = self.listener.accept(), if self.connections.len() < RUNTIME_CONNECTIONS => {
                    match accepted {
                        Ok((stream, _)) => self.connect(environment, stream),
                        Err(error) => tracing::debug!(environment = %environment.id, %error, "accepting"),
                    }
                }
                Some(_) = self.connections.join_next() => {}
                exit = self.sandbox.exited(), if !self.gone => {
                    if environment.expects_words() {
                        self.hear_last_words(environment).await;
                    }
                    let end = match exit {
                        Exit::Code(status) => ProcessEnd::Status(status),
                        Exit::Signal(number) => ProcessEnd::Signal(number),
                    };
                    self.gone = environment.lasts_beyond(end);
                    if !self.gone {
                        return Cause::Exit(end);
                    }
                }
            }
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
            while self.connections.join_next().await.is_some() {}
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

/// Waits for output and takes it. False once there will be none.
async fn take_output(environment: &Environment, output: &Option<Arc<pipe::Receiver>>) -> bool {
    let Some(output) = output else { return std::future::pending().await };
    output.readable().await.is_ok()
        && environment.journal.drain(Kind::Function, Moment::now().wall_ms) != Drained::Closed
}

impl Environment {
    /// Waits, without processes, until an invoke needs some. False when the environment ends.
    async fn work_to_do(&self) -> bool {
        loop {
            {
                let inner = self.lock();
                if inner.killed || (inner.stopping && inner.current.is_none()) {
                    return false;
                }
                if inner.current.is_some() {
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
        let inner = self.lock();
        inner.killed || inner.stopping
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
