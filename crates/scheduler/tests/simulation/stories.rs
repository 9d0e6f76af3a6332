//! What happens, and what must come of it.

use super::*;

/// 4,000 invokes of four functions in bursts over 20 s, with a deploy about every 500 ms.
fn simulate(seed: u64, limits: Limits) -> Tally {
    simulate_on(seed, limits, ROOM, 0)
}

/// The same, and so often a function reserves something else, or nothing any more.
fn simulate_on(seed: u64, limits: Limits, room: Capacity, reservations: u32) -> Tally {
    go_on(World::new(seed, limits, &[room]), reservations)
}

fn go_on(mut world: World, reservations: u32) -> Tally {
    for _ in 0..reservations {
        let (function, concurrency) = (world.random.next() % 4, world.random.next() % 6);
        let concurrency = (concurrency < 5).then_some(concurrency as u32);
        let at = world.random.micros(0..20_000_000);
        world.plan(at, Happening::Reserve { function, concurrency });
    }
    for function in 0..4 {
        world.deploy(function);
    }
    for _ in 0..40 {
        let function = world.random.next() % 4;
        let at = world.random.micros(0..20_000_000);
        world.plan(at, Happening::Deploy { function });
    }
    for _ in 0..200 {
        let burst = world.random.micros(0..20_000_000);
        for _ in 0..20 {
            let function = world.random.next() % 4;
            let within = burst + world.random.micros(0..40_000);
            world.plan(within, Happening::Arrive { function });
        }
    }
    world.run(Duration::from_secs(60));
    assert!(world.unplaced.is_empty(), "every invoke was placed or refused");
    assert_eq!((world.scheduler.in_flight(), world.scheduler.living()), (0, 0), "in the end all is quiet");
    assert!(world.environments.is_empty(), "and nothing is left");
    assert_eq!(world.tally.answered + world.tally.throttled + world.tally.lost, 4000);
    assert_eq!(world.tally.warm + world.tally.cold, world.tally.answered + world.tally.lost);
    world.tally
}

const AMPLE: Limits = Limits { keep_alive: KeepAlive::Fixed(KEEP_ALIVE), life: LIFE, ..Limits::PLAIN };

/// Of one worker.
const ROOM: Capacity = Capacity { memory_mb: 1_000_000, environments: 1000 };

#[test]
fn with_ample_room_no_invoke_fails_under_deploys() {
    for seed in 0..8 {
        let tally = simulate(seed, AMPLE);
        assert_eq!((tally.throttled, tally.answered), (0, 4000), "seed {seed}: {tally:?}");
        assert!(tally.warm > 500 && tally.crashes > 0 && tally.deploys == 40 && tally.reaped > 0, "{tally:?}");
    }
}

#[test]
fn in_a_tight_budget_the_bounds_hold() {
    for seed in 0..8 {
        let limits = Limits { account_concurrency: 12, ..AMPLE };
        let tally = simulate_on(seed, limits, Capacity { memory_mb: 6000, environments: 10 }, 0);
        assert!(tally.throttled > 0 && tally.answered > 0, "seed {seed}: {tally:?}");
    }
}

#[test]
fn reservations_hold_and_are_no_larger_than_said() {
    for seed in 0..8 {
        let limits = Limits { account_concurrency: 16, ..AMPLE };
        let tally = simulate_on(seed, limits, ROOM, 200);
        assert!(tally.reserved > 0 && tally.answered > 500, "seed {seed}: {tally:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    assert_eq!(simulate(7, AMPLE), simulate(7, AMPLE));
}

/// All workers may be lost at a time; each has come back by then.
const COMES_BACK: Duration = Duration::from_secs(2);

#[test]
fn workers_that_are_lost_take_only_what_they_ran() {
    for seed in 0..8 {
        for placement in [Placement::Pack, Placement::Spread] {
            let room = Capacity { memory_mb: 250_000, environments: 300 };
            let mut world = World::new(seed, Limits { placement, room_wait: COMES_BACK, ..AMPLE }, &[room; 4]);
            for _ in 0..20 {
                let at = world.random.micros(0..20_000_000);
                world.plan(at, Happening::LoseWorker);
                world.plan(at + Duration::from_millis(7), Happening::DrainWorker);
            }
            let tally = go_on(world, 0);
            assert_eq!(tally.throttled, 0, "seed {seed}: {tally:?}");
            assert!(tally.workers_lost > 10 && tally.drained > 0 && tally.answered > 3500, "seed {seed}: {tally:?}");
        }
    }
}

#[test]
fn workers_that_drain_lose_nothing() {
    for seed in 0..8 {
        let room = Capacity { memory_mb: 500_000, environments: 500 };
        let mut world = World::new(seed, AMPLE, &[room; 2]);
        for _ in 0..20 {
            let at = world.random.micros(0..20_000_000);
            world.plan(at, Happening::DrainWorker);
        }
        let tally = go_on(world, 0);
        assert_eq!((tally.answered, tally.throttled, tally.lost), (4000, 0, 0), "seed {seed}: {tally:?}");
        assert!(tally.drained > 0, "seed {seed}: {tally:?}");
    }
}

#[test]
fn small_workers_that_come_and_go_hold_their_bounds() {
    for seed in 0..8 {
        let small = Capacity { memory_mb: 2000, environments: 4 };
        let mut world = World::new(seed, AMPLE, &[small, small, Capacity { memory_mb: 4000, environments: 9 }]);
        for _ in 0..40 {
            let at = world.random.micros(0..20_000_000);
            world.plan(at, Happening::LoseWorker);
        }
        let tally = go_on(world, 100);
        assert!(tally.throttled > 0 && tally.answered > 0 && tally.lost > 0, "seed {seed}: {tally:?}");
    }
}
