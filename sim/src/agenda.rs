//! What happens when, in virtual time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use hearth_types::EnvironmentId;

/// Nanoseconds since the start of the simulation.
pub(crate) type Time = u64;

/// Nanoseconds in a second.
pub(crate) const SECOND: Time = 1_000_000_000;

/// Something that the world does at a time of its own. What is equal in time happens in this order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Happening {
    /// The environment's processes have ended.
    Vanish(EnvironmentId),
    /// The environment has answered its invoke of this function.
    Answer { function: u32, environment: EnvironmentId },
    /// The environment that has answered is ready for the next.
    Rest(EnvironmentId),
    /// The environment has been initialised, of this function.
    Init { function: u32, environment: EnvironmentId },
    /// The environment that is made without an invoke has its init behind it.
    Prepare(EnvironmentId),
    /// What is provisioned of the function changes.
    Provision(u32),
    /// The function has new code.
    Deploy(u32),
    /// The function's reservation changes.
    Reserve(u32),
    /// The workers change.
    Workers,
    /// A client calls the function.
    Arrive(u32),
}

type Entry = (Time, Happening);

/// Width of a slot; short, so that what is sorted stays in the processor's cache.
const SLOT: Time = SECOND;
/// Slots of the wheel, about an hour.
const SLOTS: u64 = 4096;

/// All that is planned, earliest first: a heap of what is in the present slot, a wheel of slots, and what lies beyond
/// its horizon. A million functions that are called once a day cost a call of a busy one nothing.
#[derive(Debug)]
pub(crate) struct Agenda {
    /// Entries of the present slot and of those before it.
    near: BinaryHeap<Reverse<Entry>>,
    /// The slot after which entries are not in `near`.
    present: u64,
    wheel: Vec<Vec<Entry>>,
    /// Entries in the wheel.
    turning: usize,
    far: Vec<Entry>,
}

impl Agenda {
    pub(crate) fn new() -> Self {
        Self {
            near: BinaryHeap::new(),
            present: 0,
            wheel: (0..SLOTS).map(|_| Vec::new()).collect(),
            turning: 0,
            far: Vec::new(),
        }
    }

    /// Plans something; what is due already comes next.
    pub(crate) fn plan(&mut self, at: Time, what: Happening) {
        let slot = at / SLOT;
        if slot <= self.present {
            self.near.push(Reverse((at, what)));
        } else if slot < self.horizon() {
            self.wheel[(slot % SLOTS) as usize].push((at, what));
            self.turning += 1;
        } else {
            self.far.push((at, what));
        }
    }

    /// When the next is due.
    pub(crate) fn next_at(&mut self) -> Option<Time> {
        self.refill();
        self.near.peek().map(|Reverse((at, _))| *at)
    }

    /// The next.
    pub(crate) fn pop(&mut self) -> Option<Entry> {
        self.refill();
        self.near.pop().map(|Reverse(entry)| entry)
    }

    /// The first slot that the wheel does not reach: it begins anew at multiples of its size.
    fn horizon(&self) -> u64 {
        (self.present / SLOTS + 1) * SLOTS
    }

    /// Goes on to the next slot that has entries.
    fn refill(&mut self) {
        while self.near.is_empty() {
            if self.turning == 0 {
                let Some(first) = self.far.iter().map(|(at, _)| at / SLOT).min() else { return };
                self.present = first;
                self.turn();
                continue;
            }
            self.present += 1;
            if self.present.is_multiple_of(SLOTS) {
                self.turn();
            }
            let mut due = std::mem::take(&mut self.wheel[(self.present % SLOTS) as usize]);
            self.turning -= due.len();
            self.near.extend(due.drain(..).map(Reverse));
            // Keeps its room for the next turn.
            self.wheel[(self.present % SLOTS) as usize] = due;
        }
    }

    /// The wheel reaches further than before: takes in what is within.
    fn turn(&mut self) {
        for (at, what) in std::mem::take(&mut self.far) {
            self.plan(at, what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Random;

    #[test]
    fn gives_what_was_planned_in_order() {
        let mut random = Random::new(3);
        for spread in [SLOT / 4, SLOT * 10, SLOT * SLOTS * 5] {
            let (mut agenda, mut naive) = (Agenda::new(), Vec::new());
            let mut now = 0;
            for turn in 0..20_000_u32 {
                if naive.is_empty() || random.one_in(2) {
                    let entry = (now + random.below(spread), Happening::Arrive(turn));
                    agenda.plan(entry.0, entry.1);
                    naive.push(entry);
                } else {
                    let first = naive.iter().copied().min().unwrap();
                    naive.retain(|entry| *entry != first);
                    assert_eq!(agenda.next_at(), Some(first.0));
                    assert_eq!(agenda.pop(), Some(first));
                    now = first.0;
                }
            }
        }
        assert_eq!(Agenda::new().pop(), None);
    }
}
