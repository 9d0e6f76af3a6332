//! `cargo xtask hostile`: the catalogue of hostile functions. Each row is tried against the server as it is shipped, and its
//! twin against one in which the defences of that row are off, where the attempt must succeed.
//!
//! Arguments go to pytest: `-k A06`, `-m short`. `--table` alone writes the table of rows in docs/security.md.

use std::process::Command;

use anyhow::{Result, bail, ensure};

use crate::demo::packages::rust_binary;
use crate::e2e::{self, settle};
use crate::test::tally::Tally;
use crate::tools::{cargo, follow, install, proving, root, run as run_command, server};

/// What a build that can weaken itself reads, and no other knows.
const SETTING: &[u8] = b"HEARTH_WEAKEN";

/// Runs the task.
pub(crate) fn run(args: &[String]) -> Result<()> {
    if args == ["--table"] {
        return table();
    }
    let mut tally = Tally::default();
    pytest(&mut tally, args)?;
    println!("{tally}");
    if tally.failed > 0 { bail!("{} failed", tally.failed) } else { Ok(()) }
}

/// The rows that every change is held against, as a step of `cargo xtask test`.
pub(crate) fn step(tally: &mut Tally) -> Result<()> {
    pytest(tally, &["-m".to_owned(), "short".to_owned()])
}

/// Writes the table of rows in docs/security.md.
fn table() -> Result<()> {
    let python = install::clients()?.join("python");
    run_command(Command::new(python).args(["-m", "hostile.report", "--write"]).current_dir(root().join("e2e")))
}

fn pytest(tally: &mut Tally, args: &[String]) -> Result<()> {
    ensure!(rustix::process::geteuid().is_root(), "what is left behind on the machine is counted as root");
    let weak = proving::build()?;
    run_command(&mut cargo(e2e::BUILD))?;
    let shipped = server::binary("release")?;
    ensure!(proving::knows(&weak, SETTING)?, "{} cannot be weakened: the twins would prove nothing", weak.display());
    ensure!(!proving::knows(&shipped, SETTING)?, "{} can be weakened: it must not be shipped", shipped.display());
    let bin = install::clients()?;
    let mut pytest = Command::new(bin.join("python"));
    pytest
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2", "--dist", "worksteal", "hostile"])
        .args(args);
    pytest.current_dir(root().join("e2e")).env("HEARTH", shipped).env("HEARTH_WEAK", weak);
    pytest.env("PYTHONDONTWRITEBYTECODE", "1").env("BOOTSTRAP", rust_binary()?);
    let before = *tally;
    let passed = follow(&mut pytest, |line| tally.read_pytest(line))?;
    settle(passed, before, tally, "pytest")
}
