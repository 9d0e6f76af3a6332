//! `cargo xtask explore`: plays the property tests with inputs that nobody has seen; `--rounds N` says how often.
//!
//! `cargo xtask test` plays the same inputs each time: it judges a change, not luck. This looks for what they miss.

use std::fs;
use std::hash::{BuildHasher, RandomState};

use anyhow::{Context, Result, bail};

use crate::test::RANDOM_INPUTS;
use crate::tools::{cargo, follow, root};

/// Rounds, unless said otherwise: about ten minutes.
const ROUNDS: u32 = 5;

/// Runs the task.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let rounds = match args {
        [] => ROUNDS,
        [option, number] if option == "--rounds" => {
            number.parse().with_context(|| format!("--rounds: {number:?} is not a number"))?
        }
        _ => bail!("usage: cargo xtask explore [--rounds N]"),
    };
    let packages = packages()?;
    for round in 1..=rounds {
        let seed = RandomState::new().hash_one(round);
        println!("\n=== round {round} of {rounds}: {RANDOM_INPUTS}={seed}");
        let mut tests = cargo(&["test", "--locked", "--lib", "--tests", "--no-fail-fast", "--quiet"]);
        tests.args(packages.iter().flat_map(|package| ["-p", package]));
        if !follow(tests.env(RANDOM_INPUTS, seed.to_string()), |_| ())? {
            bail!("a test failed; {RANDOM_INPUTS}={seed} brings it back");
        }
    }
    Ok(())
}

/// Those with property tests.
fn packages() -> Result<Vec<String>> {
    let mut packages = Vec::new();
    for entry in fs::read_dir(root().join("crates"))? {
        let folder = entry?.path();
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
        if manifest.contains("proptest.workspace")
            && let Some(name) = folder.file_name()
        {
            packages.push(format!("hearth-{}", name.to_string_lossy()));
        }
    }
    packages.sort();
    Ok(packages)
}
