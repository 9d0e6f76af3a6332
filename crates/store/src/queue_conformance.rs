//! What every engine of queues must do. Each engine's tests run [`queue_store`]; a check that fails panics.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test code that other crates' tests call")]

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use hearth_types::limits::{QUEUE_BODY_BYTES, QUEUE_COMMIT_STEPS, QUEUE_HEAD_BYTES, QUEUE_NAME_BYTES};
use tokio::task::JoinSet;

use crate::{Count, Depth, Due, Found, Look, Message, MessageId, QueueError, QueueStore, Step};

type Store = Arc<dyn QueueStore>;

/// Runs all checks of an engine of queues; `make` gives an empty store each time.
pub async fn queue_store<S: QueueStore>(make: impl Fn() -> Arc<S>) {
    let make = || -> Store { make() };
    gives_what_is_due_in_order(make()).await;
    leaves_out_and_stops_at_bounds(make()).await;
    changes_and_deletes_only_what_is_as_it_was_found(make()).await;
    commits_all_or_nothing(make()).await;
    keeps_bodies_of_every_size(make()).await;
    refuses_what_breaks_a_bound(make()).await;
    one_of_many_rivals_gets_a_message(make()).await;
    purges_what_is_there(make()).await;
    agrees_with_a_plain_map(make()).await;
    crate::group_conformance::groups(&make).await;
    crate::fair_conformance::fair_groups(make).await;
}

fn put(queue: &str, due_ms: i64, body: impl Into<Bytes>) -> Step {
    Step::Put { queue: queue.into(), due_ms, head: Bytes::from(format!("head of {queue}")), body: body.into() }
}

fn fresh(found: Found, head: &'static str, body: &'static str) -> Message {
    Message { found, head: head.into(), body: body.into(), group: None, takes: 0, first_taken_ms: None }
}

fn look(queue: &str, until_ms: i64) -> Look {
    Look { queue: queue.into(), until_ms, skip: HashSet::new(), limit: 100, bytes: usize::MAX }
}

fn bodies(due: &Due) -> Vec<&str> {
    due.messages.iter().map(|message| std::str::from_utf8(&message.body).unwrap()).collect()
}

async fn one(store: &Store, step: Step) -> MessageId {
    store.commit(vec![step]).await.unwrap()[0]
}

async fn gives_what_is_due_in_order(store: Store) {
    assert_eq!(store.due(look("q", 99)).await.unwrap(), Due::default());
    assert_eq!(store.queues("").await.unwrap(), []);
    let third = one(&store, put("q", 30, "c")).await;
    let ids = store.commit(vec![put("q", 10, "a"), put("p", 5, "x"), put("q", 10, "b")]).await.unwrap();
    assert!(ids.len() == 3 && ids.is_sorted() && ids[0] > third, "ids grow: {third:?}, {ids:?}");

    let due = store.due(look("q", 20)).await.unwrap();
    assert_eq!((bodies(&due), due.next_ms), (vec!["a", "b"], Some(30)));
    let found = Found { due_ms: 10, id: ids[0] };
    assert_eq!(due.messages[0], fresh(found, "head of q", "a"));
    assert_eq!(store.get("q", ids[0]).await.unwrap().as_ref(), due.messages.first());
    assert_eq!(store.get("p", ids[0]).await.unwrap(), None, "it is in another queue");
    let due = store.due(look("q", 30)).await.unwrap();
    assert_eq!((bodies(&due), due.next_ms), (vec!["a", "b", "c"], None));
    let depth = |queue: &str, messages, first_due_ms| Depth { queue: queue.into(), messages, first_due_ms };
    assert_eq!(store.queues("").await.unwrap(), [depth("p", 1, 5), depth("q", 3, 10)]);
    assert_eq!(store.queues("q").await.unwrap(), [depth("q", 3, 10)]);
    for (now_ms, due, later) in [(9, 0, 3), (10, 2, 1), (30, 3, 0)] {
        assert_eq!(store.count("q", now_ms).await.unwrap(), Count { due, later, taken: 0 });
    }
    assert_eq!(store.count("none", 0).await.unwrap(), Count::default());
}

