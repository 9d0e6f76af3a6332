//! A function's process that is initialised only to be written down: no invoke ever reaches it.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hearth_runtimes::{API, Kind as RuntimeKind, Launch, RUNTIME_API, Runtime, Session, launch};
use hearth_sandbox::{Assignment, Happening, Process, Program, SandboxError, Snapshot, Template, Tmp};
use hearth_types::function::LogFormat;
use hearth_types::invoke::{Initialization, VersionSpec};
use hearth_types::limits::{
    PROVISIONED_INIT_TIMEOUT, RESPONSE_PAYLOAD_BYTES, RUNTIME_CONNECTIONS, SNAPSHOT_WRITE_TIMEOUT,
};
use http::{Method, Request};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::unix::pipe;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::api::{Identity, LogSink};
use crate::clock::Moment;
use crate::extensions::programs;
use crate::journal::{Journal, output_pipe};
use crate::records::Record;
use crate::runtime_api::{self, Answer};
use crate::supervisor::Machine;
use crate::telemetry::Kind;
use crate::text::{self, Failed, InitPhase};

/// Why a version has no snapshot.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize)]
pub enum NoSnapshot {
    /// Its init failed: how, and what is said of it.
    #[error("{text}")]
    Init {
        /// How.
        failure: InitFailure,
        /// In words.
        text: String,
    },
    /// It can be started, but not written down.
    #[error("{0}")]
    Unsupported(String),
    /// The platform failed.
    #[error("{0}")]
    Platform(String),
}

/// How a version's init has failed that was to be written down.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum InitFailure {
    /// Its program cannot be executed.
    InvalidEntryPoint,
    /// It took too long.
    Timeout,
    /// It said so, or ended.
    Error,
}

impl InitFailure {
    /// The version's StateReasonCode.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::InvalidEntryPoint => "FunctionError.InvalidEntryPoint",
            Self::Timeout => "FunctionError.InitTimeout",
            Self::Error => "FunctionError.RuntimeInitError",
        }
    }
}

/// What a template has said.
enum Said {
    /// It waits to be written down.
    Waits,
    /// It will never: a type, and what it tells.
    Failed { kind: String, body: Bytes },
}

/// The type of our bootstrap's word that what is there cannot be written down.
const UNSUPPORTED: &str = "Runtime.SnapshotUnsupported";

/// Initialises a version and writes it down.
pub(crate) async fn write_down(
    machine: &Machine,
    logs: Arc<dyn LogSink>,
    stream: Arc<str>,
    spec: &VersionSpec,
) -> Result<Snapshot, NoSnapshot> {
    let spec = &VersionSpec { initialization: Initialization::SnapStart, ..spec.clone() };
    let found = machine.catalogue.find(&spec.runtime, spec.runtime_version.as_ref());
    let runtime = found.map_err(|missing| unsupported(missing.failure().message))?;
    if !matches!(runtime.kind, RuntimeKind::Python { .. }) {
        return Err(unsupported("only processes of Python are written down"));
    }
    let Identity { credentials, token, door } =
        machine.identities.identity_of_template(spec).await.map_err(NoSnapshot::Platform)?;
    if !programs::find(&machine.packages, &spec.layers).names.is_empty() {
        return Err(unsupported("extensions of layers cannot be part of a snapshot"));
    }
    let session =
        Session { log_stream: &stream, runtime_api: RUNTIME_API, api: API, credentials: &credentials, token: &token };
    let Launch { root, argv, otherwise, env, cwd } =
        launch(runtime, spec, session).map_err(|e| unsupported(e.to_string()))?;
    let journal = Journal::new(logs, Arc::clone(&spec.log_group), Arc::clone(&stream), spec.log_format);
    let (output, theirs) = output_pipe().map_err(|error| NoSnapshot::Platform(error.to_string()))?;
    let output = Arc::new(output);
    journal.attach(Kind::Function, Arc::clone(&output));
    let log = Log { journal, spec: VersionSpec { initialization: Initialization::OnDemand, ..spec.clone() } };
    log.start(runtime);
    let begin = Instant::now();
    let made = machine.spawner.make(Tmp::New { mb: spec.ephemeral_mb }).await.map_err(platform)?;
    let started = machine.spawner.start(made, root).await.map_err(platform)?;
    let assignment = Assignment { code: spec.code, layers: spec.layers.clone(), memory_mb: spec.memory_mb };
    let program = Program { argv, otherwise, env, cwd, output: theirs };
    let mut template = match machine.spawner.assign_template(started, assignment, program).await {
        Err(SandboxError::NotExecutable { program, source, .. }) => {
            let text = format!("{program}: {source}");
            return Err(NoSnapshot::Init { failure: InitFailure::InvalidEntryPoint, text });
        }
        other => other.map_err(platform)?,
    };
    let listener = registered(template.sandbox().take_listener())?;
    let mut services = JoinSet::new();
    services.spawn(door(registered(template.sandbox().take_api())?));
    if let Some(sockets) = template.sandbox().take_names() {
        services.spawn(Arc::clone(&machine.names).serve(sockets));
    }
    let limit = PROVISIONED_INIT_TIMEOUT.max(Duration::from_secs(u64::from(spec.timeout_s)));
    let mut connections = JoinSet::new();
    let waits = until_it_waits(&mut template, &listener, &output, &mut connections, &log);
    let ready = tokio::time::timeout(limit, waits).await.unwrap_or_else(|_| {
        let text = format!("Init of the function took more than {} seconds", limit.as_secs());
        Err(NoSnapshot::Init { failure: InitFailure::Timeout, text })
    });
    // Its connections must be there until it is written down.
    let written = match ready {
        Ok(()) => match tokio::time::timeout(SNAPSHOT_WRITE_TIMEOUT, template.write()).await {
            Ok(written) => written.map_err(not_written),
            Err(_) => Err(unsupported("a process that asks to be written down and does not wait for it cannot be")),
        },
        Err(why) => Err(why),
    };
    log.end(begin.elapsed(), written.as_ref().err());
    written
}

