//! The files of one log group: segments named by their first line's sequence.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use hearth_types::CodeDigest;
use hearth_types::limits::{LOG_GROUP_BYTES, LOG_READ_BYTES, LOG_SEGMENT_BYTES};

use crate::record::{self, LogLine};

/// The folder of a group below the store's. A group's name may hold any character; a folder's may not.
pub(crate) fn folder(root: &Path, group: &str) -> PathBuf {
    let mut name = String::with_capacity(group.len() + 16);
    for byte in group.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(byte.into()),
            other => name.push_str(&format!("%{other:02x}")),
        }
    }
    if name.len() > 200 {
        name.truncate(120);
        name.push_str(&format!("%{}", CodeDigest::of(group.as_bytes())));
    }
    root.join(name)
}

/// Writes one group.
pub(crate) struct GroupWriter {
    folder: PathBuf,
    /// The last segment, while it is open.
    file: Option<File>,
    /// The sequence that names it.
    segment: u64,
    file_bytes: u64,
    next: u64,
    buffer: Vec<u8>,
}

impl GroupWriter {
    /// Goes on where the group ended. A torn end is cut off.
    pub(crate) fn open(folder: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        let Some(last) = segments(&folder)?.pop() else {
            return Ok(Self { folder, file: None, segment: 1, file_bytes: 0, next: 1, buffer: Vec::new() });
        };
        let bytes = fs::read(&last.path)?;
        let (lines, whole) = parse(&bytes);
        if whole < bytes.len() {
            OpenOptions::new().append(true).open(&last.path)?.set_len(whole as u64)?;
        }
        let next = lines.last().map_or(last.first, |line| line.sequence + 1);
        let (segment, file_bytes) = (last.first, whole as u64);
        Ok(Self { folder, file: None, segment, file_bytes, next, buffer: Vec::new() })
    }

    /// Whether it holds a file open.
    pub(crate) fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// The next line opens the file again.
    pub(crate) fn close_file(&mut self) {
        self.file = None;
    }

    /// The sequence of the next line.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.next
    }

    /// Takes a line, whose sequence must be [`Self::next_sequence`].
    pub(crate) fn push(&mut self, line: &LogLine) {
        record::write(line, &mut self.buffer);
        self.next = line.sequence + 1;
    }

    /// Puts what was pushed on file. What cannot be is lost, and nothing of it stays behind.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let pushed = std::mem::take(&mut self.buffer);
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(open_segment(&self.folder, self.segment)?),
        };
        if let Err(cause) = file.write_all(&pushed) {
            // A record written in part would hide all that come after it.
            file.set_len(self.file_bytes)?;
            return Err(cause);
        }
        self.file_bytes += pushed.len() as u64;
        if self.file_bytes >= LOG_SEGMENT_BYTES {
            (self.file, self.segment, self.file_bytes) = (None, self.next, 0);
            remove_oldest(&self.folder)?;
        }
        Ok(())
    }
}

/// The last `limit` lines since `since_ms`, oldest first, and no more than [`LOG_READ_BYTES`] hold.
pub(crate) fn read(folder: &Path, since_ms: i64, limit: usize) -> io::Result<Vec<LogLine>> {
    let mut newest_first: Vec<LogLine> = Vec::new();
    let mut bytes_left = LOG_READ_BYTES;
    'segments: for segment in segments(folder)?.into_iter().rev() {
        let bytes = match fs::read(&segment.path) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => break,
            read => read?,
        };
        let lines = parse(&bytes).0;
        let is_oldest_needed = lines.first().is_some_and(|line| line.timestamp_ms < since_ms);
        for line in lines.into_iter().rev().filter(|line| line.timestamp_ms >= since_ms) {
            if newest_first.len() == limit || line.message.len() > bytes_left {
                break 'segments;
            }
            bytes_left -= line.message.len();
            newest_first.push(line);
        }
        if is_oldest_needed {
            break;
        }
    }
    newest_first.reverse();
    Ok(newest_first)
}

/// The whole records, and how many bytes they are.
fn parse(bytes: &[u8]) -> (Vec<LogLine>, usize) {
    let mut lines = Vec::new();
    let mut rest = bytes;
    while let Some((line, behind)) = record::read(rest) {
        lines.push(line);
        rest = behind;
    }
    (lines, bytes.len() - rest.len())
}

