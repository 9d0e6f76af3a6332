//! Opening the file: told apart from foreign, newer, damaged and busy ones before anything in it is changed.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use hearth_store::{Table, Versioned};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::checksum::Checksum;
use crate::log::has_lost_commits;
use crate::seal::{Failed, Sealed, Values};

/// What a file is to be.
pub(crate) struct Format {
    /// Marks the file as ours and of this kind.
    pub(crate) application_id: i32,
    /// Raised with each change of the tables.
    pub(crate) schema: i32,
    /// What makes the tables of a new file.
    pub(crate) tables: &'static str,
    /// What makes of each older file one of the next schema; the first is for those of schema 1.
    pub(crate) upgrades: &'static [&'static str],
    /// What people call it.
    pub(crate) what: &'static str,
    /// KiB of pages that are kept in memory.
    pub(crate) cache_kib: i32,
}

/// Reads come from memory of our own, so the page cache serves writes only. "Hrth".
const METADATA: Format = Format {
    application_id: 0x4872_7468,
    schema: 3,
    what: "metadata",
    cache_kib: 512,
    upgrades: &[
        "ALTER TABLE state ADD COLUMN sealed INTEGER NOT NULL DEFAULT 0",
        "CREATE TABLE blob (digest BLOB PRIMARY KEY, bytes BLOB NOT NULL) STRICT",
    ],
    tables: "
    CREATE TABLE entry (key TEXT PRIMARY KEY, version INTEGER NOT NULL, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE state (
        id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL, checksum BLOB NOT NULL,
        sealed INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    INSERT INTO state VALUES (1, 0, zeroblob(16), 2);
    CREATE TABLE blob (digest BLOB PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
",
};

/// Why a file was not opened. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("{} is in use by another process: stop that one first, or choose another --data-dir", .0.display())]
    InUse(PathBuf),
    /// Written by a newer version.
    #[error(
        "{} was written by a newer version of Hearth (its format is {found}, this version knows {known}): \
         use that version",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i32,
        /// The newest that this version reads.
        known: i32,
    },
    /// Some other database.
    #[error("{} is not a {what} file of Hearth: choose another --data-dir", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
    },
    /// Its content is not what was written.
    #[error("{} is damaged ({why}): restore the data folder from a backup, or move the file away to start empty", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        why: String,
    },
    /// Its content is what was written, and does not open.
    #[error(
        "{} was sealed with another key: put back the secret.key that belongs to it, or name it with --key-file",
        .0.display()
    )]
    OtherKey(PathBuf),
    /// Input or output failed.
    #[error("{} cannot be used: {cause}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: String,
    },
}

pub(crate) struct Opened {
    pub(crate) connection: Connection,
    pub(crate) table: Table,
    pub(crate) checksum: Checksum,
}

/// What the file holds, as values are used.
pub(crate) struct Loaded {
    pub(crate) entries: BTreeMap<String, Versioned>,
    version: u64,
    /// Of the values as the file has them.
    pub(crate) checksum: Checksum,
    pub(crate) values: Values,
}

pub(crate) fn open(path: &Path, sealed: &Sealed) -> Result<Opened, OpenError> {
    let mut connection = open_file(path, &METADATA)?;
    check_structure(path, &connection)?;
    let mut loaded = load(path, &connection, sealed)?;
    sealed.finish(&mut connection, &mut loaded).map_err(|cause| match cause {
        Failed::Engine(cause) => name_error(path, &cause),
        Failed::Unsealed(cause) => OpenError::Disk { path: path.to_owned(), cause },
    })?;
    keep_tidy(path, &connection)?;
    Ok(Opened { connection, table: Table::new(loaded.version, loaded.entries), checksum: loaded.checksum })
}

/// Opens a file of this format, or makes it, or makes it one of this format. Until [`keep_tidy`] nothing of a file that is
/// there has been changed but that.
pub(crate) fn open_file(path: &Path, format: &Format) -> Result<Connection, OpenError> {
    let named = |cause| name_error(path, &cause);
    let disk = |cause: io::Error| OpenError::Disk { path: path.to_owned(), cause: cause.to_string() };
    create_file(path).map_err(disk)?;
    let mut connection = connect(path, format).map_err(|cause| name_error_of(path, format, &cause))?;
    let state = identify(path, format, &connection)?;
    // After the first read, so that the lock is ours, and before the first write.
    if has_lost_commits(path).map_err(disk)? {
        let why = "its log has a changed byte ahead of acknowledged commits".to_owned();
        return Err(OpenError::Damaged { path: path.to_owned(), why });
    }
    use_log(path, &connection)?;
    match state {
        State::New => create_tables(&mut connection, format).map_err(named)?,
        State::Older(schema) => upgrade(&mut connection, format, schema).map_err(named)?,
        State::Current => {}
    }
    Ok(connection)
}

/// What is found at a file's place.
enum State {
    New,
    /// Ours, of this schema.
    Older(i32),
    Current,
}

