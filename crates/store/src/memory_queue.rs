//! Queues in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::queue::check_steps;
use crate::{BoxFuture, Count, Depth, Due, Found, Look, Message, MessageId, Once, QueueError, QueueStore, Step, Take};

/// Queues in memory.
#[derive(Debug, Default)]
pub struct MemoryQueueStore {
    content: Mutex<Content>,
}

#[derive(Debug, Default)]
struct Content {
    last_id: u64,
    queues: BTreeMap<String, Queue>,
    /// Where each message is.
    places: HashMap<MessageId, (String, Found)>,
    /// Until when a key holds, and for which message.
    keys: HashMap<Bytes, (i64, MessageId)>,
}

#[derive(Debug, Default)]
struct Queue {
    messages: BTreeMap<Found, Message>,
    groups: BTreeMap<String, BTreeMap<MessageId, Found>>,
    /// When each group has its turn, but for fair ones.
    turns: BTreeSet<(i64, String)>,
    /// Whether its groups are fair.
    is_fair: bool,
}

impl MemoryQueueStore {
    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    fn commit(&mut self, steps: Vec<Step>) -> Result<Vec<MessageId>, QueueError> {
        check_steps(&steps)?;
        for step in &steps {
            if let Step::Change { found, .. } | Step::Delete(found) = step
                && self.places.get(&found.id).is_none_or(|(_, place)| place != found)
            {
                return Err(QueueError::Overtaken(found.id));
            }
        }
        for step in &steps {
            if let Step::PutFirst { once, .. } = step
                && let Some(id) = self.put_before(once)
            {
                return Err(QueueError::PutBefore(id));
            }
        }
        let mut put = Vec::new();
        for step in steps {
            match step {
                Step::Put { queue, due_ms, head, body } => put.push(self.put(queue, None, due_ms, head, body)),
                Step::PutFirst { queue, once, due_ms, head, body } => {
                    let id = self.put(queue, None, due_ms, head, body);
                    self.keys.insert(once.key, (once.until_ms, id));
                    put.push(id);
                }
                Step::PutInGroup { queue, group, once, due_ms, head, body } => {
                    put.push(match once.as_ref().and_then(|once| self.put_before(once)) {
                        Some(id) => id,
                        None => {
                            let id = self.put(queue, Some(group), due_ms, head, body);
                            self.keys.extend(once.map(|once| (once.key, (once.until_ms, id))));
                            id
                        }
                    });
                }
                Step::PutFairly { queue, group, due_ms, head, body } => {
                    self.queues.entry(queue.clone()).or_default().is_fair = true;
                    put.push(self.put(queue, Some(group), due_ms, head, body));
                }
                Step::Change { found, due_ms, head } => {
                    if let Some((queue, message)) = self.remove(found.id) {
                        self.insert(queue, Message { found: Found { due_ms, id: found.id }, head, ..message });
                    }
                }
                Step::Delete(found) => drop(self.remove(found.id)),
            }
        }
        Ok(put)
    }

    fn put(&mut self, queue: String, group: Option<String>, due_ms: i64, head: Bytes, body: Bytes) -> MessageId {
        self.last_id += 1;
        let found = Found { due_ms, id: MessageId(self.last_id) };
        self.insert(queue, Message { found, head, body, group, takes: 0, first_taken_ms: None });
        found.id
    }

    /// What was put under a key that still holds.
    fn put_before(&mut self, once: &Once) -> Option<MessageId> {
        self.keys.retain(|_, (until_ms, _)| *until_ms > once.now_ms);
        self.keys.get(&once.key).map(|(_, id)| *id)
    }

    fn insert(&mut self, name: String, message: Message) {
        self.places.insert(message.found.id, (name.clone(), message.found));
        let queue = self.queues.entry(name).or_default();
        if let Some(group) = message.group.clone() {
            queue.regroup(&group, |queue| {
                queue.groups.entry(group.clone()).or_default().insert(message.found.id, message.found);
                queue.messages.insert(message.found, message);
            });
        } else {
            queue.messages.insert(message.found, message);
        }
    }

