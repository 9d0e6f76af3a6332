//! A step that runs beside another one, as a process of its own.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::tally::Tally;
use crate::tools::target;

/// The step, under way.
#[derive(Debug)]
pub(super) struct Beside {
    pub(super) step: &'static str,
    child: Child,
    said: PathBuf,
}

impl Beside {
    /// Starts it; what it says is kept back.
    pub(super) fn begin(step: &'static str) -> Result<Self> {
        let said = target().join("beside.log");
        let output = File::create(&said).with_context(|| format!("cannot make {}", said.display()))?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["test", step]).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().with_context(|| format!("cannot start {step}"))?;
        Ok(Self { step, child, said })
    }

    /// Waits for its end, shows what it said, and counts it as one test.
    pub(super) fn end(mut self, tally: &mut Tally) -> Result<()> {
        let status = self.child.wait()?;
        println!("{}", String::from_utf8_lossy(&fs::read(&self.said)?));
        ensure!(status.success(), "{} failed", self.step);
        tally.count(true);
        Ok(())
    }
}
