//! What is to be paid for, by Lambda's rules: requests, and memory over time.

use std::sync::atomic::{AtomicU64, Ordering};

use hearth_types::limits::{EPHEMERAL_MIN_MB, STREAM_BURST_BYTES};
use serde::{Deserialize, Serialize};

use crate::Run;

/// What one name has used since the server started. It only grows.
#[derive(Debug, Default)]
pub struct Usage {
    requests: AtomicU64,
    on_demand: AtomicU64,
    provisioned: AtomicU64,
    allocated: AtomicU64,
    ephemeral: AtomicU64,
    streamed: AtomicU64,
}

/// How much that is. Memory over time is in MB x ms.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Amounts {
    /// Runs, well or not.
    pub requests: u64,
    /// Billed time of environments that were made on demand.
    pub on_demand_mb_ms: u64,
    /// Billed time of environments that were provisioned.
    pub provisioned_mb_ms: u64,
    /// Provisioned concurrency for as long as it was there, used or not.
    pub allocated_mb_ms: u64,
    /// /tmp beyond what each function has for nothing, over billed time.
    pub ephemeral_mb_ms: u64,
    /// Bytes of streamed answers, each beyond its first 6 MiB.
    pub streamed_bytes: u64,
}

impl Usage {
    pub(crate) fn ran(&self, run: &Run) {
        let over_time = |mb: u32| u64::from(mb).saturating_mul(run.billed_ms);
        self.requests.fetch_add(1, Ordering::Relaxed);
        let billed = if run.provisioned { &self.provisioned } else { &self.on_demand };
        billed.fetch_add(over_time(run.memory_mb), Ordering::Relaxed);
        let beyond = over_time(run.ephemeral_mb.saturating_sub(EPHEMERAL_MIN_MB));
        if beyond > 0 {
            self.ephemeral.fetch_add(beyond, Ordering::Relaxed);
        }
        let beyond = run.produced_bytes.saturating_sub(STREAM_BURST_BYTES);
        if beyond > 0 {
            self.streamed.fetch_add(beyond, Ordering::Relaxed);
        }
    }

    /// Provisioned concurrency of so much memory was there for so long.
    pub fn was_allocated(&self, memory_mb: u64, ms: u64) {
        self.allocated.fetch_add(memory_mb.saturating_mul(ms), Ordering::Relaxed);
    }

    /// How much it is by now.
    #[must_use]
    pub fn amounts(&self) -> Amounts {
        Amounts {
            requests: self.requests.load(Ordering::Relaxed),
            on_demand_mb_ms: self.on_demand.load(Ordering::Relaxed),
            provisioned_mb_ms: self.provisioned.load(Ordering::Relaxed),
            allocated_mb_ms: self.allocated.load(Ordering::Relaxed),
            ephemeral_mb_ms: self.ephemeral.load(Ordering::Relaxed),
            streamed_bytes: self.streamed.load(Ordering::Relaxed),
        }
    }
}

impl Amounts {
    /// Each with what `other` has of it.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.with(other, u64::saturating_add)
    }

    /// Each without what `earlier` had of it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        self.with(earlier, u64::saturating_sub)
    }

    fn with(self, other: Self, of: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            requests: of(self.requests, other.requests),
            on_demand_mb_ms: of(self.on_demand_mb_ms, other.on_demand_mb_ms),
            provisioned_mb_ms: of(self.provisioned_mb_ms, other.provisioned_mb_ms),
            allocated_mb_ms: of(self.allocated_mb_ms, other.allocated_mb_ms),
            ephemeral_mb_ms: of(self.ephemeral_mb_ms, other.ephemeral_mb_ms),
            streamed_bytes: of(self.streamed_bytes, other.streamed_bytes),
        }
    }

    /// Whether nothing was used.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn memory_is_metered_over_billed_time() {
        let run = Run {
            took: Duration::from_micros(2_500),
            cold: None,
            failed: false,
            billed_ms: 3,
            memory_mb: 256,
            ephemeral_mb: 512,
            produced_bytes: 10,
            provisioned: false,
        };
        let usage = Usage::default();
        usage.ran(&run);
        usage.ran(&Run { provisioned: true, ephemeral_mb: 1024, ..run });
        usage.ran(&Run { produced_bytes: STREAM_BURST_BYTES + 7, ..run });
        usage.was_allocated(512, 1000);
        let expected = Amounts {
            requests: 3,
            on_demand_mb_ms: 2 * 3 * 256,
            provisioned_mb_ms: 3 * 256,
            allocated_mb_ms: 512_000,
            ephemeral_mb_ms: 3 * 512,
            streamed_bytes: 7,
        };
        assert_eq!(usage.amounts(), expected);
        assert!(expected.since(expected).is_nothing());
        assert_eq!(expected.since(Amounts::default()).and(Amounts::default()), expected);
    }
}
