//! Queues themselves: made, shown, changed, emptied, deleted.

use std::collections::BTreeMap;

use hearth_api::sqs::types as api;
use hearth_api::sqs::{Operation, errors};
use hearth_api::{ApiError, Map};
use hearth_crash::{self as crash, Point};
use hearth_identity::Caller;
use hearth_store::typed::{self, Fault, Loaded, as_found};
use hearth_store::{CommitError, Precondition, Write};
use hearth_types::limits::{SQS_LIST_PAGE, SQS_NAME_CHARS, TAGS};
use tracing::error;

use crate::errors::{invalid_parameter, no_queue, unsupported};
use crate::queue::{QUEUES, QueueRecord, key};
use crate::{Sqs, unavailable};

/// Tries against other writers of one record.
const TRIES: usize = 16;

impl Sqs {
    /// Removes messages of queues that are gone: a crash may have come between the two.
    ///
    /// # Errors
    /// When the store cannot be read; with a text for people.
    pub async fn recover(&self) -> Result<(), String> {
        let all = self.parts.queues.queues(QUEUES).await.map_err(|cause| cause.to_string())?;
        for depth in all {
            let queue = self.parts.metadata.get(&depth.queue).await.map_err(|cause| cause.to_string())?;
            if queue.is_none() {
                self.parts.queues.purge(&depth.queue).await.map_err(|cause| cause.to_string())?;
            }
        }
        Ok(())
    }

    /// CreateQueue; one that is there already is no error where it is the same.
    ///
    /// # Errors
    /// QueueNameExists, InvalidAttributeName, InvalidAttributeValue.
    pub async fn create_queue(
        &self,
        caller: &Caller,
        input: api::CreateQueueRequest,
        endpoint: &str,
    ) -> Result<api::CreateQueueResult, ApiError> {
        let name = checked_name(&input.queue_name)?;
        let now_ms = self.now_ms();
        let mut queue = QueueRecord {
            name: name.to_owned(),
            attributes: BTreeMap::new(),
            tags: input.tags.unwrap_or_default().into_iter().collect(),
            created_ms: now_ms,
            modified_ms: now_ms,
        };
        queue.set(&input.attributes.unwrap_or_default())?;
        self.allow(caller, Operation::CreateQueue, &queue)?;
        let url = api::CreateQueueResult { queue_url: Some(self.url(endpoint, name)) };
        if self.write(&queue, Precondition::Absent).await? {
            return Ok(url);
        }
        let there = self.queue(name).await?.ok_or_else(no_queue)?.record.shown();
        let differs = queue.attributes.iter().find(|(name, value)| there.get(*name) != Some(value));
        match differs {
            None => Ok(url),
            Some((attribute, _)) => Err(ApiError::new(
                &errors::QUEUE_NAME_EXISTS,
                format!("A queue already exists with the same name and a different value for attribute {attribute}"),
            )),
        }
    }

    /// GetQueueUrl.
    ///
    /// # Errors
    /// QueueDoesNotExist.
    pub async fn get_queue_url(
        &self,
        caller: &Caller,
        input: api::GetQueueUrlRequest,
        endpoint: &str,
    ) -> Result<api::GetQueueUrlResult, ApiError> {
        let found = self.asked_for(caller, Operation::GetQueueUrl, &input.queue_name).await?;
        Ok(api::GetQueueUrlResult { queue_url: Some(self.url(endpoint, &found.record.name)) })
    }

