//! Which runtimes this machine can run.

use std::path::{Path, PathBuf};

use hearth_types::limits::INTERPRETERS_PER_RUNTIME;
use hearth_types::rootfs::RootPlan;
use hearth_types::runtime::{ARCHITECTURE, Installed, RuntimeVersion};

use crate::cache::Cache;
use crate::compiled::Compilation;
use crate::discover::{Interpreter, NODE_MAJORS, PYTHON_MINORS, Places, of_major};
use crate::java::{self, JAVA_MAJORS};
use crate::missing::{Missing, missing, missing_version};
use crate::node_version::{NodeVersions, identity};
use crate::root::{self, Draft, PYTHON_SOURCES};
use crate::ruby::{self, RUBY_MINORS};
use crate::stand_in::{self, StandIn};

/// The family of a runtime.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The function brings its own.
    Provided,
    /// `python3.minor`.
    Python {
        /// Minor version.
        minor: u32,
    },
    /// `nodejsMAJOR.x`.
    Node {
        /// Major version.
        major: u32,
    },
    /// `javaMAJOR`, and `java8.al2`.
    Java {
        /// Major version.
        major: u32,
    },
    /// `ruby3.minor`.
    Ruby {
        /// Minor version.
        minor: u32,
    },
}

/// One runtime that can run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Runtime {
    /// As functions name it.
    pub name: String,
    /// Its family.
    pub kind: Kind,
    /// Index into [`Catalogue::roots`].
    pub root: usize,
    /// Whether the root holds the bootstrap as bytecode.
    pub compiled: bool,
    /// Of the interpreter; empty for `provided.*`.
    pub version: String,
    /// The interpreter on the host.
    pub location: Option<PathBuf>,
    /// What tells it from others of the same name.
    pub id: RuntimeVersion,
}

/// The runtimes of this machine and those it could have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Catalogue {
    runtimes: Vec<Runtime>,
    roots: Vec<RootPlan>,
}

/// Reads the machine. `cache` is a directory of ours where the answers of interpreters that had to be run (the version
/// of a `node` without headers, the bytecode of the Python bootstrap) are kept; with it filled, none is run.
/// `stand_ins` are interpreters that serve a name which is not their own.
#[must_use]
pub fn discover(cache: &Path, stand_ins: &[StandIn]) -> Catalogue {
    let cache = Cache::open(cache);
    let places = Places::of_this_machine();
    let pythons: Vec<_> = PYTHON_MINORS
        .flat_map(|minor| places.pythons(minor).into_iter().map(move |found| (minor, found)))
        .map(|(minor, found)| (minor, Compilation::begin(&cache, &found, &PYTHON_SOURCES), found))
        .collect();
    let mut versions = NodeVersions::load(&cache);
    let common = Draft::common();
    let mut catalogue = Catalogue { runtimes: Vec::new(), roots: vec![root::provided(&common)] };
    for name in ["provided.al2", "provided.al2023"] {
        catalogue.runtimes.push(Runtime {
            name: name.to_owned(),
            kind: Kind::Provided,
            root: 0,
            compiled: false,
            version: String::new(),
            location: None,
            id: RuntimeVersion::nominal(name, ARCHITECTURE),
        });
    }
    for (minor, compilation, found) in pythons {
        let plan = root::python(&common, minor, &found, compilation.finish());
        catalogue.add(&format!("python3.{minor}"), Kind::Python { minor }, found, plan);
    }
    let nodes = places.nodes(&mut versions);
    for major in NODE_MAJORS {
        for found in of_major(&nodes, major) {
            let name = format!("nodejs{major}.x");
            let plan = root::node(&common, &name, &found);
            catalogue.add(&name, Kind::Node { major }, found, plan);
        }
    }
    for minor in RUBY_MINORS {
        let name = format!("ruby3.{minor}");
        let found = match stand_in::of(stand_ins, &name) {
            Some(program) => ruby::at(program).into_iter().collect(),
            None => places.rubies(minor),
        };
        for found in found {
            let plan = ruby::root(&common, minor, &found);
            catalogue.add(&name, Kind::Ruby { minor }, found, plan);
        }
    }
    let javas = places.javas();
    for major in JAVA_MAJORS {
        let name = java::name(major);
        let found = match stand_in::of(stand_ins, &name) {
            Some(program) => java::at(program).into_iter().collect(),
            None => java::choose(&javas, major).into_iter().take(INTERPRETERS_PER_RUNTIME).cloned().collect::<Vec<_>>(),
        };
        for found in found {
            catalogue.add_java(&name, major, found, &common);
        }
    }
    versions.save();
    catalogue
}

impl Catalogue {
    fn add(&mut self, name: &str, kind: Kind, found: Interpreter, plan: RootPlan) {
        let compiled = plan.files.iter().any(|(path, _, _)| path.ends_with("bootstrap.pyc"));
        let root = self.roots.len();
        self.roots.push(plan);
        self.add_with_root(name, kind, found, root, compiled);
    }

