//! `cargo xtask demo`.

use anyhow::{Result, bail};

/// Runs the task.
pub(crate) fn run(_args: &[String]) -> Result<()> {
    bail!("not written yet")
}
