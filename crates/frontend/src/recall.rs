//! What was in use lately and is not there, because the server or a worker was started again: for that, runtimes wait where it
//! would start.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};

use hearth_scheduler::{Event, Generation, WorkerId};
use hearth_types::lately::LatelyRecord;
use hearth_types::limits::LATELY_VERSIONS;
use hearth_worker::Recall;

use crate::dispatcher::{Core, Dispatcher, lock};
use crate::environments::Environments;
use crate::lately::{InUse, Lately, Of, Seen, Wanted};
use crate::shares::{Likely, shares};
use crate::snapshot::Ready;

/// What was in use lately, and which workers were told of it.
#[derive(Debug, Default)]
pub(crate) struct Recalls {
    /// None until it is known what was in use before the start of the server.
    lately: Option<Lately>,
    /// What each worker was told last.
    told: BTreeMap<WorkerId, Vec<Recall>>,
}

/// Environments that were made for an invoke since somebody looked last at what is in use, by generation.
#[derive(Debug, Default)]
pub(crate) struct Made(HashMap<Generation, u32>);

impl Made {
    /// One more was made.
    pub(crate) fn one_of(&mut self, generation: Generation) {
        if self.0.len() < LATELY_VERSIONS || self.0.contains_key(&generation) {
            *self.0.entry(generation).or_default() += 1;
        }
    }
}

impl<W: Environments> Dispatcher<W> {
    /// That was in use before the server started: goes on with it.
    pub fn go_on_with(&self, record: LatelyRecord) {
        lock(&self.recalls).lately = Some(Lately::new(record, self.clock.now_ms()));
    }

    /// Has runtimes wait for what was in use before the server started, from when it is known what can be invoked. What was called
    /// in even steps is expected to be called in them.
    pub fn recall(&self) {
        let now_ms = self.clock.now_ms();
        let wanted = lock(&self.recalls).lately.as_ref().map(|lately| lately.wanted(now_ms)).unwrap_or_default();
        for one in wanted {
            if let (Some(steps), Some(ready)) = (one.steps, self.serving(&one)) {
                self.turn(Event::Resume { generation: ready.generation(), steps });
            }
        }
        self.tell_recalls();
    }

    /// Looks what is in use; what is to be written of it, where that is news. Nothing until it is known what was before.
    #[must_use]
    pub fn look_in_use(&self) -> Option<LatelyRecord> {
        let mut recalls = lock(&self.recalls);
        let lately = self.see(&mut recalls)?;
        let mut core = lock(&self.core);
        core.scheduler.looked(self.clock.uptime());
        core.made = Made::default();
        lately.to_write()
    }

    /// That was written.
    pub fn in_use_is_written(&self, record: LatelyRecord) {
        if let Some(lately) = &mut lock(&self.recalls).lately {
            lately.written(record);
        }
    }

    /// Of how many versions it is written that they were in use lately.
    pub fn count_remembered(&self) -> usize {
        lock(&self.recalls).lately.as_ref().map_or(0, Lately::count_written)
    }

    /// Tells each worker for what of that which was in use lately, and of which no environment lives, it is to be ready: for its
    /// share of what would start if all of it were called. To be called whenever a worker comes or goes; who was told the
    /// same already is not told again.
    pub(crate) fn tell_recalls(&self) {
        // What is about to end starts nothing.
        if self.draining.load(Ordering::Acquire) {
            return;
        }
        let mut recalls = lock(&self.recalls);
        let Some(lately) = self.see(&mut recalls) else { return };
        let wanted = lately.wanted(self.clock.now_ms());
        let mut shares = self.shares(&wanted);
        let told = &mut recalls.told;
        let workers: Vec<_> = self.workers().into_iter().map(|view| view.worker).collect();
        told.retain(|worker, _| workers.contains(worker));
        for worker in workers {
            let share = shares.remove(&worker).unwrap_or_default();
            let before = told.entry(worker).or_default();
            if *before != share {
                before.clone_from(&share);
                // With the lock held, so that what was found out last is told last.
                self.worker.recall(worker, share);
            }
        }
    }

