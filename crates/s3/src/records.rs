//! What is kept of buckets, objects and uploads in the metadata store, and where.
//!
//! | key | record |
//! |---|---|
//! | `bucket/BUCKET` | [`Bucket`] |
//! | `object/BUCKET/KEY` | the latest [`Version`] of an object |
//! | `object-version/BUCKET/KEY` NUL `NUMBER` | an older one; numbers count down, so that the newest comes first |
//! | `upload/BUCKET/KEY` NUL `ID` | [`Upload`] |
//! | `upload-part/ID/NUMBER` | [`Part`] |
//!
//! Keys of objects are in the order of their bytes, as S3 lists them; a key has no NUL.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::contents::ContentId;
use crate::digest::Algorithm;
use crate::notifications::Notifications;

/// Prefix of all buckets.
pub(crate) const BUCKETS: &str = "bucket/";
/// Prefix of the latest versions of all objects.
pub(crate) const OBJECTS: &str = "object/";
/// Prefix of all older versions.
pub(crate) const OLDER: &str = "object-version/";
/// Prefix of all uploads.
pub(crate) const UPLOADS: &str = "upload/";
/// Prefix of all parts.
pub(crate) const PARTS: &str = "upload-part/";

pub(crate) fn bucket(name: &str) -> String {
    format!("{BUCKETS}{name}")
}

pub(crate) fn objects(bucket: &str) -> String {
    format!("{OBJECTS}{bucket}/")
}

pub(crate) fn object(bucket: &str, key: &str) -> String {
    format!("{OBJECTS}{bucket}/{key}")
}

/// All older versions of a bucket's objects.
pub(crate) fn all_older(bucket: &str) -> String {
    format!("{OLDER}{bucket}/")
}

/// The older versions of one object.
pub(crate) fn older(bucket: &str, key: &str) -> String {
    format!("{OLDER}{bucket}/{key}\0")
}

pub(crate) fn older_version(bucket: &str, key: &str, generation: u64) -> String {
    format!("{}{:020}", older(bucket, key), u64::MAX - generation)
}

pub(crate) fn uploads(bucket: &str) -> String {
    format!("{UPLOADS}{bucket}/")
}

pub(crate) fn upload(bucket: &str, key: &str, id: &str) -> String {
    format!("{UPLOADS}{bucket}/{key}\0{id}")
}

pub(crate) fn parts(upload: &str) -> String {
    format!("{PARTS}{upload}/")
}

pub(crate) fn part(upload: &str, number: u32) -> String {
    format!("{PARTS}{upload}/{number:05}")
}

/// A bucket.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Bucket {
    pub(crate) created_ms: i64,
    #[serde(default)]
    pub(crate) versioning: Versioning,
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) public_access_block: Option<PublicAccessBlock>,
    #[serde(default)]
    pub(crate) ownership: Option<Ownership>,
    #[serde(default)]
    pub(crate) notifications: Notifications,
    /// It was empty and is being deleted: nothing may be put into it.
    #[serde(default)]
    pub(crate) is_going: bool,
}

/// What becomes of an object that is replaced or deleted.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub(crate) enum Versioning {
    /// It is gone.
    #[default]
    Off,
    /// It stays as an older version.
    Enabled,
    /// Versions that have an id stay; the one without is replaced.
    Suspended,
}

/// All of it always holds: nothing here is public, by list or by policy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PublicAccessBlock {
    #[serde(default)]
    pub(crate) block_public_acls: bool,
    #[serde(default)]
    pub(crate) ignore_public_acls: bool,
    #[serde(default)]
    pub(crate) block_public_policy: bool,
    #[serde(default)]
    pub(crate) restrict_public_buckets: bool,
}

/// The bucket's owner owns all that is in it, and access lists are not used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Ownership {
    /// The only one that is served.
    BucketOwnerEnforced,
}

/// A version of an object, the latest or an older one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Version {
    /// None for the one that S3 calls `null`.
    #[serde(default)]
    pub(crate) id: Option<String>,
    /// Grows with each version of the key.
    pub(crate) generation: u64,
    pub(crate) modified_ms: i64,
    /// None for a delete marker.
    #[serde(default)]
    pub(crate) content: Option<Content>,
}

impl Version {
    /// As clients name it.
    pub(crate) fn shown_id(&self) -> &str {
        self.id.as_deref().unwrap_or("null")
    }

    /// The files of its bytes.
    pub(crate) fn files(&self) -> impl Iterator<Item = ContentId> {
        self.content.iter().flat_map(|content| content.segments.iter().map(|segment| segment.file))
    }
}

/// What an object is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Content {
    pub(crate) size: u64,
    /// Without quotes.
    pub(crate) etag: String,
    /// In order. One for what was sent at once, one for each part otherwise; none for no bytes.
    #[serde(default)]
    pub(crate) segments: Vec<Segment>,
    #[serde(default)]
    pub(crate) checksum: Option<Checksum>,
    #[serde(flatten)]
    pub(crate) described: Described,
}

/// What a client says of an object.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub(crate) struct Described {
    /// Content-Type and its like, names in lower case.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// Its own metadata, names in lower case and without `x-amz-meta-`.
    #[serde(default)]
    pub(crate) metadata: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
}

/// A file that holds a stretch of an object.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Segment {
    pub(crate) file: ContentId,
    pub(crate) size: u64,
}

/// A checksum that the client gave or asked for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Checksum {
    pub(crate) algorithm: Algorithm,
    /// In base64; over parts' checksums with their count behind it.
    pub(crate) value: String,
    #[serde(default)]
    pub(crate) kind: ChecksumKind,
}

/// What a checksum is computed over.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum ChecksumKind {
    /// The object's bytes.
    #[default]
    FullObject,
    /// The checksums of its parts.
    Composite,
}

impl ChecksumKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::FullObject => "FULL_OBJECT",
            Self::Composite => "COMPOSITE",
        }
    }
}

/// An upload in parts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Upload {
    pub(crate) started_ms: i64,
    #[serde(default)]
    pub(crate) checksum: Option<(Algorithm, ChecksumKind)>,
    #[serde(flatten)]
    pub(crate) described: Described,
}

/// A part of one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) segment: Segment,
    /// The MD5 of its bytes in hexadecimal digits.
    pub(crate) etag: String,
    #[serde(default)]
    pub(crate) checksum: Option<(Algorithm, String)>,
    pub(crate) modified_ms: i64,
}

#[cfg(test)]
mod tests {
    use hearth_types::limits::{S3_KEY_BYTES, STORE_KEY_BYTES};

    use super::*;

    #[test]
    fn the_longest_names_have_room() {
        let (bucket, key, id) = ("b".repeat(63), "k".repeat(S3_KEY_BYTES), "i".repeat(64));
        for stored in [object(&bucket, &key), older_version(&bucket, &key, 1), upload(&bucket, &key, &id)] {
            assert!(stored.len() <= STORE_KEY_BYTES, "{}", stored.len());
        }
    }

    #[test]
    fn the_newest_of_the_older_versions_comes_first() {
        assert!(older_version("b", "k", 2) < older_version("b", "k", 1));
        assert!(older_version("b", "k", 1) < older_version("b", "k\u{1}", 2));
        assert!(part("u", 9) < part("u", 10));
    }
}
