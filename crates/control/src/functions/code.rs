//! Taking a package in: checked and unpacked before any record names it.

use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use hearth_api::ApiError;
use hearth_crash::{self as crash, Point};
use hearth_image::{PackageError, Unpacked};
use hearth_types::CodeDigest;
use hearth_types::function::{Code, CodeRef};
use hearth_types::limits::{UNZIPPED_BYTES, ZIP_BYTES};
use tokio::sync::OwnedSemaphorePermit;
use tracing::error;

use crate::code_source::{NoObject, ObjectName};
use crate::functions::members::PackageKind;
use crate::{Control, invalid, refused};

/// Where a client says the code is.
#[derive(Default, Debug)]
pub(crate) struct Source {
    pub(crate) zip: Option<Bytes>,
    pub(crate) s3_bucket: Option<String>,
    pub(crate) s3_key: Option<String>,
    pub(crate) s3_version: Option<String>,
    pub(crate) image_uri: Option<String>,
}

/// A package in memory. One that was fetched holds its turn to be there.
pub(crate) struct Package {
    bytes: Bytes,
    _turn: Option<OwnedSemaphorePermit>,
}

impl From<Bytes> for Package {
    fn from(bytes: Bytes) -> Self {
        Self { bytes, _turn: None }
    }
}

/// What becomes of a package that is fine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Then {
    /// It is stored and unpacked.
    Keep,
    /// Nothing: a dry run.
    Forget,
}

impl Source {
    /// That it is of the function's kind. `doing` is `creating` or `updating`.
    pub(super) fn is_of(&self, kind: PackageKind, doing: &str) -> Result<(), ApiError> {
        match (kind, &self.image_uri) {
            (PackageKind::Zip, Some(_)) => {
                Err(invalid(format!("Please don't provide ImageUri when {doing} a function with packageType Zip.")))
            }
            (PackageKind::Image, None) => {
                Err(invalid(format!("Please provide ImageUri when {doing} a function with packageType Image.")))
            }
            _ => self.is_one(),
        }
    }

    /// That exactly one source is named.
    fn is_one(&self) -> Result<(), ApiError> {
        let has_object = [&self.s3_bucket, &self.s3_key, &self.s3_version].iter().any(|member| member.is_some());
        match (&self.zip, &self.image_uri) {
            (Some(_), image) if has_object || image.is_some() => {
                Err(invalid("Please do not provide other FunctionCode parameters when providing a ZipFile."))
            }
            (Some(zip), _) if zip.len() > ZIP_BYTES => {
                Err(ApiError::request_entity_too_large(format!("Zipped size must be smaller than {ZIP_BYTES} bytes")))
            }
            (None, Some(_)) if has_object => {
                Err(invalid("Please do not provide other FunctionCode parameters when providing an ImageUri."))
            }
            (None, None) if !has_object => Err(invalid("Please provide a source for function code.")),
            _ => Ok(()),
        }
    }

    fn object(&self) -> Result<ObjectName<'_>, ApiError> {
        match (&self.s3_bucket, &self.s3_key) {
            (Some(bucket), Some(key)) => Ok(ObjectName { bucket, key, version: self.s3_version.as_deref() }),
            _ => Err(invalid("Please provide both S3Bucket and S3Key.")),
        }
    }
}

impl Control {
    /// The code that a client gives or names.
    ///
    /// # Errors
    /// As [`Control::package`], and for what is no package.
    pub(super) async fn code(&self, mut source: Source, then: Then) -> Result<Code, ApiError> {
        if let Some(uri) = source.image_uri.take() {
            return image(uri);
        }
        let package = self.package(source).await?;
        match then {
            Then::Keep => self.take_package(package).await.map(Code::Zip),
            Then::Forget => self.check_package(package).await.map(Code::Zip),
        }
    }

