//! What was in use lately, here or elsewhere, and is not there any more.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use hearth_types::limits::AHEAD_KEEP;

/// Versions of which environments are likely to be asked for. Each counts for [`AHEAD_KEEP`].
#[derive(Default)]
pub(super) struct Recalled(HashMap<Arc<str>, Known>);

/// What is known of one.
#[derive(Clone, Copy)]
pub(super) struct Known {
    /// How many.
    pub(super) count: usize,
    /// When so many were in use at once: those that have the same were in use together.
    pub(super) look_ms: i64,
    /// Since when that is known.
    pub(super) since: Instant,
}

impl Recalled {
    /// All of them, none from now on.
    pub(super) fn take(&mut self) -> impl Iterator<Item = (Arc<str>, Known)> + use<> {
        std::mem::take(&mut self.0).into_iter()
    }

    pub(super) fn add(&mut self, version: Arc<str>, known: Known) {
        self.0.insert(version, known);
    }

    /// Until when some wait for them.
    pub(super) fn until(&self) -> Option<Instant> {
        self.0.values().map(|known| known.since + AHEAD_KEEP).max()
    }

    /// The most that were in use at the same time.
    pub(super) fn count(&self, now: Instant) -> usize {
        let mut together: HashMap<i64, usize> = HashMap::new();
        for known in self.0.values().filter(|known| known.since + AHEAD_KEEP > now) {
            *together.entry(known.look_ms).or_default() += known.count;
        }
        together.into_values().max().unwrap_or(0)
    }
}
