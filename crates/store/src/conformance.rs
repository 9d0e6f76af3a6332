//! What every engine must do. Each engine's tests run these two functions; a check that fails panics.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test code that other crates' tests call")]

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use hearth_types::CodeDigest;
use hearth_types::limits::{
    SMALL_BLOB_BYTES, STORE_COMMIT_WRITES, STORE_KEY_BYTES, STORE_VALUE_BYTES, STORE_WATCH_COMMITS,
};
use tokio::task::JoinSet;

use crate::{BlobError, BlobStore, Change, CommitError, MetadataStore, Precondition, Watch, WatchEvent, Write};

type Store = Arc<dyn MetadataStore>;

/// Runs all checks of a metadata engine; `make` gives an empty store each time.
pub async fn metadata_store<S: MetadataStore>(make: impl Fn() -> Arc<S>) {
    let make = || -> Store { make() };
    reads_back_what_was_committed(make()).await;
    lists_in_order_by_prefix_and_page(make()).await;
    commits_all_or_nothing(make()).await;
    judges_preconditions(make()).await;
    refuses_what_breaks_a_bound(make()).await;
    one_of_many_rivals_wins(make()).await;
    watches_from_a_snapshot_on(make()).await;
    a_watcher_that_lags_starts_over(make()).await;
    a_watch_ends_with_its_store(make()).await;
    agrees_with_a_plain_map(make()).await;
}

/// Runs all checks of a blob engine; `make` gives an empty store each time.
pub async fn blob_store<S: BlobStore>(make: impl Fn() -> Arc<S>) {
    let store: Arc<dyn BlobStore> = make();
    let (one, two) = (Bytes::from_static(b"one"), Bytes::from(vec![7; 3_000_000]));
    let (first, second) = (CodeDigest::of(&one), CodeDigest::of(&two));
    assert_eq!(store.list().await.unwrap(), []);
    assert_eq!(store.get(&first).await.unwrap(), None);
    store.delete(&first).await.expect("removing what is absent is no error");

    store.put(&first, one.clone()).await.unwrap();
    store.put(&second, two.clone()).await.unwrap();
    store.put(&first, one.clone()).await.expect("putting again is no error");
    assert_eq!(store.get(&first).await.unwrap(), Some(one));
    assert_eq!(store.get(&second).await.unwrap(), Some(two));
    let mut both = [first, second];
    both.sort();
    assert_eq!(store.list().await.unwrap(), both);

    store.delete(&first).await.unwrap();
    assert_eq!(store.get(&first).await.unwrap(), None);
    assert_eq!(store.list().await.unwrap(), [second]);

    let staged = store.stage(Bytes::from_static(b"one")).await.unwrap();
    drop(store.stage(Bytes::from_static(b"dropped")).await.unwrap());
    assert_eq!(store.list().await.unwrap(), [second], "what is staged has no name");
    staged.keep(first).await.unwrap();
    assert_eq!(store.get(&first).await.unwrap(), Some(Bytes::from_static(b"one")));
    store.delete(&first).await.unwrap();
    store.delete(&second).await.unwrap();
    blobs_agree_with_a_plain_map(&*store).await;

    let wrong = CodeDigest::of(b"something else");
    store.put(&wrong, Bytes::from_static(b"not that")).await.unwrap();
    let damaged = store.get(&wrong).await;
    assert!(matches!(damaged, Err(BlobError::Damaged(digest)) if digest == wrong), "{damaged:?}");
}

/// Small and large ones, put, put again and deleted in any order; the store is empty.
async fn blobs_agree_with_a_plain_map(store: &dyn BlobStore) {
    let mut random = Random(7);
    let sizes = [0, 1, 1_000, SMALL_BLOB_BYTES, SMALL_BLOB_BYTES + 1, 100_000];
    let blobs: Vec<Bytes> = sizes.iter().enumerate().map(|(n, size)| Bytes::from(vec![n as u8; *size])).collect();
    let mut expected = BTreeMap::new();
    for round in 0..200 {
        let blob = &blobs[random.below(blobs.len() as u64) as usize];
        let digest = CodeDigest::of(blob);
        if random.below(2) == 0 {
            store.put(&digest, blob.clone()).await.unwrap();
            expected.insert(digest, blob.clone());
        } else {
            store.delete(&digest).await.unwrap();
            expected.remove(&digest);
        }
        assert!(store.list().await.unwrap().iter().eq(expected.keys()), "round {round}");
        assert_eq!(store.get(&digest).await.unwrap(), expected.get(&digest).cloned(), "round {round}");
    }
    for digest in expected.keys() {
        store.delete(digest).await.unwrap();
    }
}

