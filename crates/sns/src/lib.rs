//! SNS: topics, their subscriptions, and what is published. Plain async functions that know no HTTP.
//!
//! To publish a message is to post one parcel for each subscription that it goes to, all in one commit of the outbox: what
//! was acknowledged is in the queues and functions that listen, or on its durable way to them.

mod attributes;
mod errors;
mod fifo;
mod message;
mod policy;
mod post;
mod publish;
mod record;
mod store;
mod subscribe;
mod subscriptions;
mod topics;

use std::sync::Arc;

use hearth_clock::Clock;
use hearth_delivery::Outbox;
use hearth_records::Records;
use hearth_store::{MetadataStore, QueueStore};
use hearth_types::Place;

use fifo::Sequence;
pub use publish::{Publication, Refused};

/// What sends to subscribers, as their policies name it.
pub const PRINCIPAL: &str = "sns.amazonaws.com";

/// What the topics are made of.
pub struct Parts {
    /// Where this server says it is.
    pub place: Place,
    /// Topics and subscriptions.
    pub metadata: Arc<dyn MetadataStore>,
    /// What takes messages to subscribers.
    pub outbox: Arc<Outbox>,
    /// The outbox's: what was published once is kept in the commit that publishes it.
    pub queues: Arc<dyn QueueStore>,
    /// Where this server is reached, `http://HOST:PORT`, as links in messages have it.
    pub endpoint: String,
    /// The platform's.
    pub clock: Clock,
}

/// All topics of a server.
pub struct Sns {
    parts: Parts,
    records: Records,
    sequence: Sequence,
}

impl Sns {
    /// Over these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self { records: Records::of(&parts.metadata), parts, sequence: Sequence::default() })
    }

    fn now_ms(&self) -> i64 {
        self.parts.clock.now_ms()
    }

    fn arn(&self, topic: &str) -> String {
        let Place { region, account } = &self.parts.place;
        format!("arn:aws:sns:{region}:{account}:{topic}")
    }
}
