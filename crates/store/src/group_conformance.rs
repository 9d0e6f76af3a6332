//! What every engine of queues must do with messages that are taken, and with those in groups.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test code that other crates' tests call")]

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use hearth_types::limits::{QUEUE_GROUP_NAME_BYTES, QUEUE_ONCE_BYTES};
use tokio::task::JoinSet;

use crate::{Count, Due, Found, MessageId, Once, QueueError, QueueStore, Step, Take};

type Store = Arc<dyn QueueStore>;

pub(crate) async fn groups(make: impl Fn() -> Store) {
    takes_what_is_due_and_counts_it(make()).await;
    gives_each_to_one_of_many_takers(make()).await;
    keeps_the_order_of_a_group(make()).await;
    holds_a_group_while_one_of_it_is_taken(make()).await;
    puts_once(make()).await;
    does_nothing_where_a_key_holds(make()).await;
    refuses_names_that_are_too_long(make()).await;
    removes_from_groups(make()).await;
    agrees_with_plain_lists(make()).await;
}

fn put(body: &str, due_ms: i64) -> Step {
    Step::Put { queue: "q".into(), due_ms, head: Bytes::new(), body: body.to_owned().into() }
}

fn put_in(group: &str, body: &str, due_ms: i64) -> Step {
    let (queue, group, body) = ("q".into(), group.to_owned(), body.to_owned().into());
    Step::PutInGroup { queue, group, once: None, due_ms, head: Bytes::new(), body }
}

fn take(now_ms: i64, again_ms: i64, limit: usize) -> Take {
    Take { queue: "q".into(), now_ms, again_ms, limit, bytes: usize::MAX }
}

fn bodies(due: &Due) -> Vec<&str> {
    due.messages.iter().map(|message| std::str::from_utf8(&message.body).unwrap()).collect()
}

async fn takes_what_is_due_and_counts_it(store: Store) {
    assert_eq!(store.take(take(9, 10, 5)).await.unwrap(), Due::default());
    store.commit(vec![put("a", 1), put("b", 2), put("c", 30)]).await.unwrap();
    let first = store.take(take(10, 20, 1)).await.unwrap();
    assert_eq!((bodies(&first), first.next_ms), (vec!["a"], Some(2)));
    let message = &first.messages[0];
    assert_eq!((message.found.due_ms, message.takes, message.first_taken_ms), (20, 1, Some(10)));
    assert_eq!(store.get("q", message.found.id).await.unwrap().as_ref(), Some(message));
    assert_eq!(store.count("q", 10).await.unwrap(), Count { due: 1, later: 2, taken: 1 });

    let second = store.take(take(20, 40, 9)).await.unwrap();
    assert_eq!((bodies(&second), second.next_ms), (vec!["b", "a"], Some(30)));
    assert_eq!((second.messages[1].takes, second.messages[1].first_taken_ms), (2, Some(10)));
    // Who took it first has it no more.
    let stale = store.commit(vec![Step::Delete(message.found)]).await;
    assert_eq!(stale, Err(QueueError::Overtaken(message.found.id)));
    store.commit(vec![Step::Delete(second.messages[1].found)]).await.unwrap();

    let mut small = take(50, 60, 9);
    small.bytes = 0;
    store.commit(vec![put_in("g", "d", 3)]).await.unwrap();
    assert_eq!(bodies(&store.take(small.clone()).await.unwrap()), ["c"], "the first, however large it is");
    assert_eq!(bodies(&store.take(small.clone()).await.unwrap()), ["b"]);
    assert_eq!(bodies(&store.take(small).await.unwrap()), ["d"]);
}

