use super::*;
use hearth_types::limits::LATELY_VERSIONS;

type Kinds = Forecast<&'static str>;

const PLENTY: Means = Means { bytes: u64::MAX, sandboxes: usize::MAX };

/// For so many of a kind that has not been seen.
fn room(count: u64) -> Means {
    Means { bytes: count * AHEAD_UNSEEN_MB * MB, ..PLENTY }
}

/// With nothing but what is ready.
fn there<'a>(all: &'a [(&'static str, usize)]) -> Vec<There<'a, &'static str>> {
    all.iter().filter(|(_, ready)| *ready > 0).map(|(kind, ready)| There { kind, ready: *ready, starting: 0 }).collect()
}

/// Does what it says until it waits, all starts succeeding: what is there then.
fn settle(forecast: &Kinds, now: Instant, begin: &[(&'static str, usize)], means: Means) -> Vec<(&'static str, usize)> {
    let mut all = begin.to_vec();
    for _ in 0..5000 {
        match forecast.step(now, &there(&all), means, false) {
            Step::Start(kind) => match all.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, ready)) => *ready += 1,
                None => all.push((kind, 1)),
            },
            Step::End(kind) => all.iter_mut().find(|(known, _)| *known == kind).unwrap().1 -= 1,
            Step::Wait(_) => {
                all.retain(|(_, ready)| *ready > 0);
                all.sort_unstable();
                return all;
            }
        }
    }
    panic!("it never comes to rest: {all:?}");
}

