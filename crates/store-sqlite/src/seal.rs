//! Values at rest are sealed: whoever reads the file, or a copy of it, reads names and sizes, and nothing of what
//! functions keep in their variables.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use hearth_store::Versioned;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, params};

use crate::checksum::Checksum;
use crate::open::Loaded;

/// Seals values, and opens them again.
pub trait Seal: fmt::Debug + Send + Sync {
    /// The value as the file is to hold it. `bound` is not hidden; what was sealed opens with the same one only.
    ///
    /// # Errors
    /// When there are no random bytes; nothing is written then.
    fn seal(&self, bound: &[u8], value: &[u8]) -> Result<Vec<u8>, String>;

    /// The value; none where it was sealed with another key, or bound to something else.
    fn open(&self, bound: &[u8], sealed: &[u8]) -> Option<Vec<u8>>;
}

/// Seals a metadata file's values, each for its key and its version: exchanged among each other they do not open.
#[derive(Clone, Debug)]
pub(crate) struct Sealed(pub(crate) Arc<dyn Seal>);

impl Sealed {
    pub(crate) fn seal(&self, key: &str, version: u64, value: &[u8]) -> Result<Vec<u8>, String> {
        self.0.seal(&bound(key, version), value)
    }

    pub(crate) fn open(&self, key: &str, version: u64, sealed: &[u8]) -> Option<Bytes> {
        self.0.open(&bound(key, version), sealed).map(Bytes::from)
    }

    /// Seals what an earlier version of Hearth wrote open, all of it or nothing, and then leaves no open copy in the file.
    pub(crate) fn finish(&self, connection: &mut Connection, loaded: &mut Loaded) -> Result<(), Failed> {
        if loaded.values == Values::Open {
            loaded.checksum = self.seal_all(connection, &loaded.entries)?;
        }
        if loaded.values != Values::Sealed {
            // What was replaced or deleted still lies in pages that are free, whole or in part.
            connection.execute_batch("VACUUM")?;
            checkpoint(connection)?;
            connection.execute("UPDATE state SET sealed = ?1", [Values::Sealed])?;
        }
        Ok(())
    }

    fn seal_all(&self, connection: &mut Connection, entries: &BTreeMap<String, Versioned>) -> Result<Checksum, Failed> {
        let transaction = connection.transaction()?;
        let mut checksum = Checksum::default();
        for (key, Versioned { version, value }) in entries {
            let sealed = self.seal(key, *version, value).map_err(Failed::Unsealed)?;
            checksum.toggle(key, *version, &sealed);
            transaction.prepare_cached("UPDATE entry SET value = ?2 WHERE key = ?1")?.execute(params![key, sealed])?;
        }
        let state = params![checksum.to_bytes(), Values::SealedWithCopies];
        transaction.execute("UPDATE state SET checksum = ?1, sealed = ?2", state)?;
        transaction.commit()?;
        Ok(checksum)
    }
}

/// Folds the log into the file, and empties it.
fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// How the values of a file are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Values {
    /// As the first format had them.
    Open,
    /// Sealed, but what was there before may still lie in free pages.
    SealedWithCopies,
    Sealed,
}

impl ToSql for Values {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(match self {
            Self::Open => 0,
            Self::SealedWithCopies => 1,
            Self::Sealed => 2,
        }))
    }
}

impl FromSql for Values {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_i64()? {
            0 => Ok(Self::Open),
            1 => Ok(Self::SealedWithCopies),
            2 => Ok(Self::Sealed),
            other => Err(FromSqlError::OutOfRange(other)),
        }
    }
}

fn bound(key: &str, version: u64) -> Vec<u8> {
    [&version.to_le_bytes()[..], key.as_bytes()].concat()
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    #[error("a value cannot be sealed: {0}")]
    Unsealed(String),
    #[error(transparent)]
    Engine(#[from] rusqlite::Error),
}
