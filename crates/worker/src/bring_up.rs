//! The making of an environment's processes.

use std::ffi::CString;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use hearth_runtimes::{API, Ahead, Launch, RUNTIME_API, Runtime, Session, ahead, extension_env, launch};
use hearth_sandbox::{Assignment, Beside, Command, Program, Sandbox, SandboxError, Snapshot, Tmp};
use hearth_types::invoke::{Initialization, VersionSpec};
use hearth_types::limits::EPHEMERAL_MIN_MB;
use tokio::net::unix::pipe;
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;

use crate::api::{Found, Identity};
use crate::environment::Environment;
use crate::extensions::programs;
use crate::failure::Cause;
use crate::journal::output_pipe;
use crate::segments;
use crate::supervisor::{Machine, Processes, Runtime as RuntimeProcess};
use crate::telemetry::Kind;
use crate::waiting::Ready;

/// Programs that are started before the runtime.
struct Extensions {
    names: Vec<Arc<str>>,
    env: Vec<CString>,
}

pub(crate) async fn bring_up(environment: &Arc<Environment>, machine: &Machine, tmp: Tmp) -> Result<Processes, Cause> {
    let begin = Instant::now();
    let spec = &environment.spec;
    let runtime = match &environment.runtime {
        Some(runtime) => runtime,
        None => match machine.catalogue.find(&spec.runtime, spec.runtime_version.as_ref()) {
            Ok(runtime) => runtime,
            Err(missing) => return Err(Cause::Known(missing.failure())),
        },
    };
    let snapshot = snapshot(environment, machine).await?;
    let Identity { credentials, token, door } = machine.identities.identity(spec).await.map_err(Cause::Platform)?;
    let log_stream = environment.journal.stream();
    let session = Session { log_stream, runtime_api: RUNTIME_API, api: API, credentials: &credentials, token: &token };
    let start = launch(runtime, spec, session).map_err(invalid)?;
    let found = programs::find(&machine.packages, &spec.layers);
    let beside = (!found.names.is_empty()).then(|| found.names.clone());
    environment.expect_extensions(&found);
    let waiting = match takes_what_waits(spec, &found, &tmp).then(|| ahead(runtime, spec, &start)) {
        Some(kind) => machine.waiting.take(&kind, &spec.function).await.map(|ready| (kind, ready)),
        None => None,
    };
    environment.log_init_start(runtime);
    let employed = match waiting {
        Some(ready) => employ(environment, machine, ready, &start).await?,
        None => None,
    };
    let there = match (employed, snapshot) {
        (_, Some(snapshot)) => Some(restore(environment, machine, start.root, &snapshot, &tmp).await?),
        (Some(employed), None) => Some(employed),
        (None, None) if beside.is_some() => None,
        (None, None) => interpreter(environment, machine, runtime, &start, &tmp).await,
    };
    let (before, mut sandbox, output, extension_output) = match there {
        Some((before, sandbox, output)) => (before, sandbox, output, None),
        None => {
            let env = || extension_env(runtime, spec, session).map_err(invalid);
            let extensions = beside.map(|names| Ok(Extensions { names, env: env()? })).transpose()?;
            let (sandbox, output, theirs) = start_anew(environment, machine, start, tmp, extensions).await?;
            (Found::Nothing, sandbox, output, theirs)
        }
    };
    let listener = registered(sandbox.take_listener())?;
    let mut services = JoinSet::new();
    services.spawn(door(registered(sandbox.take_api())?));
    if let Some(sockets) = sandbox.take_names() {
        services.spawn(Arc::clone(&machine.names).serve(sockets));
    }
    if let Some(socket) = sandbox.take_segments() {
        let socket =
            UdpSocket::from_std(socket).map_err(|error| Cause::Platform(format!("registering a socket: {error}")))?;
        let socket = Arc::new(socket);
        environment.segments.attach(Arc::clone(&socket));
        services.spawn(segments::read(Arc::clone(environment), socket));
    }
    let sandbox = Arc::new(sandbox);
    let took = sandbox.runs_since().saturating_duration_since(begin);
    environment.started(Arc::clone(&sandbox), before, took);
    let runtime = if extension_output.is_some() { RuntimeProcess::Waits } else { RuntimeProcess::Runs };
    let outputs = [(Kind::Function, Some(output)), (Kind::Extension, extension_output)];
    let alive = vec![true; found.names.len()];
    Ok(Processes { sandbox, listener, outputs, connections: JoinSet::new(), services, runtime, alive })
}

