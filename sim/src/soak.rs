//! Runs at random with everything that can go wrong, each step held against the rules; and schedulers with a flaw, which
//! must not get through.

use std::num::NonZeroU32;
use std::time::Duration;

use hearth_scheduler::{Action, Capacity, Event, Limits, Placement, Rate, Scaling, Scheduler};

use crate::agenda::SECOND;
use crate::checked::Checked;
use crate::core::Core;
use crate::policy::{Machine, Policy, account};
use crate::workload::{Arrivals, Durations, Function, Workload};
use crate::world::{Faults, World};
use crate::{Figures, Random};

/// Something that a scheduler could do wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flaw {
    /// Says nothing of some invokes that it refuses.
    LosesRefusals,
    /// Gives some invokes to two environments.
    AssignsTwice,
    /// Gives some invokes to an environment that has one.
    AssignsBusy,
    /// Lets one more in than the account may have.
    AdmitsOneMore,
    /// Lets environments have more memory than there is.
    OverBudget,
    /// Uses environments beyond their life.
    KeepsTheOld,
    /// Makes environments as fast as it is asked to.
    ScalesFreely,
    /// Refuses some invokes for which there is room.
    RefusesFreely,
    /// Says nothing of some environments that are to end.
    LosesStops,
}

impl Flaw {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::LosesRefusals,
        Self::AssignsTwice,
        Self::AssignsBusy,
        Self::AdmitsOneMore,
        Self::OverBudget,
        Self::KeepsTheOld,
        Self::ScalesFreely,
        Self::RefusesFreely,
        Self::LosesStops,
    ];

    /// Limits that such a scheduler would keep instead.
    fn limits(self, limits: Limits) -> Limits {
        match self {
            Self::AdmitsOneMore => Limits { account_concurrency: limits.account_concurrency + 1, ..limits },
            Self::KeepsTheOld => Limits { life: limits.life * 2, ..limits },
            Self::ScalesFreely => Limits { scaling: Scaling::Unlimited, ..limits },
            _ => limits,
        }
    }

    /// What it would take for what happened.
    fn event(self, event: Event) -> Event {
        match (self, event) {
            (Self::OverBudget, Event::Join { worker, capacity }) => {
                Event::Join { worker, capacity: Capacity { memory_mb: capacity.memory_mb * 2, ..capacity } }
            }
            (_, event) => event,
        }
    }

    /// What it would say.
    fn act(self, action: Action, actions: &mut Vec<Action>) {
        match (self, action) {
            (Self::LosesRefusals, Action::Throttle { .. }) | (Self::LosesStops, Action::Stop { .. }) => {}
            (Self::AssignsTwice, Action::Assign { .. }) => actions.extend([action, action]),
            (Self::AssignsBusy, Action::Assign { invoke, environment }) => {
                let other = hearth_types::EnvironmentId(environment.0.saturating_sub(1));
                actions.push(Action::Assign { invoke, environment: other });
            }
            (Self::RefusesFreely, Action::Assign { invoke, .. }) => {
                actions.push(Action::Throttle { invoke, reason: hearth_scheduler::Throttle::AccountConcurrency });
            }
            (_, other) => actions.push(other),
        }
    }
}

/// A scheduler with a flaw that shows every so often.
#[derive(Debug)]
struct Flawed {
    scheduler: Scheduler,
    flaw: Option<Flaw>,
    random: Random,
}

/// One in so many actions is wrong.
const WRONG_ONE_IN: u64 = 20;

impl Core for Flawed {
    fn step(&mut self, now: Duration, event: Event, actions: &mut Vec<Action>) {
        let first = actions.len();
        self.scheduler.step(now, self.flaw.map_or(event, |flaw| flaw.event(event)), actions);
        let Some(flaw) = self.flaw else { return };
        for action in actions.split_off(first) {
            if self.random.one_in(WRONG_ONE_IN) {
                flaw.act(action, actions);
            } else {
                actions.push(action);
            }
        }
    }

    fn next_tick(&self) -> Option<Duration> {
        self.scheduler.next_tick()
    }

    fn memory_mb(&self) -> u64 {
        self.scheduler.memory_mb()
    }

    fn living(&self) -> u32 {
        self.scheduler.living()
    }

    fn in_flight(&self) -> u32 {
        self.scheduler.in_flight()
    }
}

