//! The files of a group's lines, named by their first line's sequence, and what each of them has.
//!
//! Beside a file that is full lies a note of what it has; without one the file is read to find out.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::record::{Record, Records};

/// One file of a group.
#[derive(Debug)]
pub(crate) struct Segment {
    /// The sequence that names it: no line in it has a smaller one.
    pub(crate) first: u64,
    /// Bytes of whole lines, as far as known.
    pub(crate) bytes: u64,
    contents: Option<Contents>,
}

/// What a file has.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Contents {
    /// The sequence behind the last line.
    pub(crate) next: u64,
    /// When its first line came.
    pub(crate) began_ms: i64,
    pub(crate) oldest_ms: i64,
    pub(crate) newest_ms: i64,
    pub(crate) streams: HashMap<String, Span>,
}

/// What there is of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Span {
    /// When its first line came.
    pub(crate) began_ms: i64,
    pub(crate) oldest_ms: i64,
    pub(crate) newest_ms: i64,
    /// When its last line came.
    pub(crate) ingested_ms: i64,
}

impl Contents {
    /// Of a file without lines.
    pub(crate) fn empty(first: u64) -> Self {
        let (began_ms, oldest_ms, newest_ms) = (i64::MAX, i64::MAX, i64::MIN);
        Self { next: first, began_ms, oldest_ms, newest_ms, streams: HashMap::new() }
    }

    pub(crate) fn add(&mut self, line: Record<'_>) {
        self.next = line.sequence + 1;
        self.began_ms = self.began_ms.min(line.ingested_ms);
        self.oldest_ms = self.oldest_ms.min(line.timestamp_ms);
        self.newest_ms = self.newest_ms.max(line.timestamp_ms);
        let of_line = Span {
            began_ms: line.ingested_ms,
            oldest_ms: line.timestamp_ms,
            newest_ms: line.timestamp_ms,
            ingested_ms: line.ingested_ms,
        };
        match self.streams.get_mut(line.stream) {
            Some(span) => *span = span.and(of_line),
            None => drop(self.streams.insert(line.stream.to_owned(), of_line)),
        }
    }
}

impl Span {
    /// Both together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            began_ms: self.began_ms.min(other.began_ms),
            oldest_ms: self.oldest_ms.min(other.oldest_ms),
            newest_ms: self.newest_ms.max(other.newest_ms),
            ingested_ms: self.ingested_ms.max(other.ingested_ms),
        }
    }
}

impl Segment {
    /// One that has no line yet.
    pub(crate) fn new(first: u64) -> Self {
        Self { first, bytes: 0, contents: Some(Contents::empty(first)) }
    }

    pub(crate) fn path(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{:020}.log", self.first))
    }

    fn note(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{:020}.json", self.first))
    }

    /// What the file has, without the lines that `is_hidden` names.
    pub(crate) fn contents(
        &mut self,
        folder: &Path,
        is_hidden: impl Fn(&Record<'_>) -> bool,
    ) -> io::Result<&mut Contents> {
        let contents = match self.contents.take() {
            Some(known) => known,
            None => match self.noted(folder) {
                Some(noted) => noted,
                None => self.scan(folder, is_hidden)?,
            },
        };
        Ok(self.contents.insert(contents))
    }

    /// From its note. One that cannot be read is as good as none.
    fn noted(&self, folder: &Path) -> Option<Contents> {
        serde_json::from_slice(&fs::read(self.note(folder)).ok()?).ok()
    }

    fn scan(&mut self, folder: &Path, is_hidden: impl Fn(&Record<'_>) -> bool) -> io::Result<Contents> {
        let bytes = read_file(&self.path(folder))?;
        let mut contents = Contents::empty(self.first);
        let mut records = Records(&bytes);
        for record in records.by_ref() {
            if is_hidden(&record) {
                contents.next = record.sequence + 1;
            } else {
                contents.add(record);
            }
        }
        self.bytes = (bytes.len() - records.0.len()) as u64;
        Ok(contents)
    }

    /// Forgets what it has, as some of its lines are hidden from now on.
    pub(crate) fn forget(&mut self, folder: &Path) -> io::Result<()> {
        self.contents = None;
        remove_file(&self.note(folder))
    }

    /// Leaves a note of what it has, for the time after a restart.
    pub(crate) fn leave_note(&self, folder: &Path) -> io::Result<()> {
        let Some(contents) = &self.contents else { return Ok(()) };
        fs::write(self.note(folder), serde_json::to_vec(contents)?)
    }

    /// Opens it for writing behind its last whole line.
    pub(crate) fn open(&self, folder: &Path) -> io::Result<File> {
        let file = OpenOptions::new().append(true).create(true).open(self.path(folder))?;
        if file.metadata()?.len() > self.bytes {
            // Torn by a crash, or written only in part: it would hide all that comes behind it.
            file.set_len(self.bytes)?;
        }
        Ok(file)
    }

    pub(crate) fn remove(&self, folder: &Path) -> io::Result<()> {
        remove_file(&self.note(folder))?;
        remove_file(&self.path(folder))
    }
}

/// Those in a folder, in order.
pub(crate) fn list(folder: &Path) -> io::Result<Vec<Segment>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let first = name.to_str().and_then(|name| name.strip_suffix(".log")?.parse().ok());
        if let Some(first) = first {
            segments.push(Segment { first, bytes: entry.metadata()?.len(), contents: None });
        }
    }
    segments.sort_by_key(|segment| segment.first);
    Ok(segments)
}

/// The bytes of a file; none where it has been removed meanwhile.
pub(crate) fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    match fs::read(path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read,
    }
}

/// Removes a file, if it is there.
pub(crate) fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
