//! A strict reader of zip archives that lie in memory. The central directory is the one view; what another reader,
//! going by the local headers or by the start of the file, would see differently makes the archive malformed.

mod central;
mod end;
mod fields;
mod local;

pub(crate) use central::{Entry, Method};

use hearth_types::limits::{UNZIPPED_BYTES, ZIP_ENTRIES};

use crate::PackageError;
use crate::archive::end::End;
use crate::archive::fields::Fields;

/// The entries of a sound archive, in the order of the central directory. Their content is not yet checked.
pub(crate) struct Archive<'a> {
    pub(crate) entries: Vec<Entry<'a>>,
    /// The sum of their declared sizes.
    pub(crate) bytes: u64,
}

impl<'a> Archive<'a> {
    pub(crate) fn read(zip: &'a [u8]) -> Result<Self, PackageError> {
        let end = End::find(zip)?;
        if end.entries == 0 {
            return if end.directory.is_empty() { Err(PackageError::Empty) } else { Err(DIRECTORY_SIZE) };
        }
        if end.entries > ZIP_ENTRIES as u64 {
            return Err(PackageError::TooMany(ZIP_ENTRIES));
        }
        let mut directory = Fields::of(&zip[end.directory.clone()]);
        let mut entries = Vec::new();
        let mut bytes = 0_u64;
        for _ in 0..end.entries {
            let entry = Entry::read(&mut directory)?;
            bytes = bytes.saturating_add(entry.size);
            entries.push(entry);
        }
        if !directory.is_empty() {
            return Err(DIRECTORY_SIZE);
        }
        if bytes > UNZIPPED_BYTES {
            return Err(PackageError::TooLarge);
        }
        find_contents(zip, end.directory.start, &mut entries)?;
        Ok(Self { entries, bytes })
    }
}

const DIRECTORY_SIZE: PackageError = PackageError::malformed("the central directory has another size than it says");

/// Finds each entry's bytes by its local header. One must follow the other from the first byte on, so that none
/// overlap and nothing is hidden between them.
fn find_contents<'a>(zip: &'a [u8], directory: usize, entries: &mut [Entry<'a>]) -> Result<(), PackageError> {
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_unstable_by_key(|&index| entries[index].offset);
    let ends = order.iter().skip(1).map(|&index| entries[index].offset).chain([directory as u64]);
    let ends: Vec<u64> = ends.collect();
    let mut start = 0;
    for (&index, end) in order.iter().zip(ends) {
        let entry = &mut entries[index];
        let end = usize::try_from(end).unwrap_or(usize::MAX);
        if entry.offset != start as u64 || end > directory {
            return Err(PackageError::malformed("entries overlap, or something lies before or between them"));
        }
        entry.data = local::data(&zip[start..end], entry)?;
        start = end;
    }
    Ok(())
}
