//! Queues in one SQLite file, written and read by one thread: what waits is gathered into one transaction and one flush.
//! Nothing of a message is held in memory, however many there are.

mod access;
mod fair;
mod groups;
mod tables;

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use hearth_store::{BoxFuture, Count, Depth, Due, Look, Message, MessageId, QueueError, QueueStore, Step, Take};
use hearth_types::limits::{QUEUE_GROUP, QUEUE_GROUP_BYTES, QUEUE_WAITING};
use tokio::sync::{mpsc, oneshot};
use tracing::error;

use crate::open::{OpenError, keep_tidy, name_error, open_file};
use tables::{Done, Job, Tables};

type Answer<T> = oneshot::Sender<Result<T, QueueError>>;

/// What the thread is asked for.
enum Request {
    Commit(Vec<Step>, Answer<Vec<MessageId>>),
    Take(Take, Answer<Due>),
    /// Removes some messages that are due by then, up to this id, or as it finds them; gives how many, and the id.
    Purge(Arc<str>, i64, Option<MessageId>, Answer<(u64, MessageId)>),
    Due(Look, Answer<Due>),
    Get(Arc<str>, MessageId, Answer<Option<Message>>),
    Count(Arc<str>, i64, Answer<Count>),
    Queues(Arc<str>, Answer<Vec<Depth>>),
    Newest(Answer<MessageId>),
}

/// Queues in one SQLite file that this process alone uses.
///
/// Dropping it waits until the commits that are on their way are done, then closes the file.
#[derive(Debug)]
pub struct SqliteQueueStore {
    /// Some until the drop.
    requests: Option<mpsc::Sender<Request>>,
    /// Some until the drop.
    thread: Option<JoinHandle<()>>,
}

impl SqliteQueueStore {
    /// Opens the file, or makes it. Blocks for some milliseconds, and some more for each 100,000 messages.
    ///
    /// # Errors
    /// When the file is in use by another process, of a newer version, damaged, or not Hearth's: nothing is changed
    /// then. When the disk fails.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let connection = open_file(path, &tables::FORMAT)?;
        let tables = Tables::load(connection).map_err(|cause| name_error(path, &cause))?;
        keep_tidy(path, tables.connection())?;
        let (requests, asked) = mpsc::channel(QUEUE_WAITING);
        let thread = std::thread::Builder::new().name("hearth-queues".into()).spawn(move || run(tables, asked));
        let thread = thread.map_err(|cause| OpenError::Disk { path: path.to_owned(), cause: cause.to_string() })?;
        Ok(Self { requests: Some(requests), thread: Some(thread) })
    }

    async fn purge_until(&self, queue: &str, until_ms: i64, up_to: Option<MessageId>) -> Result<u64, QueueError> {
        let (mut total, mut last) = (0, up_to);
        loop {
            let (removed, up_to) = self.ask(|answer| Request::Purge(queue.into(), until_ms, last, answer)).await?;
            if removed == 0 {
                return Ok(total);
            }
            (total, last) = (total + removed, Some(up_to));
        }
    }

    async fn ask<T>(&self, request: impl FnOnce(Answer<T>) -> Request) -> Result<T, QueueError> {
        let (answer, answered) = oneshot::channel();
        if let Some(requests) = &self.requests
            && requests.send(request(answer)).await.is_ok()
            && let Ok(answer) = answered.await
        {
            return answer;
        }
        Err(QueueError::Unavailable("their writer has stopped; restart the server".into()))
    }
}

impl Drop for SqliteQueueStore {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed where it happened.
            let _ = thread.join();
        }
    }
}

