//! Whether somebody may do something to a queue, without doing it.

use hearth_api::ApiError;
use hearth_api::sqs::Operation;
use hearth_identity::Caller;

use crate::Sqs;
use crate::errors::no_queue;

impl Sqs {
    /// Whether the caller may do this to the queue with this ARN.
    ///
    /// # Errors
    /// QueueDoesNotExist, AccessDenied.
    pub async fn permits(&self, caller: &Caller, operation: Operation, arn: &str) -> Result<(), ApiError> {
        let name = arn.strip_prefix(&self.arn("")).ok_or_else(no_queue)?;
        self.asked_for(caller, operation, name).await.map(drop)
    }
}