async fn reads_back_what_was_committed(store: Store) {
    assert_eq!(store.version().await.unwrap(), 0);
    assert_eq!(store.get("a").await.unwrap(), None);
    let first = put(&store, "a", "1").await;
    let second = put(&store, "b", "").await;
    assert!(0 < first && first < second);
    assert_eq!(value(&store, "a").await, Some((first, "1".into())));
    assert_eq!(value(&store, "b").await, Some((second, String::new())));

    let third = put(&store, "a", "2").await;
    assert_eq!(value(&store, "a").await, Some((third, "2".into())));
    let fourth = store.commit(vec![Write::delete("a", Precondition::Any)]).await.unwrap();
    assert_eq!(store.get("a").await.unwrap(), None);
    assert_eq!(store.version().await.unwrap(), fourth);
}

async fn lists_in_order_by_prefix_and_page(store: Store) {
    for key in ["f/b", "f/a", "f/c", "f/a/x", "e", "f", "g/a", "f/\u{10ffff}"] {
        put(&store, key, key).await;
    }
    assert_eq!(keys(&store, "f/", None, 10).await, ["f/a", "f/a/x", "f/b", "f/c", "f/\u{10ffff}"]);
    assert_eq!(keys(&store, "f/", None, 2).await, ["f/a", "f/a/x"]);
    assert_eq!(keys(&store, "f/", Some("f/a/x"), 2).await, ["f/b", "f/c"]);
    assert_eq!(keys(&store, "f/", Some("f/bb"), 9).await, ["f/c", "f/\u{10ffff}"], "`after` need not exist");
    assert_eq!(keys(&store, "f/", Some("a"), 1).await, ["f/a"], "`after` may lie before the prefix");
    assert!(keys(&store, "f/", Some("g"), 9).await.is_empty());
    assert!(keys(&store, "f/", None, 0).await.is_empty());
    assert_eq!(keys(&store, "", None, 99).await.len(), 8);
}

async fn commits_all_or_nothing(store: Store) {
    let version = put(&store, "there", "1").await;
    let refused = store
        .commit(vec![
            Write::put("new", "x", Precondition::Absent),
            Write::put("there", "x", Precondition::Absent),
            Write::delete("gone", Precondition::Any),
        ])
        .await;
    assert_eq!(refused, Err(CommitError::Conflict { key: "there".into() }));
    assert_eq!(keys(&store, "", None, 9).await, ["there"]);
    assert_eq!(store.version().await.unwrap(), version);

    let both = store
        .commit(vec![
            Write::put("new", "x", Precondition::Absent),
            Write::delete("there", Precondition::Version(version)),
        ])
        .await
        .unwrap();
    assert_eq!(keys(&store, "", None, 9).await, ["new"]);
    assert_eq!(value(&store, "new").await, Some((both, "x".into())));
}

async fn judges_preconditions(store: Store) {
    use Precondition::{Absent, Any, Version};
    let old = put(&store, "k", "1").await;
    let now = put(&store, "k", "2").await;
    let try_write = async |precondition| store.commit(vec![Write::put("k", "3", precondition)]).await;
    for refused in [Absent, Version(old), Version(now + 1), Version(0)] {
        assert_eq!(try_write(refused).await, Err(CommitError::Conflict { key: "k".into() }), "{refused:?}");
    }
    try_write(Version(now)).await.unwrap();
    try_write(Any).await.unwrap();
    for precondition in [Version(1), Version(0)] {
        let refused = store.commit(vec![Write::delete("absent", precondition)]).await;
        assert_eq!(refused, Err(CommitError::Conflict { key: "absent".into() }));
    }
    store.commit(vec![Write::delete("absent", Any)]).await.unwrap();
    store.commit(vec![Write::delete("k", Any)]).await.unwrap();
    let back = try_write(Absent).await.expect("a removed key is absent");

    let checked = async |check| store.commit(vec![Write::put("other", "1", Any), check]).await;
    assert_eq!(checked(Write::check("k", Version(now))).await, Err(CommitError::Conflict { key: "k".into() }));
    checked(Write::check("k", Version(back))).await.unwrap();
    checked(Write::check("absent", Absent)).await.unwrap();
    assert_eq!(value(&store, "k").await, Some((back, "3".into())), "a check changes nothing");
    assert_eq!(keys(&store, "", None, 9).await, ["k", "other"]);
}

