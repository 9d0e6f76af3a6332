//! The idle environments, by when they go and by what is lost with them.
//!
//! A busy function's environments become idle thousands of times a second, and hardly ever is any of them the next to
//! go. So what is noted of an environment stays when it is used, and is looked at when its time has come: most calls
//! change nothing here.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use hearth_types::EnvironmentId;

use crate::environment::{Environment, Noted, Phase, Rest};
use crate::fleet::Fleet;
use crate::ids::IdMap;
use crate::keep_alive::{Loss, Rank};
use crate::placement::Use;
use crate::time::Time;

/// Beside so many for each environment, notes that do not hold any more are thrown away.
const NOTES_EACH: usize = 2;
/// So few are always kept.
const NOTES_KEPT: usize = 64;

/// Something to be done with an environment; of what is equal in time, by turn.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Note {
    at: Time,
    turn: u64,
    id: EnvironmentId,
}

/// Notes, the earliest first. Those that do not hold any more are among them.
#[derive(Debug, Default)]
struct Notes(BinaryHeap<Reverse<Note>>);

impl Notes {
    fn first(&self) -> Option<Note> {
        self.0.peek().map(|Reverse(note)| *note)
    }

    /// Adds one. `holds` tells of which of the others are still needed: at most one for each environment.
    fn add(&mut self, note: Note, environments: &IdMap<EnvironmentId, Environment>, holds: fn(&Noted, Time) -> bool) {
        if self.0.len() > NOTES_EACH * environments.len() + NOTES_KEPT {
            self.0.retain(|Reverse(note)| environments.get(&note.id).is_some_and(|one| holds(&one.noted, note.at)));
        }
        self.0.push(Reverse(note));
    }
}

/// What is noted of environments.
#[derive(Debug, Default)]
pub(crate) struct Idle {
    /// When they go. The first is that of an idle environment, and exact; of others, and of those that have been used since,
    /// it may be too early.
    ends: Notes,
    /// When it is to be found out anew what is lost with those that are ranked.
    looks: Notes,
    /// Those of which it is to be found out first.
    unranked: Vec<EnvironmentId>,
    last_turn: u64,
}

impl Idle {
    /// When the first one goes.
    pub(crate) fn first_end(&self) -> Option<Duration> {
        self.ends.first().map(|note| note.at.get())
    }

    /// One whose time has come.
    pub(crate) fn ended(&self, now: Duration) -> Option<EnvironmentId> {
        self.ends.first().filter(|note| note.at.get() <= now).map(|note| note.id)
    }
}

impl Fleet {
    /// How an idle environment stands.
    pub(crate) fn resting(&self, id: EnvironmentId) -> Option<Rest> {
        self.environment(id).filter(|one| one.phase == Phase::Idle).map(|one| one.rest)
    }

    /// Settling, or preparing, to idle. It goes at `end`, if not before. `since`: since when its worth is counted. What is
    /// lost with it is found out when room is short.
    pub(crate) fn rest(&mut self, id: EnvironmentId, since: Duration, end: Duration) {
        let end = Time::from(end);
        self.idle.last_turn += 1;
        let turn = self.idle.last_turn;
        let Some(environment) = self.environments.get_mut(&id) else { return };
        environment.rest = Rest { since: since.into(), end, rank: Rank { loss: Loss::default(), turn } };
        environment.ranked = false;
        let is_noted = environment.noted.end.is_some_and(|noted| noted <= end);
        let is_to_rank = !environment.provisioned && !std::mem::replace(&mut environment.unranked, true);
        if !is_noted {
            environment.noted.end = Some(end);
            self.idle.ends.add(Note { at: end, turn, id }, &self.environments, |noted, at| noted.end == Some(at));
        }
        if is_to_rank {
            self.note_unranked(id);
        }
        self.set(id, Phase::Idle);
    }

    fn note_unranked(&mut self, id: EnvironmentId) {
        if self.idle.unranked.len() > NOTES_EACH * self.environments.len() + NOTES_KEPT {
            self.idle.unranked.retain(|id| self.environments.contains_key(id));
        }
        self.idle.unranked.push(id);
    }

