//! The front end over a simulated worker.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod errors;
mod invokes;
mod memory;
mod races;
mod restart;
mod support;
mod tenants;
mod urls;
mod versions;
