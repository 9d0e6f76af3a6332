//! A command that runs beside others.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::tools::target;

/// The command, under way.
#[derive(Debug)]
pub(crate) struct Beside {
    pub(crate) name: &'static str,
    child: Child,
    said: PathBuf,
}

impl Beside {
    /// Starts it; what it says is kept back. No two of one name run at a time.
    pub(crate) fn begin(name: &'static str, command: &mut Command) -> Result<Self> {
        let said = target().join(format!("beside-{}.log", name.replace(' ', "-")));
        let output = File::create(&said).with_context(|| format!("cannot make {}", said.display()))?;
        let child = command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).spawn();
        Ok(Self { name, child: child.with_context(|| format!("cannot start {name}"))?, said })
    }

    /// Waits for its end and shows what it said; whether it succeeded.
    pub(crate) fn end(mut self) -> Result<()> {
        let status = self.child.wait()?;
        println!("{}", String::from_utf8_lossy(&fs::read(&self.said)?));
        ensure!(status.success(), "{} failed", self.name);
        Ok(())
    }
}
