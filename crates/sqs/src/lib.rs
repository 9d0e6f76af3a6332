//! SQS over the store's queues: standard and FIFO queues. Plain async functions that know no HTTP.
//!
//! A message is due when it is visible. To receive one is to take it: to set when it is due again, durably, in one step.

mod attempts;
mod attributes;
mod batch;
mod dead_letters;
mod errors;
mod fifo;
mod handles;
mod in_flight;
mod inside;
mod message;
mod move_tasks;
mod permissions;
mod queue;
mod queues;
mod receive;
mod removal;
mod send;
mod settings;
mod waiting;

use std::sync::Arc;

use hearth_api::ApiError;
use hearth_api::sqs::Operation;
use hearth_clock::Clock;
use hearth_identity::Caller;
use hearth_identity::policy::{Document, Kind};
use hearth_records::Records;
use hearth_store::{MetadataStore, QueueError, QueueStore};
use hearth_types::Place;
use tracing::error;

use attempts::Attempts;
pub use attributes::{Attribute, Attributes, Value};
use handles::Secret;
use in_flight::InFlight;
pub use inside::{Letter, Pick, Received};
use queue::QueueRecord;
use waiting::Waiting;

/// What the queues are made of.
pub struct Parts {
    /// Where this server says it is.
    pub place: Place,
    /// What queues there are.
    pub metadata: Arc<dyn MetadataStore>,
    /// Their messages.
    pub queues: Arc<dyn QueueStore>,
    /// The platform's time.
    pub clock: Clock,
}

/// All queues of a server.
pub struct Sqs {
    parts: Parts,
    records: Records,
    waiting: Waiting,
    in_flight: InFlight,
    attempts: Attempts,
    secret: Secret,
}

impl Sqs {
    /// Over these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        let (waiting, in_flight) = (Waiting::default(), InFlight::default());
        let (records, attempts, secret) = (Records::of(&parts.metadata), Attempts::default(), Secret::new());
        Arc::new(Self { parts, records, waiting, in_flight, attempts, secret })
    }

    fn now_ms(&self) -> i64 {
        self.parts.clock.now_ms()
    }

    fn arn(&self, name: &str) -> String {
        let Place { region, account } = &self.parts.place;
        format!("arn:aws:sqs:{region}:{account}:{name}")
    }

    fn url(&self, endpoint: &str, name: &str) -> String {
        format!("{endpoint}/{}/{name}", self.parts.place.account)
    }

    /// Lets a caller on who may do this to that queue.
    fn allow(&self, caller: &Caller, operation: Operation, queue: &QueueRecord) -> Result<(), ApiError> {
        if caller.is_unchecked() {
            return Ok(());
        }
        let policy = queue.policy().and_then(|text| Document::parse(text, Kind::Resource).ok());
        caller
            .may(operation.iam_action(), &self.arn(&queue.name), policy.as_ref(), &[])
            .map_err(|denied| ApiError::access_denied(Some(denied.to_string())))
    }
}

/// What a client sees where the messages cannot be reached.
fn unavailable(cause: &QueueError) -> ApiError {
    error!("SQS: {cause}");
    ApiError::service("The queues are not available.")
}
