//! One test for each rule of provisioned concurrency.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::time::Duration;

use hearth_scheduler::{
    Action, Capacity, Event, FunctionKey, Generation, Hindrance, InvokeId, KeepAlive, Limits, Origin, Provision,
    Purpose, Scheduler, StopReason, Throttle, WorkerId,
};
use hearth_types::EnvironmentId;
use hearth_types::limits::{PREPARED_AT_ONCE, PROVISION_RETRY};

const KEEP_ALIVE: Duration = Duration::from_secs(60);

const LIMITS: Limits = Limits { account_concurrency: 100, keep_alive: KeepAlive::Fixed(KEEP_ALIVE), ..Limits::PLAIN };

struct Bench {
    scheduler: Scheduler,
    now: Duration,
}

impl Bench {
    /// With generation 1 of function 1, 128 MB, on worker 1.
    fn deployed(memory_mb: u64) -> Self {
        Self::with(LIMITS, memory_mb)
    }

    fn with(limits: Limits, memory_mb: u64) -> Self {
        let mut bench = Self { scheduler: Scheduler::new(limits), now: Duration::ZERO };
        bench.join(1, memory_mb);
        bench.deploy(1, 1, 128);
        bench
    }

    fn join(&mut self, worker: u64, memory_mb: u64) {
        let capacity = Capacity { memory_mb, environments: 100 };
        assert_eq!(self.step(Event::Join { worker: WorkerId(worker), capacity }), []);
    }

    fn deploy(&mut self, generation: u64, function: u64, memory_mb: u32) {
        let event = Event::Deploy { generation: Generation(generation), function: FunctionKey(function), memory_mb };
        assert_eq!(self.step(event), []);
    }

    fn step(&mut self, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        self.scheduler.step(self.now, event, &mut actions);
        actions
    }

    fn provision(&mut self, count: u32) -> Vec<Action> {
        self.step(Event::Provision { generation: Generation(1), count })
    }

    /// That many, numbered from 1, initialised.
    fn provisioned(memory_mb: u64, count: u32) -> Self {
        let mut bench = Self::deployed(memory_mb);
        assert_eq!(bench.provision(count).len(), count.min(PREPARED_AT_ONCE) as usize);
        for id in 1..=u64::from(count) {
            bench.step(Event::Prepared(env(id)));
        }
        assert_eq!(bench.state(), (count, count, count, false));
        bench
    }

    fn invoke(&mut self, invoke: u64, generation: u64) -> Vec<Action> {
        let invoke = InvokeId(invoke);
        self.step(Event::Invoke { invoke, generation: Generation(generation), origin: Origin::Client })
    }

    /// Wanted, allocated, available, failed.
    fn state(&self) -> (u32, u32, u32, bool) {
        let Provision { wanted, allocated, available, hindrance, .. } = self.scheduler.provisioned(Generation(1));
        (wanted, allocated, available, hindrance == Some(Hindrance::Init))
    }

    fn after(&mut self, wait: Duration) -> &mut Self {
        self.now += wait;
        self
    }
}

fn env(id: u64) -> EnvironmentId {
    EnvironmentId(id)
}

fn prepare(environment: u64, generation: u64) -> Action {
    prepare_on(1, environment, generation)
}

fn prepare_on(worker: u64, environment: u64, generation: u64) -> Action {
    let (environment, generation, worker) = (env(environment), Generation(generation), WorkerId(worker));
    Action::Prepare { environment, generation, worker, purpose: Purpose::Provisioned }
}

fn create(invoke: u64, environment: u64, generation: u64) -> Action {
    let (invoke, environment, generation) = (InvokeId(invoke), env(environment), Generation(generation));
    Action::Create { invoke, environment, generation, worker: WorkerId(1) }
}

fn assign(invoke: u64, environment: u64) -> Action {
    Action::Assign { invoke: InvokeId(invoke), environment: env(environment) }
}

fn stop(environment: u64, reason: StopReason) -> Action {
    Action::Stop { environment: env(environment), reason }
}