async fn refuses_what_breaks_a_bound(store: Store) {
    let one = |key: String, value: Vec<u8>| vec![Write::put(key, value, Precondition::Any)];
    let refused = [
        vec![],
        one(String::new(), vec![]),
        one("k".repeat(STORE_KEY_BYTES + 1), vec![]),
        one("k".into(), vec![0; STORE_VALUE_BYTES + 1]),
        [one("k".into(), vec![]), one("k".into(), vec![])].concat(),
        (0..=STORE_COMMIT_WRITES).flat_map(|n| one(n.to_string(), vec![])).collect(),
    ];
    for writes in refused {
        let count = writes.len();
        let answer = store.commit(writes).await;
        assert!(matches!(answer, Err(CommitError::Refused(_))), "{count} writes: {answer:?}");
    }
    assert_eq!(store.version().await.unwrap(), 0);
    store.commit(one("k".repeat(STORE_KEY_BYTES), vec![0; STORE_VALUE_BYTES])).await.unwrap();
    store.commit((0..STORE_COMMIT_WRITES).flat_map(|n| one(n.to_string(), vec![])).collect()).await.unwrap();
}

async fn one_of_many_rivals_wins(store: Store) {
    const RIVALS: u64 = 50;
    let mut rivals = JoinSet::new();
    for rival in 0..RIVALS {
        let store = Arc::clone(&store);
        rivals.spawn(async move {
            let claim = store.commit(vec![Write::put("claim", rival.to_string(), Precondition::Absent)]).await;
            // A counter that each raises by one, trying again on a conflict.
            loop {
                let found = store.get("counter").await.unwrap();
                let count: u64 =
                    found.as_ref().map_or(0, |found| std::str::from_utf8(&found.value).unwrap().parse().unwrap());
                let unchanged = found.map_or(Precondition::Absent, |found| Precondition::Version(found.version));
                match store.commit(vec![Write::put("counter", (count + 1).to_string(), unchanged)]).await {
                    Ok(_) => break,
                    Err(CommitError::Conflict { .. }) => {}
                    Err(other) => panic!("{other}"),
                }
            }
            claim.is_ok()
        });
    }
    let won = rivals.join_all().await.into_iter().filter(|won| *won).count();
    assert_eq!(won, 1);
    assert_eq!(value(&store, "counter").await.unwrap().1, RIVALS.to_string());
}

async fn watches_from_a_snapshot_on(store: Store) {
    let before = put(&store, "f/a", "1").await;
    put(&store, "other", "1").await;
    let mut watch = store.watch("f/");
    let late = put(&store, "f/b", "2").await;
    let Some(WatchEvent::Snapshot { version, entries }) = watch.next().await else { panic!("no snapshot first") };
    assert!(version >= late);
    let found: Vec<_> = entries.iter().map(|(key, found)| (key.as_str(), found.version)).collect();
    assert_eq!(found, [("f/a", before), ("f/b", late)]);

    put(&store, "other", "2").await;
    let writes = vec![
        Write::put("f/c", "3", Precondition::Any),
        Write::put("z", "", Precondition::Any),
        Write::delete("f/a", Precondition::Any),
    ];
    let third = store.commit(writes).await.unwrap();
    let fourth = put(&store, "f/c", "4").await;
    let changed = |key: &str, value: Option<&'static str>| Change { key: key.into(), value: value.map(Bytes::from) };
    let expected = vec![changed("f/c", Some("3")), changed("f/a", None)];
    assert_eq!(watch.next().await, Some(WatchEvent::Commit { version: third, changes: expected }));
    let expected = vec![changed("f/c", Some("4"))];
    assert_eq!(watch.next().await, Some(WatchEvent::Commit { version: fourth, changes: expected }));
}

