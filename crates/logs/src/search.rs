//! Pages of a group's lines, in the order of their times.

use std::collections::{BTreeMap, HashSet};
use std::io;

use hearth_types::limits::LOG_READ_BYTES;

use crate::group::View;
use crate::record::{LogLine, Record, Records};
use crate::segment::read_file;

/// A place between a group's lines, which are in the order of their times, and of their coming within a millisecond.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Position {
    /// The time of the line at this place.
    pub timestamp_ms: i64,
    /// Its sequence.
    pub sequence: u64,
}

/// From where to where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// The oldest lines behind a position.
    Forward(Option<Position>),
    /// The newest lines before a position.
    Backward(Option<Position>),
}

/// Which streams.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Streams {
    /// Every one.
    All,
    /// Those whose names begin so.
    Prefix(String),
    /// These.
    Named(HashSet<String>),
}

impl Streams {
    /// Whether it is one of them.
    #[must_use]
    pub fn has(&self, stream: &str) -> bool {
        match self {
            Self::All => true,
            Self::Prefix(prefix) => stream.starts_with(prefix),
            Self::Named(names) => names.contains(stream),
        }
    }
}

/// Which lines are wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Query {
    /// Of which streams.
    pub streams: Streams,
    /// From this time on.
    pub from_ms: i64,
    /// Up to this time, which is in it.
    pub to_ms: i64,
    /// From where.
    pub direction: Direction,
    /// Lines at most.
    pub lines: usize,
    /// Bytes of messages at most; one line is given whatever it has.
    pub bytes: usize,
}

/// A page of lines.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// In order, also where the way went back.
    pub lines: Vec<LogLine>,
    /// Whether there are more in the direction of the way.
    pub more: bool,
}

/// The lines that are wanted and that `matches` is true for.
pub(crate) fn search(view: &View, query: &Query, matches: impl Fn(&[u8]) -> bool) -> io::Result<Found> {
    let mut page = Page { lines: BTreeMap::new(), bytes: 0, more: false };
    let is_forward = matches!(query.direction, Direction::Forward(_));
    let files = view.files.iter().filter(|file| file.newest_ms >= query.from_ms && file.oldest_ms <= query.to_ms);
    let files: Vec<_> = if is_forward { files.collect() } else { files.rev().collect() };
    for file in files {
        let nearest_ms = if is_forward { file.oldest_ms } else { file.newest_ms };
        if page.more && page.lines.last_key_value().is_some_and(|(last, _)| *last < query.rank(nearest_ms, None)) {
            continue;
        }
        for record in Records(&read_file(&file.path)?) {
            if view.has(&record)
                && let Some(rank) = query.wants(&record)
            {
                page.take(rank, &record, query, &matches);
            }
        }
    }
    let mut lines: Vec<LogLine> = page.lines.into_values().collect();
    if !is_forward {
        lines.reverse();
    }
    Ok(Found { lines, more: page.more })
}

/// The last lines in the order of their coming, no more of them than [`LOG_READ_BYTES`] hold.
pub(crate) fn last(view: &View, limit: usize) -> io::Result<Vec<LogLine>> {
    let mut newest_first: Vec<LogLine> = Vec::new();
    let mut bytes_left = LOG_READ_BYTES;
    'files: for file in view.files.iter().rev() {
        let bytes = read_file(&file.path)?;
        let records: Vec<Record<'_>> = Records(&bytes).filter(|record| view.has(record)).collect();
        for record in records.into_iter().rev() {
            if newest_first.len() == limit || record.message.len() > bytes_left {
                break 'files;
            }
            bytes_left -= record.message.len();
            newest_first.push(record.to_line());
        }
    }
    newest_first.reverse();
    Ok(newest_first)
}

/// A line's place on the way: what is nearer to its beginning is smaller.
type Rank = i128;

impl Query {
    fn rank(&self, timestamp_ms: i64, sequence: Option<u64>) -> Rank {
        let place = |sequence: u64| (Rank::from(timestamp_ms) << 64) | Rank::from(sequence);
        match self.direction {
            Direction::Forward(_) => place(sequence.unwrap_or(0)),
            Direction::Backward(_) => -place(sequence.unwrap_or(u64::MAX)),
        }
    }

    /// The line's rank, where it is one of those wanted.
    fn wants(&self, line: &Record<'_>) -> Option<Rank> {
        let is_in_time = (self.from_ms..=self.to_ms).contains(&line.timestamp_ms);
        if !is_in_time || !self.streams.has(line.stream) {
            return None;
        }
        let rank = self.rank(line.timestamp_ms, Some(line.sequence));
        let (Direction::Forward(start) | Direction::Backward(start)) = self.direction;
        let is_behind = start.is_none_or(|start| rank > self.rank(start.timestamp_ms, Some(start.sequence)));
        is_behind.then_some(rank)
    }
}

/// The nearest lines so far.
struct Page {
    lines: BTreeMap<Rank, LogLine>,
    bytes: usize,
    /// Whether some had no room.
    more: bool,
}

impl Page {
    fn take(&mut self, rank: Rank, line: &Record<'_>, query: &Query, matches: impl Fn(&[u8]) -> bool) {
        let is_too_far = self.more && self.lines.last_key_value().is_some_and(|(last, _)| rank > *last);
        if is_too_far || !matches(line.message) {
            return;
        }
        self.bytes += line.message.len();
        self.lines.insert(rank, line.to_line());
        while self.lines.len() > 1 && (self.lines.len() > query.lines || self.bytes > query.bytes) {
            self.more = true;
            let Some((_, furthest)) = self.lines.pop_last() else { return };
            self.bytes -= furthest.message.len();
        }
    }
}

#[cfg(test)]
mod tests;
