//! The seam to packages that clients name and do not send along: objects of S3.

use bytes::Bytes;
use hearth_store::BoxFuture;

/// An object as S3Bucket, S3Key and S3ObjectVersion name it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ObjectName<'a> {
    /// S3Bucket.
    pub bucket: &'a str,
    /// S3Key.
    pub key: &'a str,
    /// S3ObjectVersion; none for the newest.
    pub version: Option<&'a str>,
}

/// Why there is no package.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoObject {
    /// What S3 answers to GetObject: code and text.
    #[error("S3 Error Code: {code}. S3 Error Message: {message}")]
    Refused {
        /// For instance `NoSuchKey`.
        code: String,
        /// As S3 words it.
        message: String,
    },
    /// More bytes than asked for.
    #[error("the object is too large")]
    TooLarge,
    /// The store of the objects does not work.
    #[error("the object cannot be read: {0}")]
    Failed(String),
}

/// Gives objects.
pub trait CodeSource: Send + Sync + 'static {
    /// An object of at most `most` bytes, whole.
    ///
    /// # Errors
    /// See [`NoObject`].
    fn get<'a>(&'a self, object: ObjectName<'a>, most: usize) -> BoxFuture<'a, Result<Bytes, NoObject>>;
}
