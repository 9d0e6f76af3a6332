//! Clients, environments and deploys against one dispatcher, in many orders of their steps.
//!
//! Each of them is a thread of shuttle's, which decides who goes on wherever one calls what is simulated here. The
//! dispatcher's own steps are taken under its lock; between a step and what is done because of it others come in.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use hearth_clock::Clock;
use hearth_frontend::{Dispatcher, DispatcherConfig, Environments};
use hearth_scheduler::{Capacity, Limits, WorkerId};
use hearth_types::EnvironmentId;
use hearth_types::Place;
use hearth_types::invoke::VersionSpec;
use hearth_worker::{EnvironmentEvent, EnvironmentSink, GoneReason, InitPhases, Invocation, Outcome};
use shuttle::thread;

use crate::support::{LIMITS, put, record, request, updated, updating};

/// Orders that are tried, each from another seed.
const ORDERS: usize = 1500;
const CONCURRENCY: u32 = 3;
const CAPACITY: Capacity = Capacity { memory_mb: 256, environments: 2 };

#[derive(Clone, Copy, PartialEq, Debug)]
enum State {
    Busy,
    Answered,
    Idle,
    Stopped,
}

/// What is true of the machine, whatever the scheduler believes.
#[derive(Default)]
struct Machine {
    environments: HashMap<EnvironmentId, State>,
    answered: usize,
}

impl Machine {
    fn set(&mut self, id: EnvironmentId, from: Option<State>, to: State) {
        let before = self.environments.insert(id, to);
        assert_eq!(before, from, "{id} becomes {to:?}");
        let count = |state| self.environments.values().filter(|is| **is == state).count();
        assert!(count(State::Busy) <= CONCURRENCY as usize, "more invokes run than may");
        let stopped = count(State::Stopped);
        // What has been told to go may be there still, as many of them as may live.
        let most = CAPACITY.environments as usize * 2;
        assert!(self.environments.len() <= most, "{} environments, {stopped} of them stopped", self.environments.len());
    }
}

/// A worker whose environments are threads.
#[derive(Clone)]
struct Racing {
    sink: Arc<dyn EnvironmentSink>,
    machine: Arc<Mutex<Machine>>,
}

impl Racing {
    fn set(&self, id: EnvironmentId, from: Option<State>, to: State) {
        self.machine.lock().unwrap().set(id, from, to);
    }

    fn run(&self, id: EnvironmentId, from: Option<State>, invocation: Invocation) {
        thread::yield_now();
        self.set(id, from, State::Busy);
        let racing = self.clone();
        thread::spawn(move || {
            thread::yield_now();
            racing.set(id, Some(State::Busy), State::Answered);
            racing.sink.event(EnvironmentEvent::Answered(id));
            racing.machine.lock().unwrap().answered += 1;
            invocation.reply.send(Ok(Outcome {
                payload: "1".into(),
                function_error: false,
                queued: Default::default(),
                log_tail: None,
                phases: None,
                duration: Default::default(),
            }));
            thread::yield_now();
            racing.set(id, Some(State::Answered), State::Idle);
            racing.sink.event(EnvironmentEvent::Idle(id));
        });
    }
}

impl Environments for Racing {
    fn create(&self, _: WorkerId, id: EnvironmentId, _: Arc<VersionSpec>, first: Invocation) {
        self.run(id, None, first);
    }

    fn prepare(&self, _: WorkerId, id: EnvironmentId, _: Arc<VersionSpec>) {
        thread::yield_now();
        self.set(id, None, State::Idle);
        self.sink.event(EnvironmentEvent::Prepared(id, InitPhases::default()));
    }

    fn invoke(&self, id: EnvironmentId, invocation: Invocation) {
        self.run(id, Some(State::Idle), invocation);
    }

    fn stop(&self, id: EnvironmentId) {
        thread::yield_now();
        self.set(id, Some(State::Idle), State::Stopped);
        let racing = self.clone();
        thread::spawn(move || {
            thread::yield_now();
            racing.machine.lock().unwrap().environments.remove(&id);
            racing.sink.event(EnvironmentEvent::Gone(id, GoneReason::Stopped));
        });
    }

    async fn drain(&self) {}
}

fn dispatcher() -> (Arc<Dispatcher<Racing>>, Arc<Mutex<Machine>>) {
    let machine = Arc::<Mutex<Machine>>::default();
    let place = Place { region: "us-east-1".into(), account: "123456789012".into() };
    let limits = Limits { account_concurrency: CONCURRENCY, ..LIMITS };
    let dispatcher = Dispatcher::new(
        DispatcherConfig { place, architecture: "x86_64", limits, clock: Clock::real(), metrics: Arc::default() },
        |sink| Racing { sink, machine: Arc::clone(&machine) },
    );
    dispatcher.join(WorkerId(1), CAPACITY);
    dispatcher.apply(vec![put(record("f")), put(record("g"))]);
    (dispatcher, machine)
}

/// Four clients, each with two invokes, and one deploy.
fn race() {
    let (dispatcher, machine) = dispatcher();
    let client = |name: &'static str| {
        let dispatcher = Arc::clone(&dispatcher);
        thread::spawn(move || {
            let invoke = || shuttle::future::block_on(request(&dispatcher, name, None, &[], b"1"));
            let outcomes = [invoke(), invoke()];
            outcomes.iter().filter(|outcome| outcome.is_ok()).count()
        })
    };
    let clients = ["f", "g", "f", "g"].map(client);
    let deployer = Arc::clone(&dispatcher);
    let deploy = thread::spawn(move || {
        let new = updating(&record("f"), "2");
        deployer.apply(vec![put(new.clone())]);
        thread::yield_now();
        deployer.apply(vec![put(updated(new))]);
    });
    let served: usize = clients.into_iter().map(|client| client.join().unwrap()).sum();
    deploy.join().unwrap();
    assert!(served > 0);
    assert_eq!(machine.lock().unwrap().answered, served, "each that ran has its answer, and no other");
    assert_eq!(dispatcher.concurrency().1, 0, "nothing is in flight");
}

#[test]
fn whatever_the_order_no_more_run_than_may() {
    shuttle::check_random(race, ORDERS);
}

#[test]
fn nor_where_a_few_changes_of_turn_are_all_it_takes() {
    shuttle::check_pct(race, ORDERS, 3);
}
