//! Stories: who is called when, and what must come of it, in a text that people read.
//!
//! One statement a line; `#` begins a comment. Times of the day are `HH:MM` or `HH:MM:SS`, lengths `250ms`, `60s`, `5m`, `1h`.
//!
//! ```text
//! account 10000 burst 3000                  concurrency; or `per-function` (1,000 in 10 seconds each), or `unlimited`
//! machine 2 workers of 512 GB               without it, one with more than enough
//! policy fixed-10m
//! function web 128 MB starts 200ms runs 1s  and, if it reserves concurrency, `reserves 50`
//! at 09:00 web 2000                         so many calls at once
//! from 09:00 to 10:00 every 5m web 1
//! expect 09:00..09:01 web cold 2000         calls of that time: cold, warm, throttled, or a reason as in the table
//! ```

use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hearth_scheduler::{Capacity, Limits, Rate, Scaling, Scheduler};
use hearth_types::limits;

use crate::agenda::{SECOND, Time};
use crate::checked::Checked;
use crate::figures::{Call, Outcome};
use crate::policy::{Machine, Policy, account, burst, time};
use crate::workload::{Arrivals, Durations, Function, Workload};
use crate::world::{Faults, World};

/// With more calls, counting all environments anew for each would take longer than all else.
const CHECKED_CALLS: usize = 1000;
/// Calls that a story may have: they are all in memory.
const CALLS: usize = 10_000_000;

/// A story that has been read.
#[derive(Clone, Debug)]
pub struct Story {
    limits: Limits,
    machine: Machine,
    policy: Policy,
    names: Vec<String>,
    functions: Vec<Function>,
    calls: Vec<Vec<Time>>,
    expectations: Vec<Expectation>,
}

#[derive(Clone, Debug)]
struct Expectation {
    line: String,
    from: Time,
    to: Time,
    /// None for all.
    function: Option<u32>,
    outcome: String,
    count: u64,
}

/// An expectation, and what came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    /// The statement.
    pub line: String,
    /// The count that it speaks of, as it was.
    pub count: u64,
    /// Whether that is what was expected.
    pub holds: bool,
}

impl Story {
    /// Reads a story.
    ///
    /// # Errors
    ///
    /// A line is none of the statements: it is named.
    pub fn parse(text: &str) -> Result<Self> {
        let mut story = Self {
            limits: account(limits::ACCOUNT_CONCURRENCY, per_function()),
            machine: Machine { workers: 1, each: Capacity { memory_mb: u64::from(u32::MAX), environments: u32::MAX } },
            policy: Policy::Room,
            names: Vec::new(),
            functions: Vec::new(),
            calls: Vec::new(),
            expectations: Vec::new(),
        };
        for (number, line) in text.lines().enumerate() {
            let statement = line.split('#').next().unwrap_or_default().trim();
            let words: Vec<&str> = statement.split_whitespace().collect();
            if !words.is_empty() {
                story.take(statement, &words).with_context(|| format!("line {}: {statement}", number + 1))?;
            }
        }
        if story.functions.is_empty() {
            bail!("a story has a function");
        }
        Ok(story)
    }

    fn take(&mut self, line: &str, words: &[&str]) -> Result<()> {
        match words {
            ["account", concurrency, rest @ ..] => {
                let scaling = match rest {
                    ["burst", count] => burst(count.parse()?),
                    ["per-function"] => per_function(),
                    ["unlimited"] => Scaling::Unlimited,
                    _ => bail!("it grows by a `burst COUNT`, `per-function` or `unlimited`"),
                };
                self.limits = account(concurrency.parse()?, scaling);
            }
            ["machine", workers, "workers" | "worker", "of", gb, "GB"] => {
                let memory_mb = gb.parse::<u32>().map(u64::from)? * 1024;
                let workers = workers.parse::<NonZeroU32>()?.get();
                self.machine = Machine { workers, each: Capacity { memory_mb, environments: u32::MAX } };
            }
            ["policy", name] => self.policy = Policy::parse(name).map_err(anyhow::Error::msg)?,
            ["function", name, mb, "MB", "starts", start, "runs", runs, rest @ ..] => {
                let reserved = match rest {
                    [] => None,
                    ["reserves", count] => Some(count.parse()?),
                    _ => bail!("after that, only `reserves COUNT`"),
                };
                self.names.push((*name).to_owned());
                self.calls.push(Vec::new());
                self.functions.push(Function {
                    memory_mb: mb.parse()?,
                    start: length(start)?,
                    durations: Durations::Exactly(length(runs)?),
                    arrivals: Arrivals::At(Box::new([])),
                    reserved,
                });
            }
            ["at", at, name, count] => self.call(name, count.parse()?, [of_day(at)?])?,
            ["from", from, "to", to, "every", every, name, count] => {
                let (from, to, every) = (of_day(from)?, of_day(to)?, length(every)?);
                if every == 0 || (to.saturating_sub(from) / every) as usize > CALLS {
                    bail!("too many calls");
                }
                self.call(name, count.parse()?, (from..to).step_by(every as usize))?;
            }
            ["expect", span, name, outcome @ .., count] if !outcome.is_empty() => {
                let (from, to) = span.split_once("..").context("a time is `09:00..09:01`")?;
                let function = if *name == "all" { None } else { Some(self.function(name)?) };
                let (from, to) = (of_day(from)?, of_day(to)?);
                let (outcome, count) = (outcome.join(" "), count.parse()?);
                self.expectations.push(Expectation { line: line.to_owned(), from, to, function, outcome, count });
            }
            _ => bail!("there is no such statement"),
        }
        Ok(())
    }

