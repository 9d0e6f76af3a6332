//! Groups of messages, and what must not be put twice.
//!
//! A group knows when it has its turn: when its first message is due, and none of those that were taken is still held.
//! So a look finds the groups whose turn it is by an index, however many messages wait in others.

use hearth_store::{MessageId, Once, Take};
use hearth_types::limits::QUEUE_ONCE_SWEEP;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::access::QueueKey;
use super::fair;

/// What the file calls a group.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct GroupKey(i64);

impl GroupKey {
    pub(super) fn of(number: i64) -> Self {
        Self(number)
    }

    pub(super) fn number(self) -> i64 {
        self.0
    }
}

/// The group of that name; a new one has its turn when its first message is due.
pub(super) fn open(connection: &Connection, queue: QueueKey, name: &str, due_ms: i64) -> rusqlite::Result<GroupKey> {
    let known: Option<i64> = connection
        .prepare_cached("SELECT id FROM message_group WHERE queue = ?1 AND name = ?2")?
        .query_row(params![queue.0, name], |row| row.get(0))
        .optional()?;
    match known {
        Some(number) => Ok(GroupKey(number)),
        None => connection
            .prepare_cached("INSERT INTO message_group (queue, name, turn) VALUES (?1, ?2, ?3)")?
            .insert(params![queue.0, name, due_ms])
            .map(GroupKey),
    }
}

/// Finds out anew when a group has its turn; one without messages goes. Those that were taken are its first ones, as many
/// as one take gave at most.
pub(super) fn set_turn(connection: &Connection, group: GroupKey) -> rusqlite::Result<()> {
    if let Some(held) = fair::held(connection, group)? {
        return fair::set_turn(connection, group, held);
    }
    let mut select = connection
        .prepare_cached("SELECT due, takes FROM message INDEXED BY message_of_group WHERE grp = ?1 ORDER BY id")?;
    let mut rows = select.query([group.0])?;
    let mut turn_ms: Option<i64> = None;
    while let Some(row) = rows.next()? {
        let (due_ms, takes): (i64, u32) = (row.get(0)?, row.get(1)?);
        if takes > 0 || turn_ms.is_none() {
            turn_ms = turn_ms.max(Some(due_ms));
        }
        if takes == 0 {
            break;
        }
    }
    drop(rows);
    match turn_ms {
        Some(turn_ms) => connection
            .prepare_cached("UPDATE message_group SET turn = ?2 WHERE id = ?1")?
            .execute(params![group.0, turn_ms]),
        None => connection.prepare_cached("DELETE FROM message_group WHERE id = ?1")?.execute([group.0]),
    }
    .map(drop)
}

/// The groups that have something for a take, as many as it can have messages.
pub(super) fn whose_turn_it_is(
    connection: &Connection,
    queue: QueueKey,
    take: &Take,
) -> rusqlite::Result<Vec<(GroupKey, String)>> {
    let mut select = connection.prepare_cached(
        "SELECT id, name FROM message_group INDEXED BY message_group_turn
         WHERE queue = ?1 AND turn <= ?2 ORDER BY turn, id LIMIT ?3",
    )?;
    let found =
        select.query_map(params![queue.0, take.now_ms, take.limit], |row| Ok((GroupKey(row.get(0)?), row.get(1)?)))?;
    found.collect()
}

/// When the next group has its turn.
pub(super) fn next_turn(connection: &Connection, queue: QueueKey) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT min(turn) FROM message_group INDEXED BY message_group_turn WHERE queue = ?1")?
        .query_row([queue.0], |row| row.get(0))
}

/// What was put under a key that still holds.
pub(super) fn put_before(connection: &Connection, once: &Once) -> rusqlite::Result<Option<MessageId>> {
    connection
        .prepare_cached("SELECT message FROM once WHERE key = ?1 AND until > ?2")?
        .query_row(params![&once.key[..], once.now_ms], |row| row.get(0).map(MessageId))
        .optional()
}

/// Keeps that a message was put under a key. Some keys that are free go: those that nobody uses again would stay.
pub(super) fn mark(connection: &Connection, once: &Once, id: MessageId) -> rusqlite::Result<()> {
    let free: Vec<Vec<u8>> = connection
        .prepare_cached("SELECT key FROM once INDEXED BY once_until WHERE until <= ?1 LIMIT ?2")?
        .query_map(params![once.now_ms, QUEUE_ONCE_SWEEP], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for key in free {
        connection.prepare_cached("DELETE FROM once WHERE key = ?1")?.execute([key])?;
    }
    connection
        .prepare_cached("INSERT OR REPLACE INTO once (key, until, message) VALUES (?1, ?2, ?3)")?
        .execute(params![&once.key[..], once.until_ms, id.0])
        .map(drop)
}
