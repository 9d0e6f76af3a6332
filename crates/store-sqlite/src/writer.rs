//! The one writer: a thread that gathers the commits that wait into one transaction, so that many share one flush.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use hearth_crash::{self as crash, Point};
use hearth_store::{Change, CommitError, Committed, Pending, Table, Write};
use hearth_types::limits::{STORE_GROUP_COMMITS, STORE_QUEUE_COMMITS};
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};
use tokio::sync::{mpsc, oneshot};
use tracing::error;

use crate::checksum::Checksum;
use crate::seal::{Failed, Sealed};

type Answer = Result<u64, CommitError>;

struct Request {
    writes: Vec<Write>,
    answer: oneshot::Sender<Answer>,
}

/// A handle on the thread. Dropping it waits for the thread to finish what is queued.
#[derive(Debug)]
pub(crate) struct Writer {
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
        let state = State { connection, checksum, sealed, table };
        let thread = std::thread::Builder::new().name("hearth-metadata".into()).spawn(move || state.run(requests))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    pub(crate) async fn commit(&self, writes: Vec<Write>) -> Answer {
        let (answer, answered) = oneshot::channel();
        if let Some(queue) = &self.queue
            && queue.send(Request { writes, answer }).await.is_ok()
            && let Ok(answer) = answered.await
        {
            return answer;
        }
        Err(CommitError::Unavailable("its writer has stopped; restart the server".into()))
    }
}

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
}

impl State {
    fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        while let Some(first) = requests.blocking_recv() {
            let mut group = vec![first];
            while group.len() < STORE_GROUP_COMMITS
                && let Ok(next) = requests.try_recv()
            {
                group.push(next);
            }
            self.commit_group(group);
        }
    }

    /// Decides about each request as if those before it were there, writes all that are good, then answers all.
    fn commit_group(&mut self, group: Vec<Request>) {
        let table = Arc::clone(&self.table);
        let mut pending = Pending::new(&table);
        let mut answers = Vec::with_capacity(group.len());
        for Request { writes, answer } in group {
            answers.push((answer, pending.add(writes).map(|commit| commit.version)));
        }
        let commits = pending.into_commits();
        match self.write(&commits) {
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

    /// On stable storage when it returns Ok.
    fn write(&mut self, commits: &[Committed]) -> Result<(), Failed> {
        let Some(last) = commits.last() else { return Ok(()) };
        let mut checksum = self.checksum;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for commit in commits {
            for change in &commit.changes {
                write_change(&transaction, &self.sealed, commit.version, change, &mut checksum)?;
            }
        }
        transaction
            .prepare_cached("UPDATE state SET version = ?1, checksum = ?2 WHERE id = 1")?
            .execute(params![last.version, checksum.to_bytes()])?;
        crash::point(Point::MetadataWritten);
        transaction.commit()?;
        crash::point(Point::MetadataCommitted);
        self.checksum = checksum;
        Ok(())
    }
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
