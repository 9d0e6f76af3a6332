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

/// "Hrth": marks the file as ours.
const APPLICATION_ID: i32 = 0x4872_7468;
/// Raised with each change of the tables.
const SCHEMA: i32 = 1;

const TABLES: &str = "
    CREATE TABLE entry (key TEXT PRIMARY KEY, version INTEGER NOT NULL, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE state (id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL, checksum BLOB NOT NULL) STRICT;
";

/// Why the metadata file was not opened. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("{} is in use by another process: stop that one first, or choose another --data-dir", .0.display())]
    InUse(PathBuf),
    /// Written by a newer version.
    #[error(
        "{} was written by a newer version of Hearth (its format is {found}, this version knows {SCHEMA}): \
         use that version",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i32,
    },
    /// Some other database.
    #[error("{} is not a metadata file of Hearth: choose another --data-dir", .0.display())]
    Foreign(PathBuf),
    /// Its content is not what was written.
    #[error("{} is damaged ({why}): restore the data folder from a backup, or move the file away to start empty", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        why: String,
    },
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

pub(crate) fn open(path: &Path) -> Result<Opened, OpenError> {
    let named = |cause| name_error(path, &cause);
    let disk = |cause: io::Error| OpenError::Disk { path: path.to_owned(), cause: cause.to_string() };
    create_file(path).map_err(disk)?;
    let mut connection = connect(path).map_err(named)?;
    let is_new = identify(path, &connection)?;
    // After the first read, so that the lock is ours, and before the first write.
    if has_lost_commits(path).map_err(disk)? {
        let why = "its log has a changed byte ahead of acknowledged commits".to_owned();
        return Err(OpenError::Damaged { path: path.to_owned(), why });
    }
    use_log(path, &connection)?;
    if is_new {
        create_tables(&mut connection).map_err(named)?;
    }
    check_structure(path, &connection)?;
    let (table, checksum) = load(path, &connection)?;
    // From here on it is ours: on closing, the log may be folded into the file.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map_err(named)?;
    Ok(Opened { connection, table, checksum })
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

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(Duration::ZERO)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // Exclusive: held from the first read on, until the connection or the process ends.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    // KiB, as SQLite wants it negative: reads come from memory of our own, so the page cache serves writes only.
    connection.pragma_update(None, "cache_size", -512)?;
    Ok(connection)
}

/// Tells ours (false) and a new file (true) from others.
fn identify(path: &Path, connection: &Connection) -> Result<bool, OpenError> {
    let named = |cause| name_error(path, &cause);
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0)).map_err(named);
    let (application, schema) = (pragma("application_id")?, pragma("user_version")?);
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(named)?;
    match (application, schema) {
        (APPLICATION_ID, SCHEMA) => Ok(false),
        (APPLICATION_ID, newer) if newer > SCHEMA => Err(OpenError::Newer { path: path.to_owned(), found: newer }),
        (0, 0) if tables == 0 => Ok(true),
        _ => Err(OpenError::Foreign(path.to_owned())),
    }
}

fn use_log(path: &Path, connection: &Connection) -> Result<(), OpenError> {
    let mode = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0));
    match mode.map_err(|cause| name_error(path, &cause))?.as_str() {
        "wal" => Ok(()),
        mode => Err(OpenError::Disk { path: path.to_owned(), cause: format!("its journal mode stays {mode}") }),
    }
}

fn create_tables(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(TABLES)?;
    transaction.execute("INSERT INTO state VALUES (1, 0, ?1)", [Checksum::default().to_bytes()])?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", SCHEMA)?;
    transaction.commit()
}

fn check_structure(path: &Path, connection: &Connection) -> Result<(), OpenError> {
    let verdict = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    match verdict.map_err(|cause| name_error(path, &cause))?.as_str() {
        "ok" => Ok(()),
        why => Err(OpenError::Damaged { path: path.to_owned(), why: why.to_owned() }),
    }
}

fn load(path: &Path, connection: &Connection) -> Result<(Table, Checksum), OpenError> {
    let named = |cause| name_error(path, &cause);
    let damaged = |why: &str| OpenError::Damaged { path: path.to_owned(), why: why.to_owned() };
    let (version, expected): (u64, Vec<u8>) = connection
        .query_row("SELECT version, checksum FROM state WHERE id = 1", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(named)?;
    let mut entries = BTreeMap::new();
    let mut checksum = Checksum::default();
    let mut select = connection.prepare("SELECT key, version, value FROM entry").map_err(named)?;
    let mut rows = select.query([]).map_err(named)?;
    while let Some(row) = rows.next().map_err(named)? {
        let read = || -> rusqlite::Result<(String, u64, Vec<u8>)> { Ok((row.get(0)?, row.get(1)?, row.get(2)?)) };
        let (key, version, value) = read().map_err(named)?;
        checksum.toggle(&key, version, &value);
        entries.insert(key, Versioned { version, value: Bytes::from(value) });
    }
    if checksum.to_bytes().as_slice() != expected {
        return Err(damaged("its content does not have the checksum that was written with it"));
    }
    if entries.values().any(|entry| entry.version > version) {
        return Err(damaged("an entry is newer than the last commit"));
    }
    Ok((Table::new(version, entries), checksum))
}

fn name_error(path: &Path, cause: &rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    match cause.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::InUse(path),
        Some(ErrorCode::NotADatabase) => OpenError::Foreign(path),
        Some(ErrorCode::DatabaseCorrupt) => OpenError::Damaged { path, why: cause.to_string() },
        // A value of another type than the column's, or a row that is not there.
        None => OpenError::Damaged { path, why: cause.to_string() },
        Some(_) => OpenError::Disk { path, cause: cause.to_string() },
    }
}
