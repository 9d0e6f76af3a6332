//! When a function is called.

use std::f64::consts::TAU;
use std::sync::LazyLock;

use crate::Random;
use crate::agenda::{SECOND, Time};

const HOUR: Time = 3600 * SECOND;
const MINUTE: Time = 60 * SECOND;

/// A pattern of calls.
#[derive(Clone, Debug)]
pub enum Arrivals {
    /// Every `period`, from `first` on.
    Timer {
        /// Nanoseconds.
        first: u64,
        /// Nanoseconds, more than 0.
        period: u64,
    },
    /// Independent of one another, more by day than by night.
    Poisson {
        /// Calls a second in the mean of a day.
        rate: f64,
    },
    /// Groups of calls, close together; the groups are independent of one another.
    Bursts {
        /// Groups a second in the mean of a day, while none is under way.
        rate: f64,
        /// Calls of a group in the mean, at least 1.
        size: f64,
        /// Seconds between two calls of a group in the mean.
        gap: f64,
    },
    /// So many in each minute, spread evenly: (minute, calls), ascending, without zeros.
    Minutes(Box<[(u32, u32)]>),
    /// At these times, ascending.
    At(Box<[u64]>),
}

/// How far a pattern has come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    /// The entry of a list, or whether it has begun.
    at: u32,
    /// Calls of the entry or group that have been.
    done: u32,
}

impl Arrivals {
    /// The next call after `now`, the time of the one before.
    pub(crate) fn next(&self, progress: &mut Progress, random: &mut Random, now: Time) -> Option<Time> {
        match self {
            Self::Timer { first, period } => {
                let begun = std::mem::replace(&mut progress.at, 1) == 1;
                Some(if begun { now + period } else { *first })
            }
            Self::Poisson { rate } => by_day(now, *rate, random),
            Self::Bursts { rate, size, gap } => {
                // Each call is the last of its group with this chance: sizes are geometric.
                if progress.at == 1 && random.unit() * size >= 1.0 {
                    return Some(now + seconds(gap * random.exponential()));
                }
                progress.at = 1;
                by_day(now, *rate, random)
            }
            Self::Minutes(counts) => {
                let (minute, calls) = *counts.get(progress.at as usize)?;
                let between = MINUTE / u64::from(calls.max(1));
                let at = u64::from(minute) * MINUTE + between * u64::from(progress.done) + random.below(between.max(1));
                progress.done += 1;
                if progress.done >= calls {
                    *progress = Progress { at: progress.at + 1, done: 0 };
                }
                Some(at)
            }
            Self::At(times) => {
                let at = *times.get(progress.at as usize)?;
                progress.at += 1;
                Some(at)
            }
        }
    }
}

fn seconds(seconds: f64) -> Time {
    (seconds * SECOND as f64) as Time
}

/// Of a day's swing: at its deepest half of its highest.
const SWING: f64 = 1.0 / 3.0;

/// How much more than in the mean is called in each hour of the day; 1 in the mean.
static OF_HOUR: LazyLock<[f64; 24]> =
    LazyLock::new(|| std::array::from_fn(|hour| 1.0 + SWING * (TAU * (hour as f64 - 8.0) / 24.0).sin()));

/// The next of a process whose rate follows the hour of the day; none if it is beyond all that is simulated.
fn by_day(now: Time, rate: f64, random: &mut Random) -> Option<Time> {
    /// Longer than any trace.
    const NEVER: Time = 400 * 24 * HOUR;
    let mut left = random.exponential();
    let mut from = now;
    while from < NEVER {
        let end = (from / HOUR + 1) * HOUR;
        let rate = rate * OF_HOUR[(from / HOUR % 24) as usize];
        let within = rate * ((end - from) as f64 / SECOND as f64);
        if left < within {
            return Some(from + seconds(left / rate));
        }
        left -= within;
        from = end;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(arrivals: &Arrivals, seed: u64, until: Time) -> Vec<Time> {
        let (mut progress, mut random, mut now, mut times) = (Progress::default(), Random::new(seed), 0, Vec::new());
        while let Some(at) = arrivals.next(&mut progress, &mut random, now).filter(|at| *at < until) {
            assert!(at >= now, "time goes on");
            times.push(at);
            now = at;
        }
        times
    }

    #[test]
    fn timers_are_exact() {
        let timer = Arrivals::Timer { first: 7 * SECOND, period: MINUTE };
        assert_eq!(all(&timer, 1, 3 * MINUTE), [7 * SECOND, 67 * SECOND, 127 * SECOND]);
    }

    #[test]
    fn a_day_has_as_many_as_the_rate_says_and_more_by_day() {
        let day = 24 * HOUR;
        // Groups last, so that theirs swings less.
        for (arrivals, night) in [
            (Arrivals::Poisson { rate: 1.0 }, 0.5),
            (Arrivals::Bursts { rate: 1.0 / 5.5, size: 10.0, gap: 0.5 }, 0.667),
        ] {
            let times = all(&arrivals, 1, day);
            assert!((times.len() as f64 / 86_400.0 - 1.0).abs() < 0.05, "{}", times.len());
            let of = |hour: u64| times.iter().filter(|at| **at / HOUR == hour).count() as f64;
            let (high, low) = (of(13) + of(14) + of(15), of(1) + of(2) + of(3));
            assert!((low / high - night).abs() < 0.07, "{low} by night, {high} by day");
        }
    }

    #[test]
    fn counts_are_spread_over_their_minutes() {
        let counted = Arrivals::Minutes(Box::new([(0, 2), (3, 1), (4, 600)]));
        let times = all(&counted, 1, Time::MAX);
        let of = |minute: u64| times.iter().filter(|at| **at / MINUTE == minute).count();
        assert_eq!((times.len(), of(0), of(1), of(3), of(4)), (603, 2, 0, 1, 600));
        assert!(times[1] >= MINUTE / 2);
        let listed = Arrivals::At(Box::new([1, 1, 5]));
        assert_eq!(all(&listed, 1, Time::MAX), [1, 1, 5]);
    }
}
