//! Counting, assignment, placement, keep-alive and warm-ahead as a pure state machine: no clock, no I/O, no async.
//!
//! [`Scheduler::step`] takes what happened and when, and says what to do. The server drives it with the real clock and
//! workers; the tests drive it with a simulated one.
//!
//! What always holds:
//! - An environment runs one invoke at a time, of one generation, for its whole life.
//! - An invoke is given to no generation that has been retired.
//! - Invokes in flight never exceed the account's and the function's limits; memory and number of a worker's living
//!   environments never exceed what it has room for.
//! - A worker that drains gets no environment, and no idle one of it an invoke.
//! - Each admitted invoke ends up in exactly one [`Action::Assign`], [`Action::Create`], [`Action::Throttle`] or
//!   [`Action::Stale`].

mod ahead;
mod counting;
mod environment;
mod event;
mod fleet;
mod gaps;
mod habits;
mod idle;
mod ids;
mod in_use;
mod keep_alive;
mod minutes;
mod placement;
mod prepare;
mod provision;
mod rate;
mod read_ahead;
mod rhythm;
mod scheduler;
mod table;
mod time;
mod waiting;

pub use event::{
    Action, Activity, Event, FunctionKey, Generation, InvokeId, Limits, Origin, Purpose, StopReason, Throttle,
};
pub use keep_alive::KeepAlive;
pub use placement::{Capacity, Placement, WorkerId, WorkerView};
pub use provision::{Hindrance, Provision};
pub use rate::{Rate, Scaling};
pub use rhythm::Steps;
pub use scheduler::Scheduler;
