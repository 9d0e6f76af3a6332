//! Running at all: what waits from before, and what goes with a function.

use std::collections::HashSet;
use std::sync::Arc;

use hearth_crash::{self as crash, Point};
use hearth_store::{QueueError, WatchEvent};
use hearth_types::keys;
use tracing::{error, info};

use crate::Events;
use crate::event::{EVENTS, queue_of};
use crate::work::EventWork;

impl Events {
    /// Takes up what an earlier process left, then runs what comes, until it is stopped.
    ///
    /// # Errors
    /// When the queues cannot be read.
    pub async fn run(self: Arc<Self>) -> Result<(), QueueError> {
        for depth in self.parts.queues.queues(EVENTS).await? {
            info!("{} events wait in {}", depth.messages, depth.queue);
            self.events.arrived(&depth.queue, depth.first_due_ms);
        }
        tokio::select! {
            () = self.events.run(Arc::new(EventWork(Arc::clone(&self)))) => {}
            () = self.forget_the_deleted() => info!("the metadata store is closed"),
        }
        Ok(())
    }

    /// With a function go the events that it had when it was deleted. Its records stay on their way.
    async fn forget_the_deleted(&self) {
        let mut changes = self.parts.metadata.watch(keys::FUNCTIONS);
        while let Some(event) = changes.next().await {
            let gone = match event {
                WatchEvent::Snapshot { entries, .. } => {
                    let known: HashSet<&str> =
                        entries.iter().filter_map(|(key, _)| key.strip_prefix(keys::FUNCTIONS)).collect();
                    match self.parts.queues.queues(EVENTS).await {
                        Ok(depths) => depths
                            .into_iter()
                            .map(|depth| depth.queue)
                            .filter(|queue| queue.strip_prefix(EVENTS).is_none_or(|name| !known.contains(name)))
                            .collect(),
                        Err(cause) => {
                            error!("events of functions that are gone are not looked for: {cause}");
                            Vec::new()
                        }
                    }
                }
                WatchEvent::Commit { changes, .. } => changes
                    .iter()
                    .filter(|change| change.value.is_none())
                    .filter_map(|change| change.key.strip_prefix(keys::FUNCTIONS).map(queue_of))
                    .collect(),
            };
            for queue in gone {
                crash::point(Point::FunctionGone);
                match self.forget(&queue).await {
                    Ok(0) => {}
                    Ok(count) => info!("{count} events are gone with their function: {queue}"),
                    Err(cause) => error!("{queue}: its events are not removed: {cause}"),
                }
            }
        }
    }

    /// Removes the events of a function that is not there; gives how many. One of the same name may be made meanwhile, and
    /// take events: what it took is newer than the look that did not find it.
    async fn forget(&self, queue: &str) -> Result<u64, QueueError> {
        let up_to = self.parts.queues.newest().await?;
        let name = queue.strip_prefix(EVENTS).unwrap_or(queue);
        match self.parts.metadata.get(&keys::function(name)).await {
            Ok(None) => self.parts.queues.purge_to(queue, up_to).await,
            Ok(Some(_)) => Ok(0),
            Err(cause) => Err(QueueError::Unavailable(cause.to_string())),
        }
    }
}
