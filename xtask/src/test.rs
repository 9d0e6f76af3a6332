//! `cargo xtask test`: installs what the tests need and runs them all, from the cheapest to the dearest.

pub(crate) mod beside;
pub(crate) mod tally;

use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::tools::{cargo, follow, have, install};
use crate::{conformance, e2e, guest, hostile, loss, soak, tidy};
use beside::Beside;
use tally::Tally;

/// What one step is called, and what it does: it adds its tests to the tally.
type Step = (&'static str, fn(&mut Tally) -> Result<()>);

/// Runs only when it is named: under software emulation it takes longer than all the others together.
const ONLY_NAMED: &str = "cgroup v2 guest";

/// Emulates one processor for minutes: it runs beside [`WAITS`].
const EMULATES: &str = "an ordinary user on cgroup v2";

/// Starts and ends servers for minutes, and waits for the disk in between.
const WAITS: &str = "loss";

/// The variable that chooses the inputs of property tests.
pub(crate) const RANDOM_INPUTS: &str = "PROPTEST_RNG_SEED";

/// The same inputs for each run, so that it judges a change and not luck; `cargo xtask explore` looks for others.
const SAME_INPUTS: &str = "1";

const STEPS: &[Step] = &[
    ("format", |tally| command(tally, &["fmt", "--all", "--check"])),
    ("generated code", |tally| tally.check(crate::codegen::run(&["--check".to_owned()]))),
    ("bootstrap for Java", |tally| tally.check(crate::java::run(&["--check".to_owned()]))),
    ("tidy", |tally| tally.check(tidy::run(&[]))),
    ("licences and bans", deny),
    ("clippy", |tally| command(tally, &["clippy", "--workspace", "--all-targets", "--locked", "--", "-Dwarnings"])),
    ("documentation", documentation),
    ("unit and integration tests", rust_tests),
    ("end-to-end tests", e2e::step),
    ("conformance", conformance::step),
    ("hostile functions", hostile::step),
    ("soak", soak::step),
    (WAITS, loss::step),
    (EMULATES, |tally| tally.check(guest::run(&["--part", "ordinary"].map(String::from)))),
    (ONLY_NAMED, |tally| tally.check(guest::run(&[]))),
];

/// Runs the task.
pub(crate) fn run(args: &[String]) -> Result<()> {
    if let [word] = args
        && word == "--list"
    {
        STEPS.iter().for_each(|(name, _)| println!("{name}"));
        return Ok(());
    }
    let chosen: Vec<&Step> = STEPS
        .iter()
        .filter(|(name, _)| args.iter().any(|a| a == name) || args.is_empty() && *name != ONLY_NAMED)
        .collect();
    if chosen.is_empty() {
        bail!("no such step; `cargo xtask test --list` names them");
    }
    let mut tally = Tally::default();
    let mut lines = Vec::new();
    let ahead = args.is_empty().then(build_ahead).transpose()?;
    let mut beside = None;
    for (name, step) in chosen {
        println!("\n=== {name}");
        let start = Instant::now();
        let before = tally;
        if args.is_empty() && *name == WAITS {
            beside = Some(Beside::begin(EMULATES, Command::new(std::env::current_exe()?).args(["test", EMULATES]))?);
        }
        let done = match beside.take_if(|beside| beside.name == *name) {
            Some(beside) => tally.check(beside.end()),
            None => step(&mut tally),
        };
        // A step that could not run at all is one failure; what follows still tells something.
        if let Err(error) = done {
            eprintln!("xtask: {error:#}");
            tally.failed += 1;
        }
        lines.push(tally.line_since(before, name, start.elapsed()));
    }
    if let Some(mut build) = ahead {
        // Its outcome was seen by the steps that build the same and wait for it.
        build.wait()?;
    }
    println!("\n{}\n{tally}", lines.join("\n"));
    if tally.failed > 0 { bail!("{} failed", tally.failed) } else { Ok(()) }
}

/// Begins the build of what users run, which takes minutes of which the first steps leave much of the machine free.
fn build_ahead() -> Result<Child> {
    let mut build = cargo(e2e::BUILD);
    build.arg("--quiet").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    build.spawn().context("cannot start cargo")
}

/// One cargo command that either passes or fails.
fn command(tally: &mut Tally, args: &[&str]) -> Result<()> {
    let passed = follow(&mut cargo(args), |_| ())?;
    tally.count(passed);
    Ok(())
}

fn deny(tally: &mut Tally) -> Result<()> {
    if have("cargo-deny") {
        let what = ["bans", "licenses", "sources"];
        return command(
            tally,
            &[&["deny", "--log-level", "error", "check", "--hide-inclusion-graph"], &what[..]].concat(),
        );
    }
    println!("cargo-deny is not installed (`cargo install --locked cargo-deny`): left out");
    Ok(())
}

fn documentation(tally: &mut Tally) -> Result<()> {
    let mut doc = cargo(&["doc", "--workspace", "--no-deps", "--locked", "--document-private-items", "--quiet"]);
    let passed = follow(doc.env("RUSTDOCFLAGS", "-Dwarnings"), |_| ())?;
    tally.count(passed);
    Ok(())
}

/// All tests of the workspace; those of the sandbox want root and say so where they do not have it.
fn rust_tests(tally: &mut Tally) -> Result<()> {
    install::apt(install::INTERPRETERS)?;
    let before = *tally;
    // Not those in documentation: there are none (`cargo xtask tidy`), and to look for them takes a minute.
    let mut tests = cargo(&["test", "--workspace", "--lib", "--bins", "--tests", "--locked", "--no-fail-fast"]);
    tests.env("PATH", install::path_with_nodes()?);
    if std::env::var_os(RANDOM_INPUTS).is_none() {
        tests.env(RANDOM_INPUTS, SAME_INPUTS);
    }
    let passed = follow(&mut tests, |line| tally.read_rust(line))?;
    // Without one failed test in its output, the runner itself or a build failed.
    if !passed && tally.failed == before.failed {
        bail!("the tests could not be run");
    }
    Ok(())
}
