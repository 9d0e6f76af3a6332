//! One test for each rule of the scheduler.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod ahead;
mod histogram;
mod in_use;
mod room;

use std::num::NonZeroU32;
use std::time::Duration;

use hearth_scheduler::{
    Action, Activity, Capacity, Event, FunctionKey, Generation, InvokeId, KeepAlive, Limits, Origin, Purpose, Rate,
    Scaling, Scheduler, Steps, StopReason, Throttle, WorkerId,
};
use hearth_types::EnvironmentId;

const LIMITS: Limits = Limits { account_concurrency: 10, ..Limits::PLAIN };

const WORKER: WorkerId = WorkerId(1);
const CAPACITY: Capacity = Capacity { memory_mb: 2048, environments: 8 };

/// A scheduler with a clock that the test moves.
struct Bench {
    scheduler: Scheduler,
    now: Duration,
}

impl Bench {
    fn new(limits: Limits) -> Self {
        Self::on(CAPACITY, limits)
    }

    /// With one worker.
    fn on(capacity: Capacity, limits: Limits) -> Self {
        let mut bench = Self { scheduler: Scheduler::new(limits), now: Duration::ZERO };
        assert_eq!(bench.step(Event::Join { worker: WORKER, capacity }), []);
        bench
    }

    /// With generation 1 of function 1, 128 MB.
    fn deployed(limits: Limits) -> Self {
        Self::deployed_on(CAPACITY, limits)
    }

    fn deployed_on(capacity: Capacity, limits: Limits) -> Self {
        let mut bench = Self::on(capacity, limits);
        bench.deploy(1, 1, 128);
        bench
    }

    fn step(&mut self, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        self.scheduler.step(self.now, event, &mut actions);
        actions
    }

    fn deploy(&mut self, generation: u64, function: u64, memory_mb: u32) {
        let event = Event::Deploy { generation: Generation(generation), function: FunctionKey(function), memory_mb };
        assert_eq!(self.step(event), []);
    }

    fn invoke(&mut self, invoke: u64, generation: u64) -> Vec<Action> {
        self.invoke_from(invoke, generation, Origin::Client)
    }

    fn invoke_from(&mut self, invoke: u64, generation: u64, origin: Origin) -> Vec<Action> {
        self.step(Event::Invoke { invoke: InvokeId(invoke), generation: Generation(generation), origin })
    }

    fn after(&mut self, ms: u64) -> &mut Self {
        self.now += Duration::from_millis(ms);
        self
    }
}

fn env(id: u64) -> EnvironmentId {
    EnvironmentId(id)
}

fn create(invoke: u64, environment: u64, generation: u64) -> Action {
    let (invoke, generation) = (InvokeId(invoke), Generation(generation));
    Action::Create { invoke, environment: env(environment), generation, worker: WORKER }
}

fn assign(invoke: u64, environment: u64) -> Action {
    Action::Assign { invoke: InvokeId(invoke), environment: env(environment) }
}

fn stop(environment: u64, reason: StopReason) -> Action {
    Action::Stop { environment: env(environment), reason }
}

fn stale(invoke: u64) -> Action {
    Action::Stale { invoke: InvokeId(invoke) }
}

fn throttle(invoke: u64, reason: Throttle) -> Action {
    Action::Throttle { invoke: InvokeId(invoke), reason }
}

#[test]
fn the_last_used_idle_environment_is_taken_first() {
    let mut bench = Bench::deployed(LIMITS);
    assert_eq!(bench.invoke(1, 1), [create(1, 1, 1)]);
    assert_eq!(bench.invoke(2, 1), [create(2, 2, 1)]);
    assert_eq!(bench.step(Event::Idle(env(2))), []);
    assert_eq!(bench.after(1).step(Event::Idle(env(1))), []);
    assert_eq!(bench.invoke(3, 1), [assign(3, 1)]);
    assert_eq!(bench.invoke(4, 1), [assign(4, 2)]);
}

