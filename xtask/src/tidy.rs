//! `cargo xtask tidy`: the rules of the code base that a machine can check.

mod features;
mod layers;
mod points;
mod specification;
mod text;

use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::tools::{cargo, output, root};

/// Runs the task.
pub(crate) fn run(_args: &[String]) -> Result<()> {
    let metadata = output(&mut cargo(&["metadata", "--no-deps", "--offline", "--format-version", "1"]))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let packages = metadata["packages"].as_array().context("cargo metadata names no packages")?;
    let mut broken = layers::check(packages)?;
    broken.extend(features::check(packages)?);
    let files = files()?;
    broken.extend(specification::check(&files)?);
    broken.extend(points::check(&files)?);
    for path in files {
        // A file listed but deleted, or not text, breaks no rule of text.
        let Ok(content) = std::fs::read_to_string(root().join(&path)) else { continue };
        broken.extend(text::check(&path, &content).into_iter().map(|what| format!("{path}: {what}")));
    }
    if broken.is_empty() {
        println!("tidy");
        return Ok(());
    }
    bail!("{} rules broken:\n  {}", broken.len(), broken.join("\n  "));
}

/// All files of the project: tracked ones, and new ones that nothing ignores.
fn files() -> Result<Vec<String>> {
    let args = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"];
    let names = output(Command::new("git").args(args).current_dir(root()))?;
    let mut files: Vec<String> = names.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    files.sort();
    files.dedup();
    Ok(files)
}
