//! The platform's own lines in a function's log, and the texts of its errors. As recorded on Lambda.

use std::fmt::Write as _;
use std::time::Duration;

use hearth_types::RequestId;
use hearth_types::invoke::FunctionFailure;

use crate::extensions;
use crate::records::StartedRuntime;
use crate::span::TraceContext;
use crate::telemetry::{Api, Kind};

/// How the runtime's process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ProcessEnd {
    /// By itself, with this status.
    Status(i32),
    /// By this signal.
    Signal(i32),
}

/// What one REPORT line says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Report<'a> {
    pub(crate) request_id: RequestId,
    pub(crate) duration: Duration,
    /// Of a cold start.
    pub(crate) init: Option<Duration>,
    /// Of a cold start that went on from a snapshot, and of it what the function's code took.
    pub(crate) restore: Option<Restore>,
    pub(crate) memory_mb: u32,
    pub(crate) memory_used_bytes: u64,
    /// What the platform had to end.
    pub(crate) failed: Option<Failed<'a>>,
    /// The type of an error that the function answered with: it shows in JSON records only.
    pub(crate) reported: Option<&'a str>,
    /// Where there was an answer.
    pub(crate) answered: Option<AnswerTimes>,
    /// Bytes of the answer.
    pub(crate) produced_bytes: Option<u64>,
    /// How much longer than the runtime extensions took.
    pub(crate) beyond: Option<Duration>,
    /// Where it is traced.
    pub(crate) tracing: Option<TraceContext<'a>>,
}

/// How long a process took to go on from its snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Restore {
    pub(crate) took: Duration,
    /// From its first call to its last before an invoke: hooks, above all.
    pub(crate) billed: Duration,
}

impl Restore {
    pub(crate) fn billed_ms(self) -> u128 {
        ceil_ms(self.billed)
    }
}

/// From the delivery to the first bytes of the answer, and to its last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct AnswerTimes {
    pub(crate) began: Duration,
    pub(crate) ended: Duration,
}

impl<'a> Report<'a> {
    /// A failure of whichever kind.
    pub(crate) fn went_wrong(&self) -> Option<Failed<'a>> {
        self.failed.or(self.reported.map(Failed::Error))
    }

    /// Billed are the duration and a cold start's init together, rounded up to the millisecond.
    pub(crate) fn billed_ms(&self) -> u128 {
        let restored = self.restore.map_or(0, Restore::billed_ms);
        ceil_ms(self.duration + self.init.unwrap_or_default()) + restored
    }

    pub(crate) fn memory_used_mb(&self) -> u64 {
        self.memory_used_bytes.div_ceil(1024 * 1024)
    }
}

/// How an invoke or an init failed, as REPORT and INIT_REPORT say it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Failed<'a> {
    /// `Status: timeout`.
    Timeout,
    /// `Status: error` with this `Error Type`.
    Error(&'a str),
}

/// The phase of an INIT_REPORT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum InitPhase {
    /// Before the first invoke.
    Init,
    /// Repeated inside an invoke.
    Invoke,
}

impl<'a> Failed<'a> {
    /// The type of the error; a timeout has one elsewhere.
    pub(crate) fn name(self) -> &'a str {
        match self {
            Self::Timeout => "Sandbox.Timedout",
            Self::Error(kind) => kind,
        }
    }
}

impl InitPhase {
    /// As records name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Invoke => "invoke",
        }
    }
}

/// `python:3.12.v1`: what the interpreter's version adds to the runtime's name stands behind the v.
pub(crate) fn runtime_version(runtime: &str, interpreter: &str) -> String {
    let (name, number) =
        runtime.split_at(runtime.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(runtime.len()));
    let number = number.trim_start_matches('.').trim_end_matches(".x");
    let rest = interpreter.strip_prefix(number).and_then(|rest| rest.strip_prefix('.'));
    let rest = rest.map_or_else(String::new, |rest| format!(".v{rest}"));
    format!("{name}:{number}{rest}")
}

/// A process is made of a runtime.
pub(crate) fn init_start(name: &str, runtime: StartedRuntime<'_>, region: &str) -> String {
    let (version, arn) = (runtime_version(name, runtime.interpreter), runtime.version.arn(region));
    format!("INIT_START Runtime Version: {version}\tRuntime Version ARN: {arn}\n")
}

/// What names an environment in its records: the digits that its log stream ends with, as a UUID.
pub(crate) fn instance_id(stream: &str) -> Option<String> {
    let (_, digits) = stream.rsplit_once(']')?;
    uuid::Uuid::try_parse(digits).ok().map(|id| id.to_string())
}

