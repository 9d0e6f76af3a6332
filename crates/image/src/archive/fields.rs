//! Little-endian fields from the front of some bytes.

use crate::PackageError;

pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn rest(self) -> &'a [u8] {
        self.0
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], PackageError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(CUT)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn u16(&mut self) -> Result<u16, PackageError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, PackageError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, PackageError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn signature(&mut self, wanted: [u8; 4], otherwise: &'static str) -> Result<(), PackageError> {
        if self.array()? == wanted { Ok(()) } else { Err(PackageError::malformed(otherwise)) }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PackageError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(CUT)?;
        self.0 = rest;
        Ok(*taken)
    }
}

const CUT: PackageError = PackageError::malformed("a header is cut off");

/// The extra field with this id, of which there may be one at most.
pub(super) fn extra(area: &[u8], wanted: u16) -> Result<Option<&[u8]>, PackageError> {
    let mut fields = Fields::of(area);
    let mut found = None;
    while !fields.is_empty() {
        let (id, size) = (fields.u16()?, fields.u16()?);
        let content = fields.take(size.into())?;
        if id == wanted && found.replace(content).is_some() {
            return Err(PackageError::malformed("an extra field is there twice"));
        }
    }
    Ok(found)
}