async fn gives_each_to_one_of_many_takers(store: Store) {
    for round in 0..10 {
        let new = |n: i32| match n % 2 {
            0 => put(&format!("{round}-{n}"), 0),
            _ => put_in(&format!("group {n}"), &format!("{round}-{n}"), 0),
        };
        store.commit((0..50).map(new).collect()).await.unwrap();
    }
    let mut takers = JoinSet::new();
    for _ in 0..40 {
        let store = Arc::clone(&store);
        takers.spawn(async move {
            let mut taken = Vec::new();
            loop {
                let due = store.take(take(1, 100, 7)).await.unwrap();
                if due.messages.is_empty() {
                    return taken;
                }
                for message in &due.messages {
                    // Each is the first of its group, so that the next of it is to come.
                    store.commit(vec![Step::Delete(message.found)]).await.unwrap();
                }
                taken.extend(due.messages.into_iter().map(|message| message.body));
            }
        });
    }
    let taken: Vec<Bytes> = takers.join_all().await.into_iter().flatten().collect();
    let distinct: HashSet<&Bytes> = taken.iter().collect();
    assert_eq!((taken.len(), distinct.len()), (500, 500));
    assert_eq!(store.queues("").await.unwrap(), []);
}

async fn keeps_the_order_of_a_group(store: Store) {
    // The second is due before the first.
    store.commit(vec![put_in("g", "1", 50), put_in("g", "2", 10), put_in("g", "3", 90)]).await.unwrap();
    let due = store.take(take(20, 99, 9)).await.unwrap();
    assert_eq!((bodies(&due), due.next_ms), (vec![], Some(50)));
    let due = store.take(take(60, 99, 9)).await.unwrap();
    assert_eq!((bodies(&due), due.next_ms), (vec!["1", "2"], Some(99)));
    assert_eq!(due.messages[0].group.as_deref(), Some("g"));
    assert_eq!(store.take(take(95, 99, 9)).await.unwrap().messages, [], "the third waits for those before it");
    store.commit(due.messages.iter().map(|message| Step::Delete(message.found)).collect()).await.unwrap();
    assert_eq!(bodies(&store.take(take(95, 99, 9)).await.unwrap()), ["3"]);
}

async fn holds_a_group_while_one_of_it_is_taken(store: Store) {
    store.commit((1..=4).map(|n| put_in("g", &n.to_string(), 0)).collect()).await.unwrap();
    store.commit(vec![put_in("h", "other", 0)]).await.unwrap();
    let due = store.take(take(1, 50, 3)).await.unwrap();
    assert_eq!((bodies(&due), due.next_ms), (vec!["1", "2", "3"], Some(0)));
    assert_eq!(bodies(&store.take(take(2, 60, 9)).await.unwrap()), ["other"]);
    let step = |n: usize, due_ms| Step::Change { found: due.messages[n].found, due_ms, head: Bytes::new() };
    // The first two are back, the third is still in work.
    store.commit(vec![step(0, 3), step(1, 3)]).await.unwrap();
    let none = store.take(take(5, 60, 9)).await.unwrap();
    assert_eq!((bodies(&none), none.next_ms), (vec![], Some(50)));
    store.commit(vec![Step::Delete(due.messages[2].found)]).await.unwrap();
    let again = store.take(take(5, 70, 2)).await.unwrap();
    assert_eq!(bodies(&again), ["1", "2"]);
    store.commit(again.messages.iter().map(|message| Step::Delete(message.found)).collect()).await.unwrap();
    assert_eq!(bodies(&store.take(take(5, 70, 2)).await.unwrap()), ["4"]);
    // Due again without a word of the taker's.
    assert_eq!(bodies(&store.take(take(70, 80, 9)).await.unwrap()), ["other", "4"]);
}

async fn puts_once(store: Store) {
    let once = |key: &str, now_ms, until_ms| Some(Once { key: key.to_owned().into(), now_ms, until_ms });
    let put = |queue: &str, once| {
        let (queue, head) = (queue.into(), Bytes::new());
        vec![Step::PutInGroup { queue, group: "g".into(), once, due_ms: 0, head, body: "body".into() }]
    };
    let id = store.commit(put("q", once("k", 10, 20))).await.unwrap()[0];
    assert_eq!(store.commit(put("q", once("k", 19, 90))).await.unwrap(), [id]);
    assert_eq!(store.commit(put("p", once("k", 19, 90))).await.unwrap(), [id], "keys are one for all queues");
    assert!(store.commit(put("q", once("other", 19, 90))).await.unwrap()[0] > id);
    let twice = [put("q", once("new", 1, 9)), put("q", once("new", 1, 9))].concat();
    let ids = store.commit(twice).await.unwrap();
    assert_eq!(ids[0], ids[1], "in one commit too");
    assert_eq!(store.count("q", 0).await.unwrap().due, 3);
    store.purge("q").await.unwrap();
    assert_eq!(store.commit(put("q", once("k", 19, 90))).await.unwrap(), [id], "though it is gone");
    assert!(store.commit(put("q", once("k", 20, 90))).await.unwrap()[0] > id);
    assert_eq!(store.count("q", 0).await.unwrap().due, 1);
    for n in 0..100 {
        store.commit(put("q", once(&format!("{n}"), 1000 + n, 1001 + n))).await.unwrap();
    }
    assert_eq!(store.count("q", 0).await.unwrap().due, 101);
}