async fn leaves_out_and_stops_at_bounds(store: Store) {
    let ids = store.commit((0..6).map(|n| put("q", n, vec![b'0' + n as u8; 10])).collect()).await.unwrap();
    let skip = HashSet::from([ids[0], ids[2]]);
    let due = store.due(Look { skip: skip.clone(), limit: 2, ..look("q", 99) }).await.unwrap();
    assert_eq!((bodies(&due), due.next_ms), (vec!["1111111111", "3333333333"], Some(4)));
    let due = store.due(Look { skip, bytes: 25, ..look("q", 99) }).await.unwrap();
    assert_eq!((due.messages.len(), due.next_ms), (2, Some(4)));
    let due = store.due(Look { bytes: 0, ..look("q", 99) }).await.unwrap();
    assert_eq!((due.messages.len(), due.next_ms), (1, Some(1)), "the first is given however large it is");
    let due = store.due(Look { limit: 0, ..look("q", 99) }).await.unwrap();
    assert_eq!((due.messages.len(), due.next_ms), (0, Some(0)));
}

async fn changes_and_deletes_only_what_is_as_it_was_found(store: Store) {
    let id = one(&store, put("q", 10, "body")).await;
    let (old, new) = (Found { due_ms: 10, id }, Found { due_ms: 50, id });
    let change = |found, due_ms| vec![Step::Change { found, due_ms, head: "later".into() }];
    store.commit(change(old, 50)).await.unwrap();
    assert_eq!(store.due(look("q", 49)).await.unwrap(), Due { messages: vec![], next_ms: Some(50) });
    let kept = fresh(new, "later", "body");
    assert_eq!(store.get("q", id).await.unwrap(), Some(kept));

    assert_eq!(store.commit(change(old, 60)).await, Err(QueueError::Overtaken(id)));
    assert_eq!(store.commit(vec![Step::Delete(old)]).await, Err(QueueError::Overtaken(id)));
    store.commit(vec![Step::Delete(new)]).await.unwrap();
    assert_eq!(store.commit(vec![Step::Delete(new)]).await, Err(QueueError::Overtaken(id)));
    assert_eq!(store.queues("").await.unwrap(), []);
    assert!(one(&store, put("q", 1, "")).await > id, "an id is never given again");
}

async fn commits_all_or_nothing(store: Store) {
    let id = one(&store, put("q", 10, "a")).await;
    let gone = MessageId(id.0 + 1000);
    let refused = store
        .commit(vec![
            put("new", 1, "x"),
            Step::Delete(Found { due_ms: 10, id }),
            Step::Delete(Found { due_ms: 10, id: gone }),
        ])
        .await;
    assert_eq!(refused, Err(QueueError::Overtaken(gone)));
    assert_eq!(store.queues("").await.unwrap().len(), 1);
    // As an event becomes the record of its end.
    store.commit(vec![Step::Delete(Found { due_ms: 10, id }), put("new", 1, "x")]).await.unwrap();
    assert_eq!(store.queues("").await.unwrap()[0].queue, "new");
}

async fn keeps_bodies_of_every_size(store: Store) {
    for bytes in [0, 1, 1999, 2000, 2001, 4096, 70_000, QUEUE_BODY_BYTES] {
        let body = Bytes::from((0..bytes).map(|n| (n % 251) as u8).collect::<Vec<u8>>());
        let id = one(&store, put("q", 1, body.clone())).await;
        let due = store.due(look("q", 1)).await.unwrap();
        assert!(due.messages.len() == 1 && due.messages[0].body == body, "{bytes} bytes");
        let changed = Step::Change { found: due.messages[0].found, due_ms: 2, head: Bytes::new() };
        store.commit(vec![changed]).await.unwrap();
        assert!(store.get("q", id).await.unwrap().unwrap().body == body, "{bytes} bytes, after a change");
        store.commit(vec![Step::Delete(Found { due_ms: 2, id })]).await.unwrap();
    }
}