/// One run of a few minutes with limits, functions and faults as the seed has them.
///
/// # Errors
///
/// The rule that was broken, and when.
pub fn soak(seed: u64, flaw: Option<Flaw>) -> Result<Figures, String> {
    let mut random = Random::of_part(seed, 0);
    let each = Capacity { memory_mb: 1024 + random.below(4 * 1024), environments: 1 + random.below(8) as u32 };
    let machine = Machine { workers: 1 + random.below(4) as u32, each };
    let limits = limits(&mut random);
    let faults = Faults {
        crash_one_in: random.below(3) * 50,
        deploy_every: random.below(3) * 20 * SECOND,
        provision_every: random.below(3) * 15 * SECOND,
        reserve_every: random.below(3) * 15 * SECOND,
        reservable: limits.account_concurrency,
        worker_every: random.below(3) * 30 * SECOND,
        settle: random.below(3) * SECOND / 100,
        teardown: 1 + random.below(SECOND / 20),
    };
    let workload = workload(&mut random);
    let believed = flaw.map_or(limits, |flaw| flaw.limits(limits));
    let flawed = Flawed { scheduler: Scheduler::new(believed), flaw, random: Random::of_part(seed, 1) };
    World::new(Checked::new(flawed, limits), &workload, machine, seed, faults)
        .run()
        .map_err(|broken| format!("seed {seed}: {broken}"))
}

fn limits(random: &mut Random) -> Limits {
    let rate = |random: &mut Random| Rate {
        burst: 1 + random.below(20) as u32,
        refill: NonZeroU32::MIN.saturating_add(random.below(20) as u32),
        per: Duration::from_secs(1 + random.below(10)),
    };
    let scaling = match random.below(3) {
        0 => Scaling::PerFunction(rate(random)),
        1 => Scaling::Account(rate(random)),
        _ => Scaling::Unlimited,
    };
    let account = account(2 + random.below(50) as u32, scaling);
    let life = Duration::from_secs(10 + random.below(120));
    let fixed = Policy::Fixed(Duration::from_secs(random.below(40)));
    let keep_alive = if random.one_in(2) { fixed } else { Policy::Room };
    let placement = if random.one_in(2) { Placement::Pack } else { Placement::Spread };
    keep_alive.within(Limits { placement, life, life_spread: life / 8, ..account })
}

fn workload(random: &mut Random) -> Workload {
    let functions = (0..1 + random.below(12)).map(|_| function(random)).collect();
    Workload { name: "soak".to_owned(), functions, until: 180 * SECOND }
}

fn function(random: &mut Random) -> Function {
    let rate = 0.05 * 2_f64.powf(random.unit() * 8.0);
    let arrivals = match random.below(3) {
        0 => Arrivals::Timer { first: random.below(SECOND), period: (SECOND as f64 / rate) as u64 },
        1 => Arrivals::Poisson { rate },
        _ => Arrivals::Bursts { rate: rate / 10.0, size: 10.0, gap: 0.01 },
    };
    Function {
        memory_mb: 128 << random.below(4),
        start: SECOND / 1000 * (5 + random.below(1000)),
        durations: Durations::Around(SECOND / 1000 * (1 + random.below(3000))),
        arrivals,
        reserved: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEDS: u64 = 30;

    #[test]
    fn the_rules_hold_whatever_comes() {
        let mut throttled = std::collections::BTreeSet::new();
        let (mut calls, mut cold) = (0, 0);
        for seed in 0..SEEDS {
            let figures = soak(seed, None).unwrap();
            throttled.extend(figures.throttles().keys().copied());
            calls += figures.calls();
            cold += figures.cold();
        }
        assert!(calls > 5_000 && cold > 500 && cold < calls, "{calls} calls, {cold} cold");
        let reasons = ["account concurrency", "environments", "memory", "reserved concurrency", "scaling rate"];
        assert!(reasons.iter().all(|reason| throttled.contains(reason)), "{throttled:?}");
    }

    #[test]
    fn a_scheduler_with_a_flaw_does_not_get_through() {
        for flaw in Flaw::ALL {
            assert!((0..SEEDS).any(|seed| soak(seed, Some(flaw)).is_err()), "{flaw:?}");
        }
    }

    #[test]
    fn the_same_seed_is_the_same_run() {
        let text = |seed| format!("{:?}", soak(seed, None));
        assert_eq!(text(4), text(4));
        assert_ne!(text(4), text(5));
    }
}