impl QueueStore for SqliteQueueStore {
    fn commit(&self, steps: Vec<Step>) -> BoxFuture<'_, Result<Vec<MessageId>, QueueError>> {
        Box::pin(self.ask(|answer| Request::Commit(steps, answer)))
    }

    fn take(&self, take: Take) -> BoxFuture<'_, Result<Due, QueueError>> {
        Box::pin(self.ask(|answer| Request::Take(take, answer)))
    }

    fn due(&self, look: Look) -> BoxFuture<'_, Result<Due, QueueError>> {
        Box::pin(self.ask(|answer| Request::Due(look, answer)))
    }

    fn get<'a>(&'a self, queue: &'a str, id: MessageId) -> BoxFuture<'a, Result<Option<Message>, QueueError>> {
        Box::pin(self.ask(move |answer| Request::Get(queue.into(), id, answer)))
    }

    fn count<'a>(&'a self, queue: &'a str, now_ms: i64) -> BoxFuture<'a, Result<Count, QueueError>> {
        Box::pin(self.ask(move |answer| Request::Count(queue.into(), now_ms, answer)))
    }

    fn queues<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<Depth>, QueueError>> {
        Box::pin(self.ask(|answer| Request::Queues(prefix.into(), answer)))
    }

    fn purge<'a>(&'a self, queue: &'a str) -> BoxFuture<'a, Result<u64, QueueError>> {
        Box::pin(self.purge_until(queue, i64::MAX, None))
    }

    fn newest(&self) -> BoxFuture<'_, Result<MessageId, QueueError>> {
        Box::pin(self.ask(Request::Newest))
    }

    fn purge_to<'a>(&'a self, queue: &'a str, up_to: MessageId) -> BoxFuture<'a, Result<u64, QueueError>> {
        Box::pin(self.purge_until(queue, i64::MAX, Some(up_to)))
    }

    fn expire<'a>(&'a self, queue: &'a str, until_ms: i64) -> BoxFuture<'a, Result<u64, QueueError>> {
        Box::pin(self.purge_until(queue, until_ms, None))
    }
}

fn run(mut tables: Tables, mut requests: mpsc::Receiver<Request>) {
    while let Some(first) = requests.blocking_recv() {
        let mut bytes = weight(&first);
        let mut group = vec![first];
        while group.len() < QUEUE_GROUP
            && bytes < QUEUE_GROUP_BYTES
            && let Ok(next) = requests.try_recv()
        {
            bytes += weight(&next);
            group.push(next);
        }
        answer(&mut tables, group);
    }
}

/// Bytes that a request adds to its transaction.
fn weight(request: &Request) -> usize {
    let Request::Commit(steps, _) = request else { return 0 };
    let put = steps.iter().map(|step| match step {
        Step::Put { body, head, .. }
        | Step::PutInGroup { body, head, .. }
        | Step::PutFairly { body, head, .. }
        | Step::PutFirst { body, head, .. } => body.len() + head.len(),
        Step::Change { head, .. } => head.len(),
        Step::Delete(_) => 0,
    });
    put.sum()
}

/// Makes one transaction of all that writes, then answers it, then looks up what is asked for. Who stopped waiting needs
/// no answer.
fn answer(tables: &mut Tables, group: Vec<Request>) {
    let mut jobs = Vec::new();
    let mut waiting = Vec::new();
    let mut rest = Vec::new();
    for request in group {
        match request {
            Request::Commit(steps, answer) => {
                jobs.push(Job::Commit(steps));
                waiting.push(Waiting::Commit(answer));
            }
            Request::Take(take, answer) => {
                jobs.push(Job::Take(take));
                waiting.push(Waiting::Take(answer));
            }
            other => rest.push(other),
        }
    }
    if !jobs.is_empty() {
        for (waiting, done) in waiting.into_iter().zip(tables.write_group(jobs)) {
            match (waiting, done) {
                (Waiting::Commit(answer), Done::Commit(outcome)) => drop(answer.send(outcome)),
                (Waiting::Take(answer), Done::Take(outcome)) => drop(answer.send(outcome)),
                // Each job gives what it was asked for; without an answer the caller is told that there is none.
                (Waiting::Commit(_), Done::Take(_)) | (Waiting::Take(_), Done::Commit(_)) => {}
            }
        }
    }
    for request in rest {
        match request {
            Request::Commit(..) | Request::Take(..) => {}
            Request::Purge(queue, until_ms, up_to, answer) => {
                drop(answer.send(failing(tables.purge_some(&queue, until_ms, up_to))));
            }
            Request::Due(look, answer) => drop(answer.send(failing(tables.due(&look)))),
            Request::Get(queue, id, answer) => drop(answer.send(failing(tables.get(&queue, id)))),
            Request::Count(queue, now_ms, answer) => drop(answer.send(failing(tables.count(&queue, now_ms)))),
            Request::Newest(answer) => drop(answer.send(Ok(tables.last_id()))),
            Request::Queues(prefix, answer) => drop(answer.send(failing(tables.queues(&prefix)))),
        }
    }
}

/// Who waits for what a transaction does.
enum Waiting {
    Commit(Answer<Vec<MessageId>>),
    Take(Answer<Due>),
}

fn failing<T>(result: rusqlite::Result<T>) -> Result<T, QueueError> {
    result.map_err(|cause| {
        error!("the queues cannot be used: {cause}");
        QueueError::Unavailable(cause.to_string())
    })
}
