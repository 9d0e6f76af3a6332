//! What is to be done about a mapping: of its record, and of what runs for it. Pure.

use hearth_types::mapping::{Mapping, Phase};

/// What runs for a mapping.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Running<'a> {
    /// Nothing.
    Nothing,
    /// A task that does what this record says.
    For(&'a Mapping),
    /// One that has been told to stop.
    Stopping,
}

/// The next step towards what the record wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// All is as it should be, or will be once a task has ended.
    Wait,
    /// A task is to poll.
    Start,
    /// The one that there is is to come to its end.
    Stop,
    /// The record is to say that it is so.
    Settle(Phase),
    /// The record is to say that there is nobody who polls such a source.
    NotPolled,
    /// The record is to go.
    Remove,
}

/// `record`: none where it is gone. `is_polled`: whether sources of its kind are.
pub(crate) fn next(record: Option<&Mapping>, running: Running<'_>, is_polled: bool) -> Step {
    let wanted = record.filter(|mapping| mapping.wanted && mapping.phase != Phase::Deleting && is_polled);
    match (running, wanted, record) {
        (Running::Stopping, ..) => Step::Wait,
        (Running::For(before), Some(mapping), _) if before.is_polled_like(mapping) => settled(mapping, Phase::Enabled),
        (Running::For(_), ..) => Step::Stop,
        (Running::Nothing, Some(_), _) => Step::Start,
        (Running::Nothing, None, Some(mapping)) if mapping.phase == Phase::Deleting => Step::Remove,
        (Running::Nothing, None, Some(mapping)) if mapping.wanted => {
            if mapping.phase == Phase::Disabled && mapping.reason.is_some() { Step::Wait } else { Step::NotPolled }
        }
        (Running::Nothing, None, Some(mapping)) => settled(mapping, Phase::Disabled),
        (Running::Nothing, None, None) => Step::Wait,
    }
}

fn settled(mapping: &Mapping, phase: Phase) -> Step {
    if mapping.phase == phase { Step::Wait } else { Step::Settle(phase) }
}

#[cfg(test)]
mod tests;