/// From here on it is ours: the log is folded into the file, now and on closing. What a crash left behind its sound part
/// goes: behind later commits of the same log it would look like commits that were lost.
pub(crate) fn keep_tidy(path: &Path, connection: &Connection) -> Result<(), OpenError> {
    let folded = connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)
        .and_then(|_| connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
    folded.map_err(|cause| name_error(path, &cause))
}

/// Makes the file readable by its owner only: it holds functions' environment variables. SQLite gives its log the
/// same mode.
fn create_file(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder)?.sync_all()
        }
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(cause) => Err(cause),
    }
}

fn connect(path: &Path, format: &Format) -> rusqlite::Result<Connection> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(Duration::ZERO)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // Exclusive: held from the first read on, until the connection or the process ends.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    // KiB, as SQLite wants it negative.
    connection.pragma_update(None, "cache_size", -format.cache_kib)?;
    Ok(connection)
}

/// Tells ours and a new file from others.
fn identify(path: &Path, format: &Format, connection: &Connection) -> Result<State, OpenError> {
    let named = |cause| name_error_of(path, format, &cause);
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0)).map_err(named);
    let (application, schema) = (pragma("application_id")?, pragma("user_version")?);
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(named)?;
    match (application, schema) {
        (id, found) if id == format.application_id && found == format.schema => Ok(State::Current),
        (id, found) if id == format.application_id && (1..format.schema).contains(&found) => Ok(State::Older(found)),
        (id, found) if id == format.application_id && found > format.schema => {
            Err(OpenError::Newer { path: path.to_owned(), found, known: format.schema })
        }
        (0, 0) if tables == 0 => Ok(State::New),
        _ => Err(OpenError::Foreign { path: path.to_owned(), what: format.what }),
    }
}

fn use_log(path: &Path, connection: &Connection) -> Result<(), OpenError> {
    let mode = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0));
    match mode.map_err(|cause| name_error(path, &cause))?.as_str() {
        "wal" => Ok(()),
        mode => Err(OpenError::Disk { path: path.to_owned(), cause: format!("its journal mode stays {mode}") }),
    }
}

fn create_tables(connection: &mut Connection, format: &Format) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(format.tables)?;
    transaction.pragma_update(None, "application_id", format.application_id)?;
    transaction.pragma_update(None, "user_version", format.schema)?;
    transaction.commit()
}

/// All of it, or nothing.
fn upgrade(connection: &mut Connection, format: &Format, schema: i32) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    let known = usize::try_from(schema - 1).unwrap_or_default();
    for step in format.upgrades.iter().skip(known) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", format.schema)?;
    transaction.commit()
}

fn check_structure(path: &Path, connection: &Connection) -> Result<(), OpenError> {
    let verdict = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    match verdict.map_err(|cause| name_error(path, &cause))?.as_str() {
        "ok" => Ok(()),
        why => Err(OpenError::Damaged { path: path.to_owned(), why: why.to_owned() }),
    }
}

fn load(path: &Path, connection: &Connection, sealed: &Sealed) -> Result<Loaded, OpenError> {
    let named = |cause| name_error(path, &cause);
    let damaged = |why: &str| OpenError::Damaged { path: path.to_owned(), why: why.to_owned() };
    let (version, expected, values): (u64, Vec<u8>, Values) = connection
        .query_row("SELECT version, checksum, sealed FROM state WHERE id = 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .map_err(named)?;
    let mut entries = BTreeMap::new();
    let mut checksum = Checksum::default();
    let mut opens = true;
    let mut select = connection.prepare("SELECT key, version, value FROM entry").map_err(named)?;
    let mut rows = select.query([]).map_err(named)?;
    while let Some(row) = rows.next().map_err(named)? {
        let read = || -> rusqlite::Result<(String, u64, Vec<u8>)> { Ok((row.get(0)?, row.get(1)?, row.get(2)?)) };
        let (key, version, value) = read().map_err(named)?;
        checksum.toggle(&key, version, &value);
        let value = match values {
            Values::Open => Some(Bytes::from(value)),
            Values::SealedWithCopies | Values::Sealed => sealed.open(&key, version, &value),
        };
        opens &= value.is_some();
        entries.insert(key, Versioned { version, value: value.unwrap_or_default() });
    }
    if checksum.to_bytes().as_slice() != expected {
        return Err(damaged("its content does not have the checksum that was written with it"));
    }
    if entries.values().any(|entry| entry.version > version) {
        return Err(damaged("an entry is newer than the last commit"));
    }
    if !opens {
        return Err(OpenError::OtherKey(path.to_owned()));
    }
    Ok(Loaded { entries, version, checksum, values })
}

fn name_error_of(path: &Path, format: &Format, cause: &rusqlite::Error) -> OpenError {
    match cause.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => OpenError::Foreign { path: path.to_owned(), what: format.what },
        _ => name_error(path, cause),
    }
}

pub(crate) fn name_error(path: &Path, cause: &rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    match cause.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::InUse(path),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            OpenError::Damaged { path, why: cause.to_string() }
        }
        // A value of another type than the column's, or a row that is not there.
        None => OpenError::Damaged { path, why: cause.to_string() },
        Some(_) => OpenError::Disk { path, cause: cause.to_string() },
    }
}
