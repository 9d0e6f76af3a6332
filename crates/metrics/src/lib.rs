//! What is counted of functions, under Lambda's own names, and how it is written for Prometheus.
//!
//! Whoever counts holds the function's [`OfFunction`]: an invoke finds it where it finds its code, and adds to numbers
//! that no lock guards.

mod histogram;
mod text;

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use hearth_types::limits::METRIC_FUNCTIONS;

pub use histogram::Histogram;
pub use text::{Kind, Text};

/// Bounds of durations, in milliseconds.
const DURATIONS_MS: &[u64] = &[1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 60_000, 900_000];
/// Bounds of ages, in milliseconds.
const AGES_MS: &[u64] = &[100, 1000, 10_000, 60_000, 300_000, 900_000, 3_600_000, 21_600_000];

/// What is counted of all functions.
#[derive(Debug, Default)]
pub struct Metrics {
    functions: RwLock<HashMap<Arc<str>, Arc<OfFunction>>>,
    /// Of functions beyond the bound: together, under no name.
    others: Arc<OfFunction>,
}

/// What is counted of one function since the server started, or since it was made.
#[derive(Debug)]
pub struct OfFunction {
    /// Runs: well or not, not those that were throttled.
    pub invocations: Counter,
    /// Runs that ended with a function error, a timeout among them.
    pub errors: Counter,
    /// Invokes for which there was no room.
    pub throttles: Counter,
    /// What runs took.
    pub duration: Histogram,
    /// Asynchronous invokes that were acknowledged.
    pub events_received: Counter,
    /// Asynchronous invokes that ended without success.
    pub events_dropped: Counter,
    /// How old asynchronous invokes were when they were run.
    pub event_age: Histogram,
    /// Records that did not get to their destination.
    pub destination_failures: Counter,
    /// Events that did not get to the dead-letter queue.
    pub dead_letter_errors: Counter,
    /// Milliseconds that the last record of the stream's latest batch was old; less than 0: none was read.
    iterator_age_ms: AtomicI64,
}

/// A number that grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many by now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Default for OfFunction {
    fn default() -> Self {
        Self {
            invocations: Counter::default(),
            errors: Counter::default(),
            throttles: Counter::default(),
            duration: Histogram::new(DURATIONS_MS),
            events_received: Counter::default(),
            events_dropped: Counter::default(),
            event_age: Histogram::new(AGES_MS),
            destination_failures: Counter::default(),
            dead_letter_errors: Counter::default(),
            iterator_age_ms: AtomicI64::new(-1),
        }
    }
}

impl OfFunction {
    /// A run is over.
    pub fn ran(&self, took: Duration, failed: bool) {
        self.invocations.count();
        if failed {
            self.errors.count();
        }
        self.duration.add(took);
    }

    /// How old the last record of a stream's batch was, in milliseconds.
    pub fn iterator_age(&self, age_ms: i64) {
        self.iterator_age_ms.store(age_ms.max(0), Ordering::Relaxed);
    }

    fn iterator_age_s(&self) -> Option<f64> {
        let age_ms = self.iterator_age_ms.load(Ordering::Relaxed);
        u64::try_from(age_ms).ok().map(|age_ms| Duration::from_millis(age_ms).as_secs_f64())
    }
}

