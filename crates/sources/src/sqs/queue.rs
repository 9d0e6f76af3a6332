//! The queue that a mapping polls, as the function's role sees it.

use std::sync::Arc;

use hearth_api::ApiError;
use hearth_api::sqs::{Operation, types as api};
use hearth_identity::Caller;
use hearth_sqs::Sqs;
use hearth_types::limits::SQS_BATCH;

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

    /// Up to `limit` messages, for which it waits for so many seconds.
    pub(crate) async fn receive(
        &self,
        limit: usize,
        wait_s: i32,
        visibility_s: Option<i64>,
    ) -> Result<Vec<api::Message>, Unreached> {
        let input = api::ReceiveMessageRequest {
            queue_url: self.url(),
            message_system_attribute_names: Some(vec![api::MessageSystemAttributeName::All]),
            message_attribute_names: Some(vec!["All".to_owned()]),
            max_number_of_messages: i32::try_from(limit.clamp(1, SQS_BATCH)).ok(),
            visibility_timeout: visibility_s.and_then(|seconds| i32::try_from(seconds).ok()),
            wait_time_seconds: Some(wait_s),
            ..Default::default()
        };
        let received = self.sqs.receive_message(&self.caller, input).await;
        received
            .map(|result| result.messages.unwrap_or_default())
            .map_err(|error| Unreached::of("ReceiveMessage", &error))
    }

    /// Deletes messages. Says which of them it could not, and why.
    pub(crate) async fn delete(&self, handles: Vec<String>) -> Result<(), (Vec<String>, Unreached)> {
        let (mut left, mut why) = (Vec::new(), None);
        for some in handles.chunks(SQS_BATCH) {
            let entry = |(n, handle): (usize, &String)| api::DeleteMessageBatchRequestEntry {
                id: n.to_string(),
                receipt_handle: handle.clone(),
            };
            let entries = some.iter().enumerate().map(entry).collect();
            let input = api::DeleteMessageBatchRequest { queue_url: self.url(), entries };
            match self.sqs.delete_message_batch(&self.caller, input).await {
                Ok(result) => {
                    let failed = result.failed.iter();
                    left.extend(failed.filter_map(|entry| some.get(entry.id.parse::<usize>().ok()?).cloned()));
                    if let Some(entry) = result.failed.first() {
                        let text = entry.message.clone().unwrap_or_default();
                        why = Some(Unreached::said("DeleteMessage", &entry.code, &text));
                    }
                }
                Err(error) => {
                    left.extend_from_slice(some);
                    why = Some(Unreached::of("DeleteMessage", &error));
                }
            }
        }
        why.map_or(Ok(()), |why| Err((left, why)))
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
        Self::said(operation, &error.older_code(), error.message.as_deref().unwrap_or_default())
    }

    fn said(operation: &str, code: &str, message: &str) -> Self {
        Self(format!("Error occurred while {operation}. SQS Error Code: {code}. SQS Error Message: {message}"))
    }
}
