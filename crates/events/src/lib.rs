//! Asynchronous invokes: from the queue that an event waits in to the function, and to where the record of its end goes.
//!
//! Each function has a queue of its own in the [`hearth_store::QueueStore`]. A fleet of pollers takes what is due, in
//! turn over all functions, and runs it through [`Functions`], as any client would. What becomes of an event is decided
//! by pure functions, without clock or I/O; what was decided is one commit. Which events are being run is in memory alone:
//! after a crash those are due again, all others have not been touched.

mod accept;
mod decide;
mod desk;
mod ends;
mod event;
mod forget;
#[cfg(test)]
mod lease;
mod policy;
mod record;
mod work;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use hearth_clock::Clock;
use hearth_delivery::Outbox;
pub use hearth_fleet::Timing;
use hearth_fleet::{Bounds, Pollers};
use hearth_metrics::Metrics;
use hearth_store::{BoxFuture, MetadataStore, QueueStore};
use hearth_types::Place;
use hearth_types::invoke::EventInvoke;
use hearth_types::limits::EVENT_FLEET_BYTES;

pub use accept::NotKept;
pub use desk::{Failed, Waiting, Which};

/// Runs functions: the front end, or a simulated one.
pub trait Functions: Send + Sync + 'static {
    /// Runs an event once, and waits for what comes of it.
    fn run(&self, event: EventInvoke) -> BoxFuture<'_, Attempt>;
}

/// What came of an attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Attempt {
    /// The function ran, well or not.
    Ran {
        /// Its answer, or its error object.
        payload: Bytes,
        /// Whether it is an error.
        function_error: bool,
        /// Which version ran.
        version: Arc<str>,
        /// As the function saw it: what it leads to goes on from there.
        trace_id: Arc<str>,
    },
    /// There was no room for it.
    Throttled,
    /// The platform failed, or the function is not ready; with a text for people.
    Failed(String),
    /// The function is not there any more.
    Gone,
    /// The function is, but not the version or the alias.
    NoQualifier,
    /// It has been invoked by what it led to itself, again and again.
    Looped,
}

/// What the events are made of.
pub struct Parts {
    /// Where this server says it is.
    pub place: Place,
    /// Where events wait.
    pub queues: Arc<dyn QueueStore>,
    /// What functions are set to.
    pub metadata: Arc<dyn MetadataStore>,
    /// What runs them.
    pub functions: Arc<dyn Functions>,
    /// What takes records and dead letters to where they go.
    pub outbox: Arc<Outbox>,
    /// By which things wait.
    pub clock: Clock,
    /// Where events are counted.
    pub metrics: Arc<Metrics>,
    /// How long things wait.
    pub timing: Timing,
    /// Events that are run at a time.
    pub pollers: usize,
}

/// All asynchronous invokes of a server.
pub struct Events {
    parts: Parts,
    /// Of events.
    events: Pollers,
    failures: desk::Failures,
    stopping: AtomicBool,
}

impl Events {
    /// Over these parts. Nothing runs before [`Events::run`].
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        let bounds = Bounds { pollers: parts.pollers, bytes: EVENT_FLEET_BYTES };
        let events = Pollers::new(bounds, parts.clock.clone(), parts.timing);
        Arc::new(Self { parts, events, failures: desk::Failures::default(), stopping: AtomicBool::new(false) })
    }

    /// Takes no more from the queues, and waits until what is run has come to its end, at most for `patience`. What has
    /// not is due again at the next start.
    pub async fn stop(&self, patience: Duration) {
        self.stopping.store(true, std::sync::atomic::Ordering::Release);
        // What is left then is said by whoever drains the environments.
        let _ = tokio::time::timeout(patience, self.events.stop()).await;
    }
}
