//! CloudWatch Logs: which operation is answered by what.

use bytes::Bytes;
use hearth_api::logs::Operation;
use hearth_api::{ApiError, Call};
use http::Response;

use crate::gateway::Gateway;

impl Gateway {
    pub(super) async fn logs(&self, call: Call<Operation>) -> Result<Response<Bytes>, ApiError> {
        Err(ApiError::not_implemented(call.operation))
    }
}
