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
}

impl KeepAlive {
    /// When an environment that is idle from now on goes, used or not; none: when it is in the way.
    pub(crate) fn end(self, now: Duration) -> Option<Duration> {
        match self {
            Self::Fixed(time) => Some(now + time),
            Self::Room => None,
        }
    }

    /// How much is lost if an environment goes that has been idle for so long, and when that is another amount.
    pub(crate) fn loss(self, memory_mb: u32, gaps: &Gaps, idle: Duration) -> (Loss, Option<Duration>) {
        match self {
            Self::Fixed(_) => (Loss::default(), None),
            Self::Room => {
                let bin = Bin::of(idle);
                (Loss::of(memory_mb, gaps.expected(bin)), bin.end())
            }
        }
    }
}

/// How much is lost when an idle environment goes: cold starts for each MB and time, as whole units too small to make
/// a difference. Each cold start counts the same: how long one takes is known only together with its first invoke.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub(crate) struct Loss(u128);

/// Where an idle environment stands among those of its worker: the lowest goes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub(crate) struct Rank {
    pub(crate) loss: Loss,
    /// Of those of equal loss the one goes that has been idle longest.
    pub(crate) turn: u64,
}

impl Loss {
    /// Whole numbers, so that no order depends on how a machine rounds.
    pub(crate) fn of(memory_mb: u32, (uses, kept_ms): (u64, u64)) -> Self {
        let kept = u128::from(kept_ms.max(1)) * u128::from(memory_mb.max(1));
        Self((u128::from(uses) << 80) / kept)
    }
}
