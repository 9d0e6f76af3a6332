//! What the platform says in a function's log: lines of text, or JSON records with levels (the forms are those of
//! Lambda's Telemetry API).

use std::time::Duration;

use bytes::Bytes;
use hearth_runtimes::Runtime;
use hearth_types::RequestId;
use hearth_types::function::{LogFormat, LogLevel};
use hearth_types::invoke::{Initialization, VersionSpec};
use hearth_types::runtime::RuntimeVersion;
use serde::Serialize;

use crate::extensions::Extension;
use crate::span::TraceContext;
use crate::telemetry::{self, Api, Kind};
use crate::text::{self, AnswerTimes, Failed, InitPhase, Report};

/// Something that happened in an environment's life.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Record<'a> {
    /// A process is being made.
    InitStart { phase: InitPhase, runtime: StartedRuntime<'a>, stream: &'a str },
    /// The runtime waits for invokes, or never will.
    InitRuntimeDone { phase: InitPhase, failed: Option<Failed<'a>> },
    /// The same with its figures.
    InitReport { phase: InitPhase, took: Duration, failed: Option<Failed<'a>> },
    /// An invoke begins.
    Start { request_id: RequestId, tracing: Option<TraceContext<'a>> },
    /// The runtime is through with an invoke: in JSON.
    RuntimeDone(&'a Report<'a>),
    /// The invoke is over: in text.
    End { request_id: RequestId },
    /// The invoke's figures.
    Report(&'a Report<'a>),
    /// Where an extension stands.
    Extension(&'a Extension),
    /// An extension is told from now on.
    Subscription { api: Api, name: &'a str, kinds: &'a [Kind] },
}

/// What a process is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StartedRuntime<'a> {
    /// The interpreter's own version: `3.12.1`.
    pub(crate) interpreter: &'a str,
    /// The runtime's.
    pub(crate) version: &'a RuntimeVersion,
}

impl<'a> From<&'a Runtime> for StartedRuntime<'a> {
    fn from(runtime: &'a Runtime) -> Self {
        Self { interpreter: &runtime.version, version: &runtime.id }
    }
}

impl Record<'_> {
    /// The log line, with its newline; none where the format has no such record or the function wants none of its level.
    /// `wall_ms` is milliseconds since 1970.
    pub(crate) fn line(self, spec: &VersionSpec, wall_ms: i64) -> Option<String> {
        match spec.log_format {
            LogFormat::Text => self.text(spec),
            LogFormat::Json { system, .. } if self.level() < system => None,
            LogFormat::Json { .. } => self.json(spec, wall_ms),
        }
    }

    /// For subscribers.
    pub(crate) fn event(self, spec: &VersionSpec, wall_ms: i64) -> telemetry::Event {
        let line = match self {
            Self::Subscription { api: Api::Logs, .. } => None,
            record => record.json(spec, wall_ms).map(Bytes::from),
        };
        let event = line.map(|line| line.slice(..line.len().saturating_sub(1)));
        telemetry::Event::Platform { telemetry: event, logs: self.logs(wall_ms) }
    }

    fn text(self, spec: &VersionSpec) -> Option<String> {
        let mut line = String::with_capacity(224);
        match self {
            Self::InitStart { runtime, .. } if spec.initialization == Initialization::SnapStart => {
                line = text::restore_start(&spec.runtime, runtime, &spec.region);
            }
            Self::InitReport { took, failed, .. } if spec.initialization == Initialization::SnapStart => {
                line = text::restore_report(took, failed);
            }
            Self::InitStart { runtime, .. } => line = text::init_start(&spec.runtime, runtime, &spec.region),
            Self::InitRuntimeDone { .. } => return None,
            // Of what was provisioned it is told in any case.
            Self::InitReport { failed: None, .. } if spec.initialization == Initialization::OnDemand => return None,
            Self::InitReport { phase, took, failed } => line = text::init_report(took, phase, failed),
            Self::Start { request_id, .. } => text::start(&mut line, request_id, &spec.version),
            Self::RuntimeDone(_) => return None,
            Self::End { request_id } => text::end(&mut line, request_id),
            Self::Report(report) => text::report(&mut line, report),
            Self::Extension(extension) => {
                let (state, events) = (extension.state.name(), extension.events.names());
                line = text::extension(&extension.name, state, &events, extension.error.as_deref());
            }
            Self::Subscription { api, name, kinds } => line = text::subscription(api, name, kinds),
        }
        Some(line)
    }

    fn level(self) -> LogLevel {
        let of = |good, failed: bool| if failed { LogLevel::Warn } else { good };
        match self {
            Self::InitStart { .. } | Self::Start { .. } | Self::End { .. } | Self::Subscription { .. } => {
                LogLevel::Info
            }
            Self::Extension(extension) => of(LogLevel::Info, extension.error.is_some()),
            Self::InitRuntimeDone { failed, .. } | Self::InitReport { failed, .. } => {
                of(LogLevel::Debug, failed.is_some())
            }
            Self::RuntimeDone(report) => of(LogLevel::Debug, report.went_wrong().is_some()),
            Self::Report(report) => of(LogLevel::Info, report.went_wrong().is_some()),
        }
    }

    fn json(self, spec: &VersionSpec, wall_ms: i64) -> Option<String> {
        let (kind, body) = match self {
            Self::InitStart { phase, runtime, stream } => {
                let runtime_version = text::runtime_version(&spec.runtime, runtime.interpreter);
                let runtime_version_arn = runtime.version.arn(&spec.region);
                let function = Some(InitFunction {
                    function_name: &spec.function,
                    function_version: &spec.version,
                    runtime_version,
                    runtime_version_arn,
                    instance_id: text::instance_id(stream),
                    instance_max_memory: spec.memory_mb,
                });
                (
                    of_init(spec, "platform.restoreStart", "platform.initStart"),
                    Body { function, ..Body::init(spec, phase) },
                )
            }
            Self::InitRuntimeDone { phase, failed } => {
                let kind = of_init(spec, "platform.restoreRuntimeDone", "platform.initRuntimeDone");
                (kind, Body { status: Some(Status::of(failed)), ..Body::init(spec, phase) })
            }
            Self::InitReport { phase, took, failed } => {
                let metrics = Some(Metrics { duration_ms: millis(took), ..Metrics::default() });
                let kind = of_init(spec, "platform.restoreReport", "platform.initReport");
                (kind, Body { status: Some(Status::of(failed)), metrics, ..Body::init(spec, phase) })
            }
            Self::Start { request_id, tracing } => {
                let (request_id, version) = (Some(request_id), Some(&*spec.version));
                let (tracing, tenant_id) = (tracing.map(Tracing::of), spec.tenant.as_deref());
                let body = Body { request_id, version, tracing, tenant_id, ..Body::default() };
                ("platform.start", body)
            }
            Self::RuntimeDone(report) => {
                let produced_bytes = report.produced_bytes;
                let metrics = Metrics { duration_ms: millis(report.duration), produced_bytes, ..Metrics::default() };
                let spans = report.answered.map_or_else(Vec::new, |answered| spans(report, answered, wall_ms).into());
                ("platform.runtimeDone", Body { metrics: Some(metrics), spans, ..Body::invoke(spec, report) })
            }
            Self::End { .. } => return None,
            Self::Extension(extension) => {
                ("platform.extension", Body { extension: Some(ExtensionBody::new(extension)), ..Body::default() })
            }
            Self::Report(report) => {
                let overhead = |beyond| span("extensionOverhead", wall_ms, beyond, beyond);
                let spans = report.beyond.map(overhead).into_iter().collect();
                ("platform.report", Body { metrics: Some(Metrics::of(report)), spans, ..Body::invoke(spec, report) })
            }
            Self::Subscription { api, name, kinds } => {
                let subscription = Some(SubscriptionBody::new(name, kinds));
                (api.subscription(), Body { subscription, ..Body::default() })
            }
        };
        let event = Event { time: text::rfc3339(wall_ms), kind, record: body };
        // These members are all plain; there is nothing in them that could not be written.
        let mut line = serde_json::to_string(&event).unwrap_or_default();
        line.push('\n');
        Some(line)
    }
}

