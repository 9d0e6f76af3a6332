//! Giving an object's bytes to a client: from its files piece by piece, as fast as the client takes them.

use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::sync::Arc;

use bytes::Bytes;
use hearth_http::ResponseBody;
use hearth_types::limits::S3_PIECE_BYTES;
use http::StatusCode;
use tokio::sync::mpsc;
use tracing::error;

use crate::contents::{ContentId, Contents, Pinned};
use crate::error::S3Error;
use crate::records::{Content, Segment};

/// Pieces that wait for a slow client.
const PIECES: usize = 2;

/// A stretch of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Range {
    pub(crate) start: u64,
    pub(crate) length: u64,
}

impl Range {
    pub(crate) fn whole(content: &Content) -> Self {
        Self { start: 0, length: content.size }
    }

    /// As Content-Range has it.
    pub(crate) fn shown(self, size: u64) -> String {
        format!("bytes {}-{}/{size}", self.start, self.start + self.length - 1)
    }

    /// From the header: `bytes=0-9`, `bytes=5-`, `bytes=-5`. None for what is to be ignored: another unit, several
    /// ranges, no range at all.
    ///
    /// # Errors
    /// When there is nothing in the range.
    pub(crate) fn of_header(header: &str, size: u64) -> Result<Option<Self>, S3Error> {
        let Some((first, last)) = header.strip_prefix("bytes=").and_then(|range| range.trim().split_once('-')) else {
            return Ok(None);
        };
        // `parse` would take a sign.
        let number = |text: &str| text.parse::<u64>().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
        let end = size.saturating_sub(1);
        let (first, last) = match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => (first, last.min(end)),
            (Some(first), None) if last.is_empty() => (first, end),
            // The last so many bytes: none of none.
            (None, Some(0)) if first.is_empty() => (size, end),
            (None, Some(length)) if first.is_empty() => (size.saturating_sub(length), end),
            _ => return Ok(None),
        };
        if first >= size {
            let message = "The requested range is not satisfiable";
            return Err(S3Error::new(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange", message)
                .with("RangeRequested", header)
                .with("ActualObjectSize", size.to_string())
                .with_header("content-range", format!("bytes */{size}")));
        }
        Ok(Some(Self { start: first, length: last - first + 1 }))
    }

    /// The stretch that is one part of an object.
    pub(crate) fn of_part(number: u32, content: &Content) -> Result<Self, S3Error> {
        let is_in_one = content.segments.len() <= 1;
        let at = usize::try_from(number).unwrap_or(usize::MAX).wrapping_sub(1);
        match content.segments.get(at) {
            Some(part) => {
                Ok(Self { start: content.segments[..at].iter().map(|before| before.size).sum(), length: part.size })
            }
            None if number == 1 && is_in_one => Ok(Self::whole(content)),
            None => Err(S3Error::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "InvalidPartNumber",
                "The requested partnumber is not satisfiable",
            )),
        }
    }
}

/// A stretch of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Piece {
    file: ContentId,
    offset: u64,
    length: usize,
}

/// The pieces of a stretch, each at most [`S3_PIECE_BYTES`] long.
fn pieces(segments: &[Segment], range: Range) -> impl Iterator<Item = Piece> {
    let (mut skip, mut left) = (range.start, range.length);
    let stretches = segments.iter().filter_map(move |segment| {
        let offset = skip.min(segment.size);
        skip -= offset;
        let length = (segment.size - offset).min(left);
        left -= length;
        (length > 0).then_some((segment.file, offset, length))
    });
    stretches.flat_map(|(file, offset, length)| {
        (0..length).step_by(S3_PIECE_BYTES).map(move |at| {
            // At most the size of a piece.
            let length = (length - at).min(S3_PIECE_BYTES as u64) as usize;
            Piece { file, offset: offset + at, length }
        })
    })
}

