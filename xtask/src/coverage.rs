//! `cargo xtask coverage`: writes the part of docs/compatibility.md that says what is supported.
//!
//! A test of the server makes it from the tables that decide; without this task the test only compares.

use anyhow::{Result, bail};

use crate::tools::{cargo, run as run_command};

/// Runs the task.
pub(crate) fn run(args: &[String]) -> Result<()> {
    if !args.is_empty() {
        bail!("usage: cargo xtask coverage");
    }
    let mut test = cargo(&["test", "--quiet", "--package", "hearth-server", "--bin", "hearth", "coverage"]);
    run_command(test.env("HEARTH_WRITE_COVERAGE", "1"))
}
