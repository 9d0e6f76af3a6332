//! How long idle environments live, and which of them goes first when room is short.

use std::time::Duration;

use crate::gaps::{Bin, Gaps};

/// By what idle environments are kept. Pure values: the server has one for all functions, a simulation compares several.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeepAlive {
    /// Each for that long. Where room is short, the longest idle goes first.
    Fixed(Duration),
    /// While there is room. Where it is short, the one goes first whose loss is to be regretted least: the cold starts that
    /// keeping it is expected to save, for each second and MB that this takes.
    ///
    /// What is expected comes from the function's own gaps between uses, given how long this one has been idle already; of
    /// a function of which nothing is known, any gap is as likely as one twice as long.
    Room,
    /// As long as a histogram of the minutes that the function was idle says, and none before, where all of them were
    /// longer: then one is made ahead. Where it says nothing, for four hours. Where room is short, the longest idle goes
    /// first.
    Histogram,
}

impl KeepAlive {
    /// How much is lost if an environment goes that has been idle for so long, and when that is another amount.
    pub(crate) fn loss(self, cost: Cost, gaps: &Gaps, idle: Duration) -> (Loss, Option<Duration>) {
        match self {
            Self::Fixed(_) | Self::Histogram => (Loss::default(), None),
            Self::Room => {
                let bin = Bin::of(idle);
                (Loss::of(cost, gaps.expected(bin)), bin.end())
            }
        }
    }
}

/// What an environment costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cost {
    /// To have.
    pub(crate) memory_mb: u32,
    /// To make.
    pub(crate) init: Duration,
}

/// What each cold start costs beside the wait for its init: work of the machine, which others wait for. Ours; with it
/// neither many short cold starts nor few long ones are thought nothing of.
const EACH_START_MS: u128 = 250;

/// How much is lost when an idle environment goes: time that cold starts take, for each MB and time, as whole units too
/// small to make a difference.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub(crate) struct Loss {
    /// The greater half of the number, compared first; a `u128` would have room left beside it.
    high: u64,
    low: u64,
}

/// Where an idle environment stands among those of its worker: the lowest goes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub(crate) struct Rank {
    pub(crate) loss: Loss,
    /// Of those of equal loss the one goes that has been idle longest.
    pub(crate) turn: u64,
}

impl Loss {
    /// Whole numbers, so that no order depends on how a machine rounds.
    pub(crate) fn of(cost: Cost, (uses, kept_ms): (u64, u64)) -> Self {
        let kept = u128::from(kept_ms.max(1)) * u128::from(cost.memory_mb.max(1));
        let start_ms = EACH_START_MS + cost.init.as_millis().min(u128::from(u32::MAX));
        let lost = ((u128::from(uses) * start_ms) << 64) / kept;
        Self { high: (lost >> 64) as u64, low: lost as u64 }
    }
}
