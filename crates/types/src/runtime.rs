//! What a runtime is called beside its name: its versions and their ARNs, and the machine that it runs on.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The architecture of this machine, as Lambda names it.
pub const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };

/// One version of a runtime: on a machine, one interpreter that is installed there.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct RuntimeVersion {
    /// What its ARN ends with: 64 hexadecimal digits.
    id: String,
    /// For people: `3.11.2 at /usr/bin/python3.11`. Empty where there is no interpreter.
    interpreter: String,
}

impl RuntimeVersion {
    /// Of a runtime that has no interpreter, or none here: the same for the same name and architecture.
    #[must_use]
    pub fn nominal(runtime: &str, architecture: &str) -> Self {
        Self { id: digits(&[runtime, architecture]), interpreter: String::new() }
    }

    /// Of this machine's interpreter: another one for another program, `build` being what tells one build of a program
    /// at a place from the next.
    #[must_use]
    pub fn installed(runtime: &str, version: &str, program: &str, build: &str) -> Self {
        let id = digits(&[runtime, ARCHITECTURE, version, program, build]);
        Self { id, interpreter: format!("{version} at {program}") }
    }

    /// Its ARN, in the real one's form.
    #[must_use]
    pub fn arn(&self, region: &str) -> String {
        format!("arn:aws:lambda:{region}::runtime:{}", self.id)
    }

    /// For people: `3.11.2 at /usr/bin/python3.11`. Empty where there is no interpreter.
    #[must_use]
    pub fn interpreter(&self) -> &str {
        &self.interpreter
    }
}

/// The runtimes of a machine, each with the interpreters that it has for it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Installed {
    /// Runtime and version. The first of a name is what runs where nothing is said of it.
    all: Vec<(String, RuntimeVersion)>,
}

impl Installed {
    /// These, of each name the one first that runs where nothing is said of it.
    #[must_use]
    pub fn new(all: Vec<(String, RuntimeVersion)>) -> Self {
        Self { all }
    }

    /// What runs where nothing is said of it; none where the machine lacks the runtime.
    #[must_use]
    pub fn normal(&self, runtime: &str, architecture: &str) -> Option<&RuntimeVersion> {
        let of_machine = |(name, _): &&(String, RuntimeVersion)| name == runtime && architecture == ARCHITECTURE;
        self.all.iter().find(of_machine).map(|(_, version)| version)
    }

    /// Whether this version of the runtime is there.
    #[must_use]
    pub fn has(&self, runtime: &str, version: &RuntimeVersion) -> bool {
        self.all.iter().any(|(name, there)| name == runtime && there.id == version.id)
    }

    /// The runtime and the version that this ARN names.
    #[must_use]
    pub fn find(&self, region: &str, arn: &str) -> Option<(&str, &RuntimeVersion)> {
        self.all.iter().find(|(_, version)| version.arn(region) == arn).map(|(name, version)| (name.as_str(), version))
    }
}

/// Lengths come first, so that no two lists of parts read the same.
fn digits(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.len().to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_runtime_has_a_version_on_each_architecture() {
        let arn = RuntimeVersion::nominal("python3.12", "x86_64").arn("r");
        let (start, digits) = arn.rsplit_once(':').unwrap();
        assert_eq!((start, digits.len()), ("arn:aws:lambda:r::runtime", 64));
        assert_eq!(arn, RuntimeVersion::nominal("python3.12", "x86_64").arn("r"));
        assert_ne!(arn, RuntimeVersion::nominal("python3.12", "arm64").arn("r"));
        assert_ne!(arn, RuntimeVersion::nominal("python3.13", "x86_64").arn("r"));
    }

    #[test]
    fn each_interpreter_and_each_build_of_it_is_a_version() {
        let of = |program, build| RuntimeVersion::installed("python3.12", "3.12.1", program, build);
        assert_eq!(of("/a/python3.12", "1"), of("/a/python3.12", "1"));
        assert_ne!(of("/a/python3.12", "1").arn("r"), of("/b/python3.12", "1").arn("r"));
        assert_ne!(of("/a/python3.12", "1").arn("r"), of("/a/python3.12", "2").arn("r"));
        assert_ne!(of("/a", "b1").arn("r"), of("/ab", "1").arn("r"));
        assert_eq!(of("/a/python3.12", "1").interpreter(), "3.12.1 at /a/python3.12");
    }

    #[test]
    fn the_first_is_the_normal_one_and_each_is_found_by_its_arn() {
        let [a, b] = ["/a", "/b"].map(|program| RuntimeVersion::installed("ruby3.3", "3.3", program, ""));
        let installed = Installed::new(vec![("ruby3.3".to_owned(), a.clone()), ("ruby3.3".to_owned(), b.clone())]);
        assert_eq!(installed.normal("ruby3.3", ARCHITECTURE), Some(&a));
        assert_eq!(installed.normal("ruby3.3", "pdp11"), None);
        assert_eq!(installed.normal("ruby3.4", ARCHITECTURE), None);
        assert_eq!(installed.find("r", &b.arn("r")), Some(("ruby3.3", &b)));
        assert_eq!(installed.find("r", &b.arn("s")), None, "of another region");
        assert!(installed.has("ruby3.3", &b) && !installed.has("ruby3.4", &b));
    }
}
