//! What becomes of an invoke whose processes ended, never came up, or ran out of time.

use std::time::{Duration, Instant};

use bytes::Bytes;
use hearth_types::RequestId;
use hearth_types::function::LogFormat;
use hearth_types::invoke::{FunctionFailure, Initialization};
use uuid::Uuid;

use crate::api::WorkerError;
use crate::clock::Moment;
use crate::environment::{Aftermath, Environment, InitError, Inner};
use crate::error_cause::ErrorCause;
use crate::extensions::{Reported, State};
use crate::lifecycle::{Failure, Init};
use crate::records::Record;
use crate::text::{self, Failed, InitPhase, ProcessEnd};

/// Why the processes are done for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Cause {
    /// The runtime's process ended.
    Exit(ProcessEnd),
    /// The time limit.
    Timeout,
    /// The runtime said that it cannot load the function (`init_error` of the environment).
    InitError,
    /// An extension said that it cannot work or go on.
    ExtensionReport(Reported),
    /// The process of the extension with this number ended.
    ExtensionExit(usize, ProcessEnd),
    /// The program of an extension cannot be executed: its name, the system's text, whether it is that it may not be.
    ExtensionLaunch { name: String, error: String, denied: bool },
    /// The program cannot be executed: its path, the system's text, whether it is that it does not exist.
    NotExecutable { program: String, error: String, missing: bool },
    /// This very failure.
    Known(FunctionFailure),
    /// No sandbox.
    Platform(String),
    /// The environment ends with its invoke.
    Killed,
    /// The environment ends without one.
    Stopped,
}

impl Cause {
    /// Whether the fault is an extension's.
    fn is_of_extension(&self) -> bool {
        matches!(self, Self::ExtensionReport(_) | Self::ExtensionExit(..) | Self::ExtensionLaunch { .. })
    }

    /// What that means for the extension that is at fault.
    fn note(&self, inner: &mut Inner) {
        match self {
            Self::ExtensionExit(number, _) => {
                inner.extensions.registry.ended(*number, State::Exited, "Extension.Crash");
            }
            Self::ExtensionLaunch { name, denied, .. } => {
                let all = &mut inner.extensions.registry;
                if let Some(number) = all.all().iter().position(|one| *one.name == **name) {
                    // The words are Lambda's.
                    all.ended(number, State::LaunchError, if *denied { "PermissionDenied" } else { "UnknownError" });
                }
            }
            _ => {}
        }
    }
}

impl Inner {
    /// What the trace of the invoke tells of its init, which failed for the second time.
    fn init_has_failed(&mut self, now: Instant, cause: Option<ErrorCause>) {
        self.init_is_over(now);
        (self.inited, self.init_failed) = (Some(Init::Repeated), true);
        if let Some(current) = &mut self.current {
            current.cause = cause;
        }
    }
}

impl Environment {
    /// Applies a cause under the lock; what is left to say is for afterwards.
    pub(crate) fn fail_in(&self, inner: &mut Inner, now: Moment, cause: &Cause) -> Aftermath {
        if let Some(refusal) = self.refusal(cause) {
            return self.refuse(inner, now, refusal);
        }
        if *cause == Cause::Stopped {
            inner.life.fail(now.at);
            return Aftermath::default();
        }
        cause.note(inner);
        let mut reported = inner.init_error.take();
        let error_cause = reported.as_mut().and_then(|reported| reported.cause.take());
        let failure = inner.life.fail(now.at);
        let request_id = match (&inner.current, failure) {
            (Some(current), _) => current.request_id,
            // Its log speaks of one all the same.
            (None, Failure::Unprepared { .. }) => RequestId(Uuid::new_v4()),
            (None, _) => {
                // Nobody is told of it but by the log.
                if cause.is_of_extension() {
                    self.log_extensions(inner, now);
                }
                return Aftermath { down: self.was_provisioned(inner), ..Aftermath::default() };
            }
        };
        let down = self.was_provisioned(inner);
        let told = self.explain(now, cause, request_id, reported);
        let in_init = matches!(failure, Failure::InitAgain { .. } | Failure::Unprepared { .. } | Failure::Init { .. });
        if in_init || cause.is_of_extension() {
            self.log_extensions(inner, now);
        }
        let aftermath = match failure {
            Failure::InitAgain { took } if self.restores() => {
                self.log_init_failed(now, InitPhase::Init, took, &told);
                return self.refuse(inner, now, not_restored(cause, &told));
            }
            Failure::InitAgain { took } => {
                self.log_init_failed(now, InitPhase::Init, took, &told);
                return Aftermath::default();
            }
            Failure::Unprepared { took } => {
                self.log_init_failed(now, InitPhase::Init, took, &told);
                inner.unprepared = true;
                return Aftermath::default();
            }
            Failure::Init { took, invoke_took } => {
                inner.init_has_failed(now.at, error_cause);
                self.log_init_failed(now, InitPhase::Invoke, took, &told);
                self.log_start(now, inner);
                self.log_fault(now, &told);
                self.log_timeout(now, cause, request_id);
                self.finish(inner, now, self.spent(cause, invoke_took), Some(told.failed()), Some(told.payload.clone()))
            }
            Failure::Invoke { took } => {
                self.journal.write(now.wall_ms, told.crash.iter().flatten().cloned());
                self.log_fault(now, &told);
                self.log_timeout(now, cause, request_id);
                self.finish(inner, now, self.spent(cause, took), Some(told.failed()), Some(told.payload.clone()))
            }
            Failure::AfterAnswer { took } => {
                self.finish(inner, now, self.spent(cause, took), Some(told.failed()), None)
            }
            Failure::Quiet => Aftermath::default(),
        };
        Aftermath { down, ..aftermath }
    }

