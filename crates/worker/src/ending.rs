//! The end of an invoke: of the runtime's part, then of all.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hearth_metrics::Run;
use hearth_types::invoke::Initialization;

use crate::api::Outcome;
use crate::clock::Moment;
use crate::current::Current;
use crate::environment::{Aftermath, Environment, Inner};
use crate::lifecycle::Init;
use crate::records::Record;
use crate::span::{Anchor, InitSpan, InvokeSpan};
use crate::text::{Failed, Report, Restore};

impl Environment {
    /// The runtime is through with the invoke; extensions are not.
    pub(crate) fn runtime_done(&self, inner: &mut Inner, now: Moment, took: Duration) {
        let Some(mut current) = inner.current.take() else { return };
        current.runtime_done = Some(took);
        let report = self.report(inner, &current, took, None);
        self.journal.records(now.wall_ms, &self.spec, [Record::RuntimeDone(&report)]);
        inner.current = Some(current);
    }

    fn report<'a>(
        &self,
        inner: &Inner,
        current: &'a Current,
        duration: Duration,
        failed: Option<Failed<'a>>,
    ) -> Report<'a> {
        let answered = current.answered.as_ref();
        let restores = self.spec.initialization == Initialization::SnapStart;
        Report {
            request_id: current.request_id,
            duration,
            init: inner.cold.filter(|_| !restores),
            restore: inner.cold.filter(|_| restores).map(|took| Restore { took, billed: inner.phases.function }),
            memory_mb: self.spec.memory_mb,
            memory_used_bytes: inner.memory_peak(),
            failed,
            reported: answered.and_then(|answered| answered.error.as_deref()),
            answered: answered.map(|answered| answered.times),
            produced_bytes: answered.map(|answered| answered.produced_bytes),
            beyond: current.runtime_done.map(|took| duration.saturating_sub(took)),
            tracing: current.tracing(),
        }
    }

    /// What is counted and metered of it.
    fn run(&self, inner: &Inner, report: &Report<'_>) -> Run {
        Run {
            took: report.duration,
            cold: inner.cold_phases().map(|phases| phases.in_order()),
            failed: report.went_wrong().is_some(),
            billed_ms: u64::try_from(report.billed_ms()).unwrap_or(u64::MAX),
            memory_mb: self.spec.memory_mb,
            ephemeral_mb: self.spec.ephemeral_mb,
            produced_bytes: report.produced_bytes.unwrap_or(0),
            provisioned: self.spec.initialization == Initialization::Provisioned,
        }
    }

    fn tell_spans(&self, inner: &Inner, current: &Current, report: &Report<'_>) {
        let Some(traced) = current.traced else { return };
        let anchor = Anchor::now();
        let began = inner.process_since.and_then(|since| since.checked_sub(inner.phases.sandbox));
        let init = inner.inited.zip(began).map(|(init, began)| InitSpan {
            began_ns: anchor.ns_of(began),
            phases: inner.phases,
            repeated: init == Init::Repeated,
            failed: inner.init_failed,
        });
        let took_ns = u64::try_from(report.duration.as_nanos()).unwrap_or(u64::MAX);
        self.shared.spans.span(InvokeSpan {
            traced,
            request_id: current.request_id,
            spec: Arc::clone(&self.spec),
            invoked_arn: Arc::clone(&current.invoked_arn),
            environment: self.id,
            arrived_ns: anchor.ns_of(current.arrived),
            queued: current.queued(),
            init,
            began_ns: anchor.ns_of(Instant::now()).saturating_sub(took_ns),
            answered: report.answered.map(|times| (times.began, times.ended)),
            took: report.duration,
            error: report.went_wrong().map(|failed| failed.name().to_owned()),
            cause: current.cause.clone(),
            billed_ms: u64::try_from(report.billed_ms()).unwrap_or(u64::MAX),
        });
        if let Some(segments) = self.segments.ends(&self.spec) {
            self.shared.spans.segments(segments);
        }
    }

    /// The invoke is over: its last lines, then its reply if that is still owed. `payload` replaces an answer that the
    /// runtime did not give.
    pub(crate) fn finish(
        &self,
        inner: &mut Inner,
        now: Moment,
        took: Duration,
        failed: Option<Failed<'_>>,
        payload: Option<Bytes>,
    ) -> Aftermath {
        let Some(mut current) = inner.current.take() else { return Aftermath::default() };
        let report = self.report(inner, &current, took, failed);
        if let Some(metrics) = &current.metrics {
            metrics.ran(&self.run(inner, &report));
        }
        self.tell_spans(inner, &current, &report);
        let done = current.runtime_done.is_none().then_some(Record::RuntimeDone(&report));
        let records = done.into_iter().chain([Record::End { request_id: current.request_id }, Record::Report(&report)]);
        self.journal.records(now.wall_ms, &self.spec, records);
        self.journal.telemetry().flush();
        let phases = inner.cold.take().map(|_| inner.phases);
        (inner.inited, inner.init_failed) = (None, false);
        let (queued, duration) = (current.queued(), took);
        let own =
            || payload.map(|p| Outcome { payload: p, function_error: true, log_tail: None, queued, phases, duration });
        let outcome = current.outcome.take().or_else(own);
        let log_tail = if current.tail { self.journal.take_tail() } else { None };
        let reply = current.reply.take().zip(outcome);
        Aftermath {
            answered: reply.is_some(),
            reply: reply.map(|(reply, outcome)| (reply, Ok(Outcome { log_tail, ..outcome }))),
            idle: !inner.is_ending(),
            ..Aftermath::default()
        }
    }
}
