//! `cargo xtask java`: compiles the bootstrap for Java into the jar that the binary holds, byte for byte the same each time.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::tools::{TempDir, install, output, root};

/// What another version of the compiler makes differs.
const COMPILER: &str = "javac 17.";

/// Packs what is below the folder, in the order of names, uncompressed and without times.
const PACK: &str = r#"
import pathlib, sys, zipfile
folder, jar = pathlib.Path(sys.argv[1]), sys.argv[2]
files = sorted((str(path.relative_to(folder)), path.read_bytes()) for path in folder.rglob("*.class"))
with zipfile.ZipFile(jar, "w") as archive:
    for name, content in files:
        entry = zipfile.ZipInfo(name)
        entry.create_system, entry.external_attr = 3, 0o644 << 16
        archive.writestr(entry, content)
"#;

/// Runs the task; with `--check` it only compares, where the compiler is the one that made the jar.
pub(crate) fn run(args: &[String]) -> Result<()> {
    install::apt(&[("javac", "default-jdk-headless")])?;
    let check = args.iter().any(|arg| arg == "--check");
    let version = output(Command::new("javac").arg("--version"))?;
    if !version.starts_with(COMPILER) {
        if check {
            eprintln!("xtask: the jar of the Java bootstrap is not compared: {} made it, here is {version}", COMPILER);
            return Ok(());
        }
        bail!("the jar is made with {COMPILER}*, here is {version}");
    }
    let folder = TempDir::new("java")?;
    let (classes, jar) = (folder.path().join("classes"), folder.path().join("java.jar"));
    let runtimes = root().join("crates/runtimes");
    let mut sources = Vec::new();
    find(&runtimes.join("java"), &mut sources)?;
    sources.sort();
    let mut javac = Command::new("javac");
    // For the oldest Java that is a runtime.
    javac.args(["-proc:none", "-Xlint:all,-options,-serial", "-Werror", "-encoding", "UTF-8", "--release", "8"]);
    output(javac.args(["-g:source,lines", "-d"]).arg(&classes).args(sources))?;
    output(Command::new("python3").args(["-c", PACK]).arg(&classes).arg(&jar))?;
    let (made, kept) = (fs::read(&jar)?, runtimes.join("src/bootstrap/java.jar"));
    if fs::read(&kept).is_ok_and(|bytes| bytes == made) {
        return Ok(());
    }
    if check {
        bail!("{} is not what its sources are compiled to: run `cargo xtask java`", kept.display());
    }
    Ok(fs::write(kept, made)?)
}

fn find(folder: &std::path::Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}
