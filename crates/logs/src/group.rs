//! One log group: what is kept of it, its files, and who writes to them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use hearth_types::limits::{LOG_GROUP_BYTES, LOG_SEGMENT_AGE, LOG_SEGMENT_BYTES, LOG_STREAMS};

use crate::about::{About, sync_folder};
use crate::allowance::Allowance;
use crate::record::{self, LogLine, Record, Records};
use crate::segment::{self, Segment, Span};
use crate::store::Refused;

/// A stream as it is listed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StreamInfo {
    /// Its name.
    pub name: String,
    /// When it was made, or its oldest line came. Milliseconds since 1970, as all times here.
    pub created_ms: i64,
    /// The times of its oldest and its newest line, and when the last one came; none while it is empty.
    pub events: Option<Events>,
}

/// Which times the lines of a stream have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Events {
    /// Of the oldest line.
    pub first_ms: i64,
    /// Of the newest.
    pub last_ms: i64,
    /// When the last line came.
    pub ingested_ms: i64,
}

/// A line that is to be kept.
pub(crate) struct NewLine<'a> {
    pub(crate) stream: &'a Arc<str>,
    pub(crate) timestamp_ms: i64,
    pub(crate) ingested_ms: i64,
    pub(crate) message: &'a Bytes,
}

impl NewLine<'_> {
    /// The line at its place in the group.
    pub(crate) fn at(&self, sequence: u64) -> LogLine {
        LogLine {
            sequence,
            timestamp_ms: self.timestamp_ms,
            ingested_ms: self.ingested_ms,
            stream: Arc::clone(self.stream),
            message: self.message.clone(),
        }
    }
}

/// Where the lines of a group are to be found.
pub(crate) struct View {
    pub(crate) files: Vec<ViewedFile>,
    deleted: BTreeMap<String, u64>,
    since_ms: i64,
}

pub(crate) struct ViewedFile {
    pub(crate) path: PathBuf,
    pub(crate) oldest_ms: i64,
    pub(crate) newest_ms: i64,
}

impl View {
    /// Whether a line is there for readers: neither deleted nor too old.
    pub(crate) fn has(&self, line: &Record<'_>) -> bool {
        line.timestamp_ms >= self.since_ms && !is_deleted(&self.deleted, line)
    }
}

/// A group and its files.
pub(crate) struct Group {
    pub(crate) name: Arc<str>,
    pub(crate) about: About,
    pub(crate) allowance: Allowance,
    folder: PathBuf,
    /// Oldest first; the last one is written to.
    segments: Vec<Segment>,
    /// The last segment, while it is open.
    file: Option<File>,
    /// The sequence of the next line, once it is known.
    next: Option<u64>,
    /// Lines on their way to the file.
    buffer: Vec<u8>,
}

impl Group {
    /// A new one, on stable storage.
    pub(crate) fn create(root: &Path, about: About) -> io::Result<Self> {
        let folder = folder(root, &about.name);
        fs::create_dir_all(&folder)?;
        about.save(&folder)?;
        sync_folder(root)?;
        Self::new(folder, about)
    }

    /// One whose lines were elsewhere, with these, all on stable storage. It is a group once all lines are. Those that an
    /// attempt which failed has put on file already are known by their sequence.
    pub(crate) fn settle(root: &Path, about: About, lines: Records<'_>) -> io::Result<Self> {
        let folder = folder(root, &about.name);
        fs::create_dir_all(&folder)?;
        let mut group = Self::new(folder, about)?;
        let known = match group.segments.len() {
            0 => 0,
            count => group.contents(count - 1)?.next,
        };
        for line in lines.filter(|line| line.sequence >= known).map(Record::to_line) {
            let LogLine { sequence, timestamp_ms, ingested_ms, stream, message } = &line;
            group.next = Some(*sequence);
            let new = NewLine { stream, timestamp_ms: *timestamp_ms, ingested_ms: *ingested_ms, message };
            group.push(&new, *ingested_ms)?;
        }
        group.flush()?;
        if let (Some(last), None) = (group.segments.last(), &group.file) {
            group.file = Some(last.open(&group.folder)?);
        }
        group.sync()?;
        group.close_file();
        group.about.save(&group.folder)?;
        sync_folder(root)?;
        Ok(group)
    }

    /// The one in this folder, if one is.
    pub(crate) fn open(folder: PathBuf) -> io::Result<Option<Self>> {
        let Some(about) = About::load(&folder)? else { return Ok(None) };
        Self::new(folder, about).map(Some)
    }

    fn new(folder: PathBuf, about: About) -> io::Result<Self> {
        let segments = segment::list(&folder)?;
        Ok(Self {
            name: about.name.as_str().into(),
            about,
            allowance: Allowance::default(),
            folder,
            segments,
            file: None,
            next: None,
            buffer: Vec::new(),
        })
    }

