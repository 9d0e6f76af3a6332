//! What waits for the writer: bounded in lines and bytes, never blocking who appends.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hearth_types::limits::{LOG_QUEUE_BYTES, LOG_QUEUE_LINES, LOG_QUEUE_SHARE};
use tokio::sync::oneshot;

use crate::group::NewLine;

/// A line that has no sequence yet.
pub(crate) struct Arrived {
    pub(crate) stream: Arc<str>,
    pub(crate) timestamp_ms: i64,
    pub(crate) message: Bytes,
}

impl Arrived {
    /// It counts as ingested when it happened: its environment is on this machine.
    pub(crate) fn new_line(&self) -> NewLine<'_> {
        let Self { stream, timestamp_ms, message } = self;
        NewLine { stream, timestamp_ms: *timestamp_ms, ingested_ms: *timestamp_ms, message }
    }
}

/// The lines of one group.
#[derive(Default)]
pub(crate) struct OfGroup {
    pub(crate) lines: Vec<Arrived>,
    bytes: usize,
}

/// Lines of one group that had no room, and the stream of the last of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Dropped {
    pub(crate) lines: u64,
    pub(crate) stream: Arc<str>,
}

/// By group.
pub(crate) type AllDropped = HashMap<Arc<str>, Dropped>;

/// Counts a line that had no room.
fn count_dropped(all: &mut AllDropped, group: &Arc<str>, stream: &Arc<str>) {
    match all.get_mut(group) {
        Some(dropped) => *dropped = Dropped { lines: dropped.lines + 1, stream: Arc::clone(stream) },
        None => drop(all.insert(Arc::clone(group), Dropped { lines: 1, stream: Arc::clone(stream) })),
    }
}

/// What the writer takes at once: each group's lines in the order in which they came.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) groups: HashMap<Arc<str>, OfGroup>,
    lines: usize,
    bytes: usize,
    pub(crate) dropped: AllDropped,
    /// Who waits until the lines before are on file.
    pub(crate) flushes: Vec<oneshot::Sender<()>>,
    pub(crate) closed: bool,
    /// Whether the writer was woken for it.
    is_told: bool,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.lines == 0 && self.dropped.is_empty() && self.flushes.is_empty() && !self.closed
    }

    fn push(&mut self, group: &Arc<str>, line: Arrived) {
        let of_group = match self.groups.get_mut(group) {
            Some(of_group) => of_group,
            None => self.groups.entry(Arc::clone(group)).or_default(),
        };
        let length = line.message.len();
        let fits = self.lines < LOG_QUEUE_LINES
            && self.bytes + length <= LOG_QUEUE_BYTES
            && of_group.lines.len() < LOG_QUEUE_LINES / LOG_QUEUE_SHARE
            && of_group.bytes + length <= LOG_QUEUE_BYTES / LOG_QUEUE_SHARE;
        if fits {
            self.lines += 1;
            self.bytes += length;
            of_group.bytes += length;
            of_group.lines.push(line);
        } else {
            count_dropped(&mut self.dropped, group, &line.stream);
        }
    }
}

/// The queue between invokes and the writer.
pub(crate) struct Queue {
    /// None once the writer has ended: nobody would take what came then, nor answer who waits.
    waiting: Mutex<Option<Batch>>,
    filled: Condvar,
}

impl Default for Queue {
    fn default() -> Self {
        Self { waiting: Mutex::new(Some(Batch::default())), filled: Condvar::new() }
    }
}

impl Queue {
    /// Never blocks: what has no room is counted.
    pub(crate) fn push(&self, group: &Arc<str>, line: Arrived) {
        self.change(true, |batch| batch.push(group, line));
    }

    /// The same without a system call: who pushes calls [`Self::wake`] soon.
    pub(crate) fn push_quietly(&self, group: &Arc<str>, line: Arrived) {
        self.change(false, |batch| batch.push(group, line));
    }

