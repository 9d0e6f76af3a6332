//! What goes in and out of the worker.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hearth_identity::Credentials;
use hearth_metrics::Runs;
use hearth_types::invoke::VersionSpec;
use hearth_types::runtime::RuntimeVersion;
use hearth_types::{EnvironmentId, RequestId};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::answer::Reply;
use crate::span::Traced;

/// One invoke on its way into an environment.
#[derive(Debug)]
pub struct Invocation {
    /// The id that logs and headers show.
    pub request_id: RequestId,
    /// The event, passed on as it is.
    pub payload: Bytes,
    /// The caller's content type; none is `application/json`.
    pub content_type: Option<Arc<str>>,
    /// The function's ARN as it was invoked, with the qualifier where one was given.
    pub invoked_arn: Arc<str>,
    /// The client context, decoded: one line of JSON text.
    pub client_context: Option<Arc<str>>,
    /// `{"cognitoIdentityId":...,"cognitoIdentityPoolId":...}`, where the caller has one.
    pub cognito_identity: Option<Arc<str>>,
    /// `Root=...;Parent=...;Sampled=...`.
    pub trace_id: Arc<str>,
    /// Where it is traced: what its spans hang together by.
    pub traced: Option<Traced>,
    /// When it was asked for.
    pub arrived: Instant,
    /// Whether the outcome carries the end of the log. The answer then waits until the invoke has ended altogether.
    pub tail: bool,
    /// What counts it when it is over.
    pub metrics: Option<Arc<dyn Runs>>,
    /// Where the outcome goes.
    pub reply: Reply,
}

/// That environments of a version were in use lately and are not there, and are likely to be asked for again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Recall {
    /// The version as it is now.
    pub spec: Arc<VersionSpec>,
    /// How many are likely to be asked for at once; from 1.
    pub count: u32,
    /// When so many were in use at once, in milliseconds since 1970: those of versions that have the same were in use together.
    pub look_ms: i64,
}

impl Recall {
    /// What decides which runtime it looks for, but for what its variables may: those of versions with the same can wait for
    /// each other.
    #[must_use]
    pub fn looks_for(&self) -> (&str, Option<&RuntimeVersion>, Option<u32>) {
        let VersionSpec { runtime, runtime_version, memory_mb, .. } = &*self.spec;
        // A Node.js is started with the size of its heap.
        let memory_mb = Some(*memory_mb).filter(|_| runtime.starts_with("nodejs"));
        (runtime, runtime_version.as_ref(), memory_mb)
    }
}

/// What became of an invoke that reached the function.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// The function's answer or the error object.
    pub payload: Bytes,
    /// Whether the payload is an error (`X-Amz-Function-Error: Unhandled`).
    pub function_error: bool,
    /// The last 4,096 bytes of this invoke's log, where they were asked for.
    pub log_tail: Option<Bytes>,
    /// From when it was asked for until an environment was found, or was to be made.
    pub queued: Duration,
    /// What the cold start was made of; none on a warm one.
    pub phases: Option<InitPhases>,
    /// From the delivery to the runtime until the answer; with a repeated init, that too.
    pub duration: Duration,
}

/// What was there already when a function's environment was wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Found {
    /// A sandbox at the most.
    #[default]
    Nothing,
    /// A process in the runtime's root, limited and confined, without a program.
    Process,
    /// A runtime that waited.
    Runtime,
    /// An interpreter that was written down.
    Snapshot,
}

impl Found {
    /// For logs and views: `nothing`, `process`, `runtime`, `snapshot`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Process => "process",
            Self::Runtime => "runtime",
            Self::Snapshot => "snapshot",
        }
    }
}

/// The parts of a cold start, in their order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct InitPhases {
    /// What of them was over before.
    pub found: Found,
    /// The sandbox made, the runtime's root composed, limits and code assigned.
    pub sandbox: Duration,
    /// From there until all extensions with processes of their own have registered; none without such.
    pub extensions: Duration,
    /// From the start of the runtime's process until it first connected to the Runtime API. Clients that connect only
    /// when the function is loaded show their function init here.
    pub runtime: Duration,
    /// From there until the runtime asked for its first invoke.
    pub function: Duration,
}

impl InitPhases {
    /// In the order of [`hearth_metrics::PHASES`].
    #[must_use]
    pub fn in_order(&self) -> [Duration; 4] {
        [self.sandbox, self.extensions, self.runtime, self.function]
    }

    /// The server's line of a cold start.
    pub(crate) fn log(&self, environment: EnvironmentId, function: &str) {
        let ms = |part: Duration| part.as_micros() as f64 / 1e3;
        let Self { found, sandbox, extensions, runtime, .. } = self;
        let (sandbox_ms, extensions_ms, runtime_ms) = (ms(*sandbox), ms(*extensions), ms(*runtime));
        let (found, function_ms) = (found.name(), ms(self.function));
        tracing::info!(%environment, function, found, sandbox_ms, extensions_ms, runtime_ms, function_ms, "cold start");
    }
}

