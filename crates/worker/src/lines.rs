//! Cuts a function's output into log events, and keeps the end of an invoke's log.

use bytes::{Bytes, BytesMut};
use hearth_types::limits::{LOG_LINE_BYTES, LOG_TAIL_BYTES};

/// Bytes that are no whole line yet.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    partial: BytesMut,
}

impl Lines {
    /// Takes what was written, and gives each event that is complete: a line with its newline, or as much of one as an
    /// event holds.
    pub(crate) fn push(&mut self, mut written: &[u8], mut event: impl FnMut(Bytes)) {
        while !written.is_empty() {
            let room = LOG_LINE_BYTES - self.partial.len();
            let newline = memchr::memchr(b'\n', &written[..room.min(written.len())]);
            let take = newline.map_or(room.min(written.len()), |at| at + 1);
            self.partial.extend_from_slice(&written[..take]);
            written = &written[take..];
            if newline.is_some() || self.partial.len() == LOG_LINE_BYTES {
                event(self.partial.split().freeze());
            }
        }
    }

    /// What has no newline yet becomes an event as it is.
    pub(crate) fn flush(&mut self) -> Option<Bytes> {
        (!self.partial.is_empty()).then(|| self.partial.split().freeze())
    }
}

/// The last bytes of a log.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    bytes: Vec<u8>,
}

impl Tail {
    /// Adds to the end.
    pub(crate) fn push(&mut self, line: &[u8]) {
        let keep = &line[line.len().saturating_sub(LOG_TAIL_BYTES)..];
        self.bytes.extend_from_slice(keep);
        if self.bytes.len() > 2 * LOG_TAIL_BYTES {
            self.bytes.drain(..self.bytes.len() - LOG_TAIL_BYTES);
        }
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// The last 4,096 bytes or fewer.
    pub(crate) fn take(&mut self) -> Bytes {
        let bytes = Bytes::from(std::mem::take(&mut self.bytes));
        bytes.slice(bytes.len().saturating_sub(LOG_TAIL_BYTES)..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(pieces: &[&[u8]]) -> (Vec<Bytes>, Option<Bytes>) {
        let (mut lines, mut events) = (Lines::default(), Vec::new());
        pieces.iter().for_each(|piece| lines.push(piece, |event| events.push(event)));
        (events, lines.flush())
    }

    #[test]
    fn one_event_per_line_however_it_arrives() {
        let (got, rest) = events(&[b"a\nbc", b"d\n\nano", b"ther\rline\nend"]);
        assert_eq!(got, ["a\n", "bcd\n", "\n", "another\rline\n"]);
        assert_eq!(rest.unwrap(), "end");
        assert_eq!(events(&[b"whole\n"]).1, None);
    }

    #[test]
    fn a_long_line_is_split() {
        let long = vec![b'x'; LOG_LINE_BYTES * 2 + 10];
        let (got, rest) = events(&[&long, b"\nnext\n"]);
        let sizes: Vec<usize> = got.iter().map(Bytes::len).collect();
        assert_eq!(sizes, [LOG_LINE_BYTES, LOG_LINE_BYTES, 11, 5]);
        assert_eq!(rest, None);
        let exact = [vec![b'x'; LOG_LINE_BYTES - 1], vec![b'\n']].concat();
        assert_eq!(events(&[&exact]).0.len(), 1);
    }

    #[test]
    fn the_tail_is_the_end() {
        let mut tail = Tail::default();
        for i in 0..5000 {
            tail.push(format!("{i}\n").as_bytes());
        }
        let end = tail.take();
        assert!(end.len() == LOG_TAIL_BYTES && end.ends_with(b"4998\n4999\n"));
        tail.push(&[b'y'; 10_000]);
        assert_eq!(tail.take().len(), LOG_TAIL_BYTES);
        assert_eq!(tail.take(), "");
    }
}
