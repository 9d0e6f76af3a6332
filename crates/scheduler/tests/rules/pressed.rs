//! Where more is to run than the processors get through, few invokes of a version run at a time.

use std::collections::VecDeque;

use super::*;

const PRESSED: Limits = Limits { pressed_at_once: Some(2), account_concurrency: 300, ..LIMITS };

/// With so many idle environments, the last of them used last.
fn pressed(count: u64) -> Bench {
    let mut bench = Bench::deployed_on(Capacity { memory_mb: 100_000, environments: 1000 }, PRESSED);
    for number in 1..=count {
        assert_eq!(bench.invoke(number, 1), [create(number, number, 1)]);
    }
    (1..=count).for_each(|id| bench.done(id));
    assert_eq!(bench.step(Event::Pressed(true)), []);
    bench
}

impl Bench {
    /// Answered, and idle: nobody waited for it.
    fn done(&mut self, environment: u64) {
        assert_eq!(self.step(Event::Answered(env(environment))), []);
        assert_eq!(self.step(Event::Idle(env(environment))), []);
    }
}

#[test]
fn who_comes_beyond_waits_for_one_of_them_and_counts() {
    let mut bench = pressed(4);
    assert_eq!(bench.invoke(10, 1), [assign(10, 4)]);
    assert_eq!(bench.invoke(11, 1), [assign(11, 3)]);
    assert_eq!(bench.invoke(12, 1), []);
    assert_eq!(bench.invoke(13, 1), []);
    assert_eq!(bench.scheduler.in_flight(), 4);
    // Who came first goes first, to the environment that was used last.
    assert_eq!(bench.step(Event::Answered(env(4))), [assign(12, 2)]);
    assert_eq!(bench.step(Event::Idle(env(4))), []);
    assert_eq!(bench.step(Event::Answered(env(3))), [assign(13, 4)]);
    assert_eq!(bench.scheduler.in_flight(), 2);
}

#[test]
fn where_none_is_idle_none_is_made_for_them() {
    let mut bench = pressed(2);
    (10..12).for_each(|number| drop(bench.invoke(number, 1)));
    assert_eq!(bench.invoke(12, 1), []);
    assert_eq!(bench.step(Event::Answered(env(2))), []);
    assert_eq!(bench.step(Event::Idle(env(2))), [assign(12, 2)]);
}

#[test]
fn first_invokes_are_no_reason_to_wait() {
    let mut bench = pressed(0);
    for number in 1..=4 {
        assert_eq!(bench.invoke(number, 1), [create(number, number, 1)]);
    }
}

#[test]
fn all_go_on_once_there_is_time_for_them() {
    let mut bench = pressed(4);
    (10..14).for_each(|number| drop(bench.invoke(number, 1)));
    assert_eq!(bench.step(Event::Pressed(false)), [assign(12, 2), assign(13, 1)]);
    assert_eq!(bench.invoke(14, 1), [create(14, 5, 1)]);
}

#[test]
fn who_waits_in_vain_goes_and_none_waits_for_a_while() {
    let mut bench = pressed(4);
    (10..13).for_each(|number| drop(bench.invoke(number, 1)));
    assert_eq!(bench.after(9).step(Event::Tick), []);
    assert_eq!(bench.after(1).step(Event::Tick), [assign(12, 2)]);
    assert_eq!(bench.invoke(13, 1), [assign(13, 1)]);
    assert_eq!(bench.invoke(14, 1), [create(14, 5, 1)]);
    assert_eq!(bench.after(250).invoke(15, 1), []);
}

#[test]
fn who_waits_while_others_are_answered_waits_on() {
    let mut bench = pressed(3);
    (10..12).for_each(|number| drop(bench.invoke(number, 1)));
    (12..60).for_each(|number| assert_eq!(bench.invoke(number, 1), []));
    let mut running = VecDeque::from([env(3), env(2)]);
    // Each millisecond one is answered, and another one begins: the last waits for 48 ms, and none is made for it.
    for number in 12..60 {
        let answered = running.pop_front().unwrap();
        assert_eq!(bench.after(1).step(Event::Tick), []);
        let actions = bench.step(Event::Answered(answered));
        let [Action::Assign { invoke, environment }] = actions[..] else { panic!("{number}: {actions:?}") };
        assert_eq!(invoke, InvokeId(number));
        running.push_back(environment);
        assert_eq!(bench.step(Event::Idle(answered)), []);
    }
}

#[test]
fn nobody_waits_longer_than_may_be() {
    let mut bench = pressed(3);
    (10..12).for_each(|number| drop(bench.invoke(number, 1)));
    (12..200).for_each(|number| assert_eq!(bench.invoke(number, 1), []));
    let mut running = VecDeque::from([env(3), env(2)]);
    let mut most = Duration::ZERO;
    // One each millisecond: these get on, but not all of them in time.
    while let Some(answered) = running.pop_front() {
        let mut actions = bench.after(1).step(Event::Tick);
        actions.extend(bench.step(Event::Answered(answered)));
        actions.extend(bench.step(Event::Idle(answered)));
        if !actions.is_empty() {
            most = bench.now;
        }
        running.extend(actions.iter().filter_map(|action| match action {
            Action::Assign { environment, .. } => Some(*environment),
            _ => None,
        }));
    }
    assert!(most <= hearth_types::limits::PRESSED_WAIT_MAX + Duration::from_millis(2), "{most:?}");
}

#[test]
fn a_retired_generation_lets_go_of_those_that_wait() {
    let mut bench = pressed(3);
    (10..13).for_each(|number| drop(bench.invoke(number, 1)));
    let actions = bench.step(Event::Retire(Generation(1)));
    assert!(actions.contains(&stale(12)), "{actions:?}");
}

#[test]
fn one_that_dies_makes_place_for_who_waits() {
    let mut bench = pressed(3);
    (10..13).for_each(|number| drop(bench.invoke(number, 1)));
    assert_eq!(bench.step(Event::Gone(env(3))), [assign(12, 1)]);
}
