//! Which trees are whole, though no file of theirs is flushed on the way of a deploy.
//!
//! A tree gets a mark when it is written: the kernel's boot id, so that the mark is good until the machine goes down;
//! what a crash of the machine may have taken is unpacked again from its zip. Some time later the whole file system is
//! flushed once and the marks become good for ever. A mark says, too, what was found in the package, which so need not be
//! read again when it comes again.

use std::collections::HashSet;
use std::convert::Infallible;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use hearth_types::CodeDigest;
use hearth_types::limits::CODE_FLUSH_DELAY;
use tracing::warn;

use crate::Unpacked;

const FLUSHED: &str = "flushed";

/// One mark, in its file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Mark {
    /// The boot during which the tree was written, or [`FLUSHED`].
    since: String,
    /// What the package holds; none in a mark of an earlier version.
    pub(crate) unpacked: Option<Unpacked>,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.since)?;
        self.unpacked.map_or(Ok(()), |unpacked| write!(f, " {} {}", unpacked.bytes, unpacked.entries))
    }
}

impl FromStr for Mark {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let mut words = text.split(' ');
        let since = words.next().unwrap_or_default().to_owned();
        let sizes = (words.next().map(str::parse), words.next().map(str::parse), words.next());
        let unpacked = match sizes {
            (Some(Ok(bytes)), Some(Ok(entries)), None) => Some(Unpacked { bytes, entries }),
            _ => None,
        };
        Ok(Self { since, unpacked })
    }
}

/// The marks of all trees.
#[derive(Debug)]
pub(crate) struct Marks {
    folder: PathBuf,
    boot: String,
    unflushed: Mutex<Unflushed>,
}

#[derive(Debug, Default)]
struct Unflushed {
    trees: HashSet<CodeDigest>,
    /// Some while a thread waits to flush them; it ends without a flush when this goes.
    awaited: Option<mpsc::Sender<()>>,
}

/// An identifier that changes with each start of the machine.
pub(crate) fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

impl Marks {
    pub(crate) fn open(folder: PathBuf, boot: String) -> io::Result<Arc<Self>> {
        fs::create_dir_all(&folder)?;
        let marks = Arc::new(Self { folder, boot, unflushed: Mutex::default() });
        // An earlier process of this boot may have ended before its flush.
        for entry in fs::read_dir(&marks.folder)? {
            let digest = entry?.file_name().to_str().and_then(CodeDigest::from_hex);
            if let Some(digest) =
                digest.filter(|digest| marks.read(digest).is_some_and(|mark| mark.since == marks.boot))
            {
                marks.flush_later(&mut marks.lock(), digest);
            }
        }
        Ok(marks)
    }

    /// The mark of a tree that was written whole and is still there whole.
    pub(crate) fn of(&self, digest: &CodeDigest) -> Option<Mark> {
        self.read(digest).filter(|mark| mark.since == FLUSHED || mark.since == self.boot)
    }

    /// Marks a tree that has just got its name.
    pub(crate) fn mark(self: &Arc<Self>, digest: &CodeDigest, unpacked: Unpacked) -> io::Result<()> {
        let mut unflushed = self.lock();
        let mark = Mark { since: self.boot.clone(), unpacked: Some(unpacked) };
        fs::write(self.path(digest), mark.to_string())?;
        self.flush_later(&mut unflushed, *digest);
        Ok(())
    }

    /// Before a tree goes.
    pub(crate) fn unmark(&self, digest: &CodeDigest) -> io::Result<()> {
        let mut unflushed = self.lock();
        unflushed.trees.remove(digest);
        match fs::remove_file(self.path(digest)) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
            _ => Ok(()),
        }
    }

    /// Flushes all trees marked so far and makes their marks good for ever.
    pub(crate) fn flush(&self) -> io::Result<()> {
        let trees = {
            let mut unflushed = self.lock();
            unflushed.awaited = None;
            std::mem::take(&mut unflushed.trees)
        };
        if trees.is_empty() {
            return Ok(());
        }
        rustix::fs::syncfs(File::open(&self.folder)?)?;
        let unflushed = self.lock();
        // Not those that were removed meanwhile, nor those that were then written again.
        for digest in trees.difference(&unflushed.trees) {
            if let Some(mark) = self.read(digest) {
                fs::write(self.path(digest), Mark { since: FLUSHED.to_owned(), ..mark }.to_string())?;
            }
        }
        Ok(())
    }

    fn flush_later(self: &Arc<Self>, unflushed: &mut Unflushed, digest: CodeDigest) {
        unflushed.trees.insert(digest);
        if unflushed.awaited.is_some() {
            return;
        }
        let (awaited, end) = mpsc::channel();
        let marks = Arc::downgrade(self);
        let thread = thread::Builder::new().name("hearth-flush".into()).spawn(move || {
            // Late on purpose: a flush beside the commit of the same deploy would slow it down.
            if end.recv_timeout(CODE_FLUSH_DELAY) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            if let Some(Err(cause)) = marks.upgrade().map(|marks| marks.flush()) {
                warn!(
                    "unpacked packages are not flushed: after a crash of the machine they are unpacked again: {cause}"
                );
            }
        });
        // Without a thread the next marking tries again.
        unflushed.awaited = thread.ok().map(|_| awaited);
    }

    fn read(&self, digest: &CodeDigest) -> Option<Mark> {
        fs::read_to_string(self.path(digest)).ok()?.parse().ok()
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn path(&self, digest: &CodeDigest) -> PathBuf {
        self.folder.join(digest.to_string())
    }

    fn lock(&self) -> MutexGuard<'_, Unflushed> {
        self.unflushed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_says_when_and_what() {
        let mark = Mark { since: "boot".to_owned(), unpacked: Some(Unpacked { bytes: 7, entries: 2 }) };
        assert_eq!(mark.to_string().parse(), Ok(mark));
        for text in ["flushed", "flushed 7", "flushed 7 x", "flushed 7 2 1", "flushed -7 2", "flushed 7 "] {
            assert_eq!(text.parse(), Ok(Mark { since: FLUSHED.to_owned(), unpacked: None }), "{text:?}");
        }
    }
}
