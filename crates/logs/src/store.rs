//! The store: a queue, the thread that writes it out, and those who read.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use hearth_types::limits::LOG_OPEN_FILES;
#[cfg(doc)]
use hearth_types::limits::LOG_READ_BYTES;
use tracing::error;

use crate::follow::{Follower, Followers};
use crate::group::{self, GroupWriter};
use crate::queue::{Arrived, Batch, Queue};
use crate::record::LogLine;

/// How long the writer lets lines gather: the price of one wake-up and one write is then shared by all of them.
const GATHER: Duration = Duration::from_millis(10);

/// Keeps the lines of log groups.
pub struct LogStore {
    root: PathBuf,
    queue: Arc<Queue>,
    followers: Arc<Followers>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for LogStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogStore({})", self.root.display())
    }
}

impl LogStore {
    /// The store in this folder, which is made where it is missing.
    ///
    /// # Errors
    /// When the folder or the writer's thread cannot be made.
    pub fn open(root: &Path) -> io::Result<Arc<Self>> {
        std::fs::create_dir_all(root)?;
        let queue = Arc::new(Queue::default());
        let followers = Arc::new(Followers::open());
        let mut writer = Writer {
            root: root.to_owned(),
            queue: Arc::clone(&queue),
            followers: Arc::clone(&followers),
            open: HashMap::new(),
            turn: 0,
        };
        let thread = std::thread::Builder::new().name("logs".to_owned()).spawn(move || writer.run())?;
        Ok(Arc::new(Self { root: root.to_owned(), queue, followers, writer: Mutex::new(Some(thread)) }))
    }

    /// Takes a line; never blocks. What the queue has no room for is dropped, and a later line says how much that was.
    pub fn append(&self, group: &Arc<str>, stream: &Arc<str>, timestamp_ms: i64, message: Bytes) {
        self.queue.push(Arrived { group: Arc::clone(group), stream: Arc::clone(stream), timestamp_ms, message });
    }

    /// Returns once everything appended so far is on file.
    pub async fn flush(&self) {
        // Without a writer there is nothing more to wait for.
        let _ = self.queue.flush().await;
    }

    /// The last `limit` lines of a group since `since_ms`, oldest first, and no more of them than [`LOG_READ_BYTES`]
    /// hold. Reads files: not for a thread that serves.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn read(&self, group: &str, since_ms: i64, limit: usize) -> io::Result<Vec<LogLine>> {
        group::read(&group::folder(&self.root, group), since_ms, limit)
    }

    /// Every line that is put on file from now on.
    #[must_use]
    pub fn follow(&self, group: &Arc<str>) -> Follower {
        self.followers.follow(group)
    }

    /// Ends all followers, those to come too: what waits for them to end can end.
    pub fn end_followers(&self) {
        self.followers.close();
    }

    /// Writes what is queued and ends the writer and all followers.
    pub fn close(&self) {
        self.queue.close();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if writer.is_some_and(|thread| thread.join().is_err()) {
            error!("the log writer had ended early");
        }
    }
}

impl Drop for LogStore {
    fn drop(&mut self) {
        self.close();
    }
}

struct Writer {
    root: PathBuf,
    queue: Arc<Queue>,
    followers: Arc<Followers>,
    open: HashMap<Arc<str>, Open>,
    turn: u64,
}

/// A group that has been written to in this process's life.
struct Open {
    group: GroupWriter,
    last_turn: u64,
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
    fn run(&mut self) {
        // Also where it panics: who waits for it must not wait for ever.
        let _end = End { queue: Arc::clone(&self.queue), followers: Arc::clone(&self.followers) };
        loop {
            self.queue.wait();
            if !self.queue.is_urgent() {
                std::thread::sleep(GATHER);
            }
            let batch = self.queue.take();
            let last = batch.closed;
            self.write(batch);
            if last {
                break;
            }
        }
    }

    fn write(&mut self, batch: Batch) {
        self.turn += 1;
        let mut written: Vec<(Arc<str>, LogLine)> = Vec::with_capacity(batch.lines.len());
        for line in batch.lines.into_iter().chain(batch.dropped.into_iter().map(about_dropped)) {
            match self.push(&line) {
                Ok(kept) => written.push((line.group, kept)),
                Err(cause) => error!("{}: a line of the log is lost: {cause}", line.group),
            }
        }
        self.flush();
        // On file first: who follows and then reads sees every line at least once.
        for (group, line) in written {
            self.followers.tell(&group, line);
        }
        for done in batch.flushes {
            // Who asked may have gone.
            let _ = done.send(());
        }
    }