    /// What of all that is wanted is each worker's, what was used last at the end.
    fn shares(&self, wanted: &[Wanted]) -> BTreeMap<WorkerId, Vec<Recall>> {
        let core = lock(&self.core);
        let missing = self.missing(&core, wanted);
        // Where there is no room for all, there is some for what was used last.
        let sizes = missing.iter().rev().map(|one| (one.spec.memory_mb, one.count));
        let places = core.scheduler.places_for(sizes);
        drop(core);
        let placed = missing.iter().zip(places.into_iter().rev());
        let likely: Vec<_> =
            placed.map(|(one, places)| Likely { kind: (one.look_ms, one.looks_for()), places }).collect();
        let recall = |(index, count): (usize, u32)| Recall { count, ..missing[index].clone() };
        let of_worker = |(worker, share): (WorkerId, BTreeMap<_, _>)| (worker, share.into_iter().map(recall).collect());
        shares(&likely).into_iter().map(of_worker).collect()
    }

    /// How many of what is wanted do not live, and can be made.
    fn missing(&self, core: &Core, wanted: &[Wanted]) -> Vec<Recall> {
        let mut living: HashMap<Of, u32> = HashMap::new();
        for (ready, count) in of_those_serving(core, core.scheduler.living_by_generation()) {
            *living.entry(of(ready)).or_default() += count;
        }
        let missing = wanted.iter().filter_map(|one| {
            let count = one.count.saturating_sub(living.get(&one.of).copied().unwrap_or_default());
            let ready = self.serving(one).filter(|_| count > 0)?;
            Some(Recall { spec: Arc::clone(&ready.spec), count, look_ms: one.look_ms })
        });
        missing.collect()
    }

    /// Takes down what is in use now.
    fn see<'a>(&self, recalls: &'a mut MutexGuard<'_, Recalls>) -> Option<&'a mut Lately> {
        let lately = recalls.lately.as_mut()?;
        lately.look(self.clock.now_ms(), self.in_use());
        Some(lately)
    }

    /// What has been in use since the last look.
    fn in_use(&self) -> InUse {
        let core = lock(&self.core);
        let now = self.clock.uptime();
        let see = |all: Vec<(Generation, u32)>| {
            let mut used: BTreeMap<Of, Seen> = BTreeMap::new();
            for (ready, count) in of_those_serving(&core, all) {
                let seen = used.entry(of(ready)).or_default();
                seen.count += count;
                // Nobody knows which tenant is the next.
                let steps = || core.scheduler.steps_of(now, ready.generation());
                seen.steps = if ready.per_tenant { None } else { steps() };
            }
            used
        };
        let made = core.made.0.iter().map(|(generation, count)| (*generation, *count)).collect();
        let (mut used, made) = (see(core.scheduler.in_use()), see(made));
        for (of, seen) in made {
            let known = used.entry(of).or_insert(seen);
            known.count = known.count.max(seen.count);
        }
        InUse(used)
    }

    /// What of it can be invoked; none where it is gone, or not ready: what becomes so is foreseen by that.
    fn serving(&self, Wanted { of: (function, version), .. }: &Wanted) -> Option<Arc<Ready>> {
        self.functions.get(function)?.version(*version)?.ready().cloned()
    }
}

/// Those that were deleted meanwhile, or deployed anew, are no more.
fn of_those_serving(core: &Core, all: Vec<(Generation, u32)>) -> impl Iterator<Item = (&Ready, u32)> {
    all.into_iter().filter_map(|(generation, count)| Some((&**core.serving.get(&generation)?, count)))
}

/// Whose environment it is.
fn of(ready: &Ready) -> Of {
    (Arc::clone(&ready.spec.function), ready.version)
}
