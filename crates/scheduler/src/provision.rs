//! Provisioned concurrency: as many environments of a generation as were asked for are kept initialised.
//!
//! One that ends is made again; where its init fails, or room is short, that is tried again later, and later each time.
//! More than were asked for never live.

use std::time::Duration;

use hearth_types::EnvironmentId;
use hearth_types::limits::{PREPARED_AT_ONCE, PROVISION_RETRY, PROVISION_RETRY_MAX};

use crate::counting::Counting;
use crate::environment::Phase;
use crate::event::{Action, Generation, Purpose, StopReason, Throttle};
use crate::fleet::Version;
use crate::scheduler::Scheduler;
use crate::time::Time;

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
    pub(crate) retry_at: Time,
    /// How many have an invoke.
    pub(crate) in_use: u32,
    /// Why the last one could not be made.
    pub(crate) short: Option<Hindrance>,
    /// Invokes of the version in flight.
    pub(crate) in_flight: u32,
    /// How many more live than that: what counting knows of.
    pub(crate) spare: u32,
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
        let due = self.failures == 0 || self.retry_at.get() <= now;
        if due { self.wanted.saturating_sub(self.living).min(at_once.saturating_sub(self.preparing)) } else { 0 }
    }

    fn failed(&mut self, now: Duration) {
        let wait = PROVISION_RETRY.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        self.failures += 1;
        self.retry_at = (now + wait.min(PROVISION_RETRY_MAX)).into();
    }
}

impl Scheduler {
    /// How far the provisioned concurrency of a generation is.
    #[must_use]
    pub fn provisioned(&self, generation: Generation) -> Provision {
        let provisioned = self.fleet.versions.get(generation).map(|version| version.provisioned);
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
        let Some(version) = self.fleet.versions.get_mut(generation).filter(|version| !version.retired) else { return };
        let provisioned = &mut version.provisioned;
        (provisioned.wanted, provisioned.failures) = (count, 0);
        // Those that do least go first; a busy one goes after its invoke.
        let idle = self.fleet.provisioned_idle_of(generation);
        for environment in self.fleet.preparing_provisioned(generation).into_iter().rev().chain(idle) {
            if self.fleet.has_spare(generation) {
                self.stop(environment, StopReason::Spare, actions);
            }
        }
        self.refill(now, generation, actions);
    }

    /// Makes what is missing, as far as that is possible now.
    pub(crate) fn refill(&mut self, now: Duration, generation: Generation, actions: &mut Vec<Action>) {
        let Some(version) = self.fleet.versions.get(generation).filter(|version| version.provisioned.wanted > 0) else {
            self.wanting.remove(&generation);
            self.crowded.remove(&generation);
            return;
        };
        let mut made = (0..version.provisioned.lacks(now)).map(|_| self.prepare_provisioned(now, generation, actions));
        let short = made.find_map(Result::err);
        if short == Some(Throttle::AccountConcurrency) {
            self.crowded.insert(generation);
        } else {
            self.crowded.remove(&generation);
        }
        let short = short.map(|short| match short {
            Throttle::NeverFits { .. } => Hindrance::NeverFits,
            _ => Hindrance::Room,
        });
        if let Some(version) = self.fleet.versions.get_mut(generation) {
            version.provisioned.short = short;
        }
        match self.fleet.versions.get(generation).map(|version| version.provisioned) {
            Some(it) if it.living < it.wanted && it.failures > 0 => {
                self.wanting.insert(generation, it.retry_at.get().max(now + PROVISION_RETRY));
            }
            Some(_) if short.is_some() => drop(self.wanting.insert(generation, now + PROVISION_RETRY)),
            _ => drop(self.wanting.remove(&generation)),
        }
    }

