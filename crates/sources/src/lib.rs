//! Event sources: whoever polls them for the mappings that there are.
//!
//! The mappings' records are followed in the metadata store. Each that is wanted has one task, which polls until it is told
//! to stop, and then comes to its end with what it has in flight: so a mapping is disabled, changed and deleted, and so
//! the server stops. What is to be done about a mapping is decided by a pure function of its record and of what runs for
//! it; nothing is known in memory alone, so that a restart goes on where the records are.
//!
//! A kind of source is a module with a `poll` of its own, named in `kinds`; what it works with is a `job::Job`.

mod answer;
mod broker;
mod filter;
mod job;
#[cfg(feature = "kafka")]
mod kafka;
mod kinds;
mod life;
mod manager;
mod mq;
mod sqs;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use hearth_client::Api;
use hearth_clock::Clock;
use hearth_delivery::Outbox;
use hearth_events::Functions;
use hearth_identity::Caller;
use hearth_metrics::Metrics;
use hearth_sqs::Sqs;
use hearth_store::{BoxFuture, MetadataStore};
use hearth_types::Place;
use hearth_types::mapping::Source;
use tokio::sync::watch;

pub use crate::broker::Broker;
use crate::manager::Manager;

/// Says who a function is to the services that it is polled from.
pub trait Roles: Send + Sync + 'static {
    /// Whoever bears the role of a function; the text of Err is for people.
    fn caller<'a>(&'a self, function: &'a str, role: &'a str) -> BoxFuture<'a, Result<Arc<Caller>, String>>;
}

/// What the pollers are made of.
pub struct Parts {
    /// Where this server says it is.
    pub place: Place,
    /// The mappings, and what functions are set to.
    pub metadata: Arc<dyn MetadataStore>,
    /// What runs functions.
    pub functions: Arc<dyn Functions>,
    /// Whose permissions count at a source.
    pub roles: Arc<dyn Roles>,
    /// The queues of this server.
    pub sqs: Arc<Sqs>,
    /// Where queues are, if not here.
    pub queues: Option<Api>,
    /// Where Kinesis is, if anywhere.
    pub kinesis: Option<Api>,
    /// Where DynamoDB is, if anywhere: its tables' streams.
    pub dynamodb: Option<Api>,
    /// Where Secrets Manager is, if anywhere: it has what brokers of queues are entered with.
    pub secrets: Option<Api>,
    /// Where the brokers of queues are.
    pub brokers: Vec<Broker>,
    /// What takes records of what was given up to where they go.
    pub outbox: Arc<Outbox>,
    /// The platform's time.
    pub clock: Clock,
    /// Where IteratorAge is told.
    pub metrics: Arc<Metrics>,
}

/// All that is polled by a server.
pub struct Sources {
    parts: Arc<Parts>,
    stopping: watch::Sender<bool>,
    stopped: watch::Sender<bool>,
}

impl Sources {
    /// Over these parts. Nothing is polled before [`Sources::run`].
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self {
            parts: Arc::new(parts),
            stopping: watch::Sender::new(false),
            stopped: watch::Sender::new(false),
        })
    }

    /// Whether a source is there, and may be polled for a function with this role that may take so many seconds.
    ///
    /// # Errors
    /// With what Lambda says to who makes a mapping.
    pub async fn check(&self, source: &Source, function: &str, role: &str, timeout_s: u32) -> Result<(), String> {
        kinds::check(&self.parts, source, function, role, timeout_s).await
    }

    /// Polls for all mappings until [`Sources::stop`].
    pub async fn run(self: Arc<Self>) {
        Manager::new(Arc::clone(&self.parts)).run(self.stopping.subscribe()).await;
        self.stopped.send_replace(true);
    }

    /// Polls no more, and waits until what is in flight has come to its end, at most for `patience`. What has not is
    /// delivered again after the next start.
    pub async fn stop(&self, patience: Duration) {
        self.stopping.send_replace(true);
        let mut stopped = self.stopped.subscribe();
        let _ = tokio::time::timeout(patience, stopped.wait_for(|stopped| *stopped)).await;
    }
}