/// Why there is no outcome: the platform failed, not the function.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize)]
pub enum WorkerError {
    /// The machine could not make the sandbox.
    #[error("no sandbox could be made for the environment: {0}")]
    Sandbox(String),
    /// The process did not go on from its snapshot: an after-restore hook failed, or it ended.
    #[error("the function could not be restored from its snapshot: {0}")]
    NotRestored(String),
    /// It took longer than [`hearth_types::limits::RESTORE_TIMEOUT`] to go on.
    #[error("restoring the function from its snapshot took too long")]
    RestoreTimedOut,
    /// The environment ended (stop, drain) before the invoke was over.
    #[error("environment {0} has ended")]
    Ended(EnvironmentId),
}

/// What the dispatcher hears.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum EnvironmentEvent {
    /// The invoke's outcome is about to be sent; the environment is not free yet, but will be in a moment.
    Answered(EnvironmentId),
    /// Free: it may be given an invoke. Comes after each invoke, also after one that timed out or crashed: the processes
    /// are then made anew inside the next invoke, over the same `/tmp`.
    Idle(EnvironmentId),
    /// Made without an invoke: its init is over, had these parts, and it waits for its first invoke.
    Prepared(EnvironmentId, InitPhases),
    /// What it was initialised for ahead of invokes is lost: a crash or a timeout ended its processes. It takes invokes,
    /// but would be initialised inside the next one. Heard before it is said to be idle.
    Down(EnvironmentId),
    /// It is no more. An invoke it had has been replied to.
    Gone(EnvironmentId, GoneReason),
}

/// Why an environment is no more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum GoneReason {
    /// [`crate::Worker::stop`], [`crate::Worker::end_all`] or [`crate::Worker::drain`].
    Stopped,
    /// Its init ahead of any invoke failed: the function's fault. Its log says why.
    InitFailed,
    /// No sandbox could be made.
    Failed,
}

/// Who hears of environments. Called on the path of an invoke, never while the worker holds a lock; must not block.
pub trait EnvironmentSink: Send + Sync {
    /// Something happened.
    fn event(&self, event: EnvironmentEvent);
}

impl<F: Fn(EnvironmentEvent) + Send + Sync> EnvironmentSink for F {
    fn event(&self, event: EnvironmentEvent) {
        self(event);
    }
}

/// Says as whom functions call the server, and answers them.
pub trait Identities: Send + Sync {
    /// An identity for processes of this version that are about to start. Its code and layers are unpacked then, where the
    /// worker looks for them.
    ///
    /// # Errors
    /// Why there can be none now.
    fn identity<'a>(&'a self, spec: &'a VersionSpec) -> Soon<'a, Result<Identity, String>>;

    /// The same for a process that is written down: what it fetches is said to end soon, so that a client of an SDK
    /// that goes on in an environment fetches what is that environment's own.
    ///
    /// # Errors
    /// See [`Self::identity`].
    fn identity_of_template<'a>(&'a self, spec: &'a VersionSpec) -> Soon<'a, Result<Identity, String>> {
        self.identity(spec)
    }
}

/// As whom the processes of an environment call the server.
pub struct Identity {
    /// What their variables hold.
    pub credentials: Credentials,
    /// What they show to fetch them, where they do not.
    pub token: String,
    /// Answers the calls that they make.
    pub door: Door,
}

/// Serves what connects to the listener, until it is dropped with the processes.
pub type Door = Box<dyn FnOnce(TcpListener) -> Soon<'static, ()> + Send>;

/// What will be known later.
pub type Soon<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where log lines go. Called on the path of an invoke: must not block; what has no room is dropped and counted by the
/// receiver.
pub trait LogSink: Send + Sync {
    /// One event of a log stream: `line` ends with its newline, unless the function's output ended without one.
    /// `timestamp_ms` is milliseconds since 1970.
    fn line(&self, group: &Arc<str>, stream: &Arc<str>, timestamp_ms: i64, line: Bytes);

    /// The same, of a line that [`Self::wake`] or another line follows soon: no thread need be woken for it until then.
    fn line_quietly(&self, group: &Arc<str>, stream: &Arc<str>, timestamp_ms: i64, line: Bytes) {
        self.line(group, stream, timestamp_ms, line);
    }

    /// What came quietly waits no longer.
    fn wake(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::spec;

    #[test]
    fn memory_makes_another_runtime_of_nodes_only() {
        let recall = |runtime: &str, memory_mb| {
            let spec = VersionSpec { runtime: runtime.into(), memory_mb, ..spec() };
            Recall { spec: Arc::new(spec), count: 1, look_ms: 0 }
        };
        let is_same = |one: &str, other: &str| recall(one, 128).looks_for() == recall(other, 256).looks_for();
        assert!(is_same("python3.12", "python3.12"));
        assert!(!is_same("nodejs20.x", "nodejs20.x"));
        assert!(!is_same("python3.12", "python3.13"));
    }
}