fn wanted(most: usize, now: Instant, kinds: &[&'static str]) -> Kinds {
    let mut forecast = Forecast::new(most, []);
    kinds.iter().for_each(|kind| forecast.wanted(kind, "f", now, false));
    forecast
}

#[test]
fn nothing_waits_before_something_was_wanted_or_where_nothing_may() {
    let now = Instant::now();
    assert_eq!(settle(&wanted(8, now, &[]), now, &[], PLENTY), []);
    assert_eq!(settle(&wanted(0, now, &["p"]), now, &[], PLENTY), []);
    assert_eq!(settle(&wanted(8, now, &["p"]), now, &[], room(0)), []);
    assert_eq!(settle(&wanted(8, now, &["p"]), now, &[], Means { sandboxes: 0, ..PLENTY }), []);
    assert_eq!(wanted(8, now, &[]).step(now, &[], PLENTY, false), Step::Wait(None));
}

#[test]
fn as_many_wait_as_were_wanted_within_the_bounds() {
    let now = Instant::now();
    assert_eq!(settle(&wanted(8, now, &["p"]), now, &[], PLENTY), [("p", 1)]);
    assert_eq!(settle(&wanted(8, now, &["p", "p", "n"]), now, &[], PLENTY), [("n", 1), ("p", 2)]);
    assert_eq!(settle(&wanted(4, now, &["p"; 100]), now, &[], PLENTY), [("p", 4)]);
    assert_eq!(settle(&wanted(4, now, &["p"; 100]), now, &[], room(2)), [("p", 2)]);
    assert_eq!(settle(&wanted(4, now, &["p"; 100]), now, &[], Means { sandboxes: 3, ..PLENTY }), [("p", 3)]);
    assert_eq!(settle(&wanted(2000, now, &["p"; 1500]), now, &[], PLENTY), [("p", 1500)]);
}

#[test]
fn each_kind_has_one_before_another_has_more() {
    let now = Instant::now();
    let forecast = wanted(3, now, &["a", "b", "p", "p", "p", "p"]);
    let each = [("a", 1), ("b", 1), ("p", 1)];
    assert_eq!(settle(&forecast, now, &[], PLENTY), each);
    assert_eq!(settle(&forecast, now, &[("p", 3)], PLENTY), each, "too many of one make room");
    let latest = settle(&wanted(2, now, &["a", "b", "p"]), now, &[("a", 1), ("b", 1)], PLENTY);
    assert_eq!(latest, [("b", 1), ("p", 1)], "the latest count");
}

#[test]
fn the_largest_burst_counts_and_not_all_that_ever_came() {
    let begin = Instant::now();
    let mut forecast = Kinds::new(100, []);
    // One a minute, and five at once among them.
    for minute in 0..9 {
        let now = begin + Duration::from_secs(60 * minute);
        (0..if minute == 3 { 5 } else { 1 }).for_each(|_| forecast.wanted(&"p", "f", now, true));
    }
    let now = begin + Duration::from_secs(8 * 60 + 1);
    assert_eq!(settle(&forecast, now, &[], PLENTY), [("p", 5)]);
    let later = begin + Duration::from_secs(3 * 60) + AHEAD_KEEP;
    assert_eq!(settle(&forecast, later, &[], PLENTY), [("p", 1)], "it is forgotten");
    assert_eq!(settle(&forecast, later, &[("p", 5)], PLENTY), [("p", 5)], "what is there stays while there is room");
    assert_eq!(settle(&forecast, later, &[("p", 5)], Means { sandboxes: 4, ..PLENTY }), [("p", 4)]);
}

#[test]
fn a_burst_that_two_groups_share_counts_whole() {
    let begin = Instant::now();
    let mut forecast = Kinds::new(100, []);
    forecast.wanted(&"p", "f", begin, true);
    let end = AHEAD_BURST - Duration::from_secs(1);
    (0..8).for_each(|second| forecast.wanted(&"p", "f", begin + end + Duration::from_millis(250) * second, true));
    assert_eq!(settle(&forecast, begin + AHEAD_BURST * 2, &[], PLENTY), [("p", 9)]);
}

#[test]
fn ten_minutes_after_the_last_none_waits() {
    let now = Instant::now();
    let forecast = wanted(8, now, &["p", "p", "p"]);
    let later = now + AHEAD_KEEP;
    let almost = later - Duration::from_secs(1);
    assert_eq!(settle(&forecast, almost, &[], PLENTY), [("p", 3)]);
    assert_eq!(settle(&forecast, later, &[("p", 3)], PLENTY), []);
    assert_eq!(forecast.step(almost, &there(&[("p", 3)]), PLENTY, false), Step::Wait(Some(Duration::from_secs(1))));
    assert_eq!(forecast.step(now, &there(&[("p", 3)]), PLENTY, false), Step::Wait(Some(AHEAD_LOOK)));
}

#[test]
fn memory_that_is_gone_ends_some() {
    let now = Instant::now();
    assert_eq!(settle(&wanted(8, now, &["p"; 4]), now, &[("p", 4)], room(1)), [("p", 1)]);
}

#[test]
fn what_one_takes_is_what_the_last_one_took() {
    let now = Instant::now();
    let mut forecast = wanted(2000, now, &["p"; 1000]);
    let four_gb = Means { bytes: 4096 * MB, ..PLENTY };
    assert_eq!(forecast.goal(now, four_gb), 128, "nobody knows yet");
    forecast.weighed(&"p", 3 * MB);
    assert_eq!(forecast.goal(now, four_gb), 1000);
    assert_eq!(forecast.bytes(&there(&[("p", 10)])), 40 * MB, "the kernel's is not in it");
    forecast.weighed(&"p", 7 * MB);
    assert_eq!(settle(&forecast, now, &[("p", 1000)], four_gb), [("p", 512)]);
}

#[test]
fn a_stock_waits_from_the_start_on_and_for_ever() {
    let now = Instant::now();
    let mut forecast = Kinds::new(4, [("p", 1000), ("n", 5)]);
    let stock = [("n", 5), ("p", 1000)];
    assert_eq!(settle(&forecast, now, &[], PLENTY), stock);
    (0..8).for_each(|_| forecast.wanted(&"a", "f", now, true));
    let calm = now + AHEAD_CALM;
    assert_eq!(
        settle(&forecast, calm, &stock, PLENTY),
        [("a", 4), ("n", 5), ("p", 1000)],
        "what is wanted comes on top"
    );
    (0..8).for_each(|_| forecast.wanted(&"n", "f", now, true));
    let both = [("a", 1), ("n", 8), ("p", 1000)];
    assert_eq!(settle(&forecast, calm, &[], PLENTY), both, "more than are kept are a burst's");
    let later = now + AHEAD_KEEP;
    assert_eq!(settle(&forecast, later, &both, PLENTY), [("n", 8), ("p", 1000)]);
    let none = Means { sandboxes: 0, ..PLENTY };
    assert_eq!(settle(&forecast, later, &both, none), [], "a machine without room keeps none");
    assert_eq!(forecast.step(later, &[], none, false), Step::Wait(Some(AHEAD_LOOK)), "it may have room again");
    assert_eq!(Kinds::new(0, [("p", 3)]).goal(now, PLENTY), 3);
}

/// Deploys a function.
fn deploy(forecast: &mut Kinds, function: &str, kind: Option<&'static str>, now: Instant) {
    forecast.deployed(&function.into(), kind, now);
}

#[test]
fn one_waits_for_what_was_deployed_before_anything_was_wanted() {
    let now = Instant::now();
    let mut forecast = Kinds::new(8, []);
    deploy(&mut forecast, "f", Some("p"), now);
    assert_eq!(forecast.step(now, &[], PLENTY, true), Step::Start("p"), "at once");
    assert_eq!(settle(&forecast, now, &[], PLENTY), [("p", 1)]);
    let one = there(&[("p", 1)]);
    assert_eq!(forecast.step(now + AHEAD_KEEP - AHEAD_LOOK / 2, &one, PLENTY, false), Step::Wait(Some(AHEAD_LOOK / 2)));
    assert_eq!(settle(&forecast, now + AHEAD_KEEP, &[("p", 1)], PLENTY), [], "it was never invoked");
    for (most, means) in [(0, PLENTY), (8, room(0)), (8, Means { sandboxes: 0, ..PLENTY })] {
        let mut forecast = Kinds::new(most, []);
        deploy(&mut forecast, "f", Some("p"), now);
        assert_eq!(settle(&forecast, now, &[], means), []);
    }
}

#[test]
fn a_few_wait_for_many_that_are_deployed_at_once() {
    let begin = Instant::now();
    let mut forecast = Kinds::new(32, []);
    let deploy_each = |forecast: &mut Kinds, functions: std::ops::Range<u32>, apart: Duration| {
        functions.fold(begin, |now, function| {
            deploy(forecast, &function.to_string(), Some("p"), now);
            now + apart
        })
    };
    let now = deploy_each(&mut forecast, 0..2, Duration::from_millis(1));
    assert_eq!(settle(&forecast, now, &[], PLENTY), [("p", 1)], "more may come");
    let grows = AHEAD_CALM - Duration::from_millis(1);
    assert_eq!(forecast.step(now, &there(&[("p", 1)]), PLENTY, false), Step::Wait(Some(grows)));
    assert_eq!(settle(&forecast, now + grows, &[], PLENTY), [("p", 2)]);
    let now = deploy_each(&mut forecast, 2..500, Duration::from_millis(1));
    assert_eq!(settle(&forecast, now, &[], PLENTY), [("p", 1)]);
    assert_eq!(settle(&forecast, now + grows, &[], PLENTY), [("p", AHEAD_DEPLOYED)]);
    let mut forecast = Kinds::new(32, []);
    let now = deploy_each(&mut forecast, 0..9, AHEAD_BURST);
    assert_eq!(settle(&forecast, now, &[], PLENTY), [("p", 1)], "one after the other is one at a time");
    let now = now - AHEAD_BURST / 2;
    (0..9).for_each(|_| deploy(&mut forecast, "f", Some("p"), now));
    assert_eq!(forecast.goal(now + AHEAD_CALM, PLENTY), 1 + 1, "a function counts once, however often it is deployed");
}

#[test]
fn what_was_deployed_and_has_started_counts_by_its_start_alone() {
    let now = Instant::now();
    let mut forecast = Kinds::new(8, []);
    ["f", "g", "h"].iter().for_each(|function| deploy(&mut forecast, function, Some("p"), now));
    let now = now + AHEAD_CALM;
    assert_eq!(forecast.goal(now, PLENTY), 3);
    forecast.wanted(&"p", "g", now, true);
    assert_eq!(forecast.goal(now, PLENTY), 2, "no more than the others need");
    forecast.wanted(&"p", "f", now + AHEAD_BURST, true);
    forecast.wanted(&"p", "h", now + AHEAD_BURST * 3, true);
    assert_eq!(forecast.goal(now + AHEAD_BURST * 3, PLENTY), 2, "the burst of g and f");
    let later = now + AHEAD_KEEP + AHEAD_BURST;
    assert_eq!(forecast.goal(later, PLENTY), 1, "h alone, as it is with starts");
    assert_eq!(forecast.goal(later + AHEAD_BURST * 2, PLENTY), 0);
}

#[test]
fn what_a_function_is_deployed_as_anew_waits_in_the_place_of_what_it_was() {
    let now = Instant::now();
    let mut forecast = Kinds::new(8, [("s", 1)]);
    deploy(&mut forecast, "f", Some("n128"), now);
    assert_eq!(settle(&forecast, now, &[], PLENTY), [("n128", 1), ("s", 1)]);
    deploy(&mut forecast, "f", Some("n256"), now);
    assert_eq!(settle(&forecast, now, &[("n128", 1), ("s", 1)], PLENTY), [("n256", 1), ("s", 1)]);
    deploy(&mut forecast, "f", None, now);
    assert_eq!(settle(&forecast, now, &[], PLENTY), [("s", 1)], "it cannot use any");
    deploy(&mut forecast, "f", Some("s"), now);
    assert_eq!(settle(&forecast, now, &[], PLENTY), [("s", 1)], "what is kept will do");
}

/// All that is recalled: versions, the kind that each looks for, when they were in use, and how many at once.
fn recall(forecast: &mut Kinds, all: &[(&str, &'static str, i64, usize)], now: Instant) {
    let likely = |&(version, kind, look_ms, count): &(&str, &'static str, i64, usize)| Likely {
        version: Arc::from(version),
        kind,
        count,
        look_ms,
    };
    forecast.recalled(all.iter().map(likely).collect(), now);
}

#[test]
fn as_many_wait_as_were_in_use_at_the_same_time() {
    let now = Instant::now();
    let recalled = |most, all: &[_]| {
        let mut forecast = Kinds::new(most, []);
        recall(&mut forecast, all, now);
        forecast
    };
    let all = [("f:1", "p", 7, 2), ("g:1", "p", 7, 1), ("h:1", "p", 8, 2), ("i:1", "n", 7, 1)];
    assert_eq!(settle(&recalled(32, &all), now, &[], PLENTY), [("n", 1), ("p", 3)]);
    assert_eq!(settle(&recalled(2, &all), now, &[], PLENTY), [("n", 1), ("p", 1)]);
    assert_eq!(settle(&recalled(0, &all), now, &[], PLENTY), []);
    assert_eq!(settle(&recalled(32, &all), now, &[], room(2)), [("n", 1), ("p", 1)]);
    assert_eq!(settle(&recalled(32, &[("f:1", "p", 7, usize::MAX / 2)]), now, &[], PLENTY), [("p", 32)]);
    let forecast = recalled(32, &all);
    assert_eq!(settle(&forecast, now + AHEAD_KEEP, &[("n", 1), ("p", 3)], PLENTY), [], "nobody has called");
}

#[test]
fn what_was_recalled_last_is_all_that_is() {
    let now = Instant::now();
    let mut forecast = Kinds::new(32, []);
    recall(&mut forecast, &[("f:1", "p", 7, 4), ("g:1", "p", 7, 4), ("h:1", "n", 7, 1)], now);
    recall(&mut forecast, &[("f:1", "p", 7, 3)], now);
    assert_eq!(settle(&forecast, now, &[], PLENTY), [("p", 3)]);
    assert_eq!(
        settle(&forecast, now, &[("n", 1), ("p", 8)], PLENTY),
        [("p", 8)],
        "what is there stays while there is room"
    );
    recall(&mut forecast, &[], now);
    assert_eq!(settle(&forecast, now, &[("p", 8)], PLENTY), []);
    let names: Vec<_> = (0..2 * LATELY_VERSIONS).map(|number| number.to_string()).collect();
    recall(&mut forecast, &names.iter().map(|name| (name.as_str(), "p", 9, 1)).collect::<Vec<_>>(), now);
    assert_eq!(forecast.kinds[0].wanted(now), LATELY_VERSIONS);
}

#[test]
fn what_is_recalled_again_waits_no_longer_unless_it_was_in_use_again() {
    let now = Instant::now();
    let mut forecast = Kinds::new(32, []);
    recall(&mut forecast, &[("f:1", "p", 7, 4), ("g:1", "n", 7, 1)], now);
    let later = now + AHEAD_KEEP / 2;
    recall(&mut forecast, &[("f:1", "p", 7, 2), ("g:1", "n", 8, 1)], later);
    assert_eq!(settle(&forecast, later, &[], PLENTY), [("n", 1), ("p", 2)]);
    assert_eq!(settle(&forecast, now + AHEAD_KEEP, &[("n", 1), ("p", 2)], PLENTY), [("n", 1)]);
    assert_eq!(settle(&forecast, later + AHEAD_KEEP, &[("n", 1)], PLENTY), []);
}

#[test]
fn what_is_recalled_again_comes_no_sooner() {
    let now = Instant::now();
    let mut forecast = Kinds::new(1, []);
    recall(&mut forecast, &[("f:1", "p", 7, 1)], now);
    forecast.wanted(&"n", "g", now, true);
    recall(&mut forecast, &[("f:1", "p", 7, 1)], now);
    assert_eq!(settle(&forecast, now + AHEAD_CALM, &[], PLENTY), [("n", 1)]);
    recall(&mut forecast, &[("f:1", "p", 8, 1)], now);
    assert_eq!(settle(&forecast, now + AHEAD_CALM, &[], PLENTY), [("p", 1)]);
}

#[test]
fn what_is_deployed_keeps_out_of_the_way_of_what_starts() {
    let now = Instant::now();
    let mut forecast = Kinds::new(8, []);
    forecast.wanted(&"n", "g", now, true);
    deploy(&mut forecast, "f", Some("p"), now);
    assert_eq!(forecast.step(now, &[], PLENTY, false), Step::Wait(Some(AHEAD_CALM)));
    let starts = [There { kind: &"n", ready: 0, starting: 1 }];
    assert_eq!(forecast.step(now + AHEAD_CALM, &starts, PLENTY, false), Step::Wait(None), "one starts at a time");
}

#[test]
fn one_starts_at_a_time() {
    let now = Instant::now();
    let forecast = wanted(8, now, &["p", "p"]);
    assert_eq!(forecast.step(now, &[There { kind: &"p", ready: 0, starting: 1 }], PLENTY, false), Step::Wait(None));
}

#[test]
fn those_that_start_have_the_processors_for_themselves() {
    let now = Instant::now();
    let mut forecast = wanted(8, now, &["p", "p"]);
    forecast.wanted(&"p", "f", now, true);
    assert_eq!(forecast.step(now, &[], PLENTY, false), Step::Wait(Some(AHEAD_CALM)));
    assert_eq!(settle(&forecast, now + AHEAD_CALM, &[], PLENTY), [("p", 3)]);
    // One that finds none: more will come.
    forecast.wanted(&"p", "f", now, false);
    assert_eq!(forecast.step(now, &[], PLENTY, false), Step::Start("p"));
}

#[test]
fn a_large_stock_is_filled_slowly_while_functions_are_invoked() {
    let now = Instant::now();
    let mut forecast = Kinds::new(0, [("p", 1000)]);
    forecast.begun(now);
    let (few, many) = (AHEAD_RUNTIMES as usize - 1, AHEAD_RUNTIMES as usize);
    let step = |ready, now, invoked| forecast.step(now, &there(&[("p", ready)]), PLENTY, invoked);
    assert_eq!(step(few, now, true), Step::Start("p"));
    assert_eq!(step(many, now, true), Step::Wait(Some(AHEAD_PACE)));
    assert_eq!(step(many, now, false), Step::Start("p"));
    assert_eq!(step(many, now + AHEAD_PACE, true), Step::Start("p"));
}

#[test]
fn a_failure_is_not_repeated_at_once_and_keeps_nobody_else() {
    let now = Instant::now();
    let mut forecast = wanted(8, now, &["p", "n"]);
    forecast.failed(&"n", now);
    assert_eq!(settle(&forecast, now, &[], PLENTY), [("p", 1)]);
    assert_eq!(forecast.step(now, &there(&[("p", 1)]), PLENTY, false), Step::Wait(Some(AHEAD_REST)));
    assert_eq!(settle(&forecast, now + AHEAD_REST, &[("p", 1)], PLENTY), [("n", 1), ("p", 1)]);
}

#[test]
fn what_is_remembered_is_bounded() {
    let now = Instant::now();
    let mut forecast = Forecast::new(4, [(5000, 1)]);
    (0..1000).for_each(|kind| forecast.wanted(&kind, "f", now, true));
    (0..1000).for_each(|function| forecast.deployed(&function.to_string().into(), Some(8000 + function), now));
    (0..1000).for_each(|function| forecast.deployed(&function.to_string().into(), Some(7), now));
    assert_eq!(forecast.kinds.len(), AHEAD_KINDS + 1);
    assert!(forecast.kinds.iter().all(|known| known.deployed.0.len() <= AHEAD_DEPLOYED));
    assert!(forecast.kinds.iter().any(|known| known.kind == 5000), "what is kept is not forgotten");
}
