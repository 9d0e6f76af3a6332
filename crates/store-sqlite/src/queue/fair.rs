//! Fair groups: of which few messages are taken, those come before others.
//!
//! Each knows how many of it are taken and when the first of the others is due, so that the next message is found by an
//! index however many wait. A message that was taken and is due again waits anew from the next take on, which sweeps such.

use std::collections::HashSet;

use hearth_store::{Due, Message, MessageId, Take};
use hearth_types::limits::QUEUE_FAIR_SWEEP;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::access::{self, QueueKey, Room};
use super::groups::GroupKey;

/// The turn of a group of which all are taken.
const NO_TURN: i64 = i64::MAX;

/// The fair group of that name.
pub(super) fn open(connection: &Connection, queue: QueueKey, name: &str, due_ms: i64) -> rusqlite::Result<GroupKey> {
    connection
        .prepare_cached(
            "INSERT INTO message_group (queue, name, turn, held) VALUES (?1, ?2, ?3, 0)
             ON CONFLICT (queue, name) DO UPDATE SET turn = min(turn, excluded.turn) RETURNING id",
        )?
        .query_row(params![queue.0, name, due_ms], |row| row.get(0).map(GroupKey::of))
}

/// A new message of a fair group is not taken.
pub(super) fn waits(connection: &Connection, id: MessageId) -> rusqlite::Result<()> {
    connection.prepare_cached("UPDATE message SET held = 0 WHERE id = ?1")?.execute([id.0]).map(drop)
}

/// How many of a fair group are taken; none of any other group.
pub(super) fn held(connection: &Connection, group: GroupKey) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT held FROM message_group WHERE id = ?1")?
        .query_row([group.number()], |row| row.get(0))
        .optional()
        .map(Option::flatten)
}

/// So many more of a group are taken.
pub(super) fn hold(connection: &Connection, group: GroupKey, more: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE message_group SET held = max(held + ?2, 0) WHERE id = ?1 AND held IS NOT NULL")?
        .execute(params![group.number(), more])
        .map(drop)
}

/// Finds out anew when a fair group has its turn; one without messages goes.
pub(super) fn set_turn(connection: &Connection, group: GroupKey, held: i64) -> rusqlite::Result<()> {
    let first: Option<i64> = connection
        .prepare_cached("SELECT min(due) FROM message INDEXED BY message_fair_waiting WHERE grp = ?1 AND held = 0")?
        .query_row([group.number()], |row| row.get(0))?;
    match first {
        None if held == 0 => {
            connection.prepare_cached("DELETE FROM message_group WHERE id = ?1")?.execute([group.number()]).map(drop)
        }
        first => connection
            .prepare_cached("UPDATE message_group SET turn = ?2 WHERE id = ?1")?
            .execute(params![group.number(), first.unwrap_or(NO_TURN)])
            .map(drop),
    }
}

/// A message got another time from whoever took it: it counts as taken until then.
pub(super) fn changed(connection: &Connection, group: GroupKey, id: MessageId) -> rusqlite::Result<()> {
    let is_new = connection
        .prepare_cached("UPDATE message SET held = 1 WHERE id = ?1 AND held = 0 AND takes > 0")?
        .execute([id.0])?;
    if is_new > 0 { hold(connection, group, 1) } else { Ok(()) }
}

/// Whether the groups of a queue are fair.
pub(super) fn is_fair(connection: &Connection, queue: QueueKey) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT 1 FROM message_group INDEXED BY message_group_fair WHERE queue = ?1 AND held IS NOT NULL LIMIT 1",
        )?
        .exists([queue.0])
}

/// Takes one message after another, each of those that come first by then.
pub(super) fn take(connection: &Connection, queue: QueueKey, take: &Take, room: &mut Room) -> rusqlite::Result<Due> {
    sweep(connection, queue, take.now_ms)?;
    let mut due = Due::default();
    let mut taken = HashSet::new();
    while !room.is_full() {
        let group = first_group(connection, queue, take.now_ms)?;
        let apart = access::first_apart(connection, queue, take.now_ms, &taken)?;
        let of_group =
            group.as_ref().filter(|group| apart.is_none_or(|due_ms| (group.held, group.turn_ms) < (0, due_ms)));
        let found = match of_group {
            Some(group) => access::next_in_fair_group(connection, group.key, take.now_ms, room)?,
            None if apart.is_some() => access::next_apart(connection, queue, take.now_ms, room, &taken)?,
            None => break,
        };
        let Some(mut message) = found else { break };
        access::mark_taken(connection, &mut message, take)?;
        taken.insert(message.found.id);
        if let Some(group) = of_group {
            connection.prepare_cached("UPDATE message SET held = 1 WHERE id = ?1")?.execute([message.found.id.0])?;
            hold(connection, group.key, 1)?;
            set_turn(connection, group.key, group.held + 1)?;
        }
        due.messages.push(Message { group: of_group.map(|group| group.name.clone()), ..message });
    }
    due.next_ms = access::first_due(connection, queue)?;
    Ok(due)
}

/// A group that has something due.
struct Group {
    key: GroupKey,
    name: String,
    held: i64,
    turn_ms: i64,
}

fn first_group(connection: &Connection, queue: QueueKey, now_ms: i64) -> rusqlite::Result<Option<Group>> {
    connection
        .prepare_cached(
            "SELECT id, name, held, turn FROM message_group INDEXED BY message_group_fair
             WHERE queue = ?1 AND held IS NOT NULL AND turn <= ?2 ORDER BY held, turn LIMIT 1",
        )?
        .query_row(params![queue.0, now_ms], |row| {
            Ok(Group { key: GroupKey::of(row.get(0)?), name: row.get(1)?, held: row.get(2)?, turn_ms: row.get(3)? })
        })
        .optional()
}

/// What was taken and is due again waits anew.
fn sweep(connection: &Connection, queue: QueueKey, now_ms: i64) -> rusqlite::Result<()> {
    let back: Vec<(u64, i64)> = connection
        .prepare_cached(
            "SELECT id, grp FROM message INDEXED BY message_fair_held
             WHERE queue = ?1 AND held = 1 AND due <= ?2 ORDER BY due LIMIT ?3",
        )?
        .query_map(params![queue.0, now_ms, QUEUE_FAIR_SWEEP], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut groups = HashSet::new();
    for (id, group) in back {
        let group = GroupKey::of(group);
        waits(connection, MessageId(id))?;
        hold(connection, group, -1)?;
        groups.insert(group);
    }
    for group in groups {
        if let Some(held) = held(connection, group)? {
            set_turn(connection, group, held)?;
        }
    }
    Ok(())
}
