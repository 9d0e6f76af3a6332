//! What is in use, for who remembers it.

use super::*;

fn in_use(bench: &Bench) -> Vec<(u64, u32)> {
    bench.scheduler.in_use().into_iter().map(|(generation, count)| (generation.0, count)).collect()
}

/// What is in use from then on.
fn look(bench: &mut Bench) {
    bench.scheduler.looked(bench.now);
}

#[test]
fn what_has_had_an_invoke_since_the_last_look_is_in_use() {
    let mut bench = Bench::deployed(LIMITS);
    bench.deploy(2, 2, 128);
    assert_eq!(in_use(&bench), []);
    bench.invoke(1, 1);
    bench.invoke(2, 1);
    bench.invoke(3, 2);
    look(bench.after(9000));
    assert_eq!(in_use(&bench), [(1, 2), (2, 1)], "busy ones are, whenever they began");
    bench.after(1000).step(Event::Answered(env(1)));
    assert_eq!(in_use(&bench), [(1, 2), (2, 1)], "about to be idle");
    bench.step(Event::Idle(env(1)));
    look(bench.after(1000));
    bench.step(Event::Idle(env(2)));
    assert_eq!(in_use(&bench), [(1, 1), (2, 1)], "the other was idle before");
    look(bench.after(1));
    assert_eq!(in_use(&bench), [(2, 1)]);
}

#[test]
fn what_was_in_use_and_has_gone_since_the_last_look_still_is() {
    let mut bench = Bench::deployed(LIMITS);
    bench.deploy(2, 2, 128);
    bench.invoke(1, 1);
    bench.invoke(2, 1);
    bench.invoke(3, 2);
    bench.step(Event::Gone(env(1)));
    bench.step(Event::Lost(WorkerId(1)));
    assert_eq!(in_use(&bench), [(1, 2), (2, 1)], "it was lost with its worker");
    look(bench.after(1000));
    assert_eq!(in_use(&bench), []);
}

#[test]
fn what_takes_the_place_of_another_is_no_more_than_that() {
    let mut bench = Bench::deployed(LIMITS);
    bench.invoke(1, 1);
    bench.step(Event::Gone(env(1)));
    bench.invoke(2, 1);
    assert_eq!(in_use(&bench), [(1, 1)]);
}

#[test]
fn what_was_idle_before_the_last_look_and_goes_is_not_in_use() {
    let mut bench = Bench::deployed(LIMITS);
    bench.invoke(1, 1);
    bench.step(Event::Idle(env(1)));
    look(bench.after(1));
    bench.after(120_000).step(Event::Tick);
    assert_eq!(bench.scheduler.living(), 0);
    assert_eq!(in_use(&bench), []);
}

#[test]
fn what_is_there_without_an_invoke_is_not_in_use() {
    let mut bench = Bench::deployed(LIMITS);
    bench.step(Event::Provision { generation: Generation(1), count: 1 });
    bench.step(Event::Prepared(env(1)));
    assert_eq!(in_use(&bench), []);
    bench.invoke(1, 1);
    assert_eq!(in_use(&bench), [], "who has it provisioned need not remember it");
    bench.invoke(2, 1);
    assert_eq!(in_use(&bench), [(1, 1)], "but what spills over");
    bench.step(Event::Lost(WorkerId(1)));
    assert_eq!(in_use(&bench), [(1, 1)]);
}

#[test]
fn what_lives_is_counted_by_generation() {
    let mut bench = Bench::deployed(LIMITS);
    let living = |bench: &Bench| bench.scheduler.living_by_generation();
    assert_eq!(living(&bench), []);
    bench.invoke(1, 1);
    bench.invoke(2, 1);
    assert_eq!(living(&bench), [(Generation(1), 2)]);
    bench.step(Event::Gone(env(1)));
    assert_eq!(living(&bench), [(Generation(1), 1)]);
}