#[test]
fn as_many_as_asked_for_are_made_a_few_at_a_time() {
    let mut bench = Bench::deployed(2048);
    let first: Vec<_> = (1..=u64::from(PREPARED_AT_ONCE)).map(|id| prepare(id, 1)).collect();
    assert_eq!(bench.provision(PREPARED_AT_ONCE + 1), first);
    assert_eq!(bench.state(), (PREPARED_AT_ONCE + 1, PREPARED_AT_ONCE, 0, false));
    assert_eq!(bench.step(Event::Prepared(env(1))), [prepare(u64::from(PREPARED_AT_ONCE) + 1, 1)]);
    assert_eq!(bench.step(Event::Prepared(env(2))), []);
    assert_eq!(bench.state(), (PREPARED_AT_ONCE + 1, PREPARED_AT_ONCE + 1, 2, false));
}

#[test]
fn they_are_used_first_and_then_those_on_demand() {
    let mut bench = Bench::provisioned(2048, 1);
    assert_eq!(bench.invoke(1, 1), [assign(1, 1)]);
    assert_eq!(bench.invoke(2, 1), [create(2, 2, 1)]);
    bench.step(Event::Idle(env(1)));
    bench.step(Event::Idle(env(2)));
    assert_eq!(bench.invoke(3, 1), [assign(3, 1)], "although the other was used last");
    assert_eq!(bench.invoke(4, 1), [assign(4, 2)]);
}

#[test]
fn those_that_are_idle_are_seen_as_such() {
    let mut bench = Bench::provisioned(10_000, 2);
    bench.invoke(1, 1);
    let view = bench.scheduler.workers()[0];
    assert_eq!((view.environments, view.idle), (2, 1));
}

#[test]
fn neither_idleness_nor_a_want_of_room_ends_one() {
    let mut bench = Bench::provisioned(256, 1);
    bench.deploy(2, 2, 128);
    assert_eq!(bench.invoke(1, 2), [create(1, 2, 2)]);
    bench.step(Event::Idle(env(2)));
    bench.deploy(3, 3, 128);
    assert_eq!(bench.invoke(2, 3), [stop(2, StopReason::Room), create(2, 3, 3)], "the one that has no claim goes");
    bench.step(Event::Gone(env(2)));
    bench.step(Event::Idle(env(3)));
    assert_eq!(bench.after(KEEP_ALIVE).step(Event::Tick), [stop(3, StopReason::Idle)]);
    assert_eq!(bench.state(), (1, 1, 1, false));
}

#[test]
fn one_that_ends_is_made_again() {
    let mut bench = Bench::provisioned(2048, 2);
    bench.invoke(1, 1);
    assert_eq!(bench.step(Event::Gone(env(2))), [prepare(3, 1)]);
    assert_eq!(bench.state(), (2, 2, 1, false));
}

#[test]
fn one_whose_processes_ended_goes_after_its_invoke_and_is_made_again() {
    let mut bench = Bench::provisioned(2048, 1);
    bench.invoke(1, 1);
    bench.step(Event::Answered(env(1)));
    assert_eq!(bench.step(Event::Down(env(1))), []);
    assert_eq!(bench.step(Event::Idle(env(1))), [stop(1, StopReason::Down), prepare(2, 1)]);
    bench.step(Event::Prepared(env(2)));
    assert_eq!(bench.state(), (1, 1, 1, false));
}

#[test]
fn a_failing_init_is_tried_again_alone_and_later_each_time() {
    let mut bench = Bench::deployed(2048);
    assert_eq!(bench.provision(2), [prepare(1, 1), prepare(2, 1)]);
    for id in [1, 2] {
        bench.step(Event::InitFailed(env(id)));
        assert_eq!(bench.step(Event::Gone(env(id))), []);
    }
    assert_eq!(bench.state(), (2, 0, 0, true));
    assert_eq!(bench.step(Event::Tick), [], "not at once");
    let again = bench.scheduler.next_tick().unwrap();
    assert_eq!(again, 2 * PROVISION_RETRY, "two failed");
    bench.now = again;
    assert_eq!(bench.step(Event::Tick), [prepare(3, 1)], "one finds out");
    assert_eq!(bench.step(Event::Prepared(env(3))), [prepare(4, 1)]);
    assert_eq!(bench.state(), (2, 2, 1, false));
}