async fn refuses_what_breaks_a_bound(store: Store) {
    let with_head = |bytes| Step::Put { queue: "q".into(), due_ms: 0, head: vec![0; bytes].into(), body: Bytes::new() };
    let found = Found { due_ms: 0, id: MessageId(1) };
    let refused = [
        vec![],
        vec![put("", 0, "")],
        vec![put(&"q".repeat(QUEUE_NAME_BYTES + 1), 0, "")],
        vec![with_head(QUEUE_HEAD_BYTES + 1)],
        vec![put("q", 0, vec![0; QUEUE_BODY_BYTES + 1])],
        vec![Step::Delete(found), Step::Delete(found)],
        (0..=QUEUE_COMMIT_STEPS).map(|_| put("q", 0, "")).collect(),
    ];
    for steps in refused {
        let count = steps.len();
        let answer = store.commit(steps).await;
        assert!(matches!(answer, Err(QueueError::Refused(_))), "{count} steps: {answer:?}");
    }
    assert_eq!(store.queues("").await.unwrap(), []);
    store.commit(vec![put(&"q".repeat(QUEUE_NAME_BYTES), 0, ""), with_head(QUEUE_HEAD_BYTES)]).await.unwrap();
}

async fn one_of_many_rivals_gets_a_message(store: Store) {
    const RIVALS: i64 = 40;
    let id = one(&store, put("q", 0, "")).await;
    let mut rivals = JoinSet::new();
    for rival in 1..=RIVALS {
        let store = Arc::clone(&store);
        rivals.spawn(async move {
            let found = Found { due_ms: 0, id };
            store.commit(vec![Step::Change { found, due_ms: rival, head: Bytes::new() }]).await.is_ok()
        });
    }
    assert_eq!(rivals.join_all().await.into_iter().filter(|won| *won).count(), 1);
}

async fn purges_what_is_there(store: Store) {
    for _ in 0..5 {
        store.commit((0..900).map(|n| put("q", n, "x")).collect()).await.unwrap();
    }
    store.commit(vec![put("q", 0, vec![0; 5000]), put("p", 0, "stays")]).await.unwrap();
    assert_eq!(store.purge("q").await.unwrap(), 4501);
    assert_eq!(store.purge("q").await.unwrap(), 0);
    assert_eq!(store.queues("").await.unwrap(), [Depth { queue: "p".into(), messages: 1, first_due_ms: 0 }]);
    one(&store, put("q", 3, "after")).await;
    assert_eq!(bodies(&store.due(look("q", 9)).await.unwrap()), ["after"]);
    let newest = store.newest().await.unwrap();
    one(&store, put("q", 3, "later")).await;
    assert_eq!(store.purge_to("q", newest).await.unwrap(), 1);
    assert_eq!(bodies(&store.due(look("q", 9)).await.unwrap()), ["later"]);
}

/// Random commits, against the simplest thing that could be right.
async fn agrees_with_a_plain_map(store: Store) {
    let mut expected: BTreeMap<Found, (String, Bytes)> = BTreeMap::new();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = move |bound: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    for round in 0..600_u64 {
        let queue = format!("q{}", below(3));
        let chosen = expected.keys().nth(below(expected.len().max(1) as u64) as usize).copied();
        let due_ms = below(50) as i64;
        match (below(5), chosen) {
            (0, Some(found)) => {
                store.commit(vec![Step::Delete(found)]).await.unwrap();
                expected.remove(&found);
            }
            (1, Some(found)) => {
                store.commit(vec![Step::Change { found, due_ms, head: Bytes::new() }]).await.unwrap();
                let kept = expected.remove(&found).unwrap();
                expected.insert(Found { due_ms, id: found.id }, kept);
            }
            _ => {
                let body = Bytes::from(vec![b'x'; below(3) as usize * 1500 + round as usize % 7]);
                let id = one(&store, put(&queue, due_ms, body.clone())).await;
                expected.insert(Found { due_ms, id }, (queue.clone(), body));
            }
        }
        let until_ms = below(60) as i64;
        let due = store.due(look(&queue, until_ms)).await.unwrap();
        let own = || expected.iter().filter(|(_, (name, _))| *name == queue);
        let founds: Vec<Found> = due.messages.iter().map(|message| message.found).collect();
        let expected_founds: Vec<Found> = own().map(|(found, _)| *found).filter(|f| f.due_ms <= until_ms).collect();
        assert_eq!(founds, expected_founds.into_iter().take(100).collect::<Vec<_>>(), "round {round}");
        for message in &due.messages {
            assert!(message.body == expected[&message.found].1, "round {round}");
        }
        let deep = store.queues(&queue).await.unwrap().first().map_or(0, |depth| depth.messages);
        assert_eq!(deep, own().count() as u64, "round {round}");
    }
}
