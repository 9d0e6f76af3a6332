//! The queue seam: messages in named queues, each queue in the order in which its messages are due.
//!
//! A message has an immutable body and a small head, which whoever works on it may replace together with the time at
//! which it is due next. Who works on what is no business of the engine: it keeps what it was told, durably.
//!
//! A message may be put into a group of its queue. Those of a group are taken in the order in which they were put, and
//! none is taken while another one of its group is, until that one is due again or gone. Or it is put into a group that
//! is fair: any number of its messages may be taken at a time, and groups of which few are taken come before others.

use std::collections::HashSet;

use bytes::Bytes;
use hearth_types::limits::{
    QUEUE_BODY_BYTES, QUEUE_COMMIT_STEPS, QUEUE_GROUP_NAME_BYTES, QUEUE_HEAD_BYTES, QUEUE_NAME_BYTES, QUEUE_ONCE_BYTES,
};

use crate::BoxFuture;

/// Messages in queues. A queue is there as long as it has messages, and needs no making.
pub trait QueueStore: Send + Sync + 'static {
    /// Does all the steps, or none. When it returns Ok they are on stable storage, and every later look sees them. Gives
    /// the ids of what was put, in order; of what had been put before ([`Once`]) the id of then. A caller that stops
    /// waiting does not stop the commit.
    ///
    /// # Errors
    /// See [`QueueError`].
    fn commit(&self, steps: Vec<Step>) -> BoxFuture<'_, Result<Vec<MessageId>, QueueError>>;

    /// Takes what of a queue is due: sets when it is due again, and counts it, in one durable step that no other taker
    /// comes between. First messages without a group, the earliest first; then by groups, that one first whose turn
    /// came first, and of each as many as are due in a row. In a queue with fair groups, one message after another: each of
    /// the group of which the fewest are taken by then, the earliest first. One without a group is as if of a group of its
    /// own. A caller that stops waiting does not stop it.
    ///
    /// # Errors
    /// When the engine fails; then nothing was taken, or after a restart all of it.
    fn take(&self, take: Take) -> BoxFuture<'_, Result<Due, QueueError>>;

    /// What of a queue is due and in no group, the earliest first; of two that are due at once the one that was put
    /// first.
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

    /// The id given last: whatever is put from now on has a greater one.
    ///
    /// # Errors
    /// When the engine cannot say.
    fn newest(&self) -> BoxFuture<'_, Result<MessageId, QueueError>>;

    /// As [`QueueStore::purge`], but leaves what has a greater id than `up_to`.
    ///
    /// # Errors
    /// When the engine fails; some may be gone by then.
    fn purge_to<'a>(&'a self, queue: &'a str, up_to: MessageId) -> BoxFuture<'a, Result<u64, QueueError>>;

    /// Removes the messages of a queue that are due by then, whatever their group; gives how many it was. Not one commit.
    ///
    /// # Errors
    /// When the engine fails; some may be gone by then.
    fn expire<'a>(&'a self, queue: &'a str, until_ms: i64) -> BoxFuture<'a, Result<u64, QueueError>>;
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
    /// The group that it was put into.
    pub group: Option<String>,
    /// How often it was taken.
    pub takes: u32,
    /// When it was taken first, in milliseconds since 1970.
    pub first_taken_ms: Option<i64>,
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
    /// A new message at the end of a group.
    PutInGroup {
        /// As of [`Step::Put`].
        queue: String,
        /// 1 to [`QUEUE_GROUP_NAME_BYTES`] bytes.
        group: String,
        /// Where it must not be put twice.
        once: Option<Once>,
        /// As of [`Step::Put`].
        due_ms: i64,
        /// As of [`Step::Put`].
        head: Bytes,
        /// As of [`Step::Put`].
        body: Bytes,
    },
    /// A new message in a fair group. A queue has groups of one kind.
    PutFairly {
        /// As of [`Step::Put`].
        queue: String,
        /// As of [`Step::PutInGroup`].
        group: String,
        /// As of [`Step::Put`].
        due_ms: i64,
        /// As of [`Step::Put`].
        head: Bytes,
        /// As of [`Step::Put`].
        body: Bytes,
    },
    /// A new message in no group that must be the first one under its key: where the key holds already, nothing of the
    /// commit is done, and [`QueueError::PutBefore`] says what it holds for.
    PutFirst {
        /// As of [`Step::Put`].
        queue: String,
        /// No other such step of a commit has the same key.
        once: Once,
        /// As of [`Step::Put`].
        due_ms: i64,
        /// As of [`Step::Put`].
        head: Bytes,
        /// As of [`Step::Put`].
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

/// What is put under a key that holds already is not put again. Keys are one for all queues of a store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Once {
    /// 1 to [`QUEUE_ONCE_BYTES`] bytes.
    pub key: Bytes,
    /// Keys that held until then are free; milliseconds since 1970.
    pub now_ms: i64,
    /// Until when this one holds, in milliseconds since 1970.
    pub until_ms: i64,
}

/// What [`QueueStore::take`] is to take.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Take {
    /// The queue.
    pub queue: String,
    /// Messages that are due by then, in milliseconds since 1970.
    pub now_ms: i64,
    /// When they are due again, in milliseconds since 1970; until then nobody takes them.
    pub again_ms: i64,
    /// How many at most.
    pub limit: usize,
    /// Bytes of all bodies at most; the first one is given however large it is.
    pub bytes: usize,
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
    /// In the order of the look. Those that were taken are here as they are now.
    pub messages: Vec<Message>,
    /// When the earliest is due that is neither here nor left out, or the next group has its turn; none where there is
    /// none.
    pub next_ms: Option<i64>,
}

/// How many messages a queue has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Count {
    /// Due by a time.
    pub due: u64,
    /// Due later.
    pub later: u64,
    /// Of those that are due later, those that were taken.
    pub taken: u64,
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
    /// A key that was to be free holds for this message; nothing was done.
    #[error("the message {} was put before under the same key", .0.0)]
    PutBefore(MessageId),
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
    let (mut touched, mut claimed) = (HashSet::new(), HashSet::new());
    for step in steps {
        let (head, body): (&[u8], &[u8]) = match step {
            Step::Put { queue, .. }
            | Step::PutInGroup { queue, .. }
            | Step::PutFairly { queue, .. }
            | Step::PutFirst { queue, .. }
                if !(1..=QUEUE_NAME_BYTES).contains(&queue.len()) =>
            {
                return refused(format!("a queue's name has {} bytes", queue.len()));
            }
            Step::PutInGroup { group, .. } | Step::PutFairly { group, .. }
                if !(1..=QUEUE_GROUP_NAME_BYTES).contains(&group.len()) =>
            {
                return refused(format!("a group's name has {} bytes", group.len()));
            }
            Step::PutInGroup { once: Some(once), .. } | Step::PutFirst { once, .. }
                if !(1..=QUEUE_ONCE_BYTES).contains(&once.key.len()) =>
            {
                return refused(format!("a key has {} bytes", once.key.len()));
            }
            Step::PutFirst { once, .. } if !claimed.insert(&once.key) => {
                return refused("two messages are to be the first under one key".to_owned());
            }
            Step::Put { head, body, .. }
            | Step::PutInGroup { head, body, .. }
            | Step::PutFairly { head, body, .. }
            | Step::PutFirst { head, body, .. } => (head, body),
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