#[test]
fn one_that_ends_before_its_first_invoke_is_a_failure_too() {
    let mut bench = Bench::provisioned(2048, 1);
    assert_eq!(bench.step(Event::Down(env(1))), [stop(1, StopReason::Down)]);
    assert_eq!(bench.step(Event::Gone(env(1))), []);
    assert_eq!(bench.state(), (1, 0, 0, true));
    assert_eq!(bench.after(PROVISION_RETRY).step(Event::Tick), [prepare(2, 1)]);
}

#[test]
fn what_the_platform_could_not_make_is_not_tried_again_at_once() {
    let mut bench = Bench::deployed(2048);
    bench.provision(1);
    assert_eq!(bench.step(Event::Gone(env(1))), []);
    assert_eq!(bench.after(PROVISION_RETRY).step(Event::Tick), [prepare(2, 1)]);
}

#[test]
fn want_of_room_is_looked_at_again() {
    let mut bench = Bench::deployed(128);
    bench.deploy(2, 2, 128);
    assert_eq!(bench.invoke(1, 2), [create(1, 1, 2)]);
    assert_eq!(bench.provision(1), []);
    bench.step(Event::Idle(env(1)));
    assert_eq!(bench.after(PROVISION_RETRY).step(Event::Tick), [stop(1, StopReason::Room), prepare(2, 1)]);
}

#[test]
fn fewer_are_wanted() {
    let mut bench = Bench::provisioned(2048, 3);
    assert_eq!(bench.invoke(1, 1), [assign(1, 3)]);
    assert_eq!(bench.provision(1), [stop(1, StopReason::Spare), stop(2, StopReason::Spare)]);
    assert_eq!(bench.provision(0), []);
    assert_eq!(bench.step(Event::Idle(env(3))), [stop(3, StopReason::Spare)]);
    assert_eq!(bench.state(), (0, 0, 0, false));
}

#[test]
fn a_retired_generation_keeps_none() {
    let mut bench = Bench::provisioned(2048, 2);
    bench.invoke(1, 1);
    assert_eq!(bench.step(Event::Retire(Generation(1))), [stop(1, StopReason::Retired)]);
    assert_eq!(bench.step(Event::Idle(env(2))), [stop(2, StopReason::Retired)]);
    bench.step(Event::Gone(env(1)));
    assert_eq!(bench.step(Event::Gone(env(2))), []);
    let mut bench = Bench::deployed(2048);
    bench.provision(1);
    assert_eq!(
        bench.step(Event::Retire(Generation(1))),
        [stop(1, StopReason::Retired)],
        "not even one that is being made"
    );
    assert_eq!(bench.step(Event::Prepared(env(1))), []);
}

#[test]
fn they_move_off_a_worker_that_drains_or_is_lost() {
    let mut bench = Bench::provisioned(2048, 2);
    bench.join(2, 2048);
    bench.invoke(1, 1);
    assert_eq!(bench.step(Event::Drain(WorkerId(1))), [stop(1, StopReason::Drained), prepare_on(2, 3, 1)]);
    bench.step(Event::Prepared(env(3)));
    assert_eq!(bench.step(Event::Idle(env(2))), [stop(2, StopReason::Drained), prepare_on(2, 4, 1)]);
    bench.join(3, 2048);
    assert_eq!(bench.step(Event::Lost(WorkerId(2))), [prepare_on(3, 5, 1), prepare_on(3, 6, 1)]);
    assert_eq!(bench.state(), (2, 2, 0, false), "nobody is to blame");
}

#[test]
fn none_takes_the_place_of_one_that_ends_with_the_server() {
    let mut bench = Bench::provisioned(10_000, 2);
    bench.provision(3);
    assert_eq!(bench.step(Event::Close), []);
    for id in 1..=3 {
        assert_eq!(bench.step(Event::Gone(env(id))), []);
    }
    // Nor on a worker that joins now, nor later.
    bench.join(2, 10_000);
    assert_eq!(bench.after(PROVISION_RETRY).step(Event::Tick), []);
    assert_eq!(bench.scheduler.living(), 0);
}