#[test]
fn the_accounts_limit_counts_invokes_in_flight() {
    let mut bench = Bench::deployed(Limits { account_concurrency: 1, ..LIMITS });
    assert_eq!(bench.invoke(1, 1), [create(1, 1, 1)]);
    assert_eq!(bench.invoke(2, 1), [throttle(2, Throttle::AccountConcurrency)]);
    assert_eq!(bench.step(Event::Answered(env(1))), []);
    assert_eq!(bench.scheduler.in_flight(), 0, "an answered invoke counts no more, idle or not");
    assert_eq!(bench.invoke(3, 1), [], "waits for environment 1");
    assert_eq!(bench.invoke(4, 1), [throttle(4, Throttle::AccountConcurrency)], "who waits counts");
    assert_eq!(bench.step(Event::Idle(env(1))), [assign(3, 1)]);
}

#[test]
fn reserved_concurrency_is_the_functions_own_and_taken_from_the_account() {
    let mut bench = Bench::deployed(Limits { account_concurrency: 3, ..LIMITS });
    bench.deploy(2, 2, 128);
    assert_eq!(bench.invoke(1, 1), [create(1, 1, 1)]);
    assert_eq!(bench.step(Event::Reserve { function: FunctionKey(1), concurrency: Some(2) }), []);
    assert_eq!(bench.invoke(2, 1), [create(2, 2, 1)]);
    assert_eq!(bench.invoke(3, 1), [throttle(3, Throttle::ReservedConcurrency)]);
    assert_eq!(bench.invoke(4, 2), [create(4, 3, 2)], "one of three is left to the others");
    assert_eq!(bench.invoke(5, 2), [throttle(5, Throttle::AccountConcurrency)]);
    assert_eq!(bench.step(Event::Reserve { function: FunctionKey(1), concurrency: Some(0) }), []);
    assert_eq!(bench.step(Event::Idle(env(1))), []);
    assert_eq!(bench.invoke(6, 1), [throttle(6, Throttle::ReservedConcurrency)], "0 disables the function");
}

#[test]
fn what_can_never_fit_says_so() {
    let mut bench = Bench::new(LIMITS);
    bench.deploy(1, 1, 4096);
    assert_eq!(bench.invoke(1, 1), [throttle(1, Throttle::NeverFits { needed_mb: 4096, budget_mb: 2048 })]);
    assert_eq!(bench.scheduler.in_flight(), 0);
}

#[test]
fn the_count_of_environments_is_bounded() {
    let mut bench = Bench::deployed_on(Capacity { environments: 1, ..CAPACITY }, LIMITS);
    bench.deploy(2, 2, 128);
    assert_eq!(bench.invoke(1, 1), [create(1, 1, 1)]);
    assert_eq!(bench.invoke(2, 2), [], "waits");
    assert_eq!(bench.step(Event::Idle(env(1))), [stop(1, StopReason::Room), create(2, 2, 2)]);
    assert_eq!(bench.step(Event::Idle(env(2))), []);
    assert_eq!(bench.invoke(4, 1), [], "one is stopping still: waits for its end");
    assert_eq!(bench.step(Event::Gone(env(1))), [stop(2, StopReason::Room), create(4, 3, 1)]);
}

#[test]
fn environments_that_came_together_go_one_by_one() {
    let (life, life_spread) = (Duration::from_secs(800), Duration::from_secs(100));
    let limits = Limits { life, life_spread, ..LIMITS };
    let lives: Vec<_> = (1..=100).map(|id| limits.life_of(env(id))).collect();
    assert!(lives.iter().all(|of_one| (life - life_spread..=life).contains(of_one)), "{lives:?}");
    // Of ten tenths of the spread none is much fuller than another.
    for tenth in 0..10 {
        let from = life - life_spread + life_spread * tenth / 10;
        let there = lives.iter().filter(|of_one| (from..from + life_spread / 10).contains(of_one)).count();
        assert!((8..=12).contains(&there), "{there} in tenth {tenth}");
    }
}

#[test]
fn an_invoke_waits_a_moment_for_an_environment_that_has_just_answered() {
    let mut bench = Bench::deployed(LIMITS);
    bench.invoke(1, 1);
    bench.step(Event::Answered(env(1)));
    assert_eq!(bench.invoke(2, 1), []);
    assert_eq!(bench.invoke(3, 1), [create(3, 2, 1)], "one environment settles, so one may wait");
    assert_eq!(bench.scheduler.next_tick(), Some(LIMITS.settle));
    assert_eq!(bench.after(10).step(Event::Tick), [create(2, 3, 1)], "but not for ever");
    assert_eq!(bench.step(Event::Idle(env(1))), []);
    assert_eq!(bench.invoke(4, 1), [assign(4, 1)]);
}

