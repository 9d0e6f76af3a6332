//! A process that commits is killed at a random moment, many times over one file: every commit that it was told is
//! done is there afterwards, whole, and with it the package that was kept before it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test's helpers fail by panicking")]

mod killed;
mod sealing;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use hearth_store::{BlobStore as _, MetadataStore, Precondition, Write};
use hearth_store_sqlite::{FileBlobStore, SqliteBlobStore, SqliteStore};
use hearth_types::CodeDigest;
use sealing::seal;

/// Where the child finds the file.
const FILE: &str = "HEARTH_TEST_METADATA_FILE";
const KILLS: u32 = 40;
/// Commits on their way at a time, so that they share transactions.
const WRITERS: u32 = 8;

#[tokio::test]
async fn acknowledged_commits_survive_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meta.db");
    let mut acknowledged: Vec<(String, u64)> = Vec::new();
    for kill in 0..KILLS {
        let before = acknowledged.len();
        acknowledged.extend(killed::heard_until_killed((FILE, &path), kill, 1 + kill * 7 % 60, parse));
        assert!(acknowledged.len() > before, "the child got to commit something");

        let store = SqliteStore::open(&path, seal()).expect("the file of a killed process opens");
        for (key, version) in &acknowledged {
            let one = store.get(&format!("one/{key}")).await.unwrap().unwrap_or_else(|| panic!("one/{key} is lost"));
            let two = store.get(&format!("two/{key}")).await.unwrap().unwrap_or_else(|| panic!("two/{key} is lost"));
            assert_eq!((one.version, two.version), (*version, *version));
        }
        let blobs = blobs(&store, folder.path());
        let kept = BTreeSet::from_iter(blobs.list().await.unwrap());
        for (key, _) in &acknowledged {
            assert!(kept.contains(&CodeDigest::of(&package(key))), "the package of {key} is lost");
        }
        for (key, _) in &acknowledged[before..] {
            let package = package(key);
            assert_eq!(blobs.get(&CodeDigest::of(&package)).await.unwrap(), Some(package), "of {key}");
        }
        let halves = async |prefix| store.list(prefix, None, usize::MAX).await.unwrap().len();
        assert_eq!(halves("one/").await, halves("two/").await, "no commit is there in part");
    }
}

fn blobs(store: &SqliteStore, folder: &Path) -> SqliteBlobStore {
    store.blobs(FileBlobStore::open(&folder.join("blobs")).unwrap())
}

fn package(key: &str) -> Bytes {
    Bytes::from(key.repeat(100))
}

/// `done KEY VERSION.`; the dot shows that the line is whole.
fn parse(line: &str) -> Option<(String, u64)> {
    let (key, version) = line.strip_prefix("done ")?.strip_suffix('.')?.split_once(' ')?;
    Some((key.to_owned(), version.parse().ok()?))
}

#[tokio::test]
#[ignore = "the child of the other test"]
async fn child() {
    let Ok(path) = std::env::var(FILE) else { return };
    let store = Arc::new(SqliteStore::open(Path::new(&path), seal()).unwrap());
    let blobs = blobs(&store, Path::new(&path).parent().unwrap());
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let (store, blobs) = (Arc::clone(&store), blobs.clone());
        writers.spawn(async move {
            for n in 0_u64.. {
                let key = format!("{}-{writer}-{n}", std::process::id());
                let value = vec![b'x'; usize::try_from(n % 5 * 900).unwrap()];
                let writes =
                    ["one", "two"].map(|half| Write::put(format!("{half}/{key}"), value.clone(), Precondition::Absent));
                let package = package(&key);
                blobs.put(&CodeDigest::of(&package), package).await.unwrap();
                let version = store.commit(writes.into()).await.unwrap();
                // One write for the line: pieces of two lines never mix.
                std::io::stdout().write_all(format!("done {key} {version}.\n").as_bytes()).unwrap();
            }
        });
    }
    writers.join_all().await;
}