    /// One more, where the concurrency that is left to others allows it.
    fn prepare_provisioned(
        &mut self,
        now: Duration,
        generation: Generation,
        actions: &mut Vec<Action>,
    ) -> Result<(), Throttle> {
        let Some(version) = self.fleet.versions.get(generation) else { return Ok(()) };
        let Provisioned { living, in_flight, .. } = version.provisioned;
        if living >= in_flight && !self.counting.may_hold(&self.limits, version.function) {
            return Err(Throttle::AccountConcurrency);
        }
        self.prepare(now, generation, Purpose::Provisioned, actions)?;
        self.recount(generation);
        Ok(())
    }

    /// Whether more environments of the generation are provisioned than it has invokes in flight.
    pub(crate) fn has_spare_provisioned(&self, generation: Generation) -> bool {
        self.fleet.versions.get(generation).is_some_and(|version| version.provisioned.spare > 0)
    }

    /// An invoke of the generation is in flight.
    pub(crate) fn count_in(&mut self, generation: Generation) {
        let Some(version) = self.fleet.versions.get_mut(generation) else { return };
        version.provisioned.in_flight += 1;
        recount(&mut self.counting, version);
    }

    /// An invoke of the generation is in flight no more.
    pub(crate) fn release(&mut self, generation: Generation) {
        let Some(version) = self.fleet.versions.get_mut(generation) else { return };
        version.provisioned.in_flight -= 1;
        self.counting.release(version.function);
        recount(&mut self.counting, version);
    }

    /// An environment lives no more: it is stopping, or gone.
    pub(crate) fn end(&mut self, environment: EnvironmentId) {
        if self.fleet.phase(environment) == Some(Phase::Stopping) {
            return;
        }
        self.fleet.stop(environment);
        if self.fleet.is_provisioned(environment)
            && let Some(generation) = self.fleet.generation(environment)
        {
            self.recount(generation);
        }
    }

    /// Tells counting how many provisioned environments no invoke has a claim to.
    fn recount(&mut self, generation: Generation) {
        if let Some(version) = self.fleet.versions.get_mut(generation) {
            recount(&mut self.counting, version);
        }
    }

    /// Tries again where concurrency was short: before anything else takes what is free now.
    pub(crate) fn refill_crowded(&mut self, now: Duration, actions: &mut Vec<Action>) {
        if self.crowded.is_empty() {
            return;
        }
        let crowded: Vec<_> = self.crowded.iter().copied().collect();
        for generation in crowded {
            self.refill(now, generation, actions);
        }
    }

    /// What must hold between two steps.
    #[cfg(debug_assertions)]
    pub(crate) fn check_provisioned(&self) {
        let mut spare = 0;
        for (generation, version) in self.fleet.versions.iter() {
            let Provisioned { wanted, living, preparing, in_use, in_flight, spare: told, .. } = version.provisioned;
            // Those that are one too many run an invoke, or are about to be told to go.
            assert!(living <= wanted.max(in_use + version.settling), "more of {generation:?} than wanted");
            assert!(preparing <= PREPARED_AT_ONCE, "more of {generation:?} at once");
            assert!(in_use <= in_flight, "invokes of {generation:?}");
            assert_eq!(told, living.saturating_sub(in_flight), "spare ones of {generation:?}");
            spare += told;
        }
        assert_eq!(spare, self.counting.spare(), "spare ones of all");
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
            && let Some(version) = self.fleet.versions.get_mut(generation)
        {
            version.provisioned.failed(now);
        }
    }

    /// A provisioned environment is initialised.
    pub(crate) fn count_success(&mut self, environment: EnvironmentId) {
        if self.fleet.is_provisioned(environment)
            && let Some(generation) = self.fleet.generation(environment)
            && let Some(version) = self.fleet.versions.get_mut(generation)
        {
            version.provisioned.failures = 0;
        }
    }
}

fn recount(counting: &mut Counting, version: &mut Version) {
    let provisioned = &mut version.provisioned;
    let spare = provisioned.living.saturating_sub(provisioned.in_flight);
    let before = std::mem::replace(&mut provisioned.spare, spare);
    counting.set_spare(version.function, before, spare);
}
