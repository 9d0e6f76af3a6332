//! What goes into the scheduler and what comes out.

use std::time::Duration;

use hearth_types::EnvironmentId;

use crate::keep_alive::KeepAlive;
use crate::placement::{Capacity, Placement, WorkerId};
use crate::rate::Scaling;
use crate::rhythm::Steps;

/// One deployed generation of one version. Only what has been deployed and not yet retired takes invokes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Generation(pub u64);

/// A function, all its versions together: what reserved concurrency is counted for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct FunctionKey(pub u64);

/// One invoke, from its admission until it is placed. Never used again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct InvokeId(pub u64);

/// The bounds the scheduler keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Invokes in flight of all functions together; what functions reserve is taken from it.
    pub account_concurrency: u32,
    /// Requests a second for each unit of concurrency, the account's or that which a function reserves; none where only
    /// concurrency counts.
    pub requests_per_concurrency: Option<u32>,
    /// How fast environments may come to be.
    pub scaling: Scaling,
    /// Which worker gets a new environment.
    pub placement: Placement,
    /// By what idle environments are kept.
    pub keep_alive: KeepAlive,
    /// Whether environments are made ahead of calls that can be foreseen, of functions that have none.
    pub ahead: bool,
    /// How long an environment may live: an older one goes as soon as it is idle, and takes no invoke any more.
    pub life: Duration,
    /// How much earlier some go: which of them, their numbers decide. Less than `life`.
    pub life_spread: Duration,
    /// How long an invoke waits at least for an environment that has answered and is about to be idle, before a new one
    /// is made; it waits as long as its version's fastest cold start took.
    pub settle: Duration,
    /// How long it waits at most.
    pub settle_max: Duration,
    /// How long an invoke waits for room, where all room is taken and some of it is about to be free.
    pub room_wait: Duration,
}

impl Limits {
    /// What tests and simulations vary: rates without bounds, idle environments kept for a minute, nothing made ahead.
    pub const PLAIN: Self = Self {
        account_concurrency: 1000,
        requests_per_concurrency: None,
        scaling: Scaling::Unlimited,
        placement: Placement::Pack,
        keep_alive: KeepAlive::Fixed(Duration::from_secs(60)),
        ahead: false,
        life: Duration::from_secs(3600),
        life_spread: Duration::ZERO,
        settle: Duration::from_millis(10),
        settle_max: Duration::from_millis(200),
        room_wait: Duration::from_millis(500),
    };

    /// How long this environment may live.
    #[must_use]
    pub fn life_of(&self, environment: EnvironmentId) -> Duration {
        // Neighbouring numbers are far apart after it (Fibonacci hashing), and the order has no pattern that counts.
        let share = (environment.0.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32;
        self.life.saturating_sub(self.life_spread.mul_f64(f64::from(share) / f64::from(u32::MAX)))
    }
}

/// Something that happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// A generation can be invoked from now on.
    Deploy {
        /// Must be new.
        generation: Generation,
        /// Whose it is.
        function: FunctionKey,
        /// MB of each of its environments.
        memory_mb: u32,
    },
    /// A generation takes no invoke any more: idle environments go now, busy ones after their invoke.
    Retire(Generation),
    /// The function's reserved concurrency; none lets it share what is unreserved.
    Reserve {
        /// Which function.
        function: FunctionKey,
        /// Invokes in flight of all its versions together.
        concurrency: Option<u32>,
    },
    /// So many environments of the generation are to be kept initialised ahead of invokes.
    Provision {
        /// Which generation.
        generation: Generation,
        /// None where 0.
        count: u32,
    },
    /// A client wants an invoke.
    Invoke {
        /// Must be new.
        invoke: InvokeId,
        /// What it runs.
        generation: Generation,
        /// Whether its rate counts.
        origin: Origin,
    },
    /// The environment's init took so long, the platform's part included; by it its version's cold starts are weighed.
    Initialised {
        /// Which environment's.
        environment: EnvironmentId,
        /// From nothing until it could take an invoke.
        took: Duration,
    },
    /// The environment's invoke has its answer and counts no more; the environment may need a moment to be idle.
    Answered(EnvironmentId),
    /// The environment waits for work.
    Idle(EnvironmentId),
    /// The init of an environment made by [`Action::Prepare`] is over: it waits for work.
    Prepared(EnvironmentId),
    /// That init failed, by the function's fault; [`Event::Gone`] follows.
    InitFailed(EnvironmentId),
    /// What the environment was initialised for ahead of invokes is lost: it would be initialised again inside its next
    /// one. Comes before [`Event::Idle`].
    Down(EnvironmentId),
    /// The environment is no more; its invoke, if it had one, has been answered.
    Gone(EnvironmentId),
    /// A worker takes environments from now on.
    Join {
        /// Must be new.
        worker: WorkerId,
        /// What it has room for.
        capacity: Capacity,
    },
    /// The worker gets no new environment: idle ones go now, busy ones after their invoke.
    Drain(WorkerId),
    /// The worker is no more, nor is any of its environments; the invokes that they had have been answered.
    Lost(WorkerId),
    /// Before this scheduler was, a deployed generation was called in these steps: its next call is foreseen by them, where nothing
    /// is known of its function yet.
    Resume {
        /// What was called.
        generation: Generation,
        /// How.
        steps: Steps,
    },
    /// The server ends, and with it all environments: no other comes to be for any reason.
    Close,
    /// Nothing but time passed; due at [`crate::Scheduler::next_tick`].
    Tick,
}

