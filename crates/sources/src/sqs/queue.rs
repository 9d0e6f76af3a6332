//! The queue that a mapping polls, as the function's role sees it.

use std::sync::Arc;

use hearth_api::ApiError;
use hearth_api::sqs::{Operation, types as api};
use hearth_identity::Caller;
use hearth_sqs::{Pick, Received, Sqs};

/// A queue, in the name of whoever polls it.
#[derive(Clone)]
pub(crate) struct Queue {
    pub(crate) sqs: Arc<Sqs>,
    pub(crate) caller: Arc<Caller>,
    pub(crate) arn: Arc<str>,
}

impl Queue {
    /// Whether it can be polled for a function that may take so many seconds.
    ///
    /// # Errors
    /// With what Lambda says to who makes a mapping.
    pub(crate) async fn check(&self, timeout_s: u32) -> Result<(), Unreached> {
        let needed = [
            ("ReceiveMessage", Operation::ReceiveMessage),
            ("DeleteMessage", Operation::DeleteMessage),
            ("GetQueueAttributes", Operation::GetQueueAttributes),
        ];
        for (name, operation) in needed {
            let permitted = self.sqs.permits(&self.caller, operation, &self.arn).await;
            permitted.map_err(|error| Unreached::of(name, &error))?;
        }
        let visibility_s = self.visibility_s().await?;
        if visibility_s < i64::from(timeout_s) {
            return Err(Unreached(format!(
                "Queue visibility timeout: {visibility_s} seconds is less than Function timeout: {timeout_s} seconds"
            )));
        }
        Ok(())
    }

    /// Seconds that a message is hidden once it was received.
    pub(crate) async fn visibility_s(&self) -> Result<i64, Unreached> {
        let name = api::QueueAttributeName::VisibilityTimeout;
        let input = api::GetQueueAttributesRequest { queue_url: self.url(), attribute_names: Some(vec![name]) };
        let found = self.sqs.get_queue_attributes(&self.caller, input).await;
        let found = found.map_err(|error| Unreached::of("GetQueueAttributes", &error))?.attributes;
        let text = found.as_ref().and_then(|all| all.get(name.as_str()));
        Ok(text.and_then(|text| text.parse().ok()).unwrap_or(30))
    }

    /// Messages as `pick` has them; waits for them no longer than until `end` comes.
    pub(crate) async fn receive(
        &self,
        pick: Pick,
        end: impl Future<Output = ()> + Send,
    ) -> Result<Vec<Received>, Unreached> {
        let received = self.sqs.receive(&self.caller, &self.arn, pick, end).await;
        received.map_err(|error| Unreached::of("ReceiveMessage", &error))
    }

    /// Deletes messages. Says which of them it could not, and why.
    pub(crate) async fn delete(&self, handles: Vec<String>) -> Result<(), (Vec<String>, Unreached)> {
        let refused = match self.sqs.delete_all(&self.caller, &self.arn, &handles).await {
            Ok(refused) => refused,
            Err(error) => return Err((handles, Unreached::of("DeleteMessage", &error))),
        };
        let Some((_, first)) = refused.first() else { return Ok(()) };
        let why = Unreached::of("DeleteMessage", first);
        Err((refused.into_iter().map(|(handle, _)| handle).collect(), why))
    }

    /// Queues are found by the last part of their URL.
    fn url(&self) -> String {
        self.arn.rsplit(':').next().unwrap_or_default().to_owned()
    }
}

/// Why a queue did not do what it was asked, as Lambda says it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Unreached(pub(crate) String);

impl Unreached {
    fn of(operation: &str, error: &ApiError) -> Self {
        if error.kind.status == 403 {
            let text = format!("The function execution role does not have permissions to call {operation} on SQS");
            return Self(text);
        }
        let (code, message) = (error.older_code(), error.message.as_deref().unwrap_or_default());
        Self(format!("Error occurred while {operation}. SQS Error Code: {code}. SQS Error Message: {message}"))
    }
}
