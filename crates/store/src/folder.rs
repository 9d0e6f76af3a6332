//! Folders whose names are on stable storage.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Makes a folder, and those above it that are missing, or finds it; when it returns Ok a crash of the machine does not
/// take its name, and what is flushed in it, away. Found ones are flushed too: whoever made them may have ended before.
///
/// # Errors
/// When a folder cannot be made, or the one above it cannot be read or flushed.
pub fn make_folder(path: &Path) -> io::Result<()> {
    let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let is_found = path.is_dir();
    if !is_found {
        if !above.is_dir() {
            make_folder(above)?;
        }
        match fs::create_dir(path) {
            // Another process was faster.
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
            made => made?,
        }
    }
    match File::open(above) {
        // Then somebody else made it, before this program came.
        Err(cause) if is_found && cause.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        above => above?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_make_the_same_one() {
        let folder = tempfile::tempdir().unwrap();
        for n in 0..50 {
            let deep = folder.path().join(n.to_string()).join("a/b");
            std::thread::scope(|scope| {
                let makers: Vec<_> = (0..4).map(|_| scope.spawn(|| make_folder(&deep))).collect();
                makers.into_iter().for_each(|maker| maker.join().unwrap().unwrap());
            });
        }
    }

    #[test]
    fn what_is_missing_is_made_and_what_is_there_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b/c");
        make_folder(&deep).unwrap();
        fs::write(deep.join("file"), "kept").unwrap();
        make_folder(&deep).unwrap();
        assert_eq!(fs::read(deep.join("file")).unwrap(), b"kept");
        assert!(make_folder(&deep.join("file")).is_err());
    }
}