async fn a_watcher_that_lags_starts_over(store: Store) {
    let mut watch = store.watch("");
    assert!(matches!(watch.next().await, Some(WatchEvent::Snapshot { .. })));
    let mut last = 0;
    let mut commits = JoinSet::new();
    for n in 0..STORE_WATCH_COMMITS * 3 {
        let store = Arc::clone(&store);
        commits.spawn(async move { put(&store, &format!("k{}", n % 7), "x").await });
    }
    for version in commits.join_all().await {
        last = last.max(version);
    }
    let Some(WatchEvent::Snapshot { version, entries }) = watch.next().await else { panic!("no new snapshot") };
    assert_eq!((version, entries.len()), (last, 7));
    let next = put(&store, "k", "x").await;
    assert!(matches!(watch.next().await, Some(WatchEvent::Commit { version, .. }) if version == next));
}

async fn a_watch_ends_with_its_store(store: Store) {
    let (mut started, mut unstarted) = (store.watch(""), store.watch(""));
    assert!(matches!(started.next().await, Some(WatchEvent::Snapshot { .. })));
    drop(store);
    assert_eq!(started.next().await, None);
    assert_eq!(unstarted.next().await, None);
}

/// Random commits, against the simplest thing that could be right; a watcher rebuilds the same.
async fn agrees_with_a_plain_map(store: Store) {
    let mut watch = store.watch("");
    let mut seen = Replica::default();
    seen.follow(&mut watch).await;
    let mut expected: BTreeMap<String, (u64, Bytes)> = BTreeMap::new();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..600_u64 {
        let mut writes: Vec<Write> = Vec::new();
        for _ in 0..=random.below(3) {
            let key = format!("k{}", random.below(12));
            if writes.iter().any(|write| write.key == key) {
                continue;
            }
            let current = expected.get(&key).map(|(version, _)| *version);
            let precondition = match random.below(5) {
                0 => Precondition::Absent,
                1 => Precondition::Version(random.below(round + 1)),
                2 => current.map_or(Precondition::Absent, Precondition::Version),
                _ => Precondition::Any,
            };
            writes.push(match random.below(3) {
                0 => Write::delete(key, precondition),
                _ => Write::put(key, round.to_string(), precondition),
            });
        }
        let conflict = writes
            .iter()
            .find(|write| !write.precondition.holds(expected.get(&write.key).map(|(version, _)| *version)))
            .map(|write| write.key.clone());
        match (store.commit(writes.clone()).await, conflict) {
            (Err(CommitError::Conflict { key }), Some(expected)) => assert_eq!(key, expected),
            (Ok(version), None) => {
                for Write { key, operation, .. } in writes {
                    match operation {
                        crate::Operation::Put(value) => expected.insert(key, (version, value)),
                        crate::Operation::Delete => expected.remove(&key),
                        crate::Operation::Check => None,
                    };
                }
                seen.follow(&mut watch).await;
            }
            (answer, conflict) => panic!("round {round}: {answer:?}, expected conflict: {conflict:?}"),
        }
        let all = store.list("", None, usize::MAX).await.unwrap();
        let all: BTreeMap<_, _> = all.into_iter().map(|(key, found)| (key, (found.version, found.value))).collect();
        assert_eq!(all, expected);
        let values: BTreeMap<_, _> = expected.iter().map(|(key, (_, value))| (key.clone(), value.clone())).collect();
        assert_eq!(seen.0, values);
    }
}

#[derive(Default)]
struct Replica(BTreeMap<String, Bytes>);

impl Replica {
    async fn follow(&mut self, watch: &mut Watch) {
        match watch.next().await.expect("the store is there") {
            WatchEvent::Snapshot { entries, .. } => {
                self.0 = entries.into_iter().map(|(key, found)| (key, found.value)).collect();
            }
            WatchEvent::Commit { changes, .. } => {
                for Change { key, value } in changes {
                    match value {
                        Some(value) => self.0.insert(key, value),
                        None => self.0.remove(&key),
                    };
                }
            }
        }
    }
}

/// Xorshift: the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

async fn put(store: &Store, key: &str, value: &str) -> u64 {
    store.commit(vec![Write::put(key, value.to_owned(), Precondition::Any)]).await.unwrap()
}

async fn value(store: &Store, key: &str) -> Option<(u64, String)> {
    let found = store.get(key).await.unwrap()?;
    Some((found.version, String::from_utf8(found.value.to_vec()).unwrap()))
}

async fn keys(store: &Store, prefix: &str, after: Option<&str>, limit: usize) -> Vec<String> {
    store.list(prefix, after, limit).await.unwrap().into_iter().map(|(key, _)| key).collect()
}
