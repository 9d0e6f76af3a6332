//! Who reads an archive, and what of it is wanted. The server has it read by a process in a jail, which gets nothing but
//! the bytes and the folder to write to; this is what both sides of that agree on.

use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::PathBuf;

use hearth_types::limits::{JUDGED_UNZIPPED_BYTES, JUDGED_ZIP_BYTES};

use crate::content::{Checked, Fast};
use crate::{Archive, PackageError, Plan, tree};

/// What is wanted of an archive.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'a> {
    /// That its entries make a tree, and how large that is. The content stays packed.
    Plan,
    /// That, and that the content is what the archive says.
    Check,
    /// That, written to this folder.
    Tree(&'a Staging),
}

/// An empty folder for a tree that is not whole yet.
#[derive(Debug)]
pub struct Staging {
    pub(crate) path: PathBuf,
    /// The folder's name is `hearth_types::package::staging` of this.
    pub(crate) number: u64,
}

impl Staging {
    /// Which one of the code folder's it is.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }
}

/// What a package holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unpacked {
    /// Bytes unpacked.
    pub bytes: u64,
    /// Entries of the archive.
    pub entries: usize,
}

/// Reads archives. Blocks.
pub trait Reader: std::fmt::Debug + Send + Sync {
    /// Reads a zip as far as is wanted.
    ///
    /// # Errors
    /// What is wrong with the package, or that this machine failed. Something may be in the folder then.
    fn read(&self, zip: &[u8], wanted: Wanted<'_>) -> Result<Unpacked, PackageError>;
}

/// Reads in the caller's own process: for tests. What is wrong with the reader is then wrong with the caller.
#[derive(Clone, Copy, Debug)]
pub struct InProcess;

impl Reader for InProcess {
    fn read(&self, zip: &[u8], wanted: Wanted<'_>) -> Result<Unpacked, PackageError> {
        match wanted {
            Wanted::Plan => read(zip, Work::Plan, None),
            Wanted::Check => read(zip, Work::Check, None),
            Wanted::Tree(staging) => {
                let folder = File::open(&staging.path).map_err(PackageError::disk("opening a folder"))?;
                read(zip, Work::Write, Some(folder.as_fd()))
            }
        }
    }
}

/// [`Wanted`] as a number, without the folder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Work {
    Plan = 0,
    Check = 1,
    Write = 2,
}

impl Work {
    pub(crate) const ALL: [Self; 3] = [Self::Plan, Self::Check, Self::Write];

    pub(crate) fn of(wanted: Wanted<'_>) -> Self {
        match wanted {
            Wanted::Plan => Self::Plan,
            Wanted::Check => Self::Check,
            Wanted::Tree(_) => Self::Write,
        }
    }
}

/// Reads a small package through, its content too, in the caller's own process and with code that the compiler checks for
/// its use of memory. None where the package is for a [`Reader`]: it is larger than [`JUDGED_ZIP_BYTES`], or says that
/// it holds more than [`JUDGED_UNZIPPED_BYTES`].
#[must_use]
pub fn judge(zip: &[u8]) -> Option<Result<Unpacked, PackageError>> {
    if zip.len() > JUDGED_ZIP_BYTES {
        return None;
    }
    match Archive::read(zip) {
        Ok(archive) if archive.bytes > JUDGED_UNZIPPED_BYTES => None,
        archive => Some(archive.and_then(judged)),
    }
}

fn judged(archive: Archive<'_>) -> Result<Unpacked, PackageError> {
    let (unpacked, plan) = planned(archive)?;
    tree::check::<Checked>(&plan)?;
    Ok(unpacked)
}

/// Reads an archive; `folder` is there where it is to be written.
pub(crate) fn read(zip: &[u8], work: Work, folder: Option<BorrowedFd<'_>>) -> Result<Unpacked, PackageError> {
    let (unpacked, plan) = planned(Archive::read(zip)?)?;
    match (work, folder) {
        (Work::Plan, _) => {}
        (Work::Check, _) => tree::check::<Fast>(&plan)?,
        (Work::Write, Some(folder)) => tree::write(&plan, folder)?,
        (Work::Write, None) => return Err(PackageError::disk("unpacking")(std::io::ErrorKind::InvalidInput)),
    }
    Ok(unpacked)
}

fn planned(archive: Archive<'_>) -> Result<(Unpacked, Plan<'_>), PackageError> {
    let unpacked = Unpacked { bytes: archive.bytes, entries: archive.entries.len() };
    Ok((unpacked, Plan::of(archive)?))
}
