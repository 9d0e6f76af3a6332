//! What is published, over stores in memory and a clock that is moved by hand.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod case;
mod many;
mod once;
