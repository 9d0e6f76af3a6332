//! The thread that writes out what was appended.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hearth_types::limits::{LOG_LINE_OVERHEAD, LOG_OPEN_FILES, LOG_TIDY_EVERY};
use tracing::error;

use crate::follow::Followers;
use crate::group::{Group, NewLine};
use crate::groups::Groups;
use crate::queue::{AllDropped, Arrived, Batch, Dropped, Queue, count_dropped};
use crate::record::LogLine;
use crate::store::now_ms;

/// How long the writer lets lines gather: the price of one wake-up and one write is then shared by all of them.
const GATHER: Duration = Duration::from_millis(10);
/// How long until it tries again to say what was dropped, where the group has no room even for that.
const SAY_DROPPED: Duration = Duration::from_millis(100);

pub(crate) struct Writer {
    queue: Arc<Queue>,
    followers: Arc<Followers>,
    groups: Arc<Groups>,
    /// The groups whose files are open, and the turn in which each was last written to.
    open: HashMap<Arc<str>, u64>,
    turn: u64,
    /// What was dropped and has not been said.
    dropped: AllDropped,
}

/// Tells all that the writer is no more.
struct End {
    queue: Arc<Queue>,
    followers: Arc<Followers>,
}

impl Drop for End {
    fn drop(&mut self) {
        self.queue.end();
        self.followers.close();
    }
}

impl Writer {
    pub(crate) fn new(queue: Arc<Queue>, followers: Arc<Followers>, groups: Arc<Groups>) -> Self {
        Self { queue, followers, groups, open: HashMap::new(), turn: 0, dropped: HashMap::new() }
    }

    pub(crate) fn run(&mut self) {
        // Also where it panics: who waits for it must not wait for ever.
        let _end = End { queue: Arc::clone(&self.queue), followers: Arc::clone(&self.followers) };
        let mut tidied: Option<Instant> = None;
        loop {
            self.queue.wait(if self.dropped.is_empty() { LOG_TIDY_EVERY } else { SAY_DROPPED });
            if !self.queue.is_urgent() {
                std::thread::sleep(GATHER);
            }
            let batch = self.queue.take();
            let last = batch.closed;
            self.write(batch);
            if last {
                break;
            }
            if tidied.is_none_or(|at| at.elapsed() >= LOG_TIDY_EVERY) {
                self.groups.tidy(now_ms());
                tidied = Some(Instant::now());
            }
        }
    }

    fn write(&mut self, batch: Batch) {
        self.turn += 1;
        let now_ms = now_ms();
        for (group, dropped) in batch.dropped {
            merge(&mut self.dropped, group, dropped);
        }
        for (group, arrived) in batch.groups {
            self.write_group(&group, &arrived.lines, now_ms);
        }
        self.say_dropped(now_ms);
        self.close_files();
        for done in batch.flushes {
            // Who asked may have gone.
            let _ = done.send(());
        }
    }

    fn write_group(&mut self, name: &Arc<str>, lines: &[Arrived], now_ms: i64) {
        let mut dropped = AllDropped::new();
        let written = self.groups.with_made(name, now_ms, |group| {
            let mut written = Vec::with_capacity(lines.len());
            for line in lines {
                if group.allowance.take(line.message.len(), now_ms) {
                    written.push(push(group, line, now_ms)?);
                } else {
                    count_dropped(&mut dropped, name, &line.stream);
                }
            }
            group.flush()?;
            Ok(written)
        });
        let bytes = written.iter().flatten().map(|line| line.message.len() as u64 + LOG_LINE_OVERHEAD).sum();
        self.tell(name, written);
        self.groups.grew(bytes, now_ms);
        for (group, dropped) in dropped {
            merge(&mut self.dropped, group, dropped);
        }
    }

    /// Says in a group's log how many of its lines are missing.
    fn say_dropped(&mut self, now_ms: i64) {
        for (name, dropped) in std::mem::take(&mut self.dropped) {
            let Dropped { lines, stream } = &dropped;
            let message = format!("{lines} lines of this log were dropped: they came faster than they could be kept\n");
            let line = Arrived { stream: Arc::clone(stream), timestamp_ms: now_ms, message: Bytes::from(message) };
            let mut has_room = true;
            let written = self.groups.with_made(&name, now_ms, |group| {
                has_room = group.allowance.take(line.message.len(), now_ms);
                if !has_room {
                    return Ok(Vec::new());
                }
                let written = push(group, &line, now_ms)?;
                group.flush()?;
                Ok(vec![written])
            });
            self.tell(&name, written);
            if !has_room {
                merge(&mut self.dropped, name, dropped);
            }
        }
    }

    /// On file first: who follows and then reads sees every line at least once.
    fn tell(&mut self, group: &Arc<str>, written: io::Result<Vec<LogLine>>) {
        match written {
            Ok(written) => {
                self.open.insert(Arc::clone(group), self.turn);
                for line in written {
                    self.followers.tell(group, line);
                }
            }
            Err(cause) => error!("{group}: lines of the log are lost: {cause}"),
        }
    }

    /// Closes the files of the groups that have been silent for longest, where too many are open.
    fn close_files(&mut self) {
        if self.open.len() <= LOG_OPEN_FILES {
            return;
        }
        let mut turns: Vec<(u64, Arc<str>)> = self.open.drain().map(|(name, turn)| (turn, name)).collect();
        turns.sort();
        let closed = turns.len() - LOG_OPEN_FILES / 2;
        for (_, name) in turns.drain(..closed) {
            // A group that is no more has no file.
            let _ = self.groups.with(&name, |group| {
                group.close_file();
                Ok(())
            });
        }
        self.open.extend(turns.into_iter().map(|(turn, name)| (name, turn)));
    }
}

/// A line counts as ingested when it happened: its environment is on this machine.
fn push(group: &mut Group, line: &Arrived, now_ms: i64) -> io::Result<LogLine> {
    let Arrived { stream, timestamp_ms, message } = line;
    let new = NewLine { stream, timestamp_ms: *timestamp_ms, ingested_ms: *timestamp_ms, message };
    group.push(&new, now_ms)
}

fn merge(all: &mut AllDropped, group: Arc<str>, more: Dropped) {
    let before = all.get(&group).map_or(0, |dropped| dropped.lines);
    all.insert(group, Dropped { lines: before + more.lines, stream: more.stream });
}