async fn does_nothing_where_a_key_holds(store: Store) {
    let first = |key: &str, now_ms, until_ms| {
        let once = Once { key: key.to_owned().into(), now_ms, until_ms };
        Step::PutFirst { queue: "q".into(), once, due_ms: until_ms, head: Bytes::new(), body: key.to_owned().into() }
    };
    let id = store.commit(vec![first("k", 10, 20), put("beside", 0)]).await.unwrap()[0];
    assert_eq!(store.get("q", id).await.unwrap().unwrap().body, "k");
    for steps in [vec![put("a", 0), first("k", 19, 90)], vec![first("new", 19, 90), first("k", 19, 90)]] {
        assert_eq!(store.commit(steps).await, Err(QueueError::PutBefore(id)));
    }
    assert_eq!(store.count("q", 99).await.unwrap().due, 2, "all of it or none");
    let twice = store.commit(vec![first("same", 19, 90), first("same", 19, 90)]).await;
    assert!(matches!(twice, Err(QueueError::Refused(_))), "{twice:?}");
    assert!(store.commit(vec![first("new", 19, 90), first("k", 20, 90)]).await.unwrap()[1] > id, "its time is over");
}

async fn refuses_names_that_are_too_long(store: Store) {
    let step = |group: usize, key: usize| {
        let once = Some(Once { key: vec![b'k'; key].into(), now_ms: 0, until_ms: 9 });
        let (queue, group) = ("q".into(), "g".repeat(group));
        Step::PutInGroup { queue, group, once, due_ms: 0, head: Bytes::new(), body: Bytes::new() }
    };
    for (group, key) in [(0, 1), (QUEUE_GROUP_NAME_BYTES + 1, 1), (1, 0), (1, QUEUE_ONCE_BYTES + 1)] {
        let answer = store.commit(vec![put("a", 0), step(group, key)]).await;
        assert!(matches!(answer, Err(QueueError::Refused(_))), "{group}, {key}: {answer:?}");
    }
    assert_eq!(store.queues("").await.unwrap(), []);
    store.commit(vec![step(QUEUE_GROUP_NAME_BYTES, QUEUE_ONCE_BYTES)]).await.unwrap();
}

async fn removes_from_groups(store: Store) {
    store.commit(vec![put_in("g", "1", 0), put_in("g", "2", 5), put_in("h", "3", 9), put("4", 2)]).await.unwrap();
    assert_eq!(store.expire("q", 2).await.unwrap(), 2);
    assert_eq!(store.queues("").await.unwrap()[0].messages, 2);
    let due = store.take(take(9, 20, 9)).await.unwrap();
    assert_eq!((bodies(&due), due.next_ms), (vec!["2", "3"], Some(20)));
    assert_eq!(store.expire("q", 19).await.unwrap(), 0, "they are held");
    assert_eq!(store.purge("q").await.unwrap(), 2);
    assert_eq!(store.queues("").await.unwrap(), []);
    assert_eq!(store.take(take(99, 100, 9)).await.unwrap(), Due::default());
    store.commit(vec![put_in("g", "5", 0)]).await.unwrap();
    assert_eq!(bodies(&store.take(take(9, 20, 9)).await.unwrap()), ["5"], "nobody holds the group any more");
}

/// What the reference knows of a message.
#[derive(Clone, Debug)]
struct Known {
    id: MessageId,
    due_ms: i64,
    takes: u32,
}

#[derive(Default)]
struct Lists(BTreeMap<String, Vec<Known>>);

