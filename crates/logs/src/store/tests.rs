use hearth_types::limits::{LOG_GROUP_BURST, LOG_LINE_BYTES, LOG_OPEN_FILES};

use super::*;
use crate::search::{Direction, Streams};

fn message(line: &LogLine) -> String {
    String::from_utf8_lossy(&line.message).into_owned()
}

fn messages(store: &LogStore, group: &str) -> Vec<String> {
    store.read(group, 1000).unwrap().iter().map(message).collect()
}

#[tokio::test]
async fn lines_are_kept_in_order_and_followed() {
    let root = tempfile::tempdir().unwrap();
    let store = LogStore::open(root.path()).unwrap();
    let (group, stream): (Arc<str>, Arc<str>) = ("/aws/lambda/f".into(), "s".into());
    let mut follower = store.follow(&group);
    for n in 0..100 {
        store.append(&group, &stream, n, Bytes::from(format!("line {n}\n")));
    }
    store.flush().await;
    let lines = store.read(&group, 1000).unwrap();
    assert_eq!(lines.len(), 100);
    for (n, line) in lines.iter().enumerate() {
        assert_eq!(message(line), format!("line {n}\n"));
        assert_eq!(follower.next().await.unwrap().unwrap(), *line);
    }
    store.close();
    assert_eq!(follower.next().await, None);
}

#[tokio::test]
async fn nobody_waits_for_a_store_that_is_closed() {
    let root = tempfile::tempdir().unwrap();
    let store = LogStore::open(root.path()).unwrap();
    let group: Arc<str> = "g".into();
    store.append(&group, &"s".into(), 0, Bytes::from_static(b"before"));
    store.close();
    store.append(&group, &"s".into(), 0, Bytes::from_static(b"after"));
    store.flush().await;
    assert_eq!(store.follow(&group).next().await, None);
    assert_eq!(messages(&store, &group), ["before"]);
    store.close();
}

#[tokio::test]
async fn followers_can_be_ended_before_the_store() {
    let root = tempfile::tempdir().unwrap();
    let store = LogStore::open(root.path()).unwrap();
    let group: Arc<str> = "g".into();
    let mut follower = store.follow(&group);
    store.end_followers();
    assert_eq!(follower.next().await, None);
    store.append(&group, &"s".into(), 0, Bytes::from_static(b"after"));
    store.flush().await;
    assert_eq!(messages(&store, &group), ["after"]);
}

#[tokio::test]
async fn more_groups_than_open_files() {
    let root = tempfile::tempdir().unwrap();
    let store = LogStore::open(root.path()).unwrap();
    let groups: Vec<Arc<str>> = (0..LOG_OPEN_FILES * 2).map(|n| format!("g{n}").into()).collect();
    for round in 0..3 {
        for group in &groups {
            store.append(group, &"s".into(), round, Bytes::from(format!("{round}")));
        }
        store.flush().await;
    }
    for group in &groups {
        assert_eq!(messages(&store, group), ["0", "1", "2"]);
    }
}

#[tokio::test]
async fn a_flood_is_cut_counted_and_leaves_others_alone() {
    let root = tempfile::tempdir().unwrap();
    let store = LogStore::open(root.path()).unwrap();
    let (loud, quiet, stream): (Arc<str>, Arc<str>, Arc<str>) = ("loud".into(), "quiet".into(), "s".into());
    let flood = Bytes::from(vec![b'x'; LOG_LINE_BYTES]);
    let lines = 2 * LOG_GROUP_BURST / LOG_LINE_BYTES as u64;
    for _ in 0..lines {
        store.append(&loud, &stream, 0, flood.clone());
    }
    store.append(&quiet, &stream, 0, Bytes::from_static(b"heard"));
    store.flush().await;
    assert_eq!(messages(&store, &quiet), ["heard"]);
    // What is said about the flood may have to wait until there is room for it.
    let said = loop {
        store.append(&quiet, &stream, 0, Bytes::from_static(b"again"));
        store.flush().await;
        let last = store.read(&loud, 1).unwrap().pop().unwrap();
        if last.message.ends_with(b"faster than they could be kept\n") {
            break message(&last);
        }
    };
    let dropped: u64 = said.split(' ').next().unwrap().parse().unwrap();
    assert!((1..lines).contains(&dropped), "{said}");
}

