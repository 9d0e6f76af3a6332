//! What became of all deliveries, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::Kind;

/// What became of a delivery.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Outcome {
    /// It was taken.
    Delivered,
    /// It was not, and is tried again.
    Failed,
    /// It was not, and is in its dead-letter queue.
    DeadLettered,
    /// It was not, and is gone.
    Dropped,
}

impl Outcome {
    const ALL: [Self; 4] = [Self::Delivered, Self::Failed, Self::DeadLettered, Self::Dropped];

    /// For people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::DeadLettered => "dead-lettered",
            Self::Dropped => "dropped",
        }
    }
}

/// How often something became of what came from sources of a kind, since the server started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counted {
    /// Of the sources.
    pub kind: Kind,
    /// What it was.
    pub outcome: Outcome,
    /// How often.
    pub count: u64,
}

#[derive(Default)]
pub(crate) struct Counts([[AtomicU64; Outcome::ALL.len()]; Kind::ALL.len()]);

impl Counts {
    pub(crate) fn add(&self, kind: Kind, outcome: Outcome) {
        self.0[kind as usize][outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn all(&self) -> Vec<Counted> {
        let one = |kind, outcome| {
            let count = self.0[kind as usize][outcome as usize].load(Ordering::Relaxed);
            Counted { kind, outcome, count }
        };
        Kind::ALL.into_iter().flat_map(|kind| Outcome::ALL.map(|outcome| one(kind, outcome))).collect()
    }
}
