//! The platform's own lines in a function's log, and the texts of its errors. As recorded on Lambda.

use std::fmt::Write as _;
use std::time::Duration;

use hearth_types::RequestId;
use hearth_types::invoke::FunctionFailure;
use hearth_types::limits::RESPONSE_PAYLOAD_BYTES;

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
    pub(crate) memory_mb: u32,
    pub(crate) memory_used_bytes: u64,
    pub(crate) failed: Option<Failed<'a>>,
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

/// `version` is the interpreter's: what it adds to the runtime's name is the runtime version.
pub(crate) fn init_start(runtime: &str, version: &str, region: &str) -> String {
    let (name, number) =
        runtime.split_at(runtime.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(runtime.len()));
    let number = number.trim_start_matches('.').trim_end_matches(".x");
    let rest = version.strip_prefix(number).and_then(|rest| rest.strip_prefix('.'));
    let rest = rest.map_or_else(String::new, |rest| format!(".v{rest}"));
    format!(
        "INIT_START Runtime Version: {name}:{number}{rest}\tRuntime Version ARN: arn:aws:lambda:{region}::runtime:hearth\n"
    )
}

/// Writes a START line.
pub(crate) fn start(to: &mut String, request_id: RequestId, version: &str) {
    let _ = writeln!(to, "START RequestId: {request_id} Version: {version}");
}

/// Writes an END line.
pub(crate) fn end(to: &mut String, request_id: RequestId) {
    let _ = writeln!(to, "END RequestId: {request_id}");
}

/// Writes a REPORT line. Billed are the duration and a cold start's init together, rounded up to the millisecond.
pub(crate) fn report(to: &mut String, report: &Report<'_>) {
    let billed = ceil_ms(report.duration + report.init.unwrap_or_default());
    let used_mb = report.memory_used_bytes.div_ceil(1024 * 1024);
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
    match report.failed {
        None => {}
        Some(Failed::Timeout) => to.push_str("Status: timeout\t"),
        Some(Failed::Error(kind)) => {
            let _ = write!(to, "Status: error\tError Type: {kind}\t");
        }
    }
    to.push('\n');
}

pub(crate) fn init_report(duration: Duration, phase: InitPhase, failed: Failed<'_>) -> String {
    let phase = match phase {
        InitPhase::Init => "init",
        InitPhase::Invoke => "invoke",
    };
    let status = match failed {
        Failed::Timeout => "timeout".to_owned(),
        Failed::Error(kind) => format!("error\tError Type: {kind}"),
    };
    format!("INIT_REPORT Init Duration: {} ms\tPhase: {phase}\tStatus: {status}\n", Millis(duration))
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

/// The function's program cannot be executed; `error` is the system's text.
pub(crate) fn invalid_entrypoint(request_id: RequestId, program: &str, error: &str) -> FunctionFailure {
    failure("Runtime.InvalidEntrypoint", request_id, &format!("fork/exec {program}: {}", error.to_lowercase()))
}

/// A `provided.*` function has no program.
pub(crate) fn no_bootstrap(request_id: RequestId) -> FunctionFailure {
    let text = "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]";
    failure("Runtime.InvalidEntrypoint", request_id, text)
}

pub(crate) fn response_too_large() -> FunctionFailure {
    FunctionFailure {
        error_type: "Function.ResponseSizeTooLarge".to_owned(),
        message: format!(
            "Response payload size exceeded maximum allowed payload size ({RESPONSE_PAYLOAD_BYTES} bytes)."
        ),
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
    use super::*;

    fn id() -> RequestId {
        RequestId(uuid::uuid!("8f507cfc-0000-4000-8000-000000000001"))
    }

    fn report_of(change: impl FnOnce(&mut Report<'_>)) -> String {
        let mut what = Report {
            request_id: id(),
            duration: Duration::from_micros(3_014),
            init: None,
            memory_mb: 128,
            memory_used_bytes: 36 * 1024 * 1024 - 5,
            failed: None,
        };
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
        assert_eq!(report_of(|r| r.failed = Some(Failed::Timeout)), format!("{warm}Status: timeout\t\n"));
        assert_eq!(
            report_of(|r| r.failed = Some(Failed::Error("Runtime.ExitError"))),
            format!("{warm}Status: error\tError Type: Runtime.ExitError\t\n")
        );
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
            init_report(Duration::from_micros(10_008_600), InitPhase::Init, Failed::Timeout),
            "INIT_REPORT Init Duration: 10008.60 ms\tPhase: init\tStatus: timeout\n"
        );
        assert_eq!(
            init_report(Duration::from_micros(1_236_040), InitPhase::Invoke, Failed::Error("Extension.Crash")),
            "INIT_REPORT Init Duration: 1236.04 ms\tPhase: invoke\tStatus: error\tError Type: Extension.Crash\n"
        );
        assert!(init_start("python3.12", "3.12.1", "r").starts_with("INIT_START Runtime Version: python:3.12.v1\t"));
        assert!(init_start("nodejs20.x", "", "r").starts_with("INIT_START Runtime Version: nodejs:20\t"));
        assert!(init_start("provided.al2023", "", "r").starts_with("INIT_START Runtime Version: provided:al2023\t"));
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
            text(response_too_large()),
            r#"{"errorType":"Function.ResponseSizeTooLarge","errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes)."}"#
        );
    }
}
