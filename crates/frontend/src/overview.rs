//! All functions at a glance: what each has under way, and where.

use std::collections::HashMap;
use std::sync::Arc;

use hearth_scheduler::{Activity, Generation};

use crate::dispatcher::{Dispatcher, lock};
use crate::environments::Environments;

/// A function with environments, or with invokes that wait for some.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FunctionView {
    /// Its name.
    pub name: Arc<str>,
    /// Invokes under way.
    pub in_flight: u32,
    /// Environments that are being made.
    pub init: u32,
    /// Environments with an invoke.
    pub busy: u32,
    /// Environments without.
    pub idle: u32,
    /// What they are promised, in MB.
    pub memory_mb: u64,
}

/// All of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Overview {
    /// Each function that has an environment or an invoke under way.
    pub functions: Vec<FunctionView>,
    /// What all environments are promised, in MB.
    pub memory_mb: u64,
    /// Environments that were ended since the start, by why.
    pub stops: Vec<(&'static str, u64)>,
}

impl<W: Environments> Dispatcher<W> {
    /// What there is now, and how many environments were ended.
    #[must_use]
    pub fn overview(&self) -> Overview {
        let functions = self.functions.load();
        let core = lock(&self.core);
        let views = functions.iter().filter_map(|(name, entry)| {
            let living = core.scheduler.environments(entry.key);
            let in_flight = core.scheduler.in_flight_of(entry.key);
            if living.is_empty() && in_flight == 0 {
                return None;
            }
            let memory: HashMap<Generation, u32> =
                entry.serving().map(|ready| (ready.generation(), ready.spec.memory_mb)).collect();
            let mut view = FunctionView { name: Arc::clone(name), in_flight, init: 0, busy: 0, idle: 0, memory_mb: 0 };
            for (_, generation, activity) in living {
                match activity {
                    Activity::Init => view.init += 1,
                    Activity::Busy => view.busy += 1,
                    Activity::Idle => view.idle += 1,
                }
                view.memory_mb += u64::from(memory.get(&generation).copied().unwrap_or_default());
            }
            Some(view)
        });
        Overview {
            functions: views.collect(),
            memory_mb: core.scheduler.memory_mb(),
            stops: core.stops.iter().map(|(why, count)| (*why, *count)).collect(),
        }
    }
}