    /// The environment is idle no more: the first end is that of another one.
    pub(crate) fn woke(&mut self, id: EnvironmentId) {
        if self.idle.ends.first().is_none_or(|note| note.id != id) {
            return;
        }
        while let Some(note) = self.idle.ends.first() {
            let noted = self.environments.get_mut(&note.id).filter(|one| one.noted.end == Some(note.at));
            let later = match noted {
                Some(one) if one.phase == Phase::Idle => {
                    let (end, turn) = (one.rest.end, one.rest.rank.turn);
                    if (end, turn) == (note.at, note.turn) {
                        return;
                    }
                    one.noted.end = Some(end);
                    Some(Note { at: end, turn, ..note })
                }
                Some(one) => {
                    one.noted.end = None;
                    None
                }
                None => None,
            };
            self.idle.ends.0.pop();
            self.idle.ends.0.extend(later.map(Reverse));
        }
    }

    /// An idle environment of which it is to be found out what is lost with it; see [`Self::value`].
    pub(crate) fn outdated(&mut self, now: Duration) -> Option<EnvironmentId> {
        while let Some(id) = self.idle.unranked.pop() {
            let Some(environment) = self.environments.get_mut(&id) else { continue };
            environment.unranked = false;
            if environment.phase == Phase::Idle {
                return Some(id);
            }
        }
        while let Some(note) = self.idle.looks.first().filter(|note| note.at.get() <= now) {
            self.idle.looks.0.pop();
            let noted = self.environments.get_mut(&note.id).filter(|one| one.noted.look == Some(note.at));
            let Some(environment) = noted else { continue };
            environment.noted.look = None;
            if environment.phase == Phase::Idle && environment.ranked {
                return Some(note.id);
            }
        }
        None
    }

    /// What is lost with an idle environment, until `look`.
    pub(crate) fn value(&mut self, id: EnvironmentId, (loss, look): (Loss, Option<Duration>)) {
        let Some(environment) = self.environments.get_mut(&id).filter(|one| one.phase == Phase::Idle) else { return };
        let Some(version) = self.versions.get(environment.generation) else { return };
        let before = environment.rest.rank;
        let was_ranked = std::mem::replace(&mut environment.ranked, true);
        let rank = Rank { loss, ..before };
        let look = look.map(Time::from);
        environment.rest.rank = rank;
        environment.noted.look = look;
        let worker = environment.worker;
        if let Some(at) = look {
            let note = Note { at, turn: rank.turn, id };
            self.idle.looks.add(note, &self.environments, |noted, at| noted.look == Some(at));
        }
        self.workers.count(worker, id, version.memory_mb, Use::Ranked { before: was_ranked.then_some(before), rank });
    }

    /// Idle environments of a worker, but for the provisioned ones, in the order in which they would go for others.
    pub(crate) fn idle_on(&self, worker: crate::WorkerId) -> Vec<EnvironmentId> {
        let is_one = |one: &Environment| one.worker == worker && one.phase == Phase::Idle && !one.provisioned;
        let on_it = self.environments.iter().filter(|(_, one)| is_one(one));
        let mut all: Vec<_> = on_it.map(|(id, one)| (one.rest.rank, *id)).collect();
        all.sort_unstable();
        all.into_iter().map(|(_, id)| id).collect()
    }

    /// What must hold between two steps.
    #[cfg(debug_assertions)]
    pub(crate) fn check_idle(&self) {
        let is_idle = |one: &&Environment| one.phase == Phase::Idle;
        let ends = self.environments.iter().filter(|(_, one)| is_idle(one));
        let first = ends.map(|(id, one)| Note { at: one.rest.end, turn: one.rest.rank.turn, id: *id }).min();
        assert_eq!(self.idle.ends.first(), first, "the first end is exact");
        for (id, one) in self.environments.iter().filter(|(_, one)| is_idle(one)) {
            assert!(one.noted.end.is_some_and(|noted| noted <= one.rest.end), "the end of {id} is noted");
            assert!(one.provisioned || one.ranked || one.unranked, "{id} stands somewhere");
        }
        // One pass each: this runs after each step of a test.
        let wanted = |has: fn(&Environment) -> bool| self.environments.values().filter(|one| has(one)).count();
        let unranked =
            self.idle.unranked.iter().filter_map(|id| self.environments.get(id)).filter(|one| one.unranked).count();
        assert_eq!(unranked, wanted(|one| one.unranked), "those that are to be ranked are kept");
        let look_of = |id| self.environments.get(id).and_then(|one| one.noted.look);
        let looks = self.idle.looks.0.iter().filter(|Reverse(note)| look_of(&note.id) == Some(note.at)).count();
        assert!(looks >= wanted(|one| one.noted.look.is_some()), "what is to be looked at is kept");
    }
}
