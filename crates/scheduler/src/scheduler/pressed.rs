//! A machine on which more is to run than its processors get through: of one version only as many invokes run at a time as
//! keep them busy, and who comes then waits for one of these. Run at once they would take turns on the processors, each with
//! its caches cold, and the last of them would be done later. They count as in flight while they wait. Where they do not
//! get on meanwhile, because they wait for something else than a processor, none is held back for a while.

use std::time::Duration;

use hearth_types::limits::PRESSED_WAIT_MAX;

use super::Scheduler;
use crate::event::{Action, Generation, InvokeId};
use crate::waiting::{Turn, Waiter};

/// How long one waits before it is looked whether others get on.
const PATIENCE: Duration = Duration::from_millis(10);

/// How often each of those that run is to be answered meanwhile: what takes longer waits for something else, too, and
/// more of it may run at a time.
const TURNS: u32 = 4;

impl Scheduler {
    /// Whether one more invoke of a version waits although it could have an environment. First invokes of environments are
    /// not among those that run.
    pub(super) fn is_held(&self, now: Duration, generation: Generation) -> bool {
        let (Some(at_once), Some(version)) = (self.limits.pressed_at_once, self.fleet.versions.get(&generation)) else {
            return false;
        };
        self.pressed && version.running >= at_once && version.pace.may_wait(now)
    }

    /// An admitted invoke waits for one that runs.
    pub(super) fn hold(&mut self, now: Duration, invoke: InvokeId, generation: Generation) {
        self.keep_held(now, generation);
        self.waiting.add(Waiter { invoke, generation, since: now, due: now + PATIENCE, room_mb: None });
    }

    /// Some of this generation may wait beside an idle environment.
    pub(super) fn keep_held(&mut self, now: Duration, generation: Generation) {
        if self.held.insert(generation)
            && let Some(version) = self.fleet.versions.get_mut(&generation)
        {
            version.pace.begin(now);
        }
    }

    /// Those that were held back get the environments that are idle, as soon as they may.
    pub(super) fn let_go_on(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let held: Vec<_> = self.held.iter().copied().collect();
        for generation in held {
            while !self.is_held(now, generation)
                && let Some(turn) = self.waiting.first_of(generation)
                && let Some((idle, _)) = self.fleet.take_idle(generation)
            {
                self.assign_waiter(Some(turn), idle, actions);
            }
            if self.waiting.count_of(generation) == 0 {
                self.held.remove(&generation);
            }
        }
    }

    /// Whether one whose patience is over waits on, because others are answered meanwhile.
    pub(super) fn waits_on(&mut self, now: Duration, turn: Turn) -> bool {
        let Some(waiter) = self.waiting.get(turn).copied() else { return false };
        let generation = waiter.generation;
        let held = waiter.room_mb.is_none() && self.held.contains(&generation) && self.is_held(now, generation);
        let (true, Some(version)) = (held, self.fleet.versions.get_mut(&generation)) else { return false };
        let least = self.limits.pressed_at_once.unwrap_or(u32::MAX).saturating_mul(TURNS);
        let goes_on = version.pace.goes_on(now, PATIENCE, least) && now < waiter.since + PRESSED_WAIT_MAX;
        if goes_on {
            self.waiting.put_off(turn, now + PATIENCE);
        }
        goes_on
    }
}
