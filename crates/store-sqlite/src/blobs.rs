//! Packages in files: `<64 hexadecimal digits>`, written aside, flushed, then renamed, so that a name is there only
//! with the whole content.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use hearth_crash::{self as crash, Point};
use hearth_store::{BlobError, BlobStore, BoxFuture, StagedBlob, make_folder};
use hearth_types::CodeDigest;

/// What a file is called until it is whole.
const UNFINISHED: &str = ".unfinished-";

/// Blobs in a folder that this process alone writes.
#[derive(Clone, Debug)]
pub struct FileBlobStore {
    folder: Arc<Path>,
    /// Makes the names of unfinished files differ.
    unfinished: Arc<AtomicU64>,
}

impl FileBlobStore {
    /// Opens the folder, or makes it, and removes what an earlier process left unfinished.
    ///
    /// # Errors
    /// When the folder cannot be made, read or cleaned.
    pub fn open(folder: &Path) -> io::Result<Self> {
        make_folder(folder)?;
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(Self { folder: folder.into(), unfinished: Arc::default() })
    }

    fn path(&self, digest: &CodeDigest) -> PathBuf {
        self.folder.join(digest.to_string())
    }

    fn stage_now(&self, bytes: &[u8]) -> io::Result<Staged> {
        let number = self.unfinished.fetch_add(1, Ordering::Relaxed);
        let staged = Staged { store: self.clone(), path: self.folder.join(format!("{UNFINISHED}{number}")) };
        write_flushed(&staged.path, bytes)?;
        crash::point(Point::BlobWritten);
        Ok(staged)
    }

    fn get_now(&self, digest: &CodeDigest) -> Result<Option<Bytes>, BlobError> {
        match fs::read(self.path(digest)) {
            Ok(bytes) if CodeDigest::of(&bytes) == *digest => Ok(Some(Bytes::from(bytes))),
            Ok(_) => Err(BlobError::Damaged(*digest)),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(self.failed("reading", digest, cause)),
        }
    }

    fn delete_now(&self, digest: &CodeDigest) -> io::Result<()> {
        match fs::remove_file(self.path(digest)) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
            _ => Ok(()),
        }
    }

    fn list_now(&self) -> io::Result<Vec<CodeDigest>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            // What is called otherwise is not ours to judge.
            found.extend(entry?.file_name().to_str().and_then(CodeDigest::from_hex));
        }
        found.sort();
        Ok(found)
    }

    fn flush_folder(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }

    fn failed(&self, what: &str, digest: &CodeDigest, cause: io::Error) -> BlobError {
        BlobError::Failed { what: format!("{what} {}", self.path(digest).display()), cause }
    }
}

/// A file without a name that anybody knows.
struct Staged {
    store: FileBlobStore,
    path: PathBuf,
}

impl Staged {
    /// A file that is there already has the same bytes, or is damaged and mended by this.
    fn keep_now(&self, digest: &CodeDigest) -> io::Result<()> {
        fs::rename(&self.path, self.store.path(digest))?;
        crash::point(Point::BlobNamed);
        self.store.flush_folder()
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // Best effort: the next start removes it too. One that is kept is not called so any more.
        let _ = fs::remove_file(&self.path);
    }
}

impl StagedBlob for Staged {
    fn keep(self: Box<Self>, digest: CodeDigest) -> BoxFuture<'static, Result<(), BlobError>> {
        Box::pin(async move {
            let store = self.store.clone();
            let kept = blocking(move || self.keep_now(&digest)).await?;
            kept.map_err(|cause| store.failed("writing", &digest, cause))
        })
    }
}

fn write_flushed(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Runs `work` on a thread that may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, BlobError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|cause| BlobError::Failed { what: "the blob store's thread".into(), cause: io::Error::other(cause) })
}

impl BlobStore for FileBlobStore {
    fn stage(&self, bytes: Bytes) -> BoxFuture<'_, Result<Box<dyn StagedBlob>, BlobError>> {
        let store = self.clone();
        Box::pin(async move {
            let staged = blocking(move || store.stage_now(&bytes)).await?;
            let failed = |cause| BlobError::Failed { what: format!("writing in {}", self.folder.display()), cause };
            staged.map(|staged| Box::new(staged) as Box<dyn StagedBlob>).map_err(failed)
        })
    }

    fn get<'a>(&'a self, digest: &'a CodeDigest) -> BoxFuture<'a, Result<Option<Bytes>, BlobError>> {
        let (store, name) = (self.clone(), *digest);
        Box::pin(async move { blocking(move || store.get_now(&name)).await? })
    }

    fn delete<'a>(&'a self, digest: &'a CodeDigest) -> BoxFuture<'a, Result<(), BlobError>> {
        let (store, name) = (self.clone(), *digest);
        Box::pin(async move {
            let deleted = blocking(move || store.delete_now(&name)).await?;
            deleted.map_err(|cause| self.failed("removing", digest, cause))
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<CodeDigest>, BlobError>> {
        let store = self.clone();
        Box::pin(async move {
            let listed = blocking(move || store.list_now()).await?;
            listed.map_err(|cause| BlobError::Failed { what: format!("listing {}", self.folder.display()), cause })
        })
    }
}
