//! What the runtime is told of an invoke.

use std::sync::Arc;

use bytes::Bytes;
use hearth_types::RequestId;

/// An event with what goes in headers beside it.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) request_id: RequestId,
    pub(crate) payload: Bytes,
    pub(crate) content_type: Option<Arc<str>>,
    pub(crate) invoked_arn: Arc<str>,
    pub(crate) client_context: Option<Arc<str>>,
    pub(crate) cognito_identity: Option<Arc<str>>,
    pub(crate) trace_id: Arc<str>,
    /// Milliseconds since 1970; known once the runtime takes the event.
    pub(crate) deadline_ms: i64,
    /// On whose behalf: the environment's tenant.
    pub(crate) tenant: Option<Arc<str>>,
}
