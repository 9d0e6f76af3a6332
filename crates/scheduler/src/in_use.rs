//! Which environments are in use, for who remembers it.

use std::time::Duration;

use hearth_types::limits::LATELY_VERSIONS;

use crate::environment::{Environment, Phase};
use crate::event::Generation;
use crate::fleet::Fleet;
use crate::ids::IdMap;

/// Since when somebody looks, and what was in use since then though it lives no more: it may have gone with its worker.
#[derive(Debug, Default)]
pub(crate) struct Look {
    since: Duration,
    ended: IdMap<Generation, u32>,
}

impl Environment {
    /// Whether it has had an invoke since then, and is not provisioned.
    fn is_used_since(&self, since: Duration) -> bool {
        let has_had_one = match self.phase {
            Phase::Busy | Phase::Settling => true,
            Phase::Idle => !self.unused && self.rest.since.get() >= since,
            Phase::Preparing | Phase::Stopping => false,
        };
        has_had_one && !self.provisioned
    }
}

impl Look {
    /// This environment is about to be told to go, or has gone.
    pub(crate) fn ends(&mut self, environment: &Environment) {
        let is_known = self.ended.len() < LATELY_VERSIONS || self.ended.contains_key(&environment.generation);
        if is_known && environment.is_used_since(self.since) {
            *self.ended.entry(environment.generation).or_default() += 1;
        }
    }
}

impl Fleet {
    /// How many of each generation have had an invoke since the last look, of those that are not provisioned: of those that
    /// live, or of those that ended, whichever are more.
    pub(crate) fn in_use(&self) -> Vec<(Generation, u32)> {
        let mut used: IdMap<Generation, u32> = IdMap::default();
        for environment in self.environments.values().filter(|one| one.is_used_since(self.look.since)) {
            *used.entry(environment.generation).or_default() += 1;
        }
        for (generation, ended) in &self.look.ended {
            let known = used.entry(*generation).or_default();
            *known = (*known).max(*ended);
        }
        let mut all: Vec<_> = used.into_iter().collect();
        all.sort_unstable();
        all
    }

    /// How many of each generation live.
    pub(crate) fn living_by_generation(&self) -> Vec<(Generation, u32)> {
        let mut living: IdMap<Generation, u32> = IdMap::default();
        for environment in self.environments.values().filter(|one| one.phase != Phase::Stopping) {
            *living.entry(environment.generation).or_default() += 1;
        }
        living.into_iter().collect()
    }

    /// That was looked at; what comes from now on is of the next look.
    pub(crate) fn looked(&mut self, now: Duration) {
        self.look = Look { since: now, ended: IdMap::default() };
    }
}
