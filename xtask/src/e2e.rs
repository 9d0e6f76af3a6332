//! `cargo xtask e2e`: the end-to-end tests, with the clients that users have: AWS CLI, boto3, the SDKs for JavaScript and Rust.

use std::process::Command;

use anyhow::{Result, bail};

use crate::demo::packages::{rust_binary, rust_extension, rust_web};
use crate::test::tally::Tally;
use crate::tools::server::{self, Server};
use crate::tools::{aws, cargo, follow, install, proving, root, run as run_command, target};

/// Builds the server as it ships.
pub(crate) const BUILD: &[&str] = &["build", "--release", "--locked", "--package", "hearth-server"];

/// Where Debian's package puts it.
const AWS_CLI_2: &str = "/usr/bin/aws";

/// Runs the task; arguments go to pytest (`-k logs`, `-x`).
pub(crate) fn run(args: &[String]) -> Result<()> {
    let mut tally = Tally::default();
    build()?;
    python(&mut tally, args)?;
    if args.is_empty() {
        node(&mut tally)?;
        rust(&mut tally)?;
    }
    println!("{tally}");
    if tally.failed > 0 { bail!("{} failed", tally.failed) } else { Ok(()) }
}

/// The end-to-end tests as a step of `cargo xtask test`.
pub(crate) fn step(tally: &mut Tally) -> Result<()> {
    build()?;
    python(tally, &[])?;
    node(tally)?;
    rust(tally)
}

/// What users run is what is tested.
fn build() -> Result<()> {
    run_command(&mut cargo(BUILD))
}

/// As many as keep two processors busy: the tests wait for what they asked of the server, for its disk and its timers.
const AT_A_TIME: &str = "4";

/// The tests in e2e/tests, several at a time, each worker with a server of its own.
fn python(tally: &mut Tally, args: &[String]) -> Result<()> {
    let bin = install::clients()?;
    // The second version of the AWS CLI, which alone follows logs, beside the first one in `bin`.
    install::apt(&[(AWS_CLI_2, "awscli")])?;
    install::apt(install::INTERPRETERS)?;
    install::apt(install::COMPILERS)?;
    install::apt(install::BROWSERS)?;
    install::apt(install::BROKERS)?;
    install::apt(install::CLOCKS)?;
    let mut pytest = Command::new(bin.join("python"));
    pytest
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", AT_A_TIME, "--dist", "worksteal", "tests"])
        .args(args);
    pytest
        .current_dir(root().join("e2e"))
        .env("HEARTH", server::binary("release")?)
        .env("AWS", bin.join("aws"))
        .env("AWS_V2", AWS_CLI_2);
    pytest.env("PYTHONDONTWRITEBYTECODE", "1").env("BOOTSTRAP", rust_binary()?);
    pytest.env("EXTENSION", rust_extension()?).env("RUST_WEB", rust_web()?);
    pytest.env("HEARTH_NODE_MODULES", install::node_modules()?);
    let with_brokers = proving::build()?;
    pytest.env("HEARTH_KAFKA", &with_brokers).env("HEARTH_MQ", &with_brokers);
    let before = *tally;
    let passed = follow(&mut pytest, |line| tally.read_pytest(line))?;
    settle(passed, before, tally, "pytest")
}

/// The tests of the JavaScript SDK, against a server of their own.
fn node(tally: &mut Tally) -> Result<()> {
    let modules = install::node_modules()?;
    let server = Server::start(&server::binary("release")?, &[])?;
    let mut node = Command::new("node");
    node.args(["--test", "--test-reporter=tap", "js/sdk.test.mjs", "js/neighbours.test.mjs", "js/sqs.test.mjs"])
        .current_dir(root().join("e2e"));
    node.env("HEARTH_NODE_MODULES", modules).envs(aws::environment(server.url()));
    let before = *tally;
    let passed = follow(&mut node, |line| tally.read_node(line))?;
    settle(passed, before, tally, "node --test")?;
    server.stop()
}

/// The tests of the Rust SDK, against a server of their own.
fn rust(tally: &mut Tally) -> Result<()> {
    let bootstrap = rust_binary()?;
    let server = Server::start(&server::binary("release")?, &[])?;
    let mut tests = cargo(&["test", "--locked", "--quiet"]);
    tests.arg("--manifest-path").arg(root().join("e2e/rust/Cargo.toml")).arg("--target-dir").arg(target().join("e2e"));
    tests.env("BOOTSTRAP", bootstrap).envs(aws::environment(server.url()));
    let before = *tally;
    let passed = follow(&mut tests, |line| tally.read_rust(line))?;
    settle(passed, before, tally, "the Rust SDK's tests")?;
    server.stop()
}

/// A runner that failed without a failed test could not run.
pub(crate) fn settle(passed: bool, before: Tally, tally: &Tally, runner: &str) -> Result<()> {
    if !passed && tally.failed == before.failed {
        bail!("{runner} could not be run");
    }
    if tally.passed + tally.failed == before.passed + before.failed {
        bail!("{runner} ran no test");
    }
    Ok(())
}
