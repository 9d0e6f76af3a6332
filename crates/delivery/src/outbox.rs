//! Taking parcels in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hearth_clock::{Busy, Clock};
use hearth_fleet::{Bounds, Pollers, Timing};
use hearth_store::{Depth, QueueError, QueueStore, Step};
use hearth_types::limits::{DELIVERY_LANE_BYTES, DELIVERY_POLLERS, EVENT_FLEET_BYTES, QUEUE_COMMIT_STEPS};
use tracing::warn;

use crate::counts::{Counted, Counts, Outcome};
use crate::decide::{After, Exhausted, after, letter};
use crate::{Delivery, Failure, PARCELS, Parcel, Target, Targets, Way};

/// What the outbox is made of.
pub struct Parts {
    /// Where parcels wait.
    pub queues: Arc<dyn QueueStore>,
    /// What takes them.
    pub targets: Arc<dyn Targets>,
    /// By which things wait.
    pub clock: Clock,
    /// How long things wait.
    pub timing: Timing,
}

/// All parcels of a server.
pub struct Outbox {
    pub(crate) parts: Parts,
    pub(crate) pollers: Pollers,
    pub(crate) stopping: AtomicBool,
    counts: Counts,
}

/// Steps for a commit of the source's, and who hears of it when it is done.
#[derive(Default)]
#[must_use = "what is not committed is not sent"]
pub struct Posting {
    /// One for each parcel at most: what can never be taken, and has no dead-letter queue, has none.
    pub steps: Vec<Step>,
    hearers: Vec<Hearer>,
}

/// Who hears that a step was committed.
pub(crate) enum Hearer {
    /// The fleet, of a queue of parcels.
    Fleet { queue: String, due_ms: i64 },
    /// A target.
    Target(Box<Delivery>, Target, Outcome),
}

/// What becomes of a delivery that is over.
pub(crate) enum Buried {
    /// Its dead-letter queue gets it.
    Letter(Step, Hearer),
    /// Nobody does.
    Dropped,
    /// Its dead-letter queue cannot be asked at the moment.
    NotNow(Delivery),
}

