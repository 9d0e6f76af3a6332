//! What the platform itself does with queues: sends letters in commits of its own, and takes messages for those that work
//! on them.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use hearth_api::ApiError;
use hearth_api::sqs::Operation;
use hearth_api::sqs::types::QueueAttributeName as Name;
use hearth_identity::Caller;
use hearth_store::Step;
use hearth_types::limits::{QUEUE_COMMIT_STEPS, SQS_INSIDE_BATCH};
use uuid::Uuid;

use crate::Sqs;
use crate::attributes::{self, Attributes};
use crate::errors::no_queue;
use crate::message::Head;
use crate::queue::QueueRecord;
use crate::receive::Ask;
use crate::send::{belongs, check_body};

/// What the platform itself puts into a queue.
#[derive(Clone, Debug, Default)]
pub struct Letter {
    /// The body.
    pub body: Bytes,
    /// By name.
    pub attributes: Attributes,
    /// AWSTraceHeader.
    pub trace: Option<String>,
    /// MessageGroupId: a FIFO queue needs one.
    pub group: Option<String>,
    /// MessageDeduplicationId: a FIFO queue needs one, unless the body makes it.
    pub deduplication: Option<String>,
}

/// What the platform wants to take.
#[derive(Clone, Debug)]
pub struct Pick {
    /// Messages at most, up to [`SQS_INSIDE_BATCH`].
    pub limit: usize,
    /// Bytes of all bodies at most; the first one is given however large it is.
    pub bytes: usize,
    /// How long to wait for the first one.
    pub wait: Duration,
    /// For how many seconds they are invisible to others; as the queue has it where nothing is said.
    pub visibility_s: Option<i64>,
}

/// A message that was taken.
#[derive(Clone, PartialEq, Debug)]
pub struct Received {
    /// As its sender was told.
    pub message_id: String,
    /// The receipt handle.
    pub handle: String,
    /// What was sent.
    pub body: Bytes,
    /// All system attributes.
    pub attributes: BTreeMap<String, String>,
    /// All that its sender gave.
    pub message_attributes: Attributes,
    /// In hexadecimal.
    pub md5_of_body: String,
    /// Of all of them; none where there are none.
    pub md5_of_attributes: Option<String>,
    /// In milliseconds since 1970.
    pub sent_ms: i64,
    /// MessageGroupId: in order of a FIFO queue alone.
    pub group: Option<String>,
}

impl Sqs {
    /// The step that puts a letter into the queue with this ARN, for a commit of the caller's; and the queue's policy, as
    /// text. None where there is no such queue. After the commit, [`Sqs::posted`].
    ///
    /// # Errors
    /// When that queue does not take such a letter, now or later; with a status of 500 when the metadata cannot be read.
    pub async fn letter(&self, arn: &str, letter: Letter) -> Result<Option<(Step, Option<String>)>, ApiError> {
        let Some(queue) = self.by_arn(arn).await? else { return Ok(None) };
        let step = self.step_of(&queue, letter)?;
        Ok(Some((step, queue.policy().map(str::to_owned))))
    }

    fn step_of(&self, queue: &QueueRecord, letter: Letter) -> Result<Step, ApiError> {
        let Letter { body, attributes, trace, group, deduplication } = letter;
        check_body(queue, &body, body.len() + attributes::size(&attributes))?;
        let belongs = belongs(queue, group, deduplication, &body)?;
        let now_ms = self.now_ms();
        let id = (!queue.is_fifo()).then(Uuid::new_v4);
        let head = Head { trace, id, ..Head::new(now_ms, &self.parts.place.account, attributes) };
        Ok(head.put(queue, belongs, now_ms + queue.delay_ms(), body))
    }

    /// Wakes who waits at the queue with this ARN: a letter has been put there.
    pub fn posted(&self, arn: &str) {
        self.waiting.ring(arn.rsplit(':').next().unwrap_or_default());
    }

    /// Takes messages of the queue with this ARN as [`Sqs::receive_message`] does: those of a FIFO queue in the order of
    /// their groups, no group twice at a time. When `end` comes it waits no longer; what it takes it gives all the same.
    ///
    /// # Errors
    /// QueueDoesNotExist, AccessDenied, OverLimit.
    pub async fn receive(
        &self,
        caller: &Caller,
        arn: &str,
        pick: Pick,
        end: impl Future<Output = ()> + Send,
    ) -> Result<Vec<Received>, ApiError> {
        let queue = self.at(caller, Operation::ReceiveMessage, arn).await?;
        let ask = Ask {
            limit: pick.limit.clamp(1, SQS_INSIDE_BATCH),
            bytes: pick.bytes,
            visibility_ms: pick.visibility_s.unwrap_or_else(|| queue.number(Name::VisibilityTimeout)) * 1000,
            wait: pick.wait,
        };
        self.receive_until(&queue, &ask, end).await
    }

    /// Deletes messages by their handles; gives what was refused, of which handle.
    ///
    /// # Errors
    /// QueueDoesNotExist, AccessDenied.
    pub async fn delete_all(
        &self,
        caller: &Caller,
        arn: &str,
        handles: &[String],
    ) -> Result<Vec<(String, ApiError)>, ApiError> {
        let queue = self.at(caller, Operation::DeleteMessage, arn).await?;
        let mut refused = Vec::new();
        for part in handles.chunks(QUEUE_COMMIT_STEPS) {
            let part: Vec<&str> = part.iter().map(String::as_str).collect();
            let outcomes = self.delete_each(&queue, &part).await;
            let failed = part.iter().zip(outcomes).filter_map(|(handle, outcome)| Some((handle, outcome.err()?)));
            refused.extend(failed.map(|(handle, error)| ((*handle).to_owned(), error)));
        }
        Ok(refused)
    }

    /// Sets for how many seconds from now messages stay invisible; gives what was refused, of which handle.
    ///
    /// # Errors
    /// QueueDoesNotExist, AccessDenied.
    pub async fn set_visibility(
        &self,
        caller: &Caller,
        arn: &str,
        handles: &[String],
        seconds: i64,
    ) -> Result<Vec<(String, ApiError)>, ApiError> {
        let queue = self.at(caller, Operation::ChangeMessageVisibility, arn).await?;
        let mut refused = Vec::new();
        for handle in handles {
            if let Err(error) = self.change_visibility(&queue, handle, seconds).await {
                refused.push((handle.clone(), error));
            }
        }
        Ok(refused)
    }

    /// Whether the caller may do this to the queue with this ARN; nothing is done to it.
    ///
    /// # Errors
    /// QueueDoesNotExist, AccessDenied.
    pub async fn permits(&self, caller: &Caller, operation: Operation, arn: &str) -> Result<(), ApiError> {
        self.at(caller, operation, arn).await.map(drop)
    }

    /// The queue with this ARN, where the caller may do this to it.
    async fn at(&self, caller: &Caller, operation: Operation, arn: &str) -> Result<QueueRecord, ApiError> {
        let name = arn.strip_prefix(&self.arn("")).ok_or_else(no_queue)?;
        Ok(self.asked_for(caller, operation, name).await?.record)
    }
}
