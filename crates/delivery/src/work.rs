//! Sending: one parcel of the queues at a time, by the fleet.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hearth_crash::{self as crash, Point};
use hearth_fleet::{Verdict, Work, put_aside};
use hearth_store::{Message, QueueError, QueueStore, Step};
use tracing::{error, info};

use crate::decide::{After, after};
use crate::outbox::{Buried, way};
use crate::{Delivery, Outbox, Outcome, PARCELS};

/// What to look at again later where nothing was done.
const LEAVE: Verdict = Verdict { refused: true, again_ms: None, ceiling: None };

/// Sends what is due.
struct Sending(Arc<Outbox>);

impl Outbox {
    /// Takes up what an earlier process left, then sends what comes, until it is stopped.
    ///
    /// # Errors
    /// When the queues cannot be read.
    pub async fn run(self: Arc<Self>) -> Result<(), QueueError> {
        for depth in self.waiting().await? {
            info!("{} parcels wait in {}", depth.messages, depth.queue);
            self.pollers.arrived(&depth.queue, depth.first_due_ms);
        }
        self.pollers.run(Arc::new(Sending(Arc::clone(&self)))).await;
        Ok(())
    }

    async fn send(&self, delivery: Delivery, message: Message) -> Verdict {
        let sent = self.once(&delivery, &message).await;
        crash::point(Point::ParcelDelivered);
        let (now_ms, found) = (self.now_ms(), message.found);
        let failure = match sent {
            Ok(placed) => {
                let steps = std::iter::once(Step::Delete(found)).chain(placed.clone()).collect();
                if !self.commit(steps).await {
                    return LEAVE;
                }
                if placed.is_some() {
                    self.parts.targets.placed(&delivery.target);
                }
                self.count(&delivery, Outcome::Delivered);
                return Verdict::default();
            }
            // It was ended with the server: it is due again at the next start.
            Err(_) if self.stopping.load(Ordering::Acquire) => return LEAVE,
            Err(failure) => failure,
        };
        match after(now_ms, delivery, &failure, self.parts.timing) {
            After::Again { delivery, due_ms } => {
                self.failed(&delivery, &failure);
                let step = Step::Change { found, due_ms, head: delivery.head() };
                let verdict = Verdict { refused: true, again_ms: Some(due_ms), ceiling: None };
                if self.commit(vec![step]).await { verdict } else { LEAVE }
            }
            After::Over { delivery, exhausted } => {
                let (step, hearer) = match self.bury(delivery, &message.body, &failure, exhausted).await {
                    Buried::Letter(step, hearer) => (Some(step), Some(hearer)),
                    Buried::Dropped => (None, None),
                    Buried::NotNow(_) => return LEAVE,
                };
                if !self.commit(std::iter::once(Step::Delete(found)).chain(step).collect()).await {
                    return LEAVE;
                }
                hearer.into_iter().for_each(|hearer| self.heard(hearer));
                Verdict::default()
            }
        }
    }

    /// The step that puts it there, in the commit that ends it; none where it is there already.
    async fn once(&self, delivery: &Delivery, message: &Message) -> Result<Option<Step>, crate::Failure> {
        let way = way(delivery, &message.body);
        match self.parts.targets.place(way).await? {
            Some(step) => Ok(Some(step)),
            None => self.parts.targets.deliver(way).await.map(|()| None),
        }
    }

    /// Does what was decided. Where it cannot, the parcel stays as it was, and is sent again.
    async fn commit(&self, steps: Vec<Step>) -> bool {
        match self.parts.queues.commit(steps).await {
            Ok(_) | Err(QueueError::Overtaken(_)) => true,
            Err(cause) => {
                error!("what became of a parcel cannot be kept, so that it is sent again: {cause}");
                false
            }
        }
    }
}

impl Work for Sending {
    fn queues(&self) -> &dyn QueueStore {
        &*self.0.parts.queues
    }

    async fn work(&self, queue: &str, message: Message) -> Verdict {
        match serde_json::from_slice::<Delivery>(&message.head) {
            Ok(delivery) => self.0.send(delivery, message).await,
            Err(cause) => {
                let lane = queue.strip_prefix(PARCELS).unwrap_or(queue);
                error!("{lane}: a parcel is not readable and is put aside: {cause}");
                self.0.commit(put_aside(queue, message)).await;
                Verdict::default()
            }
        }
    }
}
