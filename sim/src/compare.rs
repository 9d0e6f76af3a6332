//! Policies beside one another, with the same calls and the same memory.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use hearth_scheduler::Scheduler;

use crate::figures::Figures;
use crate::policy::{Machine, Policy, unbounded};
use crate::workload::Workload;
use crate::world::{Faults, World};

/// Which runs to make.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Each of these,
    pub policies: Vec<Policy>,
    /// on each of these.
    pub machines: Vec<Machine>,
    /// Of what calls draw.
    pub seed: u64,
    /// Runs at once; how many changes no figure.
    pub jobs: NonZeroUsize,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct Run {
    /// How environments were kept.
    pub policy: Policy,
    /// On what.
    pub machine: Machine,
    /// What came of it.
    pub figures: Figures,
}

/// Makes all runs; their order is that of the plan, machine by machine.
///
/// # Errors
///
/// What the scheduler did wrong.
pub fn compare(workload: &Workload, plan: &Plan) -> Result<Vec<Run>, String> {
    let of_machine = |machine| plan.policies.iter().map(move |policy| (*policy, machine));
    let wanted: Vec<(Policy, Machine)> = plan.machines.iter().copied().flat_map(of_machine).collect();
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..plan.jobs.get().min(wanted.len()) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some((policy, machine)) = wanted.get(index) else { break };
                    let run = run(workload, *policy, *machine, plan.seed);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((index, run));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, run)| run).collect()
}

fn run(workload: &Workload, policy: Policy, machine: Machine, seed: u64) -> Result<Run, String> {
    let core = Scheduler::new(policy.within(unbounded()));
    let figures = World::new(core, workload, machine, seed, Faults::NONE).run()?;
    Ok(Run { policy, machine, figures })
}

#[cfg(test)]
mod tests {
    use hearth_scheduler::Capacity;

    use super::*;
    use crate::generate;

    #[test]
    fn the_default_has_fewer_cold_starts_and_less_waiting_at_equal_memory() -> Result<(), String> {
        let each = Capacity { memory_mb: 12 * 1024, environments: u32::MAX };
        let plan = Plan {
            policies: ["room", "fixed-10m", "hybrid"].into_iter().map(Policy::parse).collect::<Result<_, _>>()?,
            machines: vec![Machine { workers: 1, each }],
            seed: 1,
            jobs: NonZeroUsize::MIN,
        };
        let runs = compare(&generate(100, 2.0, 1), &plan)?;
        let (room, others) = runs.split_first().ok_or("no run")?;
        for other in others {
            let name = other.policy.name();
            assert!(room.figures.cold() < other.figures.cold(), "{name}");
            assert!(room.figures.waited_s() < other.figures.waited_s(), "{name}");
        }
        Ok(())
    }
}
