//! Installs, by name and only where missing, what the demo and the tests need.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};

use super::{have, output, root, run, tools};

/// The interpreters that tests of runtimes run, beside Python and Node.js: program, package.
pub(crate) const INTERPRETERS: &[(&str, &str)] = &[("ruby", "ruby"), ("javac", "default-jdk-headless")];

/// What the examples in compiled languages are built with.
pub(crate) const COMPILERS: &[(&str, &str)] =
    &[("go", "golang-go"), ("gcc", "gcc"), ("nim", "nim"), ("crystal", "crystal")];

/// What pages are looked at with.
pub(crate) const BROWSERS: &[(&str, &str)] = &[("chromium", "chromium")];

/// What queues are read from.
pub(crate) const BROKERS: &[(&str, &str)] =
    &[("/usr/sbin/rabbitmq-server", "rabbitmq-server"), ("/usr/bin/activemq", "activemq")];

/// What gives a server another wall clock.
pub(crate) const CLOCKS: &[(&str, &str)] = &[("faketime", "faketime")];

/// Installs Debian packages whose program is not there: (program, package).
pub(crate) fn apt(wanted: &[(&str, &str)]) -> Result<()> {
    let missing: Vec<&str> = wanted.iter().filter(|(program, _)| !have(program)).map(|(_, package)| *package).collect();
    if missing.is_empty() { Ok(()) } else { apt_install(&missing) }
}

/// Installs Debian packages; the package lists are fetched only if the first attempt fails.
fn apt_install(packages: &[&str]) -> Result<()> {
    if !have("apt-get") {
        bail!("missing: {}; install it with this system's package manager", packages.join(", "));
    }
    let install = || {
        let mut command = Command::new("apt-get");
        command.args(["install", "-y", "-q", "--no-install-recommends"]).args(packages);
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    if output(&mut install()).is_ok() {
        return Ok(());
    }
    run(Command::new("apt-get").args(["update", "-q"]))?;
    run(&mut install())
}

/// The Python that functions of the demo run on and that clients are installed for: version as `(3, 11)`.
pub(crate) fn python_version() -> Result<(u32, u32)> {
    apt(&[("python3", "python3")])?;
    let script = "import sys; print(sys.version_info[0], sys.version_info[1])";
    let text = output(Command::new("python3").args(["-c", script]))?;
    let mut numbers = text.split_whitespace().map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Ok((major, minor)),
        _ => bail!("python3 says that its version is {text:?}"),
    }
}

/// The `bin` folder of a Python environment that holds what `wanted` names, one requirement a line.
pub(crate) fn python_venv(name: &str, wanted: &str) -> Result<PathBuf> {
    let (major, minor) = python_version()?;
    let venv = tools().join(format!("{name}-{major}.{minor}"));
    let stamp = venv.join("installed.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(venv.join("bin"));
    }
    make_venv(&venv)?;
    run(Command::new(venv.join("bin/python")).args(PIP_INSTALL).args(wanted.lines()))?;
    fs::write(&stamp, wanted)?;
    Ok(venv.join("bin"))
}

/// Words of a quiet `pip install`.
pub(crate) const PIP_INSTALL: [&str; 5] = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];

fn make_venv(venv: &Path) -> Result<()> {
    let make = || {
        let mut command = Command::new("python3");
        command.args(["-m", "venv", "--clear"]).arg(venv);
        command
    };
    fs::create_dir_all(tools())?;
    if output(&mut make()).is_ok() {
        return Ok(());
    }
    // Debian keeps the module that makes environments in a package of its own.
    apt_install(&["python3-venv"])?;
    run(&mut make())
}

/// The environment of the end-to-end tests and the demo: AWS CLI, boto3, pytest.
pub(crate) fn clients() -> Result<PathBuf> {
    let file = root().join("e2e/requirements.txt");
    let wanted = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    python_venv("clients", &wanted)
}

/// Major versions of Node.js that are runtimes; what the machine's own is of comes first on the PATH.
const NODE_MAJORS: [u32; 5] = [16, 18, 20, 22, 24];

/// The PATH with a Node.js of each version behind what is on it already, as packages of npm have them.
pub(crate) fn path_with_nodes() -> Result<OsString> {
    apt(&[("node", "nodejs"), ("npm", "npm")])?;
    let mut path: Vec<PathBuf> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    for major in NODE_MAJORS {
        let folder = tools().join(format!("node-{major}"));
        let bin = folder.join("node_modules/node/bin");
        if !bin.join("node").is_file() {
            fs::create_dir_all(&folder)?;
            fs::write(folder.join("package.json"), "{}")?;
            let words = ["install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"];
            run(Command::new("npm").args(words).arg(format!("node@{major}")).current_dir(&folder))?;
        }
        path.push(bin);
    }
    Ok(env::join_paths(path)?)
}

/// The `node_modules` folder that holds what e2e/js/package.json names.
pub(crate) fn node_modules() -> Result<PathBuf> {
    apt(&[("node", "nodejs"), ("npm", "npm")])?;
    let package = root().join("e2e/js/package.json");
    let wanted = fs::read_to_string(&package).with_context(|| format!("cannot read {}", package.display()))?;
    let folder = tools().join("node");
    let stamp = folder.join("installed.json");
    if !fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("package.json"), &wanted)?;
        let words = ["install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"];
        run(Command::new("npm").args(words).current_dir(&folder))?;
        fs::write(&stamp, wanted)?;
    }
    Ok(folder.join("node_modules"))
}
