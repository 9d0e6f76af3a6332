//! What is kept by ids that mostly are given out one after the other.

use std::hash::Hash;

use crate::event::{FunctionKey, Generation};
use crate::ids::IdMap;

/// An id that is one number.
pub(crate) trait Id: Copy + Eq + Hash {
    fn number(self) -> u64;
    #[cfg(debug_assertions)]
    fn of(number: u64) -> Self;
}

impl Id for Generation {
    fn number(self) -> u64 {
        self.0
    }

    #[cfg(debug_assertions)]
    fn of(number: u64) -> Self {
        Self(number)
    }
}

impl Id for FunctionKey {
    fn number(self) -> u64 {
        self.0
    }

    #[cfg(debug_assertions)]
    fn of(number: u64) -> Self {
        Self(number)
    }
}

/// So many places there are at least, once there is any.
const PLACES: usize = 32;
/// So many there may be for each id that is kept, when they are made; they stay.
const PLACES_EACH: usize = 4;

/// A map. Low ids have a place each, which one read finds; those that are high for the number of all that are kept are
/// hashed. Any id may be asked for or put in: whatever they are, there are only so many places for each that is kept.
#[derive(Clone, Debug)]
pub(crate) struct Table<K, V> {
    near: Vec<Option<V>>,
    near_count: usize,
    /// None of them has a place.
    far: IdMap<K, V>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { near: Vec::new(), near_count: 0, far: IdMap::default() }
    }
}

impl<K: Id, V> Table<K, V> {
    pub(crate) fn len(&self) -> usize {
        self.near_count + self.far.len()
    }

    pub(crate) fn contains(&self, id: K) -> bool {
        self.get(id).is_some()
    }

    pub(crate) fn get(&self, id: K) -> Option<&V> {
        match self.near.get(place(id)) {
            Some(place) => place.as_ref(),
            None => self.far.get(&id),
        }
    }

    pub(crate) fn get_mut(&mut self, id: K) -> Option<&mut V> {
        match self.near.get_mut(place(id)) {
            Some(place) => place.as_mut(),
            None => self.far.get_mut(&id),
        }
    }

    /// What is kept of an id, from now on what is made here.
    pub(crate) fn get_or_insert_with(&mut self, id: K, make: impl FnOnce() -> V) -> &mut V {
        if place(id) >= self.near.len() {
            self.make_places(id);
        }
        match self.near.get_mut(place(id)) {
            Some(place) => place.get_or_insert_with(|| {
                self.near_count += 1;
                make()
            }),
            None => self.far.entry(id).or_insert_with(make),
        }
    }

    pub(crate) fn insert(&mut self, id: K, value: V) {
        self.remove(id);
        self.get_or_insert_with(id, || value);
    }

    pub(crate) fn remove(&mut self, id: K) -> Option<V> {
        let Some(place) = self.near.get_mut(place(id)) else { return self.far.remove(&id) };
        let removed = place.take();
        self.near_count -= usize::from(removed.is_some());
        removed
    }

    /// In no order.
    #[cfg(debug_assertions)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        let near = self.near.iter().enumerate().filter_map(|(at, place)| Some((K::of(at as u64), place.as_ref()?)));
        near.chain(self.far.iter().map(|(id, value)| (*id, value)))
    }

    /// Gives places to this id and all below, if it is low enough for that. There are at least twice as many then as
    /// before, so that few ids are moved often.
    fn make_places(&mut self, id: K) {
        let places = PLACES.max(((self.len() + 1) * PLACES_EACH).next_power_of_two() / 2);
        if place(id) < places {
            self.near.resize_with(places, || None);
            let nearer: Vec<K> = self.far.keys().copied().filter(|id| place(*id) < places).collect();
            for id in nearer {
                self.near[place(id)] = self.far.remove(&id);
                self.near_count += 1;
            }
        }
    }
}

/// No table is as long as the greatest number.
fn place<K: Id>(id: K) -> usize {
    usize::try_from(id.number()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_in_order_have_places_and_few_more_than_they_need() {
        let mut table = Table::default();
        for number in 1..=100_000 {
            table.insert(Generation(number), number);
        }
        assert_eq!((table.len(), table.far.len()), (100_000, 0));
        assert!(table.near.len() <= PLACES_EACH * table.len());
    }

    #[test]
    fn ids_that_somebody_makes_up_get_no_places_beside_their_own() {
        let mut table = Table::default();
        for number in 0..1000 {
            table.insert(Generation(u64::MAX - number * 1_000_003), number);
            table.insert(Generation(1 << (number % 64)), number);
        }
        assert!(table.near.len() <= PLACES_EACH * table.len() + PLACES, "{} of {}", table.near.len(), table.len());
        assert_eq!(table.get(Generation(u64::MAX)), Some(&0));
    }

    proptest! {
        #[test]
        fn is_a_map(moves in prop::collection::vec((0_u8..4, prop_oneof![0_u64..40, 0_u64..400, any::<u64>()], 0_u32..9), 0..400)) {
            let (mut table, mut map) = (Table::default(), BTreeMap::new());
            for (what, number, value) in moves {
                let id = FunctionKey(number);
                match what {
                    0 => {
                        table.insert(id, value);
                        map.insert(id, value);
                    }
                    1 => prop_assert_eq!(table.remove(id), map.remove(&id)),
                    2 => prop_assert_eq!(table.get_or_insert_with(id, || value), map.entry(id).or_insert(value)),
                    _ => prop_assert_eq!(table.get_mut(id), map.get_mut(&id)),
                }
                prop_assert_eq!((table.get(id), table.contains(id)), (map.get(&id), map.contains_key(&id)));
                prop_assert_eq!(table.len(), map.len());
            }
            prop_assert_eq!(table.iter().map(|(id, value)| (id, *value)).collect::<BTreeMap<_, _>>(), map);
        }
    }
}
