//! Bytes as a package: judged, checked, and unpacked where they pass.
#![no_main]

use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use hearth_image::{InProcess, PackageError, Unpacked, Unpacker, judge};
use hearth_types::CodeDigest;
use hearth_types::limits::{UNZIPPED_BYTES, ZIP_ENTRIES};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

struct Bench {
    folder: TempDir,
    unpacker: Unpacker,
}

static BENCH: LazyLock<Bench> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let unpacker = Unpacker::new(folder.path().join("code"), Arc::new(InProcess)).expect("an empty folder");
    Bench { folder, unpacker }
});

fuzz_target!(|zip: &[u8]| {
    let Bench { folder, unpacker } = &*BENCH;
    let digest = CodeDigest::of(zip);
    let checked = unpacker.check(zip);
    if let Some(judged) = judge(zip) {
        // What of a content is damaged two inflaters may see at different places; a client is told the same.
        let told = |outcome: &Result<Unpacked, PackageError>| format!("{:?}", outcome.as_ref().map_err(PackageError::message));
        assert_eq!(told(&judged), told(&checked), "two readers disagree");
    }
    match checked {
        Err(refusal) => {
            assert!(refusal.is_callers() && !refusal.message().is_empty());
            assert!(unpacker.unpack(&digest, zip).is_err(), "refused by the check alone");
        }
        Ok(checked) => {
            assert!(checked.bytes <= UNZIPPED_BYTES && checked.entries <= ZIP_ENTRIES);
            let unpacked = unpacker.unpack(&digest, zip).expect("what passes the check unpacks");
            assert_eq!(checked, unpacked);
            assert!(bytes_below(&unpacker.path(&digest)) <= checked.bytes);
            unpacker.remove(&digest).expect("a tree that can be removed");
        }
    }
    assert_eq!(names(folder.path()), ["code"]);
    assert_eq!(names(&folder.path().join("code")), [".whole"]);
});

fn bytes_below(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    entries
        .map(|entry| {
            let kind = entry.metadata().expect("an entry that stays");
            if kind.is_dir() { bytes_below(&entry.path()) } else { kind.len() }
        })
        .sum()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}