/// A process goes on from a snapshot.
pub(crate) fn restore_start(name: &str, runtime: StartedRuntime<'_>, region: &str) -> String {
    init_start(name, runtime, region).replacen("INIT_START", "RESTORE_START", 1)
}

/// It has, or has not.
pub(crate) fn restore_report(took: Duration, failed: Option<Failed<'_>>) -> String {
    let status = match failed {
        None => String::new(),
        Some(Failed::Timeout) => "\tStatus: timeout".to_owned(),
        Some(Failed::Error(kind)) => format!("\tStatus: error\tError Type: {kind}"),
    };
    format!("RESTORE_REPORT Restore Duration: {} ms{status}\n", Millis(took))
}

/// Writes a START line.
pub(crate) fn start(to: &mut String, request_id: RequestId, version: &str) {
    let _ = writeln!(to, "START RequestId: {request_id} Version: {version}");
}

/// An extension has subscribed.
pub(crate) fn subscription(api: Api, name: &str, kinds: &[Kind]) -> String {
    let api = if api == Api::Telemetry { "TELEMETRY" } else { "LOGS" };
    let kinds = kinds.iter().map(|kind| match kind {
        Kind::Platform => "Platform",
        Kind::Function => "Function",
        Kind::Extension => "Extension",
    });
    format!("{api}\tName: {name}\tState: Subscribed\tTypes: [{}]\n", kinds.collect::<Vec<_>>().join(", "))
}

/// Writes an END line.
pub(crate) fn end(to: &mut String, request_id: RequestId) {
    let _ = writeln!(to, "END RequestId: {request_id}");
}

/// Writes a REPORT line.
pub(crate) fn report(to: &mut String, report: &Report<'_>) {
    let (billed, used_mb) = (report.billed_ms(), report.memory_used_mb());
    let _ = write!(
        to,
        "REPORT RequestId: {}\tDuration: {} ms\tBilled Duration: {billed} ms\tMemory Size: {} MB\tMax Memory Used: \
         {used_mb} MB\t",
        report.request_id,
        Millis(report.duration),
        report.memory_mb,
    );
    if let Some(init) = report.init {
        let _ = write!(to, "Init Duration: {} ms\t", Millis(init));
    }
    if let Some(restore) = report.restore {
        let (took, billed) = (Millis(restore.took), restore.billed_ms());
        let _ = write!(to, "Restore Duration: {took} ms\tBilled Restore Duration: {billed} ms\t");
    }
    match report.failed {
        None => {}
        Some(Failed::Timeout) => to.push_str("Status: timeout\t"),
        Some(Failed::Error(kind)) => {
            let _ = write!(to, "Status: error\tError Type: {kind}\t");
        }
    }
    if let Some(TraceContext { traced, .. }) = report.tracing {
        let _ = write!(to, "XRAY TraceId: {}\tSegmentId: {:016x}\tSampled: true\t", traced.root(), traced.function);
    }
    to.push('\n');
}

pub(crate) fn init_report(duration: Duration, phase: InitPhase, failed: Option<Failed<'_>>) -> String {
    let phase = phase.name();
    let status = match failed {
        None => "success".to_owned(),
        Some(Failed::Timeout) => "timeout".to_owned(),
        Some(Failed::Error(kind)) => format!("error\tError Type: {kind}"),
    };
    format!("INIT_REPORT Init Duration: {} ms\tPhase: {phase}\tStatus: {status}\n", Millis(duration))
}

/// How refusals of calls out of their order end.
pub(crate) const INVALID_TRANSITION: &str = "Error: State transition is not allowed";

/// Where an extension stands; `error` is the type of what it came to.
pub(crate) fn extension(name: &str, state: &str, events: &[&str], error: Option<&str>) -> String {
    let error = error.map_or_else(String::new, |kind| format!("\tError Type: {kind}"));
    format!("EXTENSION\tName: {name}\tState: {state}\tEvents: [{}]{error}\n", events.join(", "))
}

/// The line before END of an invoke that ran out of time; `at` is RFC 3339.
pub(crate) fn timed_out_line(at: &str, request_id: RequestId, timeout: Duration) -> String {
    format!("{at} {request_id} Task timed out after {} seconds\n", Seconds(timeout))
}

/// The lines before END of an invoke whose runtime's process ended.
pub(crate) fn crash_lines(failure: &FunctionFailure) -> [String; 2] {
    [format!("{}\n", failure.message), format!("{}\n", failure.error_type)]
}

pub(crate) fn timed_out(request_id: RequestId, timeout: Duration) -> FunctionFailure {
    failure("Sandbox.Timedout", request_id, &format!("Task timed out after {} seconds", Seconds(timeout)))
}

