//! Admitted invokes that wait: for an environment of their version that is about to be idle, or for room for a new one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::event::{Generation, InvokeId};
use crate::ids::IdMap;

/// The place of one that waits: who asked first has the lowest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Turn(u64);

/// One that waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiter {
    pub(crate) invoke: InvokeId,
    pub(crate) generation: Generation,
    /// When it asked.
    pub(crate) since: Duration,
    /// When it is looked at again, if nothing happens before.
    pub(crate) due: Duration,
    /// MB of the room that it waits for; none: for an environment of its version.
    pub(crate) room_mb: Option<u32>,
}

/// All that wait. Each change takes time by the logarithm of their number.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    waiters: IdMap<Turn, Waiter>,
    of: IdMap<Generation, BTreeSet<Turn>>,
    /// Those that wait for room, by how much.
    for_room: BTreeMap<u32, BTreeSet<Turn>>,
    for_room_count: u32,
    due: BTreeSet<(Duration, Turn)>,
    last: u64,
}

impl Waiting {
    pub(crate) fn add(&mut self, waiter: Waiter) {
        self.last += 1;
        self.insert(Turn(self.last), waiter);
    }

    pub(crate) fn remove(&mut self, turn: Turn) -> Option<Waiter> {
        let waiter = self.waiters.remove(&turn)?;
        self.due.remove(&(waiter.due, turn));
        drop_from(&mut self.of, waiter.generation, turn);
        if let Some(room_mb) = waiter.room_mb {
            self.for_room_count -= 1;
            if let Some(turns) = self.for_room.get_mut(&room_mb) {
                turns.remove(&turn);
                if turns.is_empty() {
                    self.for_room.remove(&room_mb);
                }
            }
        }
        Some(waiter)
    }

    /// It keeps its place, and waits for room from now on.
    pub(crate) fn wait_for_room(&mut self, turn: Turn, room_mb: u32, due: Duration) {
        if let Some(waiter) = self.remove(turn) {
            self.insert(turn, Waiter { room_mb: Some(room_mb), due, ..waiter });
        }
    }

    pub(crate) fn get(&self, turn: Turn) -> Option<&Waiter> {
        self.waiters.get(&turn)
    }

    /// The first of those that wait for a version.
    pub(crate) fn first_of(&self, generation: Generation) -> Option<Turn> {
        self.of.get(&generation)?.first().copied()
    }

    /// How many wait for a version.
    pub(crate) fn count_of(&self, generation: Generation) -> usize {
        self.of.get(&generation).map_or(0, BTreeSet::len)
    }

    /// How many wait for room.
    pub(crate) fn for_room(&self) -> u32 {
        self.for_room_count
    }

    /// The first of those that wait for room of a size that is there.
    pub(crate) fn first_for_room(&self, mut is_there: impl FnMut(u32) -> bool) -> Option<Turn> {
        let sizes = self.for_room.iter().take_while(|(room_mb, _)| is_there(**room_mb));
        sizes.filter_map(|(_, turns)| turns.first().copied()).min()
    }

    /// The first of all that wait for room.
    pub(crate) fn oldest_for_room(&self) -> Option<(Turn, &Waiter)> {
        let turn = self.first_for_room(|_| true)?;
        self.get(turn).map(|waiter| (turn, waiter))
    }

    /// All that wait for a version, in order, wait no more.
    pub(crate) fn take_all(&mut self, generation: Generation) -> Vec<Waiter> {
        let turns = self.of.get(&generation).cloned().unwrap_or_default();
        turns.into_iter().filter_map(|turn| self.remove(turn)).collect()
    }

    /// One that is due.
    pub(crate) fn due(&self, now: Duration) -> Option<Turn> {
        self.due.first().filter(|(due, _)| *due <= now).map(|(_, turn)| *turn)
    }

    /// When the first is due.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.due.first().map(|(due, _)| *due)
    }

    fn insert(&mut self, turn: Turn, waiter: Waiter) {
        self.due.insert((waiter.due, turn));
        self.of.entry(waiter.generation).or_default().insert(turn);
        if let Some(room_mb) = waiter.room_mb {
            self.for_room_count += 1;
            self.for_room.entry(room_mb).or_default().insert(turn);
        }
        self.waiters.insert(turn, waiter);
    }
}

fn drop_from(of: &mut IdMap<Generation, BTreeSet<Turn>>, generation: Generation, turn: Turn) {
    let Some(turns) = of.get_mut(&generation) else { return };
    turns.remove(&turn);
    if turns.is_empty() {
        of.remove(&generation);
    }
}
