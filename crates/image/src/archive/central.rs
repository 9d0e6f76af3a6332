//! Entries of the central directory.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::PackageError;
use crate::archive::fields::{Fields, extra};

const ZIP64: u16 = 0x0001;
const UNIX_TIME: u16 = 0x5455;
const UNICODE_PATH: u16 = 0x7075;
/// Bits of the flags that say that the content is encrypted, patched data, or that headers are masked.
const UNREADABLE: u16 = 1 | 1 << 5 | 1 << 6 | 1 << 13;
const DESCRIPTOR: u16 = 1 << 3;
const UTF8: u16 = 1 << 11;
/// Systems whose external attributes carry Unix modes.
const UNIX: [u8; 2] = [3, 19];

/// One entry as the central directory has it.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    /// As it stands, not yet judged.
    pub(crate) name: &'a [u8],
    pub(crate) method: Method,
    pub(crate) crc: u32,
    /// Bytes unpacked.
    pub(crate) size: u64,
    /// Type and permission bits; none where the archive has no Unix ones.
    pub(crate) mode: Option<u32>,
    /// Seconds since 1970.
    pub(crate) modified: i64,
    /// The packed bytes; empty until the local header is read.
    pub(crate) data: &'a [u8],
    pub(super) flags: u16,
    pub(super) packed: u64,
    pub(super) offset: u64,
}

/// How the content is packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Method {
    Stored,
    Deflated,
}

impl Method {
    pub(super) fn read(fields: &mut Fields<'_>) -> Result<Self, PackageError> {
        match fields.u16()? {
            0 => Ok(Self::Stored),
            8 => Ok(Self::Deflated),
            _ => Err(PackageError::malformed("an entry is packed by an unknown method")),
        }
    }
}

impl<'a> Entry<'a> {
    pub(super) fn read(fields: &mut Fields<'a>) -> Result<Self, PackageError> {
        fields.signature(*b"PK\x01\x02", "the central directory holds something else than entries")?;
        let (made_by, _needed, flags) = (fields.u16()?, fields.u16()?, fields.u16()?);
        let method = Method::read(fields)?;
        let (time, date, crc) = (fields.u16()?, fields.u16()?, fields.u32()?);
        let (packed, size) = (fields.u32()?, fields.u32()?);
        let lengths = [fields.u16()?, fields.u16()?, fields.u16()?];
        let (disk, _internal, external, offset) = (fields.u16()?, fields.u16()?, fields.u32()?, fields.u32()?);
        let name = fields.take(lengths[0].into())?;
        let extras = fields.take(lengths[1].into())?;
        let _comment = fields.take(lengths[2].into())?;
        if flags & UNREADABLE != 0 {
            return Err(PackageError::entry(name, "is encrypted or a patch"));
        }
        if disk != 0 {
            return Err(PackageError::malformed("an entry lies on another disk"));
        }
        check_encoding(name, flags, extras)?;
        let [size, packed, offset] = widened(extras, [size, packed, offset])?;
        let has_mode = UNIX.contains(&made_by.to_be_bytes()[0]) && external >> 16 != 0;
        Ok(Self {
            name,
            method,
            crc,
            size,
            mode: has_mode.then_some(external >> 16),
            modified: unix_time(extras)?.unwrap_or_else(|| dos_time(date, time)),
            data: &[],
            flags,
            packed,
            offset,
        })
    }

    /// Whether sizes and checksum stand behind the content, too.
    pub(super) fn has_descriptor(&self) -> bool {
        self.flags & DESCRIPTOR != 0
    }
}

/// A name that is not UTF-8 though it says so, or that goes by another one elsewhere, has two readings.
fn check_encoding(name: &[u8], flags: u16, extras: &[u8]) -> Result<(), PackageError> {
    if flags & UTF8 != 0 && std::str::from_utf8(name).is_err() {
        return Err(PackageError::entry(name, "has a name that is not UTF-8 though it says so"));
    }
    // A version, a checksum of the plain name, then the other name.
    match extra(extras, UNICODE_PATH)? {
        Some(other) if other.get(5..) != Some(name) => Err(PackageError::entry(name, "has two names")),
        _ => Ok(()),
    }
}

/// Takes from the zip64 field those of size, packed size and offset that say so, in this order.
fn widened(extras: &[u8], narrow: [u32; 3]) -> Result<[u64; 3], PackageError> {
    let mut wide = narrow.map(u64::from);
    let mut fields = Fields::of(extra(extras, ZIP64)?.unwrap_or_default());
    for (wide, narrow) in wide.iter_mut().zip(narrow) {
        if narrow == u32::MAX {
            *wide = fields.u64()?;
        }
    }
    Ok(wide)
}

/// The exact time, where the writer has left it. Python's compiled files are valid only for their source's exact time.
fn unix_time(extras: &[u8]) -> Result<Option<i64>, PackageError> {
    match extra(extras, UNIX_TIME)? {
        Some([flags, a, b, c, d, ..]) if flags & 1 != 0 => Ok(Some(i32::from_le_bytes([*a, *b, *c, *d]).into())),
        _ => Ok(None),
    }
}

/// Local time of an unknown place, taken for UTC; what is no date is the epoch of this format, 1980.
fn dos_time(date: u16, time: u16) -> i64 {
    const EPOCH: i64 = 315_532_800;
    // Each part has at most 7 bits.
    let part = |value: u16, shift: u32, bits: u32| i8::try_from(value >> shift & ((1 << bits) - 1)).unwrap_or(i8::MAX);
    let (year, month, day) = (1980 + i16::from(part(date, 9, 7)), part(date, 5, 4), part(date, 0, 5));
    let (hour, minute, second) = (part(time, 11, 5), part(time, 5, 6), part(time, 0, 5) * 2);
    DateTime::new(year, month, day, hour, minute, second, 0)
        .and_then(|time| TimeZone::UTC.to_timestamp(time))
        .map_or(EPOCH, |time| time.as_second())
}

#[cfg(test)]
mod tests {
    use super::dos_time;

    #[test]
    fn dos_times() {
        let at = |year: u16, month: u16, day: u16, time: u16| dos_time((year - 1980) << 9 | month << 5 | day, time);
        assert_eq!(at(1980, 1, 1, 0), 315_532_800);
        assert_eq!(at(2024, 2, 29, 23 << 11 | 59 << 5 | 29), 1_709_251_198);
        assert_eq!(at(2023, 2, 29, 0), 315_532_800, "no such day");
        assert_eq!(dos_time(0, 0), 315_532_800);
        assert_eq!(dos_time(u16::MAX, u16::MAX), 315_532_800);
    }
}
