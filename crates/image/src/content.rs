//! Unpacking one entry's bytes, checked against what the archive says of them.

use std::io;

use flate2::{Crc, Decompress, FlushDecompress, Status};

use crate::PackageError;
use crate::archive::{Entry, Method};

/// Bytes unpacked at a time: within a core's own cache.
const PIECE_BYTES: usize = 256 * 1024;

/// Unpacks entries one after the other; its memory is used again for each.
pub(crate) struct Decoder {
    /// Some once it was needed.
    inflate: Option<Decompress>,
    /// As long as the longest content needed, up to [`PIECE_BYTES`].
    piece: Vec<u8>,
}

impl Decoder {
    pub(crate) fn new() -> Self {
        Self { inflate: None, piece: Vec::new() }
    }

    /// Gives the content to `sink` piece by piece: never more bytes than the entry says. Only after an Ok is it the
    /// content.
    pub(crate) fn decode(
        &mut self,
        entry: &Entry<'_>,
        sink: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), PackageError> {
        let crc = match entry.method {
            Method::Stored => stored(entry, sink)?,
            Method::Deflated => self.deflated(entry, sink)?,
        };
        if crc == entry.crc { Ok(()) } else { Err(PackageError::malformed("an entry's content has another checksum")) }
    }

    fn deflated(
        &mut self,
        entry: &Entry<'_>,
        mut sink: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<u32, PackageError> {
        let inflate = self.inflate.get_or_insert_with(|| Decompress::new(false));
        inflate.reset(false);
        let mut crc = Crc::new();
        let (mut packed, mut left) = (entry.data, entry.size);
        loop {
            // One byte more than is left shows a content that is too long.
            let room = usize::try_from(left).unwrap_or(usize::MAX).saturating_add(1).min(PIECE_BYTES);
            self.piece.resize(self.piece.len().max(room), 0);
            let before = (inflate.total_in(), inflate.total_out());
            let status = inflate.decompress(packed, &mut self.piece[..room], FlushDecompress::None);
            let status = status.map_err(|_| PackageError::malformed("an entry's content is damaged"))?;
            let read = usize::try_from(inflate.total_in() - before.0).unwrap_or(usize::MAX);
            let made = usize::try_from(inflate.total_out() - before.1).unwrap_or(usize::MAX);
            packed = packed.get(read..).unwrap_or_default();
            left = left.checked_sub(made as u64).ok_or(SIZE)?;
            let piece = self.piece.get(..made).unwrap_or_default();
            crc.update(piece);
            sink(piece).map_err(PackageError::disk("writing a file"))?;
            match status {
                Status::StreamEnd if packed.is_empty() && left == 0 => return Ok(crc.sum()),
                Status::StreamEnd => return Err(SIZE),
                Status::Ok | Status::BufError if read == 0 && made == 0 => return Err(SIZE),
                Status::Ok | Status::BufError => {}
            }
        }
    }
}

const SIZE: PackageError = PackageError::malformed("an entry's content has another size than the archive says");

fn stored(entry: &Entry<'_>, mut sink: impl FnMut(&[u8]) -> io::Result<()>) -> Result<u32, PackageError> {
    if entry.data.len() as u64 != entry.size {
        return Err(SIZE);
    }
    let mut crc = Crc::new();
    crc.update(entry.data);
    sink(entry.data).map_err(PackageError::disk("writing a file"))?;
    Ok(crc.sum())
}
