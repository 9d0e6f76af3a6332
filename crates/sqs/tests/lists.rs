//! Random work on queues, against the plainest lists: FIFO queues keep the order of each group, have one receiver of a
//! group at a time, accept what is sent twice once, and lose nothing; standard queues lose nothing and give nothing twice.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test's helpers fail by panicking")]

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use hearth_api::Map;
use hearth_api::sqs::types as api;
use hearth_clock::Clock;
use hearth_identity::policy::{Context, Principal};
use hearth_identity::{Caller, Rights};
use hearth_sqs::{Parts, Sqs};
use hearth_store::{MemoryQueueStore, MemoryStore};
use hearth_types::Place;

const FIVE_MINUTES_MS: i64 = 300_000;
const VISIBILITY_MS: i64 = 20_000;

struct World {
    sqs: Arc<Sqs>,
    clock: Clock,
    caller: Caller,
    random: u64,
}

/// A message that is there.
#[derive(Clone, Debug)]
struct Known {
    id: String,
    body: String,
    /// Until when it is invisible, and the handle of who has it.
    held: Option<(i64, String)>,
}

impl World {
    fn new(seed: u64) -> Self {
        let clock = Clock::manual(1_700_000_000_000);
        let sqs = Sqs::new(Parts {
            place: Place { region: "us-east-1".into(), account: "000000000000".into() },
            metadata: Arc::new(MemoryStore::default()),
            queues: Arc::new(MemoryQueueStore::default()),
            clock: clock.clone(),
        });
        let caller = Caller::new(Principal::Anonymous, "", Rights::Everything, Context::default());
        Self { sqs, clock, caller, random: seed }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % bound
    }

    async fn pass(&mut self) {
        let by = Duration::from_millis(self.below(15_000));
        self.clock.advance(by, Duration::from_secs(60)).await.unwrap();
    }

    async fn create(&self, name: &str, attributes: &[(&str, &str)]) {
        let attributes: Map<String> =
            attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let input =
            api::CreateQueueRequest { queue_name: name.to_owned(), attributes: Some(attributes), ..Default::default() };
        self.sqs.create_queue(&self.caller, input, "http://here").await.unwrap();
    }

    async fn send(&self, queue: &str, body: &str, place: Option<(&str, &str)>) -> api::SendMessageResult {
        let input = api::SendMessageRequest {
            queue_url: queue.to_owned(),
            message_body: body.to_owned(),
            message_group_id: place.map(|(group, _)| group.to_owned()),
            message_deduplication_id: place.map(|(_, id)| id.to_owned()),
            ..Default::default()
        };
        self.sqs.send_message(&self.caller, input).await.unwrap()
    }

    async fn receive(&self, queue: &str, most: i32) -> Vec<api::Message> {
        let input = api::ReceiveMessageRequest {
            queue_url: queue.to_owned(),
            max_number_of_messages: Some(most),
            attribute_names: Some(vec![api::MessageSystemAttributeName::All]),
            ..Default::default()
        };
        self.sqs.receive_message(&self.caller, input).await.unwrap().messages.unwrap_or_default()
    }

    async fn delete(&self, queue: &str, handle: &str) -> bool {
        let input = api::DeleteMessageRequest { queue_url: queue.to_owned(), receipt_handle: handle.to_owned() };
        self.sqs.delete_message(&self.caller, input).await.is_ok()
    }
}

#[tokio::test]
async fn a_fifo_queue_does_what_plain_lists_do() {
    for seed in 1..=4 {
        let mut world = World::new(seed << 32 | 0x9e37_79b9);
        world.create("q.fifo", &[("FifoQueue", "true"), ("VisibilityTimeout", "20")]).await;
        let mut groups: BTreeMap<String, Vec<Known>> = BTreeMap::new();
        let mut sent: HashMap<String, (i64, String)> = HashMap::new();
        for round in 0..700_u64 {
            world.pass().await;
            let now_ms = world.clock.now_ms();
            match world.below(4) {
                0 | 1 => {
                    let (group, id) = (format!("g{}", world.below(4)), format!("d{}", world.below(60)));
                    let body = format!("{round}");
                    let answer = world.send("q.fifo", &body, Some((&group, &id))).await;
                    let told = answer.message_id.unwrap();
                    match sent.get(&id).filter(|(then_ms, _)| now_ms - then_ms < FIVE_MINUTES_MS) {
                        Some((_, first)) => assert_eq!(*first, told, "sent twice, it is the first"),
                        None => {
                            sent.insert(id, (now_ms, told.clone()));
                            groups.entry(group).or_default().push(Known { id: told, body, held: None });
                        }
                    }
                }
                2 => {
                    let most = 1 + world.below(10) as usize;
                    let received = world.receive("q.fifo", most as i32).await;
                    check(&mut groups, received, now_ms, most);
                }
                _ => {
                    let held: Vec<(String, Known)> = groups
                        .iter()
                        .flat_map(|(group, list)| list.iter().map(|known| (group.clone(), known.clone())))
                        .filter(|(_, known)| known.held.is_some())
                        .collect();
                    let Some((group, known)) = held.get(world.below(held.len().max(1) as u64) as usize) else {
                        continue;
                    };
                    let (until_ms, handle) = known.held.clone().unwrap();
                    assert_eq!(world.delete("q.fifo", &handle).await, until_ms > now_ms, "as long as it is invisible");
                    if until_ms > now_ms {
                        groups.get_mut(group).unwrap().retain(|other| other.id != known.id);
                    }
                }
            }
        }
    }
}