    /// The queue that it was in, and what it was.
    fn remove(&mut self, id: MessageId) -> Option<(String, Message)> {
        let (name, found) = self.places.remove(&id)?;
        let queue = self.queues.get_mut(&name)?;
        let message = queue.messages.get(&found)?.clone();
        match message.group.clone() {
            None => drop(queue.messages.remove(&found)),
            Some(group) => queue.regroup(&group, |queue| {
                queue.messages.remove(&found);
                if let Some(members) = queue.groups.get_mut(&group) {
                    members.remove(&id);
                }
            }),
        }
        if queue.messages.is_empty() {
            self.queues.remove(&name);
        }
        Some((name, message))
    }

    fn due(&self, look: &Look) -> Due {
        let mut due = Due::default();
        let mut bytes = 0;
        let Some(queue) = self.queues.get(&look.queue) else { return due };
        let apart = queue.messages.values().filter(|message| message.group.is_none());
        for message in apart.filter(|message| !look.skip.contains(&message.found.id)) {
            bytes += message.body.len();
            let fits = due.messages.is_empty() || bytes <= look.bytes;
            if message.found.due_ms > look.until_ms || due.messages.len() >= look.limit || !fits {
                due.next_ms = Some(message.found.due_ms);
                break;
            }
            due.messages.push(message.clone());
        }
        due
    }

    fn take(&mut self, take: Take) -> Due {
        let Take { queue: name, now_ms, again_ms, limit, bytes } = take;
        let look = Look { queue: name.clone(), until_ms: now_ms, skip: Default::default(), limit, bytes };
        let mut taken = match self.queues.get(&name) {
            Some(queue) if queue.is_fair => queue.due_fairly(&look),
            _ => self.due(&look),
        };
        if let Some(queue) = self.queues.get(&name).filter(|queue| !queue.is_fair) {
            queue.due_in_groups(&look, &mut taken);
        }
        for message in &mut taken.messages {
            if let Some((name, _)) = self.remove(message.found.id) {
                message.found.due_ms = again_ms;
                message.takes = message.takes.saturating_add(1);
                message.first_taken_ms.get_or_insert(now_ms);
                self.insert(name, message.clone());
            }
        }
        let next_turn = self.queues.get(&name).and_then(|queue| queue.turns.first()).map(|(turn_ms, _)| *turn_ms);
        taken.next_ms = taken.next_ms.into_iter().chain(next_turn).min();
        if let Some(queue) = self.queues.get(&name).filter(|queue| queue.is_fair) {
            taken.next_ms = queue.messages.keys().map(|found| found.due_ms).min();
        }
        taken
    }

    fn drop_all(&mut self, queue: &str, is_meant: impl Fn(&Message) -> bool) -> u64 {
        let Some(known) = self.queues.get(queue) else { return 0 };
        let meant: Vec<MessageId> =
            known.messages.values().filter(|message| is_meant(message)).map(|message| message.found.id).collect();
        meant.iter().filter(|id| self.remove(**id).is_some()).count() as u64
    }
}

impl Queue {
    /// Does a change, and finds out anew when the group has its turn.
    fn regroup(&mut self, group: &str, change: impl FnOnce(&mut Self)) {
        self.turns.retain(|(_, name)| name != group);
        change(self);
        let first = self.members(group).next().map(|message| message.found.due_ms);
        let held = self.members(group).take_while(|message| message.takes > 0).map(|message| message.found.due_ms);
        match first.max(held.max()) {
            Some(_) if self.is_fair => {}
            Some(turn_ms) => drop(self.turns.insert((turn_ms, group.to_owned()))),
            None => drop(self.groups.remove(group)),
        }
    }