    /// ListQueues.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn list_queues(
        &self,
        caller: &Caller,
        input: api::ListQueuesRequest,
        endpoint: &str,
    ) -> Result<api::ListQueuesResult, ApiError> {
        caller
            .may(Operation::ListQueues.iam_action(), &self.arn("*"), None, &[])
            .map_err(|denied| ApiError::access_denied(Some(denied.to_string())))?;
        let prefix = key(input.queue_name_prefix.as_deref().unwrap_or_default());
        let limit = input.max_results.and_then(|most| usize::try_from(most).ok());
        let limit = limit.filter(|most| (1..=SQS_LIST_PAGE).contains(most)).unwrap_or(SQS_LIST_PAGE);
        let after = input.next_token.as_deref().map(key);
        let mut names = self.names(&prefix, after.as_deref(), limit + 1).await?;
        let has_more = names.len() > limit;
        names.truncate(limit);
        let next_token = names.last().filter(|_| has_more && input.max_results.is_some()).cloned();
        let queue_urls: Vec<String> = names.iter().map(|name| self.url(endpoint, name)).collect();
        Ok(api::ListQueuesResult { queue_urls: (!queue_urls.is_empty()).then_some(queue_urls), next_token })
    }

    async fn names(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, ApiError> {
        let found = self.parts.metadata.list(prefix, after, limit).await.map_err(|cause| failed(&cause.into()))?;
        Ok(found.iter().filter_map(|(key, _)| key.strip_prefix(QUEUES).map(str::to_owned)).collect())
    }

    /// GetQueueAttributes.
    ///
    /// # Errors
    /// QueueDoesNotExist.
    pub async fn get_queue_attributes(
        &self,
        caller: &Caller,
        input: api::GetQueueAttributesRequest,
    ) -> Result<api::GetQueueAttributesResult, ApiError> {
        let queue = self.asked_for(caller, Operation::GetQueueAttributes, &input.queue_url).await?.record;
        let wanted = input.attribute_names.unwrap_or_default();
        if wanted.is_empty() {
            return Ok(api::GetQueueAttributesResult { attributes: None });
        }
        let mut all = queue.shown();
        all.insert("QueueArn".into(), self.arn(&queue.name));
        let counts = self.parts.queues.count(&key(&queue.name), self.now_ms()).await.map_err(|c| unavailable(&c))?;
        all.insert("ApproximateNumberOfMessages".into(), counts.due.to_string());
        all.insert("ApproximateNumberOfMessagesNotVisible".into(), counts.later.to_string());
        all.insert("ApproximateNumberOfMessagesDelayed".into(), "0".into());
        let is_wanted =
            |name: &str| wanted.iter().any(|wanted| matches!(wanted.as_str(), "All") || wanted.as_str() == name);
        let attributes: Map<String> = all.into_iter().filter(|(name, _)| is_wanted(name)).collect();
        Ok(api::GetQueueAttributesResult { attributes: (!attributes.is_empty()).then_some(attributes) })
    }

    /// SetQueueAttributes.
    ///
    /// # Errors
    /// QueueDoesNotExist, InvalidAttributeName, InvalidAttributeValue.
    pub async fn set_queue_attributes(
        &self,
        caller: &Caller,
        input: api::SetQueueAttributesRequest,
    ) -> Result<(), ApiError> {
        let now_ms = self.now_ms();
        self.change(caller, Operation::SetQueueAttributes, &input.queue_url, |queue| {
            queue.modified_ms = now_ms;
            queue.set(&input.attributes)
        })
        .await
    }

    /// TagQueue.
    ///
    /// # Errors
    /// QueueDoesNotExist, and where there would be too many.
    pub async fn tag_queue(&self, caller: &Caller, input: api::TagQueueRequest) -> Result<(), ApiError> {
        self.change(caller, Operation::TagQueue, &input.queue_url, |queue| {
            queue.tags.extend(input.tags.clone());
            if queue.tags.len() > TAGS { Err(invalid_parameter("Too many tags added for queue.")) } else { Ok(()) }
        })
        .await
    }

    /// UntagQueue.
    ///
    /// # Errors
    /// QueueDoesNotExist.
    pub async fn untag_queue(&self, caller: &Caller, input: api::UntagQueueRequest) -> Result<(), ApiError> {
        self.change(caller, Operation::UntagQueue, &input.queue_url, |queue| {
            queue.tags.retain(|key, _| !input.tag_keys.contains(key));
            Ok(())
        })
        .await
    }

    /// ListQueueTags.
    ///
    /// # Errors
    /// QueueDoesNotExist.
    pub async fn list_queue_tags(
        &self,
        caller: &Caller,
        input: api::ListQueueTagsRequest,
    ) -> Result<api::ListQueueTagsResult, ApiError> {
        let tags = self.asked_for(caller, Operation::ListQueueTags, &input.queue_url).await?.record.tags;
        Ok(api::ListQueueTagsResult { tags: (!tags.is_empty()).then(|| tags.into_iter().collect()) })
    }

    /// PurgeQueue.
    ///
    /// # Errors
    /// QueueDoesNotExist.
    pub async fn purge_queue(&self, caller: &Caller, input: api::PurgeQueueRequest) -> Result<(), ApiError> {
        let queue = self.asked_for(caller, Operation::PurgeQueue, &input.queue_url).await?.record;
        self.parts.queues.purge(&key(&queue.name)).await.map(drop).map_err(|cause| unavailable(&cause))
    }

    /// DeleteQueue: its messages go with it.
    ///
    /// # Errors
    /// QueueDoesNotExist.
    pub async fn delete_queue(&self, caller: &Caller, input: api::DeleteQueueRequest) -> Result<(), ApiError> {
        let queue = self.asked_for(caller, Operation::DeleteQueue, &input.queue_url).await?.record;
        let key = key(&queue.name);
        match self.parts.metadata.commit(vec![Write::delete(key.as_str(), Precondition::Any)]).await {
            Ok(_) => {
                crash::point(Point::QueueGone);
                self.parts.queues.purge(&key).await.map(drop).map_err(|cause| unavailable(&cause))
            }
            Err(cause) => Err(refused(&cause)),
        }
    }

    /// ListDeadLetterSourceQueues.
    ///
    /// # Errors
    /// QueueDoesNotExist.
    pub async fn list_dead_letter_source_queues(
        &self,
        caller: &Caller,
        input: api::ListDeadLetterSourceQueuesRequest,
        endpoint: &str,
    ) -> Result<api::ListDeadLetterSourceQueuesResult, ApiError> {
        let target = self.asked_for(caller, Operation::ListDeadLetterSourceQueues, &input.queue_url).await?.record;
        let arn = self.arn(&target.name);
        let sends_there =
            |queue: &QueueRecord| queue.redrive().is_some_and(|policy| policy.dead_letter_target_arn == arn);
        let metadata = &*self.parts.metadata;
        let sources = typed::read_matching::<QueueRecord>(metadata, QUEUES, None, usize::MAX, sends_there).await;
        let sources = sources.map_err(|fault| failed(&fault))?;
        Ok(api::ListDeadLetterSourceQueuesResult {
            queue_urls: sources.into_iter().map(|(name, _)| self.url(endpoint, &name)).collect(),
            next_token: None,
        })
    }

    /// The queue that a URL, or a name, stands for, where the caller may do this to it.
    pub(crate) async fn asked_for(
        &self,
        caller: &Caller,
        operation: Operation,
        url: &str,
    ) -> Result<Loaded<QueueRecord>, ApiError> {
        let name = url.rsplit('/').next().unwrap_or_default();
        let found = self.queue(name).await?;
        let Some(found) = found else {
            // Who may not see it does not learn whether it is there.
            let nobody = caller.may(operation.iam_action(), &self.arn(name), None, &[]);
            nobody.map_err(|denied| ApiError::access_denied(Some(denied.to_string())))?;
            return Err(no_queue());
        };
        self.allow(caller, operation, &found.record)?;
        Ok(found)
    }

    /// The queue of this server with this ARN.
    pub(crate) async fn by_arn(&self, arn: &str) -> Result<Option<QueueRecord>, ApiError> {
        let Some(name) = arn.strip_prefix(&self.arn("")) else { return Ok(None) };
        Ok(self.queue(name).await?.map(|found| found.record))
    }

    async fn queue(&self, name: &str) -> Result<Option<Loaded<QueueRecord>>, ApiError> {
        typed::read(&*self.parts.metadata, &key(name)).await.map_err(|fault| failed(&fault))
    }

    async fn change(
        &self,
        caller: &Caller,
        operation: Operation,
        url: &str,
        change: impl Fn(&mut QueueRecord) -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        for _ in 0..TRIES {
            let found = self.asked_for(caller, operation, url).await?;
            let mut queue = found.record.clone();
            change(&mut queue)?;
            if self.write(&queue, as_found(Some(&found))).await? {
                return Ok(());
            }
        }
        Err(ApiError::service("The queue is being changed by others."))
    }

    /// False where somebody else was faster.
    async fn write(&self, queue: &QueueRecord, precondition: Precondition) -> Result<bool, ApiError> {
        let write = typed::put(key(&queue.name), queue, precondition).map_err(|fault| failed(&fault))?;
        match self.parts.metadata.commit(vec![write]).await {
            Ok(_) => Ok(true),
            Err(CommitError::Conflict { .. }) => Ok(false),
            Err(cause) => Err(refused(&cause)),
        }
    }
}

fn checked_name(name: &str) -> Result<&str, ApiError> {
    if name.ends_with(".fifo") {
        return Err(unsupported("FIFO queues"));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if (1..=SQS_NAME_CHARS).contains(&name.len()) && name.chars().all(allowed) {
        return Ok(name);
    }
    Err(invalid_parameter("Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"))
}

fn failed(fault: &Fault) -> ApiError {
    error!("SQS: {fault}");
    ApiError::service("The metadata store is not available.")
}

fn refused(cause: &CommitError) -> ApiError {
    error!("SQS: the metadata store refused a commit: {cause}");
    ApiError::service("The metadata store is not available.")
}
