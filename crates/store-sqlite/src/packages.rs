//! The embedded blob engine: small packages in rows beside the metadata, all others in files.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use hearth_store::{BlobError, BlobStore, BoxFuture, StagedBlob};
use hearth_types::CodeDigest;
use hearth_types::limits::SMALL_BLOB_BYTES;

use crate::FileBlobStore;
use crate::writer::{Unwritten, Writer};

/// Packages of up to [`SMALL_BLOB_BYTES`] in a metadata store's file, where a commit's flush is theirs too; others in
/// files, each with flushes of its own. Files with small ones, as earlier versions wrote them, are read and removed.
///
/// The metadata's file stays open for as long as this is there.
#[derive(Clone, Debug)]
pub struct SqliteBlobStore {
    writer: Arc<Writer>,
    files: FileBlobStore,
}

impl SqliteBlobStore {
    pub(crate) fn new(writer: Arc<Writer>, files: FileBlobStore) -> Self {
        Self { writer, files }
    }
}

/// Bytes that wait for their digest.
struct Staged {
    writer: Arc<Writer>,
    bytes: Bytes,
}

impl StagedBlob for Staged {
    fn keep(self: Box<Self>, digest: CodeDigest) -> BoxFuture<'static, Result<(), BlobError>> {
        Box::pin(async move {
            let kept = self.writer.change_blob(digest, Some(self.bytes)).await;
            kept.map_err(|cause| failed("keeping", &digest, cause))
        })
    }
}

impl BlobStore for SqliteBlobStore {
    fn stage(&self, bytes: Bytes) -> BoxFuture<'_, Result<Box<dyn StagedBlob>, BlobError>> {
        if bytes.len() > SMALL_BLOB_BYTES {
            return self.files.stage(bytes);
        }
        let staged = Staged { writer: Arc::clone(&self.writer), bytes };
        Box::pin(async move { Ok(Box::new(staged) as Box<dyn StagedBlob>) })
    }

    fn get<'a>(&'a self, digest: &'a CodeDigest) -> BoxFuture<'a, Result<Option<Bytes>, BlobError>> {
        Box::pin(async move {
            let small = self.writer.blob(*digest).await.map_err(|cause| failed("reading", digest, cause))?;
            match small {
                Some(bytes) if CodeDigest::of(&bytes) != *digest => Err(BlobError::Damaged(*digest)),
                Some(bytes) => Ok(Some(bytes)),
                None => self.files.get(digest).await,
            }
        })
    }

    fn delete<'a>(&'a self, digest: &'a CodeDigest) -> BoxFuture<'a, Result<(), BlobError>> {
        Box::pin(async move {
            let deleted = self.writer.change_blob(*digest, None).await;
            deleted.map_err(|cause| failed("removing", digest, cause))?;
            self.files.delete(digest).await
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<CodeDigest>, BlobError>> {
        Box::pin(async move {
            let mut all = self.writer.blobs().await.map_err(|cause| {
                let what = "listing the packages beside the metadata".to_owned();
                BlobError::Failed { what, cause: io::Error::other(cause) }
            })?;
            all.extend(self.files.list().await?);
            Ok(all.into_iter().collect())
        })
    }
}

fn failed(what: &str, digest: &CodeDigest, cause: Unwritten) -> BlobError {
    BlobError::Failed { what: format!("{what} {digest} beside the metadata"), cause: io::Error::other(cause) }
}
