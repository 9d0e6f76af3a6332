//! Invokes that find no idle environment: they get a new one, or wait, or are refused.
//!
//! Who waits for room gets it in the order of asking, but for those that ask for more than there is: who fits goes. An
//! environment that has become idle is its own version's first; but once another's invoke has waited for half of the
//! time that it may, its room goes there.

use std::time::Duration;

use hearth_types::EnvironmentId;
use hearth_types::limits::ROOM_WAITERS;

use super::Scheduler;
use crate::event::{Action, Generation, InvokeId, Throttle};
use crate::time::Time;
use crate::waiting::{Turn, Waiter};

/// A shorter wait would let time stand still.
const SHORTEST_PATIENCE: Duration = Duration::from_millis(1);

impl Scheduler {
    /// An admitted invoke for which there is no idle environment.
    pub(super) fn without_idle(
        &mut self,
        now: Duration,
        invoke: InvokeId,
        generation: Generation,
        actions: &mut Vec<Action>,
    ) {
        let Some(version) = self.fleet.versions.get(generation) else { return };
        let room_mb = version.memory_mb;
        let waiter = Waiter { invoke, generation, since: now, due: now, room_mb: None };
        if self.waiting.count_of(generation) < version.settling as usize {
            self.waiting.add(Waiter { due: now + self.patience_of(generation), ..waiter });
        } else if let Err(short) = self.place(now, invoke, generation, actions) {
            if self.may_wait(now, &waiter, short) {
                self.waiting.add(Waiter { due: self.give_up_at(&waiter), room_mb: Some(room_mb), ..waiter });
            } else {
                self.refuse(&waiter, short, actions);
            }
        }
    }

    /// Whoever waited for an environment that is no more gets a new one.
    pub(super) fn replace_one(&mut self, now: Duration, generation: Generation, actions: &mut Vec<Action>) {
        let settling = self.fleet.versions.get(generation).map_or(0, |version| version.settling as usize);
        if self.waiting.count_of(generation) > settling
            && let Some(turn) = self.waiting.first_of(generation)
        {
            self.place_waiter(now, turn, actions);
        }
    }

    /// An environment is idle from now on. Who waits gets it, or its room.
    pub(super) fn hand_over(
        &mut self,
        now: Duration,
        environment: EnvironmentId,
        generation: Generation,
        actions: &mut Vec<Action>,
    ) {
        let own = self.waiting.first_of(generation);
        let pressing = self
            .waiting
            .oldest_for_room()
            .filter(|(_, waiter)| waiter.generation != generation && waiter.since + self.limits.room_wait / 2 <= now);
        let pressing = pressing.map(|(turn, _)| turn);
        if pressing.is_none() && self.assign_waiter(own, environment, actions) {
            return;
        }
        self.rest(now, environment);
        if let Some(turn) = pressing {
            self.place_waiter(now, turn, actions);
            if own.is_some()
                && let Some((idle, _)) = self.fleet.take_idle(generation)
            {
                self.assign_waiter(own, idle, actions);
            }
        }
    }

    /// Gives room that has come to be to those that wait for it.
    pub(super) fn serve_room(&mut self, now: Duration, actions: &mut Vec<Action>) {
        while self.waiting.for_room() > 0 {
            let (workers, placement) = (&self.fleet.workers, self.limits.placement);
            let fits = |room_mb| workers.place(placement, room_mb).is_ok();
            let Some(turn) = self.waiting.first_for_room(fits) else { break };
            self.place_waiter(now, turn, actions);
        }
    }

    /// Those whose patience is over get a new environment, or wait for its room; those that have done so for long enough
    /// are refused.
    pub(super) fn end_waits(&mut self, now: Duration, actions: &mut Vec<Action>) {
        while let Some(turn) = self.waiting.due(now) {
            self.place_waiter(now, turn, actions);
        }
    }

    /// A new environment for one that waits. Without room it goes on waiting, if it may.
    fn place_waiter(&mut self, now: Duration, turn: Turn, actions: &mut Vec<Action>) {
        let Some(waiter) = self.waiting.get(turn).copied() else { return };
        let Some(version) = self.fleet.versions.get(waiter.generation) else { return };
        let room_mb = version.memory_mb;
        match self.place(now, waiter.invoke, waiter.generation, actions) {
            Ok(()) => drop(self.waiting.remove(turn)),
            Err(short) if self.may_wait(now, &waiter, short) => {
                self.waiting.wait_for_room(turn, room_mb, self.give_up_at(&waiter));
            }
            Err(short) => {
                self.waiting.remove(turn);
                self.refuse(&waiter, short, actions);
            }
        }
    }

    /// Whether it was there, and has the environment now.
    fn assign_waiter(&mut self, turn: Option<Turn>, environment: EnvironmentId, actions: &mut Vec<Action>) -> bool {
        let Some(waiter) = turn.and_then(|turn| self.waiting.remove(turn)) else { return false };
        self.fleet.reuse(environment);
        actions.push(Action::Assign { invoke: waiter.invoke, environment });
        true
    }

    /// Makes a new environment for an admitted invoke, or says what it lacks.
    fn place(
        &mut self,
        now: Duration,
        invoke: InvokeId,
        generation: Generation,
        actions: &mut Vec<Action>,
    ) -> Result<(), Throttle> {
        let Some(version) = self.fleet.versions.get(generation) else { return Ok(()) };
        let (function, memory_mb) = (version.function, version.memory_mb);
        self.counting.may_scale(now, &self.limits, function)?;
        let worker = self.make_room(now, memory_mb, actions)?;
        self.counting.scaled(now, &self.limits, function);
        self.habits.made(function, now);
        let environment = self.fleet.create(generation, worker, now, &self.limits);
        actions.push(Action::Create { invoke, environment, generation, worker });
        Ok(())
    }

    fn refuse(&mut self, waiter: &Waiter, reason: Throttle, actions: &mut Vec<Action>) {
        self.release(waiter.generation);
        actions.push(Action::Throttle { invoke: waiter.invoke, reason });
    }

    /// Whether waiting may help, and it has not waited for long enough, nor have too many others.
    fn may_wait(&self, now: Duration, waiter: &Waiter, short: Throttle) -> bool {
        let comes = match short {
            // Of a worker that was lost another takes the place.
            Throttle::Memory | Throttle::Environments | Throttle::NoWorker => true,
            Throttle::AccountConcurrency
            | Throttle::ReservedConcurrency
            | Throttle::RequestRate
            | Throttle::ReservedRequestRate
            | Throttle::ScalingRate
            | Throttle::NeverFits { .. } => false,
        };
        comes && now < self.give_up_at(waiter) && (waiter.room_mb.is_some() || self.waiting.for_room() < ROOM_WAITERS)
    }

    fn give_up_at(&self, waiter: &Waiter) -> Duration {
        waiter.since + self.limits.room_wait
    }

    /// How long it is better to wait for a settling environment than to make one.
    fn patience_of(&self, generation: Generation) -> Duration {
        let first_answer = self.fleet.versions.get(generation).and_then(|version| version.first_answer).map(Time::get);
        let settle = self.limits.settle.max(SHORTEST_PATIENCE);
        first_answer.unwrap_or_default().min(self.limits.settle_max).max(settle)
    }
}
