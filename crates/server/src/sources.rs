//! Event sources: what their pollers need of this server.

use std::sync::Arc;

use hearth_access::Access;
use hearth_control::event_sources::{EventSources, Poller};
use hearth_identity::Caller;
use hearth_sources::{Roles, Sources};
use hearth_store::BoxFuture;
use hearth_types::mapping::Source;

/// What mappings of this server poll.
pub(crate) struct Polled(pub(crate) Arc<Sources>);

impl EventSources for Polled {
    fn check<'a>(&'a self, source: &'a Source, poller: Poller<'a>) -> BoxFuture<'a, Result<(), String>> {
        let Poller { function, role, timeout_s } = poller;
        Box::pin(self.0.check(source, function, role, timeout_s))
    }
}

/// The roles of this server.
pub(crate) struct OfAccess(pub(crate) Arc<Access>);

impl Roles for OfAccess {
    fn caller<'a>(&'a self, function: &'a str, role: &'a str) -> BoxFuture<'a, Result<Arc<Caller>, String>> {
        Box::pin(async move {
            let caller = self.0.of_function(role, function).await;
            caller.map(Arc::new).map_err(|cause| format!("the role cannot be assumed: {cause}"))
        })
    }
}