/// All that was received is the first of its group, in order; nobody has one of it; and no group that is free was left
/// out while there was room.
fn check(groups: &mut BTreeMap<String, Vec<Known>>, received: Vec<api::Message>, now_ms: i64, most: usize) {
    let is_held = |known: &Known| known.held.as_ref().is_some_and(|(until_ms, _)| *until_ms > now_ms);
    let free: BTreeMap<String, usize> = groups
        .iter()
        .filter(|(_, list)| !list.iter().any(is_held))
        .map(|(group, list)| (group.clone(), list.len()))
        .collect();
    assert_eq!(received.len(), free.values().sum::<usize>().min(most));
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for message in received {
        let group = message.attributes.as_ref().unwrap().iter().find(|(name, _)| *name == "MessageGroupId").unwrap();
        let group = group.1.clone();
        assert!(free.contains_key(&group), "{group} is in other hands");
        let place = places.entry(group.clone()).or_default();
        let known = &mut groups.get_mut(&group).unwrap()[*place];
        assert_eq!((&known.id, &known.body), (message.message_id.as_ref().unwrap(), message.body.as_ref().unwrap()));
        known.held = Some((now_ms + VISIBILITY_MS, message.receipt_handle.unwrap()));
        *place += 1;
    }
}

#[tokio::test]
async fn a_standard_queue_loses_nothing_and_gives_each_to_one() {
    let mut world = World::new(77);
    world.create("dead", &[]).await;
    let policy = r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":2}"#;
    world.create("q", &[("VisibilityTimeout", "20"), ("RedrivePolicy", policy)]).await;
    // How often each was received, and until when it is invisible.
    let mut known: BTreeMap<String, (u32, i64)> = BTreeMap::new();
    let mut deleted = 0;
    for round in 0..1500_u64 {
        world.pass().await;
        let now_ms = world.clock.now_ms();
        if world.below(3) > 0 {
            world.send("q", &round.to_string(), None).await;
            known.insert(round.to_string(), (0, 0));
            continue;
        }
        for message in world.receive("q", 10).await {
            let (receives, until_ms) = known.get_mut(message.body.as_ref().unwrap()).expect("it was deleted");
            assert!(*until_ms <= now_ms && *receives < 2, "{message:?}");
            (*receives, *until_ms) = (*receives + 1, now_ms + VISIBILITY_MS);
            if world.below(2) == 0 {
                assert!(world.delete("q", message.receipt_handle.as_ref().unwrap()).await);
                known.remove(message.body.as_ref().unwrap());
                deleted += 1;
            }
        }
    }
    world.clock.advance(Duration::from_secs(60), Duration::from_secs(60)).await.unwrap();
    // What is left is received until it has been twice; then the dead-letter queue has all of it.
    for _ in 0..3 {
        while !world.receive("q", 10).await.is_empty() {}
        world.clock.advance(Duration::from_secs(60), Duration::from_secs(60)).await.unwrap();
    }
    let mut left = Vec::new();
    loop {
        let letters = world.receive("dead", 10).await;
        if letters.is_empty() {
            break;
        }
        for letter in letters {
            assert!(world.delete("dead", letter.receipt_handle.as_ref().unwrap()).await);
            left.push(letter.body.unwrap());
        }
    }
    left.sort();
    assert_eq!(left, known.into_keys().collect::<Vec<_>>(), "{deleted} were deleted");
}
