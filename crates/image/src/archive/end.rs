//! The record at an archive's end: where its central directory lies.

use std::ops::Range;

use crate::PackageError;
use crate::archive::fields::Fields;

const END: [u8; 4] = *b"PK\x05\x06";
const END_BYTES: usize = 22;
const ZIP64_END: [u8; 4] = *b"PK\x06\x06";
const ZIP64_END_BYTES: usize = 56;
const ZIP64_LOCATOR: [u8; 4] = *b"PK\x06\x07";
const ZIP64_LOCATOR_BYTES: usize = 20;
const SEVERAL_DISKS: PackageError = PackageError::malformed("it is one of several disks");

/// What the record says, or the one of zip64 where there is one.
#[derive(Debug)]
pub(super) struct End {
    pub(super) entries: u64,
    pub(super) directory: Range<usize>,
}

impl End {
    pub(super) fn find(zip: &[u8]) -> Result<Self, PackageError> {
        let at = find_record(zip)?;
        let mut fields = Fields::of(&zip[at + 4..]);
        let disks = [fields.u16()?, fields.u16()?];
        let counts = [fields.u16()?, fields.u16()?];
        let (size, offset) = (fields.u32()?, fields.u32()?);
        if let Some(locator) =
            at.checked_sub(ZIP64_LOCATOR_BYTES).filter(|&locator| zip[locator..].starts_with(&ZIP64_LOCATOR))
        {
            let end = zip64(zip, locator)?;
            let agrees = (disks == [0; 2] || disks == [u16::MAX; 2])
                && counts.into_iter().all(|count| says(count.into(), u16::MAX.into(), end.entries))
                && says(size.into(), u32::MAX.into(), end.directory.len() as u64)
                && says(offset.into(), u32::MAX.into(), end.directory.start as u64);
            return if agrees { Ok(end) } else { Err(PackageError::malformed("its two end records disagree")) };
        }
        if disks != [0; 2] || counts[0] != counts[1] {
            return Err(SEVERAL_DISKS);
        }
        Ok(Self { entries: counts[0].into(), directory: directory(offset.into(), size.into(), at)? })
    }
}

/// The record whose comment ends with the archive. Whatever else looks like one behind it is another reader's view.
fn find_record(zip: &[u8]) -> Result<usize, PackageError> {
    let missing = PackageError::malformed("it has no end record, or something follows it");
    let Some(last) = zip.len().checked_sub(END_BYTES) else { return Err(missing) };
    let first = last.saturating_sub(u16::MAX.into());
    let Some(at) = (first..=last).rev().find(|&at| zip[at..].starts_with(&END)) else { return Err(missing) };
    let comment = Fields::of(&zip[at + END_BYTES - 2..]).u16()?;
    if at + END_BYTES + usize::from(comment) == zip.len() { Ok(at) } else { Err(missing) }
}

/// Whether a field of the short record is that of the long one, or refers to it.
fn says(short: u64, refers: u64, long: u64) -> bool {
    short == refers || short == long
}

fn zip64(zip: &[u8], locator: usize) -> Result<End, PackageError> {
    let mut fields = Fields::of(&zip[locator + 4..]);
    let (disk, offset, disks) = (fields.u32()?, fields.u64()?, fields.u32()?);
    // Some writers count no disks at all.
    if disk != 0 || disks > 1 {
        return Err(SEVERAL_DISKS);
    }
    let at = usize::try_from(offset).ok().filter(|at| at.checked_add(ZIP64_END_BYTES) == Some(locator));
    let at = at.ok_or(PackageError::malformed("its zip64 end record is not where it says"))?;
    let mut fields = Fields::of(&zip[at..locator]);
    fields.signature(ZIP64_END, "it has no zip64 end record")?;
    let (rest, _versions) = (fields.u64()?, fields.u32()?);
    let (disks, counts) = ([fields.u32()?, fields.u32()?], [fields.u64()?, fields.u64()?]);
    let (size, offset) = (fields.u64()?, fields.u64()?);
    if rest != ZIP64_END_BYTES as u64 - 12 || disks != [0; 2] || counts[0] != counts[1] {
        return Err(SEVERAL_DISKS);
    }
    Ok(End { entries: counts[0], directory: directory(offset, size, at)? })
}

/// The central directory must end where the end record begins.
fn directory(offset: u64, size: u64, end: usize) -> Result<Range<usize>, PackageError> {
    if offset.checked_add(size) != Some(end as u64) {
        return Err(PackageError::malformed("the central directory is not where the end record says"));
    }
    let start = usize::try_from(offset).map_err(|_| PackageError::malformed("an offset is too large"))?;
    Ok(start..end)
}
