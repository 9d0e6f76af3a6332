//! Small packages beside the metadata: on stable storage with a commit, and in no way without one.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test's helpers fail by panicking")]

mod sealing;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use hearth_store::{BlobError, BlobStore, CommitError, MetadataStore, Precondition, Write};
use hearth_store_sqlite::{FileBlobStore, Seal, SqliteBlobStore, SqliteStore};
use hearth_types::CodeDigest;
use hearth_types::limits::{SMALL_BLOB_BYTES, SMALL_BLOBS_WAITING};
use sealing::{TestSeal, seal};
use tempfile::TempDir;

/// A data folder with the two stores.
struct House {
    folder: TempDir,
    store: SqliteStore,
    blobs: SqliteBlobStore,
}

impl House {
    fn new() -> Self {
        Self::over(tempfile::tempdir().unwrap(), seal())
    }

    fn over(folder: TempDir, seal: Arc<dyn Seal>) -> Self {
        let store = SqliteStore::open(&folder.path().join("meta.db"), seal).unwrap();
        let blobs = store.blobs(FileBlobStore::open(&folder.path().join("blobs")).unwrap());
        Self { folder, store, blobs }
    }

    fn closed(self) -> TempDir {
        self.folder
    }

    fn reopened(self) -> Self {
        Self::over(self.closed(), seal())
    }

    async fn commit(&self, key: &str) -> Result<u64, CommitError> {
        self.store.commit(vec![Write::put(key, "value", Precondition::Any)]).await
    }

    async fn put(&self, bytes: &Bytes) -> CodeDigest {
        let digest = CodeDigest::of(bytes);
        self.blobs.put(&digest, bytes.clone()).await.unwrap();
        digest
    }

    async fn list(&self) -> Vec<CodeDigest> {
        self.blobs.list().await.unwrap()
    }

    /// What a kill at this moment leaves.
    fn killed(&self) -> Self {
        let to = tempfile::tempdir().unwrap();
        for name in ["meta.db", "meta.db-wal"] {
            fs::copy(self.folder.path().join(name), to.path().join(name)).unwrap();
        }
        Self::over(to, seal())
    }

    fn files(&self) -> usize {
        fs::read_dir(self.folder.path().join("blobs")).unwrap().count()
    }
}

fn small(n: usize) -> Bytes {
    Bytes::from(format!("package {n}"))
}

#[tokio::test]
async fn a_package_comes_to_the_disk_with_the_next_commit_and_leaves_nothing_without_one() {
    let house = House::new();
    let digest = house.put(&small(1)).await;
    assert_eq!(house.list().await, [digest], "it is found at once");
    assert_eq!(house.killed().list().await, []);

    house.commit("function/1").await.unwrap();
    let killed = house.killed();
    assert_eq!(killed.list().await, [digest]);
    assert_eq!(killed.blobs.get(&digest).await.unwrap(), Some(small(1)));
    assert_eq!(house.files(), 0, "no file of its own");
}

#[tokio::test]
async fn a_removal_comes_to_the_disk_with_the_next_commit() {
    let house = House::new();
    let digest = house.put(&small(1)).await;
    house.commit("function/1").await.unwrap();
    house.blobs.delete(&digest).await.unwrap();
    assert_eq!((house.list().await, house.blobs.get(&digest).await.unwrap()), (vec![], None));
    house.commit("function/2").await.unwrap();
    assert_eq!(house.killed().list().await, []);

    // The last one counts.
    house.put(&small(1)).await;
    house.blobs.delete(&digest).await.unwrap();
    house.put(&small(1)).await;
    house.commit("function/3").await.unwrap();
    assert_eq!(house.killed().blobs.get(&digest).await.unwrap(), Some(small(1)));
}

#[tokio::test]
async fn a_clean_end_writes_what_waits() {
    let house = House::new();
    let digest = house.put(&small(1)).await;
    let house = house.reopened();
    assert_eq!(house.blobs.get(&digest).await.unwrap(), Some(small(1)));
    house.blobs.delete(&digest).await.unwrap();
    assert_eq!(house.reopened().list().await, []);
}

