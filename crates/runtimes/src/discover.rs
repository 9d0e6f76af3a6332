//! Finds the interpreters that the machine has, without running them.

use std::collections::HashSet;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use hearth_types::limits::INTERPRETERS_PER_RUNTIME;

use crate::java;
use crate::node_version::NodeVersions;
use crate::ruby;

/// Minor versions of Python 3 that are runtimes.
pub(crate) const PYTHON_MINORS: std::ops::RangeInclusive<u32> = 8..=14;
/// Major versions of Node.js that are runtimes.
pub(crate) const NODE_MAJORS: [u32; 5] = [16, 18, 20, 22, 24];

/// One interpreter of the machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Interpreter {
    /// The program, symbolic links resolved, no shim.
    pub(crate) executable: PathBuf,
    /// Where its library tree starts: the directory above `bin`.
    pub(crate) prefix: PathBuf,
    /// `3.12`, `20.20.2`: as exact as can be told without running it.
    pub(crate) version: String,
}

/// The places to look in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Places {
    path: Vec<PathBuf>,
    pyenv: Vec<PathBuf>,
    node_managers: Vec<PathBuf>,
    ruby_managers: Vec<PathBuf>,
    java_home: Option<PathBuf>,
    java_managers: Vec<PathBuf>,
}

impl Places {
    /// As the environment of this process says; then where Debian and the usual version managers put things.
    pub(crate) fn of_this_machine() -> Self {
        let mut path: Vec<PathBuf> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
        path.extend(["/usr/local/bin", "/usr/bin", "/bin"].map(PathBuf::from));
        let home = env::var_os("HOME").map(PathBuf::from);
        let under_home = |name: &str| home.as_ref().map(|home| home.join(name));
        let pyenv = env::var_os("PYENV_ROOT").map(PathBuf::from).into_iter().chain(under_home(".pyenv"));
        let nvm = env::var_os("NVM_DIR").map(PathBuf::from).or_else(|| under_home(".nvm"));
        let node_managers = nvm.into_iter().map(|d| d.join("versions/node")).collect();
        let rbenv = env::var_os("RBENV_ROOT").map(PathBuf::from).or_else(|| under_home(".rbenv"));
        let java_home = env::var_os("JAVA_HOME").map(PathBuf::from);
        let sdkman = under_home(".sdkman/candidates/java");
        let java_managers = [PathBuf::from("/usr/lib/jvm")].into_iter().chain(sdkman).collect();
        let ruby_managers = rbenv.into_iter().map(|d| d.join("versions")).collect();
        Self { path, pyenv: pyenv.collect(), node_managers, ruby_managers, java_home, java_managers }
    }

    /// Every Python 3.`minor`: on the PATH, then of pyenv the newest first.
    pub(crate) fn pythons(&self, minor: u32) -> Vec<Interpreter> {
        let name = format!("python3.{minor}");
        let on_path = self.path.iter().filter(|d| !self.is_shims(d)).map(|d| d.join(&name));
        // A shim decides by files in the working directory which version it runs: go to the versions themselves.
        let shims_first = self.path.iter().position(|d| self.is_shims(d)).is_some_and(|at| {
            self.path.iter().position(|d| d.join(&name).is_file() && !self.is_shims(d)).is_none_or(|real| at < real)
        });
        let from_pyenv =
            self.pyenv.iter().flat_map(|root| pyenv_versions(root, minor)).map(|v| v.join("bin").join(&name));
        let candidates: Vec<PathBuf> =
            if shims_first { from_pyenv.chain(on_path).collect() } else { on_path.chain(from_pyenv).collect() };
        distinct(candidates.iter().filter_map(|candidate| python_at(candidate, minor)))
    }

