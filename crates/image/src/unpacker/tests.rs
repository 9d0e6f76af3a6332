use std::io::Write as _;

use super::*;
use crate::InProcess;

fn zip() -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    writer.start_file("a/b", zip::write::SimpleFileOptions::default()).unwrap();
    writer.write_all(b"content").unwrap();
    writer.finish().unwrap().into_inner()
}

fn of_boot(folder: &Path, boot: &str) -> Unpacker {
    Unpacker::after_boot(folder.to_owned(), Arc::new(InProcess), boot.to_owned()).unwrap()
}

#[test]
fn a_tree_is_trusted_until_the_machine_restarts_and_for_ever_once_flushed() {
    let folder = tempfile::tempdir().unwrap();
    let (zip, zip_path) = (zip(), |unpacker: &Unpacker, digest| unpacker.path(digest).join("a/b"));
    let digest = CodeDigest::of(&zip);
    let first = of_boot(folder.path(), "boot-1");
    assert!(!first.is_whole(&digest));
    first.unpack(&digest, &zip).unwrap();
    assert!(first.is_whole(&digest));
    assert!(of_boot(folder.path(), "boot-1").is_whole(&digest), "the process was killed, the machine was not");

    let second = of_boot(folder.path(), "boot-2");
    assert!(!second.is_whole(&digest), "nothing says that its files came to the disk");
    fs::write(zip_path(&second, &digest), "half a fi").unwrap();
    second.unpack(&digest, &zip).unwrap();
    assert_eq!(fs::read(zip_path(&second, &digest)).unwrap(), b"content");

    second.flush().unwrap();
    assert!(of_boot(folder.path(), "boot-3").is_whole(&digest));
}

#[test]
fn a_flush_leaves_alone_what_was_removed() {
    let folder = tempfile::tempdir().unwrap();
    let zip = zip();
    let digest = CodeDigest::of(&zip);
    let unpacker = of_boot(folder.path(), "boot-1");
    unpacker.unpack(&digest, &zip).unwrap();
    unpacker.remove(&digest).unwrap();
    unpacker.flush().unwrap();
    assert!(!folder.path().join(MARKS).join(digest.to_string()).exists());
    assert!(!unpacker.path(&digest).exists());
}

#[test]
fn what_an_earlier_process_left_unfinished_goes() {
    let folder = tempfile::tempdir().unwrap();
    let left = folder.path().join(".staging-7/some/folder");
    fs::create_dir_all(&left).unwrap();
    of_boot(folder.path(), "boot-1");
    assert!(!left.exists());
}

/// Reads nothing, as a package that is known need not be read.
#[derive(Debug)]
struct ReadsNothing;

impl Reader for ReadsNothing {
    fn read(&self, _: &[u8], wanted: Wanted<'_>) -> Result<Unpacked, PackageError> {
        panic!("{wanted:?} of a package that is there")
    }
}

#[test]
fn what_is_there_is_not_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let zip = zip();
    let digest = CodeDigest::of(&zip);
    let first = of_boot(folder.path(), "boot-1").unpack(&digest, &zip).unwrap();
    let again = Unpacker::after_boot(folder.path().to_owned(), Arc::new(ReadsNothing), "boot-1".to_owned()).unwrap();
    assert_eq!(again.unpack(&digest, &zip).unwrap(), first);
    again.flush().unwrap();
    let flushed = Unpacker::after_boot(folder.path().to_owned(), Arc::new(ReadsNothing), "boot-2".to_owned()).unwrap();
    assert_eq!(flushed.unpack(&digest, &zip).unwrap(), first);
}
