//! `cargo xtask conformance`: plays the recorded answers of the real service against the running binary.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::e2e::settle;
use crate::test::tally::Tally;
use crate::tools::server::{self, Server};
use crate::tools::upstream::Upstream;
use crate::tools::{cargo, follow, install, root, run as run_command};

/// The account that the recordings show.
const ACCOUNT: &[&str] = &["--account", "111111111111"];
/// Events that failed are tried again after a second instead of a minute.
const RETRYING: &[&str] = &["--retry-base", "1000"];
/// The bootstrap of a language is one for all its versions: what this machine has stands in for what it lacks.
const RUNTIMES: &[&str] = &[
    "--runtime=ruby3.2=/usr/bin/ruby",
    "--runtime=ruby3.3=/usr/bin/ruby",
    "--runtime=ruby3.4=/usr/bin/ruby",
    "--runtime=java8.al2=/usr/bin/java",
];
/// For scenarios that look at an update while it is under way: longer than one request takes.
const SETTLING: &[&str] = &["--settle-after", "500"];
/// Ours; everything else goes to conformance/run.py.
const DEBUG: &str = "--debug";

/// Runs the task: `--only GROUP`, `--show SCENARIO`, `--whole`, `--json FILE`; `--debug` takes a debug build.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let mut tally = Tally::default();
    let profile = if args.iter().any(|arg| arg == DEBUG) { "debug" } else { "release" };
    let args: Vec<String> = args.iter().filter(|arg| *arg != DEBUG).cloned().collect();
    play(&mut tally, profile, &args)?;
    if tally.failed > 0 { bail!("{} not as expected", tally.failed) } else { Ok(()) }
}

/// The scenarios as a step of `cargo xtask test`.
pub(crate) fn step(tally: &mut Tally) -> Result<()> {
    play(tally, "release", &[])
}

fn play(tally: &mut Tally, profile: &str, args: &[String]) -> Result<()> {
    let binary = build(profile)?;
    let python = install::clients()?.join("python");
    let python = |words: &[&str]| {
        let mut command = Command::new(&python);
        command.args(words).current_dir(root()).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    };
    // The comparison first: what it says counts only if it can tell a difference.
    let harness = ["-m", "unittest", "discover", "-q", "-s", "conformance/harness", "-t", "conformance"];
    run_command(&mut python(&harness))?;
    install::apt(install::INTERPRETERS)?;
    let upstream = Upstream::start(ACCOUNT[1])?;
    let upstreams = ["dynamodb", "kinesis"].map(|service| format!("--upstream={service}={}", upstream.url()));
    let upstreams: Vec<&str> = upstreams.iter().map(String::as_str).collect();
    let serving = [ACCOUNT, RETRYING, RUNTIMES, &upstreams].concat();
    let server = Server::start_with(&binary, &serving, &install::path_with_nodes()?)?;
    let settling = Server::start(&binary, &[ACCOUNT, RETRYING, SETTLING].concat())?;
    let mut scenarios = python(&["conformance/run.py", "--url", server.url(), "--settling-url", settling.url()]);
    scenarios.args(args);
    let before = *tally;
    let passed = follow(&mut scenarios, |line| tally.read_pytest(line))?;
    settle(passed, before, tally, "conformance/run.py")?;
    settling.stop()?;
    server.stop()
}

fn build(profile: &str) -> Result<PathBuf> {
    let mut build = cargo(&["build", "--locked", "--package", "hearth-server"]);
    if profile == "release" {
        build.arg("--release");
    }
    run_command(&mut build)?;
    server::binary(profile)
}
