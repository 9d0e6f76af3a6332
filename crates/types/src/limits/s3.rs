//! Of S3.

use std::time::Duration;

/// Bytes of an object. Ours: what S3 takes in one request (S3: 50 TB in parts).
pub const S3_OBJECT_BYTES: u64 = 5 * 1024 * 1024 * 1024;
/// Bytes of each part but the last (S3).
pub const S3_PART_MIN_BYTES: u64 = 5 * 1024 * 1024;
/// Parts of an upload (S3).
pub const S3_PARTS: u32 = 10_000;
/// Bytes of an object's key (S3).
pub const S3_KEY_BYTES: usize = 1024;
/// Bytes of an object's own metadata, names and values (S3).
pub const S3_METADATA_BYTES: usize = 2048;
/// Tags of an object (S3).
pub const S3_OBJECT_TAGS: usize = 10;
/// Tags of a bucket (S3).
pub const S3_BUCKET_TAGS: usize = 50;
/// Entries on a page of a list, and keys of one DeleteObjects (S3).
pub const S3_PAGE: usize = 1000;
/// Buckets (S3's default).
pub const S3_BUCKETS: usize = 10_000;
/// Objects, older versions and parts of uploads that are kept, together. Ours: their records are held in memory, some
/// 600 bytes each.
pub const S3_RECORDS: usize = 500_000;
/// Bytes of a request's XML. Ours: 1,000 long keys.
pub const S3_XML_BYTES: usize = 4 * 1024 * 1024;
/// Bytes that are moved at a time between a client and a file.
pub const S3_PIECE_BYTES: usize = 128 * 1024;
/// Time for the next bytes of an object that a client sends.
pub const S3_STALL: Duration = Duration::from_secs(60);
