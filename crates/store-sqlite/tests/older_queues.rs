//! A file of queues of an earlier version is taken over with all that is in it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test's helpers fail by panicking")]

use bytes::Bytes;
use hearth_store::{QueueStore, Step, Take};
use hearth_store_sqlite::SqliteQueueStore;

/// As version 1 made it, with two messages.
const OLDER: &str = "
    CREATE TABLE queue (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
    CREATE TABLE message (
        id INTEGER PRIMARY KEY, queue INTEGER NOT NULL, due INTEGER NOT NULL, bytes INTEGER NOT NULL,
        head BLOB NOT NULL, body BLOB
    ) STRICT;
    CREATE INDEX message_due ON message (queue, due);
    CREATE TABLE large (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
    CREATE TABLE state (id INTEGER PRIMARY KEY CHECK (id = 1), last_message INTEGER NOT NULL) STRICT;
    INSERT INTO state VALUES (1, 2);
    INSERT INTO queue VALUES (7, 'q');
    INSERT INTO message VALUES (1, 7, 20, 5, x'6868', x'6669727374');
    INSERT INTO message VALUES (2, 7, 10, 2001, x'6868', NULL);
    INSERT INTO large VALUES (2, zeroblob(2001));
    PRAGMA application_id = 1215460465;
    PRAGMA user_version = 1;
";

#[tokio::test]
async fn messages_of_an_earlier_version_stay() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queues.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch(OLDER).unwrap();
    for _ in 0..2 {
        let store = SqliteQueueStore::open(&path).unwrap();
        assert_eq!(store.queues("").await.unwrap()[0].messages, 2);
    }
    let store = SqliteQueueStore::open(&path).unwrap();
    let once = None;
    let in_group = Step::PutInGroup {
        queue: "q".into(),
        group: "g".into(),
        once,
        due_ms: 0,
        head: Bytes::new(),
        body: "3".into(),
    };
    assert_eq!(store.commit(vec![in_group]).await.unwrap()[0].0, 3);
    let take = Take { queue: "q".into(), now_ms: 50, again_ms: 90, limit: 9, bytes: usize::MAX };
    let taken = store.take(take).await.unwrap().messages;
    assert_eq!(taken.iter().map(|message| message.found.id.0).collect::<Vec<_>>(), [2, 1, 3]);
    assert_eq!((taken[0].body.len(), &taken[1].body[..], taken[1].takes), (2001, &b"first"[..], 1));
}
