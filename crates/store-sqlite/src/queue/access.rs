//! The statements.

use std::collections::HashMap;

use bytes::Bytes;
use hearth_store::{Count, Depth, Due, Found, Look, Message, MessageId};
use hearth_types::limits::QUEUE_PURGE_STEP;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::tables::{Known, Tables};

/// Bytes of a body that lies in its message's row; larger ones lie apart, so that a new head does not write them again.
const SMALL_BODY_BYTES: usize = 2000;

/// What the file calls a queue.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct QueueKey(i64);

pub(super) fn names(connection: &Connection) -> rusqlite::Result<Vec<(String, QueueKey)>> {
    let mut select = connection.prepare("SELECT name, id FROM queue")?;
    select.query_map([], |row| Ok((row.get(0)?, QueueKey(row.get(1)?))))?.collect()
}

/// How many messages each queue has.
pub(super) fn depths(connection: &Connection) -> rusqlite::Result<HashMap<QueueKey, u64>> {
    let mut select = connection.prepare("SELECT queue, count(*) FROM message GROUP BY queue")?;
    select.query_map([], |row| Ok((QueueKey(row.get(0)?), row.get(1)?)))?.collect()
}

pub(super) fn set_last(connection: &Connection, last: u64) -> rusqlite::Result<()> {
    connection.prepare_cached("UPDATE state SET last_message = ?1 WHERE last_message <> ?1")?.execute([last]).map(drop)
}

pub(super) fn add_queue(connection: &Connection, name: &str) -> rusqlite::Result<QueueKey> {
    connection.prepare_cached("INSERT INTO queue (name) VALUES (?1)")?.insert([name]).map(QueueKey)
}

pub(super) fn is_as_found(connection: &Connection, found: Found) -> rusqlite::Result<bool> {
    let due: Option<i64> = connection
        .prepare_cached("SELECT due FROM message WHERE id = ?1")?
        .query_row([found.id.0], |row| row.get(0))
        .optional()?;
    Ok(due == Some(found.due_ms))
}

pub(super) fn insert(
    connection: &Connection,
    id: MessageId,
    queue: QueueKey,
    due_ms: i64,
    head: &[u8],
    body: &[u8],
) -> rusqlite::Result<()> {
    let small = (body.len() <= SMALL_BODY_BYTES).then_some(body);
    connection
        .prepare_cached("INSERT INTO message (id, queue, due, bytes, head, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![id.0, queue.0, due_ms, body.len(), head, small])?;
    if small.is_none() {
        connection.prepare_cached("INSERT INTO large (id, body) VALUES (?1, ?2)")?.execute(params![id.0, body])?;
    }
    Ok(())
}

pub(super) fn change(connection: &Connection, id: MessageId, due_ms: i64, head: &[u8]) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE message SET due = ?2, head = ?3 WHERE id = ?1")?
        .execute(params![id.0, due_ms, head])
        .map(drop)
}

