//! `cargo xtask codegen`: writes the API layer's tables and types from `models/`.
//!
//! * without arguments: writes `crates/api/src/generated/`
//! * `--check`: writes nothing; fails where the files differ from what would be written
//! * `--import FILE`: makes `models/lambda.json` from a service model of the AWS SDKs (`service-2.json`, unpacked)

mod emit;
mod import;
mod json;
mod model;
mod names;
mod operations;
mod schema;
mod types;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use self::json::Json;
use self::model::Model;

/// Runs the task.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let root = root()?;
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => write(&root),
        ["--check"] => check(&root),
        ["--import", file] => {
            let facts = import::strip(&read(Path::new(file))?);
            fs::write(root.join("models/lambda.json"), facts.pretty()).context("models/lambda.json")
        }
        _ => bail!("usage: cargo xtask codegen [--check | --import service-2.json]"),
    }
}

fn root() -> Result<PathBuf> {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(xtask.parent().context("the folder above xtask")?.to_owned())
}

fn read(path: &Path) -> Result<Json> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

/// Name and text of each generated file.
fn generate(root: &Path) -> Result<Vec<(&'static str, String)>> {
    let facts = read(&root.join("models/lambda.json"))?;
    let overrides = read(&root.join("models/overrides.json"))?;
    let model = Model::new(facts, &overrides)?;
    Ok(vec![
        ("mod.rs", emit::module()),
        ("operations.rs", operations::operations(&model)?),
        ("errors.rs", operations::errors(&model)?),
        ("schema.rs", schema::schema(&model)?),
        ("enums.rs", types::enums(&model)?),
        ("inputs.rs", types::inputs(&model)?),
        ("outputs.rs", types::outputs(&model)?),
        ("structures.rs", types::structures(&model)?),
    ])
}

fn folder(root: &Path) -> PathBuf {
    root.join("crates/api/src/generated")
}

fn write(root: &Path) -> Result<()> {
    let folder = folder(root);
    fs::create_dir_all(&folder)?;
    for (name, text) in generate(root)? {
        fs::write(folder.join(name), text).with_context(|| name.to_owned())?;
    }
    Ok(())
}

fn check(root: &Path) -> Result<()> {
    let folder = folder(root);
    let files = generate(root)?;
    for (name, text) in &files {
        let path = folder.join(name);
        if fs::read_to_string(&path).with_context(|| path.display().to_string())? != *text {
            bail!("{} is not what models/ gives: run `cargo xtask codegen`", path.display());
        }
    }
    for entry in fs::read_dir(&folder)? {
        let name = entry?.file_name();
        if !files.iter().any(|(n, _)| name == **n) {
            bail!("{} is not generated: delete it", folder.join(&name).display());
        }
    }
    Ok(())
}
