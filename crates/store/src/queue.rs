//! The queue seam: messages in named queues, each queue in the order in which its messages are due.
//!
//! A message has an immutable body and a small head, which whoever works on it may replace together with the time at
//! which it is due next. Who works on what is no business of the engine: it keeps what it was told, durably.

use std::collections::HashSet;

use bytes::Bytes;
use hearth_types::limits::{QUEUE_BODY_BYTES, QUEUE_COMMIT_STEPS, QUEUE_HEAD_BYTES, QUEUE_NAME_BYTES};

use crate::BoxFuture;

/// Messages in queues. A queue is there as long as it has messages, and needs no making.
pub trait QueueStore: Send + Sync + 'static {
    /// Does all the steps, or none. When it returns Ok they are on stable storage, and every later look sees them. Gives
    /// the ids of what was put, in order. A caller that stops waiting does not stop the commit.
    ///
    /// # Errors
    /// See [`QueueError`].
    fn commit(&self, steps: Vec<Step>) -> BoxFuture<'_, Result<Vec<MessageId>, QueueError>>;

    /// What of a queue is due, the earliest first; of two that are due at once the one that was put first.
    ///
    /// # Errors
    /// When the engine cannot say.
    fn due(&self, look: Look) -> BoxFuture<'_, Result<Due, QueueError>>;

    /// A message of a queue; none where it is gone.
    ///
    /// # Errors
    /// When the engine cannot say.
    fn get<'a>(&'a self, queue: &'a str, id: MessageId) -> BoxFuture<'a, Result<Option<Message>, QueueError>>;

    /// How many messages of a queue are due by now, and how many later.
    ///
    /// # Errors
    /// When the engine cannot say.
    fn count<'a>(&'a self, queue: &'a str, now_ms: i64) -> BoxFuture<'a, Result<Count, QueueError>>;

    /// The queues with messages whose names begin with `prefix`, in order.
    ///
    /// # Errors
    /// When the engine cannot say.
    fn queues<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<Depth>, QueueError>>;

    /// Removes the messages that the queue has now; what is put meanwhile stays. Gives how many it was. Not one commit:
    /// a crash may leave some of them.
    ///
    /// # Errors
    /// When the engine fails; some may be gone by then.
    fn purge<'a>(&'a self, queue: &'a str) -> BoxFuture<'a, Result<u64, QueueError>>;
}

/// Unique in a store for good, and growing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MessageId(pub u64);

/// A message, and when it is due: what names it as it was found, so that nobody works on it who does not know of the
/// latest change.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Found {
    /// When it is due, in milliseconds since 1970.
    pub due_ms: i64,
    /// Which it is.
    pub id: MessageId,
}

/// A message as it is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// What names it.
    pub found: Found,
    /// What changes while it is worked on.
    pub head: Bytes,
    /// What it is about.
    pub body: Bytes,
}

/// One step of a commit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// A new message.
    Put {
        /// 1 to [`QUEUE_NAME_BYTES`] bytes.
        queue: String,
        /// Milliseconds since 1970.
        due_ms: i64,
        /// At most [`QUEUE_HEAD_BYTES`].
        head: Bytes,
        /// At most [`QUEUE_BODY_BYTES`].
        body: Bytes,
    },
    /// The message gets another time and head.
    Change {
        /// As it was found.
        found: Found,
        /// Milliseconds since 1970.
        due_ms: i64,
        /// At most [`QUEUE_HEAD_BYTES`].
        head: Bytes,
    },
    /// The message goes.
    Delete(Found),
}

/// What [`QueueStore::due`] is to look for.
#[derive(Clone, Debug)]
pub struct Look {
    /// The queue.
    pub queue: String,
    /// Messages that are due by then, in milliseconds since 1970.
    pub until_ms: i64,
    /// Messages that are left out: somebody works on them.
    pub skip: HashSet<MessageId>,
    /// How many at most.
    pub limit: usize,
    /// Bytes of all bodies at most; the first one is given however large it is.
    pub bytes: usize,
}

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Due {
    /// The earliest first.
    pub messages: Vec<Message>,
    /// When the earliest is due that is neither here nor left out; none where there is none.
    pub next_ms: Option<i64>,
}

/// How many messages a queue has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Count {
    /// Due by a time.
    pub due: u64,
    /// Due later.
    pub later: u64,
}

/// A queue with messages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Depth {
    /// Its name.
    pub queue: String,
    /// How many.
    pub messages: u64,
    /// When the earliest is due, in milliseconds since 1970.
    pub first_due_ms: i64,
}

/// Why a queue gave no answer, or acknowledged nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum QueueError {
    /// A message is gone or was changed meanwhile; nothing was done.
    #[error("the message {} was taken away by somebody else", .0.0)]
    Overtaken(MessageId),
    /// The commit breaks a bound; nothing was done, and it never will be.
    #[error("the commit is not allowed: {0}")]
    Refused(String),
    /// The engine failed. Not acknowledged, but after a restart it may be there, whole.
    #[error("the queues cannot be used: {0}")]
    Unavailable(String),
}

/// Checks the bounds of a commit, the same for all engines.
///
/// # Errors
/// Refused, for the first bound that is broken.
pub fn check_steps(steps: &[Step]) -> Result<(), QueueError> {
    let refused = |text: String| Err(QueueError::Refused(text));
    if !(1..=QUEUE_COMMIT_STEPS).contains(&steps.len()) {
        return refused(format!("it has {} steps; 1 to {QUEUE_COMMIT_STEPS} are allowed", steps.len()));
    }
    let mut touched = HashSet::new();
    for step in steps {
        let (head, body): (&[u8], &[u8]) = match step {
            Step::Put { queue, .. } if !(1..=QUEUE_NAME_BYTES).contains(&queue.len()) => {
                return refused(format!("a queue's name has {} bytes", queue.len()));
            }
            Step::Put { head, body, .. } => (head, body),
            Step::Change { head, .. } => (head, &[]),
            Step::Delete(_) => (&[], &[]),
        };
        if head.len() > QUEUE_HEAD_BYTES || body.len() > QUEUE_BODY_BYTES {
            return refused(format!("a message has {} and {} bytes", head.len(), body.len()));
        }
        if let Step::Change { found, .. } | Step::Delete(found) = step
            && !touched.insert(found.id)
        {
            return refused(format!("it works on the message {} twice", found.id.0));
        }
    }
    Ok(())
}