    /// In the order in which they were put.
    fn members<'a>(&'a self, group: &str) -> impl Iterator<Item = &'a Message> {
        let members = self.groups.get(group).into_iter().flatten();
        members.filter_map(|(_, found)| self.messages.get(found))
    }

    /// Of a queue with fair groups, one after another.
    fn due_fairly(&self, look: &Look) -> Due {
        let (due, later): (Vec<&Message>, Vec<&Message>) =
            self.messages.values().partition(|message| message.found.due_ms <= look.until_ms);
        let mut held: HashMap<&str, usize> = HashMap::new();
        for message in later.into_iter().filter(|message| message.takes > 0) {
            *held.entry(message.group.as_deref().unwrap_or_default()).or_default() += 1;
        }
        let (mut left, mut chosen, mut bytes) = (due, Vec::<Message>::new(), 0);
        while chosen.len() < look.limit {
            let of =
                |message: &Message| message.group.as_ref().and_then(|group| held.get(&**group)).copied().unwrap_or(0);
            let first = left.iter().enumerate().min_by_key(|(_, message)| (of(message), message.found));
            let Some(place) = first.map(|(place, _)| place) else { break };
            let message = left.remove(place);
            bytes += message.body.len();
            if bytes > look.bytes && !chosen.is_empty() {
                break;
            }
            if let Some(group) = &message.group {
                *held.entry(group).or_default() += 1;
            }
            chosen.push(message.clone());
        }
        Due { messages: chosen, next_ms: None }
    }

    fn due_in_groups(&self, look: &Look, due: &mut Due) {
        let mut bytes: usize = due.messages.iter().map(|message| message.body.len()).sum();
        for (_, group) in self.turns.iter().take_while(|(turn_ms, _)| *turn_ms <= look.until_ms) {
            for message in self.members(group).take_while(|message| message.found.due_ms <= look.until_ms) {
                bytes += message.body.len();
                if due.messages.len() >= look.limit || (bytes > look.bytes && !due.messages.is_empty()) {
                    return;
                }
                due.messages.push(message.clone());
            }
        }
    }
}

impl QueueStore for MemoryQueueStore {
    fn commit(&self, steps: Vec<Step>) -> BoxFuture<'_, Result<Vec<MessageId>, QueueError>> {
        Box::pin(async move { self.lock().commit(steps) })
    }

    fn take(&self, take: Take) -> BoxFuture<'_, Result<Due, QueueError>> {
        Box::pin(async move { Ok(self.lock().take(take)) })
    }

    fn due(&self, look: Look) -> BoxFuture<'_, Result<Due, QueueError>> {
        Box::pin(async move { Ok(self.lock().due(&look)) })
    }

    fn get<'a>(&'a self, queue: &'a str, id: MessageId) -> BoxFuture<'a, Result<Option<Message>, QueueError>> {
        Box::pin(async move {
            let content = self.lock();
            let Some((_, found)) = content.places.get(&id).filter(|(place, _)| place == queue) else {
                return Ok(None);
            };
            Ok(content.queues.get(queue).and_then(|queue| queue.messages.get(found)).cloned())
        })
    }

    fn count<'a>(&'a self, queue: &'a str, now_ms: i64) -> BoxFuture<'a, Result<Count, QueueError>> {
        Box::pin(async move {
            let content = self.lock();
            let Some(queue) = content.queues.get(queue) else { return Ok(Count::default()) };
            let later = queue.messages.values().filter(|message| message.found.due_ms > now_ms);
            let taken = later.clone().filter(|message| message.takes > 0).count() as u64;
            let later = later.count() as u64;
            Ok(Count { due: queue.messages.len() as u64 - later, later, taken })
        })
    }

    fn queues<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<Depth>, QueueError>> {
        Box::pin(async move {
            let content = self.lock();
            let named = content.queues.iter().filter(|(name, _)| name.starts_with(prefix));
            let depth = |(name, queue): (&String, &Queue)| {
                let (first, _) = queue.messages.first_key_value()?;
                let messages = queue.messages.len() as u64;
                Some(Depth { queue: name.clone(), messages, first_due_ms: first.due_ms })
            };
            Ok(named.filter_map(depth).collect())
        })
    }

    fn purge<'a>(&'a self, queue: &'a str) -> BoxFuture<'a, Result<u64, QueueError>> {
        Box::pin(async move { Ok(self.lock().drop_all(queue, |_| true)) })
    }

    fn newest(&self) -> BoxFuture<'_, Result<MessageId, QueueError>> {
        Box::pin(async move { Ok(MessageId(self.lock().last_id)) })
    }

    fn purge_to<'a>(&'a self, queue: &'a str, up_to: MessageId) -> BoxFuture<'a, Result<u64, QueueError>> {
        Box::pin(async move { Ok(self.lock().drop_all(queue, |message| message.found.id <= up_to)) })
    }

    fn expire<'a>(&'a self, queue: &'a str, until_ms: i64) -> BoxFuture<'a, Result<u64, QueueError>> {
        Box::pin(async move { Ok(self.lock().drop_all(queue, |message| message.found.due_ms <= until_ms)) })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn queues_conform() {
        crate::queue_conformance::queue_store(|| Arc::new(MemoryQueueStore::default())).await;
    }
}
