//! The one writer: a thread that gathers the commits that wait into one transaction, so that many share one flush. It has
//! the only connection, so it also looks for packages.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use hearth_crash::{self as crash, Point};
use hearth_store::{Change, CommitError, Committed, Pending, Table, Write};
use hearth_types::CodeDigest;
use hearth_types::limits::{STORE_GROUP_COMMITS, STORE_QUEUE_COMMITS};
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};
use tokio::sync::{mpsc, oneshot};
use tracing::{error, warn};

use crate::checksum::Checksum;
use crate::seal::{Failed, Sealed};
use crate::small::{self, Changes, Waiting};

type Answer = Result<u64, CommitError>;

enum Request {
    Commit(Vec<Write>, oneshot::Sender<Answer>),
    OfBlobs(OfBlobs),
}

/// What is asked about packages. They change with a commit, see [`Waiting`].
enum OfBlobs {
    Get(CodeDigest, oneshot::Sender<Result<Option<Bytes>, Unwritten>>),
    List(oneshot::Sender<Result<BTreeSet<CodeDigest>, Unwritten>>),
    /// Write what waits, without a commit.
    Write(oneshot::Sender<Result<(), Unwritten>>),
}

/// Why nothing became of what was asked about packages.
#[derive(Debug, thiserror::Error)]
#[error("the metadata's file cannot be used: {0}")]
pub(crate) struct Unwritten(String);

/// A handle on the thread. Dropping it waits for the thread to finish what is queued.
#[derive(Debug)]
pub(crate) struct Writer {
    waiting: Arc<Waiting>,
    /// Some until the drop.
    queue: Option<mpsc::Sender<Request>>,
    /// Some until the drop.
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(
        connection: Connection,
        checksum: Checksum,
        sealed: Sealed,
        table: Arc<Table>,
    ) -> io::Result<Self> {
        let (queue, requests) = mpsc::channel(STORE_QUEUE_COMMITS);
        let waiting = Arc::<Waiting>::default();
        let state = State { connection, checksum, sealed, table, waiting: Arc::clone(&waiting) };
        let thread = std::thread::Builder::new().name("hearth-metadata".into()).spawn(move || state.run(requests))?;
        Ok(Self { waiting, queue: Some(queue), thread: Some(thread) })
    }

    pub(crate) async fn commit(&self, writes: Vec<Write>) -> Answer {
        let answer = self.ask(|answer| Request::Commit(writes, answer)).await;
        answer.unwrap_or_else(|| Err(CommitError::Unavailable(STOPPED.into())))
    }

    /// Keeps a package, or removes it where there are no bytes: with the next commit, and no later than any commit that
    /// begins when this has returned.
    pub(crate) async fn change_blob(&self, digest: CodeDigest, change: Option<Bytes>) -> Result<(), Unwritten> {
        while !self.waiting.add(digest, change.clone()) {
            self.ask_of_blobs(OfBlobs::Write).await?;
        }
        Ok(())
    }

    pub(crate) async fn blob(&self, digest: CodeDigest) -> Result<Option<Bytes>, Unwritten> {
        self.ask_of_blobs(|answer| OfBlobs::Get(digest, answer)).await
    }

    pub(crate) async fn blobs(&self) -> Result<BTreeSet<CodeDigest>, Unwritten> {
        self.ask_of_blobs(OfBlobs::List).await
    }

    async fn ask_of_blobs<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, Unwritten>>) -> OfBlobs,
    ) -> Result<T, Unwritten> {
        let answer = self.ask(|answer| Request::OfBlobs(request(answer))).await;
        answer.unwrap_or_else(|| Err(Unwritten(STOPPED.into())))
    }

    /// None where the thread has stopped.
    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.queue.as_ref()?.send(request(answer)).await.ok()?;
        answered.await.ok()
    }
}

const STOPPED: &str = "its writer has stopped; restart the server";

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed where it happened.
            let _ = thread.join();
        }
    }
}

struct State {
    connection: Connection,
    /// Of what is committed.
    checksum: Checksum,
    sealed: Sealed,
    table: Arc<Table>,
    waiting: Arc<Waiting>,
}

/// What waited together.
#[derive(Default)]
struct Group {
    commits: Vec<(Vec<Write>, oneshot::Sender<Answer>)>,
    of_blobs: Vec<OfBlobs>,
}

impl Group {
    fn len(&self) -> usize {
        self.commits.len() + self.of_blobs.len()
    }

