//! `cargo xtask soak`: very many environments that end in all ways leave nothing behind; `--environments N` says how many.

use std::process::Command;

use anyhow::{Result, ensure};

use crate::e2e;
use crate::test::tally::Tally;
use crate::tools::{cargo, install, root, run as run_command, server};

/// In a step of `cargo xtask test`.
const SHORT: &str = "200";

/// Runs the task.
pub(crate) fn run(args: &[String]) -> Result<()> {
    ensure!(rustix::process::geteuid().is_root(), "what is left behind on the machine is counted as root");
    run_command(&mut cargo(e2e::BUILD))?;
    let mut soak = Command::new(install::clients()?.join("python"));
    soak.args(["-m", "hostile.soak"]).args(args).current_dir(root().join("e2e"));
    run_command(soak.env("HEARTH", server::binary("release")?).env("PYTHONDONTWRITEBYTECODE", "1"))
}

/// A short form as a step of `cargo xtask test`.
pub(crate) fn step(tally: &mut Tally) -> Result<()> {
    tally.check(run(&["--environments".to_owned(), SHORT.to_owned()]))
}
