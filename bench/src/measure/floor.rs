//! What starts and ends cost this machine without Hearth: of the function alone, and of the kernel's things around it.

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::args::RunArgs;
use crate::measure::bare;
use crate::process;
use crate::report::Report;

const STARTS: usize = 400;
/// For what the kernel's own threads still have to take down.
const REST: Duration = Duration::from_secs(1);

/// Namespaces as `unshare` of util-linux names them; with the first row the others' share is told from the program's.
const NAMESPACES: [(&str, &[&str]); 4] = [
    ("no-namespace", &[]),
    ("mount-namespace", &["--mount"]),
    ("network-namespace", &["--net"]),
    ("all-namespaces", &["--user", "--mount", "--net", "--ipc", "--uts", "--cgroup", "--pid", "--fork"]),
];

pub(super) fn measure(args: &RunArgs, report: &mut Report) -> Result<()> {
    row(report, "rust-outside-of-sandboxes", || bare::start(args, "rust").map(drop))?;
    NAMESPACES.into_iter().try_for_each(|(name, words)| row(report, name, || unshare(words)))
}

/// One start and end after the other: the machine's CPU time for each, kernel threads included.
fn row(report: &mut Report, name: &str, start: impl Fn() -> Result<()>) -> Result<()> {
    thread::sleep(REST);
    let (busy, begin) = (process::machine_cpu()?, Instant::now());
    (0..STARTS).try_for_each(|_| start())?;
    let elapsed = begin.elapsed().as_secs_f64();
    thread::sleep(REST);
    let machine = process::machine_cpu()?.saturating_sub(busy).as_secs_f64();
    let n = STARTS as f64;
    let figures = [("machine_cpu_ms", machine * 1e3 / n), ("wall_ms", elapsed * 1e3 / n)];
    report.add(format!("scale/floor/{name}"), &figures);
    Ok(())
}

fn unshare(words: &[&str]) -> Result<()> {
    let mut command = Command::new("unshare");
    command.args(words).args(["--", "true"]).stdin(Stdio::null()).stdout(Stdio::null());
    let status = command.status().context("cannot start unshare, of util-linux")?;
    ensure!(status.success(), "unshare {words:?}: {status}");
    Ok(())
}
