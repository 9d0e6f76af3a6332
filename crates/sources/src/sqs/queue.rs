//! The queue that a mapping polls, as the function's role sees it.

use std::sync::Arc;

use hearth_api::ApiError;
use hearth_api::sqs::{Operation, types as api};
use hearth_client::CallError;
use hearth_identity::Caller;
use hearth_sqs::{Pick, Received, Sqs};

use crate::Parts;
use crate::sqs::upstream::Upstream;

/// A queue, in the name of whoever polls it.
#[derive(Clone)]
pub(crate) struct Queue {
    at: At,
    arn: Arc<str>,
}

#[derive(Clone)]
enum At {
    Here { sqs: Arc<Sqs>, caller: Arc<Caller> },
    Elsewhere { upstream: Upstream, caller: Arc<Caller> },
}

impl Queue {
    /// Of this server, or of the upstream where queues are sent on.
    pub(crate) fn of(parts: &Parts, caller: Arc<Caller>, arn: Arc<str>) -> Self {
        let at = match &parts.queues {
            Some(api) => At::Elsewhere { upstream: Upstream { api: api.clone(), arn: Arc::clone(&arn) }, caller },
            None => At::Here { sqs: Arc::clone(&parts.sqs), caller },
        };
        Self { at, arn }
    }

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
            self.permits(name, operation).await?;
        }
        let visibility_s = self.visibility_s().await?;
        if visibility_s < i64::from(timeout_s) {
            return Err(Unreached(format!(
                "Queue visibility timeout: {visibility_s} seconds is less than Function timeout: {timeout_s} seconds"
            )));
        }
        Ok(())
    }

    /// What the upstream says to its credentials it says itself.
    async fn permits(&self, name: &str, operation: Operation) -> Result<(), Unreached> {
        match &self.at {
            At::Here { sqs, caller } => {
                let permitted = sqs.permits(caller, operation, &self.arn).await;
                permitted.map_err(|error| Unreached::of(name, &error))
            }
            At::Elsewhere { caller, .. } => {
                let permitted = caller.may(operation.iam_action(), &self.arn, None, &[]);
                permitted.map_err(|_| Unreached::not_permitted(name))
            }
        }
    }

    /// Seconds that a message is hidden once it was received.
    pub(crate) async fn visibility_s(&self) -> Result<i64, Unreached> {
        let (sqs, caller) = match &self.at {
            At::Here { sqs, caller } => (sqs, caller),
            At::Elsewhere { upstream, .. } => {
                let found = upstream.visibility_s().await;
                return found.map_err(|cause| Unreached::at_upstream("GetQueueAttributes", &cause));
            }
        };
        let name = api::QueueAttributeName::VisibilityTimeout;
        let input = api::GetQueueAttributesRequest { queue_url: self.url(), attribute_names: Some(vec![name]) };
        let found = sqs.get_queue_attributes(caller, input).await;
        let found = found.map_err(|error| Unreached::of("GetQueueAttributes", &error))?.attributes;
        let text = found.as_ref().and_then(|all| all.get(name.as_str()));
        Ok(text.and_then(|text| text.parse().ok()).unwrap_or(30))
    }

    /// Messages as `pick` has them; waits for them no longer than until `end` comes, or, at an upstream, for some seconds.
    pub(crate) async fn receive(
        &self,
        pick: Pick,
        end: impl Future<Output = ()> + Send,
    ) -> Result<Vec<Received>, Unreached> {
        match &self.at {
            At::Here { sqs, caller } => {
                let received = sqs.receive(caller, &self.arn, pick, end).await;
                received.map_err(|error| Unreached::of("ReceiveMessage", &error))
            }
            At::Elsewhere { upstream, .. } => {
                self.permits("ReceiveMessage", Operation::ReceiveMessage).await?;
                let received = upstream.receive(&pick).await;
                received.map_err(|cause| Unreached::at_upstream("ReceiveMessage", &cause))
            }
        }
    }

    /// Deletes messages. Says which of them it could not, and why.
    pub(crate) async fn delete(&self, handles: Vec<String>) -> Result<(), (Vec<String>, Unreached)> {
        let (sqs, caller) = match &self.at {
            At::Here { sqs, caller } => (sqs, caller),
            At::Elsewhere { upstream, .. } => {
                let deleted = upstream.delete(handles).await;
                return deleted.map_err(|(left, cause)| (left, Unreached::at_upstream("DeleteMessage", &cause)));
            }
        };
        let refused = match sqs.delete_all(caller, &self.arn, &handles).await {
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
            return Self::not_permitted(operation);
        }
        let (code, message) = (error.older_code(), error.message.as_deref().unwrap_or_default());
        Self(format!("Error occurred while {operation}. SQS Error Code: {code}. SQS Error Message: {message}"))
    }

    fn at_upstream(operation: &str, cause: &CallError) -> Self {
        match cause {
            CallError::Refused { status: 403, .. } => Self::not_permitted(operation),
            CallError::Refused { code, message, .. } => {
                Self(format!("Error occurred while {operation}. SQS Error Code: {code}. SQS Error Message: {message}"))
            }
            other => Self(format!("Error occurred while {operation}: {other}")),
        }
    }

    fn not_permitted(operation: &str) -> Self {
        Self(format!("The function execution role does not have permissions to call {operation} on SQS"))
    }
}