    /// Whether its processes go on from a snapshot.
    pub(crate) fn restores(&self) -> bool {
        self.spec.initialization == Initialization::SnapStart
    }

    /// Whether what the processes were initialised for is to be had again by a new environment only.
    fn was_provisioned(&self, inner: &Inner) -> bool {
        self.spec.initialization == Initialization::Provisioned && !inner.is_ending()
    }

    fn refusal(&self, cause: &Cause) -> Option<WorkerError> {
        match cause {
            Cause::Platform(text) => Some(WorkerError::Sandbox(text.clone())),
            Cause::Killed => Some(WorkerError::Ended(self.id)),
            _ => None,
        }
    }

    /// The platform cannot go on: nothing of the function's is to blame.
    fn refuse(&self, inner: &mut Inner, now: Moment, refusal: WorkerError) -> Aftermath {
        inner.life.fail(now.at);
        inner.killed = true;
        let Some(mut current) = inner.current.take() else { return Aftermath::default() };
        self.journal.write(now.wall_ms, [format!("RequestId: {} Error: {refusal}\n", current.request_id)]);
        let reply = current.reply.take().map(|reply| (reply, current.outcome.take().ok_or(refusal)));
        Aftermath { answered: reply.is_some(), reply, ..Aftermath::default() }
    }

    fn log_init_failed(&self, now: Moment, phase: InitPhase, took: Duration, told: &Told) {
        let failed = Some(told.failed());
        let records = [Record::InitRuntimeDone { phase, failed }, Record::InitReport { phase, took, failed }];
        self.journal.write(now.wall_ms, told.crash.iter().flatten().cloned());
        self.journal.records(now.wall_ms, &self.spec, records);
    }

    /// To subscribers; the log has lines of text.
    fn log_fault(&self, now: Moment, told: &Told) {
        if let Some(message) = &told.fault {
            self.journal.fault(now.wall_ms, message);
        }
    }

    /// A line of text; in JSON the status of the invoke's own records says it.
    fn log_timeout(&self, now: Moment, cause: &Cause, request_id: RequestId) {
        if *cause == Cause::Timeout && self.spec.log_format == LogFormat::Text {
            let timeout = Duration::from_secs(u64::from(self.spec.timeout_s));
            self.journal.write(now.wall_ms, [text::timed_out_line(&text::rfc3339(now.wall_ms), request_id, timeout)]);
        }
    }

    /// A timeout is reported as the limit itself, however late the clock was looked at.
    fn spent(&self, cause: &Cause, took: Duration) -> Duration {
        if *cause == Cause::Timeout { Duration::from_secs(u64::from(self.spec.timeout_s)) } else { took }
    }

    fn explain(&self, now: Moment, cause: &Cause, request_id: RequestId, reported: Option<InitError>) -> Told {
        if let Some(InitError { payload, error_type: kind, .. }) = reported {
            return Told { payload, kind: Some(kind), crash: None, fault: None };
        }
        let failure = match cause {
            Cause::Timeout => {
                let timeout = Duration::from_secs(u64::from(self.spec.timeout_s));
                let failure = text::timed_out(request_id, timeout);
                let payload = Self::failure_payload(&failure);
                return Told { payload, kind: None, crash: None, fault: Some(failure.message) };
            }
            Cause::Exit(end) => text::exited(request_id, *end),
            Cause::ExtensionReport(reported) => text::extension_reported(request_id, reported),
            Cause::ExtensionExit(_, end) => text::extension_exited(request_id, *end),
            Cause::ExtensionLaunch { name, error, .. } => text::extension_not_launched(request_id, name, error),
            Cause::NotExecutable { missing: true, program, .. } if program == "/var/task/bootstrap" => {
                text::no_bootstrap(request_id)
            }
            // Only its wrapper can it be. On Lambda a shell starts it, says so and ends like this.
            Cause::NotExecutable { program, error, missing } if self.is_managed() => {
                self.journal.append(now.wall_ms, format!("{program}: {error}\n"));
                text::exited(request_id, ProcessEnd::Status(if *missing { 127 } else { 126 }))
            }
            Cause::NotExecutable { program, error, .. } => text::invalid_entrypoint(request_id, program, error),
            Cause::Known(failure) => failure.clone(),
            Cause::InitError | Cause::Platform(_) | Cause::Killed | Cause::Stopped => {
                text::exited(request_id, ProcessEnd::Status(0))
            }
        };
        let payload = Self::failure_payload(&failure);
        let crash = (self.spec.log_format == LogFormat::Text).then(|| text::crash_lines(&failure));
        Told { payload, crash, kind: Some(failure.error_type), fault: Some(failure.message) }
    }
}

/// What cannot go on from its snapshot answers nothing of its own, and is not tried again for this invoke.
fn not_restored(cause: &Cause, told: &Told) -> WorkerError {
    if *cause == Cause::Timeout {
        return WorkerError::RestoreTimedOut;
    }
    let body: serde_json::Value = serde_json::from_slice(&told.payload).unwrap_or_default();
    WorkerError::NotRestored(body["errorMessage"].as_str().unwrap_or_default().to_owned())
}

/// A failure in the words of the answer and of the log.
struct Told {
    payload: Bytes,
    /// None of a timeout.
    kind: Option<String>,
    /// Lines of text ahead of END, where the runtime did not report the failure itself.
    crash: Option<[String; 2]>,
    /// In one line, where the runtime did not report it itself.
    fault: Option<String>,
}

impl Told {
    fn failed(&self) -> Failed<'_> {
        self.kind.as_deref().map_or(Failed::Timeout, Failed::Error)
    }
}
