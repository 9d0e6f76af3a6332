//! Taking a package in: checked and kept before any record names it.

use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use hearth_api::ApiError;
use hearth_crash::{self as crash, Point};
use hearth_image::{PackageError, Unpacked, judge};
use hearth_store::BlobError;
use hearth_types::CodeDigest;
use hearth_types::function::{Code, CodeRef};
use hearth_types::limits::{UNZIPPED_BYTES, ZIP_BYTES};
use tokio::sync::OwnedSemaphorePermit;
use tracing::error;

use crate::code_source::{NoObject, ObjectName};
use crate::functions::members::PackageKind;
use crate::trees::Turn;
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
    /// It is stored.
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
        let turn = self.turn().await?;
        let checked = self.parts.trees.in_turn(turn, move |unpacker| {
            let unpacked = unpacker.check(&package.bytes).map_err(package_error)?;
            Ok(reference(CodeDigest::of(&package.bytes), &package.bytes, unpacked))
        });
        checked.await.unwrap_or_else(|| Err(not_unpacked()))
    }

    /// Checks a package and puts it on stable storage, at the latest with the next commit. A large one is unpacked then, and
    /// so quickly run; the tree of a small one is made soon.
    ///
    /// What it leaves behind when the record is then not written is removed later, see [`Control::tidy`].
    pub(crate) async fn take_package(&self, package: Package) -> Result<CodeRef, ApiError> {
        let code = match judge(&package.bytes) {
            Some(judged) => {
                let code = reference(CodeDigest::of(&package.bytes), &package.bytes, judged.map_err(package_error)?);
                self.keep_small(code.digest, package.bytes).await?;
                code
            }
            None => self.unpack_and_keep(package.bytes).await?,
        };
        crash::point(Point::PackageKept);
        Ok(code)
    }

    async fn keep_small(&self, digest: CodeDigest, bytes: Bytes) -> Result<(), ApiError> {
        {
            // Without a turn somebody could be removing it: who has all of them does not see what is sent meanwhile.
            let _turn = self.turn().await?;
            self.sent().insert(digest);
        }
        self.parts.blobs.put(&digest, bytes).await.map_err(|cause| not_kept(&cause))?;
        self.parts.trees.soon(digest);
        Ok(())
    }

    async fn unpack_and_keep(&self, package: Bytes) -> Result<CodeRef, ApiError> {
        let (turn, sent, bytes) = (self.turn().await?, Arc::clone(&self.sent), package.clone());
        let unpacked = self.parts.trees.in_turn(turn, move |unpacker| {
            let digest = CodeDigest::of(&bytes);
            sent.lock().unwrap_or_else(PoisonError::into_inner).insert(digest);
            let unpacked = unpacker.unpack(&digest, &bytes).map_err(package_error)?;
            Ok(reference(digest, &bytes, unpacked))
        });
        // It goes to the disk while it is unpacked, and has a name once it is known to be good.
        let (code, staged) = tokio::join!(unpacked, self.parts.blobs.stage(package));
        let code = code.unwrap_or_else(|| Err(not_unpacked()))?;
        let kept = match staged {
            Ok(staged) => staged.keep(code.digest).await,
            Err(cause) => Err(cause),
        };
        kept.map_err(|cause| not_kept(&cause))?;
        Ok(code)
    }

    async fn turn(&self) -> Result<Turn, ApiError> {
        self.parts.trees.turn().await.map_err(|_| ApiError::service("The server is stopping."))
    }
}

fn not_kept(cause: &BlobError) -> ApiError {
    error!("the blob store refused a package: {cause}");
    ApiError::service("The package could not be stored.")
}

fn not_unpacked() -> ApiError {
    ApiError::service("The package could not be unpacked.")
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
    not_unpacked()
}

fn reference(digest: CodeDigest, zip: &[u8], unpacked: Unpacked) -> CodeRef {
    CodeRef { digest, size: zip.len() as u64, unpacked: unpacked.bytes }
}