    fn add_with_root(&mut self, name: &str, kind: Kind, found: Interpreter, root: usize, compiled: bool) {
        let build = identity(&found.executable).unwrap_or_default();
        let id = RuntimeVersion::installed(name, &found.version, &found.executable.to_string_lossy(), &build);
        let (name, version, location) = (name.to_owned(), found.version, Some(found.executable));
        self.runtimes.push(Runtime { name, kind, root, compiled, version, location, id });
    }

    /// One root is for all the names that a Java serves.
    fn add_java(&mut self, name: &str, major: u32, found: Interpreter, common: &Draft) {
        let same = |other: &&Runtime| other.location.as_ref() == Some(&found.executable);
        let Some(known) = self.runtimes.iter().find(same).map(|other| other.root) else {
            let plan = java::root(common, major, &found);
            return self.add(name, Kind::Java { major }, found, plan);
        };
        self.add_with_root(name, Kind::Java { major }, found, known, false);
    }

    /// The root file systems, for the sandbox.
    #[must_use]
    pub fn roots(&self) -> &[RootPlan] {
        &self.roots
    }

    /// The runtimes that can run. Of each name the normal one comes first.
    #[must_use]
    pub fn runtimes(&self) -> &[Runtime] {
        &self.runtimes
    }

    /// The runtime of that name, in this version: where none is asked for, the normal one.
    ///
    /// # Errors
    /// It cannot run here: what is missing and how to get it.
    pub fn find(&self, name: &str, version: Option<&RuntimeVersion>) -> Result<&Runtime, Missing> {
        let mut named = self.runtimes.iter().filter(|runtime| runtime.name == name);
        match version {
            None => named.next().ok_or_else(|| missing(name)),
            Some(version) => named.find(|one| one.id == *version).ok_or_else(|| missing_version(name, version)),
        }
    }

    /// What can run, for those who only need the names.
    #[must_use]
    pub fn installed(&self) -> Installed {
        Installed::new(self.runtimes.iter().map(|runtime| (runtime.name.clone(), runtime.id.clone())).collect())
    }

    /// The runtimes that could run if their interpreter was installed.
    #[must_use]
    pub fn missing(&self) -> Vec<(String, Missing)> {
        let python = PYTHON_MINORS.map(|minor| format!("python3.{minor}"));
        let node = NODE_MAJORS.iter().map(|major| format!("nodejs{major}.x"));
        let ruby = RUBY_MINORS.map(|minor| format!("ruby3.{minor}"));
        let java = JAVA_MAJORS.iter().map(|major| java::name(*major));
        let all =
            python.chain(node).chain(ruby).chain(java).filter(|name| !self.runtimes.iter().any(|r| r.name == *name));
        all.map(|name| (name.clone(), missing(&name))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn provided_is_always_there_and_roots_fit() {
        let cache = tempfile::tempdir().unwrap();
        let catalogue = discover(cache.path(), &[]);
        for runtime in catalogue.runtimes() {
            assert!(runtime.root < catalogue.roots().len(), "{runtime:?}");
        }
        assert_eq!(catalogue.find("provided.al2023", None).unwrap().kind, Kind::Provided);
        assert_eq!(catalogue, discover(cache.path(), &[]), "what a warm cache says differs");
    }

    #[test]
    fn what_is_missing_says_what_to_do() {
        let none = Catalogue { runtimes: Vec::new(), roots: Vec::new() };
        let failure = none.find("python3.13", None).unwrap_err().failure();
        assert_eq!(failure.error_type, "Runtime.InvalidRuntime");
        assert!(failure.message.contains("Python 3.13") && failure.message.contains("pyenv install 3.13"));
        assert!(none.find("java21", None).unwrap_err().what.contains("Java 21"));
        assert!(none.find("java8.al2", None).is_err());
        assert!(none.find("dotnet8", None).unwrap_err().what.contains("dotnet8"));
        assert!(none.find("ruby3.3", None).unwrap_err().how.contains("--runtime ruby3.3="));
        assert_eq!(none.missing().len(), 20);
    }

    #[test]
    fn a_version_that_is_asked_for_is_found_or_is_missing_but_never_another() {
        let version = |program: &str| RuntimeVersion::installed("python3.12", "3.12.1", program, "");
        let runtime = |root, program: &str| Runtime {
            name: "python3.12".to_owned(),
            kind: Kind::Python { minor: 12 },
            root,
            compiled: false,
            version: "3.12.1".to_owned(),
            location: Some(program.into()),
            id: version(program),
        };
        let two = Catalogue { runtimes: vec![runtime(0, "/a"), runtime(1, "/b")], roots: Vec::new() };
        let root = |pinned: Option<&RuntimeVersion>| two.find("python3.12", pinned).unwrap().root;
        assert_eq!([root(None), root(Some(&version("/a"))), root(Some(&version("/b")))], [0, 0, 1]);
        let gone = two.find("python3.12", Some(&version("/c"))).unwrap_err().failure();
        assert_eq!(gone.error_type, "Runtime.InvalidRuntime");
        assert!(gone.message.contains("3.12.1 at /c") && gone.message.contains("UpdateRuntimeOn"), "{}", gone.message);
        assert_eq!(two.installed().normal("python3.12", ARCHITECTURE), Some(&version("/a")));
    }
}
