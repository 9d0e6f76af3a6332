//! The same seed gives the same figures, in each version: what makes a run faster must not change what comes of it.

use std::fmt::Write as _;
use std::num::NonZeroUsize;

use hearth_scheduler::Capacity;
use hearth_sim::{Arrivals, Durations, Figures, Function, Machine, Plan, Policy, Random, Workload, compare};

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOURS: u64 = 16;

/// Timers and counts by minute, drawn without logarithms, which are not the same to the last bit on all machines.
fn workload(functions: u64) -> Workload {
    Workload {
        name: "pinned".to_owned(),
        functions: (0..functions).map(|index| function(&mut Random::of_part(7, index))).collect(),
        until: HOURS * 60 * MINUTE,
    }
}

fn function(random: &mut Random) -> Function {
    let mean = (SECOND / 100) << random.below(10);
    Function {
        memory_mb: 128 << random.below(4),
        start: SECOND / 10 + random.below(2 * SECOND),
        durations: Durations::Quantiles(Box::new([(0.0, mean / 4), (0.75, mean), (1.0, 8 * mean)])),
        arrivals: match random.below(3) {
            0 => Arrivals::Timer { first: random.below(MINUTE), period: MINUTE * (1 + random.below(30)) },
            1 => Arrivals::Minutes(minutes(random, 1, 12)),
            _ => Arrivals::Minutes(minutes(random, 90, 4)),
        },
        reserved: random.one_in(20).then_some(3),
    }
}

/// Up to `most` calls in minutes that are up to `apart` apart.
fn minutes(random: &mut Random, apart: u64, most: u64) -> Box<[(u32, u32)]> {
    let mut minute = 0;
    let mut counts = Vec::new();
    while minute < HOURS * 60 {
        counts.push((minute as u32, 1 + random.below(most) as u32));
        minute += 1 + random.below(apart);
    }
    counts.into_boxed_slice()
}

/// All that figures tell.
fn told(figures: &Figures) -> String {
    let mut text = format!("{} {} {}", figures.calls(), figures.cold(), figures.ahead);
    for of in [0.01, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1.0] {
        // Writing to a string never fails.
        let _ = write!(text, " {} {}", figures.waited(of), figures.cold_rate_of_functions(of));
    }
    let _ = write!(text, " {} {} {}", figures.idle_gb_s(), figures.mean_gb(), figures.peak_gb());
    let _ = write!(text, " {} {:?}", figures.waited_s(), figures.throttles());
    text
}

/// FNV-1a.
fn digest(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[test]
fn a_seed_gives_the_figures_that_it_always_gave() -> Result<(), String> {
    let each = |gb: u64| Capacity { memory_mb: gb * 1024, environments: u32::MAX };
    let plan = Plan {
        policies: ["fixed-10m", "hybrid", "room"].into_iter().map(Policy::parse).collect::<Result<_, _>>()?,
        machines: vec![Machine { workers: 2, each: each(20) }, Machine { workers: 1, each: each(1024) }],
        seed: 1,
        jobs: NonZeroUsize::MIN,
    };
    let runs = compare(&workload(150), &plan)?;
    let digests: Vec<_> = runs.iter().map(|run| format!("{:016x}", digest(&told(&run.figures)))).collect();
    assert_eq!(digests, PINNED, "{:#?}", runs.iter().map(|run| told(&run.figures)).collect::<Vec<_>>());
    Ok(())
}

/// Machine by machine, the policies as above.
const PINNED: [&str; 6] = [
    "b00e79a24d812961",
    "fdfa3bea24949310",
    "d789d69e9d62d49f",
    "cca02460b13ae613",
    "5d568d79deb03e46",
    "ec851cd4825df5eb",
];