    /// The one package that a client gives or names.
    ///
    /// # Errors
    /// None, several, one that S3 does not give, or one that is too large.
    pub(crate) async fn package(&self, source: Source) -> Result<Package, ApiError> {
        source.is_one()?;
        match source.zip {
            Some(bytes) => Ok(bytes.into()),
            None => self.fetch(source.object()?).await,
        }
    }

    /// A package in S3. It may be as large as it may be unpacked.
    async fn fetch(&self, object: ObjectName<'_>) -> Result<Package, ApiError> {
        let Some(objects) = &self.parts.objects else {
            return Err(refused("S3Bucket", "give the package inline, as ZipFile"));
        };
        let turn = Arc::clone(&self.fetching).acquire_owned().await;
        let turn = turn.map_err(|_| ApiError::service("The server is stopping."))?;
        match objects.get(object, UNZIPPED_BYTES as usize).await {
            Ok(bytes) => Ok(Package { bytes, _turn: Some(turn) }),
            Err(NoObject::TooLarge) => {
                Err(invalid(format!("Unzipped size must be smaller than {UNZIPPED_BYTES} bytes")))
            }
            Err(cause @ NoObject::Refused { .. }) => Err(invalid(format!("Error occurred while GetObject. {cause}"))),
            Err(cause @ NoObject::Failed(_)) => {
                error!("a package was not fetched: {cause}");
                Err(ApiError::service("The package could not be fetched."))
            }
        }
    }

    /// Checks a package and throws the result away, for DryRun.
    async fn check_package(&self, package: Package) -> Result<CodeRef, ApiError> {
        let unpacker = Arc::clone(&self.parts.unpacker);
        on_a_core(self.turn().await?, move || {
            let unpacked = unpacker.check(&package.bytes).map_err(package_error)?;
            Ok(reference(CodeDigest::of(&package.bytes), &package.bytes, unpacked))
        })
        .await
    }

    /// Checks a package, puts it on stable storage and unpacks it.
    ///
    /// What it leaves behind when the record is then not written is removed later, see [`Control::tidy`].
    pub(crate) async fn take_package(&self, package: Package) -> Result<CodeRef, ApiError> {
        let unpacker = Arc::clone(&self.parts.unpacker);
        let sent = Arc::clone(&self.sent);
        let bytes = package.bytes.clone();
        let unpacked = on_a_core(self.turn().await?, move || {
            let digest = CodeDigest::of(&bytes);
            sent.lock().unwrap_or_else(PoisonError::into_inner).insert(digest);
            let unpacked = unpacker.unpack(&digest, &bytes).map_err(package_error)?;
            Ok(reference(digest, &bytes, unpacked))
        });
        // It goes to the disk while it is unpacked, and has a name once it is known to be good.
        let (code, staged) = tokio::join!(unpacked, self.parts.blobs.stage(package.bytes));
        let code = code?;
        let kept = match staged {
            Ok(staged) => staged.keep(code.digest).await,
            Err(cause) => Err(cause),
        };
        kept.map_err(|cause| {
            error!("the blob store refused a package: {cause}");
            ApiError::service("The package could not be stored.")
        })?;
        crash::point(Point::PackageKept);
        Ok(code)
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let turn = Arc::clone(&self.unpacking).acquire_owned().await;
        turn.map_err(|_| ApiError::service("The server is stopping."))
    }
}

/// The turn is the work's: a client that goes away ends the waiting, but not the work.
async fn on_a_core<T: Send + 'static>(
    turn: OwnedSemaphorePermit,
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let in_turn = move || {
        let _turn = turn;
        work()
    };
    tokio::task::spawn_blocking(in_turn).await.map_err(|cause| {
        error!("unpacking ended early: {cause}");
        ApiError::service("The package could not be unpacked.")
    })?
}

/// Nothing here asks a registry, so that any URI will do that can be one.
fn image(uri: String) -> Result<Code, ApiError> {
    if uri.is_empty() || uri.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(invalid(format!("Source image {uri} is not valid. Provide a valid source image.")));
    }
    Ok(Code::Image { uri })
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
