//! EventBridge and its Scheduler: event buses, rules with their patterns and targets, and schedules. Plain async functions
//! that know no HTTP, over the store's seam. What goes to a target goes through the outbox: it is on stable storage before
//! an event is acknowledged, or before a time counts as having come.

mod agenda;
mod at_time;
mod attend;
mod bus;
mod buses;
mod due;
mod errors;
mod event;
mod groups;
mod input;
mod matched;
mod path;
mod permissions;
mod publish;
mod put_events;
mod rule;
mod rules;
mod schedule;
mod schedules;
mod tags;
mod target;
mod targets;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use hearth_api::events::Operation;
use hearth_api::{ApiError, ServiceOperation};
use hearth_clock::Clock;
use hearth_delivery::Outbox;
use hearth_identity::Caller;
use hearth_identity::policy::Document;
use hearth_records::Records;
use hearth_store::MetadataStore;
use hearth_types::{Place, keys};
use tokio::sync::Notify;

pub use event::Event;

use crate::matched::Compiled;

/// What the services work on.
pub struct Parts {
    /// Where this server says it is.
    pub place: Place,
    /// Records.
    pub store: Arc<dyn MetadataStore>,
    /// What goes to targets.
    pub outbox: Arc<Outbox>,
    /// What time it is.
    pub clock: Clock,
}

/// All buses, rules and schedules of a server.
pub struct Rules {
    parts: Parts,
    records: Records,
    compiled: Compiled,
    /// Something that is due at a time was changed.
    changed: Notify,
    /// The keys of schedules that were: they are seen to again.
    schedules: Mutex<BTreeSet<String>>,
}

impl Rules {
    /// Over these parts. Nothing is due before [`Rules::run`].
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self {
            records: Records::of(&parts.store),
            parts,
            compiled: Compiled::default(),
            changed: Notify::new(),
            schedules: Mutex::default(),
        })
    }

    fn now_ms(&self) -> i64 {
        self.parts.clock.now_ms()
    }

    /// A schedule was written.
    fn schedule_changed(&self, group: &str, name: &str) {
        let mut changed = self.schedules.lock().unwrap_or_else(PoisonError::into_inner);
        changed.insert(keys::schedule(group, name));
        self.changed.notify_one();
    }

    /// Those that were, since this was asked last.
    fn changed_schedules(&self) -> BTreeSet<String> {
        std::mem::take(&mut self.schedules.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The ARN of something of the Scheduler's here.
    fn scheduler_arn(&self, rest: &str) -> String {
        let Place { region, account } = &self.parts.place;
        format!("arn:aws:scheduler:{region}:{account}:{rest}")
    }

    /// The ARN of something of EventBridge's here.
    fn arn(&self, rest: &str) -> String {
        let Place { region, account } = &self.parts.place;
        format!("arn:aws:events:{region}:{account}:{rest}")
    }
}

/// Lets a caller on who may do this to that.
fn allow(
    caller: &Caller,
    operation: impl ServiceOperation,
    resource: &str,
    policy: Option<&Document>,
) -> Result<(), ApiError> {
    caller
        .may(operation.iam_action(), resource, policy, &[])
        .map_err(|denied| ApiError::access_denied(Some(denied.to_string())))
}

/// A page of a list of EventBridge's.
fn page(list: &'static str, token: Option<&str>, wanted: Option<i32>) -> Result<hearth_api::Page, ApiError> {
    let most = hearth_types::limits::RULES_PAGE;
    hearth_api::Page::new(list, token, wanted, most).map_err(|_| errors::invalid("The token is not valid."))
}

/// Which operation a function of many asks a caller's right for.
type Asked = Operation;