/// The bytes of a stretch. The files stay readable until the last of them is out.
pub(crate) async fn body(pinned: Pinned, segments: &[Segment], range: Range) -> Result<ResponseBody, S3Error> {
    let mut pieces: Vec<Piece> = pieces(segments, range).collect();
    if range.length == 0 {
        return Ok(ResponseBody::empty());
    }
    let pinned = Arc::new(pinned);
    // Read before the head goes out: what cannot be read at all is still an error.
    let first = read(&pinned, pieces.remove(0)).await.map_err(|cause| S3Error::internal("reading an object", cause))?;
    if pieces.is_empty() {
        return Ok(ResponseBody::from(first));
    }
    let (sender, body) = mpsc::channel(PIECES);
    tokio::spawn(async move {
        if sender.send(first).await.is_err() {
            return;
        }
        for piece in pieces {
            // An answer that ends early is shorter than it said: the client sees that, and the connection ends.
            match read(&pinned, piece).await {
                Ok(bytes) => {
                    if sender.send(bytes).await.is_err() {
                        return;
                    }
                }
                Err(cause) => return error!("reading an object: {cause}"),
            }
        }
    });
    Ok(ResponseBody::Pieces(body))
}

async fn read(pinned: &Arc<Pinned>, piece: Piece) -> io::Result<Bytes> {
    let pinned = Arc::clone(pinned);
    tokio::task::spawn_blocking(move || read_now(pinned.contents(), piece)).await.map_err(io::Error::other)?
}

fn read_now(contents: &Contents, piece: Piece) -> io::Result<Bytes> {
    let mut file = contents.read(piece.file)?;
    file.seek(SeekFrom::Start(piece.offset))?;
    let mut bytes = vec![0; piece.length];
    file.read_exact(&mut bytes)?;
    Ok(bytes.into())
}

/// Hands a stretch to `take`, piece by piece, on the thread that calls.
pub(crate) fn each_piece(
    contents: &Contents,
    segments: &[Segment],
    range: Range,
    mut take: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    pieces(segments, range).try_for_each(|piece| take(&read_now(contents, piece)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::Described;

    fn content(sizes: &[u64]) -> Content {
        let file = || serde_json::from_value(uuid::Uuid::new_v4().simple().to_string().into()).unwrap();
        let segments = sizes.iter().map(|size| Segment { file: file(), size: *size }).collect();
        let size = sizes.iter().sum();
        Content { size, etag: String::new(), segments, checksum: None, described: Described::default() }
    }

    #[test]
    fn ranges_are_read_as_rfc_9110_has_them() {
        let range = |header| Range::of_header(header, 10).map(|range| range.map(|range| (range.start, range.length)));
        assert_eq!(range("bytes=0-3"), Ok(Some((0, 4))));
        assert_eq!(range("bytes=8-"), Ok(Some((8, 2))));
        assert_eq!(range("bytes=8-100"), Ok(Some((8, 2))));
        assert_eq!(range("bytes=-3"), Ok(Some((7, 3))));
        assert_eq!(range("bytes=-30"), Ok(Some((0, 10))));
        for ignored in ["bytes=3-2", "items=0-1", "bytes=0-1,3-4", "bytes=-", "bytes=a-b", "bytes=+1-2", "bytes"] {
            assert_eq!(range(ignored), Ok(None), "{ignored}");
        }
        for unsatisfiable in ["bytes=10-", "bytes=10-11", "bytes=-0"] {
            assert_eq!(range(unsatisfiable).unwrap_err().code, "InvalidRange", "{unsatisfiable}");
        }
        assert_eq!(Range { start: 2, length: 3 }.shown(10), "bytes 2-4/10");
        assert!(Range::of_header("bytes=0-0", 0).is_err());
    }

    #[test]
    fn stretches_cover_what_they_should() {
        let content = content(&[3, 0, 4, 300_000]);
        for (start, length) in [(0, 7), (2, 3), (3, 1), (7, 300_000), (5, 200_000), (0, 300_007), (4, 0)] {
            let found: Vec<_> = pieces(&content.segments, Range { start, length }).collect();
            assert_eq!(found.iter().map(|piece| piece.length as u64).sum::<u64>(), length);
            assert!(found.iter().all(|piece| (1..=S3_PIECE_BYTES).contains(&piece.length)));
        }
        let across: Vec<_> = pieces(&content.segments, Range { start: 2, length: 3 }).collect();
        assert_eq!(across.iter().map(|piece| (piece.offset, piece.length)).collect::<Vec<_>>(), [(2, 1), (0, 2)]);
        assert_eq!(Range::of_part(3, &content).unwrap(), Range { start: 3, length: 4 });
        assert!(Range::of_part(5, &content).is_err() && Range::of_part(0, &content).is_err());
        assert_eq!(Range::of_part(1, &self::content(&[])).unwrap().length, 0);
    }
}