#[test]
fn it_waits_as_long_as_a_cold_start_would_take() {
    for (cold_ms, patience_ms) in [(3, 10), (80, 80), (900, 200)] {
        let mut bench = Bench::deployed(LIMITS);
        bench.invoke(1, 1);
        bench.after(cold_ms).step(Event::Answered(env(1)));
        assert_eq!(bench.invoke(2, 1), []);
        assert_eq!(bench.after(patience_ms - 1).step(Event::Tick), []);
        assert_eq!(bench.after(1).step(Event::Tick), [create(2, 2, 1)], "cold start of {cold_ms} ms");
    }
}

#[test]
fn who_waits_for_an_environment_that_goes_gets_a_new_one() {
    let mut bench = Bench::deployed(LIMITS);
    bench.invoke(1, 1);
    bench.step(Event::Answered(env(1)));
    assert_eq!(bench.invoke(2, 1), []);
    assert_eq!(bench.step(Event::Gone(env(1))), [create(2, 2, 1)]);
}

#[test]
fn a_deploy_in_a_full_house_refuses_nobody() {
    let mut bench = Bench::deployed_on(Capacity { environments: 2, ..CAPACITY }, LIMITS);
    bench.invoke(1, 1);
    bench.invoke(2, 1);
    bench.deploy(2, 1, 128);
    bench.step(Event::Retire(Generation(1)));
    bench.step(Event::Answered(env(1)));
    assert_eq!(bench.invoke(3, 2), []);
    assert_eq!(bench.step(Event::Idle(env(1))), [stop(1, StopReason::Retired), create(3, 3, 2)]);
}

#[test]
fn a_retired_generation_takes_nothing_and_drains() {
    let mut bench = Bench::deployed(LIMITS);
    bench.invoke(1, 1);
    bench.invoke(2, 1);
    bench.invoke(3, 1);
    bench.step(Event::Idle(env(1)));
    bench.step(Event::Answered(env(2)));
    bench.invoke(4, 1); // takes 1
    assert_eq!(bench.invoke(5, 1), [], "waits for 2");
    bench.deploy(2, 1, 128);
    assert_eq!(bench.step(Event::Retire(Generation(1))), [stale(5)]);
    assert_eq!(bench.invoke(6, 1), [stale(6)]);
    assert_eq!(bench.step(Event::Idle(env(2))), [stop(2, StopReason::Retired)]);
    assert_eq!(bench.step(Event::Idle(env(1))), [stop(1, StopReason::Retired)]);
    assert_eq!(bench.step(Event::Gone(env(3))), []);
    assert_eq!(bench.invoke(7, 2), [create(7, 4, 2)], "never an environment of another generation");
    assert_eq!(bench.scheduler.in_flight(), 1);
}

#[test]
fn retiring_stops_what_is_idle_at_once() {
    let mut bench = Bench::deployed(LIMITS);
    bench.invoke(1, 1);
    bench.step(Event::Idle(env(1)));
    assert_eq!(bench.step(Event::Retire(Generation(1))), [stop(1, StopReason::Retired)]);
    assert_eq!(bench.step(Event::Retire(Generation(1))), [], "once is enough");
}

#[test]
fn activities_tell_what_each_environment_does() {
    let mut bench = Bench::deployed(LIMITS);
    let of = |bench: &Bench| -> Vec<_> {
        bench.scheduler.environments(FunctionKey(1)).into_iter().map(|(id, _, activity)| (id, activity)).collect()
    };
    bench.invoke(1, 1);
    bench.invoke(2, 1);
    assert_eq!(of(&bench), [(env(1), Activity::Init), (env(2), Activity::Init)]);
    bench.step(Event::Idle(env(1)));
    bench.step(Event::Answered(env(2)));
    assert_eq!(of(&bench), [(env(1), Activity::Idle), (env(2), Activity::Busy)]);
    bench.invoke(3, 1);
    assert_eq!(of(&bench), [(env(1), Activity::Busy), (env(2), Activity::Busy)]);
    bench.step(Event::Gone(env(1)));
    bench.step(Event::Idle(env(2)));
    bench.step(Event::Retire(Generation(1)));
    assert_eq!(of(&bench), [], "what is stopping does not live");
}

