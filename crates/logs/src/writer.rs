//! The thread that writes out what was appended.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hearth_types::limits::{LOG_LINE_OVERHEAD, LOG_OPEN_FILES, LOG_TIDY_EVERY, LOG_YOUNG_PAUSE};
use tracing::error;

use crate::follow::Followers;
use crate::groups::{Appended, Groups, Kept};
use crate::queue::{AllDropped, Arrived, Batch, Dropped, Queue};
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
    /// Whether groups are waiting to settle.
    are_leaving: bool,
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
        Self { queue, followers, groups, open: HashMap::new(), turn: 0, dropped: HashMap::new(), are_leaving: true }
    }

    pub(crate) fn run(&mut self) {
        // Also where it panics: who waits for it must not wait for ever.
        let _end = End { queue: Arc::clone(&self.queue), followers: Arc::clone(&self.followers) };
        let mut tidied: Option<Instant> = None;
        loop {
            self.queue.wait(self.patience());
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
            self.settle_some();
        }
    }

    /// How long it waits for lines.
    fn patience(&self) -> Duration {
        if self.are_leaving {
            LOG_YOUNG_PAUSE
        } else if self.dropped.is_empty() {
            LOG_TIDY_EVERY
        } else {
            SAY_DROPPED
        }
    }

    /// A few groups at a time, so that the lines of all others do not wait.
    fn settle_some(&mut self) {
        self.are_leaving = self.groups.settle_some().unwrap_or_else(|cause| {
            error!("log groups cannot be put in folders of their own: {cause}");
            false
        });
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
        let mut appended = self.groups.append(name, lines, now_ms);
        if let Some(dropped) = appended.as_mut().ok().and_then(|appended| appended.dropped.take()) {
            merge(&mut self.dropped, Arc::clone(name), dropped);
        }
        self.tell(name, appended, now_ms);
    }

    /// Says in a group's log how many of its lines are missing.
    fn say_dropped(&mut self, now_ms: i64) {
        for (name, dropped) in std::mem::take(&mut self.dropped) {
            let Dropped { lines, stream } = &dropped;
            let message = format!("{lines} lines of this log were dropped: they came faster than they could be kept\n");
            let line = Arrived { stream: Arc::clone(stream), timestamp_ms: now_ms, message: Bytes::from(message) };
            match self.groups.append(&name, &[line], now_ms) {
                Ok(Appended { dropped: Some(_), .. }) => merge(&mut self.dropped, name, dropped),
                appended => self.tell(&name, appended, now_ms),
            }
        }
    }

    /// On file first: who follows and then reads sees every line at least once.
    fn tell(&mut self, group: &Arc<str>, appended: io::Result<Appended>, now_ms: i64) {
        match appended {
            Ok(Appended { lines, is_open, .. }) => {
                if is_open {
                    self.open.insert(Arc::clone(group), self.turn);
                }
                let bytes = lines.iter().map(|line| line.message.len() as u64 + LOG_LINE_OVERHEAD).sum();
                for line in lines {
                    self.followers.tell(group, line);
                }
                self.groups.grew(bytes, now_ms);
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
            let _ = self.groups.with_kept(&name, Kept::close_file);
        }
        self.open.extend(turns.into_iter().map(|(turn, name)| (name, turn)));
    }
}

fn merge(all: &mut AllDropped, group: Arc<str>, more: Dropped) {
    let before = all.get(&group).map_or(0, |dropped| dropped.lines);
    all.insert(group, Dropped { lines: before + more.lines, stream: more.stream });
}
