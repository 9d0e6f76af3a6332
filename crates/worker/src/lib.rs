//! The worker: execution environments from their first process to their last log line.
//!
//! It makes environments out of sandboxes and runtimes, speaks the Runtime API with what runs inside, keeps the phases
//! and their time limits, freezes what is idle and writes START, END and REPORT. Which environment takes which invoke is
//! not decided here: the dispatcher calls [`Worker::create`] and [`Worker::invoke`], and hears [`EnvironmentEvent`]s.

mod answer;
mod api;
mod bandwidth;
mod bring_up;
mod clock;
mod coalesce;
mod current;
mod delivery;
mod departures;
mod ending;
mod environment;
mod error_cause;
mod extensions;
mod failure;
mod forecast;
mod given;
mod interpreters;
mod journal;
mod leaving;
mod levels;
mod lifecycle;
mod lines;
mod means;
mod names;
mod question;
mod records;
mod relay;
mod runtime_api;
mod segments;
mod snapshots;
mod span;
mod supervisor;
mod telemetry;
mod template;
#[cfg(test)]
mod test_support;
mod text;
mod usual;
mod waiting;
mod worker;

pub use answer::{Answer, End, Feed, Part, Parts, Reply, StreamFailure, Streamed};
pub use api::{
    Door, EnvironmentEvent, EnvironmentSink, Found, GoneReason, Identities, Identity, InitPhases, Invocation, LogSink,
    Outcome, Recall, Soon, WorkerError,
};
pub use error_cause::ErrorCause;
pub use segments::{SegmentRoom, Segments};
pub use span::{InitSpan, InvokeSpan, SpanSink, Traced};
pub use template::{InitFailure, NoSnapshot};
pub use worker::{StartedAhead, Worker, WorkerConfig};
