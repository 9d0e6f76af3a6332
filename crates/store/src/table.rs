//! The in-memory copy that an engine answers reads from and publishes commits to. Control-plane state is megabytes, so
//! every node holds it whole; reads touch no disk.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, Weak};

use bytes::Bytes;
use hearth_types::limits::STORE_WATCH_COMMITS;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::metadata::check_bounds;
use crate::{CommitError, Operation, Versioned, Write};

/// The whole content, and those who watch it.
#[derive(Debug)]
pub struct Table {
    content: RwLock<Content>,
    commits: broadcast::Sender<Arc<Committed>>,
}

#[derive(Debug)]
struct Content {
    version: u64,
    entries: BTreeMap<String, Versioned>,
}

/// A commit that is on stable storage.
#[derive(Debug)]
pub struct Committed {
    /// Its version.
    pub version: u64,
    /// Its writes.
    pub changes: Vec<Change>,
}

/// What became of a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// The key.
    pub key: String,
    /// Its value; none where it was removed.
    pub value: Option<Bytes>,
}

impl Table {
    /// With this content; `version` is that of the last commit.
    #[must_use]
    pub fn new(version: u64, entries: BTreeMap<String, Versioned>) -> Self {
        Self {
            content: RwLock::new(Content { version, entries }),
            commits: broadcast::Sender::new(STORE_WATCH_COMMITS),
        }
    }

    /// The version of the last commit.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.read().version
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Versioned> {
        self.read().entries.get(key).cloned()
    }

    /// See [`crate::MetadataStore::list`].
    #[must_use]
    pub fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Vec<(String, Versioned)> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        self.read().with_prefix(prefix, from).take(limit).collect()
    }

    /// Applies commits that have just become durable, oldest first, and tells the watchers.
    pub fn publish(&self, commits: Vec<Committed>) {
        let mut content = self.content.write().unwrap_or_else(PoisonError::into_inner);
        for commit in commits {
            content.apply(&commit);
            // Sent under the lock: a watcher that takes a snapshot gets each commit either in it or after it. No
            // receiver is no error.
            let _ = self.commits.send(Arc::new(commit));
        }
    }

    /// See [`crate::MetadataStore::watch`].
    #[must_use]
    pub fn watch(self: &Arc<Self>, prefix: &str) -> Watch {
        Watch { table: Arc::downgrade(self), prefix: prefix.to_owned(), commits: None }
    }

    fn read(&self) -> RwLockReadGuard<'_, Content> {
        self.content.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    fn with_prefix(&self, prefix: &str, from: Bound<&str>) -> impl Iterator<Item = (String, Versioned)> {
        self.entries
            .range::<str, _>((from, Bound::Unbounded))
            .take_while(move |(key, _)| key.starts_with(prefix))
            .map(|(key, found)| (key.clone(), found.clone()))
    }

    fn apply(&mut self, commit: &Committed) {
        debug_assert!(commit.version > self.version, "versions grow");
        self.version = commit.version;
        for Change { key, value } in &commit.changes {
            match value {
                Some(value) => {
                    let value = Versioned { version: commit.version, value: value.clone() };
                    self.entries.insert(key.clone(), value);
                }
                None => {
                    self.entries.remove(key);
                }
            }
        }
    }
}

/// Commits that are decided but not yet durable: each is judged as if those before it were there.
#[derive(Debug)]
pub struct Pending<'a> {
    table: &'a Table,
    version: u64,
    /// The version each written key will have; none where it will be gone.
    keys: HashMap<String, Option<u64>>,
    commits: Vec<Committed>,
}

impl<'a> Pending<'a> {
    /// Nothing yet. The one writer alone may use it: what the table publishes in between is not seen.
    #[must_use]
    pub fn new(table: &'a Table) -> Self {
        Self { table, version: table.version(), keys: HashMap::new(), commits: Vec::new() }
    }

    /// Decides about a commit.
    ///
    /// # Errors
    /// Conflict or Refused; then it leaves no trace.
    pub fn add(&mut self, writes: Vec<Write>) -> Result<&Committed, CommitError> {
        check_bounds(&writes)?;
        if let Some(refused) = writes.iter().find(|write| !write.precondition.holds(self.version_of(&write.key))) {
            return Err(CommitError::Conflict { key: refused.key.clone() });
        }
        self.version += 1;
        let mut changes = Vec::with_capacity(writes.len());
        for write in writes {
            let value = match write.operation {
                Operation::Put(value) => Some(value),
                Operation::Delete => None,
                Operation::Check => continue,
            };
            self.keys.insert(write.key.clone(), value.as_ref().map(|_| self.version));
            changes.push(Change { key: write.key, value });
        }
        Ok(self.commits.push_mut(Committed { version: self.version, changes }))
    }

    /// The commits, oldest first.
    #[must_use]
    pub fn into_commits(self) -> Vec<Committed> {
        self.commits
    }

    fn version_of(&self, key: &str) -> Option<u64> {
        match self.keys.get(key) {
            Some(&version) => version,
            None => self.table.read().entries.get(key).map(|found| found.version),
        }
    }
}

/// Follows a prefix. Bounded: a watcher that falls more than [`STORE_WATCH_COMMITS`] commits behind gets a new
/// [`WatchEvent::Snapshot`] instead of those that it missed.
#[derive(Debug)]
pub struct Watch {
    table: Weak<Table>,
    prefix: String,
    /// None until the first snapshot, and after a lag.
    commits: Option<broadcast::Receiver<Arc<Committed>>>,
}

/// What a watcher learns. Once it has made an event its own it is as far as the event's version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WatchEvent {
    /// All keys as they are: replaces everything known before. Comes first, and after a lag.
    Snapshot {
        /// Of the last commit in it.
        version: u64,
        /// In order.
        entries: Vec<(String, Versioned)>,
    },
    /// The next commit with a key of the prefix.
    Commit {
        /// Its version.
        version: u64,
        /// Its writes of the prefix's keys; never empty.
        changes: Vec<Change>,
    },
}

impl Watch {
    /// The next event; none once the store is gone. Can be dropped while it waits without losing an event.
    pub async fn next(&mut self) -> Option<WatchEvent> {
        loop {
            let Some(commits) = &mut self.commits else { return self.snapshot() };
            match commits.recv().await {
                Ok(commit) => {
                    if let Some(event) = self.of_prefix(&commit) {
                        return Some(event);
                    }
                }
                Err(RecvError::Lagged(_)) => self.commits = None,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    fn snapshot(&mut self) -> Option<WatchEvent> {
        let table = self.table.upgrade()?;
        let content = table.read();
        self.commits = Some(table.commits.subscribe());
        let entries = content.with_prefix(&self.prefix, Bound::Included(&self.prefix)).collect();
        Some(WatchEvent::Snapshot { version: content.version, entries })
    }

    fn of_prefix(&self, commit: &Committed) -> Option<WatchEvent> {
        let ours = commit.changes.iter().filter(|change| change.key.starts_with(&self.prefix));
        let changes: Vec<Change> = ours.cloned().collect();
        (!changes.is_empty()).then_some(WatchEvent::Commit { version: commit.version, changes })
    }
}
