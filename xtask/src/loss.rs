//! `cargo xtask loss`: nothing that was acknowledged is lost, wherever the server ends.
//!
//! `cargo xtask loss [kill|points|power] [ARGUMENTS]`; without a name all three. `kill --points N --seed S` kills it at
//! random points, `points --only NAME` ends it at named ones, `power --rounds N` takes with it whatever it has not flushed.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail, ensure};

use crate::e2e;
use crate::test::beside::Beside;
use crate::test::tally::Tally;
use crate::tools::{cargo, install, proving, root, run as run_command, server};

/// What a build that can crash itself reads, and no other knows.
const SETTING: &[u8] = b"HEARTH_CRASH_AT";
/// The parts, and what each is told in a step of `cargo xtask test`.
const PARTS: &[(&str, &[&str])] =
    &[("kill", &["--points", "40"]), ("points", &["--times", "1"]), ("power", &["--rounds", "6"])];

/// Runs the task.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let binaries = Binaries::build()?;
    match args.split_first() {
        None => PARTS.iter().try_for_each(|(part, _)| run_command(&mut python(&binaries, part)?)),
        Some((part, rest)) if PARTS.iter().any(|(known, _)| known == part) => {
            run_command(python(&binaries, part)?.args(rest))
        }
        Some((other, _)) => {
            bail!("{other} is no part: {}", PARTS.iter().map(|(part, _)| *part).collect::<Vec<_>>().join(", "))
        }
    }
}

/// A short form as a step of `cargo xtask test`.
pub(crate) fn step(tally: &mut Tally) -> Result<()> {
    let binaries = Binaries::build()?;
    // Each waits for its own disk and servers most of the time.
    let begin = |(part, short): &(&'static str, &[&str])| Beside::begin(part, python(&binaries, part)?.args(*short));
    let parts: Vec<Beside> = PARTS.iter().map(begin).collect::<Result<_>>()?;
    let ends: Vec<Result<()>> = parts.into_iter().map(Beside::end).collect();
    ends.into_iter().try_for_each(|end| tally.check(end))
}

struct Binaries {
    shipped: PathBuf,
    crashing: PathBuf,
}

impl Binaries {
    fn build() -> Result<Self> {
        ensure!(
            rustix::process::geteuid().is_root(),
            "a network of its own, and a server with its sandboxes, need root"
        );
        let crashing = proving::build()?;
        run_command(&mut cargo(e2e::BUILD))?;
        let shipped = server::binary("release")?;
        ensure!(
            proving::knows(&crashing, SETTING)?,
            "{} cannot be crashed: it would prove nothing",
            crashing.display()
        );
        ensure!(!proving::knows(&shipped, SETTING)?, "{} can be crashed: it must not be shipped", shipped.display());
        Ok(Self { shipped, crashing })
    }
}

fn python(binaries: &Binaries, part: &str) -> Result<Command> {
    let binary = if part == "points" { &binaries.crashing } else { &binaries.shipped };
    let mut python = Command::new(install::clients()?.join("python"));
    python.args(["-m", &format!("loss.{part}")]).current_dir(root().join("e2e"));
    python.env("HEARTH", binary).env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(python)
}
