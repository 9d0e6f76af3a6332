//! `cargo xtask sim`: the scheduler in virtual time; `cargo xtask sim --help` says what may be asked of it.

use std::process::Command;

use anyhow::Result;

use crate::tools::{cargo, run as run_command, target};

/// Runs the task.
pub(crate) fn run(args: &[String]) -> Result<()> {
    run_command(&mut cargo(&["build", "--release", "--quiet", "--package", "hearth-sim"]))?;
    run_command(Command::new(target().join("release/hearth-sim")).args(args))
}
