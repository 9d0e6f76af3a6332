//! The end of an invoke: of the runtime's part, then of all.

use std::time::Duration;

use bytes::Bytes;

use crate::api::Outcome;
use crate::clock::Moment;
use crate::environment::{Aftermath, Current, Environment, Inner};
use crate::records::Record;
use crate::text::{Failed, Report};

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
        Report {
            request_id: current.request_id,
            duration,
            init: inner.cold,
            memory_mb: self.spec.memory_mb,
            memory_used_bytes: inner.memory_peak(),
            failed,
            reported: answered.and_then(|answered| answered.error.as_deref()),
            answered: answered.map(|answered| answered.times),
            produced_bytes: answered.map(|answered| answered.produced_bytes),
            beyond: current.runtime_done.map(|took| duration.saturating_sub(took)),
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
        if let Some(metrics) = &current.metrics {
            let reported = current.answered.as_ref().is_some_and(|answered| answered.error.is_some());
            metrics.ran(took, failed.is_some() || reported);
        }
        let report = self.report(inner, &current, took, failed);
        let done = current.runtime_done.is_none().then_some(Record::RuntimeDone(&report));
        let records = done.into_iter().chain([Record::End { request_id: current.request_id }, Record::Report(&report)]);
        self.journal.records(now.wall_ms, &self.spec, records);
        self.journal.telemetry().flush();
        let phases = inner.cold.take().map(|_| inner.phases);
        let own =
            || payload.map(|p| Outcome { payload: p, function_error: true, log_tail: None, phases, duration: took });
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