/// The name of a record of the restore, where there is one in the place of an init.
fn of_init(spec: &VersionSpec, restore: &'static str, init: &'static str) -> &'static str {
    if spec.initialization == Initialization::SnapStart { restore } else { init }
}

/// From the delivery to the answer's first bytes, from there to its last, and from there to the end.
fn spans(report: &Report<'_>, answered: AnswerTimes, end_ms: i64) -> [Span; 3] {
    let AnswerTimes { began, ended } = answered;
    let overhead = report.duration.saturating_sub(ended);
    let from_began = report.duration.saturating_sub(began);
    let response = ended.saturating_sub(began);
    [
        span("responseLatency", end_ms, report.duration, began),
        span("responseDuration", end_ms, from_began, response),
        span("runtimeOverhead", end_ms, overhead, overhead),
    ]
}

/// A span that began so long before the end.
fn span(name: &'static str, end_ms: i64, before_end: Duration, duration: Duration) -> Span {
    let before_end = i64::try_from(before_end.as_millis()).unwrap_or(i64::MAX);
    Span { name, start: text::rfc3339(end_ms.saturating_sub(before_end)), duration_ms: millis(duration) }
}

/// Milliseconds, to a hundredth.
fn millis(duration: Duration) -> f64 {
    let hundredths = (duration.as_nanos() + 5_000) / 10_000;
    hundredths as f64 / 100.0
}