/// The runtime's process ended by itself.
pub(crate) fn exited(request_id: RequestId, end: ProcessEnd) -> FunctionFailure {
    let text = match end {
        ProcessEnd::Status(0) => "Runtime exited without providing a reason".to_owned(),
        ProcessEnd::Status(status) => format!("Runtime exited with error: exit status {status}"),
        ProcessEnd::Signal(number) => format!("Runtime exited with error: signal: {}", signal_name(number)),
    };
    failure("Runtime.ExitError", request_id, &text)
}

/// An extension said that it cannot work, or cannot go on: its own words, or at least the type that it gave.
pub(crate) fn extension_reported(request_id: RequestId, reported: &extensions::Reported) -> FunctionFailure {
    let kind = match reported.report {
        extensions::Report::Init => "Extension.InitError",
        extensions::Report::Exit => "Extension.ExitError",
    };
    let said = if reported.message.is_empty() { &reported.error } else { &reported.message };
    failure(kind, request_id, said)
}

/// The process of an extension ended by itself.
pub(crate) fn extension_exited(request_id: RequestId, end: ProcessEnd) -> FunctionFailure {
    let text = match end {
        ProcessEnd::Status(0) => "exit code 0".to_owned(),
        ProcessEnd::Status(status) => format!("exit status {status}"),
        ProcessEnd::Signal(number) => format!("signal: {}", signal_name(number)),
    };
    failure("Extension.Crash", request_id, &text)
}

/// The program of an extension cannot be executed; `error` is the system's text.
pub(crate) fn extension_not_launched(request_id: RequestId, name: &str, error: &str) -> FunctionFailure {
    let text = format!("fork/exec /opt/extensions/{name}: {}", error.to_lowercase());
    failure("Extension.LaunchError", request_id, &text)
}

/// The function's program cannot be executed; `error` is the system's text.
pub(crate) fn invalid_entrypoint(request_id: RequestId, program: &str, error: &str) -> FunctionFailure {
    failure("Runtime.InvalidEntrypoint", request_id, &format!("fork/exec {program}: {}", error.to_lowercase()))
}

/// A `provided.*` function has no program.
pub(crate) fn no_bootstrap(request_id: RequestId) -> FunctionFailure {
    let text = "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]";
    failure("Runtime.InvalidEntrypoint", request_id, text)
}

/// `limit` is in bytes.
pub(crate) fn response_too_large(limit: usize) -> FunctionFailure {
    FunctionFailure {
        error_type: "Function.ResponseSizeTooLarge".to_owned(),
        message: format!("Response payload size exceeded maximum allowed payload size ({limit} bytes)."),
    }
}

pub(crate) fn truncated_response(request_id: RequestId) -> FunctionFailure {
    failure("Runtime.TruncatedResponse", request_id, "The response ended before it was complete")
}

pub(crate) fn invalid_response_mode(request_id: RequestId) -> FunctionFailure {
    failure("Runtime.InvalidResponseModeHeader", request_id, "Invalid function response mode")
}

fn failure(kind: &str, request_id: RequestId, text: &str) -> FunctionFailure {
    FunctionFailure { error_type: kind.to_owned(), message: format!("RequestId: {request_id} Error: {text}") }
}

/// As payload: the members in the order in which Lambda writes them.
pub(crate) fn payload(failure: &FunctionFailure) -> Vec<u8> {
    serde_json::to_vec(failure).unwrap_or_default()
}

fn ceil_ms(duration: Duration) -> u128 {
    duration.as_nanos().div_ceil(1_000_000)
}

/// A time of day with milliseconds; `wall_ms` is milliseconds since 1970.
pub(crate) fn rfc3339(wall_ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(wall_ms).unwrap_or_default();
    format!("{time:.3}")
}

/// Milliseconds with two digits behind the point.
struct Millis(Duration);

impl std::fmt::Display for Millis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hundredths = (self.0.as_nanos() + 5_000) / 10_000;
        write!(f, "{}.{:02}", hundredths / 100, hundredths % 100)
    }
}

/// Seconds with two digits behind the point.
struct Seconds(Duration);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2}", self.0.as_secs_f64())
    }
}

