//! Provisioned concurrency: as many environments of a generation as were asked for are kept initialised.
//!
//! One that ends is made again; where its init fails, or room is short, that is tried again later, and later each time.
//! More than were asked for never live.

use std::time::Duration;

use hearth_types::EnvironmentId;
use hearth_types::limits::{PREPARED_AT_ONCE, PROVISION_RETRY, PROVISION_RETRY_MAX};

use crate::event::{Action, Generation, Purpose, StopReason, Throttle};
use crate::fleet::Phase;
use crate::scheduler::Scheduler;

/// What is provisioned of a generation.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Provisioned {
    /// How many there are to be.
    pub(crate) wanted: u32,
    /// How many there are, those that are being prepared too.
    pub(crate) living: u32,
    /// How many of them have not been initialised yet.
    pub(crate) preparing: u32,
    /// Inits that failed since one succeeded.
    pub(crate) failures: u32,
    /// Nothing is tried before this.
    pub(crate) retry_at: Duration,
    /// How many have an invoke.
    pub(crate) in_use: u32,
    /// Why the last one could not be made.
    pub(crate) short: Option<Hindrance>,
}

/// How far a generation's provisioned concurrency is.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Provision {
    /// Environments that are to be.
    pub wanted: u32,
    /// Those that have their room.
    pub allocated: u32,
    /// Those of them that are initialised.
    pub available: u32,
    /// Those of them that have an invoke.
    pub in_use: u32,
    /// What kept the last try from making one, where one is missing.
    pub hindrance: Option<Hindrance>,
}

/// Why an environment that is to be kept initialised is not there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hindrance {
    /// Its init failed, or it ended before its first invoke.
    Init,
    /// None of its size fits into any worker.
    NeverFits,
    /// There is no room at the moment.
    Room,
}

impl Provisioned {
    /// How many may be begun now: few at a time, so that invokes get their environments as well; and where init failed,
    /// one that finds out whether it still does.
    fn lacks(self, now: Duration) -> u32 {
        let at_once = if self.failures > 0 { 1 } else { PREPARED_AT_ONCE };
        let due = self.failures == 0 || self.retry_at <= now;
        if due { self.wanted.saturating_sub(self.living).min(at_once.saturating_sub(self.preparing)) } else { 0 }
    }

    fn failed(&mut self, now: Duration) {
        let wait = PROVISION_RETRY.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        self.failures += 1;
        self.retry_at = now + wait.min(PROVISION_RETRY_MAX);
    }
}

impl Scheduler {
    /// How far the provisioned concurrency of a generation is.
    #[must_use]
    pub fn provisioned(&self, generation: Generation) -> Provision {
        let provisioned = self.fleet.versions.get(&generation).map(|version| version.provisioned);
        let Provisioned { wanted, living, preparing, failures, in_use, short, .. } = provisioned.unwrap_or_default();
        let hindrance = if failures > 0 { Some(Hindrance::Init) } else { short };
        Provision { wanted, allocated: living, available: living - preparing, in_use, hindrance }
    }

    /// Whether an environment is a provisioned one.
    #[must_use]
    pub fn is_provisioned(&self, environment: EnvironmentId) -> bool {
        self.fleet.is_provisioned(environment)
    }

    pub(crate) fn provision(&mut self, now: Duration, generation: Generation, count: u32, actions: &mut Vec<Action>) {
        let Some(version) = self.fleet.versions.get_mut(&generation).filter(|version| !version.retired) else { return };
        let provisioned = &mut version.provisioned;
        (provisioned.wanted, provisioned.failures) = (count, 0);
        // Those that do least go first; a busy one goes after its invoke.
        let idle: Vec<_> = version.provisioned_idle.iter().map(|resting| resting.id).collect();
        for environment in self.fleet.preparing_provisioned(generation).into_iter().rev().chain(idle) {
            if self.fleet.has_spare(generation) {
                self.stop(environment, StopReason::Spare, actions);
            }
        }
        self.refill(now, generation, actions);
    }

    /// Makes what is missing, as far as that is possible now.
    pub(crate) fn refill(&mut self, now: Duration, generation: Generation, actions: &mut Vec<Action>) {
        let Some(version) = self.fleet.versions.get(&generation).filter(|version| version.provisioned.wanted > 0)
        else {
            self.wanting.remove(&generation);
            return;
        };
        let mut made = (0..version.provisioned.lacks(now))
            .map(|_| self.prepare(now, generation, Purpose::Provisioned, actions).map(drop));
        let short = made.find_map(Result::err).map(|short| match short {
            Throttle::NeverFits { .. } => Hindrance::NeverFits,
            _ => Hindrance::Room,
        });
        if let Some(version) = self.fleet.versions.get_mut(&generation) {
            version.provisioned.short = short;
        }
        match self.fleet.versions.get(&generation).map(|version| version.provisioned) {
            Some(it) if it.living < it.wanted && it.failures > 0 => {
                self.wanting.insert(generation, it.retry_at.max(now + PROVISION_RETRY));
            }
            Some(_) if short.is_some() => drop(self.wanting.insert(generation, now + PROVISION_RETRY)),
            _ => drop(self.wanting.remove(&generation)),
        }
    }

    /// Tries again what could not be done.
    pub(crate) fn refill_due(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let due: Vec<_> =
            self.wanting.iter().filter(|(_, at)| **at <= now).map(|(generation, _)| *generation).collect();
        for generation in due {
            self.refill(now, generation, actions);
        }
    }

    /// The init of an environment failed.
    pub(crate) fn init_failed(&mut self, now: Duration, environment: EnvironmentId) {
        self.unprepared(now, environment);
    }

    /// An environment that is being prepared will not be: the next one would most likely come to the same end.
    pub(crate) fn unprepared(&mut self, now: Duration, environment: EnvironmentId) {
        if self.fleet.phase(environment) == Some(Phase::Preparing) && !self.fleet.is_down(environment) {
            self.fleet.set_down(environment);
            self.count_failure(now, environment);
        }
    }

    /// A provisioned environment was of no use.
    pub(crate) fn count_failure(&mut self, now: Duration, environment: EnvironmentId) {
        if self.fleet.is_provisioned(environment)
            && let Some(generation) = self.fleet.generation(environment)
            && let Some(version) = self.fleet.versions.get_mut(&generation)
        {
            version.provisioned.failed(now);
        }
    }

    /// A provisioned environment is initialised.
    pub(crate) fn count_success(&mut self, environment: EnvironmentId) {
        if self.fleet.is_provisioned(environment)
            && let Some(generation) = self.fleet.generation(environment)
            && let Some(version) = self.fleet.versions.get_mut(&generation)
        {
            version.provisioned.failures = 0;
        }
    }
}
