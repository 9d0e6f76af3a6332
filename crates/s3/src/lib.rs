//! S3 for what Lambda needs of it: packages, layers and the objects of functions. A neighbour of the Lambda API on the
//! same port, with buckets, objects, versions and uploads in parts; every answer is S3's, or says what is missing.
//!
//! The crate knows S3's names on the wire, which no other crate does; see `docs/adr` for why it is not generated.

mod access;
mod address;
mod buckets;
mod conditions;
mod contents;
mod copy;
mod delete;
mod digest;
mod error;
mod happening;
mod headers;
mod list;
mod multipart;
mod notifications;
mod notify;
mod objects;
mod parts;
mod receive;
mod records;
mod route;
mod send;
mod settings;
mod state;
mod tagging;
mod versions;
mod xml;

use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use hearth_delivery::Outbox;
use hearth_store::MetadataStore;
use hearth_types::Place;

use crate::contents::Contents;
pub use crate::error::{S3Error, read_error};

/// What the buckets are made of.
pub struct Parts {
    /// Where this server says it is: buckets are in its region and of its account.
    pub place: Place,
    /// Records.
    pub store: Arc<dyn MetadataStore>,
    /// Time since 1970.
    pub now: fn() -> Duration,
}

/// All buckets of a server.
pub struct S3 {
    parts: Parts,
    contents: Arc<Contents>,
    /// Objects, older versions and parts that there are.
    records: AtomicUsize,
    /// What tells others what happened; it sends to buckets too, and comes later.
    outbox: OnceLock<Weak<Outbox>>,
}

impl S3 {
    /// Over these parts, with the objects' bytes in `folder`. Removes what an earlier process left unfinished.
    ///
    /// # Errors
    /// When the folder or the metadata cannot be read.
    pub async fn open(parts: Parts, folder: &Path) -> Result<Arc<Self>, OpenError> {
        let contents = Contents::open(folder).map_err(|cause| OpenError(format!("{}: {cause}", folder.display())))?;
        let s3 = Self { parts, contents: Arc::new(contents), records: AtomicUsize::new(0), outbox: OnceLock::new() };
        s3.recover().await.map_err(|cause| OpenError(cause.to_string()))?;
        Ok(Arc::new(s3))
    }

    fn now_ms(&self) -> i64 {
        i64::try_from((self.parts.now)().as_millis()).unwrap_or(i64::MAX)
    }

    fn region(&self) -> &str {
        &self.parts.place.region
    }

    /// The account in the form that S3 gives owners: 64 hexadecimal digits.
    fn owner(&self) -> String {
        use sha2::Digest as _;
        digest::hex(&sha2::Sha256::digest(self.parts.place.account.as_bytes()))
    }
}

/// A random name of an upload or a version: 32 letters and digits.
fn random_id() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// The buckets cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("the objects of S3: {0}")]
pub struct OpenError(String);
