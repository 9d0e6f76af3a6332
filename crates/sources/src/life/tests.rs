use hearth_types::mapping::{Settings, Source};
use proptest::prelude::*;

use super::*;

pub(crate) fn mapping(wanted: bool, phase: Phase, batch_size: i32) -> Mapping {
    Mapping {
        function: "f".into(),
        qualifier: None,
        source: Source::Sqs { arn: "arn:aws:sqs:us-east-1:000000000000:q".into() },
        settings: Settings {
            batch_size,
            window_s: 0,
            filters: Vec::new(),
            report_failures: false,
            on_failure: None,
            age_s: -1,
            retries: -1,
            bisect: false,
            parallelization: 1,
            tumbling_s: 0,
            access: Vec::new(),
            concurrency: None,
            consumer_group: None,
            counts_events: false,
        },
        wanted,
        phase,
        reason: None,
        tags: Default::default(),
        last_modified_ms: 0,
    }
}

/// A world in which each step is done, and each task ends once it is told to.
#[derive(Clone, Debug)]
struct World {
    record: Option<Mapping>,
    running: Option<Mapping>,
    stopping: bool,
    is_polled: bool,
}

impl World {
    fn step(&mut self) -> Step {
        let running = match &self.running {
            None => Running::Nothing,
            Some(_) if self.stopping => Running::Stopping,
            Some(mapping) => Running::For(mapping),
        };
        let step = next(self.record.as_ref(), running, self.is_polled);
        match step {
            Step::Wait if self.stopping => (self.running, self.stopping) = (None, false),
            Step::Wait => {}
            Step::Start => self.running = self.record.clone(),
            Step::Stop => self.stopping = true,
            Step::Settle(phase) => self.record.as_mut().unwrap().phase = phase,
            Step::NotPolled => {
                let record = self.record.as_mut().unwrap();
                (record.phase, record.reason) = (Phase::Disabled, Some("not here".into()));
            }
            Step::Remove => self.record = None,
        }
        step
    }

    /// Steps until nothing is to be done any more.
    fn settle(&mut self) {
        for _ in 0..10 {
            let waited = self.stopping;
            if self.step() == Step::Wait && !waited {
                return;
            }
        }
        panic!("it never settles: {self:?}");
    }
}

fn phases() -> impl Strategy<Value = Phase> {
    prop::sample::select(vec![
        Phase::Creating,
        Phase::Enabling,
        Phase::Enabled,
        Phase::Disabling,
        Phase::Disabled,
        Phase::Updating,
        Phase::Deleting,
    ])
}

proptest! {
    /// Whatever a crash leaves, and whatever a client asks for meanwhile, it comes to what the record wants.
    #[test]
    fn it_comes_to_what_is_wanted(
        records in prop::collection::vec(prop::option::of((any::<bool>(), phases(), 1..3_i32)), 1..6),
        pauses in prop::collection::vec(0..4_usize, 6),
        is_polled in any::<bool>(),
    ) {
        let mut world = World { record: None, running: None, stopping: false, is_polled };
        for (record, steps) in records.into_iter().zip(pauses) {
            world.record = record.map(|(wanted, phase, size)| mapping(wanted, phase, size));
            for _ in 0..steps {
                world.step();
            }
        }
        let wanted = world.record.clone();
        world.settle();
        match wanted {
            None => prop_assert!(world.record.is_none() && world.running.is_none()),
            Some(wanted) if wanted.phase == Phase::Deleting => {
                prop_assert!(world.record.is_none() && world.running.is_none());
            }
            Some(wanted) if wanted.wanted && is_polled => {
                prop_assert_eq!(world.record.unwrap().phase, Phase::Enabled);
                prop_assert!(world.running.unwrap().is_polled_like(&wanted));
            }
            Some(_) => {
                prop_assert_eq!(world.record.unwrap().phase, Phase::Disabled);
                prop_assert!(world.running.is_none());
            }
        }
    }
}

#[test]
fn what_is_settled_is_left_alone() {
    let on = mapping(true, Phase::Enabled, 1);
    assert_eq!(next(Some(&on), Running::For(&on), true), Step::Wait);
    let off = mapping(false, Phase::Disabled, 1);
    assert_eq!(next(Some(&off), Running::Nothing, true), Step::Wait);
}

#[test]
fn new_settings_begin_when_the_old_ones_have_ended() {
    let (old, new) = (mapping(true, Phase::Enabled, 1), mapping(true, Phase::Updating, 2));
    assert_eq!(next(Some(&new), Running::For(&old), true), Step::Stop);
    assert_eq!(next(Some(&new), Running::Stopping, true), Step::Wait);
    assert_eq!(next(Some(&new), Running::Nothing, true), Step::Start);
    assert_eq!(next(Some(&new), Running::For(&new), true), Step::Settle(Phase::Enabled));
}
