//! The store: a queue and the thread that writes it out; groups, and those who read and change them.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use bytes::Bytes;
#[cfg(doc)]
use hearth_types::limits::{LOG_GROUPS, LOG_PUT_BYTES, LOG_READ_BYTES, LOG_STREAMS};
use hearth_types::limits::{LOG_LINE_OVERHEAD, LOG_READERS};
use tokio::sync::Semaphore;
use tracing::error;

use crate::about::About;
use crate::follow::{Follower, Followers};
use crate::group::{NewLine, StreamInfo};
use crate::groups::Groups;
use crate::queue::{Arrived, Queue};
use crate::record::LogLine;
use crate::search::{Found, Query, last, search};
use crate::writer::Writer;

/// Why something is not done.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// There is no such group.
    #[error("there is no such log group")]
    NoGroup,
    /// There is no such stream.
    #[error("there is no such log stream")]
    NoStream,
    /// There is one already.
    #[error("there is such a log group already")]
    GroupExists,
    /// There is one already.
    #[error("there is such a log stream already")]
    StreamExists,
    /// There are [`LOG_GROUPS`].
    #[error("there are too many log groups")]
    TooManyGroups,
    /// [`LOG_STREAMS`] of the group were made or deleted.
    #[error("the log group has too many streams")]
    TooManyStreams,
    /// The group has taken as much as it may for now.
    #[error("the log group takes no more for now")]
    TooFast,
    /// Files cannot be read or written.
    #[error("the log's files cannot be read or written: {0}")]
    Io(#[from] io::Error),
}

/// What there is to know of a group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupInfo {
    /// Its name.
    pub name: Arc<str>,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// Days after which lines go; none for never.
    pub retention_days: Option<u32>,
    /// Bytes on the disk.
    pub bytes: u64,
}

