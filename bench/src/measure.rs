//! The measurements.

mod alone;
mod bare;
mod cold;
mod control;
mod density;
mod deploy;
mod events;
mod first;
mod floor;
mod idle;
mod plain;
mod queues;
mod scale;
mod stock;
mod throughput;
mod two_hops;
mod warm;

use anyhow::Result;

use crate::args::RunArgs;
use crate::report::Report;

/// A full core, and the least a function can have.
const FULL_MB: u32 = 1769;
const SMALL_MB: u32 = 128;

/// Where no interpreter waits, a copy of one begins.
const SNAPSHOT: [&str; 4] = ["--isolation-at-least", "disk", "--start-python", "snapshot"];
/// So that no measurement meets the budget, or Lambda's rates; what is measured fits the machine all the same.
const AMPLE: [&str; 8] =
    ["--memory-budget", "1000000", "--keep-alive", "3600", "--request-rate", "0", "--scaling", "unlimited"];

/// Takes nearly all the memory of a machine of 24 GB: not without being asked for.
const NAMED: &str = "density";

/// All that are wanted, one after the other: the machine is small.
pub(crate) fn all(args: &RunArgs, report: &mut Report) -> Result<()> {
    type Group = fn(&RunArgs, &mut Report) -> Result<()>;
    let groups: [(&str, Group); 11] = [
        ("warm", warm::measure),
        ("throughput", throughput::measure),
        ("cold", cold::measure),
        ("idle", idle::measure),
        ("scale", scale::measure),
        ("stock", scale::stocked),
        (NAMED, density::measure),
        ("deploy", deploy::measure),
        ("control", control::measure),
        ("events", events::measure),
        ("queues", queues::measure),
    ];
    for (name, measure) in groups.into_iter().filter(|(name, _)| args.wants(name, *name == NAMED)) {
        eprintln!("-- {name}");
        measure(args, report)?;
    }
    Ok(())
}