    fn push(&mut self, request: Request) {
        match request {
            Request::Commit(writes, answer) => self.commits.push((writes, answer)),
            Request::OfBlobs(request) => self.of_blobs.push(request),
        }
    }
}

impl State {
    fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        while let Some(first) = requests.blocking_recv() {
            let mut group = Group::default();
            group.push(first);
            while group.len() < STORE_GROUP_COMMITS
                && let Ok(next) = requests.try_recv()
            {
                group.push(next);
            }
            self.commit_group(group.commits);
            for request in group.of_blobs {
                self.answer(request);
            }
        }
        if let Err(cause) = self.write(&[]) {
            warn!("packages that no function has yet are not kept: {cause}");
        }
    }

    /// Decides about each request as if those before it were there, writes all that are good, then answers all.
    fn commit_group(&mut self, group: Vec<(Vec<Write>, oneshot::Sender<Answer>)>) {
        let table = Arc::clone(&self.table);
        let mut pending = Pending::new(&table);
        let mut answers = Vec::with_capacity(group.len());
        for (writes, answer) in group {
            answers.push((answer, pending.add(writes).map(|commit| commit.version)));
        }
        let commits = pending.into_commits();
        let written = if commits.is_empty() { Ok(()) } else { self.write(&commits) };
        match written {
            Ok(()) => table.publish(commits),
            Err(cause) => {
                error!("the metadata store cannot be written: {cause}");
                for (_, answer) in &mut answers {
                    // A conflict may have been one with a commit of this group, which is not there now.
                    if !matches!(answer, Err(CommitError::Refused(_))) {
                        *answer = Err(CommitError::Unavailable(cause.to_string()));
                    }
                }
            }
        }
        for (waiting, answer) in answers {
            // Who stopped waiting needs no answer.
            let _ = waiting.send(answer);
        }
    }

    /// Who stopped waiting needs no answer.
    fn answer(&mut self, request: OfBlobs) {
        match request {
            OfBlobs::Get(digest, answer) => {
                let _ = answer.send(self.waiting.get(&self.connection, &digest).map_err(unwritten));
            }
            OfBlobs::List(answer) => {
                let _ = answer.send(self.waiting.list(&self.connection).map_err(unwritten));
            }
            OfBlobs::Write(answer) => {
                let _ = answer.send(self.write(&[]).map_err(unwritten));
            }
        }
    }

    /// Writes commits, and with them the packages that wait: on stable storage when it returns Ok.
    fn write(&mut self, commits: &[Committed]) -> Result<(), Failed> {
        let blobs = self.waiting.take();
        if commits.is_empty() && blobs.is_empty() {
            return Ok(());
        }
        self.write_all(commits, &blobs).inspect_err(|_| self.waiting.give_back(blobs))
    }

    fn write_all(&mut self, commits: &[Committed], blobs: &Changes) -> Result<(), Failed> {
        let mut checksum = self.checksum;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        small::write(&transaction, blobs)?;
        for commit in commits {
            for change in &commit.changes {
                write_change(&transaction, &self.sealed, commit.version, change, &mut checksum)?;
            }
        }
        if let Some(last) = commits.last() {
            transaction
                .prepare_cached("UPDATE state SET version = ?1, checksum = ?2 WHERE id = 1")?
                .execute(params![last.version, checksum.to_bytes()])?;
        }
        crash::point(Point::MetadataWritten);
        transaction.commit()?;
        crash::point(Point::MetadataCommitted);
        self.checksum = checksum;
        Ok(())
    }
}

fn unwritten(cause: impl ToString) -> Unwritten {
    Unwritten(cause.to_string())
}

fn write_change(
    transaction: &Transaction<'_>,
    sealed: &Sealed,
    version: u64,
    Change { key, value }: &Change,
    checksum: &mut Checksum,
) -> Result<(), Failed> {
    let before: Option<(u64, Vec<u8>)> = transaction
        .prepare_cached("SELECT version, value FROM entry WHERE key = ?1")?
        .query_row([key], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((version, value)) = before {
        checksum.toggle(key, version, &value);
    }
    match value {
        Some(value) => {
            let value = sealed.seal(key, version, value).map_err(Failed::Unsealed)?;
            checksum.toggle(key, version, &value);
            transaction
                .prepare_cached("INSERT OR REPLACE INTO entry (key, version, value) VALUES (?1, ?2, ?3)")?
                .execute(params![key, version, value])?;
        }
        None => {
            transaction.prepare_cached("DELETE FROM entry WHERE key = ?1")?.execute([key])?;
        }
    }
    Ok(())
}
