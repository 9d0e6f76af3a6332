//! Processors whose processes have no snapshots.

use std::os::fd::{OwnedFd, RawFd};

use crate::error::{Done, Failure};
use crate::frame::Role;

/// Where a snapshot would find itself.
pub(crate) const IMAGE: RawFd = 63;

/// The limit is the function's.
pub(crate) fn memory_mb(_: Role, memory_mb: u32) -> u32 {
    memory_mb
}

/// # Errors
/// Always.
pub(crate) fn write(_: &OwnedFd) -> Done<u64> {
    Err(Failure::new(libc::ENOTSUP, "snapshots are made of x86-64 processes only"))
}