#[tokio::test]
async fn groups_and_what_clients_put_survive() {
    let root = tempfile::tempdir().unwrap();
    let store = LogStore::open(root.path()).unwrap();
    store.create_group("g", [("a".to_owned(), "b".to_owned())].into()).unwrap();
    assert!(matches!(store.create_group("g", BTreeMap::new()), Err(Refused::GroupExists)));
    let event = [(now_ms(), Bytes::from_static(b"put"))];
    assert!(matches!(store.put("g", "s", &event), Err(Refused::NoStream)));
    store.create_stream("g", "s").unwrap();
    store.put("g", "s", &event).unwrap();
    store.set_retention("g", Some(7)).unwrap();
    drop(store);
    let store = LogStore::open(root.path()).unwrap();
    let groups = store.groups(None, 10, |_| true);
    assert_eq!(groups.iter().map(|group| (&*group.name, group.retention_days)).collect::<Vec<_>>(), [("g", Some(7))]);
    assert_eq!(store.tags("g").unwrap(), [("a".to_owned(), "b".to_owned())].into());
    assert_eq!(messages(&store, "g"), ["put"]);
    store.delete_group("g").unwrap();
    assert!(matches!(store.delete_group("g"), Err(Refused::NoGroup)));
    assert!(matches!(store.streams("g"), Err(Refused::NoGroup)));
    drop(store);
    assert!(LogStore::open(root.path()).unwrap().groups(None, 10, |_| true).is_empty());
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_deleted_group_begins_anew_with_the_next_line() {
    let root = tempfile::tempdir().unwrap();
    let store = LogStore::open(root.path()).unwrap();
    let (group, stream): (Arc<str>, Arc<str>) = ("g".into(), "s".into());
    for text in ["before", "after"] {
        store.append(&group, &stream, 1, Bytes::from(text));
        store.flush().await;
        let query = Query {
            streams: Streams::All,
            from_ms: 0,
            to_ms: i64::MAX,
            direction: Direction::Forward(None),
            lines: 10,
            bytes: 100,
        };
        let found = store.search("g", &query, |_| true).unwrap();
        assert_eq!(found.lines.iter().map(message).collect::<Vec<_>>(), [text]);
        store.delete_group("g").unwrap();
    }
}

#[test]
fn the_largest_groups_shrink_where_all_are_too_large() {
    let root = tempfile::tempdir().unwrap();
    let groups = Groups::open(root.path()).unwrap();
    let message = Bytes::from(vec![b'x'; 1 << 20]);
    let mut sizes = Vec::new();
    for (name, lines) in [("large", 40), ("small", 4)] {
        for timestamp_ms in 0..lines {
            let line = Arrived { stream: "s".into(), timestamp_ms, message: message.clone() };
            assert_eq!(groups.append(&name.into(), &[line], 0).unwrap().dropped, None);
        }
        sizes.push((groups.with(name, |group| Ok(group.bytes())).unwrap(), Arc::from(name)));
    }
    groups.fit(sizes, 20 << 20);
    let bytes = |name: &str| groups.with(name, |group| Ok(group.bytes())).unwrap();
    assert!(bytes("large") <= 16 << 20 && bytes("large") > 0, "{}", bytes("large"));
    assert!(bytes("small") >= 4 << 20);
    groups.fit(vec![(bytes("large"), "large".into()), (bytes("small"), "small".into())], 0);
    assert!(bytes("large") > 0 && bytes("small") >= 4 << 20, "what is written to stays");
}
