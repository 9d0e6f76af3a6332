//! Local headers: what stands before and behind each entry's bytes must say the same as the central directory.

use crate::PackageError;
use crate::archive::central::{Entry, Method};
use crate::archive::fields::{Fields, extra};

const DISAGREES: PackageError = PackageError::malformed("an entry's own header disagrees with the central directory");

/// The packed bytes of `entry`. `area` is all that it has: header, packed bytes, descriptor.
pub(super) fn data<'a>(area: &'a [u8], entry: &Entry<'_>) -> Result<&'a [u8], PackageError> {
    let mut fields = Fields::of(area);
    fields.signature(*b"PK\x03\x04", "an entry has no header of its own")?;
    let (_needed, flags) = (fields.u16()?, fields.u16()?);
    let method = Method::read(&mut fields)?;
    let _time_and_date = fields.u32()?;
    let (crc, packed, size) = (fields.u32()?, fields.u32()?, fields.u32()?);
    let (name, extras) = (fields.u16()?, fields.u16()?);
    let (name, extras) = (fields.take(name.into())?, fields.take(extras.into())?);
    if name != entry.name || method != entry.method || flags != entry.flags {
        return Err(DISAGREES);
    }
    let sizes = widened(extras, [size, packed])?;
    let same = crc == entry.crc && sizes == [entry.size, entry.packed];
    // Before a descriptor the writer did not know them yet.
    let unknown = entry.has_descriptor() && crc == 0 && (sizes == [0; 2] || [size, packed] == [u32::MAX; 2]);
    if !same && !unknown {
        return Err(DISAGREES);
    }
    let packed = usize::try_from(entry.packed).unwrap_or(usize::MAX);
    let data = fields.take(packed)?;
    check_descriptor(fields.rest(), entry)?;
    Ok(data)
}

/// Size and packed size; each in the zip64 field where it says so.
fn widened(extras: &[u8], narrow: [u32; 2]) -> Result<[u64; 2], PackageError> {
    // Looked at only where it is needed: padding that aligns the content is often no sound list of fields.
    if !narrow.contains(&u32::MAX) {
        return Ok(narrow.map(u64::from));
    }
    let mut fields = Fields::of(extra(extras, 1)?.unwrap_or_default());
    let mut wide = narrow.map(u64::from);
    for (wide, narrow) in wide.iter_mut().zip(narrow) {
        if narrow == u32::MAX {
            *wide = fields.u64()?;
        }
    }
    Ok(wide)
}

/// Behind the bytes stands nothing, or checksum, packed size and size: with or without a signature, narrow or wide.
fn check_descriptor(area: &[u8], entry: &Entry<'_>) -> Result<(), PackageError> {
    if area.is_empty() && !entry.has_descriptor() {
        return Ok(());
    }
    let unsigned = || area.strip_prefix(b"PK\x07\x08");
    let (fields, size_bytes) = match area.len() {
        12 => (Some(area), 4),
        16 => (unsigned(), 4),
        20 => (Some(area), 8),
        24 => (unsigned(), 8),
        _ => (None, 0),
    };
    let mut expected = entry.crc.to_le_bytes().to_vec();
    for size in [entry.packed, entry.size] {
        expected.extend(&size.to_le_bytes()[..size_bytes]);
    }
    if entry.has_descriptor() && fields == Some(&expected) {
        return Ok(());
    }
    Err(PackageError::malformed("what follows an entry's bytes does not belong there"))
}
