//! The bytes of objects: files that are written once, then only linked, read and removed.
//!
//! A file is on stable storage before a record names it; a file that no record names is garbage, and goes at the next
//! start. So no order of steps and no crash loses what was acknowledged, or leaves something behind for good.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearth_crash::{self as crash, Point};
use hearth_store::make_folder;
use serde::{Deserialize, Serialize};
use tracing::warn;
use uuid::Uuid;

/// Names a file; never used again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct ContentId(#[serde(with = "uuid::serde::simple")] Uuid);

/// A folder of files that this process alone writes.
#[derive(Debug)]
pub(crate) struct Contents {
    folder: PathBuf,
    /// Files that are being read.
    pins: Mutex<HashMap<ContentId, Pins>>,
}

/// Who reads a file.
#[derive(Default, Debug)]
struct Pins {
    readers: usize,
    /// No record names it any more: the last reader removes it.
    is_doomed: bool,
}

impl Contents {
    /// Opens the folder, or makes it.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        make_folder(folder)?;
        Ok(Self { folder: folder.to_owned(), pins: Mutex::default() })
    }

    /// Removes the files that are not in `used`. Only while nothing else happens.
    pub(crate) fn retain(&self, used: &HashSet<ContentId>) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            // What is called otherwise is not ours to judge.
            let id = name.to_str().and_then(|name| Uuid::try_parse(name).ok()).map(ContentId);
            if let Some(id) = id.filter(|id| !used.contains(id)) {
                fs::remove_file(self.path(id))?;
            }
        }
        Ok(())
    }

    /// A new file, empty.
    pub(crate) fn create(self: &Arc<Self>) -> io::Result<Draft> {
        let kept = Kept::new(self);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.path(kept.id()))?;
        Ok(Draft { file, kept })
    }

    /// Another name for a file's bytes, with a life of its own.
    pub(crate) fn link(self: &Arc<Self>, from: ContentId) -> io::Result<Kept> {
        let kept = Kept::new(self);
        let (from, to) = (self.path(from), self.path(kept.id()));
        match fs::hard_link(&from, &to) {
            // A file has only so many names, and some file systems give it one.
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                fs::copy(&from, &to)?;
                File::open(&to)?.sync_all()?;
            }
            linked => linked?,
        }
        self.flush_folder()?;
        Ok(kept)
    }

    /// Keeps these files readable, whatever becomes of their records, as long as the guard lives.
    pub(crate) fn pin(self: &Arc<Self>, ids: Vec<ContentId>) -> Pinned {
        let mut pins = self.pins();
        for id in &ids {
            pins.entry(*id).or_default().readers += 1;
        }
        drop(pins);
        Pinned { contents: Arc::clone(self), ids }
    }

    /// Opens a file that is pinned.
    pub(crate) fn read(&self, id: ContentId) -> io::Result<File> {
        File::open(self.path(id))
    }

    /// Removes files that no record names any more.
    pub(crate) fn remove(&self, ids: &[ContentId]) {
        for id in ids {
            let is_read = match self.pins().get_mut(id) {
                Some(pins) => {
                    pins.is_doomed = true;
                    true
                }
                None => false,
            };
            if !is_read {
                self.unlink(*id);
            }
        }
    }

    fn unlink(&self, id: ContentId) {
        match fs::remove_file(self.path(id)) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                // The next start tries again.
                warn!("an object's file is left behind: {}: {cause}", self.path(id).display());
            }
            _ => {}
        }
    }

    fn flush_folder(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }

    fn path(&self, id: ContentId) -> PathBuf {
        self.folder.join(id.0.simple().to_string())
    }

    fn pins(&self) -> MutexGuard<'_, HashMap<ContentId, Pins>> {
        self.pins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file that is being written. Dropped, it goes.
#[derive(Debug)]
pub(crate) struct Draft {
    file: File,
    kept: Kept,
}

