//! `cargo xtask sim`: the scheduler in virtual time; `cargo xtask sim --help` says what may be asked of it.

use std::process::Command;

use anyhow::Result;

use crate::tools::{cargo, run as run_command, target};

/// What is known of a million functions is a gigabyte, read all over: with pages of 4 KiB the processor looks up pages all
/// the time.
const LARGE_PAGES: &str = "glibc.malloc.hugetlb=1";

/// Runs the task.
pub(crate) fn run(args: &[String]) -> Result<()> {
    run_command(&mut cargo(&["build", "--release", "--quiet", "--package", "hearth-sim"]))?;
    let mut sim = Command::new(target().join("release/hearth-sim"));
    run_command(sim.args(args).env("GLIBC_TUNABLES", LARGE_PAGES))
}