#[derive(Serialize)]
struct Event<'a> {
    time: String,
    #[serde(rename = "type")]
    kind: &'static str,
    record: Body<'a>,
}

/// All members that records have, in one order; each record leaves most of them out.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<RequestId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    initialization_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<&'static str>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    function: Option<InitFunction<'a>>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    extension: Option<ExtensionBody<'a>>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    status: Option<Status<'a>>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    subscription: Option<SubscriptionBody<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    spans: Vec<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<Metrics>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tracing: Option<Tracing<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_id: Option<&'a str>,
}

/// Where a traced invoke hangs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tracing<'a> {
    span_id: String,
    r#type: &'static str,
    value: &'a str,
}

impl<'a> Tracing<'a> {
    fn of(TraceContext { traced, header }: TraceContext<'a>) -> Self {
        Self { span_id: format!("{:016x}", traced.function), r#type: "X-Amzn-Trace-Id", value: header }
    }
}

impl<'a> Body<'a> {
    fn init(spec: &VersionSpec, phase: InitPhase) -> Self {
        if spec.initialization == Initialization::SnapStart {
            return Self::default();
        }
        let initialization_type = Some(spec.initialization.name());
        Self { initialization_type, phase: Some(phase.name()), ..Self::default() }
    }

    fn invoke(spec: &'a VersionSpec, report: &Report<'a>) -> Self {
        let status = Some(Status::of(report.went_wrong()));
        let tracing = report.tracing.map(Tracing::of);
        let tenant_id = spec.tenant.as_deref();
        Self { request_id: Some(report.request_id), status, tracing, tenant_id, ..Self::default() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InitFunction<'a> {
    runtime_version: String,
    runtime_version_arn: String,
    function_name: &'a str,
    function_version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_id: Option<String>,
    /// MB.
    instance_max_memory: u32,
}

/// Where an extension stands.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExtensionBody<'a> {
    name: &'a str,
    state: &'static str,
    events: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_type: Option<&'a str>,
}

impl<'a> ExtensionBody<'a> {
    pub(crate) fn new(extension: &'a Extension) -> Self {
        Self {
            name: &extension.name,
            state: extension.state.name(),
            events: extension.events.names(),
            error_type: extension.error.as_deref(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_type: Option<&'a str>,
}

impl<'a> Status<'a> {
    fn of(failed: Option<Failed<'a>>) -> Self {
        match failed {
            None => Self { status: "success", error_type: None },
            Some(Failed::Timeout) => Self { status: "timeout", error_type: None },
            Some(Failed::Error(kind)) => Self { status: "error", error_type: Some(kind) },
        }
    }
}

/// Who is told of what from now on.
#[derive(Serialize)]
pub(crate) struct SubscriptionBody<'a> {
    name: &'a str,
    state: &'static str,
    types: Vec<&'static str>,
}

impl<'a> SubscriptionBody<'a> {
    pub(crate) fn new(name: &'a str, kinds: &[Kind]) -> Self {
        Self { name, state: "Subscribed", types: kinds.iter().map(|kind| kind.name()).collect() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Span {
    name: &'static str,
    start: String,
    duration_ms: f64,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metrics {
    duration_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    billed_duration_ms: Option<u64>,
    #[serde(rename = "memorySizeMB", skip_serializing_if = "Option::is_none")]
    memory_size_mb: Option<u32>,
    #[serde(rename = "maxMemoryUsedMB", skip_serializing_if = "Option::is_none")]
    max_memory_used_mb: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    init_duration_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    restore_duration_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    billed_restore_duration_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    produced_bytes: Option<u64>,
}

impl Metrics {
    /// Those of a whole invoke.
    pub(crate) fn of(report: &Report<'_>) -> Self {
        Self {
            duration_ms: millis(report.duration),
            billed_duration_ms: u64::try_from(report.billed_ms()).ok(),
            memory_size_mb: Some(report.memory_mb),
            max_memory_used_mb: Some(report.memory_used_mb()),
            init_duration_ms: report.init.map(millis),
            restore_duration_ms: report.restore.map(|restore| millis(restore.took)),
            billed_restore_duration_ms: report.restore.and_then(|restore| u64::try_from(restore.billed_ms()).ok()),
            produced_bytes: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{report, spec};

    const AT: i64 = 1_709_640_000_120;
    const STREAM: &str = "2024/03/05/[7]8df1b72d46fe47c8a45faca967c0c8cc";

    fn json(record: Record<'_>, system: LogLevel) -> Option<String> {
        let mut spec = spec();
        spec.log_format = LogFormat::Json { application: LogLevel::Info, system };
        record.line(&spec, AT)
    }

    fn wanted(record: Record<'_>) -> [bool; 3] {
        [LogLevel::Debug, LogLevel::Info, LogLevel::Warn].map(|system| json(record, system).is_some())
    }

    #[test]
    fn records_have_the_documented_members() {
        let id = report().request_id;
        let of = |record| json(record, LogLevel::Debug).unwrap();
        let version = RuntimeVersion::nominal("python3.12", "x86_64");
        let runtime = StartedRuntime { interpreter: "3.12.1", version: &version };
        assert_eq!(
            of(Record::InitStart { phase: InitPhase::Init, runtime, stream: STREAM }),
            "{\"time\":\"2024-03-05T12:00:00.120Z\",\"type\":\"platform.initStart\",\"record\":{\"initializationType\":\
             \"on-demand\",\"phase\":\"init\",\"runtimeVersion\":\"python:3.12.v1\",\"runtimeVersionArn\":\
             \"RUNTIME\",\"functionName\":\"f\",\"functionVersion\":\"7\",\"instanceId\":\
             \"8df1b72d-46fe-47c8-a45f-aca967c0c8cc\",\"instanceMaxMemory\":128}}\n"
                .replace("RUNTIME", &version.arn("us-east-1"))
        );
        assert_eq!(
            of(Record::Start { request_id: id, tracing: None }),
            format!(
                "{{\"time\":\"2024-03-05T12:00:00.120Z\",\"type\":\"platform.start\",\"record\":{{\"requestId\":\"{id}\",\
                 \"version\":\"7\"}}}}\n"
            )
        );
        let cold = Report { init: Some(Duration::from_micros(110_100)), ..report() };
        assert_eq!(
            of(Record::Report(&cold)),
            format!(
                "{{\"time\":\"2024-03-05T12:00:00.120Z\",\"type\":\"platform.report\",\"record\":{{\"requestId\":\"{id}\",\
                 \"status\":\"success\",\"metrics\":{{\"durationMs\":3.01,\"billedDurationMs\":114,\"memorySizeMB\":128,\
                 \"maxMemoryUsedMB\":36,\"initDurationMs\":110.1}}}}}}\n"
            )
        );
        let times = AnswerTimes { began: Duration::from_millis(1), ended: Duration::from_millis(2) };
        let answered = Report { answered: Some(times), produced_bytes: Some(7), ..report() };
        assert_eq!(
            of(Record::RuntimeDone(&answered)),
            format!(
                "{{\"time\":\"2024-03-05T12:00:00.120Z\",\"type\":\"platform.runtimeDone\",\"record\":{{\"requestId\":\
                 \"{id}\",\"status\":\"success\",\"spans\":[{{\"name\":\"responseLatency\",\"start\":\
                 \"2024-03-05T12:00:00.117Z\",\"durationMs\":1.0}},{{\"name\":\"responseDuration\",\"start\":\
                 \"2024-03-05T12:00:00.118Z\",\"durationMs\":1.0}},{{\"name\":\"runtimeOverhead\",\"start\":\
                 \"2024-03-05T12:00:00.119Z\",\"durationMs\":1.01}}],\"metrics\":{{\"durationMs\":3.01,\"producedBytes\":7\
                 }}}}}}\n"
            )
        );
        let failed = Some(Failed::Error("Runtime.ExitError"));
        let init = of(Record::InitReport { phase: InitPhase::Invoke, took: Duration::from_millis(80), failed });
        assert!(
            init.ends_with(
                "\"record\":{\"initializationType\":\"on-demand\",\"phase\":\"invoke\",\"status\":\"error\",\"errorType\":\
                 \"Runtime.ExitError\",\"metrics\":{\"durationMs\":80.0}}}\n"
            ),
            "{init}"
        );
        let beyond = Report { beyond: Some(Duration::from_millis(20)), ..report() };
        assert!(of(Record::Report(&beyond)).contains(
            "\"spans\":[{\"name\":\"extensionOverhead\",\"start\":\"2024-03-05T12:00:00.100Z\",\"durationMs\":20.0}]"
        ));
        let late = Report { failed: Some(Failed::Timeout), ..report() };
        assert!(of(Record::Report(&late)).contains("\"status\":\"timeout\",\"metrics\""));
        let tenant = VersionSpec { tenant: Some("t".into()), ..spec() };
        assert!(Record::Report(&late).json(&tenant, AT).unwrap().ends_with(",\"tenantId\":\"t\"}}\n"));
    }

    #[test]
    fn levels_are_those_of_lambda() {
        let (good, late) = (report(), Report { failed: Some(Failed::Timeout), ..report() });
        let of_function = Report { reported: Some("Function.Unknown"), ..report() };
        let init = |failed| Record::InitRuntimeDone { phase: InitPhase::Init, failed };
        let (always, from_info, only_debug) = ([true; 3], [true, true, false], [true, false, false]);
        let version = RuntimeVersion::nominal("", "");
        let runtime = StartedRuntime { interpreter: "", version: &version };
        assert_eq!(wanted(Record::InitStart { phase: InitPhase::Init, runtime, stream: "" }), from_info);
        assert_eq!(wanted(Record::Start { request_id: good.request_id, tracing: None }), from_info);
        assert_eq!((wanted(init(None)), wanted(init(Some(Failed::Timeout)))), (only_debug, always));
        assert_eq!((wanted(Record::RuntimeDone(&good)), wanted(Record::RuntimeDone(&late))), (only_debug, always));
        assert_eq!((wanted(Record::Report(&good)), wanted(Record::Report(&late))), (from_info, always));
        assert_eq!(wanted(Record::Report(&of_function)), always);
    }

    #[test]
    fn in_text_an_init_is_told_of_where_it_fails() {
        let of = |failed| {
            Record::InitReport { phase: InitPhase::Init, took: Duration::ZERO, failed }.line(&spec(), AT).is_some()
        };
        assert_eq!((of(None), of(Some(Failed::Timeout))), (false, true));
        assert!(Record::InitRuntimeDone { phase: InitPhase::Init, failed: None }.line(&spec(), AT).is_none());
    }
}