    /// Every Node.js: on the PATH, then of nvm the newest first.
    pub(crate) fn nodes(&self, versions: &mut NodeVersions<'_>) -> Vec<Interpreter> {
        let on_path = self.path.iter().flat_map(|d| [d.join("node"), d.join("nodejs")]);
        let managed = self.node_managers.iter().flat_map(|d| newest_first(d, "v")).map(|d| d.join("bin/node"));
        let mut seen = HashSet::new();
        let programs = on_path.chain(managed).filter_map(|candidate| program_at(&candidate));
        programs
            .filter(|program| seen.insert(program.clone()))
            .filter_map(|program| node_at(program, versions))
            .collect()
    }

    /// Every Ruby 3.`minor`: on the PATH, then of rbenv the newest first.
    pub(crate) fn rubies(&self, minor: u32) -> Vec<Interpreter> {
        let name = format!("ruby3.{minor}");
        let on_path = self.path.iter().flat_map(|d| [d.join(&name), d.join("ruby")]);
        let managed = self.ruby_managers.iter().flat_map(|d| newest_first(d, &format!("3.{minor}.")));
        let managed = managed.map(|d| d.join("bin/ruby"));
        distinct(on_path.chain(managed).filter_map(|candidate| ruby::of_minor(&candidate, minor)))
    }

    /// Every Java: of JAVA_HOME, the first on the PATH, then those of Debian and SDKMAN.
    pub(crate) fn javas(&self) -> Vec<Interpreter> {
        let on_path = self.path.iter().map(|d| d.join("java"));
        let managed = self.java_managers.iter().flat_map(|d| fs::read_dir(d).into_iter().flatten().flatten());
        let mut managed: Vec<PathBuf> = managed.map(|entry| entry.path().join("bin/java")).collect();
        managed.sort();
        let home = self.java_home.iter().map(|home| home.join("bin/java"));
        let found = home.chain(on_path).chain(managed).filter_map(|candidate| java::at(&candidate));
        let mut programs = HashSet::new();
        found.filter(|one| programs.insert(one.executable.clone())).collect()
    }

    fn is_shims(&self, directory: &Path) -> bool {
        self.pyenv.iter().any(|root| directory == root.join("shims"))
    }
}

/// Each program once, in the order found, and no more of them than a runtime may have.
fn distinct(found: impl Iterator<Item = Interpreter>) -> Vec<Interpreter> {
    let mut programs = HashSet::new();
    found.filter(|one| programs.insert(one.executable.clone())).take(INTERPRETERS_PER_RUNTIME).collect()
}

fn python_at(candidate: &Path, minor: u32) -> Option<Interpreter> {
    let executable = program_at(candidate)?;
    let prefix = executable.parent()?.parent()?.to_owned();
    let library = prefix.join(format!("lib/python3.{minor}"));
    library.join("os.py").is_file().then(|| {
        let version = prefix.file_name().and_then(OsStr::to_str).filter(|n| n.starts_with(&format!("3.{minor}.")));
        let version = version.map_or_else(|| format!("3.{minor}"), str::to_owned);
        Interpreter { executable, prefix, version }
    })
}

fn node_at(executable: PathBuf, versions: &mut NodeVersions<'_>) -> Option<Interpreter> {
    let version = versions.of(&executable)?;
    let prefix = executable.parent()?.parent()?.to_owned();
    Some(Interpreter { executable, prefix, version })
}

/// Those of a major version, no more of them than a runtime may have.
pub(crate) fn of_major(nodes: &[Interpreter], major: u32) -> Vec<Interpreter> {
    let is_one = |node: &&Interpreter| node.version.split('.').next() == Some(major.to_string().as_str());
    nodes.iter().filter(is_one).take(INTERPRETERS_PER_RUNTIME).cloned().collect()
}

/// The program at this path, symbolic links resolved.
pub(crate) fn program_at(candidate: &Path) -> Option<PathBuf> {
    fs::canonicalize(candidate).ok().filter(|file| is_elf(file))
}

fn is_elf(file: &Path) -> bool {
    use std::io::Read as _;
    let mut magic = [0; 4];
    fs::File::open(file).and_then(|mut f| f.read_exact(&mut magic)).is_ok() && &magic == b"\x7fELF"
}

