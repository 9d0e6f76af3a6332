//! Move tasks: messages of a dead-letter queue go back to where they came from, or to another queue.
//!
//! A task is a record beside the queues, and a future that works on it. Messages are taken, and each batch moves in one
//! commit: whenever the server ends, each message is in one of the two queues, and the task goes on at the next start.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hearth_api::ApiError;
use hearth_api::sqs::{Operation, errors, types as api};
use hearth_identity::Caller;
use hearth_records::put;
use hearth_store::typed::{Loaded, as_found};
use hearth_store::{Message, Precondition, Step, Take, Write};
use hearth_types::limits::{SQS_MOVE_BATCH, SQS_MOVE_HOLD_MS, SQS_MOVE_RATE, SQS_MOVE_TASKS, SQS_RECEIVE_BYTES};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tracing::warn;
use uuid::Uuid;

use crate::errors::invalid_value;
use crate::message::Head;
use crate::queue::{FIFO, QueueRecord, key};
use crate::{Sqs, unavailable};

/// The prefix of tasks' records: `sqs-move/QUEUE/START-ID`, so that those of a queue are in the order of their starts.
const TASKS: &str = "sqs-move/";

/// Tries against other writers of one record.
const TRIES: usize = 16;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Status {
    Running,
    Cancelling,
    Completed,
    Cancelled,
    Failed,
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Cancelling => "CANCELLING",
            Self::Completed => "COMPLETED",
            Self::Cancelled => "CANCELLED",
            Self::Failed => "FAILED",
        }
    }

    fn is_active(self) -> bool {
        matches!(self, Self::Running | Self::Cancelling)
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Task {
    id: Uuid,
    /// The name of the queue.
    source: String,
    /// Where all go; where each came from, if it is not said.
    destination: Option<String>,
    /// Messages in a second.
    rate: Option<i32>,
    status: Status,
    started_ms: i64,
    to_move: u64,
    moved: u64,
    failure: Option<String>,
}

impl Task {
    fn key(&self) -> String {
        format!("{TASKS}{}/{:013}-{}", self.source, self.started_ms, self.id)
    }

    fn handle(&self, arn: &str) -> String {
        STANDARD.encode(json!({"taskId": self.id, "sourceArn": arn}).to_string())
    }
}

impl Sqs {
    /// StartMessageMoveTask.
    ///
    /// # Errors
    /// ResourceNotFoundException, UnsupportedOperation, InvalidParameterValue.
    pub async fn start_message_move_task(
        self: &Arc<Self>,
        caller: &Caller,
        input: api::StartMessageMoveTaskRequest,
    ) -> Result<api::StartMessageMoveTaskResult, ApiError> {
        let source = self.named(caller, Operation::StartMessageMoveTask, &input.source_arn, "SourceArn").await?;
        let arn = self.arn(&source.name);
        if let Some(rate) = input.max_number_of_messages_per_second
            && !(1..=SQS_MOVE_RATE).contains(&rate)
        {
            let reason = "Must be >= 1 and <= 500, if provided.";
            return Err(invalid_value(rate, "MaxNumberOfMessagesPerSecond", reason));
        }
        if let Some(to) = &input.destination_arn {
            let target = self.named(caller, Operation::SendMessage, to, "DestinationArn").await?;
            if target.is_fifo() != source.is_fifo() || target.name == source.name {
                let reason = "The destination must be another queue of the same type as the source.";
                return Err(invalid_value(to, "DestinationArn", reason));
            }
        }
        if self.sources_of(&arn, None, 1).await?.is_empty() {
            let text = "Source queue must be configured as a Dead Letter Queue.";
            return Err(invalid_value(&input.source_arn, "SourceArn", text));
        }
        let count = self.parts.queues.count(&key(&source.name), self.now_ms()).await;
        let task = Task {
            id: Uuid::new_v4(),
            source: source.name,
            destination: input.destination_arn,
            rate: input.max_number_of_messages_per_second,
            status: Status::Running,
            started_ms: self.now_ms(),
            to_move: count.map_err(|cause| unavailable(&cause))?.due,
            moved: 0,
            failure: None,
        };
        self.begin(&task).await?;
        let handle = task.handle(&arn);
        self.go_on(task);
        Ok(api::StartMessageMoveTaskResult { task_handle: Some(handle) })
    }

    /// One of a queue at a time; old ones are forgotten.
    async fn begin(&self, task: &Task) -> Result<(), ApiError> {
        let busy = || {
            let text = "There is already a task running. Only one active task is allowed for a source queue arn at a given time.";
            ApiError::new(&errors::UNSUPPORTED_OPERATION, text)
        };
        let there = self.tasks(&task.source).await?;
        if there.iter().any(|found| found.record.status.is_active()) {
            return Err(busy());
        }
        // Where two begin at once, the older one that both saw, or the record of the queue's turn, is in their way.
        let turn = format!("{TASKS}{}", task.source);
        let last = self.records.read::<Uuid>(&turn).await?;
        let mut writes =
            vec![put(turn, &task.id, as_found(last.as_ref()))?, put(task.key(), task, Precondition::Absent)?];
        let over = there.len().saturating_sub(SQS_MOVE_TASKS - 1);
        writes.extend(there.iter().take(over).map(|old| Write::delete(old.record.key(), Precondition::Any)));
        if self.records.commit(writes).await? { Ok(()) } else { Err(busy()) }
    }

    /// CancelMessageMoveTask.
    ///
    /// # Errors
    /// ResourceNotFoundException, UnsupportedOperation.
    pub async fn cancel_message_move_task(
        &self,
        caller: &Caller,
        input: api::CancelMessageMoveTaskRequest,
    ) -> Result<api::CancelMessageMoveTaskResult, ApiError> {
        let none = || ApiError::new(&errors::RESOURCE_NOT_FOUND, "Task does not exist.");
        let handle: Option<Value> =
            STANDARD.decode(&input.task_handle).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let text = |member: &str| handle.as_ref().and_then(|handle| handle[member].as_str());
        let (Some(id), Some(arn)) = (text("taskId"), text("sourceArn")) else {
            return Err(invalid_value(&input.task_handle, "TaskHandle", "The task handle is not valid."));
        };
        let source = self.named(caller, Operation::CancelMessageMoveTask, arn, "SourceArn").await?;
        for _ in 0..TRIES {
            let found = self.tasks(&source.name).await?.into_iter().find(|found| found.record.id.to_string() == id);
            let Loaded { mut record, version } = found.ok_or_else(none)?;
            if record.status != Status::Running {
                return Err(ApiError::new(&errors::UNSUPPORTED_OPERATION, "Only active tasks can be cancelled."));
            }
            record.status = Status::Cancelling;
            if self.keep(&record, version).await? {
                let moved = i64::try_from(record.moved).unwrap_or(i64::MAX);
                return Ok(api::CancelMessageMoveTaskResult { approximate_number_of_messages_moved: Some(moved) });
            }
        }
        Err(ApiError::service("The task is being changed by others."))
    }

    /// ListMessageMoveTasks: the latest first.
    ///
    /// # Errors
    /// ResourceNotFoundException, InvalidParameterValue.
    pub async fn list_message_move_tasks(
        &self,
        caller: &Caller,
        input: api::ListMessageMoveTasksRequest,
    ) -> Result<api::ListMessageMoveTasksResult, ApiError> {
        let source = self.named(caller, Operation::ListMessageMoveTasks, &input.source_arn, "SourceArn").await?;
        let most = input.max_results.unwrap_or(1);
        let most = usize::try_from(most)
            .ok()
            .filter(|most| (1..=SQS_MOVE_TASKS).contains(most))
            .ok_or_else(|| invalid_value(most, "MaxResults", "MaxResults must be an integer between 1 and 10."))?;
        let arn = self.arn(&source.name);
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let shown = |task: Task| api::ListMessageMoveTasksResultEntry {
            task_handle: (task.status == Status::Running).then(|| task.handle(&arn)),
            status: Some(task.status.name().to_owned()),
            source_arn: Some(arn.clone()),
            destination_arn: task.destination,
            max_number_of_messages_per_second: task.rate,
            approximate_number_of_messages_moved: Some(number(task.moved)),
            approximate_number_of_messages_to_move: Some(number(task.to_move)),
            failure_reason: task.failure,
            started_timestamp: Some(task.started_ms),
        };
        let latest = self.tasks(&source.name).await?.into_iter().rev().take(most);
        let results: Vec<_> = latest.map(|found| shown(found.record)).collect();
        Ok(api::ListMessageMoveTasksResult { results: Some(results) })
    }

    /// The queue with this ARN, where the caller may.
    async fn named(
        &self,
        caller: &Caller,
        operation: Operation,
        arn: &str,
        parameter: &str,
    ) -> Result<QueueRecord, ApiError> {
        let none = || {
            let text = format!("The resource that you specified for the {parameter} parameter doesn't exist.");
            ApiError::new(&errors::RESOURCE_NOT_FOUND, text)
        };
        let name = arn.strip_prefix(&self.arn("")).ok_or_else(none)?;
        match self.asked_for(caller, operation, name).await {
            Err(error) if error.kind == errors::QUEUE_DOES_NOT_EXIST => Err(none()),
            other => Ok(other?.record),
        }
    }

    /// Of a queue, the oldest first.
    async fn tasks(&self, source: &str) -> Result<Vec<Loaded<Task>>, ApiError> {
        let prefix = format!("{TASKS}{source}/");
        let found = self.records.read_page::<Task>(&prefix, None, 2 * SQS_MOVE_TASKS).await;
        Ok(found?.into_iter().map(|(_, task)| task).collect())
    }

    /// False where somebody else was faster.
    async fn keep(&self, task: &Task, version: u64) -> Result<bool, ApiError> {
        let write = put(task.key(), task, Precondition::Version(version))?;
        self.records.commit(vec![write]).await
    }

    /// Goes on with what an earlier process of this server had begun.
    pub(crate) async fn resume_moves(self: &Arc<Self>) -> Result<(), String> {
        let all = self.parts.metadata.list(TASKS, None, usize::MAX).await.map_err(|cause| cause.to_string())?;
        for (_, found) in all {
            if let Ok(task) = serde_json::from_slice::<Task>(&found.value)
                && task.status.is_active()
            {
                self.go_on(task);
            }
        }
        Ok(())
    }

    fn go_on(self: &Arc<Self>, task: Task) {
        let sqs = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(cause) = sqs.run(&task).await {
                warn!("SQS: moving messages of {}: {cause}", task.source);
                let why = cause.message.unwrap_or_default();
                if let Err(cause) = sqs.note(&task, 0, |_| Some((Status::Failed, Some(why.clone())))).await {
                    warn!("SQS: the end of moving messages of {} is not kept: {cause}", task.source);
                }
            }
        });
    }

    async fn run(&self, task: &Task) -> Result<(), ApiError> {
        let batch = task
            .rate
            .and_then(|rate| usize::try_from(rate).ok())
            .map_or(SQS_MOVE_BATCH, |rate| rate.min(SQS_MOVE_BATCH));
        let mut left = task.to_move.saturating_sub(task.moved);
        let mut _busy = self.parts.clock.busy();
        loop {
            let limit = batch.min(usize::try_from(left).unwrap_or(usize::MAX));
            let moved = if limit == 0 { 0 } else { self.move_some(task, limit).await? };
            left = left.saturating_sub(moved);
            let is_over = moved == 0;
            let status = self.note(task, moved, |status| match status {
                Status::Cancelling => Some((Status::Cancelled, None)),
                Status::Running if is_over => Some((Status::Completed, None)),
                _ => None,
            });
            if !status.await?.is_active() {
                return Ok(());
            }
            if let Some(rate) = task.rate {
                let pause_ms = moved.saturating_mul(1000) / u64::try_from(rate).unwrap_or(1).max(1);
                let until_ms = self.now_ms().saturating_add(i64::try_from(pause_ms).unwrap_or(i64::MAX));
                _busy = self.parts.clock.rest_until_ms(_busy, until_ms).await;
            }
        }
    }

    /// So many more were moved; what its status is now.
    async fn note(
        &self,
        task: &Task,
        moved: u64,
        next: impl Fn(Status) -> Option<(Status, Option<String>)>,
    ) -> Result<Status, ApiError> {
        for _ in 0..TRIES {
            let found = self.records.read::<Task>(&task.key()).await?;
            // Forgotten meanwhile, it is over.
            let Some(Loaded { mut record, version }) = found else { return Ok(Status::Cancelled) };
            record.moved += moved;
            if let Some((status, failure)) = next(record.status) {
                (record.status, record.failure) = (status, failure);
            }
            if self.keep(&record, version).await? {
                return Ok(record.status);
            }
        }
        Err(ApiError::service("The task is being changed by others."))
    }

    /// Takes up to so many messages and moves them in one commit; gives how many.
    async fn move_some(&self, task: &Task, limit: usize) -> Result<u64, ApiError> {
        let now_ms = self.now_ms();
        let (queue, again_ms) = (key(&task.source), now_ms + SQS_MOVE_HOLD_MS);
        let take = Take { queue, now_ms, again_ms, limit, bytes: SQS_RECEIVE_BYTES };
        let taken = self.parts.queues.take(take).await.map_err(|cause| unavailable(&cause))?.messages;
        let mut steps = Vec::new();
        let mut rung: Vec<String> = Vec::new();
        for message in taken {
            let (found, target) = (message.found, self.target(task, &message).await?);
            steps.extend([Step::Delete(found), self.again(&target, now_ms, message)]);
            rung.push(target.name);
        }
        if steps.is_empty() {
            return Ok(0);
        }
        self.parts.queues.commit(steps).await.map_err(|cause| unavailable(&cause))?;
        let moved = rung.len() as u64;
        rung.dedup();
        rung.iter().for_each(|name| self.waiting.ring(name));
        Ok(moved)
    }

    /// Where a message goes.
    async fn target(&self, task: &Task, message: &Message) -> Result<QueueRecord, ApiError> {
        let none = |text: &str| ApiError::new(&errors::RESOURCE_NOT_FOUND, text);
        let came_from = || Head::of(message).and_then(|head| head.moved_from);
        let Some(arn) = task.destination.clone().or_else(came_from) else {
            return Err(none("A message did not come from another queue: name a DestinationArn."));
        };
        let target = self.by_arn(&arn).await?.filter(|target| target.is_fifo() == task.source.ends_with(FIFO));
        target.ok_or_else(|| none(&format!("The queue {arn} is not there any more.")))
    }

    /// A message that was moved is a new one, with an id and a time of its own.
    fn again(&self, target: &QueueRecord, now_ms: i64, message: Message) -> Step {
        let head = Head::of(&message).unwrap_or_else(|| Head::new(now_ms, "", Default::default()));
        // In a FIFO queue it gets the id that follows from its new number.
        let id = (!target.is_fifo()).then(Uuid::new_v4);
        let head = Head { id, sent_ms: now_ms, moved_from: None, ..head };
        head.moved(target, now_ms, message.group, message.body)
    }
}
