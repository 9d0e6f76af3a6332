//! Idle environments, what goes for others, and who waits for room.

use hearth_types::limits::ROOM_WAITERS;

use super::*;

#[test]
fn idle_environments_of_other_functions_make_room_oldest_first() {
    let mut bench = Bench::deployed(LIMITS);
    bench.deploy(2, 2, 1024);
    bench.deploy(3, 3, 1024);
    bench.deploy(4, 4, 2048);
    assert_eq!(bench.invoke(1, 2), [create(1, 1, 2)]);
    assert_eq!(bench.invoke(2, 3), [create(2, 2, 3)]);
    assert_eq!(bench.step(Event::Idle(env(2))), []);
    assert_eq!(bench.after(1).step(Event::Idle(env(1))), []);
    assert_eq!(bench.invoke(4, 1), [stop(2, StopReason::Room), create(4, 3, 1)]);
    assert_eq!(bench.invoke(5, 4), [], "a stop that would not be enough is not made");
    let stops = [stop(1, StopReason::Room), stop(3, StopReason::Room)];
    assert_eq!(bench.step(Event::Idle(env(3))), [&stops[..], &[create(5, 4, 4)]].concat());
}

/// One use of each generation's only environment; then it is idle.
fn use_once(bench: &mut Bench, invoke: u64, generation: u64) -> u64 {
    let actions = bench.invoke(invoke, generation);
    let Some(Action::Assign { environment, .. } | Action::Create { environment, .. }) = actions.last() else {
        panic!("{actions:?}")
    };
    bench.after(100).step(Event::Idle(*environment));
    environment.0
}

const ROOM: Limits = Limits { keep_alive: KeepAlive::Room, life: Duration::from_secs(1_000_000), ..LIMITS };

#[test]
fn where_room_decides_nothing_goes_while_there_is_any() {
    let mut bench = Bench::deployed(ROOM);
    use_once(&mut bench, 1, 1);
    assert_eq!(bench.scheduler.next_tick(), Some(ROOM.life), "its life ends");
    assert_eq!(bench.after(900_000_000).step(Event::Tick), []);
    assert_eq!(bench.invoke(2, 1), [assign(2, 1)]);
}

#[test]
fn where_room_is_short_the_one_goes_that_is_expected_least() {
    let mut bench = Bench::new(ROOM);
    for function in 1..=3 {
        bench.deploy(function, function, 1024);
    }
    // Function 1 is used each minute, function 2 once in ten minutes.
    let mut invoke = 0;
    let mut minute = |bench: &mut Bench, generations: &[u64]| {
        bench.after(60_000);
        for generation in generations {
            invoke += 1;
            use_once(bench, invoke, *generation);
        }
    };
    for at in 0..40 {
        minute(&mut bench, if at % 10 == 0 { &[1, 2] } else { &[1] });
    }
    assert_eq!(bench.invoke(900, 3)[0], stop(2, StopReason::Room), "though it is idle no longer than the other");
}

#[test]
fn where_room_is_short_memory_is_weighed() {
    let mut bench = Bench::new(ROOM);
    bench.deploy(1, 1, 1024);
    bench.deploy(2, 2, 512);
    bench.deploy(3, 3, 1024);
    bench.invoke(1, 1);
    bench.invoke(2, 2);
    for environment in [1, 2] {
        bench.after(100).step(Event::Answered(env(environment)));
    }
    for environment in [2, 1] {
        bench.step(Event::Idle(env(environment)));
    }
    assert_eq!(bench.invoke(3, 3)[0], stop(1, StopReason::Room), "it holds twice the memory, and is idle no longer");
}

#[test]
fn where_room_is_short_the_cold_start_is_weighed() {
    for (init_ms, goes) in [([100, 3000], 1), ([3000, 100], 2)] {
        let mut bench = Bench::new(ROOM);
        for function in 1..=3 {
            bench.deploy(function, function, 1024);
        }
        for function in 1..=2 {
            bench.invoke(function, function);
            let took = Duration::from_millis(init_ms[function as usize - 1]);
            bench.step(Event::Initialised { environment: env(function), took });
        }
        bench.after(5000);
        for environment in 1..=2 {
            bench.step(Event::Idle(env(environment)));
        }
        assert_eq!(bench.after(1000).invoke(3, 3)[0], stop(goes, StopReason::Room), "its like is soon made again");
    }
}

#[test]
fn idle_environments_go_after_the_keep_alive_time() {
    let mut bench = Bench::deployed(LIMITS);
    bench.invoke(1, 1);
    bench.invoke(2, 1);
    assert_eq!(bench.scheduler.next_tick(), None);
    bench.step(Event::Idle(env(1)));
    bench.after(1000).step(Event::Idle(env(2)));
    assert_eq!(bench.scheduler.next_tick(), Some(Duration::from_secs(60)));
    assert_eq!(bench.after(58_999).step(Event::Tick), []);
    assert_eq!(bench.after(1).step(Event::Tick), [stop(1, StopReason::Idle)]);
    assert_eq!(bench.scheduler.next_tick(), Some(Duration::from_secs(61)));
    assert_eq!(bench.after(1000).step(Event::Tick), [stop(2, StopReason::Idle)]);
    assert_eq!(bench.scheduler.next_tick(), None);
    assert_eq!(bench.scheduler.living(), 0);
}