    /// Wakes the writer, if there is something that it was not woken for.
    pub(crate) fn wake(&self) {
        self.change(true, |_| {});
    }

    /// Answers once everything pushed so far is on file; fails where there is no writer any more.
    pub(crate) fn flush(&self) -> oneshot::Receiver<()> {
        let (done, wait) = oneshot::channel();
        self.change(true, |batch| batch.flushes.push(done));
        wait
    }

    /// The next batch is the last.
    pub(crate) fn close(&self) {
        self.change(true, |batch| batch.closed = true);
    }

    /// The writer takes no more.
    pub(crate) fn end(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Batch>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, wakes: bool, change: impl FnOnce(&mut Batch)) {
        let mut waiting = self.lock();
        let Some(batch) = waiting.as_mut() else { return };
        change(batch);
        // Only the first one wakes the writer: a busy log costs no system call per line.
        let wakes = wakes && !batch.is_told && !batch.is_empty();
        batch.is_told |= wakes;
        drop(waiting);
        if wakes {
            self.filled.notify_one();
        }
    }

    /// Waits until there is something, at most so long.
    pub(crate) fn wait(&self, most: Duration) {
        let is_quiet = |batch: &mut Option<Batch>| batch.as_ref().is_some_and(Batch::is_empty);
        drop(self.filled.wait_timeout_while(self.lock(), most, is_quiet));
    }

    /// All that waits.
    pub(crate) fn take(&self) -> Batch {
        self.lock().as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Whether somebody wants the writer not to wait for more.
    pub(crate) fn is_urgent(&self) -> bool {
        self.lock().as_ref().is_none_or(|batch| !batch.flushes.is_empty() || batch.closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Arrived {
        Arrived { stream: "s".into(), timestamp_ms: 0, message: Bytes::from_static(b"x") }
    }

    #[test]
    fn what_has_no_room_is_counted_and_leaves_room_for_others() {
        let queue = Queue::default();
        let (loud, quiet): (Arc<str>, Arc<str>) = ("loud".into(), "quiet".into());
        let share = LOG_QUEUE_LINES / LOG_QUEUE_SHARE;
        for _ in 0..share + 3 {
            queue.push(&loud, line());
        }
        queue.push(&quiet, line());
        let batch = queue.take();
        assert_eq!(batch.groups["loud"].lines.len(), share);
        assert_eq!(batch.groups["quiet"].lines.len(), 1);
        assert_eq!(batch.dropped["loud"], Dropped { lines: 3, stream: "s".into() });
        assert!(!batch.dropped.contains_key("quiet"));
        assert!(queue.take().is_empty());
    }

    #[test]
    fn the_writer_is_woken_once_for_what_is_there() {
        let queue = Queue::default();
        let is_told = || queue.lock().as_ref().is_some_and(|batch| batch.is_told);
        queue.wake();
        assert!(!is_told(), "there is nothing to wake it for");
        queue.push_quietly(&"g".into(), line());
        assert!(!is_told());
        queue.wake();
        assert!(is_told());
        assert_eq!(queue.take().groups["g"].lines.len(), 1);
        assert!(!is_told());
        queue.push_quietly(&"g".into(), line());
        queue.push(&"g".into(), line());
        assert!(is_told());
    }

    #[test]
    fn all_together_have_a_bound() {
        let queue = Queue::default();
        for group in 0..=LOG_QUEUE_SHARE {
            let group: Arc<str> = format!("{group}").into();
            for _ in 0..LOG_QUEUE_LINES / LOG_QUEUE_SHARE {
                queue.push(&group, line());
            }
        }
        let batch = queue.take();
        let lines: usize = batch.groups.values().map(|of_group| of_group.lines.len()).sum();
        assert_eq!(lines, LOG_QUEUE_LINES);
        assert_eq!(
            batch.dropped.values().map(|dropped| dropped.lines).sum::<u64>(),
            (LOG_QUEUE_LINES / LOG_QUEUE_SHARE) as u64
        );
    }
}
