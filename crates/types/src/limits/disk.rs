//! Of the disk behind all /tmps.

/// Bytes of the disk behind all /tmps that stay free for the platform's own files, at most. Ours.
pub const DISK_FREE_BYTES: u64 = 512 * 1024 * 1024;
/// Of a smaller disk that part of it.
pub const DISK_FREE_PART: u64 = 10;
/// A /tmp that takes fewer bytes is never ended for that.
pub const DISK_WORTH_BYTES: u64 = 32 * 1024 * 1024;
