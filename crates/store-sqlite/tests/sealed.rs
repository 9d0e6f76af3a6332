//! What the file shows of the values in it: nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test's helpers fail by panicking")]

mod sealing;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hearth_store::{MetadataStore, Precondition, Write};
use hearth_store_sqlite::{OpenError, SqliteStore};
use sealing::{TestSeal, seal};
use sha2::{Digest as _, Sha256};

const SECRET: &[u8] = b"a variable that nobody is to read";

fn database() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meta.db");
    (folder, path)
}

/// How often the secret is in the file and its log.
fn shown(path: &Path) -> usize {
    let files = [path.to_owned(), path.with_extension("db-wal")];
    let contents = files.iter().filter_map(|file| fs::read(file).ok());
    contents.map(|bytes| bytes.windows(SECRET.len()).filter(|window| *window == SECRET).count()).sum()
}

async fn value(store: &SqliteStore, key: &str) -> Vec<u8> {
    store.get(key).await.unwrap().unwrap().value.to_vec()
}

#[tokio::test]
async fn values_are_not_in_the_file_nor_in_its_log() {
    let (_folder, path) = database();
    let store = SqliteStore::open(&path, seal()).unwrap();
    store.commit(vec![Write::put("a", SECRET, Precondition::Any)]).await.unwrap();
    assert_eq!(shown(&path), 0, "in the log");
    drop(store);
    assert_eq!(shown(&path), 0, "in the file");
    assert_eq!(value(&SqliteStore::open(&path, seal()).unwrap(), "a").await, SECRET);
}

#[tokio::test]
async fn another_key_is_refused_and_the_file_left_alone() {
    let (_folder, path) = database();
    let store = SqliteStore::open(&path, seal()).unwrap();
    store.commit(vec![Write::put("a", SECRET, Precondition::Any)]).await.unwrap();
    drop(store);
    let before = fs::read(&path).unwrap();
    let refusal = SqliteStore::open(&path, Arc::new(TestSeal(2))).expect_err("the key is another one");
    assert!(matches!(&refusal, OpenError::OtherKey(named) if *named == path), "{refusal}");
    assert!(fs::read(&path).unwrap() == before);
}

#[tokio::test]
async fn what_an_earlier_version_wrote_open_is_sealed_without_a_copy() {
    let (_folder, path) = database();
    // The first format, with something deleted whose page is free now.
    let old = rusqlite::Connection::open(&path).unwrap();
    old.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA application_id = 0x48727468; PRAGMA user_version = 1;
         CREATE TABLE entry (key TEXT PRIMARY KEY, version INTEGER NOT NULL, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
         CREATE TABLE state (id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL, checksum BLOB NOT NULL) STRICT;",
    )
    .unwrap();
    let mut checksum = 0;
    for n in 0..40 {
        let (key, long) = (format!("k{n}"), SECRET.repeat(200));
        old.execute("INSERT INTO entry VALUES (?1, 1, ?2)", (&key, &long)).unwrap();
        if n % 2 == 0 {
            old.execute("DELETE FROM entry WHERE key = ?1", [&key]).unwrap();
            continue;
        }
        let digest = Sha256::new().chain_update((key.len() as u64).to_le_bytes()).chain_update(&key);
        let digest: [u8; 32] = digest.chain_update(1_u64.to_le_bytes()).chain_update(&long).finalize().into();
        checksum ^= u128::from_le_bytes(*digest.first_chunk().unwrap());
    }
    old.execute("INSERT INTO state VALUES (1, 1, ?1)", [checksum.to_le_bytes()]).unwrap();
    drop(old);
    assert!(shown(&path) > 20 * 200, "also in free pages");

    let store = SqliteStore::open(&path, seal()).unwrap();
    assert_eq!(shown(&path), 0);
    assert_eq!(store.list("", None, 99).await.unwrap().len(), 20);
    drop(store);
    let store = SqliteStore::open(&path, seal()).unwrap();
    assert_eq!(value(&store, "k1").await, SECRET.repeat(200));
}
