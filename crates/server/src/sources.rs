//! Event sources: what their pollers need of this server.

use std::sync::Arc;

use hearth_access::Access;
use hearth_identity::Caller;
use hearth_sources::Roles;
use hearth_store::BoxFuture;

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
