//! Queues in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::queue::check_steps;
use crate::{BoxFuture, Count, Depth, Due, Found, Look, Message, MessageId, QueueError, QueueStore, Step};

/// Queues in memory.
#[derive(Debug, Default)]
pub struct MemoryQueueStore {
    content: Mutex<Content>,
}

#[derive(Debug, Default)]
struct Content {
    last_id: u64,
    queues: BTreeMap<String, BTreeMap<Found, (Bytes, Bytes)>>,
    /// Where each message is.
    places: HashMap<MessageId, (String, Found)>,
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
        let mut put = Vec::new();
        for step in steps {
            match step {
                Step::Put { queue, due_ms, head, body } => {
                    self.last_id += 1;
                    let found = Found { due_ms, id: MessageId(self.last_id) };
                    self.insert(queue, found, head, body);
                    put.push(found.id);
                }
                Step::Change { found, due_ms, head } => {
                    if let Some((queue, body)) = self.remove(found.id) {
                        self.insert(queue, Found { due_ms, id: found.id }, head, body);
                    }
                }
                Step::Delete(found) => drop(self.remove(found.id)),
            }
        }
        Ok(put)
    }

    fn insert(&mut self, queue: String, found: Found, head: Bytes, body: Bytes) {
        self.places.insert(found.id, (queue.clone(), found));
        self.queues.entry(queue).or_default().insert(found, (head, body));
    }

    /// The queue that it was in, and its body.
    fn remove(&mut self, id: MessageId) -> Option<(String, Bytes)> {
        let (name, found) = self.places.remove(&id)?;
        let queue = self.queues.get_mut(&name)?;
        let (_, body) = queue.remove(&found)?;
        if queue.is_empty() {
            self.queues.remove(&name);
        }
        Some((name, body))
    }

    fn due(&self, look: &Look) -> Due {
        let mut due = Due::default();
        let mut bytes = 0;
        let Some(queue) = self.queues.get(&look.queue) else { return due };
        for (found, (head, body)) in queue.iter().filter(|(found, _)| !look.skip.contains(&found.id)) {
            bytes += body.len();
            let fits = due.messages.is_empty() || bytes <= look.bytes;
            if found.due_ms > look.until_ms || due.messages.len() >= look.limit || !fits {
                due.next_ms = Some(found.due_ms);
                break;
            }
            due.messages.push(Message { found: *found, head: head.clone(), body: body.clone() });
        }
        due
    }
}

impl QueueStore for MemoryQueueStore {
    fn commit(&self, steps: Vec<Step>) -> BoxFuture<'_, Result<Vec<MessageId>, QueueError>> {
        Box::pin(async move { self.lock().commit(steps) })
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
            let kept = content.queues.get(queue).and_then(|queue| queue.get(found));
            Ok(kept.map(|(head, body)| Message { found: *found, head: head.clone(), body: body.clone() }))
        })
    }

    fn count<'a>(&'a self, queue: &'a str, now_ms: i64) -> BoxFuture<'a, Result<Count, QueueError>> {
        Box::pin(async move {
            let content = self.lock();
            let Some(queue) = content.queues.get(queue) else { return Ok(Count::default()) };
            let due = queue.keys().take_while(|found| found.due_ms <= now_ms).count() as u64;
            Ok(Count { due, later: queue.len() as u64 - due })
        })
    }

    fn queues<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<Depth>, QueueError>> {
        Box::pin(async move {
            let content = self.lock();
            let named = content.queues.iter().filter(|(name, _)| name.starts_with(prefix));
            let depth = |(name, queue): (&String, &BTreeMap<Found, _>)| {
                let (first, _) = queue.first_key_value()?;
                Some(Depth { queue: name.clone(), messages: queue.len() as u64, first_due_ms: first.due_ms })
            };
            Ok(named.filter_map(depth).collect())
        })
    }

    fn purge<'a>(&'a self, queue: &'a str) -> BoxFuture<'a, Result<u64, QueueError>> {
        Box::pin(async move {
            let mut content = self.lock();
            let removed = content.queues.remove(queue).unwrap_or_default();
            for found in removed.keys() {
                content.places.remove(&found.id);
            }
            Ok(removed.len() as u64)
        })
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
