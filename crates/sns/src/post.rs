//! What is published reaches its subscribers' parcels in one commit; of FIFO topics that commit keeps also what counts once.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use hearth_api::ApiError;
use hearth_delivery::Posting;
use hearth_store::{Found, Look, MessageId, Once, QueueError, Step};
use hearth_types::digest::CodeDigest;
use hearth_types::limits::{SNS_BATCH, SNS_DEDUPLICATION_MS, SNS_FORGET_STEP};
use serde::{Deserialize, Serialize};

use crate::Sns;
use crate::errors::unavailable;
use crate::publish::{Published, Ready};
use crate::record::Topic;
use crate::store::busy;

/// A publication that counts once, as the queues keep it until its time is over.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Kept {
    deduplication: String,
    message_id: String,
    sequence: String,
}

/// What becomes of an entry.
enum Draft {
    /// It goes to whoever listens.
    New {
        published: Published,
        kept: Option<Kept>,
        posting: Posting,
    },
    /// It was published before, as it turned out, or is the same as this other entry.
    Known(Published),
    SameAs(usize),
}

/// The queue that keeps what was published once to a topic: nobody works on it, and what is due in it is over.
fn kept_of(topic: &Topic) -> String {
    // Names of topics are as long as those of queues.
    format!("topic-once/{}", CodeDigest::of(format!("{} {}", topic.created_ms, topic.name).as_bytes()))
}

/// What makes it be taken once: by its topic; one of that name from before is another.
fn once(topic: &Topic, deduplication: &str, now_ms: i64) -> Once {
    let said = format!("topic {} {} {deduplication}", topic.created_ms, topic.name);
    let key = CodeDigest::of(said.as_bytes()).to_string().into();
    Once { key, now_ms, until_ms: now_ms.saturating_add(SNS_DEDUPLICATION_MS) }
}

impl Sns {
    /// Posts all of it in one commit.
    pub(crate) async fn send(&self, topic: &Topic, entries: Vec<Ready>) -> Result<Vec<Published>, ApiError> {
        let mut drafts = self.drafts(topic, entries).await?;
        let (queue, mut over) = (kept_of(topic), self.over(topic).await?);
        // Each round that is not the last finds an entry that was published before, or that somebody else forgets as well.
        for _ in 0..SNS_BATCH + 2 {
            let steps = self.steps(topic, &drafts, &over);
            if steps.is_empty() {
                return Ok(self.told(drafts));
            }
            match self.parts.queues.commit(steps).await {
                Ok(_) => return Ok(self.told(drafts)),
                Err(QueueError::PutBefore(id)) => self.mark_known(&queue, id, &mut drafts).await?,
                Err(QueueError::Overtaken(_)) => over.clear(),
                Err(cause) => return Err(unavailable(&cause)),
            }
        }
        Err(busy())
    }

    /// Forgets what was published once to a topic that is gone.
    pub(crate) async fn forget_kept(&self, topic: &Topic) -> Result<(), ApiError> {
        self.parts.queues.purge(&kept_of(topic)).await.map(|_| ()).map_err(|cause| unavailable(&cause))
    }

    async fn drafts(&self, topic: &Topic, entries: Vec<Ready>) -> Result<Vec<Draft>, ApiError> {
        let subscriptions = self.all_of(&topic.name).await?;
        let listening = || subscriptions.iter().map(|one| &one.record).filter(|one| one.is_confirmed);
        let (mut drafts, mut places) = (Vec::new(), HashMap::new());
        for (place, ready) in entries.into_iter().enumerate() {
            if let Some(deduplication) = &ready.deduplication
                && let Some(first) = places.get(deduplication)
            {
                drafts.push(Draft::SameAs(*first));
                continue;
            }
            let sequence = topic.is_fifo().then(|| self.sequence.next(self.now_ms()));
            let parcels = listening().filter_map(|one| self.parcel(topic, one, &ready, sequence.as_deref()));
            let posting = self.parts.outbox.prepare(parcels.collect()).await;
            let published = Published { message_id: ready.message_id, sequence };
            let kept = ready.deduplication.map(|deduplication| {
                places.insert(deduplication.clone(), place);
                let Published { message_id, sequence } = published.clone();
                Kept { deduplication, message_id, sequence: sequence.unwrap_or_default() }
            });
            drafts.push(Draft::New { published, kept, posting });
        }
        Ok(drafts)
    }

    /// What is kept though its time is over, as much as goes with the next commit: more than that puts.
    async fn over(&self, topic: &Topic) -> Result<Vec<Found>, ApiError> {
        if !topic.is_fifo() {
            return Ok(Vec::new());
        }
        let (queue, until_ms) = (kept_of(topic), self.now_ms());
        let look = Look { queue, until_ms, skip: HashSet::new(), limit: SNS_FORGET_STEP, bytes: usize::MAX };
        let due = self.parts.queues.due(look).await.map_err(|cause| unavailable(&cause))?;
        Ok(due.messages.into_iter().map(|message| message.found).collect())
    }

    fn steps(&self, topic: &Topic, drafts: &[Draft], over: &[Found]) -> Vec<Step> {
        let now_ms = self.now_ms();
        let mut steps = Vec::new();
        for draft in drafts {
            let Draft::New { kept, posting, .. } = draft else { continue };
            steps.extend(kept.as_ref().map(|kept| {
                let once = once(topic, &kept.deduplication, now_ms);
                // Text alone can always be written.
                let body = Bytes::from(serde_json::to_vec(kept).unwrap_or_default());
                Step::PutFirst { queue: kept_of(topic), due_ms: once.until_ms, once, head: Bytes::new(), body }
            }));
            steps.extend(posting.steps.iter().cloned());
        }
        if !steps.is_empty() {
            steps.extend(over.iter().copied().map(Step::Delete));
        }
        steps
    }

    /// An entry was published before: it gets the answer of then, and goes to nobody.
    async fn mark_known(&self, queue: &str, id: MessageId, drafts: &mut [Draft]) -> Result<(), ApiError> {
        let found = self.parts.queues.get(queue, id).await.map_err(|cause| unavailable(&cause))?;
        // It goes when its time is over, or with its topic.
        let known: Kept = serde_json::from_slice(&found.ok_or_else(busy)?.body).map_err(|cause| unavailable(&cause))?;
        for draft in drafts {
            if let Draft::New { kept: Some(kept), .. } = draft
                && kept.deduplication == known.deduplication
            {
                let Kept { message_id, sequence, .. } = &known;
                let known = Published { message_id: message_id.clone(), sequence: Some(sequence.clone()) };
                *draft = Draft::Known(known);
            }
        }
        Ok(())
    }

    /// Tells those that parcels go to, and what to answer.
    fn told(&self, drafts: Vec<Draft>) -> Vec<Published> {
        let mut all: Vec<Published> = Vec::with_capacity(drafts.len());
        for draft in drafts {
            match draft {
                Draft::New { published, posting, .. } => {
                    self.parts.outbox.posted(posting);
                    all.push(published);
                }
                Draft::Known(published) => all.push(published),
                // The first one stands before it.
                Draft::SameAs(first) => all.extend(all.get(first).cloned()),
            }
        }
        all
    }
}
