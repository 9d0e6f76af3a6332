//! The worker: execution environments from their first process to their last log line.
//!
//! It makes environments out of sandboxes and runtimes, speaks the Runtime API with what runs inside, keeps the phases
//! and their time limits, freezes what is idle and writes START, END and REPORT. Which environment takes which invoke is
//! not decided here: the dispatcher calls [`Worker::create`] and [`Worker::invoke`], and hears [`EnvironmentEvent`]s.

mod api;

pub use api::{
    EnvironmentEvent, EnvironmentSink, GoneReason, InitPhases, Invocation, LogSink, Outcome, WorkerConfig, WorkerError,
};
