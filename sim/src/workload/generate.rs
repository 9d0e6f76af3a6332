//! Functions as a large provider sees them.
//!
//! Source: Shahrad et al., "Serverless in the Wild: Characterizing and Optimizing the Serverless Workload at a Large
//! Cloud Provider", USENIX ATC 2020. What is measured there and used here, and what is an assumption of ours, is listed in
//! docs/simulator.md; each constant says which it is.

use super::{Arrivals, Durations, Function, Workload};
use crate::Random;
use crate::agenda::SECOND;

const DAY: f64 = 86_400.0;
const MINUTE: u64 = 60 * SECOND;

/// Calls a day at quantiles of functions; between two of them the logarithm is even. Published: 45 % at most once an hour,
/// 81 % at most once a minute, 18.6 % of them make 99.6 % of all calls, and eight orders of magnitude from the rarest to
/// the busiest. Ours: how the tail bends to fit these.
const CALLS_A_DAY: [(f64, f64); 5] = [(0.0, 1.0), (0.45, 24.0), (0.81, 1440.0), (0.999, 2e5), (1.0, 1e8)];

/// Logarithm of the mean duration of functions in seconds: mean and deviation (published).
const DURATION: (f64, f64) = (-0.38, 2.36);
/// Seconds that a mean may be (ours: what Lambda allows, and what can be measured).
const DURATION_BOUNDS: (f64, f64) = (0.001, 900.0);
/// Calls in flight in a function's mean. Ours: rates and durations are published apart, and drawn so a function that is
/// called thousands of times a second for minutes each could come.
const IN_FLIGHT: f64 = 20.0;

/// MB: shapes c and k, and scale of the Burr distribution (published, of an application's allocated memory).
const MEMORY: (f64, f64, f64) = (11.652, 0.221, 107.083);
/// MB that a function can have (Lambda).
const MEMORY_BOUNDS: (f64, f64) = (128.0, 10_240.0);

/// Share of functions that timers call (published).
const TIMERS: f64 = 0.156;
/// Timers that come more often than once a minute are not offered; so theirs are among these functions.
const MAY_BE_TIMER: f64 = 0.81;
/// Minutes between two calls of a timer (ours: what people choose).
const PERIODS: [u64; 9] = [1, 5, 10, 15, 30, 60, 360, 720, 1440];
/// Share of the other functions that are called in bursts (ours; published is that most are more irregular than Poisson).
const BURSTS: f64 = 0.5;
/// Calls of a burst in the mean, and seconds between them (ours).
const BURST: (f64, f64) = (10.0, 1.0);

/// Logarithm of the seconds of a cold start: mean and deviation. Ours: a median of 250 ms, one in forty above 1.8 s.
const START: (f64, f64) = (-1.386, 1.0);

/// So many functions for so many hours.
#[must_use]
pub fn generate(functions: usize, hours: f64, seed: u64) -> Workload {
    let functions_made = (0..functions as u64).map(|index| function(&mut Random::of_part(seed, index))).collect();
    Workload {
        name: format!("generated: {functions} functions, {hours} h, seed {seed}"),
        functions: functions_made,
        until: (hours * 3600.0 * SECOND as f64) as u64,
    }
}

fn function(random: &mut Random) -> Function {
    let rank = random.unit();
    let calls_a_day = calls_a_day(rank);
    let function = drawn(random, calls_a_day);
    Function { arrivals: arrivals(rank, calls_a_day / DAY, random), ..function }
}

/// A function that is called so often on average, and does not say when.
pub(crate) fn drawn(random: &mut Random, calls_a_day: f64) -> Function {
    let rate = calls_a_day / DAY;
    let (least, most) = DURATION_BOUNDS;
    let mean = random.log_normal(DURATION.0, DURATION.1).min(IN_FLIGHT / rate).clamp(least, most);
    let memory = random.burr(MEMORY.0, MEMORY.1, MEMORY.2).clamp(MEMORY_BOUNDS.0, MEMORY_BOUNDS.1);
    let start = random.log_normal(START.0, START.1);
    Function {
        memory_mb: memory.ceil() as u32,
        start: (start * SECOND as f64) as u64,
        durations: Durations::Around((mean * SECOND as f64) as u64),
        arrivals: Arrivals::At(Box::new([])),
        reserved: None,
    }
}

/// The `rank`th part of all functions is called at most so often.
fn calls_a_day(rank: f64) -> f64 {
    let above = CALLS_A_DAY.partition_point(|(quantile, _)| *quantile <= rank).clamp(1, CALLS_A_DAY.len() - 1);
    let ((q0, r0), (q1, r1)) = (CALLS_A_DAY[above - 1], CALLS_A_DAY[above]);
    r0 * (r1 / r0).powf((rank - q0) / (q1 - q0))
}

fn arrivals(rank: f64, rate: f64, random: &mut Random) -> Arrivals {
    if rank < MAY_BE_TIMER && random.unit() < TIMERS / MAY_BE_TIMER {
        let wanted = (1.0 / rate / 60.0).ln();
        let distance = |minutes: &u64| ((*minutes as f64).ln() - wanted).abs();
        let nearest = PERIODS.into_iter().min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(1);
        let period = nearest * MINUTE;
        Arrivals::Timer { first: random.below(period), period }
    } else if random.unit() < BURSTS {
        let (size, gap) = (BURST.0, BURST.1.min(0.5 / rate));
        Arrivals::Bursts { rate: 1.0 / (size / rate - (size - 1.0) * gap), size, gap }
    } else {
        Arrivals::Poisson { rate }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the paper publishes, found again in what is generated.
    #[test]
    fn has_the_published_shape() {
        let mut random = Random::new(11);
        let mut rates: Vec<f64> = (0..200_000).map(|_| calls_a_day(random.unit())).collect();
        rates.sort_by(f64::total_cmp);
        let share = |most: f64| rates.iter().filter(|rate| **rate <= most).count() as f64 / rates.len() as f64;
        assert!((share(24.0) - 0.45).abs() < 0.005);
        assert!((share(1440.0) - 0.81).abs() < 0.005);
        let all: f64 = rates.iter().sum();
        let busy: f64 = rates[(rates.len() as f64 * (1.0 - 0.186)) as usize..].iter().sum();
        assert!((0.993..0.998).contains(&(busy / all)), "{}", busy / all);
        assert!(rates[rates.len() - 1] / rates[0] > 1e7);

        let functions = generate(50_000, 1.0, 3).functions;
        let timers = functions.iter().filter(|f| matches!(f.arrivals, Arrivals::Timer { .. })).count();
        assert!((timers as f64 / 50_000.0 - TIMERS).abs() < 0.01, "{timers}");
        let mut memory: Vec<u32> = functions.iter().map(|function| function.memory_mb).collect();
        memory.sort_unstable();
        assert!((135..145).contains(&memory[25_000]), "{}", memory[25_000]);
        assert!((250..420).contains(&memory[45_000]), "{}", memory[45_000]);
    }

    #[test]
    fn the_same_seed_is_the_same_workload() {
        let text = |seed| format!("{:?}", generate(100, 1.0, seed));
        assert_eq!(text(1), text(1));
        assert_ne!(text(1), text(2));
    }
}
