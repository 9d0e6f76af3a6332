//! The tables of queues, and what is known of them in memory: the queues' names and depths.

use std::collections::HashMap;

use hearth_store::{MessageId, QueueError, Step, check_steps};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tracing::error;

use super::access::{self, QueueKey};
use crate::open::Format;

/// "Hrtq". A body that is small lies in its message's row: one page to write instead of two.
pub(super) const FORMAT: Format = Format {
    application_id: 0x4872_7471,
    schema: 1,
    what: "queue",
    cache_kib: 8 * 1024,
    tables: "
    CREATE TABLE queue (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
    CREATE TABLE message (
        id INTEGER PRIMARY KEY, queue INTEGER NOT NULL, due INTEGER NOT NULL, bytes INTEGER NOT NULL,
        head BLOB NOT NULL, body BLOB
    ) STRICT;
    CREATE INDEX message_due ON message (queue, due);
    CREATE TABLE large (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
    CREATE TABLE state (id INTEGER PRIMARY KEY CHECK (id = 1), last_message INTEGER NOT NULL) STRICT;
    INSERT INTO state VALUES (1, 0);
",
};

/// The file, and what is known of it.
pub(super) struct Tables {
    connection: Connection,
    /// Of all queues that had messages since the file was opened.
    queues: HashMap<String, Known>,
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
        let deep = access::depths(&connection)?;
        connection.execute("DELETE FROM queue WHERE id NOT IN (SELECT DISTINCT queue FROM message)", [])?;
        let queues = access::names(&connection)?
            .into_iter()
            .map(|(name, key)| (name, Known { key, messages: deep.get(&key).copied().unwrap_or(0) }))
            .collect();
        Ok(Self { connection, queues, last })
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
        self.queues.get(queue).copied()
    }

    /// Those with messages whose names begin with this, in order.
    pub(super) fn known_with(&self, prefix: &str) -> Vec<(&str, Known)> {
        let with = self.queues.iter().filter(|(name, known)| known.messages > 0 && name.starts_with(prefix));
        let mut found: Vec<_> = with.map(|(name, known)| (name.as_str(), *known)).collect();
        found.sort_unstable_by_key(|(name, _)| *name);
        found
    }

    /// Does each commit as if those before it were there; all are on stable storage, or none.
    pub(super) fn commit_group(&mut self, commits: Vec<Vec<Step>>) -> Vec<Result<Vec<MessageId>, QueueError>> {
        let mut draft = Draft { last: self.last, made: HashMap::new(), won: HashMap::new() };
        let mut outcomes = Vec::with_capacity(commits.len());
        match self.write(commits, &mut draft, &mut outcomes) {
            Ok(()) => self.publish(draft),
            Err(cause) => {
                error!("the queues cannot be written: {cause}");
                let unavailable = || Err(QueueError::Unavailable(cause.to_string()));
                outcomes.iter_mut().filter(|outcome| outcome.is_ok()).for_each(|outcome| *outcome = unavailable());
            }
        }
        outcomes
    }

    /// Every commit gets its outcome, also where the transaction fails.
    fn write(
        &mut self,
        commits: Vec<Vec<Step>>,
        draft: &mut Draft,
        outcomes: &mut Vec<Result<Vec<MessageId>, QueueError>>,
    ) -> rusqlite::Result<()> {
        outcomes.resize(commits.len(), Err(QueueError::Unavailable("an earlier commit of its group failed".into())));
        let known = &self.queues;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for (steps, outcome) in commits.into_iter().zip(outcomes.iter_mut()) {
            *outcome = match check_steps(&steps) {
                Ok(()) => apply(&transaction, known, draft, steps)?,
                Err(refused) => Err(refused),
            };
        }
        access::set_last(&transaction, draft.last)?;
        transaction.commit()
    }

    fn publish(&mut self, draft: Draft) {
        self.last = draft.last;
        self.queues.extend(draft.made.into_iter().map(|(name, key)| (name, Known { key, messages: 0 })));
        self.win(&draft.won);
    }

    /// Counts what queues have won or lost.
    pub(super) fn win(&mut self, won: &HashMap<QueueKey, i64>) {
        for known in self.queues.values_mut() {
            if let Some(won) = won.get(&known.key) {
                known.messages = known.messages.saturating_add_signed(*won);
            }
        }
    }
}

/// Does the steps of one commit, or none of them.
fn apply(
    transaction: &Transaction<'_>,
    known: &HashMap<String, Known>,
    draft: &mut Draft,
    steps: Vec<Step>,
) -> rusqlite::Result<Result<Vec<MessageId>, QueueError>> {
    for step in &steps {
        if let Step::Change { found, .. } | Step::Delete(found) = step
            && !access::is_as_found(transaction, *found)?
        {
            return Ok(Err(QueueError::Overtaken(found.id)));
        }
    }
    let mut put = Vec::new();
    for step in steps {
        match step {
            Step::Put { queue, due_ms, head, body } => {
                let key = match known.get(&queue).map(|known| known.key).or_else(|| draft.made.get(&queue).copied()) {
                    Some(key) => key,
                    None => {
                        let key = access::add_queue(transaction, &queue)?;
                        draft.made.insert(queue, key);
                        key
                    }
                };
                draft.last += 1;
                access::insert(transaction, MessageId(draft.last), key, due_ms, &head, &body)?;
                *draft.won.entry(key).or_default() += 1;
                put.push(MessageId(draft.last));
            }
            Step::Change { found, due_ms, head } => access::change(transaction, found.id, due_ms, &head)?,
            Step::Delete(found) => {
                if let Some(key) = access::delete(transaction, found.id)? {
                    *draft.won.entry(key).or_default() -= 1;
                }
            }
        }
    }
    Ok(Ok(put))
}
