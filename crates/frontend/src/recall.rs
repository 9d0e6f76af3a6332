//! What is in use, and what was before the server started: for that, runtimes wait again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use hearth_scheduler::{Event, Generation, WorkerId};
use hearth_types::limits::{AHEAD_KEEP, LATELY_VERSIONS};
use hearth_worker::Recall;

use crate::dispatcher::{Dispatcher, lock};
use crate::environments::Environments;
use crate::lately::{InUse, Of, Seen, Wanted};
use crate::snapshot::Ready;

/// When somebody looked last at what is in use, and what was made since.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    at: Duration,
    /// Environments, by generation.
    made: HashMap<Generation, u32>,
}

/// What no worker knows of yet.
#[derive(Debug, Default)]
pub(crate) struct Recalls {
    waiting: Vec<Wanted>,
    /// On the clock that the scheduler goes by.
    until: Duration,
}

impl Looked {
    /// One more was made, for an invoke.
    pub(crate) fn made(&mut self, generation: Generation) {
        if self.made.len() < LATELY_VERSIONS || self.made.contains_key(&generation) {
            *self.made.entry(generation).or_default() += 1;
        }
    }
}

impl<W: Environments> Dispatcher<W> {
    /// What has been in use since this was asked for last.
    pub fn in_use(&self) -> InUse {
        let mut core = lock(&self.core);
        let now = self.clock.uptime();
        let Looked { at, made } = std::mem::replace(&mut core.looked, Looked { at: now, ..Looked::default() });
        let living = core.scheduler.in_use_since(at);
        let see = |all: Vec<(Generation, u32)>| {
            let mut used: BTreeMap<Of, Seen> = BTreeMap::new();
            for (generation, count) in all {
                // Those that were deleted meanwhile are no more.
                if let Some(ready) = core.serving.get(&generation) {
                    let seen = used.entry((Arc::clone(&ready.spec.function), ready.version)).or_default();
                    seen.count += count;
                    // Nobody knows which tenant is the next.
                    let steps = || core.scheduler.steps_of(now, generation);
                    seen.steps = if ready.per_tenant { None } else { steps() };
                }
            }
            used
        };
        let (mut used, made) = (see(living), see(made.into_iter().collect()));
        for (of, seen) in made {
            let known = used.entry(of).or_insert(seen);
            known.count = known.count.max(seen.count);
        }
        InUse(used)
    }

    /// Environments of these versions were in use before the server started, and are likely to be asked for again: where each of
    /// them would start as things stand, a runtime is to wait. Where there is no worker yet, the first to join hears of it,
    /// for as long as it is of use. What was called in even steps is expected to be called in them.
    pub fn recall(&self, wanted: Vec<Wanted>) {
        for one in &wanted {
            if let (Some(steps), Some(ready)) = (one.steps, self.serving(one)) {
                self.turn(Event::Resume { generation: ready.generation(), steps });
            }
        }
        *lock(&self.recalls) = Recalls { waiting: wanted, until: self.clock.uptime() + AHEAD_KEEP };
        self.place_recalls();
    }

    /// Tells workers of what none knows of yet.
    pub(crate) fn place_recalls(&self) {
        let mut recalls = lock(&self.recalls);
        if recalls.waiting.is_empty() {
            return;
        }
        if recalls.until <= self.clock.uptime() {
            recalls.waiting.clear();
            return;
        }
        let there: Vec<_> = recalls.waiting.iter().filter_map(|one| Some((one, self.serving(one)?))).collect();
        let sizes: Vec<_> = there.iter().map(|(one, ready)| (ready.spec.memory_mb, one.count)).collect();
        let places = lock(&self.core).scheduler.places_for(sizes);
        let mut by_worker: BTreeMap<WorkerId, Vec<Recall>> = BTreeMap::new();
        for ((one, ready), places) in there.iter().zip(places) {
            for (worker, count) in places {
                let recall = Recall { spec: Arc::clone(&ready.spec), count, look_ms: one.look_ms };
                by_worker.entry(worker).or_default().push(recall);
            }
        }
        if !by_worker.is_empty() {
            recalls.waiting.clear();
        }
        drop(recalls);
        by_worker.into_iter().for_each(|(worker, recalls)| self.worker.recall(worker, recalls));
    }

    /// What of it can be invoked; none where it is gone, or not ready: what becomes so is foreseen by that.
    fn serving(&self, Wanted { of: (function, version), .. }: &Wanted) -> Option<Arc<Ready>> {
        self.functions.get(function)?.version(*version)?.ready().cloned()
    }
}
