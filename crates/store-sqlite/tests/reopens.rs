//! What is there after a restart, and which files are refused.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test's helpers fail by panicking")]

mod sealing;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use hearth_store::{BlobError, BlobStore, CommitError, MetadataStore, Precondition, Versioned, Write};
use hearth_store_sqlite::{FileBlobStore, OpenError, SqliteStore};
use hearth_types::CodeDigest;
use sealing::seal;
use tempfile::TempDir;

fn database() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meta.db");
    (folder, path)
}

async fn put(store: &SqliteStore, key: &str, value: impl Into<Bytes>) -> u64 {
    store.commit(vec![Write::put(key, value, Precondition::Any)]).await.unwrap()
}

/// A file with entries, one of them long, folded from the log into the file.
async fn filled(path: &Path) {
    let store = SqliteStore::open(path, seal()).unwrap();
    for n in 0..300 {
        put(&store, &format!("function/{n}"), format!("value {n}")).await;
    }
    put(&store, "long", vec![b'v'; 50_000]).await;
}

fn refusal(path: &Path) -> OpenError {
    SqliteStore::open(path, seal()).expect_err("this file must be refused")
}

#[tokio::test]
async fn content_and_versions_survive() {
    let (_folder, path) = database();
    let store = SqliteStore::open(&path, seal()).unwrap();
    let kept = put(&store, "a", "1").await;
    put(&store, "b", "2").await;
    let last = store.commit(vec![Write::delete("b", Precondition::Any)]).await.unwrap();
    drop(store);

    let store = SqliteStore::open(&path, seal()).unwrap();
    assert_eq!(store.version().await.unwrap(), last, "the last commit was a removal and still counts");
    let all = store.list("", None, 9).await.unwrap();
    assert_eq!(all, [("a".into(), Versioned { version: kept, value: "1".into() })]);
    assert!(put(&store, "a", "2").await > last);
    let stale = store.commit(vec![Write::delete("a", Precondition::Version(kept))]).await;
    assert_eq!(stale, Err(CommitError::Conflict { key: "a".into() }));
}

#[tokio::test]
async fn only_its_owner_may_read_it() {
    let (folder, path) = database();
    let store = SqliteStore::open(&path, seal()).unwrap();
    put(&store, "secret", "1").await;
    let mut files = 0;
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
        files += 1;
    }
    assert_eq!(files, 2, "the file and its log");
}

