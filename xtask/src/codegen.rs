//! `cargo xtask codegen`: writes the API layer's tables and types from `models/`.
//!
//! * without arguments: writes `crates/api/src/generated/`
//! * `--check`: writes nothing; fails where the files differ from what would be written
//! * `--import SERVICE FILE`: makes `models/SERVICE.json` from a service model of the AWS SDKs (`service-2.json`,
//!   unpacked), with the operations that `models/services.json` names

mod emit;
mod import;
mod json;
mod model;
mod names;
mod operations;
mod schema;
mod services;
mod types;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use self::json::Json;

/// Runs the task.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let root = root()?;
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => write(&root),
        ["--check"] => check(&root),
        ["--import", service, file] => {
            let models = root.join("models");
            let entry = services::entry_of(&models, service)?;
            let facts = import::strip(&read(Path::new(file))?, entry.operations.as_deref())?;
            let path = entry.facts(&models);
            fs::write(&path, facts.pretty()).with_context(|| path.display().to_string())
        }
        _ => bail!("usage: cargo xtask codegen [--check | --import SERVICE service-2.json]"),
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

/// Path below the generated folder, and text, of each generated file.
fn generate(root: &Path) -> Result<Vec<(String, String)>> {
    let models = root.join("models");
    let entries = services::entries(&models)?;
    let mut files = vec![("mod.rs".to_owned(), emit::services(&entries))];
    for entry in &entries {
        let model = entry.model(&models)?;
        for (name, text) in [
            ("mod.rs", emit::module(entry, types::has_enums(&model)?)),
            ("operations.rs", operations::operations(entry, &model)?),
            ("errors.rs", operations::errors(&model)?),
            ("schema.rs", schema::schema(&model)?),
            ("enums.rs", types::enums(&model)?),
            ("inputs.rs", types::inputs(&model)?),
            ("outputs.rs", types::outputs(&model)?),
            ("structures.rs", types::structures(&model)?),
        ] {
            files.push((format!("{}/{name}", entry.module()), text));
        }
    }
    Ok(files)
}

fn folder(root: &Path) -> PathBuf {
    root.join("crates/api/src/generated")
}

fn write(root: &Path) -> Result<()> {
    let folder = folder(root);
    for (name, text) in generate(root)? {
        let path = folder.join(&name);
        fs::create_dir_all(path.parent().context("a file is in a folder")?)?;
        fs::write(path, text).with_context(|| name)?;
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
    for path in files_below(&folder)? {
        if !files.iter().any(|(name, _)| folder.join(name) == path) {
            bail!("{} is not generated: delete it", path.display());
        }
    }
    Ok(())
}

/// The files in a folder and in its folders.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files_below(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}
