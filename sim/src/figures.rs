//! What is counted during a run, and what it says.

use std::collections::BTreeMap;

use hearth_scheduler::Throttle;

use crate::agenda::{SECOND, Time};
use crate::histogram::Histogram;

/// MB in a GB, as memory is billed.
const MB_IN_GB: f64 = 1024.0;

/// Placed invokes of one function.
#[derive(Clone, Copy, Debug, Default)]
struct OfFunction {
    calls: u64,
    cold: u64,
}

/// What came of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    Cold,
    Warm,
    Throttled(&'static str),
}

/// A call that is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) since: Time,
    pub(crate) function: u32,
    pub(crate) outcome: Outcome,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Events given to the scheduler.
    pub steps: u64,
    /// Environments that were made without an invoke.
    pub ahead: u64,
    of: Vec<OfFunction>,
    calls: u64,
    cold: u64,
    waiting: Histogram,
    waited: u128,
    throttles: BTreeMap<&'static str, u64>,
    busy_mb: u64,
    peak_mb: u64,
    idle: u128,
    living: u128,
    passed: Time,
    kept: Option<Vec<Call>>,
}

impl Figures {
    pub(crate) fn new(functions: usize) -> Self {
        Self {
            steps: 0,
            ahead: 0,
            of: vec![OfFunction::default(); functions],
            calls: 0,
            cold: 0,
            waiting: Histogram::new(),
            waited: 0,
            throttles: BTreeMap::new(),
            busy_mb: 0,
            peak_mb: 0,
            idle: 0,
            living: 0,
            passed: 0,
            kept: None,
        }
    }

    /// An invoke has been placed; `waited` is from its arrival to the start of its handler.
    pub(crate) fn started(&mut self, function: u32, waited: Time, cold: bool, memory_mb: u32) {
        self.busy_mb += u64::from(memory_mb);
        self.calls += 1;
        self.cold += u64::from(cold);
        self.waiting.record(waited);
        self.waited += u128::from(waited);
        let of = &mut self.of[function as usize];
        of.calls += 1;
        of.cold += u64::from(cold);
    }

    /// Reads what is kept of a function.
    pub(crate) fn read(&self, function: u32) -> u64 {
        self.of[function as usize].calls
    }

    /// An invoke has ended.
    pub(crate) fn ended(&mut self, memory_mb: u32) {
        self.busy_mb -= u64::from(memory_mb);
    }

    pub(crate) fn throttled(&mut self, reason: Throttle) {
        *self.throttles.entry(name(reason)).or_default() += 1;
    }

    /// From now on each call is kept.
    pub(crate) fn keep_calls(&mut self) {
        self.kept = Some(Vec::new());
    }

    pub(crate) fn keep(&mut self, since: Time, function: u32, outcome: Outcome) {
        if let Some(kept) = &mut self.kept {
            kept.push(Call { since, function, outcome });
        }
    }

    /// Calls that were kept, in the order of their outcomes.
    pub(crate) fn kept(&self) -> &[Call] {
        self.kept.as_deref().unwrap_or_default()
    }

    /// Time passes while environments have so much memory.
    pub(crate) fn pass(&mut self, time: Time, living_mb: u64) {
        self.passed += time;
        self.peak_mb = self.peak_mb.max(living_mb);
        self.living += u128::from(living_mb) * u128::from(time);
        self.idle += u128::from(living_mb.saturating_sub(self.busy_mb)) * u128::from(time);
    }

    /// Invokes that were placed.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// Those of them that an environment was made for.
    #[must_use]
    pub fn cold(&self) -> u64 {
        self.cold
    }

    /// The share of cold ones among all; 0 without any.
    #[must_use]
    pub fn cold_rate(&self) -> f64 {
        ratio(self.cold as f64, self.calls as f64)
    }

    /// The share of cold ones that the part `of` of all called functions does not exceed.
    #[must_use]
    pub fn cold_rate_of_functions(&self, of: f64) -> f64 {
        let called = self.of.iter().filter(|of| of.calls > 0);
        let mut rates: Vec<f64> = called.map(|of| of.cold as f64 / of.calls as f64).collect();
        rates.sort_by(f64::total_cmp);
        let rank = (rates.len() as f64 * of).ceil() as usize;
        rates.get(rank.max(1) - 1).copied().unwrap_or_default()
    }

    /// GB-seconds of environments that did nothing.
    #[must_use]
    pub fn idle_gb_s(&self) -> f64 {
        self.idle as f64 / MB_IN_GB / SECOND as f64
    }

    /// GB of living environments in the mean.
    #[must_use]
    pub fn mean_gb(&self) -> f64 {
        ratio(self.living as f64, self.passed as f64) / MB_IN_GB
    }

    /// GB of living environments at most.
    #[must_use]
    pub fn peak_gb(&self) -> f64 {
        self.peak_mb as f64 / MB_IN_GB
    }

    /// Nanoseconds from a call to the start of its handler that the part `of` of all invokes does not exceed.
    #[must_use]
    pub fn waited(&self, of: f64) -> u64 {
        self.waiting.quantile(of)
    }

    /// Seconds that all invokes together waited for the start of their handlers: cold starts, each as long as it takes.
    #[must_use]
    pub fn waited_s(&self) -> f64 {
        self.waited as f64 / SECOND as f64
    }

    /// Refused invokes by reason.
    #[must_use]
    pub fn throttles(&self) -> &BTreeMap<&'static str, u64> {
        &self.throttles
    }

    /// All refused invokes.
    #[must_use]
    pub fn throttled_in_all(&self) -> u64 {
        self.throttles.values().sum()
    }
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// A reason, as the table has it.
pub(crate) fn name(reason: Throttle) -> &'static str {
    match reason {
        Throttle::AccountConcurrency => "account concurrency",
        Throttle::ReservedConcurrency => "reserved concurrency",
        Throttle::RequestRate => "request rate",
        Throttle::ReservedRequestRate => "reserved request rate",
        Throttle::ScalingRate => "scaling rate",
        Throttle::Memory => "memory",
        Throttle::Environments => "environments",
        Throttle::NoWorker => "no worker",
        Throttle::NeverFits { .. } => "never fits",
    }
}