/// Of a version whose environments go on from one. It is not there after a restart, or when others needed its room.
async fn snapshot(environment: &Environment, machine: &Machine) -> Result<Option<Arc<Snapshot>>, Cause> {
    if !environment.restores() {
        return Ok(None);
    }
    let made = machine.snapshot(&environment.shared.logs, &environment.spec).await;
    made.map(Some).map_err(|why| Cause::Platform(format!("its snapshot cannot be made again: {why}")))
}

async fn restore(
    environment: &Environment,
    machine: &Machine,
    root: usize,
    snapshot: &Snapshot,
    tmp: &Tmp,
) -> Result<(Found, Sandbox, Arc<pipe::Receiver>), Cause> {
    let (reader, writer) = output_pipe().map_err(no_pipe)?;
    let reader = Arc::new(reader);
    // What the process left there is in its snapshot; after a crash, too, it goes on from that.
    let mb = match tmp {
        Tmp::New { mb } => *mb,
        Tmp::Kept(volume) => volume.mb(),
    };
    let made = machine.spawner.make(Tmp::New { mb }).await.map_err(platform)?;
    let started = machine.spawner.start(made, root).await.map_err(platform)?;
    environment.journal.attach(Kind::Function, Arc::clone(&reader));
    let restored = machine.spawner.restore(started, assignment(environment), snapshot, writer).await;
    restored.map(|sandbox| (Found::Nothing, sandbox, reader)).map_err(platform)
}

/// An interpreter that was written down before it knew any function, where such are to be used.
async fn interpreter(
    environment: &Environment,
    machine: &Machine,
    runtime: &Runtime,
    start: &Launch,
    tmp: &Tmp,
) -> Option<(Found, Sandbox, Arc<pipe::Receiver>)> {
    // After a crash the function has what it left in /tmp.
    let interpreters = machine.interpreters.as_ref().filter(|_| matches!(tmp, Tmp::New { .. }))?;
    let snapshot = interpreters.take(&ahead(runtime, &environment.spec, start)).await?;
    let variables: Vec<u8> = start.env.iter().flat_map(|variable| variable.as_bytes_with_nul()).copied().collect();
    environment.lock().variables_to_tell = Some(variables.into());
    match restore(environment, machine, start.root, &snapshot, tmp).await {
        Ok((_, sandbox, output)) => Some((Found::Snapshot, sandbox, output)),
        Err(cause) => {
            tracing::warn!(environment = %environment.id, ?cause, "an interpreter does not go on from its snapshot");
            environment.lock().variables_to_tell = None;
            None
        }
    }
}

fn registered(listener: Option<std::net::TcpListener>) -> Result<TcpListener, Cause> {
    let listener = listener.ok_or_else(|| Cause::Platform("its listener was taken already".to_owned()))?;
    TcpListener::from_std(listener).map_err(|error| Cause::Platform(format!("registering its listener: {error}")))
}

/// What an environment of this version will look for among what waits. None where it will not look, or cannot start. Layers
/// that are not unpacked yet are taken to bring no extensions.
pub(crate) fn foreseen(machine: &Machine, spec: &VersionSpec) -> Option<Ahead> {
    let runtime = machine.catalogue.find(&spec.runtime, spec.runtime_version.as_ref()).ok()?;
    let found = programs::find(&machine.packages, &spec.layers);
    let takes = takes_what_waits(spec, &found, &Tmp::New { mb: spec.ephemeral_mb });
    takes.then(|| hearth_runtimes::foreseen(runtime, spec)).flatten()
}

/// Whether something that was started ahead can become the process of such a start, so that it cannot tell.
fn takes_what_waits(spec: &VersionSpec, extensions: &programs::Found, tmp: &Tmp) -> bool {
    // It goes on from a process of its own.
    let restores = spec.initialization == Initialization::SnapStart;
    // They come first: a runtime that runs already is none for this function.
    let alone = extensions.names.is_empty();
    // What waits has the usual /tmp, with nothing in it.
    !restores && alone && matches!(tmp, Tmp::New { mb: EPHEMERAL_MIN_MB })
}

