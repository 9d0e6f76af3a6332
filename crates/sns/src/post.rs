//! What is published reaches its subscribers' parcels in one commit; of FIFO topics that commit keeps also what counts once.
//! What does not fit into one commit are several, each of whole publications.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use hearth_api::ApiError;
use hearth_delivery::Posting;
use hearth_store::{Found, Look, MessageId, Once, QueueError, Step};
use hearth_types::digest::CodeDigest;
use hearth_types::limits::{QUEUE_COMMIT_STEPS, SNS_BATCH, SNS_DEDUPLICATION_MS, SNS_FORGET_STEP};
use serde::{Deserialize, Serialize};

use crate::Sns;
use crate::errors::unavailable;
use crate::publish::{Published, Ready};
use crate::record::{TOPICS, Topic};
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
    /// It is not published.
    Failed(ApiError),
}

impl Draft {
    /// What it takes of a commit.
    fn steps(&self) -> usize {
        match self {
            Self::New { kept, posting, .. } => usize::from(kept.is_some()) + posting.steps.len(),
            Self::Known(_) | Self::SameAs(_) | Self::Failed(_) => 0,
        }
    }
}

/// How many of the first drafts go into one commit: as many as fit beside what is forgotten with them, and one at least.
fn of_one_commit(drafts: &[Draft]) -> usize {
    let mut steps = SNS_FORGET_STEP;
    let fit = drafts.iter().take_while(|draft| {
        steps += draft.steps();
        steps <= QUEUE_COMMIT_STEPS
    });
    fit.count().max(1)
}

/// What the queues begin with that keep what was published once.
const KEPT: &str = "topic-once/";

/// The queue that keeps what was published once to a topic: nobody works on it, and what is due in it is over.
fn kept_of(topic: &Topic) -> String {
    // Names of topics are as long as those of queues.
    format!("{KEPT}{}", CodeDigest::of(format!("{} {}", topic.created_ms, topic.name).as_bytes()))
}

/// What makes it be taken once: by its topic; one of that name from before is another.
fn once(topic: &Topic, deduplication: &str, now_ms: i64) -> Once {
    let said = format!("topic {} {} {deduplication}", topic.created_ms, topic.name);
    let key = CodeDigest::of(said.as_bytes()).to_string().into();
    Once { key, now_ms, until_ms: now_ms.saturating_add(SNS_DEDUPLICATION_MS) }
}

impl Sns {
    /// Posts all of it, in order: what comes after one that failed is not published either.
    pub(crate) async fn send(
        &self,
        topic: &Topic,
        entries: Vec<Ready>,
    ) -> Result<Vec<Result<Published, ApiError>>, ApiError> {
        let mut drafts = self.drafts(topic, entries).await?;
        let mut rest = &mut drafts[..];
        while !rest.is_empty() {
            let (now, later) = rest.split_at_mut(of_one_commit(rest));
            if let Err(error) = self.commit(topic, now).await {
                now.iter_mut().chain(later).for_each(|draft| *draft = Draft::Failed(error.clone()));
                break;
            }
            rest = later;
        }
        Ok(self.told(drafts))
    }

    /// Posts some in one commit, or none of them.
    async fn commit(&self, topic: &Topic, drafts: &mut [Draft]) -> Result<(), ApiError> {
        let (queue, mut over) = (kept_of(topic), self.over(topic).await?);
        // Each round that is not the last finds an entry that was published before, or that somebody else forgets as well.
        for _ in 0..SNS_BATCH + 2 {
            let steps = self.steps(topic, drafts, &over);
            if steps.is_empty() {
                return Ok(());
            }
            match self.parts.queues.commit(steps).await {
                Ok(_) => return Ok(()),
                Err(QueueError::PutBefore(id)) => self.mark_known(&queue, id, drafts).await?,
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

    /// Forgets what was published once to topics that are gone, which a crash may have left. To be called at the start.
    ///
    /// # Errors
    /// When what there is cannot be read.
    pub async fn forget_the_gone(&self) -> Result<(), ApiError> {
        // Before the topics: what a new one keeps is not among these.
        let kept = self.parts.queues.queues(KEPT).await.map_err(|cause| unavailable(&cause))?;
        if kept.is_empty() {
            return Ok(());
        }
        let topics = self.records.all::<Topic>(TOPICS, Topic::is_fifo).await?;
        let known: HashSet<String> = topics.iter().map(kept_of).collect();
        for gone in kept.into_iter().filter(|kept| !known.contains(&kept.queue)) {
            self.parts.queues.purge(&gone.queue).await.map_err(|cause| unavailable(&cause))?;
        }
        Ok(())
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
    fn told(&self, drafts: Vec<Draft>) -> Vec<Result<Published, ApiError>> {
        let mut all: Vec<Result<Published, ApiError>> = Vec::with_capacity(drafts.len());
        for draft in drafts {
            match draft {
                Draft::New { published, posting, .. } => {
                    self.parts.outbox.posted(posting);
                    all.push(Ok(published));
                }
                Draft::Known(published) => all.push(Ok(published)),
                // The first one stands before it.
                Draft::SameAs(first) => all.extend(all.get(first).cloned()),
                Draft::Failed(error) => all.push(Err(error)),
            }
        }
        all
    }
}