fn pyenv_versions(root: &Path, minor: u32) -> Vec<PathBuf> {
    newest_first(&root.join("versions"), &format!("3.{minor}."))
}

/// The directories below `parent` whose name starts so, the highest version first.
fn newest_first(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let mut found: Vec<(Vec<u32>, PathBuf)> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let numbers = name.starts_with(prefix).then(|| name.trim_start_matches('v').split('.'))?;
            Some((numbers.map(str::parse).collect::<Result<_, _>>().ok()?, entry.path()))
        })
        .collect();
    found.sort();
    found.into_iter().rev().map(|(_, path)| path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine with what a real one has: ELF files, shims, version directories.
    struct Machine(tempfile::TempDir);

    impl Machine {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn put(&self, path: &str, content: &[u8]) -> PathBuf {
            let path = self.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            path
        }

        fn python(&self, prefix: &str, minor: u32) -> PathBuf {
            self.put(&format!("{prefix}/lib/python3.{minor}/os.py"), b"");
            self.put(&format!("{prefix}/bin/python3.{minor}"), b"\x7fELF")
        }

        fn places(&self, path: &[&str]) -> Places {
            let root = self.0.path();
            Places {
                path: path.iter().map(|p| root.join(p)).collect(),
                pyenv: vec![root.join("pyenv")],
                node_managers: vec![root.join("nvm/versions/node")],
                ruby_managers: Vec::new(),
                java_home: None,
                java_managers: Vec::new(),
            }
        }
    }

    #[test]
    fn a_shim_leads_to_the_newest_version_itself() {
        let machine = Machine::new();
        machine.put("pyenv/shims/python3.12", b"#!/usr/bin/env bash\n");
        machine.python("pyenv/versions/3.12.9", 12);
        let newest = machine.python("pyenv/versions/3.12.10", 12);
        machine.python("usr", 12);
        let found = machine.places(&["pyenv/shims", "usr/bin"]).pythons(12);
        assert_eq!(found[0].executable, fs::canonicalize(newest).unwrap());
        let versions: Vec<_> = found.iter().map(|one| one.version.as_str()).collect();
        assert_eq!(versions, ["3.12.10", "3.12.9", "3.12"]);
    }

    #[test]
    fn what_comes_first_on_the_path_wins() {
        let machine = Machine::new();
        machine.python("pyenv/versions/3.11.7", 11);
        let system = machine.python("usr", 11);
        machine.put("pyenv/shims/python3.11", b"#!/usr/bin/env bash\n");
        let found = machine.places(&["usr/bin", "pyenv/shims", "usr/bin"]).pythons(11);
        assert_eq!(found[0].executable, fs::canonicalize(system).unwrap());
        let versions: Vec<_> = found.iter().map(|one| one.version.as_str()).collect();
        assert_eq!(versions, ["3.11", "3.11.7"], "each once");
    }

    #[test]
    fn an_interpreter_without_its_library_is_none() {
        let machine = Machine::new();
        machine.put("usr/bin/python3.13", b"\x7fELF");
        assert_eq!(machine.places(&["usr/bin"]).pythons(13), []);
    }

    #[test]
    fn a_node_of_another_major_is_none() {
        let machine = Machine::new();
        machine.put("usr/bin/node", b"\x7fELF");
        machine.put(
            "usr/include/node/node_version.h",
            b"#define NODE_MAJOR_VERSION 20\n#define NODE_MINOR_VERSION 1\n#define NODE_PATCH_VERSION 2\n",
        );
        let places = machine.places(&["usr/bin"]);
        let cache = crate::cache::Cache::open(machine.0.path());
        let mut versions = NodeVersions::load(&cache);
        let nodes = places.nodes(&mut versions);
        assert_eq!(of_major(&nodes, 20)[0].version, "20.1.2");
        assert_eq!(of_major(&nodes, 22), []);
    }
}
