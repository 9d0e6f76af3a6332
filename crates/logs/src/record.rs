//! A line on file: length, checksum, sequence, time, stream, message. Numbers are little-endian.

use std::sync::Arc;

use bytes::Bytes;
use hearth_types::limits::{LOG_EVENT_BYTES, LOG_STREAM_CHARS};

/// One event of a log group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogLine {
    /// Its place in the group: grows, also over restarts and over a group's end and beginning anew.
    pub sequence: u64,
    /// What its writer says when it happened. Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// When it came. Milliseconds since 1970.
    pub ingested_ms: i64,
    /// The stream: one per environment.
    pub stream: Arc<str>,
    /// As it came, with its newline where it had one.
    pub message: Bytes,
}

/// A line where it lies in a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) sequence: u64,
    pub(crate) timestamp_ms: i64,
    pub(crate) ingested_ms: i64,
    pub(crate) stream: &'a str,
    pub(crate) message: &'a [u8],
}

impl Record<'_> {
    pub(crate) fn to_line(self) -> LogLine {
        LogLine {
            sequence: self.sequence,
            timestamp_ms: self.timestamp_ms,
            ingested_ms: self.ingested_ms,
            stream: self.stream.into(),
            message: Bytes::copy_from_slice(self.message),
        }
    }
}

/// Length and checksum.
const FRAME: usize = 8;
/// Sequence, time, length of the stream's name.
const HEAD: usize = 18;
/// In the length of the stream's name: behind the head is the time of the line's coming, for it is another one.
const CAME_LATER: u16 = 1 << 15;
/// Bytes of a stream's name: its characters are of one byte to four.
const STREAM_BYTES: usize = 4 * LOG_STREAM_CHARS;
/// A record that says it is longer is none.
const RECORD_BYTES: usize = HEAD + 8 + STREAM_BYTES + LOG_EVENT_BYTES;

/// Appends the line's record.
pub(crate) fn write(line: &LogLine, out: &mut Vec<u8>) {
    let stream = &line.stream[..line.stream.floor_char_boundary(STREAM_BYTES)];
    let message = &line.message[..line.message.len().min(LOG_EVENT_BYTES)];
    let start = out.len();
    out.extend_from_slice(&[0; FRAME]);
    out.extend_from_slice(&line.sequence.to_le_bytes());
    out.extend_from_slice(&line.timestamp_ms.to_le_bytes());
    let came_later = line.ingested_ms != line.timestamp_ms;
    // The bound above keeps it below 2^15.
    let stream_length = stream.len() as u16;
    out.extend_from_slice(&(if came_later { stream_length | CAME_LATER } else { stream_length }).to_le_bytes());
    if came_later {
        out.extend_from_slice(&line.ingested_ms.to_le_bytes());
    }
    out.extend_from_slice(stream.as_bytes());
    out.extend_from_slice(message);
    let length = (out.len() - start - FRAME) as u32;
    let checksum = crc32fast::hash(&out[start + FRAME..]);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..start + FRAME].copy_from_slice(&checksum.to_le_bytes());
}

/// The first record of `bytes` and what is behind it; none where it is torn or damaged.
pub(crate) fn read(bytes: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (checksum, rest) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length) as usize;
    if !(HEAD..=RECORD_BYTES).contains(&length) || rest.len() < length {
        return None;
    }
    let (record, rest) = rest.split_at(length);
    if crc32fast::hash(record) != u32::from_le_bytes(*checksum) {
        return None;
    }
    Some((fields(record)?, rest))
}

fn fields(record: &[u8]) -> Option<Record<'_>> {
    let (sequence, record) = record.split_first_chunk::<8>()?;
    let (time, record) = record.split_first_chunk::<8>()?;
    let (stream_length, mut record) = record.split_first_chunk::<2>()?;
    let stream_length = u16::from_le_bytes(*stream_length);
    let timestamp_ms = i64::from_le_bytes(*time);
    let mut ingested_ms = timestamp_ms;
    if stream_length & CAME_LATER != 0 {
        let (ingested, behind) = record.split_first_chunk::<8>()?;
        (ingested_ms, record) = (i64::from_le_bytes(*ingested), behind);
    }
    let (stream, message) = record.split_at_checked((stream_length & !CAME_LATER).into())?;
    let sequence = u64::from_le_bytes(*sequence);
    Some(Record { sequence, timestamp_ms, ingested_ms, stream: std::str::from_utf8(stream).ok()?, message })
}

/// The whole records of a file, in order.
pub(crate) struct Records<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        let (record, rest) = read(self.0)?;
        self.0 = rest;
        Some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(message: &'static [u8], ingested_ms: i64) -> LogLine {
        let message = Bytes::from_static(message);
        LogLine { sequence: 7, timestamp_ms: -1, ingested_ms, stream: "s".into(), message }
    }

    #[test]
    fn records_go_out_and_come_back() {
        let mut bytes = Vec::new();
        let lines = [line(b"one\n", -1), line(b"\xff\0", 5), line(b"", -1)];
        for line in &lines {
            write(line, &mut bytes);
        }
        let mut records = Records(&bytes);
        assert_eq!(records.by_ref().map(Record::to_line).collect::<Vec<_>>(), lines);
        assert!(records.0.is_empty());
    }

    #[test]
    fn torn_and_damaged_records_are_none() {
        let mut bytes = Vec::new();
        write(&line(b"message", 3), &mut bytes);
        for end in 0..bytes.len() {
            assert_eq!(read(&bytes[..end]), None, "{end} bytes");
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(read(&damaged), None, "byte {at}");
        }
    }
}
