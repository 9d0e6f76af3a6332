//! Packages, sound and hostile, through the public interface.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test's helpers fail by panicking")]

mod archives;
mod hostile;
mod random;
mod sound;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hearth_image::{InProcess, PackageError, Unpacked, Unpacker, judge};
use hearth_types::CodeDigest;
use tempfile::TempDir;

/// An unpacker over a folder of its own.
struct Bench {
    folder: TempDir,
    unpacker: Unpacker,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let unpacker = Unpacker::new(folder.path().join("code"), Arc::new(InProcess)).unwrap();
        Self { folder, unpacker }
    }

    /// Unpacks and checks that an unpacking, a mere check and the judgement of what is small agree.
    fn unpack(&self, zip: &[u8]) -> Result<(Unpacked, PathBuf), PackageError> {
        let digest = CodeDigest::of(zip);
        let checked = self.unpacker.check(zip);
        let unpacked = self.unpacker.unpack(&digest, zip);
        assert_eq!(format!("{checked:?}"), format!("{unpacked:?}"));
        if let Some(judged) = judge(zip) {
            // What of a content is damaged the two inflaters may see at different places; a client is told the same.
            let told = |outcome: &Result<Unpacked, PackageError>| {
                format!("{:?}", outcome.as_ref().map_err(PackageError::message))
            };
            assert_eq!(told(&judged), told(&unpacked));
        }
        assert_eq!(self.unpacker.is_whole(&digest), unpacked.is_ok());
        unpacked.map(|unpacked| (unpacked, self.unpacker.path(&digest)))
    }

    /// Unpacks what must be refused, and checks that nothing is left of it anywhere.
    fn refuse(&self, zip: &[u8]) -> PackageError {
        let refusal = self.unpack(zip).expect_err("this package must be refused");
        assert!(refusal.is_callers(), "{refusal}");
        assert_eq!(names(self.folder.path()), ["code"]);
        assert_eq!(names(&self.folder.path().join("code")), [".whole"]);
        assert!(names(&self.folder.path().join("code/.whole")).is_empty());
        refusal
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
