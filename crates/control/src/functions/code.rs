//! Taking a package in: checked and unpacked before any record names it.

use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use hearth_api::ApiError;
use hearth_image::{PackageError, Unpacked};
use hearth_types::CodeDigest;
use hearth_types::function::CodeRef;
use hearth_types::limits::ZIP_BYTES;
use tracing::error;

use crate::{Control, invalid, refused};

/// Where a client says the code is.
#[derive(Default)]
pub(crate) struct Source<'a> {
    pub(crate) zip: Option<Bytes>,
    pub(crate) s3_bucket: Option<&'a str>,
    pub(crate) s3_key: Option<&'a str>,
    pub(crate) s3_version: Option<&'a str>,
    pub(crate) image_uri: Option<&'a str>,
}

impl Source<'_> {
    /// The one package that is given.
    ///
    /// # Errors
    /// None, several, one from a place that is not supported, or one that is too large.
    pub(crate) fn package(self) -> Result<Bytes, ApiError> {
        let elsewhere = [self.s3_bucket, self.s3_key, self.s3_version, self.image_uri];
        match self.zip {
            Some(_) if elsewhere.iter().any(Option::is_some) => {
                Err(invalid("Please do not provide other FunctionCode parameters when providing a ZipFile."))
            }
            Some(zip) if zip.len() > ZIP_BYTES => {
                Err(ApiError::request_entity_too_large(format!("Zipped size must be smaller than {ZIP_BYTES} bytes")))
            }
            Some(zip) => Ok(zip),
            None if self.image_uri.is_some() => Err(refused("ImageUri", "only zip packages run")),
            None if elsewhere.iter().any(Option::is_some) => {
                Err(refused("S3Bucket", "give the package inline, as ZipFile"))
            }
            None => Err(invalid("Please provide a source for function code.")),
        }
    }
}

impl Control {
    /// Checks a package and throws the result away, for DryRun.
    pub(crate) async fn check_package(&self, zip: Bytes) -> Result<CodeRef, ApiError> {
        let unpacker = Arc::clone(&self.parts.unpacker);
        self.on_a_core(move || {
            let unpacked = unpacker.check(&zip).map_err(package_error)?;
            Ok(reference(CodeDigest::of(&zip), &zip, unpacked))
        })
        .await
    }

    /// Checks a package, puts it on stable storage and unpacks it.
    ///
    /// What it leaves behind when the record is then not written is removed later, see [`Control::tidy`].
    pub(crate) async fn take_package(&self, zip: Bytes) -> Result<CodeRef, ApiError> {
        let unpacker = Arc::clone(&self.parts.unpacker);
        let sent = Arc::clone(&self.sent);
        let bytes = zip.clone();
        let code = self
            .on_a_core(move || {
                let digest = CodeDigest::of(&bytes);
                sent.lock().unwrap_or_else(PoisonError::into_inner).insert(digest);
                let unpacked = unpacker.unpack(&digest, &bytes).map_err(package_error)?;
                Ok(reference(digest, &bytes, unpacked))
            })
            .await?;
        self.parts.blobs.put(&code.digest, zip).await.map_err(|cause| {
            error!("the blob store refused a package: {cause}");
            ApiError::service("The package could not be stored.")
        })?;
        Ok(code)
    }

    async fn on_a_core<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let turn = Arc::clone(&self.unpacking).acquire_owned().await;
        let turn = turn.map_err(|_| ApiError::service("The server is stopping."))?;
        // The turn is the work's: a client that goes away ends the waiting, but not the work.
        let in_turn = move || {
            let _turn = turn;
            work()
        };
        tokio::task::spawn_blocking(in_turn).await.map_err(|cause| {
            error!("unpacking ended early: {cause}");
            ApiError::service("The package could not be unpacked.")
        })?
    }
}

fn package_error(cause: PackageError) -> ApiError {
    if cause.is_callers() {
        return invalid(cause.message());
    }
    error!("a package was not unpacked: {cause}");
    ApiError::service("The package could not be unpacked.")
}

fn reference(digest: CodeDigest, zip: &[u8], unpacked: Unpacked) -> CodeRef {
    CodeRef { digest, size: zip.len() as u64, unpacked: unpacked.bytes }
}
