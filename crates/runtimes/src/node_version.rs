//! Which version a `node` is: from the header beside it, from what was found out before, or by asking it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use crate::cache::Cache;

/// The name of the file with what had to be asked for.
const FILE: &str = "node-versions";

/// Versions by program. What had to be asked for is kept in a file, because asking takes tens of milliseconds.
pub(crate) struct NodeVersions<'a> {
    cache: &'a Cache,
    /// Path, size, time of change; version.
    known: Vec<(String, String)>,
    changed: bool,
}

impl<'a> NodeVersions<'a> {
    /// What the file knows. A missing or broken one knows nothing.
    pub(crate) fn load(cache: &'a Cache) -> Self {
        let text = cache.read(FILE).and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
        let known = text.lines().filter_map(|line| line.split_once('\t')).map(|(k, v)| (k.to_owned(), v.to_owned()));
        Self { cache, known: known.collect(), changed: false }
    }

    /// `MAJOR.MINOR.PATCH` of this program.
    pub(crate) fn of(&mut self, executable: &Path) -> Option<String> {
        if let Some(version) = from_header(executable) {
            return Some(version);
        }
        let key = identity(executable)?;
        if let Some((_, version)) = self.known.iter().find(|(known, _)| *known == key) {
            return Some(version.clone());
        }
        let version = ask(executable)?;
        self.known.push((key, version.clone()));
        self.changed = true;
        Some(version)
    }

    /// Writes down what had to be asked for.
    pub(crate) fn save(&self) {
        if self.changed {
            let text: String = self.known.iter().map(|(key, version)| format!("{key}\t{version}\n")).collect();
            self.cache.write(FILE, text.as_bytes());
        }
    }
}

/// A program is the same while its path, size and time of change are.
pub(crate) fn identity(executable: &Path) -> Option<String> {
    let metadata = fs::metadata(executable).ok()?;
    Some(format!("{} {} {}.{}", executable.display(), metadata.len(), metadata.mtime(), metadata.mtime_nsec()))
}

fn from_header(executable: &Path) -> Option<String> {
    let header = executable.parent()?.parent()?.join("include/node/node_version.h");
    let text = fs::read_to_string(header).ok()?;
    let number = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix("#define ")?.strip_prefix(name))?;
        line.trim().parse::<u32>().ok()
    };
    let (major, minor) = (number("NODE_MAJOR_VERSION ")?, number("NODE_MINOR_VERSION ")?);
    Some(format!("{major}.{minor}.{}", number("NODE_PATCH_VERSION ")?))
}

fn ask(executable: &Path) -> Option<String> {
    let output = Command::new(executable).arg("--version").env_clear().output().ok()?;
    let version = String::from_utf8(output.stdout).ok()?.trim().strip_prefix('v')?.to_owned();
    version.split('.').all(|part| part.parse::<u32>().is_ok()).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn asks_once_and_again_after_a_change() {
        let dir = tempfile::tempdir().unwrap();
        let node = dir.path().join("node");
        let install = |version: &str| {
            fs::write(&node, format!("#!/bin/sh\necho asked >> {}/asked\necho {version}\n", dir.path().display()))
                .unwrap();
            fs::set_permissions(&node, fs::Permissions::from_mode(0o755)).unwrap();
        };
        let asked = || fs::read_to_string(dir.path().join("asked")).unwrap_or_default().lines().count();
        let cache = Cache::open(dir.path());
        install("v20.20.2");
        for _ in 0..2 {
            let mut versions = NodeVersions::load(&cache);
            assert_eq!(versions.of(&node).as_deref(), Some("20.20.2"));
            versions.save();
        }
        assert_eq!(asked(), 1);
        install("v22.1.0 "); // one byte more: another program
        assert_eq!(NodeVersions::load(&cache).of(&node).as_deref(), Some("22.1.0"));
        assert_eq!(asked(), 2);
    }
}
