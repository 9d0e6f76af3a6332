//! Looking at SQLite's write-ahead log before SQLite does. From the first frame on whose checksum is wrong SQLite drops
//! the rest without a word: right for the torn end that a crash leaves, which nobody was told is done; wrong for a
//! changed byte further ahead. The two are told apart here: a transaction is flushed before the next one is written,
//! so one that others follow was acknowledged.
//!
//! The format is that of <https://www.sqlite.org/fileformat2.html#walformat>.

use std::fs;
use std::io;
use std::path::Path;

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
/// The last bit says that checksums are over big-endian words.
const MAGIC: u32 = 0x377f_0682;

/// Whether the log of the database `path` has lost an acknowledged transaction; no log has not.
pub(crate) fn has_lost_commits(path: &Path) -> io::Result<bool> {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    match fs::read(name) {
        Ok(log) => Ok(Log::of(&log).is_none_or(|log| log.has_lost_commits()) && log.len() > HEADER_BYTES),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(cause) => Err(cause),
    }
}

struct Log<'a> {
    frames: Vec<Frame<'a>>,
    salts: &'a [u8],
    big_endian: bool,
    /// That of the header, on which the frames' build.
    checksum: [u32; 2],
}

struct Frame<'a> {
    header: &'a [u8],
    page: &'a [u8],
}

impl<'a> Log<'a> {
    /// None where the header is damaged: it is flushed before the first frame is written.
    fn of(log: &'a [u8]) -> Option<Self> {
        let (header, rest) = log.split_at_checked(HEADER_BYTES)?;
        let magic = word(header, 0);
        let big_endian = magic & 1 == 1;
        let checksum = sum([0; 2], &header[..24], big_endian);
        let page_bytes = usize::try_from(word(header, 2)).ok()?;
        let sound = magic & !1 == MAGIC && checksum == [word(header, 6), word(header, 7)] && page_bytes > 0;
        // A last frame that is cut off is a torn end.
        let frames = rest.chunks_exact(FRAME_HEADER_BYTES + page_bytes).map(|frame| {
            let (header, page) = frame.split_at(FRAME_HEADER_BYTES);
            Frame { header, page }
        });
        sound.then(|| Self { frames: frames.collect(), salts: &header[16..24], big_endian, checksum })
    }

    fn has_lost_commits(&self) -> bool {
        let mut dropped = self.frames[self.sound_frames()..].iter().filter(|frame| frame.header[8..16] == *self.salts);
        let ends_commit = |frame: &Frame<'_>| word(frame.header, 1) != 0;
        dropped.any(ends_commit) && dropped.next().is_some()
    }

    /// How many frames SQLite will use.
    fn sound_frames(&self) -> usize {
        let mut checksum = self.checksum;
        let sound = |frame: &&Frame<'_>| {
            checksum = sum(checksum, &frame.header[..8], self.big_endian);
            checksum = sum(checksum, frame.page, self.big_endian);
            frame.header[8..16] == *self.salts && checksum == [word(frame.header, 4), word(frame.header, 5)]
        };
        self.frames.iter().take_while(sound).count()
    }
}

/// Word `index`, big-endian as all fields are.
fn word(bytes: &[u8], index: usize) -> u32 {
    bytes[index * 4..].first_chunk().map_or(0, |word| u32::from_be_bytes(*word))
}

fn sum([mut first, mut second]: [u32; 2], bytes: &[u8], big_endian: bool) -> [u32; 2] {
    let read = if big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
    let (pairs, _) = bytes.as_chunks::<8>();
    for [a, b, c, d, e, f, g, h] in pairs.iter().copied() {
        first = first.wrapping_add(read([a, b, c, d])).wrapping_add(second);
        second = second.wrapping_add(read([e, f, g, h])).wrapping_add(first);
    }
    [first, second]
}
