//! What each month came to, and what of it is not written yet. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hearth_metrics::Amounts;

use crate::month::Month;

/// What is known of the present month, and of the counters.
#[derive(Debug)]
pub(crate) struct Book {
    month: Month,
    /// Of the present month, by name.
    totals: BTreeMap<Arc<str>, Amounts>,
    /// How far each counter has been read.
    seen: BTreeMap<Arc<str>, Amounts>,
    /// What has grown since it was last written.
    unwritten: BTreeSet<(Month, Arc<str>)>,
    /// Past months that are not written to their end.
    past: BTreeMap<(Month, Arc<str>), Amounts>,
}

impl Book {
    /// A month as it was written.
    pub(crate) fn new(month: Month, totals: impl IntoIterator<Item = (Arc<str>, Amounts)>) -> Self {
        Self {
            month,
            totals: totals.into_iter().collect(),
            seen: BTreeMap::new(),
            unwritten: BTreeSet::new(),
            past: BTreeMap::new(),
        }
    }

    /// Reads the counters: what they have grown by since belongs to this month.
    pub(crate) fn read(&mut self, month: Month, counters: impl IntoIterator<Item = (Arc<str>, Amounts)>) {
        // A clock that was set back does not open a month again.
        let month = month.max(self.month);
        if month != self.month {
            let open = |(name, amounts)| ((self.month, name), amounts);
            let unwritten = std::mem::take(&mut self.totals).into_iter().map(open);
            self.past.extend(unwritten.filter(|(key, _)| self.unwritten.contains(key)));
            self.month = month;
        }
        for (name, now) in counters {
            let grown = now.since(self.seen.get(&name).copied().unwrap_or_default());
            if grown.is_nothing() {
                continue;
            }
            let total = self.totals.entry(Arc::clone(&name)).or_default();
            *total = total.and(grown);
            self.unwritten.insert((month, Arc::clone(&name)));
            self.seen.insert(name, now);
        }
    }

    /// Up to `most` of what is to be written, each as it is to be.
    pub(crate) fn to_write(&self, most: usize) -> Vec<(Month, Arc<str>, Amounts)> {
        let amounts = |key: &(Month, Arc<str>)| {
            let of_present = || (key.0 == self.month).then(|| self.totals.get(&key.1)).flatten();
            self.past.get(key).or_else(of_present).copied().unwrap_or_default()
        };
        let keys = self.unwritten.iter().take(most);
        keys.map(|key| (key.0, Arc::clone(&key.1), amounts(key))).collect()
    }

    /// What was to be written is, as it was then.
    pub(crate) fn written(&mut self, what: &[(Month, Arc<str>, Amounts)]) {
        for (month, name, amounts) in what {
            let key = (*month, Arc::clone(name));
            let now = if *month == self.month { self.totals.get(name) } else { self.past.get(&key) };
            if now == Some(amounts) {
                self.unwritten.remove(&key);
                self.past.remove(&key);
            }
        }
    }

    pub(crate) fn unwritten(&self) -> usize {
        self.unwritten.len()
    }

    pub(crate) fn month(&self) -> Month {
        self.month
    }

    pub(crate) fn totals(&self) -> &BTreeMap<Arc<str>, Amounts> {
        &self.totals
    }

    /// How far a counter has been read.
    pub(crate) fn seen(&self, name: &str) -> Option<Amounts> {
        self.seen.get(name).copied()
    }

    /// Counters that are no more: one of the same name begins anew.
    pub(crate) fn forget(&mut self, names: &[Arc<str>]) {
        for name in names {
            self.seen.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(requests: u64) -> Amounts {
        Amounts { requests, ..Amounts::default() }
    }

    fn shown(what: &[(Month, Arc<str>, Amounts)]) -> Vec<(String, String, u64)> {
        what.iter().map(|(month, name, amounts)| (month.to_string(), name.to_string(), amounts.requests)).collect()
    }

    fn line(month: &str, name: &str, requests: u64) -> (String, String, u64) {
        (month.to_owned(), name.to_owned(), requests)
    }

    #[test]
    fn what_grows_is_added_to_what_was_and_written_once() {
        let month: Month = "2026-11".parse().unwrap();
        let mut book = Book::new(month, [("f".into(), used(10))]);
        book.read(month, [("f".into(), used(2)), ("g".into(), used(0))]);
        let first = book.to_write(9);
        assert_eq!(shown(&first), [line("2026-11", "f", 12)]);
        book.read(month, [("f".into(), used(3))]);
        book.written(&first);
        let second = book.to_write(9);
        assert_eq!(shown(&second), [line("2026-11", "f", 13)], "it grew while it was written");
        book.written(&second);
        book.read(month, [("f".into(), used(3))]);
        assert!(book.to_write(9).is_empty());
        book.forget(&["f".into()]);
        book.read(month, [("f".into(), used(1))]);
        assert_eq!(shown(&book.to_write(9)), [line("2026-11", "f", 14)]);
    }

    #[test]
    fn a_month_is_written_to_its_end() {
        let (november, december): (Month, Month) = ("2026-11".parse().unwrap(), "2026-12".parse().unwrap());
        let mut book = Book::new(november, []);
        book.read(november, [("f".into(), used(2))]);
        book.read(december, [("f".into(), used(5))]);
        let all = book.to_write(9);
        assert_eq!(shown(&all), [line("2026-11", "f", 2), line("2026-12", "f", 3)]);
        assert_eq!(shown(&book.to_write(1)).len(), 1);
        book.written(&all);
        assert!(book.to_write(9).is_empty() && book.past.is_empty());
    }
}
