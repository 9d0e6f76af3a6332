//! Spans of traced invokes, sent to a collector: OpenTelemetry's protocol, protobuf over HTTP.
//!
//! An invoke hands its facts to a bounded queue and goes on; one task makes spans of them and sends them in batches. What
//! the queue has no room for, and what the collector does not take in the end, is dropped and counted.

mod document;
mod export;
mod members;
mod message;
mod segments;
mod span;
mod spans;
mod wire;

pub use export::{Counted, Exporter, Fate, Outcome};
pub use message::{Written, write};
