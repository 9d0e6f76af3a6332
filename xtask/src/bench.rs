//! `cargo xtask bench`: builds release, prepares what is measured, and runs the benchmarks of `bench/`.
//!
//! `cargo xtask bench [--quick] [--only warm,throughput,cold,idle,scale,stock,density,deploy,control,events] [--awake requests]
//! [--json FILE]`, or `cargo xtask bench compare BEFORE.json AFTER.json`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::demo::packages;
use crate::tools::install::{self, PIP_INSTALL};
use crate::tools::{TempDir, cargo, output, root, run as run_command, server, target};

/// The official client that functions in Python have on Lambda.
const CLIENT: &str = "awslambdaric==4.2.2";

/// Runs the task.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let bench = target().join("release/hearth-bench");
    if args.first().is_some_and(|first| first == "compare") {
        run_command(&mut cargo(&["build", "--release", "--quiet", "--package", "hearth-bench"]))?;
        return run_command(Command::new(bench).args(args));
    }
    ensure!(
        rustix::process::geteuid().is_root(),
        "the benchmarks start servers with their sandboxes: run them as root"
    );
    run_command(&mut cargo(&["build", "--release", "--package", "hearth-server", "--package", "hearth-bench"]))?;
    let work = TempDir::new("bench")?;
    let (major, minor) = install::python_version()?;
    let client = work.path().join("awslambdaric");
    let pip = install::python_venv("pip", "pip>=24")?.join("python");
    let mut install = Command::new(pip);
    install.args(PIP_INSTALL).args(["--only-binary", ":all:", "--no-compile", "--target"]).arg(&client).arg(CLIENT);
    run_command(&mut install)?;
    let mut command = Command::new(bench);
    command.arg("run");
    command.arg("--hearth").arg(server::binary("release")?);
    command.arg("--rust").arg(packages::rust_binary()?);
    command.arg("--awslambdaric").arg(&client);
    command.arg("--python").arg(python()?).args(["--python-runtime", &format!("python{major}.{minor}")]);
    command.arg("--node").arg(node()?).args(["--node-runtime", &packages::node_runtime()?]);
    command.args(["--commit", &commit()]).args(args);
    if !args.iter().any(|arg| arg == "--json" || arg.starts_with("--json=")) {
        command.arg("--json").arg(target().join("bench.json"));
    }
    run_command(&mut command)
}

/// The interpreter itself: what lies on the PATH may be a script that looks for it.
fn python() -> Result<PathBuf> {
    let path = output(Command::new("python3").args(["-c", "import sys; print(sys.executable)"]))?;
    std::fs::canonicalize(path.trim()).with_context(|| format!("python3 says that it is {path:?}"))
}

/// As [`python`].
fn node() -> Result<PathBuf> {
    let path = output(Command::new("node").args(["-p", "process.execPath"]))?;
    if path.trim().is_empty() {
        bail!("node does not say where it is");
    }
    Ok(PathBuf::from(path.trim()))
}

/// What is measured; a checkout without git has no name for it.
fn commit() -> String {
    let describe = Command::new("git").args(["describe", "--always", "--dirty"]).current_dir(root()).output();
    describe.map(|done| String::from_utf8_lossy(&done.stdout).trim().to_owned()).unwrap_or_default()
}
