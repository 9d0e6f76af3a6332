//! Environments that are made before a call that can be foreseen.

use super::*;

const AHEAD: Limits = Limits { ahead: true, ..LIMITS };
/// The version's init takes 100 ms.
const LEAD_MS: u64 = 250 + 2 * 100;

fn prepare(environment: u64, generation: u64) -> Action {
    let (environment, generation) = (env(environment), Generation(generation));
    Action::Prepare { environment, generation, worker: WORKER, purpose: Purpose::Ahead }
}

/// One call, which is over after 100 ms.
fn call(bench: &mut Bench, invoke: u64, generation: u64) -> Action {
    let actions = bench.invoke(invoke, generation);
    let [Action::Assign { environment, .. } | Action::Create { environment, .. }] = actions[..] else {
        panic!("{actions:?}")
    };
    bench.after(100);
    if matches!(actions[0], Action::Create { .. }) {
        bench.step(Event::Initialised { environment, took: Duration::from_millis(100) });
    }
    bench.step(Event::Idle(environment));
    actions[0]
}

/// Called every ten minutes, five times; each time the environment has gone before the next call. Now it is the time
/// at which the next one is made.
fn steady(limits: Limits) -> Bench {
    let mut bench = Bench::deployed(limits);
    for n in 1..=5 {
        assert_eq!(call(&mut bench, n, 1), create(n, n, 1));
        assert_eq!(bench.after(60_000).step(Event::Tick), [stop(n, StopReason::Idle)]);
        assert_eq!(bench.step(Event::Gone(env(n))), []);
        bench.after(600_000 - 60_100);
    }
    bench.now -= Duration::from_millis(LEAD_MS);
    bench
}

#[test]
fn what_is_called_in_even_steps_has_an_environment_before_its_call() {
    let mut bench = steady(AHEAD);
    assert_eq!(bench.scheduler.next_tick(), Some(bench.now));
    assert_eq!(bench.step(Event::Tick), [prepare(6, 1)]);
    assert_eq!(bench.after(120).step(Event::Prepared(env(6))), []);
    assert_eq!(bench.after(LEAD_MS - 120).invoke(6, 1), [assign(6, 6)]);
}

/// Ending one takes its time, all the more on a machine that is busy.
#[test]
fn one_that_has_not_ended_yet_is_not_in_its_way() {
    let mut bench = Bench::deployed(AHEAD);
    for n in 1..=5 {
        assert_eq!(call(&mut bench, n, 1), create(n, n, 1));
        assert_eq!(bench.after(60_000).step(Event::Tick), [stop(n, StopReason::Idle)]);
        bench.after(600_000 - 60_100);
        // The last one is still about to go.
        (n < 5).then(|| assert_eq!(bench.step(Event::Gone(env(n))), []));
    }
    bench.now -= Duration::from_millis(LEAD_MS);
    assert_eq!(bench.step(Event::Tick), [prepare(6, 1)]);
}

/// The tick of both was late.
#[test]
fn one_that_goes_with_the_same_tick_is_not_in_its_way() {
    let mut bench = steady(AHEAD);
    bench.now -= Duration::from_secs(10);
    assert_eq!(call(&mut bench, 6, 1), create(6, 6, 1));
    for n in 7..=9 {
        bench.after(60_000 - 100);
        bench.step(Event::Tick);
        bench.step(Event::Gone(env(n - 1)));
        bench.after(540_000);
        assert_eq!(call(&mut bench, n, 1), create(n, n, 1));
    }
    assert_eq!(bench.after(600_000).step(Event::Tick), [stop(9, StopReason::Idle), prepare(10, 1)]);
}

#[test]
fn a_call_that_does_not_come_is_waited_for_once() {
    let mut bench = steady(AHEAD);
    assert_eq!(bench.step(Event::Tick), [prepare(6, 1)]);
    bench.step(Event::Prepared(env(6)));
    assert_eq!(bench.after(60_000).step(Event::Tick), [stop(6, StopReason::Idle)]);
    bench.step(Event::Gone(env(6)));
    assert_eq!(bench.scheduler.next_tick(), None);
}

