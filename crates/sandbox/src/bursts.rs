//! How many of something are wanted at once.

use std::collections::VecDeque;
use std::time::Instant;

use hearth_types::limits::{AHEAD_BURST, AHEAD_KEEP};

/// Wants by time: each group's first one, and how many came within [`AHEAD_BURST`] of that. Those of the last
/// [`AHEAD_KEEP`] count.
#[derive(Debug, Default)]
pub struct Bursts {
    groups: VecDeque<(Instant, usize)>,
    last: Option<Instant>,
}

impl Bursts {
    /// One more is wanted.
    pub fn add(&mut self, now: Instant) {
        self.last = Some(now);
        while self.groups.front().is_some_and(|(first, _)| *first + AHEAD_KEEP <= now) {
            self.groups.pop_front();
        }
        match self.groups.back_mut() {
            Some((first, count)) if now < *first + AHEAD_BURST => *count += 1,
            _ => self.groups.push_back((now, 1)),
        }
    }

    /// From when on none counts any more, whatever the size of its group.
    #[must_use]
    pub fn until(&self) -> Option<Instant> {
        self.last.map(|last| last + AHEAD_KEEP)
    }

    /// The most that came within [`AHEAD_BURST`] of each other, or a few more: two groups that are next to each other may
    /// share one burst.
    #[must_use]
    pub fn largest(&self, now: Instant) -> usize {
        let lately = || self.groups.iter().filter(|(first, _)| now < *first + AHEAD_KEEP);
        let pairs = lately().zip(lately().skip(1)).filter(|((one, _), (next, _))| *next < *one + AHEAD_BURST * 2);
        let pairs = pairs.map(|((_, one), (_, next))| one + next);
        lately().map(|(_, count)| *count).chain(pairs).max().unwrap_or(0)
    }

    /// When [`Self::largest`] changes without anything being wanted.
    #[must_use]
    pub fn next_change(&self, now: Instant) -> Option<Instant> {
        self.groups.iter().map(|(first, _)| *first + AHEAD_KEEP).find(|end| *end > now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_largest_of_the_last_minutes_counts() {
        let (start, mut bursts) = (Instant::now(), Bursts::default());
        assert_eq!((bursts.largest(start), bursts.next_change(start), bursts.until()), (0, None, None));
        (0..5).for_each(|_| bursts.add(start));
        let later = start + AHEAD_BURST * 3;
        (0..2).for_each(|_| bursts.add(later));
        assert_eq!(bursts.largest(later), 5);
        assert_eq!(bursts.next_change(later), Some(start + AHEAD_KEEP));
        assert_eq!(bursts.largest(start + AHEAD_KEEP), 2);
        assert_eq!(bursts.next_change(start + AHEAD_KEEP), Some(later + AHEAD_KEEP));
        assert_eq!((bursts.largest(later + AHEAD_KEEP), bursts.until()), (0, Some(later + AHEAD_KEEP)));
        assert_eq!(bursts.next_change(later + AHEAD_KEEP), None);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (start, mut bursts) = (Instant::now(), Bursts::default());
        (0..10_000).for_each(|second| bursts.add(start + Duration::from_secs(second)));
        assert_eq!(bursts.groups.len() as u64, AHEAD_KEEP.as_secs() / AHEAD_BURST.as_secs());
    }

    #[test]
    fn a_burst_may_lie_across_two_groups() {
        let (start, mut bursts) = (Instant::now(), Bursts::default());
        let second = start + AHEAD_BURST + Duration::from_secs(1);
        for at in [start, start + AHEAD_BURST - Duration::from_secs(1), second, second] {
            bursts.add(at);
        }
        assert_eq!(bursts.largest(second), 4);
    }
}
