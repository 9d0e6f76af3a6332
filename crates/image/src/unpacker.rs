//! The store of unpacked packages: `code/<digest>/`, one tree for each, which appears whole or not at all.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearth_types::{CodeDigest, package};
use tracing::warn;

use crate::durable::{Mark, Marks, boot_id};
use crate::{PackageError, Reader, Staging, Unpacked, Wanted};

const MARKS: &str = ".whole";

/// Unpacks packages into a folder that this process alone writes.
#[derive(Debug)]
pub struct Unpacker {
    folder: PathBuf,
    reader: Arc<dyn Reader>,
    marks: Arc<Marks>,
    /// Makes the names of staging folders differ.
    stagings: AtomicU64,
    /// Held while trees get and lose their names.
    names: Mutex<()>,
    /// Those that are known to be whole. Never held while the disk works.
    known: Mutex<HashSet<CodeDigest>>,
}

impl Unpacker {
    /// Over `folder`, which is made where it is absent and cleaned of what an earlier process left unfinished; `reader`
    /// reads the archives.
    ///
    /// # Errors
    /// When the folder cannot be made, read or cleaned.
    pub fn new(folder: impl Into<PathBuf>, reader: Arc<dyn Reader>) -> io::Result<Self> {
        Self::after_boot(folder.into(), reader, boot_id()?)
    }

    fn after_boot(folder: PathBuf, reader: Arc<dyn Reader>, boot: String) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(package::STAGING) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        let marks = Marks::open(folder.join(MARKS), boot)?;
        Ok(Self {
            folder,
            reader,
            marks,
            stagings: AtomicU64::new(0),
            names: Mutex::default(),
            known: Mutex::default(),
        })
    }

    /// Reads a package through, its content too, and writes nothing. Blocks for as long as unpacking takes.
    ///
    /// # Errors
    /// What is wrong with the package.
    pub fn check(&self, zip: &[u8]) -> Result<Unpacked, PackageError> {
        self.reader.read(zip, Wanted::Check)
    }

    /// Unpacks the package with this digest; nothing is to do where it is whole already. Blocks.
    ///
    /// # Errors
    /// What is wrong with the package, or that the disk failed. Nothing is left of it then.
    pub fn unpack(&self, digest: &CodeDigest, zip: &[u8]) -> Result<Unpacked, PackageError> {
        if let Some(mark) = self.mark_of_whole(digest) {
            return mark.unpacked.map_or_else(|| self.reader.read(zip, Wanted::Plan), Ok);
        }
        let staging = self.stage().map_err(PackageError::disk("making a folder"))?;
        let unpacked = self.reader.read(zip, Wanted::Tree(&staging))?;
        self.publish(digest, &staging, unpacked).map_err(PackageError::disk("giving the package its name"))?;
        Ok(unpacked)
    }

    /// Whether the package's tree is there, whole: also after a crash of the machine. Looks at the disk where it is not
    /// known.
    #[must_use]
    pub fn is_whole(&self, digest: &CodeDigest) -> bool {
        if self.is_known(digest) {
            return true;
        }
        let _names = self.names();
        let is_whole = self.mark_of_whole(digest).is_some();
        if is_whole {
            self.known().insert(*digest);
        }
        is_whole
    }

    /// Whether the tree was there, whole, when it was last looked for. Does not look at the disk.
    #[must_use]
    pub fn is_known(&self, digest: &CodeDigest) -> bool {
        self.known().contains(digest)
    }

    fn mark_of_whole(&self, digest: &CodeDigest) -> Option<Mark> {
        self.marks.of(digest).filter(|_| self.path(digest).is_dir())
    }

    /// Where the package's tree is, or would be.
    #[must_use]
    pub fn path(&self, digest: &CodeDigest) -> PathBuf {
        self.folder.join(digest.to_string())
    }

    /// Removes a package's tree; no error where it is absent. No environment may use it any more.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn remove(&self, digest: &CodeDigest) -> io::Result<()> {
        let aside = {
            let _names = self.names();
            self.known().remove(digest);
            self.set_aside(digest)?
        };
        drop(aside);
        Ok(())
    }

    /// All packages of which there is a tree, or a trace of one.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn list(&self) -> io::Result<HashSet<CodeDigest>> {
        let mut all = HashSet::new();
        // A mark without a tree is of no use either.
        for folder in [&self.folder, self.marks.folder()] {
            for entry in fs::read_dir(folder)? {
                all.extend(entry?.file_name().to_str().and_then(CodeDigest::from_hex));
            }
        }
        Ok(all)
    }

    /// Flushes to the disk what was unpacked so far, so that it need not be unpacked again after a crash of the
    /// machine. It happens by itself some time after an unpacking.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn flush(&self) -> io::Result<()> {
        self.marks.flush()
    }

    fn publish(&self, digest: &CodeDigest, staging: &Staging, unpacked: Unpacked) -> io::Result<()> {
        let _names = self.names();
        if self.mark_of_whole(digest).is_none() {
            let _old = self.set_aside(digest)?;
            fs::rename(&staging.path, self.path(digest))?;
            self.marks.mark(digest, unpacked)?;
        }
        // Else somebody was faster; their tree may be in use.
        self.known().insert(*digest);
        Ok(())
    }

    /// Takes a tree's mark, then its name; the tree goes when the result is dropped.
    fn set_aside(&self, digest: &CodeDigest) -> io::Result<Option<Staging>> {
        self.marks.unmark(digest)?;
        let aside = self.next_staging();
        match fs::rename(self.path(digest), &aside.path) {
            Ok(()) => Ok(Some(aside)),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(cause),
        }
    }

    fn names(&self) -> MutexGuard<'_, ()> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> MutexGuard<'_, HashSet<CodeDigest>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stage(&self) -> io::Result<Staging> {
        let staging = self.next_staging();
        fs::DirBuilder::new().mode(0o755).create(&staging.path)?;
        // The process's umask may have taken bits away.
        fs::set_permissions(&staging.path, fs::Permissions::from_mode(0o755))?;
        Ok(staging)
    }

    fn next_staging(&self) -> Staging {
        let number = self.stagings.fetch_add(1, Ordering::Relaxed);
        Staging { path: self.folder.join(package::staging(number)), number }
    }
}

/// A folder goes with this value, unless it got another name.
impl Drop for Staging {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

fn remove(path: &Path) {
    match fs::remove_dir_all(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
            warn!("{} stays until the next start: {cause}", path.display());
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