#[tokio::test]
async fn those_that_are_not_small_are_files() {
    let house = House::new();
    let (largest, larger) = (Bytes::from(vec![1; SMALL_BLOB_BYTES]), Bytes::from(vec![1; SMALL_BLOB_BYTES + 1]));
    let first = house.put(&largest).await;
    assert_eq!(house.files(), 0);
    let second = house.put(&larger).await;
    assert_eq!(house.files(), 1);
    let house = house.reopened();
    let mut both = [first, second];
    both.sort();
    assert_eq!(house.list().await, both);
    assert_eq!(house.blobs.get(&first).await.unwrap(), Some(largest));
    assert_eq!(house.blobs.get(&second).await.unwrap(), Some(larger));
}

#[tokio::test]
async fn small_files_of_an_earlier_version_are_read_and_removed() {
    let house = House::new();
    let files = FileBlobStore::open(&house.folder.path().join("blobs")).unwrap();
    let digest = CodeDigest::of(&small(1));
    files.put(&digest, small(1)).await.unwrap();
    assert_eq!(house.list().await, [digest]);
    assert_eq!(house.blobs.get(&digest).await.unwrap(), Some(small(1)));
    house.put(&small(1)).await;
    assert_eq!(house.list().await, [digest], "in both places, and one package");
    house.blobs.delete(&digest).await.unwrap();
    assert_eq!((house.list().await, house.files()), (vec![], 0));
}

#[tokio::test]
async fn a_file_of_the_format_before_has_room_for_packages_afterwards() {
    let house = House::new();
    house.commit("function/1").await.unwrap();
    let folder = house.closed();
    let old = rusqlite::Connection::open(folder.path().join("meta.db")).unwrap();
    old.execute_batch("DROP TABLE blob; PRAGMA user_version = 2").unwrap();
    drop(old);
    let house = House::over(folder, seal());
    let digest = house.put(&small(1)).await;
    house.commit("function/2").await.unwrap();
    let house = house.reopened();
    assert_eq!((house.list().await, house.store.list("", None, 9).await.unwrap().len()), (vec![digest], 2));
}

#[tokio::test]
async fn damage_is_named_and_mended() {
    let house = House::new();
    let digest = house.put(&small(1)).await;
    let folder = house.closed();
    let open = rusqlite::Connection::open(folder.path().join("meta.db")).unwrap();
    assert_eq!(open.execute("UPDATE blob SET bytes = x'00'", []).unwrap(), 1);
    drop(open);
    let house = House::over(folder, seal());
    let found = house.blobs.get(&digest).await;
    assert!(matches!(found, Err(BlobError::Damaged(named)) if named == digest), "{found:?}");
    house.put(&small(1)).await;
    assert_eq!(house.reopened().blobs.get(&digest).await.unwrap(), Some(small(1)));
}

#[tokio::test]
async fn what_waits_is_bounded() {
    let house = House::new();
    for n in 0..=SMALL_BLOBS_WAITING {
        house.put(&small(n)).await;
    }
    assert_eq!(house.list().await.len(), SMALL_BLOBS_WAITING + 1);
    assert_eq!(house.killed().list().await.len(), SMALL_BLOBS_WAITING, "all but the last had to be written");
    for digest in house.list().await {
        house.blobs.delete(&digest).await.unwrap();
    }
    assert_eq!(house.list().await, []);
    assert_eq!(house.killed().list().await.len(), 1, "all but the last of the removals");
}

/// Cannot seal while it is told so.
#[derive(Debug, Default)]
struct Fails(AtomicBool);

impl Seal for Fails {
    fn seal(&self, bound: &[u8], value: &[u8]) -> Result<Vec<u8>, String> {
        if self.0.load(Ordering::Relaxed) { Err("no random bytes".into()) } else { TestSeal(1).seal(bound, value) }
    }

    fn open(&self, bound: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        TestSeal(1).open(bound, sealed)
    }
}

/// Another client's commit takes a package along and fails; the commit that names it comes after that.
#[tokio::test]
async fn a_commit_that_fails_takes_no_package_with_it() {
    let seal = Arc::<Fails>::default();
    let house = House::over(tempfile::tempdir().unwrap(), Arc::clone(&seal) as _);
    let (kept, removed) = (house.put(&small(1)).await, house.put(&small(2)).await);
    house.commit("function/1").await.unwrap();
    house.blobs.delete(&removed).await.unwrap();
    let later = house.put(&small(3)).await;
    seal.0.store(true, Ordering::Relaxed);
    assert!(matches!(house.commit("other").await, Err(CommitError::Unavailable(_))));
    seal.0.store(false, Ordering::Relaxed);
    house.commit("function/2").await.unwrap();
    let mut expected = [kept, later];
    expected.sort();
    assert_eq!(house.killed().list().await, expected);
}
