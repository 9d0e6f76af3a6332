//! What this machine offers a sandbox, only looked at: for a report to its user. The spawner finds out by doing.

use std::fs;

use crate::cgroup;
use crate::error::{Failure, SandboxError};
use crate::promise::Promise;
use crate::tmp::Place;
use crate::{Authority, network, rootless, volume};

/// One thing that environments need.
#[derive(Debug)]
pub struct Finding {
    /// What it is for.
    pub what: &'static str,
    /// What there is, or what is missing and how to get it. With anything missing no environment can be made: nothing
    /// is left out silently.
    pub outcome: Result<String, SandboxError>,
}

/// Looks at everything that the spawner needs.
#[must_use]
pub fn examine_machine() -> Vec<Finding> {
    let finding = |what, outcome: Result<String, Failure>| Finding { what, outcome: outcome.map_err(Into::into) };
    vec![
        finding(
            "root, or ids to be root of a user namespace with, to make environments (given up before serving)",
            root(),
        ),
        finding("control groups, for limits, freezing and killing", cgroup::describe()),
        finding("ext4 on loop devices, for the disk behind /tmp", disks()),
        finding("user namespaces, so that functions have no privileges anywhere", user_namespaces()),
        finding("system call filters", filters()),
    ]
}

/// Looks at what `--network nat` needs beside that.
#[must_use]
pub fn examine_network() -> Vec<Finding> {
    let finding = |what, outcome: Result<String, Failure>| Finding { what, outcome: outcome.map_err(Into::into) };
    vec![
        finding("links and packet rules of their own", network::links_and_rules()),
        finding("a way out", network::ways_out()),
        finding("nothing in the way", network::unhindered()),
    ]
}

/// A promise, and what keeps it here, or why nothing does.
#[derive(Debug)]
pub struct Kept {
    /// Which.
    pub promise: Promise,
    /// By what, or what is missing and how to get it.
    pub outcome: Result<String, SandboxError>,
}

/// Looks at what each promise needs.
#[must_use]
pub fn examine_promises() -> Vec<Kept> {
    let authority = if rustix::process::geteuid().is_root() { Authority::Root } else { Authority::UserNamespace };
    let disk = || Place::choose(authority).map(|_| "ext4 on a loop device for each environment".to_owned());
    let outcome = |promise| match promise {
        Promise::Confined => root().and_then(|root| Ok(format!("{root}; {}; {}", user_namespaces()?, filters()?))),
        Promise::Limited => cgroup::describe(),
        Promise::TmpOnDisk => disk(),
        Promise::OwnLayout => Ok("each is started afresh, but with --start-python snapshot".to_owned()),
        Promise::TmpThroughput => disk().and_then(|_| cgroup::describe_disks()),
    };
    Promise::ALL.map(|promise| Kept { promise, outcome: outcome(promise).map_err(Into::into) }).into()
}

fn root() -> Result<String, Failure> {
    if !rustix::process::geteuid().is_root() {
        return rootless::examine();
    }
    Ok("root".to_owned())
}

fn disks() -> Result<String, Failure> {
    if !rustix::process::geteuid().is_root() {
        return Ok("not without root: /tmp is in memory, and counts against the function's limit".to_owned());
    }
    volume::check_machine()?;
    Ok("mkfs.ext4 and /dev/loop-control are there".to_owned())
}

fn user_namespaces() -> Result<String, Failure> {
    let most = fs::read_to_string("/proc/sys/user/max_user_namespaces").unwrap_or_default();
    match most.trim().parse::<u64>() {
        Ok(most) if most > 0 => Ok(format!("up to {most} user namespaces")),
        Ok(_) => Err(Failure::new(libc::ENOSPC, "there may be none; sysctl user.max_user_namespaces=16384")),
        Err(_) => Err(Failure::new(libc::ENOSYS, "this kernel has none (CONFIG_USER_NS)")),
    }
}

fn filters() -> Result<String, Failure> {
    let actions = fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail").unwrap_or_default();
    if actions.split_ascii_whitespace().any(|action| action == "kill_process") {
        return Ok(format!("the kernel can {}", actions.trim()));
    }
    Err(Failure::new(libc::ENOSYS, "this kernel has none (CONFIG_SECCOMP_FILTER)"))
}