impl Outbox {
    /// Over these parts. Nothing is sent before [`Outbox::run`].
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        let bounds = Bounds { pollers: DELIVERY_POLLERS, bytes: EVENT_FLEET_BYTES };
        let pollers = Pollers::new(bounds, parts.clock.clone(), parts.timing);
        Arc::new(Self { parts, pollers, stopping: AtomicBool::new(false), counts: Counts::default() })
    }

    /// What puts parcels where they go to, or on their way.
    pub async fn prepare(&self, parcels: Vec<Parcel>) -> Posting {
        let mut posting = Posting::default();
        for parcel in parcels {
            self.prepare_one(parcel, &mut posting).await;
        }
        posting
    }

    /// The steps of a posting have been committed.
    pub fn posted(&self, posting: Posting) {
        for hearer in posting.hearers {
            self.heard(hearer);
        }
    }

    /// Sends parcels. When it returns Ok they are on stable storage; in one commit, where there are not more of them than
    /// that has room for.
    ///
    /// # Errors
    /// When the queues cannot be written; some of more than one commit's may be on their way by then.
    pub async fn post(&self, mut parcels: Vec<Parcel>) -> Result<(), QueueError> {
        while !parcels.is_empty() {
            let later = parcels.split_off(parcels.len().min(QUEUE_COMMIT_STEPS));
            let mut posting = self.prepare(std::mem::replace(&mut parcels, later)).await;
            let steps = std::mem::take(&mut posting.steps);
            if !steps.is_empty() {
                self.parts.queues.commit(steps).await?;
            }
            self.posted(posting);
        }
        Ok(())
    }

    /// Whether something would be taken by whom it is for, as far as that can be told without sending it.
    ///
    /// # Errors
    /// Why it would not.
    pub async fn check(&self, delivery: &Delivery) -> Result<(), Failure> {
        self.parts.targets.check(way(delivery, &Bytes::from_static(b"{}"))).await
    }

    /// The lanes with parcels that wait.
    ///
    /// # Errors
    /// When the queues cannot be read.
    pub async fn waiting(&self) -> Result<Vec<Depth>, QueueError> {
        self.parts.queues.queues(PARCELS).await
    }

    /// What became of all deliveries since the server started.
    #[must_use]
    pub fn counted(&self) -> Vec<Counted> {
        self.counts.all()
    }

    /// How long things wait here.
    #[must_use]
    pub fn timing(&self) -> Timing {
        self.parts.timing
    }

    /// Begins no more, and waits until what is being sent has come to its end, at most for `patience`. What has not is
    /// due again at the next start.
    pub async fn stop(&self, patience: Duration) {
        self.stopping.store(true, Ordering::Release);
        let _ = tokio::time::timeout(patience, self.pollers.stop()).await;
    }

    /// To be held by whoever is about to send something: time that is moved by hand waits for it.
    pub fn busy(&self) -> Busy {
        self.parts.clock.busy()
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.parts.clock.now_ms()
    }

    pub(crate) fn heard(&self, hearer: Hearer) {
        match hearer {
            Hearer::Fleet { queue, due_ms } => self.pollers.arrived(&queue, due_ms),
            Hearer::Target(delivery, target, outcome) => {
                self.parts.targets.placed(&target);
                self.count(&delivery, outcome);
            }
        }
    }

    pub(crate) fn count(&self, delivery: &Delivery, outcome: Outcome) {
        self.counts.add(delivery.source.kind, outcome);
        self.parts.targets.ended(delivery, outcome);
    }

    async fn prepare_one(&self, parcel: Parcel, posting: &mut Posting) {
        let Parcel { lane, delivery, body } = parcel;
        let now_ms = self.now_ms();
        let queue = queue_of(&lane);
        let delivery = Delivery { since_ms: now_ms, attempts: 0, ..delivery };
        let put = |delivery: &Delivery, due_ms, posting: &mut Posting| {
            posting.steps.push(Step::Put { queue: queue.clone(), due_ms, head: delivery.head(), body: body.clone() });
            posting.hearers.push(Hearer::Fleet { queue: queue.clone(), due_ms });
        };
        match self.parts.targets.place(way(&delivery, &body)).await {
            Ok(Some(step)) => {
                posting.steps.push(step);
                let target = delivery.target.clone();
                posting.hearers.push(Hearer::Target(Box::new(delivery), target, Outcome::Delivered));
            }
            Ok(None) => put(&delivery, now_ms, posting),
            Err(failure) => match after(now_ms, delivery, &failure, self.parts.timing) {
                After::Again { delivery, due_ms } => {
                    self.failed(&delivery, &failure);
                    put(&delivery, due_ms, posting);
                }
                After::Over { delivery, exhausted } => match self.bury(delivery, &body, &failure, exhausted).await {
                    Buried::Letter(step, hearer) => {
                        posting.steps.push(step);
                        posting.hearers.push(hearer);
                    }
                    Buried::Dropped => {}
                    Buried::NotNow(delivery) => put(&delivery, now_ms + self.parts.timing.pause_ms(0), posting),
                },
            },
        }
    }

    pub(crate) fn failed(&self, delivery: &Delivery, failure: &Failure) {
        let (from, to) = (&delivery.source.arn, delivery.target.shown());
        warn!("{from}: {to} has not taken what it was sent, which is tried again: {failure}");
        self.count(delivery, Outcome::Failed);
    }

    /// What puts a delivery that is over into its dead-letter queue. Where it has none, or where that never takes it
    /// either, it is dropped, which is counted and said.
    pub(crate) async fn bury(
        &self,
        delivery: Delivery,
        body: &Bytes,
        failure: &Failure,
        exhausted: Option<Exhausted>,
    ) -> Buried {
        let (from, to) = (&delivery.source.arn, delivery.target.shown());
        let Some(dead_letter) = &delivery.dead_letter else {
            warn!("{from}: {to} has not taken what it was sent, which is dropped: {failure}");
            self.count(&delivery, Outcome::Dropped);
            return Buried::Dropped;
        };
        let target = letter(&delivery, dead_letter, failure, exhausted);
        let body = dead_letter.body.clone().map_or_else(|| body.clone(), Bytes::from);
        let way = Way { sender: &delivery.sender, target: &target, body: &body, trace: delivery.trace.as_deref() };
        let refused = match self.parts.targets.place(way).await {
            Ok(Some(step)) => {
                warn!("{from}: {to} has not taken what it was sent, which goes to {}: {failure}", target.shown());
                return Buried::Letter(step, Hearer::Target(Box::new(delivery), target, Outcome::DeadLettered));
            }
            Ok(None) => Failure::lasting("NO_RESOURCE", "it is not a queue of this server"),
            Err(refused) => refused,
        };
        if !refused.is_lasting {
            warn!("{}: {} cannot take what is dropped now: {refused}", from, dead_letter.arn);
            return Buried::NotNow(delivery);
        }
        let dead = &dead_letter.arn;
        warn!("{from}: neither {to} ({failure}) nor {dead} ({refused}) has taken what it was sent, which is dropped");
        self.count(&delivery, Outcome::Dropped);
        Buried::Dropped
    }
}

pub(crate) fn way<'a>(delivery: &'a Delivery, body: &'a Bytes) -> Way<'a> {
    Way { sender: &delivery.sender, target: &delivery.target, body, trace: delivery.trace.as_deref() }
}

fn queue_of(lane: &str) -> String {
    format!("{PARCELS}{}", &lane[..lane.floor_char_boundary(DELIVERY_LANE_BYTES)])
}
