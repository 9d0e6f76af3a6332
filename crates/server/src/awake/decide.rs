//! When processors that are kept awake are let go: pure, from two counters that are looked at in even steps.

use hearth_types::limits::AWAKE_LOOKS;

/// Requests that have begun and ended since the start.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Counts {
    pub(super) begun: u64,
    pub(super) ended: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    Keep,
    LetGo,
}

/// What is known from the last look, across all times at which processors were held.
#[derive(Default, Debug)]
pub(super) struct Hold {
    last: Counts,
    /// Looks since the last request began.
    looks: u32,
    /// Of those under way, so many outlasted a hold: they wait for something, and no processor stays awake for them again.
    long: u64,
}

impl Hold {
    /// One look. Processors are kept awake while requests begin from one look to the next; after the last one until all have
    /// ended, and no longer than `AWAKE_LOOKS`.
    pub(super) fn look(&mut self, now: Counts) -> Verdict {
        // The counters are read one after the other.
        let under_way = now.begun.saturating_sub(now.ended);
        self.long = self.long.min(under_way);
        self.looks = if now.begun == self.last.begun { self.looks + 1 } else { 0 };
        self.last = now;
        if self.looks == 0 {
            return Verdict::Keep;
        }
        if under_way > self.long && self.looks < AWAKE_LOOKS {
            return Verdict::Keep;
        }
        self.long = under_way;
        Verdict::LetGo
    }

    /// Whether a request has begun since the last look.
    pub(super) fn is_behind(&self, now: Counts) -> bool {
        now.begun != self.last.begun
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(begun: u64, ended: u64) -> Counts {
        Counts { begun, ended }
    }

    /// Looks until they are let go.
    fn looks(hold: &mut Hold, now: Counts) -> u32 {
        (1..1000).find(|_| hold.look(now) == Verdict::LetGo).unwrap()
    }

    #[test]
    fn after_the_last_request_ends_they_are_let_go_at_the_next_look() {
        let mut hold = Hold::default();
        for begun in 1..100 {
            assert_eq!(hold.look(counts(begun, begun)), Verdict::Keep, "one began since the last look");
        }
        assert_eq!(hold.look(counts(99, 99)), Verdict::LetGo);
    }

    #[test]
    fn a_request_keeps_them_awake_until_it_ends_or_takes_long() {
        let mut hold = Hold::default();
        assert_eq!(looks(&mut hold, counts(1, 0)), AWAKE_LOOKS + 1);
        let mut hold = Hold::default();
        assert_eq!([hold.look(counts(1, 0)), hold.look(counts(1, 0))], [Verdict::Keep; 2]);
        assert_eq!(hold.look(counts(1, 1)), Verdict::LetGo);
    }

    #[test]
    fn a_request_that_took_long_does_not_count_beside_others() {
        let mut hold = Hold::default();
        looks(&mut hold, counts(2, 0));
        assert_eq!(looks(&mut hold, counts(3, 1)), 2, "a short one began and ended");
        assert_eq!(hold.look(counts(4, 1)), Verdict::Keep);
        assert_eq!(looks(&mut hold, counts(4, 1)), AWAKE_LOOKS, "the fourth has its time");
    }

    #[test]
    fn a_long_request_that_has_ended_leaves_its_place_to_nobody() {
        let mut hold = Hold::default();
        looks(&mut hold, counts(1, 0));
        assert_eq!(hold.look(counts(2, 1)), Verdict::Keep);
        hold.look(counts(2, 2));
        assert_eq!(looks(&mut hold, counts(3, 2)), AWAKE_LOOKS + 1);
    }

    #[test]
    fn what_begins_between_a_look_and_letting_go_is_noticed() {
        let mut hold = Hold::default();
        assert_eq!(looks(&mut hold, counts(1, 1)), 2);
        assert!(!hold.is_behind(counts(1, 1)) && hold.is_behind(counts(2, 1)));
    }
}
