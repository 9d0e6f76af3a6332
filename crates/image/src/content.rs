//! Unpacking one entry's bytes, checked against what the archive says of them.

use std::io;

use flate2::{Crc, Decompress, FlushDecompress, Status};
use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZFlush, MZStatus};

use crate::PackageError;
use crate::archive::{Entry, Method};

/// Bytes unpacked at a time: within a core's own cache.
const PIECE_BYTES: usize = 256 * 1024;

/// Inflates one content after the other.
pub(crate) trait Inflate {
    fn new() -> Self;

    /// Begins with the next content.
    fn restart(&mut self);

    /// Goes on with what is left of the packed bytes.
    fn step(&mut self, packed: &[u8], piece: &mut [u8]) -> Result<Step, Damaged>;
}

/// How far one step came.
pub(crate) struct Step {
    /// Packed bytes that were used up.
    read: usize,
    /// Bytes that were made of them.
    made: usize,
    /// The packed stream says that it ends here.
    is_end: bool,
}

/// The packed bytes are no deflated content.
pub(crate) struct Damaged;

/// Of the jail: twice as fast as the other, by code that the compiler does not check for its use of memory.
pub(crate) struct Fast(Decompress);

/// Of the server's own process, by code that the compiler does check.
pub(crate) struct Checked(Box<InflateState>);

impl Inflate for Fast {
    fn new() -> Self {
        Self(Decompress::new(false))
    }

    fn restart(&mut self) {
        self.0.reset(false);
    }

    fn step(&mut self, packed: &[u8], piece: &mut [u8]) -> Result<Step, Damaged> {
        let before = (self.0.total_in(), self.0.total_out());
        let status = self.0.decompress(packed, piece, FlushDecompress::None).map_err(|_| Damaged)?;
        let read = usize::try_from(self.0.total_in() - before.0).unwrap_or(usize::MAX);
        let made = usize::try_from(self.0.total_out() - before.1).unwrap_or(usize::MAX);
        Ok(Step { read, made, is_end: status == Status::StreamEnd })
    }
}

impl Inflate for Checked {
    fn new() -> Self {
        Self(Box::new(InflateState::new(DataFormat::Raw)))
    }

    fn restart(&mut self) {
        self.0.reset(DataFormat::Raw);
    }

    fn step(&mut self, packed: &[u8], piece: &mut [u8]) -> Result<Step, Damaged> {
        let result = inflate(&mut self.0, packed, piece, MZFlush::None);
        let is_end = match result.status {
            Ok(MZStatus::Ok) | Err(miniz_oxide::MZError::Buf) => false,
            Ok(MZStatus::StreamEnd) => true,
            Ok(MZStatus::NeedDict) | Err(_) => return Err(Damaged),
        };
        Ok(Step { read: result.bytes_consumed, made: result.bytes_written, is_end })
    }
}

/// Unpacks entries one after the other; its memory is used again for each.
pub(crate) struct Decoder<I> {
    /// Some once it was needed.
    inflate: Option<I>,
    /// As long as the longest content needed, up to [`PIECE_BYTES`].
    piece: Vec<u8>,
}

impl<I: Inflate> Decoder<I> {
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
        let inflate = self.inflate.get_or_insert_with(I::new);
        inflate.restart();
        let mut crc = Crc::new();
        let (mut packed, mut left) = (entry.data, entry.size);
        loop {
            // One byte more than is left shows a content that is too long.
            let room = usize::try_from(left).unwrap_or(usize::MAX).saturating_add(1).min(PIECE_BYTES);
            self.piece.resize(self.piece.len().max(room), 0);
            let step = inflate.step(packed, &mut self.piece[..room]);
            let Step { read, made, is_end } =
                step.map_err(|Damaged| PackageError::malformed("an entry's content is damaged"))?;
            packed = packed.get(read..).unwrap_or_default();
            left = left.checked_sub(made as u64).ok_or(SIZE)?;
            let piece = self.piece.get(..made).unwrap_or_default();
            crc.update(piece);
            sink(piece).map_err(PackageError::disk("writing a file"))?;
            match is_end {
                true if packed.is_empty() && left == 0 => return Ok(crc.sum()),
                true => return Err(SIZE),
                false if read == 0 && made == 0 => return Err(SIZE),
                false => {}
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
