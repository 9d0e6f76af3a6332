//! One environment.

use hearth_types::EnvironmentId;

use crate::event::Generation;
use crate::keep_alive::Rank;
use crate::placement::WorkerId;
use crate::time::Time;

/// What an environment is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// Is being initialised ahead of any invoke.
    Preparing,
    /// Has an invoke that counts.
    Busy,
    /// Its invoke is answered, but it is not idle yet.
    Settling,
    /// Waits for work; is in its version's `idle`, or the fleet's `provisioned_idle`.
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
    pub(crate) made_at: Time,
    /// When it is as old as one may become.
    pub(crate) life_end: Time,
    /// It has not answered an invoke yet.
    pub(crate) fresh: bool,
    pub(crate) provisioned: bool,
    /// It has had no invoke.
    pub(crate) unused: bool,
    /// What it was initialised for is lost.
    pub(crate) down: bool,
    /// It stands among those of its worker by its rank.
    pub(crate) ranked: bool,
    /// It is among those of which it is to be found out what is lost with them.
    pub(crate) unranked: bool,
    /// While it is idle.
    pub(crate) rest: Rest,
    /// What is noted of it among the idle ones.
    pub(crate) noted: Noted,
}

impl Environment {
    /// Reads all of it; see [`crate::Scheduler::read_ahead`].
    pub(crate) fn read(&self) -> u64 {
        self.generation.0 ^ self.rest.rank.turn ^ u64::from(self.down) ^ u64::from(self.made_at.get().subsec_nanos())
    }
}

/// How an environment is idle.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Rest {
    /// Since when its worth is counted.
    pub(crate) since: Time,
    /// When it goes at the latest.
    pub(crate) end: Time,
    /// Its turn grows with each environment that becomes idle; the loss is what was last found out.
    pub(crate) rank: Rank,
}

/// Where an environment stands in [`crate::idle::Idle`].
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Noted {
    /// Of `ends`: at its end or before.
    pub(crate) end: Option<Time>,
    /// Of `looks`.
    pub(crate) look: Option<Time>,
}

/// An idle environment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resting {
    pub(crate) id: EnvironmentId,
    pub(crate) since: Time,
    pub(crate) turn: u64,
}
