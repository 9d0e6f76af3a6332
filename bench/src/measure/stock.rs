//! A server with runtimes that wait from the start on.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::args::RunArgs;
use crate::functions::Package;
use crate::measure::AMPLE;
use crate::process;
use crate::report::Report;
use crate::server::Server;

/// Above what a machine of two cores takes for a thousand.
const FILLED_WITHIN: Duration = Duration::from_secs(600);
const LOOK_EACH: Duration = Duration::from_millis(100);

/// So many of one kind.
pub(super) struct Stock {
    name: &'static str,
    /// For the command line.
    words: String,
    count: usize,
}

impl Stock {
    /// For functions of this package with so much memory.
    pub(super) fn of(package: &Package, memory_mb: u32, count: usize) -> Self {
        Self { name: package.name, words: format!("{}:{memory_mb}={count}", package.runtime), count }
    }

    /// Starts a server with it, and lets `measure` use that once all of it waits.
    pub(super) fn with(
        &self,
        args: &RunArgs,
        report: &mut Report,
        measure: impl FnOnce(&mut Report, &Server) -> Result<()>,
    ) -> Result<()> {
        let options = [&AMPLE[..], &["--ahead", "0", "--stock", &self.words]].concat();
        let available = process::available_kb();
        Server::with(args, &options, |server| {
            self.fill(report, server, available)?;
            measure(report, server)
        })
    }

    fn fill(&self, report: &mut Report, server: &Server, available_kb: u64) -> Result<()> {
        let (begin, busy) = (Instant::now(), process::machine_cpu()?);
        while waiting(server)? < self.count as u64 {
            let (waits, wanted) = (waiting(server)?, number(server, "wanted")?);
            ensure!(
                begin.elapsed() < FILLED_WITHIN,
                "{waits} of {} wait, and {wanted} are to: is there memory for them, and ulimit -n?",
                self.words
            );
            thread::sleep(LOOK_EACH);
        }
        let each = |all: f64| all / self.count as f64;
        let figures = [
            ("waiting", waiting(server)? as f64),
            ("filled_after_s", begin.elapsed().as_secs_f64()),
            ("machine_cpu_ms", each((process::machine_cpu()?.saturating_sub(busy)).as_secs_f64() * 1e3)),
            ("memory_kb", each(available_kb as f64 - process::available_kb() as f64)),
        ];
        report.add(format!("scale/stock/{}/filled", self.name), &figures);
        Ok(())
    }

    /// What is left of it.
    pub(super) fn state(&self, report: &mut Report, server: &Server, when: &str) -> Result<()> {
        let figures = [("waiting", waiting(server)? as f64), ("taken", number(server, "taken")? as f64)];
        report.add(format!("scale/stock/{}/{when}", self.name), &figures);
        Ok(())
    }
}

fn waiting(server: &Server) -> Result<u64> {
    number(server, "waiting")
}

fn number(server: &Server, name: &str) -> Result<u64> {
    let (_, health) = server.connect()?.call("GET", "/_hearth/health", b"")?;
    health["startedAhead"][name].as_u64().with_context(|| format!("health without startedAhead.{name}: {health}"))
}
