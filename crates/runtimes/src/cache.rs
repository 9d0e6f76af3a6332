//! A directory where answers of interpreters are kept between starts.
//!
//! It may belong to a user with fewer rights than this process: no symbolic link in it is followed, and what is written
//! is a new file under a new name first.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, renameat, unlinkat};

/// Bytes of a kept answer: the largest, bytecode of the bootstrap, is a tenth of it.
const ANSWER_BYTES: u64 = 1 << 20;

/// The directory; none where it cannot be used, and then nothing is kept.
#[derive(Debug)]
pub(crate) struct Cache(Option<OwnedFd>);

impl Cache {
    /// Opens the directory.
    pub(crate) fn open(directory: &Path) -> Self {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = openat(CWD, directory, flags, Mode::empty());
        if let Err(error) = &opened {
            tracing::debug!(directory = %directory.display(), %error, "answers of interpreters are not kept");
        }
        Self(opened.ok())
    }

    /// What is kept under this name.
    pub(crate) fn read(&self, name: &str) -> Option<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(openat(self.0.as_ref()?, name, flags, Mode::empty()).ok()?);
        let mut bytes = Vec::new();
        file.take(ANSWER_BYTES).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// Keeps an answer. Where that fails, the next start asks again.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        if let Err(error) = self.try_write(name, bytes) {
            tracing::debug!(name, %error, "an interpreter's answer is not kept");
        }
    }

    fn try_write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let Some(directory) = &self.0 else { return Ok(()) };
        let draft = format!(".{name}.{}", std::process::id());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let create = || openat(directory, &draft, flags, Mode::from_raw_mode(0o644));
        let opened = create().or_else(|_| {
            unlinkat(directory, &draft, AtFlags::empty())?; // Of a process that ended halfway.
            create()
        });
        let written = File::from(opened?).write_all(bytes);
        let kept = written.and_then(|()| Ok(renameat(directory, &draft, directory, name)?));
        if kept.is_err() {
            let _ = unlinkat(directory, &draft, AtFlags::empty());
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_and_replaces() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::open(directory.path());
        assert_eq!(cache.read("a"), None);
        cache.write("a", b"one");
        cache.write("a", b"two");
        assert_eq!(cache.read("a").unwrap(), b"two");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn follows_no_link() {
        let directory = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(elsewhere.path(), "untouched").unwrap();
        let cache = Cache::open(directory.path());
        for name in ["a".to_owned(), format!(".a.{}", std::process::id())] {
            std::os::unix::fs::symlink(elsewhere.path(), directory.path().join(name)).unwrap();
        }
        assert_eq!(cache.read("a"), None);
        cache.write("a", b"mine");
        assert_eq!(cache.read("a").unwrap(), b"mine");
        assert_eq!(std::fs::read_to_string(elsewhere.path()).unwrap(), "untouched");
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(directory.path(), &link).unwrap();
        assert_eq!(Cache::open(&link).read("a"), None);
    }
}