/// None where it has ended meanwhile.
async fn employ(
    environment: &Environment,
    machine: &Machine,
    (kind, ready): (Ahead, Ready),
    start: &Launch,
) -> Result<Option<(Found, Sandbox, Arc<pipe::Receiver>)>, Cause> {
    let Ready { waiting, output } = ready;
    environment.journal.attach(Kind::Function, Arc::clone(&output));
    let assignment = assignment(environment);
    let (found, employed) = match kind {
        Ahead::Program { .. } => (Found::Runtime, machine.spawner.employ(waiting, assignment, &start.env).await),
        Ahead::Process { .. } => {
            let Launch { argv, otherwise, env, cwd, .. } = start.clone();
            let command = Command { argv, otherwise, env, cwd };
            (Found::Process, machine.spawner.employ_held(waiting, assignment, command).await)
        }
    };
    machine.waiting.settled(employed.is_ok());
    match employed {
        Ok(sandbox) => Ok(Some((found, sandbox, output))),
        Err(error @ SandboxError::NotExecutable { .. }) => Err(not_executable(error)),
        Err(error) => {
            tracing::warn!(environment = %environment.id, %error, "a runtime that waited is not taken");
            Ok(None)
        }
    }
}

async fn start_anew(
    environment: &Environment,
    machine: &Machine,
    start: Launch,
    tmp: Tmp,
    extensions: Option<Extensions>,
) -> Result<(Sandbox, Arc<pipe::Receiver>, Option<Arc<pipe::Receiver>>), Cause> {
    let (reader, writer) = output_pipe().map_err(no_pipe)?;
    let reader = Arc::new(reader);
    let made = machine.spawner.make(tmp).await.map_err(platform)?;
    let started = machine.spawner.start(made, start.root).await.map_err(platform)?;
    environment.journal.attach(Kind::Function, Arc::clone(&reader));
    let Launch { argv, otherwise, env, cwd, .. } = start;
    let program = Program { argv, otherwise, env, cwd, output: writer };
    let assignment = assignment(environment);
    let Some(Extensions { names, env }) = extensions else {
        let assigned = machine.spawner.assign(started, assignment, program).await;
        return assigned.map(|sandbox| (sandbox, reader, None)).map_err(not_executable);
    };
    let (theirs, output) = output_pipe().map_err(no_pipe)?;
    let theirs = Arc::new(theirs);
    environment.journal.attach(Kind::Extension, Arc::clone(&theirs));
    let programs = names.iter().map(|name| programs::path(name)).collect::<Result<_, _>>().map_err(invalid)?;
    let beside = Beside { programs, env, cwd: c"/var/task".to_owned(), output };
    let assigned = machine.spawner.assign_beside(started, assignment, program, beside).await;
    assigned.map(|sandbox| (sandbox, reader, Some(theirs))).map_err(not_executable)
}

fn no_pipe(error: io::Error) -> Cause {
    Cause::Platform(format!("a pipe for its output: {error}"))
}

fn invalid(error: impl std::fmt::Display) -> Cause {
    let error_type = "Runtime.InvalidEntrypoint".to_owned();
    Cause::Known(hearth_types::invoke::FunctionFailure { error_type, message: error.to_string() })
}

fn assignment(environment: &Environment) -> Assignment {
    let spec = &environment.spec;
    Assignment { code: spec.code, layers: spec.layers.clone(), memory_mb: spec.memory_mb }
}

pub(crate) fn platform(error: SandboxError) -> Cause {
    Cause::Platform(error.to_string())
}

/// The last step fails for the function's sake where its program cannot be executed.
pub(crate) fn not_executable(error: SandboxError) -> Cause {
    match error {
        SandboxError::NotExecutable { program, missing, source } => {
            let text = source.to_string();
            let error = text.split(" (os error").next().unwrap_or_default().to_owned();
            if let Some(name) = programs::name(&program) {
                let denied = source.kind() == io::ErrorKind::PermissionDenied;
                return Cause::ExtensionLaunch { name: name.to_owned(), error, denied };
            }
            Cause::NotExecutable { program, error, missing }
        }
        other => platform(other),
    }
}
