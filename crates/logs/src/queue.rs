//! What waits for the writer: bounded in lines and bytes, never blocking who appends.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hearth_types::limits::{LOG_QUEUE_BYTES, LOG_QUEUE_LINES};
use tokio::sync::oneshot;

/// A line that has no sequence yet.
pub(crate) struct Arrived {
    pub(crate) group: Arc<str>,
    pub(crate) stream: Arc<str>,
    pub(crate) timestamp_ms: i64,
    pub(crate) message: Bytes,
}

/// What the writer takes at once.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) lines: Vec<Arrived>,
    bytes: usize,
    /// Lines that had no room, by group.
    pub(crate) dropped: HashMap<Arc<str>, u64>,
    /// Who waits until the lines before are on file.
    pub(crate) flushes: Vec<oneshot::Sender<()>>,
    pub(crate) closed: bool,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.dropped.is_empty() && self.flushes.is_empty() && !self.closed
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
    pub(crate) fn push(&self, line: Arrived) {
        self.change(|batch| {
            let fits = batch.lines.len() < LOG_QUEUE_LINES && batch.bytes + line.message.len() <= LOG_QUEUE_BYTES;
            if fits {
                batch.bytes += line.message.len();
                batch.lines.push(line);
            } else {
                *batch.dropped.entry(line.group).or_default() += 1;
            }
        });
    }

    /// Answers once everything pushed so far is on file; fails where there is no writer any more.
    pub(crate) fn flush(&self) -> oneshot::Receiver<()> {
        let (done, wait) = oneshot::channel();
        self.change(|batch| batch.flushes.push(done));
        wait
    }

    /// The next batch is the last.
    pub(crate) fn close(&self) {
        self.change(|batch| batch.closed = true);
    }

    /// The writer takes no more.
    pub(crate) fn end(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Batch>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Batch)) {
        let mut waiting = self.lock();
        let Some(batch) = waiting.as_mut() else { return };
        let was_empty = batch.is_empty();
        change(batch);
        drop(waiting);
        // Only the first one wakes the writer: a busy log costs no system call per line.
        if was_empty {
            self.filled.notify_one();
        }
    }

    /// Waits until there is something.
    pub(crate) fn wait(&self) {
        drop(self.filled.wait_while(self.lock(), |batch| batch.as_ref().is_some_and(Batch::is_empty)));
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

    #[test]
    fn what_has_no_room_is_counted() {
        let queue = Queue::default();
        let group: Arc<str> = "g".into();
        for _ in 0..LOG_QUEUE_LINES + 3 {
            queue.push(Arrived {
                group: Arc::clone(&group),
                stream: "s".into(),
                timestamp_ms: 0,
                message: Bytes::from_static(b"x"),
            });
        }
        let batch = queue.take();
        assert_eq!(batch.lines.len(), LOG_QUEUE_LINES);
        assert_eq!(batch.dropped.get("g"), Some(&3));
        assert!(queue.take().is_empty());
    }
}
