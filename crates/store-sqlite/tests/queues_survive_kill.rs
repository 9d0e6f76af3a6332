//! A process that works on queues is killed at a random moment, many times over one file: every message that it was told
//! is kept is there afterwards, in one queue, unless it had begun to delete it; and none that it was told is gone.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test's helpers fail by panicking")]

mod killed;

use std::collections::{HashMap, HashSet};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use hearth_store::{Found, Look, QueueStore, Step};
use hearth_store_sqlite::SqliteQueueStore;

/// Where the child finds the file.
const FILE: &str = "HEARTH_TEST_QUEUE_FILE";
const KILLS: u32 = 30;
/// Commits on their way at a time, so that they share transactions.
const WRITERS: u32 = 8;

#[tokio::test]
async fn acknowledged_messages_survive_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queues.db");
    // What was last heard of each message.
    let mut heard: HashMap<String, String> = HashMap::new();
    for kill in 0..KILLS {
        let before = heard.len();
        heard.extend(killed::heard_until_killed((FILE, &path), kill, 1 + kill * 13 % 200, parse));
        assert!(heard.len() > before, "the child got to keep something");

        let store = SqliteQueueStore::open(&path).expect("the file of a killed process opens");
        let (new, moved) = (names(&store, "new").await, names(&store, "moved").await);
        assert!(new.is_disjoint(&moved), "no message is in two queues");
        let depths: u64 = store.queues("").await.unwrap().iter().map(|depth| depth.messages).sum();
        assert_eq!(depths, (new.len() + moved.len()) as u64);
        for (name, last) in &heard {
            match last.as_str() {
                "put" => assert!(new.contains(name), "{name} is lost"),
                "moving" => assert!(new.contains(name) || moved.contains(name), "{name} is lost"),
                "moved" => assert!(moved.contains(name) && !new.contains(name), "{name} is not where it was moved"),
                "deleting" => assert!(!new.contains(name), "{name} is back"),
                "gone" => assert!(!moved.contains(name) && !new.contains(name), "{name} is back"),
                other => panic!("{other}"),
            }
        }
    }
}

/// The bodies of all messages of a queue.
async fn names(store: &SqliteQueueStore, queue: &str) -> HashSet<String> {
    let all =
        Look { queue: queue.into(), until_ms: i64::MAX, skip: HashSet::new(), limit: usize::MAX, bytes: usize::MAX };
    let found = store.due(all).await.unwrap().messages;
    found.iter().map(|message| String::from_utf8_lossy(&message.body).trim_end().to_owned()).collect()
}

/// `say NAME WHAT.`; the dot shows that the line is whole.
fn parse(line: &str) -> Option<(String, String)> {
    let (name, what) = line.strip_prefix("say ")?.strip_suffix('.')?.split_once(' ')?;
    Some((name.to_owned(), what.to_owned()))
}

#[tokio::test]
#[ignore = "the child of the other test"]
async fn child() {
    let Ok(path) = std::env::var(FILE) else { return };
    let store = Arc::new(SqliteQueueStore::open(Path::new(&path)).unwrap());
    // One write for the line: pieces of two lines never mix.
    let say = |name: &str, what| std::io::stdout().write_all(format!("say {name} {what}.\n").as_bytes()).unwrap();
    let put = |queue: &str, name: &str, spaces| Step::Put {
        queue: queue.into(),
        due_ms: 1,
        head: Bytes::new(),
        body: format!("{name}{}", " ".repeat(spaces)).into(),
    };
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let store = Arc::clone(&store);
        writers.spawn(async move {
            for n in 0_usize.. {
                let name = format!("{}-{writer}-{n}", std::process::id());
                let id = store.commit(vec![put("new", &name, n % 5 * 900)]).await.unwrap()[0];
                say(&name, "put");
                if n % 3 == 0 {
                    continue;
                }
                say(&name, "moving");
                let here = Found { due_ms: 1, id };
                let id = store.commit(vec![Step::Delete(here), put("moved", &name, n % 7 * 900)]).await.unwrap()[0];
                say(&name, "moved");
                if n % 3 == 1 {
                    say(&name, "deleting");
                    store.commit(vec![Step::Delete(Found { due_ms: 1, id })]).await.unwrap();
                    say(&name, "gone");
                }
            }
        });
    }
    writers.join_all().await;
}