#[tokio::test]
async fn a_second_opener_is_refused_until_the_first_is_gone() {
    let (_folder, path) = database();
    let store = SqliteStore::open(&path, seal()).unwrap();
    put(&store, "a", "1").await;
    assert!(matches!(refusal(&path), OpenError::InUse(named) if named == path));
    put(&store, "b", "2").await;
    drop(store);
    let store = SqliteStore::open(&path, seal()).unwrap();
    assert_eq!(store.list("", None, 9).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_newer_format_is_refused_and_left_alone() {
    let (_folder, path) = database();
    filled(&path).await;
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let before = fs::read(&path).unwrap();
    assert!(matches!(refusal(&path), OpenError::Newer { found: 99, .. }));
    assert!(fs::read(&path).unwrap() == before);
}

#[tokio::test]
async fn other_files_are_refused_and_left_alone() {
    let (folder, path) = database();
    let text = folder.path().join("text");
    fs::write(&text, "not a database, and longer than the header of one; ".repeat(50)).unwrap();
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (a)").unwrap();
    for path in [&text, &path] {
        let before = fs::read(path).unwrap();
        assert!(matches!(refusal(path), OpenError::Foreign { path: named, .. } if named == *path));
        assert!(fs::read(path).unwrap() == before);
    }
    let nowhere = folder.path().join("absent/meta.db");
    assert!(matches!(refusal(&nowhere), OpenError::Disk { .. }));
}

#[tokio::test]
async fn a_changed_byte_anywhere_is_noticed() {
    let (_folder, path) = database();
    filled(&path).await;
    let good = fs::read(&path).unwrap();
    let expected = contents(&path).await;
    let mut noticed = 0;
    // A prime step, so that headers, keys, versions, values and free space all get their turn.
    for position in (0..good.len()).step_by(499) {
        let mut bad = good.clone();
        bad[position] ^= 0x10;
        fs::write(&path, &bad).unwrap();
        match SqliteStore::open(&path, seal()) {
            Err(_) => noticed += 1,
            Ok(store) => {
                // Free space, or a header field that says nothing about the content.
                assert_eq!(store.list("", None, usize::MAX).await.unwrap(), expected, "byte {position}");
            }
        }
        remove_log(&path);
    }
    assert!(noticed > 100, "{noticed}");

    let value = good.windows(50).position(|window| window == [b'v' ^ 0xff; 50]).unwrap();
    let mut bad = good.clone();
    bad[value] = b'w';
    fs::write(&path, &bad).unwrap();
    assert!(matches!(refusal(&path), OpenError::Damaged { .. }));
    fs::write(&path, &good[..good.len() / 2]).unwrap();
    assert!(matches!(refusal(&path), OpenError::Damaged { .. }));
}

#[tokio::test]
async fn a_changed_byte_in_the_log_loses_nothing_but_a_last_commit() {
    let (folder, path) = database();
    let store = SqliteStore::open(&path, seal()).unwrap();
    for n in 0..30 {
        put(&store, &format!("k{n:02}"), vec![b'v'; 100 * n]).await;
    }
    // As a killed process would leave them.
    let copy = folder.path().join("copy.db");
    let (main, log) = (fs::read(&path).unwrap(), fs::read(path.with_extension("db-wal")).unwrap());
    let expected = store.list("", None, usize::MAX).await.unwrap();
    let without_last = &expected[..29];
    let mut outcomes = [0; 3];
    for position in (0..log.len()).step_by(log.len() / 400) {
        let mut bad = log.clone();
        bad[position] ^= 4;
        fs::write(&copy, &main).unwrap();
        fs::write(copy.with_extension("db-wal"), &bad).unwrap();
        match SqliteStore::open(&copy, seal()) {
            Err(OpenError::Damaged { .. }) => outcomes[0] += 1,
            Err(other) => panic!("byte {position}: {other}"),
            Ok(store) => {
                let found = store.list("", None, usize::MAX).await.unwrap();
                // The same, or as after a crash in the middle of the last commit: no reader can tell.
                outcomes[if found == expected { 1 } else { 2 }] += 1;
                assert!(found == expected || found == without_last, "byte {position}");
            }
        }
    }
    assert!(outcomes[0] > 300 && outcomes[2] > 0, "{outcomes:?}");
    fs::write(&copy, &main).unwrap();
    fs::write(copy.with_extension("db-wal"), &log).unwrap();
    assert_eq!(contents(&copy).await, expected);
    // A torn end: the last commit is there or not, the others are.
    for length in (log.len() - 9000..log.len()).step_by(700) {
        fs::write(&copy, &main).unwrap();
        fs::write(copy.with_extension("db-wal"), &log[..length]).unwrap();
        assert!(contents(&copy).await.starts_with(&expected[..28]), "{length} bytes");
    }
}

/// What a power failure leaves of the log: the last transaction without its first frame.
fn tear_last(path: &Path, before: u64) {
    let log = path.with_extension("db-wal");
    let mut bytes = fs::read(&log).unwrap();
    let first = usize::try_from(before).unwrap();
    assert!(bytes.len() > first + 9000, "the last transaction has several frames");
    bytes[first..first + 4096].fill(0);
    fs::write(&log, bytes).unwrap();
}

/// Twice in a row a transaction that nobody was told of comes to the disk in part. What is left of the first one lies
/// behind the second: it must not be taken for commits that were acknowledged.
#[tokio::test]
async fn what_two_power_failures_leave_is_not_taken_for_damage() {
    let (folder, path) = database();
    let copy = folder.path().join("copy.db");
    let take = |from: &Path, to: &Path| {
        for extension in ["db", "db-wal"] {
            fs::copy(from.with_extension(extension), to.with_extension(extension)).unwrap();
        }
    };
    let length = |path: &Path| fs::metadata(path.with_extension("db-wal")).unwrap().len();
    let store = SqliteStore::open(&path, seal()).unwrap();
    put(&store, "kept", "1").await;
    let before = length(&path);
    put(&store, "first", vec![1; 100_000]).await;
    take(&path, &copy);
    tear_last(&copy, before);

    let second = folder.path().join("second.db");
    let store = SqliteStore::open(&copy, seal()).unwrap();
    put(&store, "kept too", "1").await;
    let log = fs::read(copy.with_extension("db-wal")).unwrap();
    put(&store, "second", vec![2; 20_000]).await;
    take(&copy, &second);
    // It begins where the log is another one than before.
    let now = fs::read(second.with_extension("db-wal")).unwrap();
    let begins = log.iter().zip(&now).position(|(old, new)| old != new).unwrap_or(log.len());
    tear_last(&second, u64::try_from(begins).unwrap());

    let found = contents(&second).await;
    let keys: Vec<&str> = found.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["kept", "kept too"]);
}

async fn contents(path: &Path) -> Vec<(String, Versioned)> {
    SqliteStore::open(path, seal()).unwrap().list("", None, usize::MAX).await.unwrap()
}

fn remove_log(path: &Path) {
    let _ = fs::remove_file(path.with_extension("db-wal"));
}

#[tokio::test]
async fn blobs_survive_and_damage_is_named_and_mended() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = Bytes::from(vec![5; 100_000]);
    let digest = CodeDigest::of(&bytes);
    let path = folder.path().join(digest.to_string());
    FileBlobStore::open(folder.path()).unwrap().put(&digest, bytes.clone()).await.unwrap();
    fs::write(folder.path().join(".unfinished-7"), "half").unwrap();
    fs::write(folder.path().join("README"), "not ours").unwrap();

    let store = FileBlobStore::open(folder.path()).unwrap();
    assert!(!folder.path().join(".unfinished-7").exists());
    assert_eq!(store.list().await.unwrap(), [digest]);
    store.put(&digest, bytes.clone()).await.expect("putting again is no error");

    let mut damaged = bytes.to_vec();
    damaged[50_000] ^= 1;
    fs::write(&path, damaged).unwrap();
    assert!(matches!(store.get(&digest).await, Err(BlobError::Damaged(named)) if named == digest));
    store.put(&digest, bytes.clone()).await.unwrap();
    assert_eq!(store.get(&digest).await.unwrap(), Some(bytes));
}
