//! Which runtimes are worth starting ahead, from what was wanted lately. Decides only: time is given, nothing is done.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hearth_types::limits::{AHEAD_CALM, AHEAD_KEEP, AHEAD_KINDS, AHEAD_LOOK, AHEAD_RECENT, AHEAD_REST};

/// What was wanted, by kind of start.
pub(crate) struct Forecast<K> {
    /// Runtimes that may wait at a time.
    most: usize,
    /// The one wanted last comes first.
    demands: Vec<Demand<K>>,
    /// When the function that got a runtime last will be through with its beginning. None where the last one got none:
    /// then whatever can be started is late already.
    calm_from: Option<Instant>,
}

struct Demand<K> {
    kind: K,
    last: Instant,
    /// The latest last; no more than could wait.
    wanted: VecDeque<Instant>,
    /// After a failure.
    rests_until: Option<Instant>,
}

/// A runtime that waits or will.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct There<'a, K> {
    pub(crate) kind: &'a K,
    pub(crate) ready: bool,
}

/// What to do next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Step<K> {
    Start(K),
    /// One of these that wait.
    End(K),
    /// Nothing until something happens, or so much time has passed.
    Wait(Option<Duration>),
}

impl<K: Clone + PartialEq> Forecast<K> {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, demands: Vec::new(), calm_from: None }
    }

    /// A function of this kind starts; whether one was ready for it.
    pub(crate) fn wanted(&mut self, kind: &K, now: Instant, met: bool) {
        self.calm_from = met.then_some(now + AHEAD_CALM);
        let known = self.demands.iter().position(|demand| demand.kind == *kind);
        let mut demand = match known {
            Some(at) => self.demands.remove(at),
            None => Demand { kind: kind.clone(), last: now, wanted: VecDeque::new(), rests_until: None },
        };
        demand.last = now;
        demand.wanted.push_back(now);
        if demand.wanted.len() > self.most.max(1) {
            demand.wanted.pop_front();
        }
        self.demands.insert(0, demand);
        self.demands.truncate(AHEAD_KINDS);
    }

    /// One of this kind could not be started ahead, or ended while it waited.
    pub(crate) fn failed(&mut self, kind: &K, now: Instant) {
        if let Some(demand) = self.demands.iter_mut().find(|demand| demand.kind == *kind) {
            demand.rests_until = Some(now + AHEAD_REST);
        }
    }

    /// What to do, where these are there and the machine has memory for `room` of them.
    pub(crate) fn step(&self, now: Instant, there: &[There<'_, K>], room: usize) -> Step<K> {
        let budget = self.most.min(room);
        let targets = self.targets(now, budget);
        let target = |kind: &K| targets.iter().find(|(demand, _)| demand.kind == *kind).map_or(0, |(_, count)| *count);
        let count = |kind: &K| there.iter().filter(|one| one.kind == kind).count();
        let surplus = there.iter().rev().find(|one| one.ready && count(one.kind) > target(one.kind));
        let unwanted = there.iter().find(|one| one.ready && target(one.kind) == 0);
        if let Some(one) = unwanted.or(surplus.filter(|_| there.len() > budget)) {
            return Step::End(one.kind.clone());
        }
        let rests = |demand: &Demand<K>| demand.rests_until.is_some_and(|until| until > now);
        let lacking = targets.iter().find(|(demand, target)| count(&demand.kind) < *target && !rests(demand));
        match (lacking, surplus) {
            // One after the other: whoever starts a function now has the machine's processors for himself but for one.
            (Some(_), _) if there.iter().any(|one| !one.ready) => Step::Wait(None),
            (Some(_), _) if self.calm_from.is_some_and(|calm| calm > now) => {
                Step::Wait(self.calm_from.map(|calm| calm.saturating_duration_since(now)))
            }
            (Some((demand, _)), _) if there.len() < budget => Step::Start(demand.kind.clone()),
            (Some(_), Some(one)) => Step::End(one.kind.clone()),
            _ => Step::Wait(self.patience(now, there)),
        }
    }

    /// How many of each kind there should be: one of each, then more of those wanted most lately.
    fn targets(&self, now: Instant, budget: usize) -> Vec<(&Demand<K>, usize)> {
        let kept = self.demands.iter().filter(|demand| now < demand.until());
        let mut targets: Vec<_> = kept.take(budget).map(|demand| (demand, 1)).collect();
        let mut left = budget - targets.len();
        for (demand, target) in &mut targets {
            let recent = demand.wanted.iter().filter(|at| now.saturating_duration_since(**at) < AHEAD_RECENT).count();
            let more = recent.saturating_sub(1).min(left);
            *target += more;
            left -= more;
        }
        targets
    }

    /// Until time alone changes something.
    fn patience(&self, now: Instant, there: &[There<'_, K>]) -> Option<Duration> {
        let ends = self.demands.iter().filter(|demand| there.iter().any(|one| *one.kind == demand.kind));
        // One whose time is over is ended by a step as soon as it is ready: nothing to wait for.
        let ends = ends.map(Demand::until).filter(|until| *until > now);
        let rests = self.demands.iter().filter_map(|demand| demand.rests_until).filter(|until| *until > now);
        let look = (!there.is_empty()).then_some(now + AHEAD_LOOK);
        ends.chain(rests).chain(look).min().map(|when| when.saturating_duration_since(now))
    }
}

impl<K> Demand<K> {
    /// When nothing of its kind waits any more.
    fn until(&self) -> Instant {
        self.last + AHEAD_KEEP
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Kinds = Forecast<&'static str>;

    /// Does what it says until it waits, all starts succeeding: what is there then.
    fn settle(forecast: &Kinds, now: Instant, mut there: Vec<&'static str>, room: usize) -> Vec<&'static str> {
        for _ in 0..100 {
            let known: Vec<_> = there.iter().map(|kind| There { kind, ready: true }).collect();
            match forecast.step(now, &known, room) {
                Step::Start(kind) => there.push(kind),
                Step::End(kind) => {
                    let at = there.iter().position(|one| *one == kind).unwrap();
                    there.remove(at);
                }
                Step::Wait(_) => {
                    there.sort_unstable();
                    return there;
                }
            }
        }
        panic!("it never comes to rest: {there:?}");
    }

    fn wanted(most: usize, now: Instant, kinds: &[&'static str]) -> Kinds {
        let mut forecast = Forecast::new(most);
        kinds.iter().for_each(|kind| forecast.wanted(kind, now, false));
        forecast
    }

    #[test]
    fn nothing_waits_before_something_was_wanted_or_where_nothing_may() {
        let now = Instant::now();
        assert_eq!(settle(&wanted(8, now, &[]), now, vec![], 8), [""; 0]);
        assert_eq!(settle(&wanted(0, now, &["p"]), now, vec![], 8), [""; 0]);
        assert_eq!(settle(&wanted(8, now, &["p"]), now, vec![], 0), [""; 0]);
        assert_eq!(wanted(8, now, &[]).step(now, &[], 8), Step::Wait(None));
    }

    #[test]
    fn as_many_wait_as_were_wanted_within_the_bounds() {
        let now = Instant::now();
        assert_eq!(settle(&wanted(8, now, &["p"]), now, vec![], 8), ["p"]);
        assert_eq!(settle(&wanted(8, now, &["p", "p", "n"]), now, vec![], 8), ["n", "p", "p"]);
        assert_eq!(settle(&wanted(4, now, &["p"; 100]), now, vec![], 8), ["p"; 4]);
        assert_eq!(settle(&wanted(4, now, &["p"; 100]), now, vec![], 2), ["p"; 2]);
    }

    #[test]
    fn each_kind_has_one_before_another_has_more() {
        let now = Instant::now();
        let forecast = wanted(3, now, &["a", "b", "p", "p", "p", "p"]);
        assert_eq!(settle(&forecast, now, vec![], 8), ["a", "b", "p"]);
        assert_eq!(settle(&forecast, now, vec!["p"; 3], 8), ["a", "b", "p"], "too many of one make room");
        assert_eq!(settle(&wanted(2, now, &["a", "b", "p"]), now, vec!["a", "b"], 8), ["b", "p"], "the latest count");
    }

    #[test]
    fn after_a_minute_one_waits_and_after_ten_none() {
        let now = Instant::now();
        let forecast = wanted(8, now, &["p", "p", "p"]);
        let minute = now + AHEAD_RECENT;
        assert_eq!(settle(&forecast, minute, vec![], 8), ["p"]);
        assert_eq!(settle(&forecast, minute, vec!["p"; 3], 8), ["p"; 3], "what is there stays while there is room");
        let later = now + AHEAD_KEEP;
        assert_eq!(settle(&forecast, later, vec!["p"; 3], 8), [""; 0]);
        let one = [There { kind: &"p", ready: true }];
        let almost = later - Duration::from_secs(1);
        assert_eq!(forecast.step(almost, &one, 8), Step::Wait(Some(Duration::from_secs(1))));
        assert_eq!(forecast.step(minute, &one, 8), Step::Wait(Some(AHEAD_LOOK)));
    }

    #[test]
    fn memory_that_is_gone_ends_some() {
        let now = Instant::now();
        assert_eq!(settle(&wanted(8, now, &["p"; 4]), now, vec!["p"; 4], 1), ["p"]);
    }

    #[test]
    fn one_starts_at_a_time() {
        let now = Instant::now();
        let forecast = wanted(8, now, &["p", "p"]);
        assert_eq!(forecast.step(now, &[There { kind: &"p", ready: false }], 8), Step::Wait(None));
    }

    #[test]
    fn those_that_start_have_the_processors_for_themselves() {
        let now = Instant::now();
        let mut forecast = wanted(8, now, &["p", "p"]);
        forecast.wanted(&"p", now, true);
        assert_eq!(forecast.step(now, &[], 8), Step::Wait(Some(AHEAD_CALM)));
        assert_eq!(settle(&forecast, now + AHEAD_CALM, vec![], 8), ["p"; 3]);
        // One that finds none: more will come.
        forecast.wanted(&"p", now, false);
        assert_eq!(forecast.step(now, &[], 8), Step::Start("p"));
    }

    #[test]
    fn a_failure_is_not_repeated_at_once_and_keeps_nobody_else() {
        let now = Instant::now();
        let mut forecast = wanted(8, now, &["p", "n"]);
        forecast.failed(&"n", now);
        assert_eq!(settle(&forecast, now, vec![], 8), ["p"]);
        let there = [There { kind: &"p", ready: true }];
        assert_eq!(forecast.step(now, &there, 8), Step::Wait(Some(AHEAD_REST)));
        assert_eq!(settle(&forecast, now + AHEAD_REST, vec!["p"], 8), ["n", "p"]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let now = Instant::now();
        let mut forecast = Forecast::new(4);
        (0..1000).for_each(|kind| forecast.wanted(&kind, now, true));
        (0..1000).for_each(|_| forecast.wanted(&7, now, false));
        assert_eq!((forecast.demands.len(), forecast.demands[0].wanted.len()), (AHEAD_KINDS, 4));
    }
}