    fn push(&mut self, line: &Arrived) -> io::Result<LogLine> {
        if !self.open.contains_key(&line.group) {
            let group = GroupWriter::open(group::folder(&self.root, &line.group))?;
            self.open.insert(Arc::clone(&line.group), Open { group, last_turn: self.turn });
        }
        let Some(open) = self.open.get_mut(&line.group) else { return Err(io::ErrorKind::NotFound.into()) };
        open.last_turn = self.turn;
        let kept = LogLine {
            sequence: open.group.next_sequence(),
            timestamp_ms: line.timestamp_ms,
            stream: Arc::clone(&line.stream),
            message: line.message.clone(),
        };
        open.group.push(&kept);
        Ok(kept)
    }

    /// Puts what this turn pushed on file. Groups whose files are closed remember where they end: finding that out
    /// again would mean to read a file.
    fn flush(&mut self) {
        let (now, mut idle): (Vec<_>, Vec<_>) = self.open.iter_mut().partition(|(_, open)| open.last_turn == self.turn);
        let has_file = |(_, open): &&(&Arc<str>, &mut Open)| open.group.has_file();
        let mut files = now.iter().filter(has_file).count() + idle.iter().filter(has_file).count();
        let missing = now.iter().filter(|(_, open)| !open.group.has_file()).count();
        if files + missing > LOG_OPEN_FILES {
            for (_, open) in &mut idle {
                open.group.close_file();
            }
            files = now.len() - missing;
        }
        for (name, open) in now {
            let had_file = open.group.has_file();
            if let Err(cause) = open.group.flush() {
                error!("{name}: lines of the log are lost: {cause}");
            }
            if !had_file && files >= LOG_OPEN_FILES {
                open.group.close_file();
            } else {
                files += usize::from(!had_file);
            }
        }
    }
}

fn about_dropped((group, lines): (Arc<str>, u64)) -> Arrived {
    let message =
        Bytes::from(format!("{lines} lines of this log were dropped: they came faster than they could be kept\n"));
    Arrived { group, stream: "hearth".into(), timestamp_ms: now_ms(), message }
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(line: &LogLine) -> String {
        String::from_utf8_lossy(&line.message).into_owned()
    }

    #[tokio::test]
    async fn lines_are_kept_in_order_and_followed() {
        let root = tempfile::tempdir().unwrap();
        let store = LogStore::open(root.path()).unwrap();
        let (group, stream): (Arc<str>, Arc<str>) = ("/aws/lambda/f".into(), "s".into());
        let mut follower = store.follow(&group);
        for n in 0..100 {
            store.append(&group, &stream, n, Bytes::from(format!("line {n}\n")));
        }
        store.flush().await;
        let lines = store.read(&group, 0, 1000).unwrap();
        assert_eq!(lines.len(), 100);
        for (n, line) in lines.iter().enumerate() {
            assert_eq!(message(line), format!("line {n}\n"));
            assert_eq!(follower.next().await.unwrap().unwrap(), *line);
        }
        store.close();
        assert_eq!(follower.next().await, None);
    }

    #[tokio::test]
    async fn nobody_waits_for_a_store_that_is_closed() {
        let root = tempfile::tempdir().unwrap();
        let store = LogStore::open(root.path()).unwrap();
        let group: Arc<str> = "g".into();
        store.append(&group, &"s".into(), 0, Bytes::from_static(b"before"));
        store.close();
        store.append(&group, &"s".into(), 0, Bytes::from_static(b"after"));
        store.flush().await;
        assert_eq!(store.follow(&group).next().await, None);
        assert_eq!(store.read(&group, 0, 10).unwrap().iter().map(message).collect::<Vec<_>>(), ["before"]);
        store.close();
    }

    #[tokio::test]
    async fn followers_can_be_ended_before_the_store() {
        let root = tempfile::tempdir().unwrap();
        let store = LogStore::open(root.path()).unwrap();
        let group: Arc<str> = "g".into();
        let mut follower = store.follow(&group);
        store.end_followers();
        assert_eq!(follower.next().await, None);
        store.append(&group, &"s".into(), 0, Bytes::from_static(b"after"));
        store.flush().await;
        assert_eq!(store.read(&group, 0, 10).unwrap().len(), 1);
    }

    #[tokio::test]
    async fn more_groups_than_open_files() {
        let root = tempfile::tempdir().unwrap();
        let store = LogStore::open(root.path()).unwrap();
        let groups: Vec<Arc<str>> = (0..LOG_OPEN_FILES * 2).map(|n| format!("g{n}").into()).collect();
        for round in 0..3 {
            for group in &groups {
                store.append(group, &"s".into(), round, Bytes::from(format!("{round}")));
            }
        }
        store.flush().await;
        for group in &groups {
            let texts: Vec<String> = store.read(group, 0, 10).unwrap().iter().map(message).collect();
            assert_eq!(texts, ["0", "1", "2"]);
        }
    }
}
