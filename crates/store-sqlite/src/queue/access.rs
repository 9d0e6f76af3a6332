//! The statements.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use hearth_crash::{self as crash, Point};
use hearth_store::{Count, Depth, Due, Found, Look, Message, MessageId, Take};
use hearth_types::limits::QUEUE_PURGE_STEP;
use rusqlite::{Connection, OptionalExtension as _, Row, Rows, TransactionBehavior, params};

use super::fair;
use super::groups::{self, GroupKey};
use super::tables::{Known, Tables};

/// Bytes of a body that lies in its message's row; larger ones lie apart, so that a new head does not write them again.
const SMALL_BODY_BYTES: usize = 2000;

/// What the file calls a queue.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct QueueKey(pub(super) i64);

pub(super) fn names(connection: &Connection) -> rusqlite::Result<Vec<(String, QueueKey)>> {
    let mut select = connection.prepare("SELECT name, id FROM queue")?;
    select.query_map([], |row| Ok((row.get(0)?, QueueKey(row.get(1)?))))?.collect()
}

/// How many messages each queue has.
pub(super) fn depths(connection: &Connection) -> rusqlite::Result<HashMap<QueueKey, u64>> {
    // Said as the indices have it: nothing but these is read, however many messages there are.
    let mut select = connection.prepare(
        "SELECT queue, count(*) FROM message WHERE grp IS NULL GROUP BY queue
         UNION ALL SELECT queue, count(*) FROM message WHERE grp IS NOT NULL GROUP BY queue",
    )?;
    let mut depths = HashMap::new();
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        *depths.entry(QueueKey(row.get(0)?)).or_default() += row.get::<_, u64>(1)?;
    }
    Ok(depths)
}

