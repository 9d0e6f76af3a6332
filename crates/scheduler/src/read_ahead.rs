//! Reading what steps that are about to come will need.

use std::hint::black_box;

use hearth_types::EnvironmentId;

use crate::environment::Environment;
use crate::event::{Event, FunctionKey, Generation};
use crate::scheduler::Scheduler;

/// What is read at once: with more, the processor's nearest cache would not have all of it any more.
const AT_ONCE: usize = 32;

/// What is known of a coming event so far.
#[derive(Clone, Copy, Default)]
struct Coming {
    environment: Option<EnvironmentId>,
    generation: Option<Generation>,
    function: Option<FunctionKey>,
    is_invoke: bool,
}

impl Coming {
    fn of(event: &Event) -> Self {
        match *event {
            Event::Invoke { generation, .. } => {
                Self { generation: Some(generation), is_invoke: true, ..Self::default() }
            }
            Event::Initialised { environment, .. }
            | Event::Answered(environment)
            | Event::Idle(environment)
            | Event::Prepared(environment)
            | Event::Gone(environment) => Self { environment: Some(environment), ..Self::default() },
            _ => Self::default(),
        }
    }
}

impl Scheduler {
    /// Reads what the steps of these events will read, as far as that can be told now, and changes nothing. What is known
    /// of a million functions is in no cache: a step reads one thing after the other and waits for each of them, whereas
    /// here all events wait together. Worth it where many events are at hand, of more functions than the caches hold.
    pub fn read_ahead(&self, events: &[Event]) {
        let mut of = [Coming::default(); AT_ONCE];
        for events in events.chunks(AT_ONCE) {
            let coming = &mut of[..events.len()];
            coming.iter_mut().zip(events).for_each(|(one, event)| *one = Coming::of(event));
            // By kind, as what is read of one tells where the next is: none waits for those of other events.
            let mut read = 0;
            for one in &mut *coming {
                read ^= self.read_environment(one);
            }
            for one in &mut *coming {
                read ^= self.read_version(one);
            }
            for one in &*coming {
                read ^= self.read_function(one);
            }
            black_box(read);
        }
    }

    fn read_environment(&self, one: &mut Coming) -> u64 {
        let Some(environment) = one.environment.and_then(|id| self.fleet.environment(id)) else { return 0 };
        one.generation = Some(environment.generation);
        environment.read()
    }

    fn read_version(&self, one: &mut Coming) -> u64 {
        let Some(version) = one.generation.and_then(|generation| self.fleet.versions.get(generation)) else { return 0 };
        one.function = Some(version.function);
        // Mostly the one that an invoke gets.
        one.environment = version.idle.back().map(|last| last.id);
        version.read()
    }

    fn read_function(&self, one: &Coming) -> u64 {
        let Some(function) = one.function else { return 0 };
        let in_flight = u64::from(self.counting.in_flight_of(function));
        if !one.is_invoke {
            return in_flight;
        }
        let environment = one.environment.and_then(|id| self.fleet.environment(id));
        in_flight ^ self.habits.read(function) ^ environment.map_or(0, Environment::read)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{Action, Capacity, InvokeId, Limits, Origin, WorkerId};

    /// A version with an idle environment; and that environment.
    fn scheduler() -> (Scheduler, EnvironmentId) {
        let (mut scheduler, mut actions) = (Scheduler::new(Limits::PLAIN), Vec::new());
        let (generation, function) = (Generation(1), FunctionKey(1));
        let worker = (WorkerId(1), Capacity { memory_mb: 1024, environments: 8 });
        for event in [
            Event::Join { worker: worker.0, capacity: worker.1 },
            Event::Deploy { generation, function, memory_mb: 128 },
            Event::Invoke { invoke: InvokeId(1), generation, origin: Origin::Client },
        ] {
            scheduler.step(Duration::ZERO, event, &mut actions);
        }
        let Some(Action::Create { environment, .. }) = actions.pop() else { panic!("{actions:?}") };
        scheduler.step(Duration::from_secs(1), Event::Idle(environment), &mut actions);
        (scheduler, environment)
    }

    #[test]
    fn one_read_leads_to_the_next() {
        let (scheduler, environment) = scheduler();
        let mut invoke =
            Coming::of(&Event::Invoke { invoke: InvokeId(2), generation: Generation(1), origin: Origin::Client });
        scheduler.read_version(&mut invoke);
        assert_eq!((invoke.function, invoke.environment), (Some(FunctionKey(1)), Some(environment)));
        let mut idle = Coming::of(&Event::Idle(environment));
        scheduler.read_environment(&mut idle);
        assert_eq!(idle.generation, Some(Generation(1)));
    }

    #[test]
    fn any_number_of_events_may_be_told_of_and_any_id() {
        let (scheduler, environment) = scheduler();
        let invoke = |id| Event::Invoke { invoke: InvokeId(id), generation: Generation(id), origin: Origin::Client };
        let some = |id| [invoke(id), Event::Idle(EnvironmentId(id)), Event::Idle(environment), Event::Tick];
        let events: Vec<_> = [0, 1, 2, u64::MAX].into_iter().cycle().take(AT_ONCE).flat_map(some).collect();
        for count in [0, 1, AT_ONCE, events.len()] {
            scheduler.read_ahead(&events[..count]);
        }
    }
}
