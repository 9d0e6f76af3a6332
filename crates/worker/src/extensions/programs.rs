//! Which programs layers bring that are started beside the runtime.

use std::collections::BTreeMap;
use std::ffi::{CString, NulError};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use hearth_types::CodeDigest;
use hearth_types::limits::EXTENSION_PROGRAMS;

/// Where they are inside.
const FOLDER: &str = "/opt/extensions/";

/// A file of this name in /opt does without all extensions.
const DISABLE: &str = "disable-extensions-jwigqn8j";

/// What layers have of extensions.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Found {
    /// There are to be none, of no kind.
    pub(crate) disabled: bool,
    /// The files in /opt/extensions, whether they can be executed or not: one that cannot is a failure that is told.
    pub(crate) names: Vec<Arc<str>>,
}

/// Looks at the unpacked layers in `packages`, of which a later one covers an earlier one. At most
/// [`EXTENSION_PROGRAMS`] are named.
pub(crate) fn find(packages: &Path, layers: &[CodeDigest]) -> Found {
    if layers.is_empty() {
        return Found::default();
    }
    let layers: Vec<_> = layers.iter().map(|layer| packages.join(layer.to_string())).collect();
    if layers.iter().any(|layer| layer.join(DISABLE).symlink_metadata().is_ok()) {
        return Found { disabled: true, names: Vec::new() };
    }
    let mut files = BTreeMap::new();
    for layer in layers {
        let folder = layer.join("extensions");
        match folder.symlink_metadata() {
            Err(_) => continue,
            Ok(about) if !about.is_dir() => files.clear(), // Something else covers the folder.
            Ok(_) => {
                let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
                files.extend(entries.filter_map(|entry| {
                    let name: Arc<str> = entry.file_name().to_str()?.into();
                    Some((name, entry.file_type().is_ok_and(|kind| !kind.is_dir())))
                }));
            }
        }
    }
    let names = files.into_iter().filter_map(|(name, is_file)| is_file.then_some(name));
    Found { disabled: false, names: names.take(EXTENSION_PROGRAMS).collect() }
}

/// The path inside of one of them.
pub(crate) fn path(name: &str) -> Result<CString, NulError> {
    CString::new(format!("{FOLDER}{name}"))
}

/// The name of the one that a path inside is of.
pub(crate) fn name(path: &str) -> Option<&str> {
    path.strip_prefix(FOLDER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(layers: &[&[&str]]) -> Found {
        let packages = tempfile::tempdir().unwrap();
        let mut digests = Vec::new();
        for (number, files) in layers.iter().enumerate() {
            let digest = CodeDigest([number as u8; 32]);
            for file in *files {
                let path = packages.path().join(digest.to_string()).join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "").unwrap();
            }
            digests.push(digest);
        }
        find(packages.path(), &digests)
    }

    fn names(layers: &[&[&str]]) -> Vec<String> {
        found(layers).names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn files_of_the_folder_are_extensions() {
        assert_eq!(names(&[]), [""; 0]);
        assert_eq!(names(&[&["python/x.py"]]), [""; 0]);
        assert_eq!(names(&[&["extensions/b", "extensions/lib/x", "b/main"], &["extensions/a"]]), ["a", "b"]);
        let many: Vec<String> = (0..20).map(|number| format!("extensions/e{number:02}")).collect();
        assert_eq!(names(&[&many.iter().map(String::as_str).collect::<Vec<_>>()]).len(), EXTENSION_PROGRAMS);
    }

    #[test]
    fn a_later_layer_covers_an_earlier_one() {
        assert_eq!(names(&[&["extensions/a"], &["extensions/a/not-a-program"]]), [""; 0]);
        assert_eq!(names(&[&["extensions/a/x"], &["extensions/a", "extensions/b"]]), ["a", "b"]);
        assert_eq!(names(&[&["extensions/a"], &["extensions"]]), [""; 0]);
    }

    #[test]
    fn a_file_does_without_all() {
        let none = Found { disabled: true, names: Vec::new() };
        assert_eq!(found(&[&["extensions/a"], &["disable-extensions-jwigqn8j"]]), none);
    }

    #[test]
    fn paths_name_their_extension() {
        assert_eq!(path("a").unwrap().to_str().unwrap(), "/opt/extensions/a");
        assert_eq!((name("/opt/extensions/a"), name("/var/task/bootstrap")), (Some("a"), None));
        assert!(path("a\0b").is_err());
    }
}