    fn function(&self, name: &str) -> Result<u32> {
        let at = self.names.iter().position(|known| known == name).with_context(|| format!("no function {name}"))?;
        Ok(at as u32)
    }

    fn call(&mut self, name: &str, count: u32, times: impl IntoIterator<Item = Time>) -> Result<()> {
        let function = self.function(name)?;
        for at in times {
            if self.calls.iter().map(Vec::len).sum::<usize>() + count as usize > CALLS {
                bail!("a story has no more than {CALLS} calls");
            }
            self.calls[function as usize].extend(std::iter::repeat_n(at, count as usize));
        }
        Ok(())
    }

    /// Plays it, a short one with each step held against the rules, and says what came of each expectation.
    ///
    /// # Errors
    ///
    /// What the scheduler did wrong.
    pub fn play(&self) -> Result<Vec<Told>, String> {
        let mut functions = self.functions.clone();
        for (function, times) in functions.iter_mut().zip(&self.calls) {
            let mut times = times.clone();
            times.sort_unstable();
            function.arrivals = Arrivals::At(times.into());
        }
        let until = self.calls.iter().flatten().max().copied().unwrap_or_default() + 1;
        let workload = Workload { name: "story".to_owned(), functions, until };
        let limits = self.policy.within(self.limits);
        let core = Scheduler::new(limits);
        let figures = if self.calls.iter().map(Vec::len).sum::<usize>() <= CHECKED_CALLS {
            World::new(Checked::new(core, limits), &workload, self.machine, 0, Faults::NONE).keeping_calls().run()?
        } else {
            World::new(core, &workload, self.machine, 0, Faults::NONE).keeping_calls().run()?
        };
        Ok(self.expectations.iter().map(|expectation| expectation.told(figures.kept())).collect())
    }
}

impl Expectation {
    fn told(&self, calls: &[Call]) -> Told {
        let meant = calls.iter().filter(|call| {
            (self.from..self.to).contains(&call.since)
                && self.function.is_none_or(|function| function == call.function)
                && match call.outcome {
                    Outcome::Cold => self.outcome == "cold",
                    Outcome::Warm => self.outcome == "warm",
                    Outcome::Throttled(reason) => self.outcome == "throttled" || self.outcome == reason,
                }
        });
        let count = meant.count() as u64;
        Told { line: self.line.clone(), count, holds: count == self.count }
    }
}

/// As Lambda has it now.
fn per_function() -> Scaling {
    let burst = limits::ACCOUNT_CONCURRENCY;
    let refill = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
    Scaling::PerFunction(Rate { burst, refill, per: limits::SCALING_PERIOD })
}

/// Nanoseconds since midnight.
fn of_day(text: &str) -> Result<Time> {
    let parts: Vec<u64> =
        text.split(':').map(|part| part.parse().context("a time is HH:MM or HH:MM:SS")).collect::<Result<_>>()?;
    let (hours, minutes, seconds) = match parts[..] {
        [hours, minutes] => (hours, minutes, 0),
        [hours, minutes, seconds] => (hours, minutes, seconds),
        _ => bail!("a time is HH:MM or HH:MM:SS"),
    };
    if hours > 24 || minutes > 59 || seconds > 59 {
        bail!("{text} is not a time of a day");
    }
    Ok(((hours * 60 + minutes) * 60 + seconds) * SECOND)
}

fn length(text: &str) -> Result<Time> {
    let length: Duration = time(text).with_context(|| format!("{text} is not a length, as 250ms, 60s, 5m or 1h"))?;
    Ok(length.as_nanos() as Time)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every story of the project.
    #[test]
    fn the_stories_come_true() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/stories");
        let mut played = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let story = Story::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
            let told = story.play().unwrap();
            assert!(!told.is_empty(), "{path:?} expects nothing");
            for told in told {
                assert!(told.holds, "{path:?}: {} but it is {}", told.line, told.count);
            }
            played += 1;
        }
        assert!(played >= 4, "{played} stories");
    }

    #[test]
    fn what_does_not_come_true_is_said() {
        let text = "function a 128 MB starts 1s runs 1s\nat 10:00 a 3\nexpect 10:00..10:01 all cold 2";
        let told = Story::parse(text).unwrap().play().unwrap();
        assert_eq!(told, [Told { line: "expect 10:00..10:01 all cold 2".to_owned(), count: 3, holds: false }]);
    }

    #[test]
    fn a_wrong_line_is_named() {
        let function = "function a 128 MB starts 1s runs 1s\n";
        for wrong in [
            "at 25:00 a 1",
            "at 10:00 b 1",
            "from 10:00 to 11:00 every 0s a 1",
            "at 10:00 a 99999999",
            "expect 10:00 all cold 1",
            "account 10",
            "policy best",
            "something else",
            "machine 0 workers of 1 GB",
        ] {
            let told = format!("{:#}", Story::parse(&format!("{function}{wrong}")).unwrap_err());
            assert!(told.starts_with(&format!("line 2: {wrong}")), "{told}");
        }
        assert!(Story::parse("# nothing").is_err());
    }
}
