//! What every engine of queues must do with messages in fair groups.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test code that other crates' tests call")]

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use hearth_types::limits::QUEUE_GROUP_NAME_BYTES;

use crate::{Count, Due, Found, QueueError, QueueStore, Step, Take};

type Store = Arc<dyn QueueStore>;

pub(crate) async fn fair_groups(make: impl Fn() -> Store) {
    puts_groups_of_which_few_are_taken_first(make()).await;
    counts_as_taken_until_it_is_due_again_or_gone(make()).await;
    keeps_messages_without_a_group_among_them(make()).await;
    keeps_to_bounds(make()).await;
    agrees_with_a_plain_list(make()).await;
}

fn put(group: &str, body: &str, due_ms: i64) -> Step {
    let (queue, head, body) = ("q".into(), Bytes::new(), body.to_owned().into());
    match group {
        "" => Step::Put { queue, due_ms, head, body },
        group => Step::PutFairly { queue, group: group.into(), due_ms, head, body },
    }
}

fn take(now_ms: i64, again_ms: i64, limit: usize) -> Take {
    Take { queue: "q".into(), now_ms, again_ms, limit, bytes: usize::MAX }
}

fn bodies(due: &Due) -> Vec<&str> {
    due.messages.iter().map(|message| std::str::from_utf8(&message.body).unwrap()).collect()
}

async fn puts_groups_of_which_few_are_taken_first(store: Store) {
    store.commit((0..50).map(|n| put("loud", &format!("loud {n}"), n)).collect()).await.unwrap();
    let first = store.take(take(60, 100, 3)).await.unwrap();
    assert_eq!(bodies(&first), ["loud 0", "loud 1", "loud 2"], "any number of one group, the earliest first");
    assert_eq!(
        (first.messages[0].group.as_deref(), first.messages[0].takes, first.next_ms),
        (Some("loud"), 1, Some(3))
    );
    store.commit(vec![put("calm", "calm 0", 60), put("calm", "calm 1", 61)]).await.unwrap();
    store.commit((0..4).map(|n| put("slow", &format!("slow {n}"), 62)).collect()).await.unwrap();
    let next = store.take(take(70, 100, 7)).await.unwrap();
    assert_eq!(bodies(&next), ["calm 0", "slow 0", "calm 1", "slow 1", "slow 2", "loud 3", "slow 3"]);
    assert_eq!(store.count("q", 70).await.unwrap(), Count { due: 46, later: 10, taken: 10 });
}

async fn counts_as_taken_until_it_is_due_again_or_gone(store: Store) {
    store.commit(vec![put("a", "a0", 0), put("a", "a1", 0), put("a", "a2", 0)]).await.unwrap();
    let taken = store.take(take(1, 50, 2)).await.unwrap();
    assert_eq!(bodies(&taken), ["a0", "a1"]);
    store.commit(vec![put("b", "b0", 2), put("b", "b1", 2)]).await.unwrap();
    // One is gone, of the other it is said when it is due again: that is one that is taken, until then.
    let change = Step::Change { found: taken.messages[1].found, due_ms: 5, head: Bytes::new() };
    store.commit(vec![Step::Delete(taken.messages[0].found), change]).await.unwrap();
    assert_eq!(bodies(&store.take(take(3, 90, 1)).await.unwrap()), ["b0"]);
    assert_eq!(bodies(&store.take(take(4, 90, 1)).await.unwrap()), ["a2"], "one of each, this one since earlier");
    let rest = store.take(take(6, 90, 9)).await.unwrap();
    assert_eq!((bodies(&rest), rest.messages[1].takes), (vec!["b1", "a1"], 2));
    assert_eq!(bodies(&store.take(take(90, 95, 9)).await.unwrap()).len(), 4);
    assert_eq!((store.expire("q", 94).await.unwrap(), store.purge("q").await.unwrap()), (0, 4));
    store.commit(vec![put("a", "new", 0)]).await.unwrap();
    assert_eq!(bodies(&store.take(take(1, 2, 9)).await.unwrap()), ["new"]);
}

async fn keeps_messages_without_a_group_among_them(store: Store) {
    store.commit((0..6).map(|n| put("loud", &format!("loud {n}"), n * 10)).collect()).await.unwrap();
    store.commit(vec![put("", "alone 0", 5), put("", "alone 1", 6), put("calm", "calm", 7)]).await.unwrap();
    let due = store.take(take(60, 100, 7)).await.unwrap();
    assert_eq!(bodies(&due), ["loud 0", "alone 0", "alone 1", "calm", "loud 1", "loud 2", "loud 3"]);
    assert_eq!(due.messages[1].group, None);
    // Due again at once: each is taken once all the same.
    let at_once = store.take(take(100, 100, 20)).await.unwrap();
    assert_eq!(at_once.messages.len(), 9);
}

