//! The small services beside Lambda that deploy tools and functions call: IAM's roles and policies, STS, the parameters
//! of SSM. Plain async functions that know no HTTP, over the store's seam.

mod iam;
mod ssm;
mod sts;

use std::sync::Arc;

use hearth_api::{ApiError, ServiceOperation, Timestamp};
use hearth_clock::Clock;
use hearth_identity::session::Sessions;
use hearth_identity::{Caller, MasterKey};
use hearth_records::Records;
use hearth_store::MetadataStore;
use hearth_types::Place;
use tracing::error;

/// What the services work on.
pub struct Parts {
    /// Where this server says it is.
    pub place: Place,
    /// Records.
    pub store: Arc<dyn MetadataStore>,
    /// What secrets are sealed with.
    pub key: MasterKey,
    /// By which everything here happens.
    pub clock: Clock,
}

/// The services.
pub struct Neighbours {
    parts: Parts,
    records: Records,
    sessions: Sessions,
}

impl Neighbours {
    /// Over these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self { sessions: Sessions::new(parts.key.clone()), records: Records::of(&parts.store), parts }
    }

    /// Milliseconds since 1970.
    fn now_ms(&self) -> i64 {
        self.parts.clock.now_ms()
    }

    fn account(&self) -> &str {
        &self.parts.place.account
    }
}

/// Lets a caller on who may do this to that.
fn allow(caller: &Caller, operation: impl ServiceOperation, resource: &str) -> Result<(), ApiError> {
    caller
        .may(operation.iam_action(), resource, None, &[])
        .map_err(|denied| ApiError::access_denied(Some(denied.to_string())))
}

fn random<const BYTES: usize>() -> Result<[u8; BYTES], ApiError> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(|cause| {
        error!("the machine gives no random bytes: {cause}");
        ApiError::service("The machine gives no random bytes.")
    })?;
    Ok(bytes)
}

/// Whole seconds: these services tell no finer times.
fn seconds(ms: i64) -> Timestamp {
    Timestamp(ms.div_euclid(1000) * 1000)
}
