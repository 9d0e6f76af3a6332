//! Packages: what one may hold, and what reading it may take up.

use std::time::Duration;

/// Bytes of an unpacked package with its layers (Lambda).
pub const UNZIPPED_BYTES: u64 = 262_144_000;
/// Entries of a package. Ours: Lambda states none; the largest real ones have tens of thousands.
pub const ZIP_ENTRIES: usize = 200_000;
/// Bytes of one entry's path. Ours: Linux's PATH_MAX less the mount point.
pub const ZIP_PATH_BYTES: usize = 4000;
/// Directories above one entry. Ours.
pub const ZIP_PATH_DEPTH: usize = 128;
/// Bytes of a package given inline (Lambda).
pub const ZIP_BYTES: usize = 52_428_800;
/// Bytes of all packages of an account (Lambda).
pub const CODE_STORAGE_BYTES: u64 = 80_530_636_800;
/// Bytes of a package that the server reads through itself, and whose tree is made behind the answer; larger ones are read in
/// a process of their own. Ours: those that are kept beside the metadata.
pub const JUDGED_ZIP_BYTES: usize = super::SMALL_BLOB_BYTES;
/// Bytes unpacked of such a package, at most. Ours: within a millisecond.
pub const JUDGED_UNZIPPED_BYTES: u64 = 256 * 1024;
/// Trees of packages that wait to be made ahead of need; others are made when an environment needs them. Ours.
pub const TREES_AHEAD: usize = 4096;
/// For how long nothing was deployed when one of them is made. Ours: who deploys many waits for none.
pub const TREES_CALM: Duration = Duration::from_millis(20);
/// Threads that unpack one package. Ours.
pub const ZIP_THREADS: usize = 2;
/// Bytes unpacked from which on a package is worth a second thread. Ours.
pub const ZIP_PARALLEL_BYTES: u64 = 1024 * 1024;
/// Time from unpacking a package until its files are flushed to the disk; a crash of the machine before then costs
/// unpacking it again. Ours: by then the kernel has written most by itself.
pub const CODE_FLUSH_DELAY: Duration = Duration::from_secs(30);
/// Archives that are read at a time, each in a process of its own. Ours: the server asks for no more than it has cores.
pub const READERS: usize = 256;
/// Bytes of memory that a reader of an archive may fill. Ours: names and places of [`ZIP_ENTRIES`] entries.
pub const READER_MEMORY_BYTES: u64 = 768 * 1024 * 1024;
/// CPU time of one. Ours: a hundred times of what the largest package needs.
pub const READER_CPU: Duration = Duration::from_secs(120);
/// How long the server waits for one. Ours: a slow disk takes longer than the CPU.
pub const READER_TIME: Duration = Duration::from_secs(300);
/// Descriptors of one. Ours: a file for each of [`ZIP_THREADS`], its folder, its report, and a few.
pub const READER_FILES: u64 = 32;
/// Threads of one. Ours: [`ZIP_THREADS`], and a few.
pub const READER_TASKS: u64 = 8;
/// Bytes of what one reports. Ours.
pub const READER_REPORT_BYTES: usize = 1024;

/// Interpreters of this machine that one runtime may have, the normal one among them: a root file system is drawn for
/// each when the server starts.
pub const INTERPRETERS_PER_RUNTIME: usize = 8;