/// Where an invoke comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A client that waits for the answer: counted by [`Limits::requests_per_concurrency`].
    Client,
    /// A queue, whose rate concurrency alone bounds.
    Queue,
}

/// What an environment is for that is made without an invoke.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Purpose {
    /// Provisioned concurrency: it takes its version's invokes before all others, and neither idleness nor a want of
    /// room ends it.
    Provisioned,
    /// An invoke that is expected: once it is prepared it is an idle environment as any other.
    Ahead,
}

/// Something to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Give the invoke to this idle environment.
    Assign {
        /// Which invoke.
        invoke: InvokeId,
        /// To whom.
        environment: EnvironmentId,
    },
    /// Make an environment and give it the invoke.
    Create {
        /// Which invoke.
        invoke: InvokeId,
        /// The new environment's id.
        environment: EnvironmentId,
        /// What it runs for its whole life.
        generation: Generation,
        /// Where it is made.
        worker: WorkerId,
    },
    /// Make an environment without an invoke.
    Prepare {
        /// The new environment's id.
        environment: EnvironmentId,
        /// What it runs for its whole life.
        generation: Generation,
        /// Where it is.
        worker: WorkerId,
        /// What it is for.
        purpose: Purpose,
    },
    /// Refuse the invoke.
    Throttle {
        /// Which invoke.
        invoke: InvokeId,
        /// Why.
        reason: Throttle,
    },
    /// The invoke's generation is retired or was never deployed: look the function up again.
    Stale {
        /// Which invoke.
        invoke: InvokeId,
    },
    /// End the environment, which is idle or has no invoke yet.
    Stop {
        /// Which.
        environment: EnvironmentId,
        /// Why.
        reason: StopReason,
    },
}

/// Why an idle environment goes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StopReason {
    /// It was idle for as long as its function's are kept.
    Idle,
    /// It has lived for as long as one may.
    Age,
    /// Another one needed its room.
    Room,
    /// Its generation takes no invoke any more.
    Retired,
    /// Its worker takes none any more.
    Drained,
    /// What it was initialised for is lost.
    Down,
    /// More are provisioned than are wanted.
    Spare,
}

impl StopReason {
    /// Whether somebody waits for the end itself. For room nobody does: that is free at once, on paper.
    #[must_use]
    pub const fn is_pressing(self) -> bool {
        match self {
            Self::Idle | Self::Age | Self::Room => false,
            Self::Retired | Self::Drained | Self::Down | Self::Spare => true,
        }
    }

    /// In one word, for metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Age => "age",
            Self::Room => "room",
            Self::Retired => "retired",
            Self::Drained => "drained",
            Self::Down => "down",
            Self::Spare => "spare",
        }
    }
}

/// Why an invoke is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Throttle {
    /// The account's unreserved concurrency is used up.
    AccountConcurrency,
    /// The function's reserved concurrency is used up.
    ReservedConcurrency,
    /// Clients have sent more requests in this second than the account's concurrency allows.
    RequestRate,
    /// The same by what the function reserves.
    ReservedRequestRate,
    /// Environments came to be as fast as they may.
    ScalingRate,
    /// Where it would fit, the memory is used up by environments that are busy.
    Memory,
    /// As many environments live as may.
    Environments,
    /// No worker takes environments now, or none that is large enough.
    NoWorker,
    /// One environment of this function needs more than any worker has: waiting does not help.
    NeverFits {
        /// MB of one environment.
        needed_mb: u32,
        /// MB of the largest worker.
        budget_mb: u64,
    },
}

impl Throttle {
    /// Whether the client reached a limit, and may be within it later: a 429. Of the others one is the service's own, and one
    /// lasts as long as the function and the workers are what they are.
    #[must_use]
    pub const fn is_limit(self) -> bool {
        match self {
            Self::AccountConcurrency
            | Self::ReservedConcurrency
            | Self::RequestRate
            | Self::ReservedRequestRate
            | Self::ScalingRate
            | Self::Memory
            | Self::Environments => true,
            Self::NoWorker | Self::NeverFits { .. } => false,
        }
    }
}

/// What a living environment is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Activity {
    /// Its init, ahead of any invoke or with its first one.
    Init,
    /// A later invoke, or it has just answered one.
    Busy,
    /// Nothing.
    Idle,
}
