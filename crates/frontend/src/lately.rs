//! Which versions were in use lately and how, so that what waits for them, or is made for their next call, is there again
//! after a restart. Decides only: time is given.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hearth_scheduler::Steps;
use hearth_types::function::VersionId;
use hearth_types::lately::{LatelyRecord, LatelySteps, LatelyUsed, UsedVersion};
use hearth_types::limits::{AHEAD_KEEP, AHEAD_MAX, LATELY_KEEP, LATELY_STEP, LATELY_VERSIONS};

/// A function's name, and which of its versions.
pub(crate) type Of = (Arc<str>, VersionId);

/// What was in use within [`LATELY_KEEP`], [`LATELY_VERSIONS`] at most. By the wall clock, which may be set: what it has not come
/// to yet counts as what is as long ago.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Lately {
    used: BTreeMap<Of, LatelyUsed>,
    /// As it was written last.
    written: BTreeMap<Of, LatelyUsed>,
}

/// Versions of which environments are in use.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct InUse(pub(crate) BTreeMap<Of, Seen>);

/// How one is in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Seen {
    /// So many of its environments.
    pub(crate) count: u32,
    pub(crate) steps: Option<Steps>,
}

/// That some of a version's environments are likely to be asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Wanted {
    pub(crate) of: Of,
    /// At once; from 1.
    pub(crate) count: u32,
    /// When so many were in use at once: all that have the same were then.
    pub(crate) look_ms: i64,
    /// In which it is called, where they are even.
    pub(crate) steps: Option<Steps>,
}

impl Lately {
    /// Goes on with what was written.
    pub(crate) fn new(record: LatelyRecord, now_ms: i64) -> Self {
        let used = record.versions.into_iter().map(|one| ((one.function, one.version), one.used));
        let mut lately = Self { used: used.collect(), written: BTreeMap::new() };
        lately.bound(now_ms);
        lately.written = lately.used.clone();
        lately
    }

    /// These are in use now, or were since the last look.
    pub(crate) fn look(&mut self, now_ms: i64, InUse(used): InUse) {
        for (of, Seen { count, steps }) in used {
            let steps = steps.map(|steps| kept(steps, now_ms));
            let now = LatelyUsed { most: count, most_at_ms: now_ms, at_ms: now_ms, steps };
            let known = self.used.entry(of).or_insert(now);
            (known.at_ms, known.steps) = (now_ms, steps);
            if count >= known.most || !is_within(AHEAD_KEEP, known.most_at_ms, now_ms) {
                *known = now;
            }
        }
        self.bound(now_ms);
    }

    /// What is to be written, where that is news.
    pub(crate) fn to_write(&self) -> Option<LatelyRecord> {
        let is_new = |(of, used): (&Of, &LatelyUsed)| self.written.get(of).is_none_or(|written| differs(used, written));
        if self.used.len() == self.written.len() && !self.used.iter().any(is_new) {
            return None;
        }
        let version = |((function, version), used): (&Of, &LatelyUsed)| UsedVersion {
            function: Arc::clone(function),
            version: *version,
            used: *used,
        };
        Some(LatelyRecord { versions: self.used.iter().map(version).collect() })
    }

    /// That was written.
    pub(crate) fn written(&mut self, LatelyRecord { versions }: LatelyRecord) {
        self.written = versions.into_iter().map(|one| ((one.function, one.version), one.used)).collect();
    }

    /// Of how many versions something is written.
    pub(crate) fn count_written(&self) -> usize {
        self.written.len()
    }

    /// What is likely to be wanted again, what was used last at the end: as many of each as were in use at once while runtimes
    /// wait for the next, one where that is longer ago.
    pub(crate) fn wanted(&self, now_ms: i64) -> Vec<Wanted> {
        let mut all: Vec<_> = self.used.iter().collect();
        all.sort_by_key(|(_, used)| used.at_ms);
        let wanted = all.into_iter().map(|(of, used)| {
            let many = is_within(AHEAD_KEEP, used.most_at_ms, now_ms);
            let most = u32::try_from(AHEAD_MAX).unwrap_or(u32::MAX);
            let count = if many { used.most.clamp(1, most) } else { 1 };
            let steps = used.steps.and_then(|steps| since(steps, now_ms));
            Wanted { of: of.clone(), count, look_ms: used.most_at_ms, steps }
        });
        wanted.collect()
    }

    fn bound(&mut self, now_ms: i64) {
        self.used.retain(|_, used| is_within(LATELY_KEEP, used.at_ms, now_ms));
        if self.used.len() > LATELY_VERSIONS {
            let mut times: Vec<_> = self.used.iter().map(|(of, used)| (Reverse(used.at_ms), of.clone())).collect();
            times.sort_unstable();
            for (_, of) in times.drain(LATELY_VERSIONS..) {
                self.used.remove(&of);
            }
        }
    }
}