#[test]
fn none_is_made_where_that_is_not_wanted_or_one_is_there() {
    let mut bench = steady(LIMITS);
    assert_eq!(bench.scheduler.next_tick(), None);
    bench.after(LEAD_MS);
    let mut bench = steady(AHEAD);
    bench.now -= Duration::from_secs(10);
    assert_eq!(call(&mut bench, 6, 1), create(6, 6, 1), "a call comes early");
    assert_eq!(bench.after(10_000).step(Event::Tick), []);
}

#[test]
fn none_is_made_of_code_that_is_retired() {
    let mut bench = steady(AHEAD);
    bench.deploy(2, 1, 128);
    bench.step(Event::Retire(Generation(1)));
    assert_eq!(bench.step(Event::Tick), []);
}

#[test]
fn none_is_made_where_busy_ones_have_the_room() {
    let mut bench = steady(AHEAD);
    bench.deploy(2, 2, 2048);
    assert_eq!(bench.invoke(100, 2), [create(100, 6, 2)]);
    assert_eq!(bench.step(Event::Tick), []);
}

#[test]
fn one_that_is_worth_less_makes_room() {
    let mut bench = steady(Limits { keep_alive: KeepAlive::Fixed(Duration::from_secs(60)), ..AHEAD });
    bench.deploy(2, 2, 2048);
    bench.now -= Duration::from_secs(30);
    assert_eq!(call(&mut bench, 100, 2), create(100, 6, 2));
    bench.after(29_900);
    assert_eq!(bench.step(Event::Tick), [stop(6, StopReason::Room), prepare(7, 1)]);
}

/// Of a scheduler that has just begun, where this was handed over.
fn resumed(limits: Limits, steps: Steps) -> Bench {
    let mut bench = Bench::deployed(limits);
    assert_eq!(bench.after(5000).step(Event::Resume { generation: Generation(1), steps }), []);
    bench
}

#[test]
fn who_begins_anew_goes_on_with_even_steps() {
    let before = steady(AHEAD);
    let steps = before.scheduler.steps_of(before.now - Duration::from_secs(60), Generation(1)).unwrap();
    assert_eq!(steps.init, Some(Duration::from_millis(100)));
    let mut bench = resumed(AHEAD, steps);
    assert_eq!(bench.scheduler.next_tick(), Some(bench.now + Duration::from_secs(60)));
    assert_eq!(bench.after(60_000).step(Event::Tick), [prepare(1, 1)]);
    bench.after(120).step(Event::Prepared(env(1)));
    assert_eq!(bench.after(LEAD_MS - 120).invoke(1, 1), [assign(1, 1)]);
    assert!(bench.scheduler.steps_of(bench.now, Generation(1)).is_some(), "three more need not be seen");
}

#[test]
fn calls_while_nobody_was_there_to_hear_them_are_left_out() {
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    let steps = Steps { step: minutes(10), off: Duration::ZERO, since: minutes(29), init: None };
    let bench = resumed(AHEAD, steps);
    let next = bench.now + minutes(1) - Duration::from_millis(250);
    assert_eq!(bench.scheduler.next_tick(), Some(next));
}

#[test]
fn what_is_known_already_or_not_to_be_foreseen_is_not_resumed() {
    let steps = Steps { step: Duration::from_secs(600), off: Duration::ZERO, since: Duration::ZERO, init: None };
    let event = Event::Resume { generation: Generation(1), steps };
    for limits in [LIMITS, Limits { keep_alive: KeepAlive::Histogram, ..AHEAD }] {
        assert_eq!(resumed(limits, steps).scheduler.next_tick(), None);
    }
    let mut bench = Bench::on(CAPACITY, AHEAD);
    assert_eq!(bench.step(event), [], "it is not deployed");
    bench.deploy(1, 1, 128);
    call(&mut bench, 1, 1);
    let next = bench.scheduler.next_tick();
    bench.step(event);
    assert_eq!(bench.scheduler.next_tick(), next, "it was called in this life");
    assert_eq!(bench.scheduler.steps_of(bench.now, Generation(1)), None);
}