/// Keeps the lines of log groups. All but [`Self::append`], [`Self::append_quietly`], [`Self::wake`],
/// [`Self::flush`] and [`Self::follow`] read and write files:
/// not for a thread that serves (see [`Self::off`]).
pub struct LogStore {
    queue: Arc<Queue>,
    followers: Arc<Followers>,
    groups: Arc<Groups>,
    readers: Semaphore,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for LogStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogStore")
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
        let groups = Arc::new(Groups::open(root)?);
        let mut writer = Writer::new(Arc::clone(&queue), Arc::clone(&followers), Arc::clone(&groups));
        let thread = std::thread::Builder::new().name("logs".to_owned()).spawn(move || writer.run())?;
        let writer = Mutex::new(Some(thread));
        Ok(Arc::new(Self { queue, followers, groups, readers: Semaphore::new(LOG_READERS), writer }))
    }

    /// Takes a line; never blocks. What the queue has no room for is dropped, and a later line says how much that was.
    pub fn append(&self, group: &Arc<str>, stream: &Arc<str>, timestamp_ms: i64, message: Bytes) {
        self.queue.push(group, Arrived { stream: Arc::clone(stream), timestamp_ms, message });
    }

    /// The same, of a line that [`Self::wake`] follows soon: the writer is not woken for it.
    pub fn append_quietly(&self, group: &Arc<str>, stream: &Arc<str>, timestamp_ms: i64, message: Bytes) {
        self.queue.push_quietly(group, Arrived { stream: Arc::clone(stream), timestamp_ms, message });
    }

    /// Wakes the writer for what was appended quietly.
    pub fn wake(&self) {
        self.queue.wake();
    }

    /// Returns once everything appended so far is on file.
    pub async fn flush(&self) {
        // Without a writer there is nothing more to wait for.
        let _ = self.queue.flush().await;
    }

    /// Every line that is put on file from now on.
    #[must_use]
    pub fn follow(&self, group: &Arc<str>) -> Follower {
        self.followers.follow(group)
    }

    /// Runs work with files on a thread for such, one of [`LOG_READERS`] at a time.
    ///
    /// # Errors
    /// What the work gives, or that it could not be done.
    pub async fn off<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Refused> + Send + 'static,
    ) -> Result<T, Refused> {
        let _turn = self.readers.acquire().await.map_err(io::Error::other)?;
        let store = Arc::clone(self);
        tokio::task::spawn_blocking(move || work(&store)).await.map_err(io::Error::other)?
    }

    /// The last `limit` lines of a group, in the order of their coming, and no more of them than [`LOG_READ_BYTES`] hold.
    /// None where there is no such group.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn read(&self, group: &str, limit: usize) -> Result<Vec<LogLine>, Refused> {
        match self.groups.with(group, |group| Ok(group.view(now_ms())?)) {
            Ok(view) => Ok(last(&view, limit)?),
            Err(Refused::NoGroup) => Ok(Vec::new()),
            Err(refused) => Err(refused),
        }
    }

    /// A page of a group's lines: those that `matches` is true for.
    ///
    /// # Errors
    /// Where there is no such group, or a file cannot be read.
    pub fn search(&self, group: &str, query: &Query, matches: impl Fn(&[u8]) -> bool) -> Result<Found, Refused> {
        let view = self.groups.with(group, |group| Ok(group.view(now_ms())?))?;
        Ok(search(&view, query, matches)?)
    }

    /// Groups by name, those behind `after` whose names `wanted` is true for, at most so many.
    #[must_use]
    pub fn groups(&self, after: Option<&str>, most: usize, wanted: impl Fn(&str) -> bool) -> Vec<GroupInfo> {
        let mut infos = Vec::new();
        self.groups.each(after, |kept| {
            let info = kept.info();
            if infos.len() < most && wanted(&info.name) {
                infos.push(info);
            }
            infos.len() < most
        });
        infos
    }

    /// What there is to know of a group.
    ///
    /// # Errors
    /// Where there is no such group.
    pub fn group(&self, name: &str) -> Result<GroupInfo, Refused> {
        self.groups.with_kept(name, |kept| kept.info())
    }

    /// Makes a group.
    ///
    /// # Errors
    /// Where there is one of that name, there are too many, or it cannot be written.
    pub fn create_group(&self, name: &str, tags: BTreeMap<String, String>) -> Result<(), Refused> {
        self.groups.create(About { tags, ..About::new(name, now_ms()) })
    }

    /// Deletes a group with all that is in it.
    ///
    /// # Errors
    /// Where there is none, or files cannot be removed.
    pub fn delete_group(&self, name: &str) -> Result<(), Refused> {
        self.groups.delete(name)
    }

    /// Keeps lines for so many days, or for ever. What is over is gone at once.
    ///
    /// # Errors
    /// Where there is no such group, or it cannot be written.
    pub fn set_retention(&self, name: &str, days: Option<u32>) -> Result<(), Refused> {
        self.groups.with(name, |group| {
            group.change(|about| about.retention_days = days)?;
            Ok(group.expire(now_ms())?)
        })
    }

    /// A group's tags.
    ///
    /// # Errors
    /// Where there is no such group.
    pub fn tags(&self, name: &str) -> Result<BTreeMap<String, String>, Refused> {
        self.groups.with(name, |group| Ok(group.about.tags.clone()))
    }

    /// Changes a group's tags, unless `change` refuses.
    ///
    /// # Errors
    /// Where there is no such group, or it cannot be written; what `change` gives.
    pub fn change_tags<E>(
        &self,
        name: &str,
        change: impl FnOnce(&mut BTreeMap<String, String>) -> Result<(), E>,
    ) -> Result<Result<(), E>, Refused> {
        self.groups.with(name, |group| {
            let mut tags = group.about.tags.clone();
            match change(&mut tags) {
                Ok(()) => group.change(|about| about.tags = tags).map(Ok),
                Err(refused) => Ok(Err(refused)),
            }
        })
    }

    /// A group's streams, by name.
    ///
    /// # Errors
    /// Where there is no such group, or a file cannot be read.
    pub fn streams(&self, group: &str) -> Result<Vec<StreamInfo>, Refused> {
        self.groups.with(group, |group| Ok(group.streams(now_ms())?))
    }

    /// Whether a group has such a stream.
    ///
    /// # Errors
    /// Where there is no such group, or a file cannot be read.
    pub fn has_stream(&self, group: &str, stream: &str) -> Result<bool, Refused> {
        self.groups.with(group, |group| Ok(group.has_stream(stream, now_ms())?))
    }

    /// Makes a stream.
    ///
    /// # Errors
    /// Where there is one, there is no such group, there are too many streams, or it cannot be written.
    pub fn create_stream(&self, group: &str, stream: &str) -> Result<(), Refused> {
        self.groups.with(group, |group| group.create_stream(stream, now_ms()))
    }

    /// Deletes a stream with its lines.
    ///
    /// # Errors
    /// Where there is none, or it cannot be written.
    pub fn delete_stream(&self, group: &str, stream: &str) -> Result<(), Refused> {
        self.groups.with(group, |group| group.delete_stream(stream, now_ms()))
    }

    /// Puts lines into a stream, on stable storage: all or none. Together they have at most [`LOG_PUT_BYTES`].
    ///
    /// # Errors
    /// Where there is no such group or stream, the group takes no more for now, or it cannot be written.
    pub fn put(&self, group: &str, stream: &str, events: &[(i64, Bytes)]) -> Result<(), Refused> {
        let (now_ms, stream): (i64, Arc<str>) = (now_ms(), stream.into());
        let put = self.groups.with(group, |group| {
            if !group.has_stream(&stream, now_ms)? {
                return Err(Refused::NoStream);
            }
            let overhead = events.len() * LOG_LINE_OVERHEAD as usize;
            let bytes: usize = events.iter().map(|(_, message)| message.len()).sum();
            if !group.allowance.take(bytes + overhead, now_ms) {
                return Err(Refused::TooFast);
            }
            let mut put = Vec::with_capacity(events.len());
            for (timestamp_ms, message) in events {
                let new = NewLine { stream: &stream, timestamp_ms: *timestamp_ms, ingested_ms: now_ms, message };
                put.push(group.push(&new, now_ms)?);
            }
            group.flush()?;
            group.sync()?;
            group.close_file();
            Ok((Arc::clone(&group.name), put))
        });
        let (group, put) = put?;
        self.groups.grew(put.iter().map(|line| line.message.len() as u64 + LOG_LINE_OVERHEAD).sum(), now_ms);
        for line in put {
            self.followers.tell(&group, line);
        }
        Ok(())
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

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
