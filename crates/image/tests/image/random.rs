//! Random packages against an independent reader and writer of zips.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read as _, Write as _};
use std::path::Path;

use hearth_types::CodeDigest;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::Bench;
use crate::archives::{Raw, archive};

type Files = BTreeMap<String, (Vec<u8>, u32, bool)>;

fn files() -> impl Strategy<Value = Files> {
    let name = "[a-c]{1,2}(/[d-f]{1,2}){0,3}/[g-zé]{1,8}";
    let content = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..2000),
        (any::<u8>(), 0..300_000_usize).prop_map(|(byte, count)| vec![byte; count])
    ];
    prop::collection::btree_map(name, (content, 0..0o1000_u32, any::<bool>()), 1..12)
}

fn written(files: &Files) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, (content, mode, stored)) in files {
        let method = if *stored { CompressionMethod::Stored } else { CompressionMethod::Deflated };
        let options = SimpleFileOptions::default().compression_method(method).unix_permissions(*mode);
        writer.start_file(name, options).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// Every file below `folder`, by its path from `root`.
fn tree(root: &Path, folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tree(root, &path, found);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            found.insert(name, fs::read(&path).unwrap());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_another_writer_wrote_comes_out(files in files()) {
        let bench = Bench::new();
        let (unpacked, root) = bench.unpack(&written(&files)).unwrap();
        prop_assert_eq!(unpacked.entries, files.len());
        let mut found = BTreeMap::new();
        tree(&root, &root, &mut found);
        let expected: BTreeMap<_, _> = files.into_iter().map(|(name, (content, ..))| (name, content)).collect();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn a_changed_archive_is_refused_or_read_as_another_reader_reads_it() {
    let sound = archive(&[
        Raw::deflated("a/b", b"some content that is some bytes long"),
        Raw::stored("c", b"stored content"),
        Raw::deflated("d", b"streamed").streamed(true),
    ]);
    let bench = Bench::new();
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4);
    let config = ProptestConfig { source_file: Some(file!()), ..ProptestConfig::with_cases(1000) };
    let run = TestRunner::new(config).run(&changes, |changes| {
        let mut zip = sound.clone();
        for (at, byte) in changes {
            let at = at.index(zip.len());
            zip[at] = byte;
        }
        match bench.unpacker.check(&zip) {
            Err(_) => drop(bench.refuse(&zip)),
            Ok(_) => {
                let (unpacked, root) = bench.unpack(&zip).unwrap();
                agrees_with_another_reader(&zip, unpacked.entries, &root)?;
                bench.unpacker.remove(&CodeDigest::of(&zip)).unwrap();
            }
        }
        Ok(())
    });
    run.unwrap();
}

fn agrees_with_another_reader(zip: &[u8], entries: usize, root: &Path) -> Result<(), TestCaseError> {
    let mut other = ZipArchive::new(Cursor::new(zip)).unwrap();
    prop_assert_eq!(other.len(), entries);
    for index in 0..other.len() {
        let mut file = other.by_index(index).unwrap();
        let path = root.join(file.enclosed_name().unwrap());
        if file.is_file() {
            let mut content = Vec::new();
            file.read_to_end(&mut content).unwrap();
            prop_assert_eq!(fs::read(path).unwrap(), content);
        } else {
            prop_assert!(path.is_dir() || path.is_symlink());
        }
    }
    Ok(())
}
