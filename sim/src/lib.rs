//! The scheduler driven by a virtual clock: the very code the server runs, under workloads of weeks in seconds.
//!
//! A [`Workload`] says which functions there are and when each is called; the [`World`] plays clients and workers to the
//! scheduler and keeps [`Figures`]; [`compare()`] sets policies beside one another. Nothing here reads a clock or draws
//! from anything but its seed: the same input gives the same bytes.

mod agenda;
mod checked;
mod compare;
mod core;
mod figures;
mod histogram;
mod plot;
mod policy;
mod random;
mod soak;
mod story;
mod table;
mod trace;
mod workload;
mod world;

pub use checked::Checked;
pub use compare::{Plan, Run, compare};
pub use core::Core;
pub use figures::Figures;
pub use plot::svg;
pub use policy::{Machine, Policy, account, burst, unbounded};
pub use random::Random;
pub use soak::{Flaw, soak};
pub use story::{Story, Told};
pub use table::table;
pub use trace::{azure, huawei};
pub use workload::{Arrivals, Durations, Function, Workload, generate};
pub use world::{Faults, World};
