//! The blob seam: packages by the SHA-256 of their bytes.

use bytes::Bytes;
use hearth_types::CodeDigest;

use crate::BoxFuture;

/// A content-addressed store. What it holds under a digest never changes.
pub trait BlobStore: Send + Sync + 'static {
    /// Puts `bytes` on stable storage without a name yet: what takes long about keeping them can be done while they are
    /// looked at.
    ///
    /// # Errors
    /// When the engine fails; then nothing is left.
    fn stage(&self, bytes: Bytes) -> BoxFuture<'_, Result<Box<dyn StagedBlob>, BlobError>>;

    /// Keeps `bytes`, whose digest the caller has computed. On stable storage when it returns; again is no error.
    ///
    /// # Errors
    /// When the engine fails; then the blob may or may not be there, but never in part.
    fn put<'a>(&'a self, digest: &'a CodeDigest, bytes: Bytes) -> BoxFuture<'a, Result<(), BlobError>> {
        Box::pin(async move { self.stage(bytes).await?.keep(*digest).await })
    }

    /// The blob, checked against its digest; none where it is absent.
    ///
    /// # Errors
    /// When the engine fails, or the bytes are no longer those that were put.
    fn get<'a>(&'a self, digest: &'a CodeDigest) -> BoxFuture<'a, Result<Option<Bytes>, BlobError>>;

    /// Removes the blob; no error where it is absent.
    ///
    /// # Errors
    /// When the engine fails.
    fn delete<'a>(&'a self, digest: &'a CodeDigest) -> BoxFuture<'a, Result<(), BlobError>>;

    /// Every blob's digest, in order.
    ///
    /// # Errors
    /// When the engine fails.
    fn list(&self) -> BoxFuture<'_, Result<Vec<CodeDigest>, BlobError>>;
}

/// Bytes that are stored and have no name. Dropped, they are gone.
pub trait StagedBlob: Send {
    /// Names them by their digest, which the caller has computed; on stable storage when it returns.
    ///
    /// # Errors
    /// When the engine fails; then the blob may or may not be there, but never in part.
    fn keep(self: Box<Self>, digest: CodeDigest) -> BoxFuture<'static, Result<(), BlobError>>;
}

/// Why a blob operation failed.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The stored bytes have another digest: the disk or somebody else changed them.
    #[error("the blob {0} is damaged: deploy the code again or restore the file from a backup")]
    Damaged(CodeDigest),
    /// The engine failed.
    #[error("{what}: {cause}")]
    Failed {
        /// What was tried, with the name.
        what: String,
        /// Why it did not work.
        cause: std::io::Error,
    },
}