impl Draft {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    /// Puts it on stable storage.
    pub(crate) fn finish(self) -> io::Result<Kept> {
        self.file.sync_all()?;
        self.kept.contents.flush_folder()?;
        crash::point(Point::ObjectWritten);
        Ok(self.kept)
    }
}

/// A file on stable storage that no record names yet. Dropped, it goes.
#[derive(Debug)]
pub(crate) struct Kept {
    contents: Arc<Contents>,
    /// None once it is a record's.
    id: Option<ContentId>,
    name: ContentId,
}

impl Kept {
    fn new(contents: &Arc<Contents>) -> Self {
        let name = ContentId(Uuid::new_v4());
        Self { contents: Arc::clone(contents), id: Some(name), name }
    }

    pub(crate) fn id(&self) -> ContentId {
        self.name
    }

    /// A record names it, or may do so: it stays. To be said before the commit that names it: who waits for that may go
    /// at any time, as at the end of the server, and the commit goes on.
    pub(crate) fn keep(&mut self) {
        self.id = None;
    }

    /// No record names it after all.
    pub(crate) fn is_not_named(&mut self) {
        self.id = Some(self.name);
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            self.contents.unlink(id);
        }
    }
}

/// Keeps files readable while it lives.
#[derive(Debug)]
pub(crate) struct Pinned {
    contents: Arc<Contents>,
    ids: Vec<ContentId>,
}

impl Pinned {
    pub(crate) fn contents(&self) -> &Contents {
        &self.contents
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let mut doomed = Vec::new();
        let mut pins = self.contents.pins();
        for id in &self.ids {
            let Some(found) = pins.get_mut(id) else { continue };
            found.readers -= 1;
            if found.readers == 0 {
                doomed.extend(found.is_doomed.then_some(*id));
                pins.remove(id);
            }
        }
        drop(pins);
        for id in doomed {
            self.contents.unlink(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn written(contents: &Arc<Contents>, text: &str) -> Kept {
        let mut draft = contents.create().unwrap();
        draft.write(text.as_bytes()).unwrap();
        draft.finish().unwrap()
    }

    fn files(contents: &Contents) -> usize {
        fs::read_dir(&contents.folder).unwrap().count()
    }

    fn text(contents: &Contents, id: ContentId) -> io::Result<String> {
        let mut text = String::new();
        contents.read(id)?.read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn only_what_a_record_names_stays() {
        let folder = tempfile::tempdir().unwrap();
        let contents = Arc::new(Contents::open(folder.path()).unwrap());
        drop(contents.create().unwrap());
        drop(written(&contents, "dropped"));
        assert_eq!(files(&contents), 0);
        let (mut first, mut second) = (written(&contents, "first"), written(&contents, "second"));
        let (used, garbage) = (first.id(), second.id());
        first.keep();
        second.keep();
        fs::write(folder.path().join("another's"), "").unwrap();
        contents.retain(&HashSet::from([used])).unwrap();
        assert_eq!(text(&contents, used).unwrap(), "first");
        assert!(text(&contents, garbage).is_err());
        assert_eq!(files(&contents), 2);
    }

    #[test]
    fn a_link_outlives_what_it_was_made_of() {
        let folder = tempfile::tempdir().unwrap();
        let contents = Arc::new(Contents::open(folder.path()).unwrap());
        let first = written(&contents, "text");
        let link = contents.link(first.id()).unwrap();
        drop(first);
        assert_eq!(text(&contents, link.id()).unwrap(), "text");
        assert!(contents.link(ContentId(Uuid::new_v4())).is_err());
    }

    #[test]
    fn a_file_goes_with_its_last_reader() {
        let folder = tempfile::tempdir().unwrap();
        let contents = Arc::new(Contents::open(folder.path()).unwrap());
        let mut kept = written(&contents, "text");
        let id = kept.id();
        kept.keep();
        let (one, two) = (contents.pin(vec![id]), contents.pin(vec![id]));
        contents.remove(&[id]);
        drop(one);
        assert_eq!(text(&contents, id).unwrap(), "text");
        drop(two);
        assert_eq!(files(&contents), 0);
    }
}