/// Serves the template until it waits in `restore/next`, or fails.
async fn until_it_waits(
    template: &mut Template,
    listener: &TcpListener,
    output: &pipe::Receiver,
    connections: &mut JoinSet<()>,
    log: &Log,
) -> Result<(), NoSnapshot> {
    let (tell, mut told) = mpsc::channel(1);
    let mut writes = true;
    loop {
        tokio::select! {
            // What it has said counts more than that it has ended.
            biased;
            said = told.recv() => match said {
                Some(Said::Waits) => return Ok(()),
                Some(Said::Failed { kind, body }) => return Err(of_report(&kind, &body)),
                None => {}
            },
            accepted = listener.accept(), if connections.len() < RUNTIME_CONNECTIONS => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(serve(stream, tell.clone()));
                }
            }
            readable = output.readable(), if writes => {
                writes = readable.is_ok()
                    && log.journal.drain(Kind::Function, Moment::now().wall_ms) != crate::journal::Drained::Closed;
            }
            happening = template.sandbox().happening() => match happening {
                Happening::Ended(Process::Runtime, _) | Happening::Gone => {
                    // What it said last may be on its way.
                    drop(tell);
                    return Err(match told.recv().await {
                        Some(Said::Failed { kind, body }) => of_report(&kind, &body),
                        _ => NoSnapshot::Init {
                            failure: InitFailure::Error,
                            text: "Error: Runtime exited without providing a reason".to_owned(),
                        },
                    });
                }
                Happening::Failed(error) => return Err(platform(error)),
                Happening::Ended(..) | Happening::RuntimeRuns => {}
            },
        }
    }
}

/// Serves a connection of a template; what else it asks for it is not given.
async fn serve(stream: TcpStream, tell: mpsc::Sender<Said>) {
    let service = service_fn(|request| handle(request, &tell));
    let mut http = http1::Builder::new();
    let connection = http.auto_date_header(false).half_close(true).header_read_timeout(None);
    if let Err(error) = connection.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a template's connection ended");
    }
}

async fn handle(request: Request<Incoming>, tell: &mpsc::Sender<Said>) -> Result<Answer, Infallible> {
    let (head, body) = request.into_parts();
    Ok(match (head.method, head.uri.path()) {
        (Method::GET, "/2018-06-01/runtime/restore/next") => {
            let _ = tell.send(Said::Waits).await;
            pending().await
        }
        (Method::POST, "/2018-06-01/runtime/init/error") => {
            let kind = runtime_api::error_type(&head.headers);
            let body = Limited::new(body, RESPONSE_PAYLOAD_BYTES).collect().await.map(|body| body.to_bytes());
            let _ = tell.send(Said::Failed { kind, body: body.unwrap_or_default() }).await;
            runtime_api::done()
        }
        (_, path) => runtime_api::not_found(path),
    })
}

fn of_report(kind: &str, body: &[u8]) -> NoSnapshot {
    let told: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let message = told["errorMessage"].as_str().unwrap_or_default();
    if kind == UNSUPPORTED {
        return unsupported(message);
    }
    let kind = told["errorType"].as_str().unwrap_or(kind);
    NoSnapshot::Init { failure: InitFailure::Error, text: format!("{kind}: {message}") }
}

/// The lines of a template's log.
struct Log {
    journal: Journal,
    spec: VersionSpec,
}

impl Log {
    fn start(&self, runtime: &Runtime) {
        let record =
            Record::InitStart { phase: InitPhase::Init, runtime: runtime.into(), stream: self.journal.stream() };
        self.journal.records(Moment::now().wall_ms, &self.spec, [record]);
    }

    fn end(&self, took: Duration, why: Option<&NoSnapshot>) {
        let now = Moment::now().wall_ms;
        let failed = match why {
            Some(NoSnapshot::Init { failure: InitFailure::Timeout, .. }) => Some(Failed::Timeout),
            Some(NoSnapshot::Init { .. }) => Some(Failed::Error("Runtime.InitError")),
            _ => None,
        };
        if self.spec.log_format == LogFormat::Text {
            self.journal.write(now, [text::init_report(took, InitPhase::Init, failed)]);
        } else {
            self.journal.records(now, &self.spec, [Record::InitReport { phase: InitPhase::Init, took, failed }]);
        }
        if let Some(NoSnapshot::Unsupported(text) | NoSnapshot::Platform(text)) = why {
            self.journal.write(now, [format!("No snapshot: {text}. Environments of this version start as usual.\n")]);
        }
    }
}

fn registered(listener: Option<std::net::TcpListener>) -> Result<TcpListener, NoSnapshot> {
    let listener = listener.ok_or_else(|| NoSnapshot::Platform("its listener was taken already".to_owned()))?;
    TcpListener::from_std(listener).map_err(|error| NoSnapshot::Platform(error.to_string()))
}

fn unsupported(text: impl Into<String>) -> NoSnapshot {
    NoSnapshot::Unsupported(text.into())
}

fn platform(error: SandboxError) -> NoSnapshot {
    NoSnapshot::Platform(error.to_string())
}

fn not_written(error: SandboxError) -> NoSnapshot {
    match error {
        SandboxError::Failed { what, source } if source.kind() == std::io::ErrorKind::Unsupported => unsupported(what),
        other => platform(other),
    }
}
