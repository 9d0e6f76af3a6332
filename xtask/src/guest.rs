//! `cargo xtask guest`: runs a command, or the project's own proof, on a machine with nothing but cgroup v2.
//!
//! The machine is a Debian 12 guest under QEMU's software emulation, so no KVM and no particular host is needed. Its
//! kernel and root image are made once, from Debian packages, in `target/guest/`; a run writes to a throw-away
//! overlay and leaves nothing behind.

mod boot;
mod image;
mod proof;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

const USAGE: &str = "usage: cargo xtask guest [--part NAME]... [--copy HOST:GUEST]... [--timeout SECONDS] [--keep] [-- COMMAND...]

Runs COMMAND as root in a Debian guest that has cgroup v2 only, and ends with its exit status.
Without COMMAND: the sandbox's tests and an end-to-end smoke test of the server, started by root and by an ordinary user.

  --part NAME         of the proof only this: sandbox, server or ordinary (repeatable)
  --copy HOST:GUEST   put a file or folder of this machine into the guest, at an absolute path (repeatable)
  --timeout SECONDS   of the whole run, boot included (default 900; of the proof 2400)
  --keep              keep the run's folder: the guest's console and the files copied";

/// What one run of the guest does.
#[derive(Debug, Default)]
struct Job {
    /// Run in this order of words; never through a shell.
    command: Vec<String>,
    /// Of the proof; none are all.
    parts: Vec<String>,
    /// (file or folder here, absolute path in the guest)
    copies: Vec<(PathBuf, PathBuf)>,
    timeout: Option<Duration>,
    keep: bool,
}

/// Runs the task.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let mut job = parse(args)?;
    let prove = job.command.is_empty();
    if prove {
        proof::prepare(&mut job)?;
    }
    let timeout = job.timeout.unwrap_or(Duration::from_secs(if prove { 2400 } else { 900 }));
    let images = image::prepare()?;
    let status = boot::run(&images, &job, timeout)?;
    if status == 0 {
        return Ok(());
    }
    if prove {
        bail!("the proof failed in the guest (status {status})");
    }
    // Everything of the run is gone by now; the caller sees the command's own status.
    std::process::exit(status)
}

fn parse(args: &[String]) -> Result<Job> {
    let mut job = Job::default();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match arg.as_str() {
            "--keep" => job.keep = true,
            "--part" => {
                let part = rest.next().context("--part needs a name")?;
                ensure!(proof::PARTS.contains(&part.as_str()), "{part:?} is none of {:?}", proof::PARTS);
                job.parts.push(part.clone());
            }
            "--copy" => {
                let pair = rest.next().context("--copy needs HOST:GUEST")?;
                let (host, guest) = pair.split_once(':').with_context(|| format!("{pair:?} is not HOST:GUEST"))?;
                ensure!(guest.starts_with('/'), "{guest:?} must be an absolute path in the guest");
                job.copies.push((host.into(), guest.into()));
            }
            "--timeout" => {
                let value = rest.next().context("--timeout needs a number of seconds")?;
                let seconds = value.parse().with_context(|| format!("{value:?} is not a number of seconds"))?;
                job.timeout = Some(Duration::from_secs(seconds));
            }
            "--" => job.command = rest.by_ref().cloned().collect(),
            "--help" | "-h" => {
                println!("{USAGE}");
                std::process::exit(0);
            }
            other => bail!("unknown argument {other:?}\n\n{USAGE}"),
        }
    }
    Ok(job)
}

/// The top of this repository.
fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().map(PathBuf::from).unwrap_or_default()
}

/// Where images live between runs.
fn cache() -> PathBuf {
    repository().join("target/guest")
}

/// Where programs are looked for: root's own folders, too, which not every login has on its path.
fn program_path() -> String {
    std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin"
}

/// Runs a command to its end; an error carries what it said.
fn check(command: &mut Command) -> Result<String> {
    command.env("PATH", program_path());
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} failed ({}):\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(String::from).collect()
    }

    #[test]
    fn options_end_at_the_command() {
        let job = parse(&words("--copy a/b:/c --timeout 5 -- sh --keep")).unwrap();
        assert_eq!(job.copies, [(PathBuf::from("a/b"), PathBuf::from("/c"))]);
        assert_eq!(job.timeout, Some(Duration::from_secs(5)));
        assert_eq!(job.command, ["sh", "--keep"]);
        assert!(!job.keep);
    }

    #[test]
    fn a_relative_guest_path_is_refused() {
        let error = parse(&words("--copy a:b")).unwrap_err();
        assert_eq!(error.to_string(), "\"b\" must be an absolute path in the guest");
    }
}