#[test]
fn events_of_unknown_environments_change_nothing() {
    let mut bench = Bench::deployed(LIMITS);
    for event in [Event::Answered(env(9)), Event::Idle(env(9)), Event::Gone(env(9)), Event::Retire(Generation(9))] {
        assert_eq!(bench.step(event), []);
    }
    bench.invoke(1, 1);
    bench.step(Event::Idle(env(1)));
    assert_eq!(bench.step(Event::Idle(env(1))), [], "idle twice is idle once");
    assert_eq!(bench.invoke(2, 1), [assign(2, 1)]);
    assert_eq!(bench.invoke(3, 1), [create(3, 2, 1)]);
}

/// An invoke of generation 1, answered at once; none where it is refused.
fn served(bench: &mut Bench, invoke: u64, origin: Origin) -> Result<bool, Throttle> {
    let is_new = match bench.invoke_from(invoke, 1, origin)[..] {
        [Action::Create { environment, .. }] => Ok((environment, true)),
        [Action::Assign { environment, .. }] => Ok((environment, false)),
        [Action::Throttle { reason, .. }] => Err(reason),
        ref other => panic!("{other:?}"),
    };
    is_new.map(|(environment, is_new)| {
        bench.step(Event::Idle(environment));
        is_new
    })
}

#[test]
fn clients_requests_have_a_rate_by_the_concurrency() {
    let mut bench = Bench::deployed(Limits { requests_per_concurrency: Some(10), ..LIMITS });
    let refused = |bench: &mut Bench, invokes: std::ops::Range<u64>, origin| {
        let outcomes: Vec<_> = invokes.map(|invoke| served(bench, invoke, origin)).collect();
        outcomes.into_iter().filter_map(Result::err).collect::<Vec<_>>()
    };
    assert_eq!(refused(&mut bench, 0..102, Origin::Client), [Throttle::RequestRate; 2]);
    assert_eq!(refused(&mut bench, 102..400, Origin::Queue), [], "queues have none");
    assert_eq!(refused(bench.after(100), 400..411, Origin::Client), [Throttle::RequestRate]);

    bench.step(Event::Reserve { function: FunctionKey(1), concurrency: Some(1) });
    assert_eq!(refused(&mut bench, 500..511, Origin::Client), [Throttle::ReservedRequestRate]);
}

#[test]
fn environments_come_no_faster_than_they_may() {
    let rate = Rate { burst: 3, refill: NonZeroU32::new(2).unwrap(), per: Duration::from_secs(10) };
    for (scaling, other) in [(Scaling::PerFunction(rate), true), (Scaling::Account(rate), false)] {
        let mut bench = Bench::deployed(Limits { scaling, ..LIMITS });
        bench.deploy(2, 2, 128);
        let refused = |actions: &[Action]| matches!(actions, [Action::Throttle { reason: Throttle::ScalingRate, .. }]);
        for invoke in 1..=3 {
            assert!(!refused(&bench.invoke(invoke, 1)));
        }
        assert!(refused(&bench.invoke(4, 1)));
        assert_eq!(bench.scheduler.in_flight(), 3, "what is refused is not counted");
        assert_eq!(!refused(&bench.invoke(5, 2)), other, "another function");
        assert!(!refused(&bench.after(5000).invoke(6, 1)));
        assert!(refused(&bench.invoke(7, 1)));
    }
}

#[test]
fn idle_environments_take_invokes_whatever_the_rate_of_new_ones() {
    let scaling = Scaling::PerFunction(Rate { burst: 1, refill: NonZeroU32::MIN, per: Duration::from_secs(3600) });
    let mut bench = Bench::deployed(Limits { scaling, ..LIMITS });
    assert_eq!(served(&mut bench, 1, Origin::Client), Ok(true));
    assert_eq!(served(&mut bench, 2, Origin::Client), Ok(false));
}
