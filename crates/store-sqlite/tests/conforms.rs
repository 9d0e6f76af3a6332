//! The suite that every engine passes, on the embedded ones.

mod sealing;

use std::cell::Cell;
use std::sync::Arc;

use hearth_store::{conformance, queue_conformance};
use hearth_store_sqlite::{FileBlobStore, SqliteQueueStore, SqliteStore};
use sealing::seal;

#[tokio::test]
async fn metadata() {
    let folder = tempfile::tempdir().unwrap();
    let made = Cell::new(0);
    conformance::metadata_store(|| {
        made.set(made.get() + 1);
        Arc::new(SqliteStore::open(&folder.path().join(format!("{}.db", made.get())), seal()).unwrap())
    })
    .await;
}

#[tokio::test]
async fn blobs() {
    let folder = tempfile::tempdir().unwrap();
    conformance::blob_store(|| Arc::new(FileBlobStore::open(folder.path()).unwrap())).await;
}

#[tokio::test]
async fn blobs_beside_metadata() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("meta.db"), seal()).unwrap();
    let files = FileBlobStore::open(&folder.path().join("blobs")).unwrap();
    conformance::blob_store(|| Arc::new(store.blobs(files.clone()))).await;
}

#[tokio::test]
async fn queues() {
    let folder = tempfile::tempdir().unwrap();
    let made = Cell::new(0);
    queue_conformance::queue_store(|| {
        made.set(made.get() + 1);
        Arc::new(SqliteQueueStore::open(&folder.path().join(format!("{}.db", made.get()))).unwrap())
    })
    .await;
}