struct Segment {
    first: u64,
    path: PathBuf,
}

/// In order; none where the group has no folder.
fn segments(folder: &Path) -> io::Result<Vec<Segment>> {
    let entries = match fs::read_dir(folder) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut segments = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let first = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".log")?.parse().ok());
        segments.extend(first.map(|first| Segment { first, path }));
    }
    segments.sort_by_key(|segment| segment.first);
    Ok(segments)
}

fn open_segment(folder: &Path, first: u64) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(folder.join(format!("{first:020}.log")))
}

/// Makes room for one segment more.
fn remove_oldest(folder: &Path) -> io::Result<()> {
    let segments = segments(folder)?;
    let most = usize::try_from(LOG_GROUP_BYTES / LOG_SEGMENT_BYTES - 1).unwrap_or(usize::MAX);
    for segment in segments.iter().take(segments.len().saturating_sub(most)) {
        fs::remove_file(&segment.path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn write(folder: &Path, messages: &[&'static str]) {
        let mut writer = GroupWriter::open(folder.to_owned()).unwrap();
        for message in messages {
            let line = LogLine {
                sequence: writer.next_sequence(),
                timestamp_ms: 10,
                stream: "s".into(),
                message: Bytes::from_static(message.as_bytes()),
            };
            writer.push(&line);
        }
        writer.flush().unwrap();
    }

    fn texts(lines: &[LogLine]) -> Vec<(u64, String)> {
        lines.iter().map(|line| (line.sequence, String::from_utf8_lossy(&line.message).into_owned())).collect()
    }

    #[test]
    fn goes_on_after_a_restart_and_cuts_a_torn_end() {
        let root = tempfile::tempdir().unwrap();
        let folder = folder(root.path(), "/aws/lambda/f");
        write(&folder, &["a", "b"]);
        let segment = segments(&folder).unwrap().pop().unwrap().path;
        let mut bytes = fs::read(&segment).unwrap();
        bytes.extend_from_slice(&[40, 0, 0, 0, 1, 2]);
        fs::write(&segment, bytes).unwrap();
        write(&folder, &["c"]);
        let expected = [(1, "a".to_owned()), (2, "b".to_owned()), (3, "c".to_owned())];
        assert_eq!(texts(&read(&folder, 0, 10).unwrap()), expected);
        assert_eq!(texts(&read(&folder, 0, 1).unwrap()), expected[2..]);
        assert_eq!(read(&folder, 11, 10).unwrap(), []);
    }

    #[test]
    fn the_oldest_files_go() {
        let root = tempfile::tempdir().unwrap();
        let folder = folder(root.path(), "g");
        let mut writer = GroupWriter::open(folder.clone()).unwrap();
        let message = Bytes::from(vec![b'x'; 200_000]);
        let lines = LOG_GROUP_BYTES * 2 / message.len() as u64;
        for sequence in 1..=lines {
            writer.push(&LogLine { sequence, timestamp_ms: 0, stream: "s".into(), message: message.clone() });
            writer.flush().unwrap();
        }
        let bytes: u64 = segments(&folder).unwrap().iter().map(|s| fs::metadata(&s.path).unwrap().len()).sum();
        assert!(bytes <= LOG_GROUP_BYTES + LOG_SEGMENT_BYTES, "{bytes} bytes are left");
        let last = |limit| read(&folder, 0, limit).unwrap().iter().map(|line| line.sequence).collect::<Vec<_>>();
        assert_eq!(last(1), [lines]);
        // Over the bounds of files, and no more than fits.
        assert_eq!(last(60), (lines - 59..=lines).collect::<Vec<_>>());
        let fit = (LOG_READ_BYTES / message.len()) as u64;
        assert_eq!(last(usize::MAX), (lines - fit + 1..=lines).collect::<Vec<_>>());
    }

    #[test]
    fn names_of_groups_stay_inside_the_store() {
        let root = Path::new("/r");
        for name in ["..", ".", "/", "a/../../b", "\0", "%2e", &"/".repeat(512)] {
            let folder = folder(root, name);
            assert_eq!(folder.parent(), Some(root), "{name:?}");
            assert!(folder.file_name().is_some_and(|f| f.len() <= 255), "{name:?}");
        }
        assert_ne!(folder(root, "a/b"), folder(root, "a%2fb"));
    }
}
