//! The tables of queues, and what is known of them in memory: the queues' names and depths.

use std::collections::HashMap;

use hearth_crash::{self as crash, Point};
use hearth_store::{Due, MessageId, QueueError, Step, Take, check_steps};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tracing::error;

use super::access::{self, QueueKey};
use super::fair;
use super::groups;
use crate::open::Format;

/// What a file of schema 1 had not.
macro_rules! groups {
    () => {
        "
    CREATE INDEX message_due ON message (queue, due) WHERE grp IS NULL;
    CREATE INDEX message_due_in_group ON message (queue, due) WHERE grp IS NOT NULL;
    CREATE INDEX message_of_group ON message (grp, id) WHERE grp IS NOT NULL;
    CREATE TABLE message_group (
        id INTEGER PRIMARY KEY, queue INTEGER NOT NULL, name TEXT NOT NULL, turn INTEGER NOT NULL, UNIQUE (queue, name)
    ) STRICT;
    CREATE INDEX message_group_turn ON message_group (queue, turn);
    CREATE TABLE once (key BLOB PRIMARY KEY, until INTEGER NOT NULL, message INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE INDEX once_until ON once (until);
"
    };
}

/// What a file of schema 2 had not.
macro_rules! fair {
    () => {
        "
    ALTER TABLE message ADD COLUMN held INTEGER;
    ALTER TABLE message_group ADD COLUMN held INTEGER;
    CREATE INDEX message_fair_waiting ON message (grp, due) WHERE held = 0;
    CREATE INDEX message_fair_held ON message (queue, due) WHERE held = 1;
    CREATE INDEX message_group_fair ON message_group (queue, held, turn) WHERE held IS NOT NULL;
"
    };
}

/// "Hrtq". A body that is small lies in its message's row: one page to write instead of two. Messages in groups have
/// indices of their own, so that neither kind stands in the way of the other.
pub(super) const FORMAT: Format = Format {
    application_id: 0x4872_7471,
    schema: 3,
    what: "queue",
    cache_kib: 8 * 1024,
    tables: concat!(
        "
    CREATE TABLE queue (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
    CREATE TABLE message (
        id INTEGER PRIMARY KEY, queue INTEGER NOT NULL, due INTEGER NOT NULL, bytes INTEGER NOT NULL,
        head BLOB NOT NULL, body BLOB, grp INTEGER, takes INTEGER NOT NULL DEFAULT 0, first_taken INTEGER
    ) STRICT;
    CREATE TABLE large (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
    CREATE TABLE state (id INTEGER PRIMARY KEY CHECK (id = 1), last_message INTEGER NOT NULL) STRICT;
    INSERT INTO state VALUES (1, 0);
",
        groups!(),
        fair!()
    ),
    upgrades: &[
        concat!(
            "
    ALTER TABLE message ADD COLUMN grp INTEGER;
    ALTER TABLE message ADD COLUMN takes INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE message ADD COLUMN first_taken INTEGER;
    DROP INDEX message_due;
",
            groups!()
        ),
        fair!(),
    ],
};

/// The file, and what is known of it.
pub(super) struct Tables {
    connection: Connection,
    /// Of all queues that had messages since the file was opened.
    queues: HashMap<String, QueueKey>,
    /// How many messages each has.
    depths: HashMap<QueueKey, u64>,
    /// The id given last.
    last: u64,
}

/// A queue.
#[derive(Clone, Copy)]
pub(super) struct Known {
    pub(super) key: QueueKey,
    pub(super) messages: u64,
}

/// What a group of commits has changed of what is known; it holds once the transaction does.
pub(super) struct Draft {
    pub(super) last: u64,
    /// New queues.
    pub(super) made: HashMap<String, QueueKey>,
    /// How many messages each queue has won.
    pub(super) won: HashMap<QueueKey, i64>,
}

impl Tables {
    /// Takes over a file; forgets the names of queues that are empty.
    pub(super) fn load(connection: Connection) -> rusqlite::Result<Self> {
        let last = connection.query_row("SELECT last_message FROM state", [], |row| row.get(0))?;
        let depths = access::depths(&connection)?;
        access::forget_empty(&connection, &depths)?;
        let queues = access::names(&connection)?.into_iter().collect();
        Ok(Self { connection, queues, depths, last })
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn connection_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }

    pub(super) fn last_id(&self) -> MessageId {
        MessageId(self.last)
    }

    pub(super) fn known(&self, queue: &str) -> Option<Known> {
        self.queues.get(queue).map(|key| self.depth(*key))
    }

    fn depth(&self, key: QueueKey) -> Known {
        Known { key, messages: self.depths.get(&key).copied().unwrap_or(0) }
    }

    /// Those with messages whose names begin with this, in order.
    pub(super) fn known_with(&self, prefix: &str) -> Vec<(&str, Known)> {
        let with = self.queues.iter().filter(|(name, _)| name.starts_with(prefix));
        let known = with.map(|(name, key)| (name.as_str(), self.depth(*key)));
        let mut found: Vec<_> = known.filter(|(_, known)| known.messages > 0).collect();
        found.sort_unstable_by_key(|(name, _)| *name);
        found
    }

    /// Does each job as if those before it were there; all are on stable storage, or none.
    pub(super) fn write_group(&mut self, jobs: Vec<Job>) -> Vec<Done> {
        let mut draft = Draft { last: self.last, made: HashMap::new(), won: HashMap::new() };
        let mut outcomes = Vec::with_capacity(jobs.len());
        match self.write(jobs, &mut draft, &mut outcomes) {
            Ok(()) => self.publish(draft),
            Err(cause) => {
                error!("the queues cannot be written: {cause}");
                outcomes.iter_mut().for_each(|outcome| outcome.fail(&cause.to_string()));
            }
        }
        outcomes
    }

    /// Every job gets its outcome, also where the transaction fails.
    fn write(&mut self, jobs: Vec<Job>, draft: &mut Draft, outcomes: &mut Vec<Done>) -> rusqlite::Result<()> {
        outcomes.extend(jobs.iter().map(Job::undone));
        let known = &self.queues;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for (job, outcome) in jobs.into_iter().zip(outcomes.iter_mut()) {
            *outcome = match job {
                Job::Commit(steps) => Done::Commit(match check_steps(&steps) {
                    Ok(()) => apply(&transaction, known, draft, steps)?,
                    Err(refused) => Err(refused),
                }),
                Job::Take(take) => {
                    let key = draft.key(known, &take.queue);
                    let taken = key.map(|key| access::take(&transaction, key, &take)).transpose()?;
                    Done::Take(Ok(taken.unwrap_or_default()))
                }
            };
        }
        access::set_last(&transaction, draft.last)?;
        crash::point(Point::QueueWritten);
        transaction.commit()?;
        crash::point(Point::QueueCommitted);
        Ok(())
    }

    fn publish(&mut self, draft: Draft) {
        self.last = draft.last;
        self.queues.extend(draft.made);
        self.win(&draft.won);
    }

    /// Counts what queues have won or lost.
    pub(super) fn win(&mut self, won: &HashMap<QueueKey, i64>) {
        for (key, won) in won {
            let depth = self.depths.entry(*key).or_default();
            *depth = depth.saturating_add_signed(*won);
        }
    }
}

/// What is done in one transaction with others.
pub(super) enum Job {
    Commit(Vec<Step>),
    Take(Take),
}

/// What became of it.
pub(super) enum Done {
    Commit(Result<Vec<MessageId>, QueueError>),
    Take(Result<Due, QueueError>),
}

impl Job {
    fn undone(&self) -> Done {
        let earlier = || QueueError::Unavailable("an earlier job of its group failed".into());
        match self {
            Self::Commit(_) => Done::Commit(Err(earlier())),
            Self::Take(_) => Done::Take(Err(earlier())),
        }
    }
}

impl Done {
    /// What was refused stays so.
    fn fail(&mut self, cause: &str) {
        let unavailable = || QueueError::Unavailable(cause.to_owned());
        match self {
            Self::Commit(outcome) if outcome.is_ok() => *outcome = Err(unavailable()),
            Self::Take(outcome) if outcome.is_ok() => *outcome = Err(unavailable()),
            Self::Commit(_) | Self::Take(_) => {}
        }
    }
}

impl Draft {
    fn key(&self, known: &HashMap<String, QueueKey>, queue: &str) -> Option<QueueKey> {
        known.get(queue).or_else(|| self.made.get(queue)).copied()
    }

    fn key_or_new(
        &mut self,
        transaction: &Transaction<'_>,
        known: &HashMap<String, QueueKey>,
        queue: String,
    ) -> rusqlite::Result<QueueKey> {
        if let Some(key) = self.key(known, &queue) {
            return Ok(key);
        }
        let key = access::add_queue(transaction, &queue)?;
        self.made.insert(queue, key);
        Ok(key)
    }

    fn next(&mut self, queue: QueueKey) -> MessageId {
        self.last += 1;
        *self.won.entry(queue).or_default() += 1;
        MessageId(self.last)
    }
}

/// Does the steps of one commit, or none of them.
fn apply(
    transaction: &Transaction<'_>,
    known: &HashMap<String, QueueKey>,
    draft: &mut Draft,
    steps: Vec<Step>,
) -> rusqlite::Result<Result<Vec<MessageId>, QueueError>> {
    for step in &steps {
        if let Step::Change { found, .. } | Step::Delete(found) = step
            && !access::is_as_found(transaction, *found)?
        {
            return Ok(Err(QueueError::Overtaken(found.id)));
        }
        if let Step::PutFirst { once, .. } = step
            && let Some(id) = groups::put_before(transaction, once)?
        {
            return Ok(Err(QueueError::PutBefore(id)));
        }
    }
    let mut put = Vec::new();
    for step in steps {
        match step {
            Step::Put { queue, due_ms, head, body } => {
                let key = draft.key_or_new(transaction, known, queue)?;
                let id = draft.next(key);
                access::insert(transaction, id, (key, None), due_ms, &head, &body)?;
                put.push(id);
            }
            Step::PutFirst { queue, once, due_ms, head, body } => {
                let key = draft.key_or_new(transaction, known, queue)?;
                let id = draft.next(key);
                access::insert(transaction, id, (key, None), due_ms, &head, &body)?;
                groups::mark(transaction, &once, id)?;
                put.push(id);
            }
            Step::PutInGroup { queue, group, once, due_ms, head, body } => {
                if let Some(once) = &once
                    && let Some(id) = groups::put_before(transaction, once)?
                {
                    put.push(id);
                    continue;
                }
                let key = draft.key_or_new(transaction, known, queue)?;
                let id = draft.next(key);
                let group = groups::open(transaction, key, &group, due_ms)?;
                access::insert(transaction, id, (key, Some(group)), due_ms, &head, &body)?;
                once.map(|once| groups::mark(transaction, &once, id)).transpose()?;
                put.push(id);
            }
            Step::PutFairly { queue, group, due_ms, head, body } => {
                let key = draft.key_or_new(transaction, known, queue)?;
                let id = draft.next(key);
                let group = fair::open(transaction, key, &group, due_ms)?;
                access::insert(transaction, id, (key, Some(group)), due_ms, &head, &body)?;
                fair::waits(transaction, id)?;
                put.push(id);
            }
            Step::Change { found, due_ms, head } => access::change(transaction, found.id, due_ms, &head)?,
            Step::Delete(found) => {
                if let Some(gone) = access::delete(transaction, found.id)? {
                    *draft.won.entry(gone.queue).or_default() -= 1;
                    gone.group.map(|group| groups::set_turn(transaction, group)).transpose()?;
                }
            }
        }
    }
    Ok(Ok(put))
}