fn signal_name(number: i32) -> String {
    let name = match number {
        1 => "hangup",
        2 => "interrupt",
        3 => "quit",
        4 => "illegal instruction",
        5 => "trace/breakpoint trap",
        6 => "aborted",
        7 => "bus error",
        8 => "floating point exception",
        9 => "killed",
        10 => "user defined signal 1",
        11 => "segmentation fault",
        12 => "user defined signal 2",
        13 => "broken pipe",
        14 => "alarm clock",
        15 => "terminated",
        31 => "bad system call",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use hearth_types::limits::RESPONSE_PAYLOAD_BYTES;

    use super::*;
    use hearth_types::runtime::RuntimeVersion;

    fn id() -> RequestId {
        RequestId(uuid::uuid!("8f507cfc-0000-4000-8000-000000000001"))
    }

    fn report_of(change: impl FnOnce(&mut Report<'_>)) -> String {
        let mut what = crate::test_support::report();
        change(&mut what);
        let mut line = String::new();
        report(&mut line, &what);
        line
    }

    #[test]
    fn report_lines() {
        let warm = "REPORT RequestId: 8f507cfc-0000-4000-8000-000000000001\tDuration: 3.01 ms\tBilled Duration: 4 ms\t\
                    Memory Size: 128 MB\tMax Memory Used: 36 MB\t";
        assert_eq!(report_of(|_| {}), format!("{warm}\n"));
        assert_eq!(report_of(|r| r.reported = Some("Function.Unknown")), format!("{warm}\n"));
        assert_eq!(report_of(|r| r.failed = Some(Failed::Timeout)), format!("{warm}Status: timeout\t\n"));
        assert_eq!(
            report_of(|r| r.failed = Some(Failed::Error("Runtime.ExitError"))),
            format!("{warm}Status: error\tError Type: Runtime.ExitError\t\n")
        );
    }

    #[test]
    fn times_have_milliseconds() {
        assert_eq!(rfc3339(1_709_640_000_120), "2024-03-05T12:00:00.120Z");
        assert_eq!(rfc3339(1_709_640_000_000), "2024-03-05T12:00:00.000Z");
    }

    #[test]
    fn init_is_billed() {
        let line = report_of(|r| {
            r.duration = Duration::from_micros(133_610);
            r.init = Some(Duration::from_millis(80));
        });
        assert!(
            line.contains("\tBilled Duration: 214 ms\t") && line.ends_with("\tInit Duration: 80.00 ms\t\n"),
            "{line}"
        );
    }

    #[test]
    fn init_lines() {
        assert_eq!(
            init_report(Duration::from_micros(10_008_600), InitPhase::Init, Some(Failed::Timeout)),
            "INIT_REPORT Init Duration: 10008.60 ms\tPhase: init\tStatus: timeout\n"
        );
        assert_eq!(
            init_report(Duration::from_micros(1_236_040), InitPhase::Invoke, Some(Failed::Error("Extension.Crash"))),
            "INIT_REPORT Init Duration: 1236.04 ms\tPhase: invoke\tStatus: error\tError Type: Extension.Crash\n"
        );
        let version = RuntimeVersion::nominal("some", "arm64");
        let line = |name, interpreter| init_start(name, StartedRuntime { interpreter, version: &version }, "r");
        assert_eq!(
            line("python3.12", "3.12.1"),
            format!("INIT_START Runtime Version: python:3.12.v1\tRuntime Version ARN: {}\n", version.arn("r"))
        );
        assert!(line("nodejs20.x", "").starts_with("INIT_START Runtime Version: nodejs:20\t"));
        assert!(line("provided.al2023", "").starts_with("INIT_START Runtime Version: provided:al2023\t"));
    }

    #[test]
    fn errors_have_lambdas_texts() {
        let text = |failure: FunctionFailure| String::from_utf8(payload(&failure)).unwrap();
        let said = |error: &str| format!("RequestId: 8f507cfc-0000-4000-8000-000000000001 Error: {error}");
        assert_eq!(
            text(timed_out(id(), Duration::from_secs(3))),
            format!(
                r#"{{"errorType":"Sandbox.Timedout","errorMessage":"{}"}}"#,
                said("Task timed out after 3.00 seconds")
            )
        );
        assert_eq!(exited(id(), ProcessEnd::Status(1)).message, said("Runtime exited with error: exit status 1"));
        assert_eq!(exited(id(), ProcessEnd::Status(0)).message, said("Runtime exited without providing a reason"));
        assert_eq!(exited(id(), ProcessEnd::Signal(9)).message, said("Runtime exited with error: signal: killed"));
        assert_eq!(
            invalid_entrypoint(id(), "/x", "No such file or directory").message,
            said("fork/exec /x: no such file or directory")
        );
        assert_eq!(
            text(response_too_large(RESPONSE_PAYLOAD_BYTES)),
            r#"{"errorType":"Function.ResponseSizeTooLarge","errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes)."}"#
        );
    }
}
