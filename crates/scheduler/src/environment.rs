//! One environment.

use std::time::Duration;

use hearth_types::EnvironmentId;

use crate::event::Generation;
use crate::keep_alive::Rank;
use crate::placement::WorkerId;

/// What an environment is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// Is being initialised ahead of any invoke.
    Preparing,
    /// Has an invoke that counts.
    Busy,
    /// Its invoke is answered, but it is not idle yet.
    Settling,
    /// Waits for work; is in its version's `idle`, or `provisioned_idle`.
    Idle,
    /// Told to go; takes room no more.
    Stopping,
}

/// One environment.
#[derive(Debug)]
pub(crate) struct Environment {
    pub(crate) generation: Generation,
    pub(crate) worker: WorkerId,
    pub(crate) phase: Phase,
    pub(crate) made_at: Duration,
    /// When it is as old as one may become.
    pub(crate) life_end: Duration,
    /// It has not answered an invoke yet.
    pub(crate) fresh: bool,
    pub(crate) provisioned: bool,
    /// It has had no invoke.
    pub(crate) unused: bool,
    /// What it was initialised for is lost.
    pub(crate) down: bool,
    /// While it is idle.
    pub(crate) rest: Rest,
    /// What is noted of it among the idle ones.
    pub(crate) noted: Noted,
}

/// How an environment is idle.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Rest {
    /// Since when its worth is counted.
    pub(crate) since: Duration,
    /// When it goes at the latest.
    pub(crate) end: Duration,
    /// Its turn grows with each environment that becomes idle; the loss is what was last found out.
    pub(crate) rank: Rank,
    /// It stands among those of its worker by its rank.
    pub(crate) ranked: bool,
}

/// Where an environment stands in [`crate::idle::Idle`].
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Noted {
    /// Of `ends`: at its end or before.
    pub(crate) end: Option<Duration>,
    /// Of `looks`.
    pub(crate) look: Option<Duration>,
    /// Whether it is in `unranked`.
    pub(crate) unranked: bool,
}

/// An idle environment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resting {
    pub(crate) id: EnvironmentId,
    pub(crate) since: Duration,
    pub(crate) turn: u64,
}
