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

/// Nanoseconds of a slot of the fine wheel, as a power of two: a millisecond, so that what is sorted at once stays in the
/// processor's cache.
const FINE: u32 = 20;
/// Slots of a wheel, as a power of two: few, so that where the next entry of each goes is in that cache as well. Once around
/// the fine one is a slot of the coarse one, a second; once around that is a quarter of an hour.
const SLOTS: u32 = 10;
/// So many are told of before they come.
const TOLD: usize = 32;

/// Entries by slot, and which slots have any.
#[derive(Debug)]
struct Wheel {
    slots: Vec<Vec<Entry>>,
    filled: [u64; (1 << SLOTS) / 64],
}

impl Wheel {
    fn new() -> Self {
        Self { slots: (0..1 << SLOTS).map(|_| Vec::new()).collect(), filled: [0; (1 << SLOTS) / 64] }
    }

    fn add(&mut self, slot: u64, entry: Entry) {
        let slot = slot as usize % (1 << SLOTS);
        self.slots[slot].push(entry);
        self.filled[slot / 64] |= 1 << (slot % 64);
    }

    /// The first slot after this one, in this turn of the wheel, that has entries; it is to be emptied.
    fn after(&mut self, slot: u64) -> Option<u64> {
        let next = slot as usize % (1 << SLOTS) + 1;
        let mut word = next / 64;
        let mut filled = self.filled.get(word)? & (u64::MAX << (next % 64));
        while filled == 0 {
            word += 1;
            filled = *self.filled.get(word)?;
        }
        let found = word * 64 + filled.trailing_zeros() as usize;
        self.filled[word] &= !(1 << (found % 64));
        Some(found as u64)
    }
}

/// All that is planned, earliest first: what is in the present slot, two wheels of slots, and what lies beyond them. A
/// million functions that are called once a day cost a call of a busy one nothing.
#[derive(Debug)]
pub(crate) struct Agenda {
    /// What the present slot had when it came, the next one last.
    due: Vec<Entry>,
    /// So many of them have not been told of.
    untold: usize,
    /// What has been planned since within it, or before.
    late: BinaryHeap<Reverse<Entry>>,
    /// The fine slot after which entries are in neither of them.
    present: u64,
    fine: Wheel,
    coarse: Wheel,
    far: Vec<Entry>,
}

impl Agenda {
    pub(crate) fn new() -> Self {
        Self {
            due: Vec::new(),
            untold: 0,
            late: BinaryHeap::new(),
            present: 0,
            fine: Wheel::new(),
            coarse: Wheel::new(),
            far: Vec::new(),
        }
    }

    /// Plans something; what is due already comes next.
    pub(crate) fn plan(&mut self, at: Time, what: Happening) {
        let slot = at >> FINE;
        if slot <= self.present {
            self.late.push(Reverse((at, what)));
        } else if slot >> SLOTS == self.present >> SLOTS {
            self.fine.add(slot, (at, what));
        } else if slot >> (2 * SLOTS) == self.present >> (2 * SLOTS) {
            self.coarse.add(slot >> SLOTS, (at, what));
        } else {
            self.far.push((at, what));
        }
    }

    /// When the next is due.
    pub(crate) fn next_at(&mut self) -> Option<Time> {
        self.refill();
        let late = self.late.peek().map(|Reverse((at, _))| *at);
        self.due.last().map(|(at, _)| *at).into_iter().chain(late).min()
    }

    /// What comes next, the next one last: some of what the present slot had when it came, each told once. Nothing while
    /// there is any that has been told and has not come.
    pub(crate) fn foretell(&mut self) -> &[Entry] {
        if self.due.len() > self.untold {
            return &[];
        }
        self.untold = self.due.len().saturating_sub(TOLD);
        &self.due[self.untold..]
    }

    /// The next.
    pub(crate) fn pop(&mut self) -> Option<Entry> {
        self.refill();
        let late = self.late.peek().map(|Reverse(entry)| entry);
        if late.is_some_and(|late| self.due.last().is_none_or(|due| late < due)) {
            return self.late.pop().map(|Reverse(entry)| entry);
        }
        self.due.pop()
    }

    /// Goes on to the next slot that has entries.
    fn refill(&mut self) {
        while self.due.is_empty() && self.late.is_empty() {
            if let Some(slot) = self.fine.after(self.present) {
                self.present = self.present >> SLOTS << SLOTS | slot;
                // The slot gets the room that this one had.
                std::mem::swap(&mut self.due, &mut self.fine.slots[slot as usize]);
                self.due.sort_unstable_by(|one, other| other.cmp(one));
                self.untold = self.due.len();
            } else if let Some(slot) = self.coarse.after(self.present >> SLOTS) {
                self.present = (self.present >> (2 * SLOTS) << SLOTS | slot) << SLOTS;
                // Its room goes with it: it is not needed soon, and that of all slots would be gigabytes.
                for (at, what) in std::mem::take(&mut self.coarse.slots[slot as usize]) {
                    self.plan(at, what);
                }
            } else if let Some(first) = self.far.iter().map(|(at, _)| at >> FINE).min() {
                self.present = first >> SLOTS << SLOTS;
                for (at, what) in std::mem::take(&mut self.far) {
                    self.plan(at, what);
                }
            } else {
                return;
            }
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
        for spread in [1 << (FINE - 2), 10 << FINE, 3 << (FINE + SLOTS), 5 << (FINE + 2 * SLOTS)] {
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

    #[test]
    fn tells_once_of_all_that_a_slot_had_when_it_came() {
        let (mut agenda, mut random, mut told, mut come) = (Agenda::new(), Random::new(4), Vec::new(), 0);
        for turn in 0..1000_u32 {
            agenda.plan((1 << FINE) + random.below(5 << FINE), Happening::Arrive(turn));
        }
        while agenda.next_at().is_some() {
            told.extend_from_slice(agenda.foretell());
            let next = agenda.pop().unwrap();
            come += 1;
            assert!(told.contains(&next), "{next:?} comes untold");
            assert!(told.len() < come + TOLD, "no more than are of use");
        }
        assert_eq!((told.len(), come), (1000, 1000));
    }
}
