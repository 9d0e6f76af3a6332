//! Small packages, in rows beside the metadata. They are kept in memory until a commit comes, and written in its
//! transaction: so they share its flush, and what no commit came for leaves nothing behind.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hearth_types::CodeDigest;
use hearth_types::limits::SMALL_BLOBS_WAITING;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

/// By digest: the bytes of what is kept, none for what is to go.
pub(crate) type Changes = BTreeMap<CodeDigest, Option<Bytes>>;

/// What the next transaction brings with it. The one writer alone takes from it.
#[derive(Debug, Default)]
pub(crate) struct Waiting(Mutex<Changes>);

impl Waiting {
    /// Adds a change, the last one of a package counts; false where [`SMALL_BLOBS_WAITING`] others wait already.
    pub(crate) fn add(&self, digest: CodeDigest, change: Option<Bytes>) -> bool {
        let mut changes = self.lock();
        let has_room = changes.len() < SMALL_BLOBS_WAITING || changes.contains_key(&digest);
        if has_room {
            changes.insert(digest, change);
        }
        has_room
    }

    /// All of them: to be written now, or given back.
    pub(crate) fn take(&self) -> Changes {
        std::mem::take(&mut *self.lock())
    }

    /// Those that were not written. What came since is newer.
    pub(crate) fn give_back(&self, changes: Changes) {
        let mut now = self.lock();
        for (digest, change) in changes {
            now.entry(digest).or_insert(change);
        }
    }

    /// The package as the file has it, and what waits on top. For the writer, so that none is on its way meanwhile.
    pub(crate) fn get(&self, connection: &Connection, digest: &CodeDigest) -> rusqlite::Result<Option<Bytes>> {
        if let Some(change) = self.lock().get(digest) {
            return Ok(change.clone());
        }
        connection
            .prepare_cached("SELECT bytes FROM blob WHERE digest = ?1")?
            .query_row([digest.0], |row| row.get::<_, Vec<u8>>(0).map(Bytes::from))
            .optional()
    }

    /// Every package's digest, as [`Self::get`] would find it.
    pub(crate) fn list(&self, connection: &Connection) -> rusqlite::Result<BTreeSet<CodeDigest>> {
        let mut select = connection.prepare_cached("SELECT digest FROM blob")?;
        let mut all = select.query_map([], |row| row.get(0).map(CodeDigest))?.collect::<Result<BTreeSet<_>, _>>()?;
        for (digest, change) in &*self.lock() {
            match change {
                Some(_) => all.insert(*digest),
                None => all.remove(digest),
            };
        }
        Ok(all)
    }

    fn lock(&self) -> MutexGuard<'_, Changes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the changes a part of the transaction. One that is there already is not written again, unless it is damaged.
pub(crate) fn write(transaction: &Transaction<'_>, changes: &Changes) -> rusqlite::Result<()> {
    for (digest, change) in changes {
        match change {
            Some(bytes) => transaction
                .prepare_cached(
                    "INSERT INTO blob (digest, bytes) VALUES (?1, ?2)
                     ON CONFLICT (digest) DO UPDATE SET bytes = excluded.bytes WHERE bytes <> excluded.bytes",
                )?
                .execute(params![digest.0, bytes.as_ref()])?,
            None => transaction.prepare_cached("DELETE FROM blob WHERE digest = ?1")?.execute([digest.0])?,
        };
    }
    Ok(())
}
