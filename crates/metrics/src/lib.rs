//! What is counted of functions, under Lambda's own names, and how it is written for Prometheus.
//!
//! Whoever counts holds the function's [`OfFunction`]: an invoke finds it where it finds its code, and adds to numbers
//! that no lock guards.

mod histogram;
mod mapping;
mod spread;
mod text;
mod usage;

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use hearth_types::limits::{METERED_FUNCTIONS, METRIC_FUNCTIONS};
use serde::{Deserialize, Serialize};

pub use histogram::Histogram;
pub use mapping::OfMapping;
pub use spread::Spread;
pub use text::{Kind, Text};
pub use usage::{Amounts, Usage};

/// Bounds of durations, in milliseconds.
const DURATIONS_MS: &[u64] = &[1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 60_000, 900_000];
/// Bounds of the parts of cold starts, in milliseconds.
const PHASES_MS: &[u64] = &[1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];
/// Bounds of ages, in milliseconds.
const AGES_MS: &[u64] = &[100, 1000, 10_000, 60_000, 300_000, 900_000, 3_600_000, 21_600_000];

/// What is counted of all functions.
#[derive(Debug, Default)]
pub struct Metrics {
    functions: RwLock<HashMap<Arc<str>, Arc<OfFunction>>>,
    /// Of functions beyond the bound: together, under no name.
    others: Arc<OfFunction>,
    /// By name, and longer than functions live: what was used stays used.
    usages: RwLock<HashMap<Arc<str>, Arc<Usage>>>,
    phases: Arc<ColdPhases>,
    mappings: mapping::Mappings,
}

/// What cold starts took, by their parts.
#[derive(Debug)]
struct ColdPhases([Histogram; 4]);

/// The parts of a cold start, in their order.
pub const PHASES: [&str; 4] = ["sandbox", "extensions", "runtime", "function"];

/// Who hears of runs. Called on the path of an invoke: must not block.
pub trait Runs: std::fmt::Debug + Send + Sync {
    /// A run is over.
    fn ran(&self, run: &Run);
}

impl Runs for OfFunction {
    fn ran(&self, run: &Run) {
        Self::ran(self, run);
    }
}

/// A run that is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Run {
    /// From the event to the end, without init.
    pub took: Duration,
    /// Of a cold start, what each of [`PHASES`] took.
    pub cold: Option<[Duration; 4]>,
    /// Whether it ended with a function error, a timeout among them.
    pub failed: bool,
    /// As REPORT says it.
    pub billed_ms: u64,
    /// What the environment has.
    pub memory_mb: u32,
    /// Of /tmp.
    pub ephemeral_mb: u32,
    /// Bytes of the answer.
    pub produced_bytes: u64,
    /// Whether the environment was provisioned, not made on demand.
    pub provisioned: bool,
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
    /// Invokes that a provisioned environment was given.
    pub provisioned_invocations: Counter,
    /// Those that none was left for, of versions that have some.
    pub spillover_invocations: Counter,
    /// What runs took.
    pub duration: Histogram,
    /// The same, finer.
    pub durations: Spread,
    /// Runs that an environment was made for.
    pub cold_starts: Counter,
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
    usage: Arc<Usage>,
    phases: Arc<ColdPhases>,
}

/// A number that grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn count(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
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
            provisioned_invocations: Counter::default(),
            spillover_invocations: Counter::default(),
            duration: Histogram::new(DURATIONS_MS),
            durations: Spread::default(),
            cold_starts: Counter::default(),
            events_received: Counter::default(),
            events_dropped: Counter::default(),
            event_age: Histogram::new(AGES_MS),
            destination_failures: Counter::default(),
            dead_letter_errors: Counter::default(),
            iterator_age_ms: AtomicI64::new(-1),
            usage: Arc::default(),
            phases: Arc::default(),
        }
    }
}

impl Default for ColdPhases {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Histogram::new(PHASES_MS)))
    }
}

impl OfFunction {
    /// A run is over.
    pub fn ran(&self, run: &Run) {
        self.invocations.count();
        if run.failed {
            self.errors.count();
        }
        self.duration.add(run.took);
        self.durations.add(run.took);
        self.usage.ran(run);
        if let Some(phases) = &run.cold {
            self.cold_starts.count();
            self.phases.0.iter().zip(phases).for_each(|(of, took)| of.add(*took));
        }
    }

    /// What it costs.
    #[must_use]
    pub fn usage(&self) -> &Usage {
        &self.usage
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
        let made = || {
            let (usage, phases) = (self.usage(name), Arc::clone(&self.phases));
            Arc::new(OfFunction { usage, phases, ..OfFunction::default() })
        };
        Arc::clone(functions.entry(name.into()).or_insert_with(made))
    }