    /// Moves the folder out of the way, for good: after this there is no such group.
    pub(crate) fn remove(&mut self, aside: &Path) -> io::Result<()> {
        self.file = None;
        fs::rename(&self.folder, aside)?;
        aside.parent().map_or(Ok(()), sync_folder)
    }

    /// Whether its file is open for writing.
    pub(crate) fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// The next line opens the file again.
    pub(crate) fn close_file(&mut self) {
        self.file = None;
    }

    /// Bytes of all files.
    pub(crate) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Takes a line; [`Self::flush`] puts it on file.
    pub(crate) fn push(&mut self, new: &NewLine<'_>, now_ms: i64) -> io::Result<LogLine> {
        let sequence = self.next_sequence(now_ms)?;
        self.turn_over(sequence, now_ms)?;
        let line = new.at(sequence);
        record::write(&line, &mut self.buffer);
        self.next = Some(sequence + 1);
        let last = self.segments.len() - 1;
        self.contents(last)?.add(Record {
            sequence,
            timestamp_ms: line.timestamp_ms,
            ingested_ms: line.ingested_ms,
            stream: &line.stream,
            message: &line.message,
        });
        Ok(line)
    }

    /// Puts what was pushed on file. What cannot be is lost, and nothing of it stays behind.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let pushed = std::mem::take(&mut self.buffer);
        let Some(segment) = self.segments.last_mut() else { return Ok(()) };
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(segment.open(&self.folder)?),
        };
        if let Err(cause) = file.write_all(&pushed) {
            // A record written in part would hide all that come after it.
            file.set_len(segment.bytes)?;
            return Err(cause);
        }
        segment.bytes += pushed.len() as u64;
        Ok(())
    }

    /// Returns once what is on file is on stable storage.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), File::sync_data)?;
        sync_folder(&self.folder)
    }

    fn next_sequence(&mut self, now_ms: i64) -> io::Result<u64> {
        if let Some(next) = self.next {
            return Ok(next);
        }
        let next = match self.segments.len() {
            0 => first_sequence(now_ms),
            count => self.contents(count - 1)?.next,
        };
        self.next = Some(next);
        Ok(next)
    }

    /// Begins a new file where the last one is full, or where its lines are to go in time.
    fn turn_over(&mut self, sequence: u64, now_ms: i64) -> io::Result<()> {
        let is_over = match self.segments.last_mut() {
            None => true,
            Some(last) => {
                let age_ms = i64::try_from(LOG_SEGMENT_AGE.as_millis()).unwrap_or(i64::MAX);
                let began_ms = last.contents(&self.folder, |line| is_deleted(&self.about.deleted, line))?.began_ms;
                last.bytes + self.buffer.len() as u64 >= LOG_SEGMENT_BYTES
                    || self.about.retention_days.is_some() && began_ms < now_ms.saturating_sub(age_ms)
            }
        };
        if !is_over {
            return Ok(());
        }
        self.flush()?;
        self.file = None;
        if let Some(last) = self.segments.last() {
            last.leave_note(&self.folder)?;
        }
        self.segments.push(Segment::new(sequence));
        while self.bytes() > LOG_GROUP_BYTES - LOG_SEGMENT_BYTES && self.segments.len() > 1 {
            self.remove_segment(0)?;
        }
        Ok(())
    }

    /// Removes the oldest file but the one that is written to. Whether there was one.
    pub(crate) fn remove_oldest(&mut self) -> io::Result<bool> {
        let has_one = self.segments.len() > 1;
        if has_one {
            self.remove_segment(0)?;
        }
        Ok(has_one)
    }

    /// Removes the files that have nothing but lines whose retention is over.
    pub(crate) fn expire(&mut self, now_ms: i64) -> io::Result<()> {
        let since_ms = self.about.kept_since_ms(now_ms);
        if since_ms == i64::MIN {
            return Ok(());
        }
        self.next_sequence(now_ms)?;
        for index in (0..self.segments.len()).rev() {
            if self.contents(index)?.newest_ms < since_ms {
                if index + 1 == self.segments.len() {
                    self.flush()?;
                    self.file = None;
                }
                self.remove_segment(index)?;
            }
        }
        Ok(())
    }

    fn remove_segment(&mut self, index: usize) -> io::Result<()> {
        self.segments[index].remove(&self.folder)?;
        self.segments.remove(index);
        let oldest = self.segments.first().map_or(u64::MAX, |segment| segment.first);
        self.about.deleted.retain(|_, last| *last >= oldest);
        Ok(())
    }

    fn contents(&mut self, index: usize) -> io::Result<&mut segment::Contents> {
        let deleted = &self.about.deleted;
        self.segments[index].contents(&self.folder, |line| is_deleted(deleted, line))
    }

    /// Where readers find the lines that are there now.
    pub(crate) fn view(&mut self, now_ms: i64) -> io::Result<View> {
        self.flush()?;
        let mut files = Vec::with_capacity(self.segments.len());
        for index in 0..self.segments.len() {
            let path = self.segments[index].path(&self.folder);
            let contents = self.contents(index)?;
            files.push(ViewedFile { path, oldest_ms: contents.oldest_ms, newest_ms: contents.newest_ms });
        }
        Ok(View { files, deleted: self.about.deleted.clone(), since_ms: self.about.kept_since_ms(now_ms) })
    }

    /// All streams, by name.
    pub(crate) fn streams(&mut self, now_ms: i64) -> io::Result<Vec<StreamInfo>> {
        let since_ms = self.about.kept_since_ms(now_ms);
        let mut spans: BTreeMap<String, Span> = BTreeMap::new();
        for index in 0..self.segments.len() {
            for (name, span) in &self.contents(index)?.streams {
                match spans.get_mut(name) {
                    Some(known) => *known = known.and(*span),
                    None => drop(spans.insert(name.clone(), *span)),
                }
            }
        }
        spans.retain(|_, span| span.newest_ms >= since_ms);
        let mut streams: BTreeMap<String, StreamInfo> = BTreeMap::new();
        for (name, created_ms) in &self.about.streams {
            let info = StreamInfo { name: name.clone(), created_ms: *created_ms, events: None };
            streams.insert(name.clone(), info);
        }
        for (name, span) in spans {
            let (first_ms, last_ms) = (span.oldest_ms.max(since_ms), span.newest_ms);
            let info =
                streams.entry(name.clone()).or_insert(StreamInfo { name, created_ms: span.began_ms, events: None });
            info.events = Some(Events { first_ms, last_ms, ingested_ms: span.ingested_ms });
        }
        Ok(streams.into_values().collect())
    }

    /// Whether there is such a stream.
    pub(crate) fn has_stream(&mut self, name: &str, now_ms: i64) -> io::Result<bool> {
        if self.about.streams.contains_key(name) {
            return Ok(true);
        }
        let since_ms = self.about.kept_since_ms(now_ms);
        for index in (0..self.segments.len()).rev() {
            if self.contents(index)?.streams.get(name).is_some_and(|span| span.newest_ms >= since_ms) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(crate) fn create_stream(&mut self, name: &str, now_ms: i64) -> Result<(), Refused> {
        if self.has_stream(name, now_ms)? {
            return Err(Refused::StreamExists);
        }
        if self.about.streams.len() >= LOG_STREAMS {
            return Err(Refused::TooManyStreams);
        }
        self.change(|about| {
            about.streams.insert(name.to_owned(), now_ms);
        })
    }

    /// Hides the lines of a stream for good; they go with their files.
    pub(crate) fn delete_stream(&mut self, name: &str, now_ms: i64) -> Result<(), Refused> {
        if !self.has_stream(name, now_ms)? {
            return Err(Refused::NoStream);
        }
        if self.about.deleted.len() >= LOG_STREAMS {
            return Err(Refused::TooManyStreams);
        }
        self.flush()?;
        let last = self.next_sequence(now_ms)? - 1;
        for index in 0..self.segments.len() {
            if self.contents(index)?.streams.contains_key(name) {
                self.segments[index].forget(&self.folder)?;
            }
        }
        let has_lines = self.segments.first().is_some_and(|segment| segment.first <= last);
        self.change(|about| {
            about.streams.remove(name);
            if has_lines {
                about.deleted.insert(name.to_owned(), last);
            }
        })
    }

    /// Changes what is kept beside the lines: on stable storage, or not at all.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut About)) -> Result<(), Refused> {
        let mut about = self.about.clone();
        change(&mut about);
        about.save(&self.folder)?;
        self.about = about;
        Ok(())
    }
}

/// Of a group's first line: above all that an earlier group of this name had, as followers and readers tell lines by it.
pub(crate) fn first_sequence(now_ms: i64) -> u64 {
    u64::try_from(now_ms).unwrap_or_default().saturating_mul(1 << 20).max(1)
}

fn is_deleted(deleted: &BTreeMap<String, u64>, line: &Record<'_>) -> bool {
    !deleted.is_empty() && deleted.get(line.stream).is_some_and(|last| line.sequence <= *last)
}

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
        name.push_str(&format!("%{}", hearth_types::CodeDigest::of(group.as_bytes())));
    }
    root.join(name)
}

#[cfg(test)]
mod tests;