async fn keeps_to_bounds(store: Store) {
    let long = store.commit(vec![put(&"g".repeat(QUEUE_GROUP_NAME_BYTES + 1), "x", 0)]).await;
    assert!(matches!(long, Err(QueueError::Refused(_))), "{long:?}");
    store.commit(vec![put("a", "12345", 0), put("b", "12345", 1), put("", "12345", 2)]).await.unwrap();
    let mut small = take(9, 50, 9);
    small.bytes = 10;
    assert_eq!(store.take(small.clone()).await.unwrap().messages.len(), 2);
    small.bytes = 1;
    let last = store.take(small).await.unwrap();
    assert_eq!((last.messages.len(), last.next_ms), (1, Some(50)), "the first, however large it is");
    assert_eq!(store.take(take(49, 60, 9)).await.unwrap().messages, []);
}

/// What the reference knows of a message.
#[derive(Clone, Debug)]
struct Known {
    found: Found,
    group: String,
    takes: u32,
}

/// Random work, against a look at all that there is.
async fn agrees_with_a_plain_list(store: Store) {
    let mut list: Vec<Known> = Vec::new();
    let mut state = 0x0dd_ba11_5eed_u64;
    let mut below = move |bound: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    let mut now_ms = 0;
    for _ in 0..1500 {
        now_ms += below(4) as i64;
        let chosen = below(list.len().max(1) as u64) as usize;
        match (below(6), list.get(chosen).cloned()) {
            (0..=2, _) => {
                let group = ["", "a", "b", "c"][below(4) as usize];
                let due_ms = now_ms + below(3) as i64 * 5;
                let id = store.commit(vec![put(group, "body", due_ms)]).await.unwrap()[0];
                list.push(Known { found: Found { due_ms, id }, group: group.to_owned(), takes: 0 });
            }
            (3, Some(known)) if known.takes > 0 => {
                store.commit(vec![Step::Delete(known.found)]).await.unwrap();
                list.remove(chosen);
            }
            (4, Some(known)) if known.takes > 0 => {
                let due_ms = now_ms + below(9) as i64;
                store.commit(vec![Step::Change { found: known.found, due_ms, head: Bytes::new() }]).await.unwrap();
                list[chosen].found.due_ms = due_ms;
            }
            _ => {
                let (again_ms, limit) = (now_ms + 1 + below(9) as i64, 1 + below(5) as usize);
                let due = store.take(take(now_ms, again_ms, limit)).await.unwrap();
                check(&mut list, &due, now_ms, again_ms, limit);
            }
        }
    }
    assert_eq!(store.queues("").await.unwrap()[0].messages, list.len() as u64);
}

/// Each that was taken is of a group of which no fewer were taken than of any other that had something due, and is the
/// earliest of it.
fn check(list: &mut [Known], due: &Due, now_ms: i64, again_ms: i64, limit: usize) {
    let can = list.iter().filter(|known| known.found.due_ms <= now_ms).count();
    assert_eq!(due.messages.len(), can.min(limit));
    let mut held: BTreeMap<String, u32> = BTreeMap::new();
    for known in list.iter().filter(|known| known.found.due_ms > now_ms && known.takes > 0 && !known.group.is_empty()) {
        *held.entry(known.group.clone()).or_default() += 1;
    }
    for message in &due.messages {
        let of = |group: &str| held.get(group).copied().unwrap_or(0);
        let waits = list.iter().filter(|known| known.found.due_ms <= now_ms);
        let best = waits.map(|known| (of(&known.group), known.found.due_ms)).min().unwrap();
        let known = list.iter_mut().find(|known| known.found.id == message.found.id).unwrap();
        assert_eq!(message.group.as_deref().unwrap_or_default(), known.group);
        assert_eq!((of(&known.group), known.found.due_ms), best);
        if !known.group.is_empty() {
            *held.entry(known.group.clone()).or_default() += 1;
        }
        (known.found, known.takes) = (message.found, known.takes + 1);
        assert_eq!((message.found.due_ms, message.takes), (again_ms, known.takes));
    }
}
