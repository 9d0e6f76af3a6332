//! A line on file: length, sequence, time, stream, message, checksum. Numbers are little-endian.

use std::sync::Arc;

use bytes::Bytes;
use hearth_types::limits::LOG_LINE_BYTES;

/// One event of a log group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogLine {
    /// Its place in the group: grows by one, also over restarts.
    pub sequence: u64,
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// The stream: one per environment.
    pub stream: Arc<str>,
    /// As it came, with its newline where it had one.
    pub message: Bytes,
}

/// Length and checksum.
const FRAME: usize = 8;
/// Sequence, time, length of the stream's name.
const HEAD: usize = 18;
/// A record that says it is longer is none.
const RECORD_BYTES: usize = HEAD + 1024 + 2 * LOG_LINE_BYTES;

/// Appends the line's record.
pub(crate) fn write(line: &LogLine, out: &mut Vec<u8>) {
    let stream = &line.stream.as_bytes()[..line.stream.len().min(1024)];
    let message = &line.message[..line.message.len().min(2 * LOG_LINE_BYTES)];
    let start = out.len();
    out.extend_from_slice(&[0; FRAME]);
    out.extend_from_slice(&line.sequence.to_le_bytes());
    out.extend_from_slice(&line.timestamp_ms.to_le_bytes());
    // The bound above keeps it below 2^16.
    out.extend_from_slice(&(stream.len() as u16).to_le_bytes());
    out.extend_from_slice(stream);
    out.extend_from_slice(message);
    let length = (out.len() - start - FRAME) as u32;
    let checksum = crc32fast::hash(&out[start + FRAME..]);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..start + FRAME].copy_from_slice(&checksum.to_le_bytes());
}

/// The first record of `bytes` and what is behind it; none where it is torn or damaged.
pub(crate) fn read(bytes: &[u8]) -> Option<(LogLine, &[u8])> {
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
    let (sequence, record) = record.split_first_chunk::<8>()?;
    let (time, record) = record.split_first_chunk::<8>()?;
    let (stream_length, record) = record.split_first_chunk::<2>()?;
    let (stream, message) = record.split_at_checked(u16::from_le_bytes(*stream_length).into())?;
    let line = LogLine {
        sequence: u64::from_le_bytes(*sequence),
        timestamp_ms: i64::from_le_bytes(*time),
        stream: Arc::from(String::from_utf8_lossy(stream)),
        message: Bytes::copy_from_slice(message),
    };
    Some((line, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(message: &'static [u8]) -> LogLine {
        LogLine { sequence: 7, timestamp_ms: -1, stream: "s".into(), message: Bytes::from_static(message) }
    }

    #[test]
    fn records_go_out_and_come_back() {
        let mut bytes = Vec::new();
        write(&line(b"one\n"), &mut bytes);
        write(&line(b"\xff\0"), &mut bytes);
        let (first, rest) = read(&bytes).unwrap();
        let (second, rest) = read(rest).unwrap();
        assert_eq!((first, second), (line(b"one\n"), line(b"\xff\0")));
        assert!(rest.is_empty() && read(rest).is_none());
    }

    #[test]
    fn torn_and_damaged_records_are_none() {
        let mut bytes = Vec::new();
        write(&line(b"message"), &mut bytes);
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