/// The queue that it was in.
pub(super) fn delete(connection: &Connection, id: MessageId) -> rusqlite::Result<Option<QueueKey>> {
    let was: Option<(i64, usize)> = connection
        .prepare_cached("DELETE FROM message WHERE id = ?1 RETURNING queue, bytes")?
        .query_row([id.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((queue, bytes)) = was else { return Ok(None) };
    if bytes > SMALL_BODY_BYTES {
        connection.prepare_cached("DELETE FROM large WHERE id = ?1")?.execute([id.0])?;
    }
    Ok(Some(QueueKey(queue)))
}

impl Tables {
    pub(super) fn due(&self, look: &Look) -> rusqlite::Result<Due> {
        let mut due = Due::default();
        let Some(Known { key, .. }) = self.known(&look.queue) else { return Ok(due) };
        // The id is the last column of every index, so this is the index's own order.
        let mut select = self.connection().prepare_cached(
            "SELECT id, due, bytes, head, body FROM message INDEXED BY message_due WHERE queue = ?1 ORDER BY due, id",
        )?;
        let mut rows = select.query([key.0])?;
        let mut bytes = 0;
        while let Some(row) = rows.next()? {
            let found = Found { due_ms: row.get(1)?, id: MessageId(row.get(0)?) };
            if look.skip.contains(&found.id) {
                continue;
            }
            if found.due_ms <= look.until_ms && due.messages.len() < look.limit {
                bytes += row.get::<_, usize>(2)?;
                if due.messages.is_empty() || bytes <= look.bytes {
                    let body = self.body(found.id, row.get(4)?)?;
                    due.messages.push(Message { found, head: Bytes::from(row.get::<_, Vec<u8>>(3)?), body });
                    continue;
                }
            }
            due.next_ms = Some(found.due_ms);
            break;
        }
        Ok(due)
    }

    pub(super) fn get(&self, queue: &str, id: MessageId) -> rusqlite::Result<Option<Message>> {
        let Some(Known { key, .. }) = self.known(queue) else { return Ok(None) };
        let row: Option<(i64, Vec<u8>, Option<Vec<u8>>)> = self
            .connection()
            .prepare_cached("SELECT due, head, body FROM message WHERE id = ?1 AND queue = ?2")?
            .query_row(params![id.0, key.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let Some((due_ms, head, body)) = row else { return Ok(None) };
        let body = self.body(id, body)?;
        Ok(Some(Message { found: Found { due_ms, id }, head: head.into(), body }))
    }

    fn body(&self, id: MessageId, small: Option<Vec<u8>>) -> rusqlite::Result<Bytes> {
        let body = match small {
            Some(body) => body,
            None => self
                .connection()
                .prepare_cached("SELECT body FROM large WHERE id = ?1")?
                .query_row([id.0], |row| row.get(0))?,
        };
        Ok(Bytes::from(body))
    }

    pub(super) fn count(&self, queue: &str, now_ms: i64) -> rusqlite::Result<Count> {
        let Some(Known { key, messages }) = self.known(queue) else { return Ok(Count::default()) };
        let due: u64 = self
            .connection()
            .prepare_cached("SELECT count(*) FROM message INDEXED BY message_due WHERE queue = ?1 AND due <= ?2")?
            .query_row(params![key.0, now_ms], |row| row.get(0))?;
        Ok(Count { due, later: messages.saturating_sub(due) })
    }

    pub(super) fn queues(&self, prefix: &str) -> rusqlite::Result<Vec<Depth>> {
        let mut select =
            self.connection().prepare_cached("SELECT due FROM message WHERE queue = ?1 ORDER BY due LIMIT 1")?;
        let depth = |(name, known): (&str, Known)| {
            let first_due_ms = select.query_row([known.key.0], |row| row.get(0))?;
            Ok(Depth { queue: name.to_owned(), messages: known.messages, first_due_ms })
        };
        self.known_with(prefix).into_iter().map(depth).collect()
    }

    /// Removes up to [`QUEUE_PURGE_STEP`] messages, none newer than `up_to`, or than the newest now; gives how many it
    /// was, and what to go on with.
    pub(super) fn purge_some(&mut self, queue: &str, up_to: Option<MessageId>) -> rusqlite::Result<(u64, MessageId)> {
        let up_to = up_to.unwrap_or(self.last_id());
        let Some(Known { key, .. }) = self.known(queue) else { return Ok((0, up_to)) };
        let transaction = self.connection_mut().transaction_with_behavior(TransactionBehavior::Immediate)?;
        let ids: Vec<u64> = transaction
            .prepare_cached("SELECT id FROM message INDEXED BY message_due WHERE queue = ?1 AND id <= ?2 LIMIT ?3")?
            .query_map(params![key.0, up_to.0, QUEUE_PURGE_STEP], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for id in &ids {
            delete(&transaction, MessageId(*id))?;
        }
        transaction.commit()?;
        let removed = ids.len() as i64;
        self.win(&HashMap::from([(key, -removed)]));
        Ok((removed.unsigned_abs(), up_to))
    }
}
