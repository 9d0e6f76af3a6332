//! Random moves, played by both.

use proptest::prelude::*;

use super::*;

/// Where the bins of gaps begin, in milliseconds: at nothing, at a second, and at each half doubling of it.
pub(super) fn edges() -> Vec<u64> {
    let halves = (0..31).map(|halves| (1000.0 * 2.0_f64.powf(f64::from(halves) / 2.0)) as u64);
    std::iter::once(0).chain(halves).collect()
}

impl Model {
    /// What is lost with an environment of this version that has been idle for so long, and for how long in all.
    pub(super) fn worth(&self, generation: Generation, idle: Duration) -> (u128, Option<Duration>) {
        if self.limits.keep_alive != KeepAlive::Room {
            return (0, None);
        }
        let version = self.version(generation);
        let edges = &self.edges;
        let bin_of = |gap: Duration| edges.iter().rposition(|edge| u128::from(*edge) <= gap.as_millis()).unwrap();
        let from = bin_of(idle);
        let weight = |bin: usize| {
            let seen = self.gaps.iter().filter(|(f, gap)| *f == version.function && bin_of(*gap) == bin).count();
            32 * seen as u128 + 1
        };
        let middle_ms = |bin: usize| if bin == 0 { 500 } else { edges[bin] * 1189 / 1000 };
        let end_ms = |bin: usize| edges.get(bin + 1).copied().unwrap_or(middle_ms(bin));
        let start_ms = 250 + version.init.unwrap_or(Duration::from_millis(250)).as_millis();
        // Kept until the end of each bin in turn: used within it, or in vain.
        let loss = (from..edges.len()).map(|until| {
            let (mut uses, mut kept_ms) = (0, 0);
            for bin in from..edges.len() {
                uses += if bin <= until { weight(bin) } else { 0 };
                kept_ms += weight(bin) * u128::from(middle_ms(bin).min(end_ms(until)) - edges[from]);
            }
            ((uses * start_ms) << 64) / (kept_ms * u128::from(version.memory_mb))
        });
        let loss = loss.max().unwrap();
        (loss, edges.get(from + 1).copied().map(Duration::from_millis))
    }

    /// How long one waits for an environment that settles.
    pub(super) fn patience(&self, generation: Generation) -> Duration {
        let cold = self.version(generation).cold_starts.iter().min().copied().unwrap_or_default();
        cold.clamp(self.limits.settle, self.limits.settle_max)
    }
}

/// What a test case does next; numbers choose among what is there at that time.
#[derive(Clone, Copy, Debug)]
enum Move {
    Deploy { function: u64, memory_mb: u32 },
    Retire(usize),
    Reserve { function: u64, concurrency: Option<u32> },
    Invoke(usize),
    Initialised(usize, u64),
    Answered(usize),
    Idle(usize),
    Gone(usize),
    Pass(u64),
    PassSeconds(u64),
    Tick,
}

fn moves() -> impl Strategy<Value = Move> {
    let memory = prop_oneof![Just(128), Just(500), Just(1769), Just(3000), Just(4000)];
    prop_oneof![
        1 => (1..4u64, memory).prop_map(|(function, memory_mb)| Move::Deploy { function, memory_mb }),
        1 => any::<usize>().prop_map(Move::Retire),
        1 => (1..4u64, prop::option::of(0..4u32))
            .prop_map(|(function, concurrency)| Move::Reserve { function, concurrency }),
        12 => any::<usize>().prop_map(Move::Invoke),
        3 => (any::<usize>(), 0..3000u64).prop_map(|(pick, ms)| Move::Initialised(pick, ms)),
        5 => any::<usize>().prop_map(Move::Answered),
        8 => any::<usize>().prop_map(Move::Idle),
        3 => any::<usize>().prop_map(Move::Gone),
        4 => (0..40u64).prop_map(Move::Pass),
        1 => (0..400u64).prop_map(Move::PassSeconds),
        3 => Just(Move::Tick),
    ]
}

fn event(step: Move, deployed: u64, created: u64, invokes: &mut u64) -> Event {
    let generation = |pick: usize| Generation(pick as u64 % deployed + 1);
    let environment = |pick: usize| EnvironmentId(pick as u64 % (created + 1) + 1);
    match step {
        Move::Deploy { function, memory_mb } => {
            Event::Deploy { generation: Generation(deployed + 1), function: FunctionKey(function), memory_mb }
        }
        Move::Retire(pick) => Event::Retire(generation(pick)),
        Move::Reserve { function, concurrency } => Event::Reserve { function: FunctionKey(function), concurrency },
        Move::Invoke(pick) => {
            *invokes += 1;
            Event::Invoke { invoke: InvokeId(*invokes), generation: generation(pick), origin: Origin::Client }
        }
        Move::Initialised(pick, ms) => {
            Event::Initialised { environment: environment(pick), took: Duration::from_millis(ms) }
        }
        Move::Answered(pick) => Event::Answered(environment(pick)),
        Move::Idle(pick) => Event::Idle(environment(pick)),
        Move::Gone(pick) => Event::Gone(environment(pick)),
        Move::Pass(_) | Move::PassSeconds(_) | Move::Tick => Event::Tick,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn does_what_the_naive_model_does(
        limits in prop_oneof![Just(TIMED), Just(ROOM)],
        steps in prop::collection::vec(moves(), 1..200),
    ) {
        let (mut scheduler, mut model) = (Scheduler::new(limits), Model::new(limits));
        let (mut now, mut invokes) = (Duration::ZERO, 0);
        let first = Event::Deploy { generation: Generation(1), function: FunctionKey(1), memory_mb: 128 };
        scheduler.step(now, Event::Join { worker: WORKER, capacity: CAPACITY }, &mut Vec::new());
        scheduler.step(now, first, &mut Vec::new());
        model.step(now, first);
        for step in steps {
            match step {
                Move::Pass(ms) => now += Duration::from_millis(ms),
                Move::PassSeconds(s) => now += Duration::from_secs(s),
                _ => {}
            }
            if matches!(step, Move::Pass(_) | Move::PassSeconds(_)) {
                continue;
            }
            let event = event(step, model.versions.len() as u64, model.created, &mut invokes);
            let mut actions = Vec::new();
            scheduler.step(now, event, &mut actions);
            model.step(now, event);
            prop_assert_eq!(actions, std::mem::take(&mut model.actions), "after {:?}", event);
            prop_assert_eq!(scheduler.in_flight() as usize, model.in_flight().len());
            prop_assert_eq!((scheduler.memory_mb(), scheduler.living() as usize), model.room(false));
            let due = scheduler.next_tick();
            let idle = model.environments.iter().filter_map(|e| match e.phase {
                Phase::Idle(resting) => Some(model.end(e, resting.since)),
                _ => None,
            });
            let needed = idle.chain(model.parked.iter().map(|p| p.due)).min();
            prop_assert!(needed.is_none() || due <= needed, "a tick is due at {needed:?}, not at {due:?}");
        }
    }
}
