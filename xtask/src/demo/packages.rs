//! The zips of the three examples.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::tools::install::{PIP_INSTALL, apt, python_venv};
use crate::tools::{cargo, copy_tree, output, root, run, target};

/// Bytes of a zip given inline.
const ZIP_BYTES: u64 = 50 << 20;
/// For the Rust example: needs nothing at all of the system it runs on.
const STATIC: &str = "-Ctarget-feature=+crt-static";
const TRIPLE: &str = "x86_64-unknown-linux-gnu";

/// The Python handler with the wheels that it imports.
pub(super) fn python(work: &Path) -> Result<PathBuf> {
    let example = root().join("examples/python-pandas");
    let requirements = example.join("requirements.txt");
    // An environment of its own: its pip sees nothing but what the example names.
    let bin = python_venv("pip", "pip>=24")?;
    let folder = work.join("python-pandas");
    let mut pip = Command::new(bin.join("python"));
    pip.args(PIP_INSTALL).args(["--only-binary", ":all:", "--no-compile", "--target"]).arg(&folder);
    run(pip.arg("-r").arg(requirements))?;
    strip(&folder)?;
    fs::copy(example.join("handler.py"), folder.join("handler.py"))?;
    zip(&folder)
}

/// Takes out of installed wheels what no function needs: their tests, typing stubs and programs.
fn strip(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            if matches!(name, "tests" | "__pycache__" | "bin") {
                fs::remove_dir_all(&path)?;
            } else {
                strip(&path)?;
            }
        } else if name.ends_with(".pyi") {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// The newest Node runtime that this machine's `node` can be: `nodejs20.x`.
pub(crate) fn node_runtime() -> Result<String> {
    apt(&[("node", "nodejs")])?;
    let version = output(Command::new("node").arg("--version"))?;
    let major = version.trim_start_matches('v').split('.').next().unwrap_or_default();
    match major {
        "18" | "20" | "22" | "24" => Ok(format!("nodejs{major}.x")),
        _ => bail!("the demo needs Node 18, 20, 22 or 24; `node --version` says {version:?}"),
    }
}

/// The Node module as it is.
pub(super) fn node(work: &Path) -> Result<PathBuf> {
    let folder = work.join("node-esm");
    copy_tree(&root().join("examples/node-esm"), &folder)?;
    zip(&folder)
}

/// The Rust binary in its zip.
pub(super) fn rust(work: &Path) -> Result<PathBuf> {
    let folder = work.join("rust-hello");
    fs::create_dir(&folder)?;
    let binary = rust_binary()?;
    fs::copy(&binary, folder.join("bootstrap")).with_context(|| format!("cannot copy {}", binary.display()))?;
    zip(&folder)
}

/// Builds the Rust function; where its binary is.
pub(crate) fn rust_binary() -> Result<PathBuf> {
    rust_example("rust-hello", "bootstrap")
}

/// Builds the Rust extension; where its binary is.
pub(crate) fn rust_extension() -> Result<PathBuf> {
    rust_example("rust-extension", "rust-extension")
}

/// Builds the Rust web application; where its binary is.
pub(crate) fn rust_web() -> Result<PathBuf> {
    rust_example("rust-web", "rust-web")
}

/// Builds a Rust example, linked statically; where this binary of it is.
fn rust_example(example: &str, binary: &str) -> Result<PathBuf> {
    let manifest = root().join("examples").join(example).join("Cargo.toml");
    let built = target().join("examples");
    let mut build = cargo(&["build", "--release", "--locked", "--quiet", "--target", TRIPLE]);
    build.arg("--manifest-path").arg(manifest).arg("--target-dir").arg(&built).env("RUSTFLAGS", STATIC);
    run(&mut build)?;
    Ok(built.join(TRIPLE).join("release").join(binary))
}

/// Zips what is in the folder, file modes included; the zip lies beside it.
fn zip(folder: &Path) -> Result<PathBuf> {
    let file = folder.with_extension("zip");
    run(Command::new("python3").args(["-m", "zipfile", "-c"]).arg(&file).arg(".").current_dir(folder))?;
    let bytes = fs::metadata(&file)?.len();
    ensure!(bytes <= ZIP_BYTES, "{} has {bytes} bytes; inline packages may have {ZIP_BYTES}", file.display());
    println!("   {} is {:.1} MB", file.file_name().unwrap_or_default().display(), bytes as f64 / 1e6);
    Ok(file)
}