#[test]
fn one_that_is_too_old_is_renewed() {
    let mut bench = Bench::provisioned(2048, 2);
    bench.invoke(1, 1);
    assert_eq!(bench.after(LIMITS.life).step(Event::Tick), [stop(1, StopReason::Age), prepare(3, 1)]);
    assert_eq!(
        bench.step(Event::Idle(env(2))),
        [stop(2, StopReason::Age), prepare(4, 1)],
        "a busy one after its invoke"
    );
}

fn reserve(bench: &mut Bench, concurrency: u32) {
    let event = Event::Reserve { function: FunctionKey(1), concurrency: Some(concurrency) };
    assert_eq!(bench.step(event), []);
}

fn throttled(actions: &[Action], expected: Throttle) -> bool {
    matches!(actions, [Action::Throttle { reason, .. }] if *reason == expected)
}

#[test]
fn what_is_provisioned_takes_from_the_reservation_and_is_the_versions_own() {
    let mut bench = Bench::deployed(2048);
    bench.deploy(2, 1, 128); // Another version.
    reserve(&mut bench, 3);
    bench.provision(2);
    assert_eq!(bench.invoke(1, 2), [create(1, 3, 2)]);
    assert!(throttled(&bench.invoke(2, 2), Throttle::ReservedConcurrency), "though one invoke of three is in flight");
    bench.step(Event::Prepared(env(1)));
    bench.step(Event::Prepared(env(2)));
    assert_eq!(bench.invoke(3, 1), [assign(3, 2)]);
    assert_eq!(bench.invoke(4, 1), [assign(4, 1)]);
    assert!(throttled(&bench.invoke(5, 1), Throttle::ReservedConcurrency), "nothing spills over");
    // Answered and not idle yet: it is its version's all the same.
    bench.step(Event::Answered(env(1)));
    assert!(throttled(&bench.invoke(6, 2), Throttle::ReservedConcurrency));
    assert_eq!(bench.invoke(7, 1), [], "waits for it");
    assert_eq!(bench.step(Event::Idle(env(1))), [assign(7, 1)]);
}

#[test]
fn what_is_provisioned_takes_from_the_account() {
    let mut bench = Bench::with(Limits { account_concurrency: 2, ..LIMITS }, 2048);
    bench.deploy(2, 2, 128);
    bench.provision(2);
    assert!(throttled(&bench.invoke(1, 2), Throttle::AccountConcurrency));
    assert_eq!(bench.invoke(2, 1), [create(2, 3, 1)], "none is initialised yet");
    bench.provision(0);
    assert_eq!(bench.invoke(3, 2), [create(3, 4, 2)]);
}

#[test]
fn an_environment_waits_until_the_concurrency_for_it_is_free() {
    let mut bench = Bench::with(Limits { account_concurrency: 1, ..LIMITS }, 2048);
    bench.deploy(2, 2, 128);
    assert_eq!(bench.invoke(1, 2), [create(1, 1, 2)]);
    assert_eq!(bench.provision(1), []);
    assert_eq!(bench.step(Event::Answered(env(1))), [prepare(2, 1)], "ahead of whoever comes next");
    assert!(throttled(&bench.invoke(2, 2), Throttle::AccountConcurrency));
}

#[test]
fn under_its_own_load_it_takes_the_place_of_what_is_on_demand() {
    let mut bench = Bench::with(Limits { account_concurrency: 2, ..LIMITS }, 2048);
    assert_eq!(bench.invoke(1, 1), [create(1, 1, 1)]);
    assert_eq!(bench.invoke(2, 1), [create(2, 2, 1)]);
    assert_eq!(bench.provision(2), [prepare(3, 1), prepare(4, 1)], "its invokes have the concurrency already");
    bench.step(Event::Prepared(env(3)));
    bench.step(Event::Prepared(env(4)));
    assert!(throttled(&bench.invoke(3, 1), Throttle::AccountConcurrency), "no more than before");
    bench.step(Event::Idle(env(1)));
    assert_eq!(bench.invoke(4, 1), [assign(4, 4)]);
}