/// Forgets the names of queues that have no messages.
pub(super) fn forget_empty(connection: &Connection, depths: &HashMap<QueueKey, u64>) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    for (_, key) in names(connection)?.into_iter().filter(|(_, key)| !depths.contains_key(key)) {
        transaction.prepare_cached("DELETE FROM queue WHERE id = ?1")?.execute([key.0])?;
    }
    transaction.commit()
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
    (queue, group): (QueueKey, Option<GroupKey>),
    due_ms: i64,
    head: &[u8],
    body: &[u8],
) -> rusqlite::Result<()> {
    let small = (body.len() <= SMALL_BODY_BYTES).then_some(body);
    connection
        .prepare_cached(
            "INSERT INTO message (id, queue, grp, due, bytes, head, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![id.0, queue.0, group.map(GroupKey::number), due_ms, body.len(), head, small])?;
    if small.is_none() {
        connection.prepare_cached("INSERT INTO large (id, body) VALUES (?1, ?2)")?.execute(params![id.0, body])?;
    }
    Ok(())
}

pub(super) fn change(connection: &Connection, id: MessageId, due_ms: i64, head: &[u8]) -> rusqlite::Result<()> {
    let group: Option<i64> = connection
        .prepare_cached("UPDATE message SET due = ?2, head = ?3 WHERE id = ?1 RETURNING grp")?
        .query_row(params![id.0, due_ms, head], |row| row.get(0))?;
    let Some(group) = group.map(GroupKey::of) else { return Ok(()) };
    fair::changed(connection, group, id)?;
    groups::set_turn(connection, group)
}

/// Where a message was.
pub(super) struct Gone {
    pub(super) queue: QueueKey,
    /// Its turn is to be found out anew.
    pub(super) group: Option<GroupKey>,
}

pub(super) fn delete(connection: &Connection, id: MessageId) -> rusqlite::Result<Option<Gone>> {
    let was: Option<(i64, usize, Option<i64>, Option<bool>)> = connection
        .prepare_cached("DELETE FROM message WHERE id = ?1 RETURNING queue, bytes, grp, held")?
        .query_row([id.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()?;
    let Some((queue, bytes, group, was_held)) = was else { return Ok(None) };
    if let (Some(group), Some(true)) = (group, was_held) {
        fair::hold(connection, GroupKey::of(group), -1)?;
    }
    if bytes > SMALL_BODY_BYTES {
        connection.prepare_cached("DELETE FROM large WHERE id = ?1")?.execute([id.0])?;
    }
    Ok(Some(Gone { queue: QueueKey(queue), group: group.map(GroupKey::of) }))
}

/// The columns of a message, and how they are read.
macro_rules! message {
    ($rest:literal) => {
        concat!("SELECT id, due, bytes, head, body, takes, first_taken FROM message ", $rest)
    };
}

/// What there still is room for.
pub(super) struct Room {
    limit: usize,
    bytes: usize,
    is_empty: bool,
}

impl Room {
    fn of(limit: usize, bytes: usize) -> Self {
        Self { limit, bytes, is_empty: true }
    }

    pub(super) fn is_full(&self) -> bool {
        self.limit == 0
    }

    /// Whether a body fits; then the room is smaller. The first one fits however large it is.
    fn fits(&mut self, bytes: usize) -> bool {
        let fits = self.limit > 0 && (self.is_empty || bytes <= self.bytes);
        if fits {
            self.limit -= 1;
            self.bytes = self.bytes.saturating_sub(bytes);
            self.is_empty = false;
        }
        fits
    }
}

/// The next of these rows that is due by then and fits, or when it would be.
pub(super) fn next_due(
    connection: &Connection,
    rows: &mut Rows<'_>,
    until_ms: i64,
    room: &mut Room,
    skip: &HashSet<MessageId>,
) -> rusqlite::Result<Result<Message, Option<i64>>> {
    while let Some(row) = rows.next()? {
        let found = Found { due_ms: row.get(1)?, id: MessageId(row.get(0)?) };
        if skip.contains(&found.id) {
            continue;
        }
        if found.due_ms > until_ms || !room.fits(row.get(2)?) {
            return Ok(Err(Some(found.due_ms)));
        }
        return message_of(connection, row, found).map(Ok);
    }
    Ok(Err(None))
}

fn message_of(connection: &Connection, row: &Row<'_>, found: Found) -> rusqlite::Result<Message> {
    Ok(Message {
        found,
        head: Bytes::from(row.get::<_, Vec<u8>>(3)?),
        body: body(connection, found.id, row.get(4)?)?,
        group: None,
        takes: row.get(5)?,
        first_taken_ms: row.get(6)?,
    })
}

fn body(connection: &Connection, id: MessageId, small: Option<Vec<u8>>) -> rusqlite::Result<Bytes> {
    let body = match small {
        Some(body) => body,
        None => {
            connection.prepare_cached("SELECT body FROM large WHERE id = ?1")?.query_row([id.0], |row| row.get(0))?
        }
    };
    Ok(Bytes::from(body))
}

/// What is due and in no group.
fn due_apart(connection: &Connection, queue: QueueKey, look: &Look, room: &mut Room) -> rusqlite::Result<Due> {
    // The id is the last column of every index, so this is the index's own order.
    let mut select = connection
        .prepare_cached(message!("INDEXED BY message_due WHERE queue = ?1 AND grp IS NULL ORDER BY due, id"))?;
    let mut rows = select.query([queue.0])?;
    let mut due = Due::default();
    loop {
        match next_due(connection, &mut rows, look.until_ms, room, &look.skip)? {
            Ok(message) => due.messages.push(message),
            Err(next_ms) => {
                due.next_ms = next_ms;
                return Ok(due);
            }
        }
    }
}

/// What is due of a group in a row, beginning with its first.
pub(super) fn due_of_group(
    connection: &Connection,
    group: GroupKey,
    until_ms: i64,
    room: &mut Room,
) -> rusqlite::Result<Vec<Message>> {
    let mut select = connection.prepare_cached(message!("INDEXED BY message_of_group WHERE grp = ?1 ORDER BY id"))?;
    let mut rows = select.query([group.number()])?;
    let mut due = Vec::new();
    while let Ok(message) = next_due(connection, &mut rows, until_ms, room, &HashSet::new())? {
        due.push(message);
    }
    Ok(due)
}

/// Sets when it is due again, and counts it.
pub(super) fn mark_taken(connection: &Connection, message: &mut Message, take: &Take) -> rusqlite::Result<()> {
    message.found.due_ms = take.again_ms;
    message.takes = message.takes.saturating_add(1);
    message.first_taken_ms.get_or_insert(take.now_ms);
    connection
        .prepare_cached(
            "UPDATE message SET due = ?2, takes = takes + 1, first_taken = coalesce(first_taken, ?3) WHERE id = ?1",
        )?
        .execute(params![message.found.id.0, take.again_ms, take.now_ms])
        .map(drop)
}

/// When the first message in no group is due that is not left out; none where that is later than `now_ms`.
pub(super) fn first_apart(
    connection: &Connection,
    queue: QueueKey,
    now_ms: i64,
    skip: &HashSet<MessageId>,
) -> rusqlite::Result<Option<i64>> {
    let mut select = connection.prepare_cached(
        "SELECT id, due FROM message INDEXED BY message_due
         WHERE queue = ?1 AND grp IS NULL AND due <= ?2 ORDER BY due, id",
    )?;
    let mut rows = select.query(params![queue.0, now_ms])?;
    while let Some(row) = rows.next()? {
        if !skip.contains(&MessageId(row.get(0)?)) {
            return row.get(1).map(Some);
        }
    }
    Ok(None)
}

/// That message, where there is room for it.
pub(super) fn next_apart(
    connection: &Connection,
    queue: QueueKey,
    now_ms: i64,
    room: &mut Room,
    skip: &HashSet<MessageId>,
) -> rusqlite::Result<Option<Message>> {
    let mut select = connection
        .prepare_cached(message!("INDEXED BY message_due WHERE queue = ?1 AND grp IS NULL ORDER BY due, id"))?;
    Ok(next_due(connection, &mut select.query([queue.0])?, now_ms, room, skip)?.ok())
}

/// The first message of a fair group that is due and not taken, where there is room for it.
pub(super) fn next_in_fair_group(
    connection: &Connection,
    group: GroupKey,
    now_ms: i64,
    room: &mut Room,
) -> rusqlite::Result<Option<Message>> {
    let mut select = connection
        .prepare_cached(message!("INDEXED BY message_fair_waiting WHERE grp = ?1 AND held = 0 ORDER BY due, id"))?;
    Ok(next_due(connection, &mut select.query([group.number()])?, now_ms, room, &HashSet::new())?.ok())
}

/// When the first message of a queue is due, whatever its group.
pub(super) fn first_due(connection: &Connection, queue: QueueKey) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached(
            "SELECT min(due) FROM (
                 SELECT min(due) AS due FROM message INDEXED BY message_due WHERE queue = ?1 AND grp IS NULL
                 UNION ALL
                 SELECT min(due) FROM message INDEXED BY message_due_in_group WHERE queue = ?1 AND grp IS NOT NULL)",
        )?
        .query_row([queue.0], |row| row.get(0))
}

pub(super) fn take(connection: &Connection, queue: QueueKey, take: &Take) -> rusqlite::Result<Due> {
    let mut room = Room::of(take.limit, take.bytes);
    let look = Look {
        queue: String::new(),
        until_ms: take.now_ms,
        skip: HashSet::new(),
        limit: take.limit,
        bytes: take.bytes,
    };
    if fair::is_fair(connection, queue)? {
        return fair::take(connection, queue, take, &mut room);
    }
    let mut due = due_apart(connection, queue, &look, &mut room)?;
    due.messages.iter_mut().try_for_each(|message| mark_taken(connection, message, take))?;
    for (group, name) in groups::whose_turn_it_is(connection, queue, take)? {
        if room.is_full() {
            break;
        }
        let mut found = due_of_group(connection, group, take.now_ms, &mut room)?;
        if found.is_empty() {
            break;
        }
        found.iter_mut().try_for_each(|message| mark_taken(connection, message, take))?;
        groups::set_turn(connection, group)?;
        due.messages.extend(found.into_iter().map(|message| Message { group: Some(name.clone()), ..message }));
    }
    let next_turn_ms = groups::next_turn(connection, queue)?;
    due.next_ms = due.next_ms.into_iter().chain(next_turn_ms).min();
    Ok(due)
}

impl Tables {
    pub(super) fn due(&self, look: &Look) -> rusqlite::Result<Due> {
        match self.known(&look.queue) {
            Some(Known { key, .. }) => due_apart(self.connection(), key, look, &mut Room::of(look.limit, look.bytes)),
            None => Ok(Due::default()),
        }
    }

    pub(super) fn get(&self, queue: &str, id: MessageId) -> rusqlite::Result<Option<Message>> {
        let Some(Known { key, .. }) = self.known(queue) else { return Ok(None) };
        let connection = self.connection();
        let mut select = connection.prepare_cached(
            "SELECT message.id, due, bytes, head, body, takes, first_taken, name
             FROM message LEFT JOIN message_group ON message_group.id = grp WHERE message.id = ?1 AND message.queue = ?2",
        )?;
        let read = |row: &Row<'_>| {
            let message = message_of(connection, row, Found { due_ms: row.get(1)?, id })?;
            Ok(Message { group: row.get(7)?, ..message })
        };
        select.query_row(params![id.0, key.0], read).optional()
    }

    /// Looks at those that are due later only: what waits may be many.
    pub(super) fn count(&self, queue: &str, now_ms: i64) -> rusqlite::Result<Count> {
        let Some(Known { key, messages }) = self.known(queue) else { return Ok(Count::default()) };
        let (mut later, mut taken) = (0, 0);
        for select in [
            "SELECT count(*), coalesce(sum(takes > 0), 0) FROM message INDEXED BY message_due
             WHERE queue = ?1 AND due > ?2 AND grp IS NULL",
            "SELECT count(*), coalesce(sum(takes > 0), 0) FROM message INDEXED BY message_due_in_group
             WHERE queue = ?1 AND due > ?2 AND grp IS NOT NULL",
        ] {
            let of_kind: (u64, u64) = self
                .connection()
                .prepare_cached(select)?
                .query_row(params![key.0, now_ms], |row| Ok((row.get(0)?, row.get(1)?)))?;
            (later, taken) = (later + of_kind.0, taken + of_kind.1);
        }
        Ok(Count { due: messages.saturating_sub(later), later, taken })
    }

    pub(super) fn queues(&self, prefix: &str) -> rusqlite::Result<Vec<Depth>> {
        let depth = |(name, known): (&str, Known)| {
            let first_due_ms = first_due(self.connection(), known.key)?.unwrap_or_default();
            Ok(Depth { queue: name.to_owned(), messages: known.messages, first_due_ms })
        };
        self.known_with(prefix).into_iter().map(depth).collect()
    }

    /// Removes up to [`QUEUE_PURGE_STEP`] messages that are due by then, none newer than `up_to`, or than the newest now;
    /// gives how many it was, and what to go on with.
    pub(super) fn purge_some(
        &mut self,
        queue: &str,
        until_ms: i64,
        up_to: Option<MessageId>,
    ) -> rusqlite::Result<(u64, MessageId)> {
        let up_to = up_to.unwrap_or(self.last_id());
        let Some(Known { key, .. }) = self.known(queue) else { return Ok((0, up_to)) };
        let transaction = self.connection_mut().transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut ids: Vec<u64> = Vec::new();
        for select in [
            "SELECT id FROM message INDEXED BY message_due
             WHERE queue = ?1 AND due <= ?2 AND id <= ?3 AND grp IS NULL LIMIT ?4",
            "SELECT id FROM message INDEXED BY message_due_in_group
             WHERE queue = ?1 AND due <= ?2 AND id <= ?3 AND grp IS NOT NULL LIMIT ?4",
        ] {
            let mut select = transaction.prepare_cached(select)?;
            let room = QUEUE_PURGE_STEP.saturating_sub(ids.len());
            let found = select.query_map(params![key.0, until_ms, up_to.0, room], |row| row.get(0))?;
            ids.extend(found.collect::<rusqlite::Result<Vec<u64>>>()?);
        }
        let mut groups = HashSet::new();
        for id in &ids {
            groups.extend(delete(&transaction, MessageId(*id))?.and_then(|gone| gone.group));
        }
        for group in groups {
            groups::set_turn(&transaction, group)?;
        }
        transaction.commit()?;
        crash::point(Point::QueuePurging);
        let removed = ids.len() as i64;
        self.win(&HashMap::from([(key, -removed)]));
        Ok((removed.unsigned_abs(), up_to))
    }
}
