//! What is due when, in order. Pure.

use std::collections::{BTreeSet, HashMap};

/// Keys, each with its next time.
#[derive(Default, Debug)]
pub(crate) struct Agenda {
    by_key: HashMap<String, i64>,
    by_time: BTreeSet<(i64, String)>,
}

impl Agenda {
    /// A key is due at that time, or not at all any more.
    pub(crate) fn set(&mut self, key: &str, due_ms: Option<i64>) {
        if let Some(before) = self.by_key.remove(key) {
            self.by_time.remove(&(before, key.to_owned()));
        }
        if let Some(due_ms) = due_ms {
            self.by_key.insert(key.to_owned(), due_ms);
            self.by_time.insert((due_ms, key.to_owned()));
        }
    }

    /// What is due first.
    pub(crate) fn first(&self) -> Option<(i64, &str)> {
        self.by_time.first().map(|(due_ms, key)| (*due_ms, key.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_one_first_and_each_once() {
        let mut agenda = Agenda::default();
        for (key, due_ms) in [("a", 5), ("b", 3), ("c", 3), ("b", 9)] {
            agenda.set(key, Some(due_ms));
        }
        assert_eq!(agenda.first(), Some((3, "c")));
        agenda.set("c", None);
        assert_eq!(agenda.first(), Some((5, "a")));
        agenda.set("a", Some(10));
        assert_eq!(agenda.first(), Some((9, "b")));
        agenda.set("b", None);
        agenda.set("a", None);
        agenda.set("never", None);
        assert_eq!(agenda.first(), None);
    }
}