impl Metrics {
    /// What is counted of a function. To be held by whoever counts often.
    #[must_use]
    pub fn function(&self, name: &str) -> Arc<OfFunction> {
        if let Some(known) = self.functions.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Arc::clone(known);
        }
        let mut functions = self.functions.write().unwrap_or_else(PoisonError::into_inner);
        if functions.len() >= METRIC_FUNCTIONS && !functions.contains_key(name) {
            return Arc::clone(&self.others);
        }
        Arc::clone(functions.entry(name.into()).or_default())
    }

    /// A function is gone, and what was counted of it.
    pub fn forget(&self, name: &str) {
        self.functions.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// Writes it all, each function under its name.
    pub fn write(&self, text: &mut Text) {
        let functions = self.functions.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<(&str, Arc<OfFunction>)> =
            functions.iter().map(|(name, of)| (&**name, Arc::clone(of))).collect();
        all.push(("", Arc::clone(&self.others)));
        all.sort_by_key(|(name, _)| *name);
        let has_others = functions.len() >= METRIC_FUNCTIONS;
        let all: Vec<_> = all.into_iter().filter(|(name, _)| has_others || !name.is_empty()).collect();
        counters(text, &all);
        text.family("lambda_duration_seconds", Kind::Histogram, "Duration: what runs took, without init.");
        all.iter().for_each(|(name, of)| text.histogram("lambda_duration_seconds", &label(name), &of.duration));
        text.family("lambda_async_event_age_seconds", Kind::Histogram, "AsyncEventAge: from the 202 to each run.");
        all.iter().for_each(|(name, of)| text.histogram("lambda_async_event_age_seconds", &label(name), &of.event_age));
        text.family("lambda_iterator_age_seconds", Kind::Gauge, "IteratorAge: of the last record of the latest batch.");
        for (name, age_s) in all.iter().filter_map(|(name, of)| Some((name, of.iterator_age_s()?))) {
            text.sample("lambda_iterator_age_seconds", &label(name), age_s);
        }
    }
}

type Read = fn(&OfFunction) -> &Counter;

const COUNTERS: &[(&str, &str, Read)] = &[
    ("lambda_invocations_total", "Invocations: runs, well or not.", |of| &of.invocations),
    ("lambda_errors_total", "Errors: runs that ended with a function error.", |of| &of.errors),
    ("lambda_throttles_total", "Throttles: invokes for which there was no room.", |of| &of.throttles),
    ("lambda_async_events_received_total", "AsyncEventsReceived: acknowledged.", |of| &of.events_received),
    ("lambda_async_events_dropped_total", "AsyncEventsDropped: ended without success.", |of| &of.events_dropped),
    (
        "lambda_destination_delivery_failures_total",
        "DestinationDeliveryFailures: records that did not get there.",
        |of| &of.destination_failures,
    ),
    ("lambda_dead_letter_errors_total", "DeadLetterErrors: events that did not get to the dead-letter queue.", |of| {
        &of.dead_letter_errors
    }),
];

fn counters(text: &mut Text, all: &[(&str, Arc<OfFunction>)]) {
    for (family, help, read) in COUNTERS {
        text.family(family, Kind::Counter, help);
        for (name, of) in all {
            text.number(family, &label(name), read(of).get());
        }
    }
}

fn label(name: &str) -> [(&'static str, &str); 1] {
    [("function_name", name)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_the_bound_is_counted_together() {
        let metrics = Metrics::default();
        for n in 0..METRIC_FUNCTIONS + 3 {
            metrics.function(&format!("f{n}")).ran(Duration::from_millis(5), n == 1);
        }
        metrics.function("f1").throttles.count();
        let mut text = Text::default();
        metrics.write(&mut text);
        let text = text.finish();
        assert!(text.contains("\nlambda_invocations_total{function_name=\"\"} 3\n"), "{text}");
        assert!(text.contains("\nlambda_errors_total{function_name=\"f1\"} 1\n"));
        assert!(text.contains("\nlambda_throttles_total{function_name=\"f1\"} 1\n"));
        assert_eq!(text.lines().filter(|line| line.starts_with("lambda_errors_total{")).count(), METRIC_FUNCTIONS + 1);
        metrics.forget("f1");
        assert_eq!(metrics.function("f1").errors.get(), 0);
    }

    #[test]
    fn an_age_that_nobody_told_is_not_written() {
        let metrics = Metrics::default();
        let _ = metrics.function("a");
        metrics.function("b").iterator_age(1500);
        let mut text = Text::default();
        metrics.write(&mut text);
        let text = text.finish();
        let ages: Vec<_> = text.lines().filter(|line| line.starts_with("lambda_iterator_age_seconds{")).collect();
        assert_eq!(ages, ["lambda_iterator_age_seconds{function_name=\"b\"} 1.5"]);
    }
}