    /// What a name has used: the same for all functions that have it one after another.
    fn usage(&self, name: &str) -> Arc<Usage> {
        let mut usages = self.usages.write().unwrap_or_else(PoisonError::into_inner);
        if usages.len() >= METERED_FUNCTIONS && !usages.contains_key(name) {
            return Arc::clone(&self.others.usage);
        }
        Arc::clone(usages.entry(name.into()).or_default())
    }

    /// What was used by now, by name; what is beyond the bound has none.
    #[must_use]
    pub fn used(&self) -> Vec<(Arc<str>, Amounts)> {
        let usages = self.usages.read().unwrap_or_else(PoisonError::into_inner);
        let named = usages.iter().map(|(name, usage)| (Arc::clone(name), usage.amounts()));
        named.chain([(Arc::from(""), self.others.usage.amounts())]).collect()
    }

    /// Lets go of the names that no function has any more, and that have used no more than was `seen`. Which they were.
    pub fn let_go(&self, seen: impl Fn(&str) -> Option<Amounts>) -> Vec<Arc<str>> {
        let mut usages = self.usages.write().unwrap_or_else(PoisonError::into_inner);
        let gone =
            |name: &str, usage: &Arc<Usage>| Arc::strong_count(usage) == 1 && seen(name) == Some(usage.amounts());
        usages.extract_if(|name, usage| gone(name, usage)).map(|(name, _)| name).collect()
    }

    /// All functions that are counted each by itself.
    #[must_use]
    pub fn functions(&self) -> Vec<(Arc<str>, Arc<OfFunction>)> {
        let functions = self.functions.read().unwrap_or_else(PoisonError::into_inner);
        functions.iter().map(|(name, of)| (Arc::clone(name), Arc::clone(of))).collect()
    }

    /// A function is gone, and what was counted of it.
    pub fn forget(&self, name: &str) {
        self.functions.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// What is counted of an event source mapping. To be held by whoever counts.
    #[must_use]
    pub fn mapping(&self, uuid: &str) -> Arc<OfMapping> {
        self.mappings.of(uuid)
    }

    /// A mapping is gone, or is not to be counted any more.
    pub fn forget_mapping(&self, uuid: &str) {
        self.mappings.forget(uuid);
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
        self.mappings.write(text);
        let family = "hearth_cold_start_seconds";
        text.family(family, Kind::Histogram, "What cold starts took, by their parts.");
        for (phase, histogram) in PHASES.iter().zip(&self.phases.0) {
            text.histogram(family, &[("phase", phase)], histogram);
        }
    }
}

type Read = fn(&OfFunction) -> &Counter;

const COUNTERS: &[(&str, &str, Read)] = &[
    ("lambda_invocations_total", "Invocations: runs, well or not.", |of| &of.invocations),
    ("lambda_errors_total", "Errors: runs that ended with a function error.", |of| &of.errors),
    ("lambda_throttles_total", "Throttles: invokes for which there was no room.", |of| &of.throttles),
    (
        "lambda_provisioned_concurrency_invocations_total",
        "ProvisionedConcurrencyInvocations: given to provisioned environments.",
        |of| &of.provisioned_invocations,
    ),
    (
        "lambda_provisioned_concurrency_spillover_invocations_total",
        "ProvisionedConcurrencySpilloverInvocations: of versions whose provisioned environments were all in use.",
        |of| &of.spillover_invocations,
    ),
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
    ("hearth_cold_starts_total", "Runs that an environment was made for.", |of| &of.cold_starts),
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

    fn run(ms: u64, failed: bool) -> Run {
        let took = Duration::from_millis(ms);
        let (billed_ms, memory_mb, ephemeral_mb) = (ms, 128, 512);
        Run { took, cold: None, failed, billed_ms, memory_mb, ephemeral_mb, produced_bytes: 0, provisioned: false }
    }

    #[test]
    fn what_was_used_outlives_its_function() {
        let metrics = Metrics::default();
        let first = metrics.function("f");
        first.ran(&run(3, false));
        metrics.forget("f");
        first.ran(&run(3, true));
        let used =
            |metrics: &Metrics| metrics.used().into_iter().find(|(name, _)| &**name == "f").map(|(_, used)| used);
        let amounts = used(&metrics).unwrap();
        assert_eq!((amounts.requests, amounts.on_demand_mb_ms), (2, 2 * 3 * 128));
        assert!(metrics.let_go(|_| Some(amounts)).is_empty(), "a run may still end");
        drop(first);
        assert!(metrics.let_go(|_| Some(Amounts::default())).is_empty(), "not all of it was seen");
        assert_eq!(metrics.let_go(|_| Some(amounts)), ["f".into()]);
        assert_eq!(used(&metrics), None);
    }

    #[test]
    fn what_is_beyond_the_bound_is_counted_together() {
        let metrics = Metrics::default();
        for n in 0..METRIC_FUNCTIONS + 3 {
            metrics.function(&format!("f{n}")).ran(&run(5, n == 1));
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
