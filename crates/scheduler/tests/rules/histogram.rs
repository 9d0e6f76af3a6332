//! Environments that are kept by a histogram of how long their function was idle.

use super::*;

const HISTOGRAM: Limits = Limits { keep_alive: KeepAlive::Histogram, life: Duration::from_secs(1_000_000), ..LIMITS };
const RANGE_MS: u64 = 240 * 60_000;

/// One call of 100 ms of the environment with this number, which is made for it or there already.
fn call(bench: &mut Bench, invoke: u64, environment: u64) {
    let actions = bench.invoke(invoke, 1);
    let made = create(invoke, environment, 1);
    assert!(actions == [made] || actions == [assign(invoke, environment)], "{actions:?}");
    bench.after(100).step(Event::Idle(env(environment)));
}

/// Idle for ten minutes and a half before each of five calls, and after the last.
fn idle_for_ten_minutes() -> Bench {
    let mut bench = Bench::deployed(HISTOGRAM);
    call(&mut bench, 1, 1);
    for invoke in 2..=6 {
        bench.after(630_000);
        call(&mut bench, invoke, 1);
    }
    bench
}

#[test]
fn of_what_little_is_known_it_is_kept_for_four_hours() {
    let mut bench = Bench::deployed(HISTOGRAM);
    call(&mut bench, 1, 1);
    assert_eq!(bench.after(RANGE_MS - 1).step(Event::Tick), []);
    assert_eq!(bench.after(1).step(Event::Tick), [stop(1, StopReason::Idle)]);
}

#[test]
fn none_lives_before_its_window_and_one_is_made_when_that_begins() {
    let mut bench = idle_for_ten_minutes();
    assert_eq!(bench.step(Event::Tick), [stop(1, StopReason::Idle)], "nobody calls it for ten minutes");
    bench.step(Event::Gone(env(1)));
    // Nine tenths of ten minutes.
    assert_eq!(bench.scheduler.next_tick(), Some(bench.now + Duration::from_secs(540)));
    assert_eq!(bench.after(539_999).step(Event::Tick), []);
    let worker = WORKER;
    let prepare =
        |id| Action::Prepare { environment: env(id), generation: Generation(1), worker, purpose: Purpose::Ahead };
    assert_eq!(bench.after(1).step(Event::Tick), [prepare(2)]);
    bench.after(1000).step(Event::Prepared(env(2)));
    // Eleven tenths of eleven minutes, from the end of the last call.
    let end = bench.now + Duration::from_secs(726 - 541);
    assert_eq!(bench.scheduler.next_tick(), Some(end));
    call(&mut bench, 7, 2);
    assert_eq!(bench.step(Event::Tick), [stop(2, StopReason::Idle)]);
}

#[test]
fn one_that_is_not_used_goes_when_its_window_is_over() {
    let mut bench = idle_for_ten_minutes();
    bench.step(Event::Tick);
    bench.step(Event::Gone(env(1)));
    bench.after(540_000).step(Event::Tick);
    bench.step(Event::Prepared(env(2)));
    assert_eq!(bench.after(185_999).step(Event::Tick), []);
    assert_eq!(bench.after(1).step(Event::Tick), [stop(2, StopReason::Idle)]);
    bench.step(Event::Gone(env(2)));
    assert_eq!(bench.scheduler.next_tick(), None, "one is made for one call");
}