#[test]
fn an_environment_in_use_is_not_reaped() {
    let mut bench = Bench::deployed(LIMITS);
    bench.invoke(1, 1);
    bench.step(Event::Idle(env(1)));
    assert_eq!(bench.after(59_000).invoke(2, 1), [assign(2, 1)]);
    assert_eq!(bench.after(2000).step(Event::Tick), []);
    assert_eq!(bench.step(Event::Idle(env(1))), []);
    assert_eq!(bench.after(59_999).step(Event::Tick), []);
    assert_eq!(bench.after(1).step(Event::Tick), [stop(1, StopReason::Idle)]);
}

#[test]
fn an_old_environment_goes_when_it_is_idle_however_often_it_is_used() {
    let mut bench = Bench::deployed(Limits { life: Duration::from_secs(100), ..LIMITS });
    bench.invoke(1, 1);
    bench.after(50_000).step(Event::Idle(env(1)));
    assert_eq!(bench.scheduler.next_tick(), Some(Duration::from_secs(100)));
    assert_eq!(bench.after(49_999).step(Event::Tick), []);
    assert_eq!(bench.invoke(2, 1), [assign(2, 1)]);
    assert_eq!(bench.after(1).step(Event::Tick), [], "it is busy");
    bench.step(Event::Answered(env(1)));
    assert_eq!(bench.invoke(3, 1), [], "one will be idle in a moment");
    assert_eq!(bench.step(Event::Idle(env(1))), [stop(1, StopReason::Age), create(3, 2, 1)]);
    bench.step(Event::Idle(env(2)));
    assert_eq!(bench.after(60_000).step(Event::Tick), [stop(2, StopReason::Idle)]);
}

#[test]
fn an_old_environment_takes_no_invoke_though_its_tick_is_late() {
    let mut bench = Bench::deployed(Limits { life: Duration::from_secs(30), ..LIMITS });
    bench.invoke(1, 1);
    bench.step(Event::Idle(env(1)));
    assert_eq!(bench.after(29_999).invoke(2, 1), [assign(2, 1)]);
    bench.step(Event::Idle(env(1)));
    assert_eq!(bench.after(1).invoke(3, 1), [stop(1, StopReason::Age), create(3, 2, 1)]);
}

/// Four functions that need all memory, half, half, and a quarter of it.
fn crowded() -> Bench {
    let mut bench = Bench::new(LIMITS);
    for (function, memory_mb) in [(1, 2048), (2, 1024), (3, 1024), (4, 512)] {
        bench.deploy(function, function, memory_mb);
    }
    bench
}

#[test]
fn an_invoke_without_room_waits_but_not_for_ever() {
    let mut bench = crowded();
    bench.invoke(1, 1);
    assert_eq!(bench.invoke(2, 2), []);
    assert_eq!(bench.scheduler.next_tick(), Some(LIMITS.room_wait));
    assert_eq!(bench.after(499).step(Event::Tick), []);
    assert_eq!(bench.after(1).step(Event::Tick), [throttle(2, Throttle::Memory)]);
    assert_eq!(bench.invoke(3, 2), []);
    assert_eq!(bench.after(100).step(Event::Gone(env(1))), [create(3, 2, 2)]);
}

#[test]
fn those_that_wait_for_room_get_it_in_order_but_for_what_does_not_fit() {
    let mut bench = crowded();
    bench.invoke(1, 2);
    bench.invoke(2, 3);
    for (invoke, generation) in [(3, 1), (4, 2), (5, 4), (6, 3)] {
        assert_eq!(bench.after(1).invoke(invoke, generation), []);
    }
    bench.step(Event::Answered(env(2)));
    assert_eq!(bench.step(Event::Idle(env(2))), [assign(6, 2)], "its own version's is first");
    bench.step(Event::Answered(env(1)));
    assert_eq!(bench.step(Event::Idle(env(1))), [assign(4, 1)], "invoke 3 needs the room of both");
    assert_eq!(bench.step(Event::Gone(env(1))), [create(5, 3, 4)]);
    assert_eq!(bench.step(Event::Gone(env(2))), []);
    assert_eq!(bench.step(Event::Gone(env(3))), [create(3, 4, 1)]);
}

#[test]
fn nobody_is_passed_over_for_more_than_half_of_the_time() {
    let mut bench = crowded();
    bench.invoke(1, 1);
    assert_eq!(bench.invoke(2, 2), []);
    assert_eq!(bench.after(1).invoke(3, 1), []);
    assert_eq!(bench.after(248).step(Event::Idle(env(1))), [assign(3, 1)]);
    assert_eq!(bench.invoke(4, 1), []);
    assert_eq!(bench.after(1).step(Event::Idle(env(1))), [stop(1, StopReason::Room), create(2, 2, 2)]);
    assert_eq!(bench.step(Event::Gone(env(2))), [create(4, 3, 1)]);
}

#[test]
fn no_more_wait_for_room_than_may() {
    let mut bench =
        Bench::deployed_on(Capacity { environments: 1, ..CAPACITY }, Limits { account_concurrency: 10_000, ..LIMITS });
    bench.invoke(0, 1);
    for invoke in 1..=u64::from(ROOM_WAITERS) {
        assert_eq!(bench.invoke(invoke, 1), []);
    }
    assert_eq!(bench.invoke(9999, 1), [throttle(9999, Throttle::Environments)]);
    assert_eq!(bench.step(Event::Idle(env(1))), [assign(1, 1)]);
    assert_eq!(bench.invoke(10_000, 1), []);
}
