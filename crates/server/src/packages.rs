//! Packages that clients name by bucket and key: our own S3 has them.

use std::sync::Arc;

use bytes::Bytes;
use hearth_control::code_source::{CodeSource, NoObject, ObjectName};
use hearth_s3::S3;
use hearth_store::BoxFuture;

/// Reads packages from our own buckets.
pub(crate) struct OwnBuckets(pub(crate) Arc<S3>);

impl CodeSource for OwnBuckets {
    fn get<'a>(&'a self, object: ObjectName<'a>, most: usize) -> BoxFuture<'a, Result<Bytes, NoObject>> {
        Box::pin(async move {
            let got = self.0.read_object(object.bucket, object.key, object.version, most as u64).await;
            got.map_err(|error| match error.code {
                "EntityTooLarge" => NoObject::TooLarge,
                "InternalError" => NoObject::Failed(error.message),
                code => NoObject::Refused { code: code.to_owned(), message: error.message },
            })
        })
    }
}
