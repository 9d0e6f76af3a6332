//! What is simulated: functions, and when each is called.

mod arrivals;
mod duration;
mod generate;

pub use arrivals::Arrivals;
pub(crate) use arrivals::Progress;
pub use duration::Durations;
pub(crate) use generate::drawn;
pub use generate::generate;

/// One function, as the world needs it.
#[derive(Clone, Debug)]
pub struct Function {
    /// MB of each of its environments.
    pub memory_mb: u32,
    /// Nanoseconds from nothing to the start of the handler: the platform's part and the function's own init.
    pub start: u64,
    /// How long its handler runs.
    pub durations: Durations,
    /// When it is called.
    pub arrivals: Arrivals,
    /// What it reserves.
    pub reserved: Option<u32>,
}

impl Function {
    /// Reads all of it that calls need.
    pub(crate) fn read(&self) -> u64 {
        u64::from(self.memory_mb) ^ self.start ^ u64::from(matches!(self.arrivals, Arrivals::Timer { .. }))
    }
}

/// Functions, for a time.
#[derive(Clone, Debug)]
pub struct Workload {
    /// What it is, in a few words.
    pub name: String,
    /// All of them.
    pub functions: Vec<Function>,
    /// Nanoseconds after which nobody calls any more.
    pub until: u64,
}
