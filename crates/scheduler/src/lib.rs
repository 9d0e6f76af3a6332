//! Counting, assignment and keep-alive as a pure state machine: no clock, no I/O, no async.
//!
//! [`Scheduler::step`] takes what happened and when, and says what to do. The server drives it with the real clock and
//! a worker; the tests drive it with a simulated one.
//!
//! What always holds:
//! - An environment runs one invoke at a time, of one generation, for its whole life.
//! - An invoke is given to no generation that has been retired.
//! - Invokes in flight never exceed the account's and the function's limits; memory of living environments never
//!   exceeds the budget.
//! - Each admitted invoke ends up in exactly one [`Action::Assign`], [`Action::Create`], [`Action::Throttle`] or
//!   [`Action::Stale`].

mod counting;
mod event;
mod fleet;
mod rate;
mod scheduler;

pub use event::{Action, Activity, Event, FunctionKey, Generation, InvokeId, Limits, Origin, Throttle};
pub use rate::{Rate, Scaling};
pub use scheduler::Scheduler;