/// Whether there is less than that between the two.
fn is_within(time: Duration, one_ms: i64, other_ms: i64) -> bool {
    u128::from(one_ms.abs_diff(other_ms)) < time.as_millis()
}

/// By so much that it is worth a commit.
fn differs(used: &LatelyUsed, written: &LatelyUsed) -> bool {
    let moved = |one_ms, other_ms| !is_within(LATELY_STEP, one_ms, other_ms);
    let in_steps = match (used.steps, written.steps) {
        (Some(used), Some(written)) => moved(used.last_at_ms, written.last_at_ms),
        (used, written) => used.is_some() != written.is_some(),
    };
    in_steps
        || used.most != written.most
        || moved(used.most_at_ms, written.most_at_ms)
        || moved(used.at_ms, written.at_ms)
}

fn kept(Steps { step, off, since, init }: Steps, now_ms: i64) -> LatelySteps {
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    LatelySteps {
        step_ms: ms(step),
        off_ms: ms(off),
        init_ms: init.map(ms),
        last_at_ms: now_ms.saturating_sub_unsigned(ms(since)),
    }
}

/// The same as seen now; none where the clock says that the last call is yet to come.
fn since(LatelySteps { step_ms, off_ms, init_ms, last_at_ms }: LatelySteps, now_ms: i64) -> Option<Steps> {
    let since_ms = u64::try_from(now_ms.checked_sub(last_at_ms)?).ok()?;
    let ms = Duration::from_millis;
    Some(Steps { step: ms(step_ms), off: ms(off_ms), since: ms(since_ms), init: init_ms.map(ms) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 1_772_712_000_000;
    const SECOND: i64 = 1000;
    const MINUTE: i64 = 60 * SECOND;

    fn in_use(all: &[(&str, u32)]) -> InUse {
        let seen = |count| Seen { count, steps: None };
        InUse(all.iter().map(|(name, count)| ((Arc::from(*name), VersionId::Latest), seen(*count))).collect())
    }

    /// What was seen, by time.
    fn seen(looks: &[(i64, &[(&str, u32)])]) -> Lately {
        let mut lately = Lately::default();
        looks.iter().for_each(|(at_ms, all)| lately.look(*at_ms, in_use(all)));
        lately
    }

    /// Written at the last look, and read at that time.
    fn after_restart(lately: &Lately, now_ms: i64) -> Vec<(String, u32)> {
        let record = lately.to_write().unwrap();
        let text = serde_json::to_vec(&record).unwrap();
        let read = Lately::new(serde_json::from_slice(&text).unwrap(), now_ms);
        assert_eq!(read.to_write(), None, "it is there already");
        read.wanted(now_ms).into_iter().map(|one| (one.of.0.to_string(), one.count)).collect()
    }

    fn one(name: &str, count: u32) -> (String, u32) {
        (name.to_owned(), count)
    }

    #[test]
    fn what_was_used_is_wanted_again_as_often_as_at_once() {
        let lately = seen(&[(NOON, &[("a", 3), ("b", 1)]), (NOON + 10 * SECOND, &[("a", 2)])]);
        assert_eq!(after_restart(&lately, NOON + MINUTE), [one("b", 1), one("a", 3)], "what was used last comes last");
        assert_eq!(Lately::default().wanted(NOON), []);
    }

    #[test]
    fn a_burst_counts_for_as_long_as_runtimes_wait_after_it() {
        let burst = (NOON, &[("a", 30)][..]);
        let one_more = (NOON + 9 * MINUTE, &[("a", 1)][..]);
        assert_eq!(after_restart(&seen(&[burst]), NOON + 9 * MINUTE), [one("a", 30)]);
        assert_eq!(after_restart(&seen(&[burst]), NOON + 10 * MINUTE), [one("a", 1)]);
        assert_eq!(after_restart(&seen(&[burst, one_more]), NOON + 9 * MINUTE), [one("a", 30)]);
        let later = (NOON + 11 * MINUTE, &[("a", 2)][..]);
        assert_eq!(after_restart(&seen(&[burst, one_more, later]), NOON + 12 * MINUTE), [one("a", 2)]);
    }

    #[test]
    fn what_was_at_once_is_told_from_what_was_not() {
        let lately = seen(&[(NOON, &[("a", 1), ("b", 2)]), (NOON + 20 * SECOND, &[("c", 1)])]);
        let looks: Vec<_> = lately.wanted(NOON + MINUTE).into_iter().map(|one| one.look_ms - NOON).collect();
        assert_eq!(looks, [0, 0, 20 * SECOND]);
    }

    #[test]
    fn what_was_used_long_ago_is_forgotten() {
        let lately = seen(&[(NOON, &[("a", 1)]), (NOON + 30 * MINUTE, &[("b", 1)])]);
        assert_eq!(after_restart(&lately, NOON + 59 * MINUTE), [one("a", 1), one("b", 1)]);
        assert_eq!(after_restart(&lately, NOON + 60 * MINUTE), [one("b", 1)]);
        assert_eq!(after_restart(&lately, NOON + 24 * 60 * MINUTE), []);
        let mut running = lately;
        running.look(NOON + 70 * MINUTE, InUse::default());
        assert_eq!(running.wanted(NOON + 70 * MINUTE).len(), 1, "while the server runs as well");
    }

    #[test]
    fn a_clock_that_was_set_does_no_harm() {
        let lately = seen(&[(NOON, &[("a", 3)])]);
        assert_eq!(after_restart(&lately, NOON - MINUTE), [one("a", 3)], "a little is no matter");
        assert_eq!(after_restart(&lately, NOON - 24 * 60 * MINUTE), []);
        for extreme in [i64::MIN, i64::MAX] {
            assert_eq!(after_restart(&seen(&[(extreme, &[("a", 3)])]), NOON), []);
            let mut running = lately.clone();
            running.look(extreme, in_use(&[("b", 1)]));
            running.look(NOON, in_use(&[("c", 1)]));
            assert_eq!(after_restart(&running, NOON), [one("c", 1)], "nothing of another time stays for ever");
        }
    }

    #[test]
    fn even_steps_are_gone_on_with() {
        let s = Duration::from_secs;
        let steps = Steps { step: s(300), off: s(1), since: s(4), init: Some(s(2)) };
        let of = || (Arc::from("a"), VersionId::Number(7));
        let looked = |steps| {
            let mut lately = Lately::default();
            lately.look(NOON, InUse(BTreeMap::from([(of(), Seen { count: 1, steps })])));
            lately
        };
        let at = |lately: &Lately, now_ms| {
            let text = serde_json::to_vec(&lately.to_write().unwrap()).unwrap();
            Lately::new(serde_json::from_slice(&text).unwrap(), now_ms).wanted(now_ms)[0].steps
        };
        let lately = looked(Some(steps));
        assert_eq!(at(&lately, NOON), Some(steps));
        assert_eq!(at(&lately, NOON + MINUTE), Some(Steps { since: s(64), ..steps }));
        assert_eq!(at(&lately, NOON - MINUTE), None, "the clock was set back");
        assert_eq!(at(&looked(None), NOON), None);
        let mut uneven = lately;
        uneven.written(uneven.to_write().unwrap());
        uneven.look(NOON + 10 * SECOND, InUse(BTreeMap::from([(of(), Seen { count: 1, steps: None })])));
        assert_eq!(at(&uneven, NOON), None, "that is news");
    }

    #[test]
    fn what_is_no_news_is_not_written() {
        let mut lately = seen(&[(NOON, &[("a", 2)])]);
        let written = lately.to_write().unwrap();
        lately.written(written);
        assert_eq!((lately.to_write(), lately.count_written()), (None, 1));
        lately.look(NOON + 10 * SECOND, InUse::default());
        assert_eq!(lately.to_write(), None, "nothing is in use");
        lately.look(NOON + 20 * SECOND, in_use(&[("a", 2)]));
        assert_eq!(lately.to_write(), None, "it is known");
        lately.look(NOON + 30 * SECOND, in_use(&[("a", 3)]));
        assert!(lately.to_write().is_some(), "more than before");
        lately.written(lately.to_write().unwrap());
        lately.look(NOON + 90 * SECOND, in_use(&[("a", 1)]));
        assert!(lately.to_write().is_some(), "a minute later");
        lately.written(lately.to_write().unwrap());
        lately.look(NOON + 2 * 60 * MINUTE, InUse::default());
        assert_eq!(lately.to_write(), Some(LatelyRecord::default()), "it is forgotten there as well");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut lately = Lately::default();
        for number in 0..2 * LATELY_VERSIONS {
            lately.look(NOON + number as i64 * SECOND, in_use(&[(&format!("f{number}"), u32::MAX)]));
        }
        let end = NOON + 2 * LATELY_VERSIONS as i64 * SECOND;
        let wanted = lately.wanted(end);
        assert_eq!(wanted.len(), LATELY_VERSIONS);
        assert_eq!(&*wanted[0].of.0, format!("f{LATELY_VERSIONS}"), "those used last stay");
        assert!(wanted.iter().all(|one| u64::from(one.count) <= AHEAD_MAX));
        let written = lately.to_write().unwrap();
        let many = written.versions.iter().cycle().take(5000).enumerate();
        let many = many.map(|(number, one)| UsedVersion { version: VersionId::Number(number as u64), ..one.clone() });
        assert_eq!(Lately::new(LatelyRecord { versions: many.collect() }, end).wanted(end).len(), LATELY_VERSIONS);
    }
}
