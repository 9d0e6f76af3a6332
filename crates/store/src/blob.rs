//! The blob seam: packages by the SHA-256 of their bytes.
//!
//! A blob matters once a record names it, and so it need not be on stable storage before that record is: what is kept is there
//! no later than any commit to the metadata that begins afterwards. An engine may keep blobs apart, with flushes of their
//! own, or together with the metadata, and with one flush for both.

use bytes::Bytes;
use hearth_types::CodeDigest;

use crate::BoxFuture;

/// A content-addressed store. What it holds under a digest never changes.
pub trait BlobStore: Send + Sync + 'static {
    /// Takes `bytes` in without a name yet: what takes long about keeping them can be done while they are looked at.
    ///
    /// # Errors
    /// When the engine fails; then nothing is left.
    fn stage(&self, bytes: Bytes) -> BoxFuture<'_, Result<Box<dyn StagedBlob>, BlobError>>;

    /// Keeps `bytes`, whose digest the caller has computed: found from now on, and on stable storage no later than any
    /// commit to the metadata that begins now. Again is no error.
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

    /// Removes the blob; no error where it is absent. After a crash it may be there again.
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

/// Bytes that are taken in and have no name. Dropped, they are gone.
pub trait StagedBlob: Send {
    /// Names them by their digest, which the caller has computed, see [`BlobStore::put`].
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
