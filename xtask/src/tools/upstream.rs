//! An independent emulator of services that Hearth does not have; it ends when this value goes.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::{drain, install, root};

/// The running emulator.
#[derive(Debug)]
pub(crate) struct Upstream {
    child: Child,
    url: String,
}

impl Upstream {
    /// Starts it for an account.
    pub(crate) fn start(account: &str) -> Result<Self> {
        let mut child = Command::new(install::clients()?.join("python"))
            .args(["e2e/support/moto.py", account])
            .current_dir(root())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // A line for each request.
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start the emulator")?;
        let stdout = child.stdout.take().context("the emulator has no standard output")?;
        let mut upstream = Self { child, url: String::new() };
        let mut stdout = BufReader::new(stdout);
        stdout.read_line(&mut upstream.url)?;
        upstream.url.truncate(upstream.url.trim_end().len());
        ensure!(upstream.url.starts_with("http://"), "the emulator did not say where it is");
        drain(stdout);
        Ok(upstream)
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        // It holds nothing: there is nothing to end in order.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
