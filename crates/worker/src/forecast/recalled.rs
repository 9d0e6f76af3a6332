//! What was in use before the server started.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use hearth_types::limits::{AHEAD_KEEP, LATELY_VERSIONS};

/// Versions whose environments were in use then: how many at once, and when that was. They count for [`AHEAD_KEEP`].
#[derive(Default)]
pub(super) struct Recalled {
    versions: HashMap<Arc<str>, (i64, usize)>,
    last: Option<Instant>,
}

impl Recalled {
    /// A version, or what is known better of it.
    pub(super) fn add(&mut self, version: Arc<str>, used: (i64, usize), now: Instant) {
        if self.until() <= Some(now) {
            self.versions.clear();
        }
        if self.versions.len() < LATELY_VERSIONS || self.versions.contains_key(&version) {
            self.versions.insert(version, used);
            self.last = Some(now);
        }
    }

    /// Until when some wait for them.
    pub(super) fn until(&self) -> Option<Instant> {
        self.last.map(|at| at + AHEAD_KEEP)
    }

    /// The most that were in use at the same time.
    pub(super) fn count(&self, now: Instant) -> usize {
        if self.until() <= Some(now) {
            return 0;
        }
        let mut together: HashMap<i64, usize> = HashMap::new();
        self.versions.values().for_each(|(look, count)| *together.entry(*look).or_default() += count);
        together.into_values().max().unwrap_or(0)
    }
}