impl Lists {
    /// How many of a group can be taken, and since when.
    fn open(&self, group: &str, now_ms: i64) -> Option<(usize, i64)> {
        let list = &self.0[group];
        let held = list.iter().filter(|known| known.takes > 0).map(|known| known.due_ms);
        let turn_ms = held.chain(list.first().map(|known| known.due_ms)).max()?;
        let count = list.iter().take_while(|known| known.due_ms <= now_ms).count();
        (turn_ms <= now_ms).then_some((count, turn_ms))
    }

    /// A look at all of it: the groups in the order of their turns, each in the order of its messages.
    fn check(&mut self, due: &Due, now_ms: i64, again_ms: i64, limit: usize) {
        let open: BTreeMap<String, (usize, i64)> =
            self.0.keys().filter_map(|group| Some((group.clone(), self.open(group, now_ms)?))).collect();
        let all: usize = open.values().map(|(count, _)| count).sum();
        assert_eq!(due.messages.len(), all.min(limit));
        let mut seen: Vec<(String, Vec<MessageId>)> = Vec::new();
        for message in &due.messages {
            let group = message.group.clone().unwrap();
            match seen.last_mut().filter(|(last, _)| *last == group) {
                Some((_, ids)) => ids.push(message.found.id),
                None => seen.push((group, vec![message.found.id])),
            }
        }
        for (place, (group, ids)) in seen.iter().enumerate() {
            let (count, turn_ms) = open[group];
            let expected: Vec<MessageId> = self.0[group].iter().take(ids.len()).map(|known| known.id).collect();
            assert_eq!(*ids, expected, "{group} is in its order");
            assert!(ids.len() == count || place + 1 == seen.len(), "only the last one is cut");
            let others = open.iter().filter(|(other, _)| !seen[..=place].iter().any(|(name, _)| name == *other));
            assert!(others.into_iter().all(|(_, (_, other_ms))| *other_ms >= turn_ms), "{group} came first");
        }
        let taken: HashSet<MessageId> = due.messages.iter().map(|message| message.found.id).collect();
        for known in self.0.values_mut().flatten().filter(|known| taken.contains(&known.id)) {
            (known.due_ms, known.takes) = (again_ms, known.takes + 1);
        }
    }
}

/// Random work on groups, against the simplest thing that could be right.
async fn agrees_with_plain_lists(store: Store) {
    let mut lists = Lists::default();
    let mut state = 0x1234_5678_9abc_def1_u64;
    let mut below = move |bound: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    let mut now_ms = 0;
    for _ in 0..1500 {
        now_ms += below(4) as i64;
        let chosen: Vec<(String, Known)> = lists
            .0
            .iter()
            .flat_map(|(group, list)| list.iter().map(move |known| (group.clone(), known.clone())))
            .collect();
        let chosen = chosen.get(below(chosen.len().max(1) as u64) as usize).cloned();
        match (below(6), chosen) {
            (0..=2, _) => {
                let group = format!("g{}", below(5));
                let due_ms = now_ms + below(3) as i64 * 5;
                let id = store.commit(vec![put_in(&group, "body", due_ms)]).await.unwrap()[0];
                lists.0.entry(group).or_default().push(Known { id, due_ms, takes: 0 });
            }
            (3, Some((group, known))) if known.takes > 0 => {
                store.commit(vec![Step::Delete(Found { due_ms: known.due_ms, id: known.id })]).await.unwrap();
                lists.0.get_mut(&group).unwrap().retain(|other| other.id != known.id);
            }
            (4, Some((group, known))) if known.takes > 0 => {
                let (found, due_ms) = (Found { due_ms: known.due_ms, id: known.id }, now_ms + below(9) as i64);
                store.commit(vec![Step::Change { found, due_ms, head: Bytes::new() }]).await.unwrap();
                let list = lists.0.get_mut(&group).unwrap();
                list.iter_mut().filter(|other| other.id == known.id).for_each(|other| other.due_ms = due_ms);
            }
            _ => {
                let (again_ms, limit) = (now_ms + 1 + below(9) as i64, 1 + below(5) as usize);
                let due = store.take(take(now_ms, again_ms, limit)).await.unwrap();
                lists.check(&due, now_ms, again_ms, limit);
            }
        }
    }
    assert_eq!(store.queues("").await.unwrap()[0].messages, lists.0.values().map(Vec::len).sum::<usize>() as u64);
}
