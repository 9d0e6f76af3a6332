//! What goes: messages of a queue, a queue, and what is too old.

use std::sync::Arc;

use hearth_api::ApiError;
use hearth_api::sqs::{Operation, errors, types as api};
use hearth_crash::{self as crash, Point};
use hearth_identity::Caller;
use hearth_records::put;
use hearth_store::typed::{self, Loaded};
use hearth_store::{Precondition, Write};
use hearth_types::limits::{SQS_DELETED_MS, SQS_LIST_PAGE, SQS_PURGE_MS, SQS_SWEEP};
use tracing::error;

use crate::queue::{QUEUES, QueueRecord, key};
use crate::{Sqs, unavailable};

/// The prefix of what is kept of deleted queues: when it was, in milliseconds since 1970.
const DELETED: &str = "sqs-deleted/";

impl Sqs {
    /// PurgeQueue.
    ///
    /// # Errors
    /// QueueDoesNotExist; PurgeQueueInProgress for a minute.
    pub async fn purge_queue(&self, caller: &Caller, input: api::PurgeQueueRequest) -> Result<(), ApiError> {
        let now_ms = self.now_ms();
        let purged = |queue: &mut QueueRecord| {
            if queue.purged_ms.is_some_and(|then_ms| (then_ms..then_ms + SQS_PURGE_MS).contains(&now_ms)) {
                let text = format!("Only one PurgeQueue operation on {} is allowed every 60 seconds.", queue.name);
                return Err(ApiError::new(&errors::PURGE_QUEUE_IN_PROGRESS, text));
            }
            queue.purged_ms = Some(now_ms);
            Ok(())
        };
        let queue = self.change(caller, Operation::PurgeQueue, &input.queue_url, purged).await?;
        self.parts.queues.purge(&key(&queue.name)).await.map(drop).map_err(|cause| unavailable(&cause))
    }

    /// DeleteQueue: its messages go with it.
    ///
    /// # Errors
    /// QueueDoesNotExist.
    pub async fn delete_queue(&self, caller: &Caller, input: api::DeleteQueueRequest) -> Result<(), ApiError> {
        let queue = self.asked_for(caller, Operation::DeleteQueue, &input.queue_url).await?.record;
        let key = key(&queue.name);
        let note = put(format!("{DELETED}{}", queue.name), &self.now_ms(), Precondition::Any)?;
        let delete = Write::delete(key.as_str(), Precondition::Any);
        self.records.commit(vec![delete, note]).await?;
        crash::point(Point::QueueGone);
        self.in_flight.forget(&queue.name);
        self.parts.queues.purge(&key).await.map(drop).map_err(|cause| unavailable(&cause))
    }

    /// A name is not given again for a minute.
    pub(crate) async fn not_deleted_recently(&self, name: &str, now_ms: i64) -> Result<(), ApiError> {
        let note = self.records.read::<i64>(&format!("{DELETED}{name}")).await?;
        match note {
            Some(Loaded { record: then_ms, .. }) if (then_ms..then_ms + SQS_DELETED_MS).contains(&now_ms) => {
                let text =
                    "You must wait 60 seconds after deleting a queue before you can create another with the same name.";
                Err(ApiError::new(&errors::QUEUE_DELETED_RECENTLY, text))
            }
            _ => Ok(()),
        }
    }

    /// Removes messages of queues that are gone: a crash may have come between the two. Goes on with what was being moved,
    /// and begins to remove what is too old.
    ///
    /// # Errors
    /// When the store cannot be read; with a text for people.
    pub async fn recover(self: &Arc<Self>) -> Result<(), String> {
        let all = self.parts.queues.queues(QUEUES).await.map_err(|cause| cause.to_string())?;
        for depth in all {
            let queue = self.parts.metadata.get(&depth.queue).await.map_err(|cause| cause.to_string())?;
            if queue.is_none() {
                self.parts.queues.purge(&depth.queue).await.map_err(|cause| cause.to_string())?;
            }
        }
        self.resume_moves().await?;
        self.sweep();
        Ok(())
    }

    /// Removes what is too old, again and again, as long as the queues are there.
    fn sweep(self: &Arc<Self>) {
        let (sqs, clock) = (Arc::downgrade(self), self.parts.clock.clone());
        tokio::spawn(async move {
            loop {
                let _busy = clock.sleep(SQS_SWEEP).await;
                let Some(sqs) = sqs.upgrade() else { return };
                if let Err(cause) = sqs.sweep_once().await {
                    error!("SQS: what is too old stays: {cause}");
                }
            }
        });
    }

    async fn sweep_once(&self) -> Result<(), String> {
        let now_ms = self.now_ms();
        for depth in self.parts.queues.queues(QUEUES).await.map_err(|cause| cause.to_string())? {
            let found = typed::read::<QueueRecord>(&*self.parts.metadata, &depth.queue).await;
            if let Some(queue) = found.map_err(|cause| cause.to_string())? {
                let until_ms = queue.record.expired_ms(now_ms);
                self.parts.queues.expire(&depth.queue, until_ms).await.map_err(|cause| cause.to_string())?;
            }
        }
        let notes = typed::read_page::<i64>(&*self.parts.metadata, DELETED, None, SQS_LIST_PAGE).await;
        let over = notes.map_err(|cause| cause.to_string())?.into_iter();
        let over = over.filter(|(_, note)| now_ms - note.record >= SQS_DELETED_MS);
        for (name, note) in over {
            // Deleted again meanwhile, the note stays.
            let forget = Write::delete(format!("{DELETED}{name}"), note.unchanged());
            let _ = self.parts.metadata.commit(vec![forget]).await;
        }
        Ok(())
    }
}
