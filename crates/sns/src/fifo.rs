//! The numbers of FIFO topics, which grow.

use std::sync::atomic::{AtomicU64, Ordering};

/// Where the numbers begin: the service's have 20 digits.
const FIRST: u64 = 10_000_000_000_000_000_000;

/// Numbers that grow over all topics, and across restarts with the time.
#[derive(Default)]
pub(crate) struct Sequence(AtomicU64);

impl Sequence {
    pub(crate) fn next(&self, now_ms: i64) -> String {
        let now = u64::try_from(now_ms).unwrap_or(0) * 1000;
        let after = |last: u64| Some(now.max(last.saturating_add(1)));
        let last = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, after).unwrap_or_else(|last| last);
        (FIRST + now.max(last.saturating_add(1))).to_string()
    }
}
