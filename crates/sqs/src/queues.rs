//! Queues themselves: made, shown, changed.

use std::collections::BTreeMap;

use hearth_api::sqs::types as api;
use hearth_api::sqs::types::QueueAttributeName as Name;
use hearth_api::sqs::{Operation, errors};
use hearth_api::{ApiError, Map};
use hearth_identity::Caller;
use hearth_records::put;
use hearth_store::Precondition;
use hearth_store::typed::{Loaded, as_found};
use hearth_types::limits::{SQS_NAME_CHARS, SQS_TAG_KEY_CHARS, SQS_TAG_VALUE_CHARS, TAGS};

use crate::dead_letters::page;
use crate::errors::{invalid_attribute, invalid_parameter, no_queue, unknown_attribute};
use crate::queue::{FIFO, QUEUES, QueueRecord, key};
use crate::{Sqs, unavailable};

/// Tries against other writers of one record.
const TRIES: usize = 16;

impl Sqs {
    /// CreateQueue; one that is there already is no error where it is the same.
    ///
    /// # Errors
    /// QueueNameExists, QueueDeletedRecently, InvalidAttributeName, InvalidAttributeValue, InvalidParameterValue.
    pub async fn create_queue(
        &self,
        caller: &Caller,
        input: api::CreateQueueRequest,
        endpoint: &str,
    ) -> Result<api::CreateQueueResult, ApiError> {
        let given = input.attributes.unwrap_or_default();
        let name = checked_name(&input.queue_name, given.iter().find(|(name, _)| *name == Name::FifoQueue.as_str()))?;
        let now_ms = self.now_ms();
        let mut queue = QueueRecord {
            name: name.to_owned(),
            attributes: BTreeMap::new(),
            tags: input.tags.unwrap_or_default().into_iter().collect(),
            created_ms: now_ms,
            modified_ms: now_ms,
            purged_ms: None,
        };
        queue.set(&given)?;
        check_tags(&queue.tags)?;
        self.allow(caller, Operation::CreateQueue, &queue)?;
        self.check_policies(&queue).await?;
        self.not_deleted_recently(name, now_ms).await?;
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
        let limit = page(input.max_results)?;
        let after = input.next_token.as_deref().map(key);
        let mut names = self.names(&prefix, after.as_deref(), limit + 1).await?;
        let has_more = names.len() > limit;
        names.truncate(limit);
        let next_token = names.last().filter(|_| has_more && input.max_results.is_some()).cloned();
        let queue_urls: Vec<String> = names.iter().map(|name| self.url(endpoint, name)).collect();
        Ok(api::ListQueuesResult { queue_urls: (!queue_urls.is_empty()).then_some(queue_urls), next_token })
    }

    async fn names(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, ApiError> {
        let found = self.records.keys(prefix, after, limit).await?;
        Ok(found.iter().filter_map(|key| key.strip_prefix(QUEUES).map(str::to_owned)).collect())
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
        let is_wanted = |name: &str| wanted.iter().any(|wanted| *wanted == Name::All || wanted.as_str() == name);
        if COUNTS.iter().any(|name| is_wanted(name)) {
            let counts = self.counts(&queue).await?;
            all.extend(COUNTS.iter().zip(counts).map(|(name, count)| ((*name).to_owned(), count.to_string())));
        }
        let attributes: Map<String> = all.into_iter().filter(|(name, _)| is_wanted(name)).collect();
        Ok(api::GetQueueAttributesResult { attributes: (!attributes.is_empty()).then_some(attributes) })
    }

    /// As of [`COUNTS`].
    async fn counts(&self, queue: &QueueRecord) -> Result<[u64; 3], ApiError> {
        let (now_ms, messages) = (self.now_ms(), key(&queue.name));
        let queues = &self.parts.queues;
        queues.expire(&messages, queue.expired_ms(now_ms)).await.map_err(|cause| unavailable(&cause))?;
        let count = queues.count(&messages, now_ms).await.map_err(|cause| unavailable(&cause))?;
        Ok([count.due, count.taken, count.later.saturating_sub(count.taken)])
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
        .map(drop)
    }

    /// TagQueue.
    ///
    /// # Errors
    /// QueueDoesNotExist, and where there would be too many.
    pub async fn tag_queue(&self, caller: &Caller, input: api::TagQueueRequest) -> Result<(), ApiError> {
        self.change(caller, Operation::TagQueue, &input.queue_url, |queue| {
            queue.tags.extend(input.tags.clone());
            check_tags(&queue.tags)
        })
        .await
        .map(drop)
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
        .map(drop)
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

    pub(crate) async fn queue(&self, name: &str) -> Result<Option<Loaded<QueueRecord>>, ApiError> {
        self.records.read(&key(name)).await
    }

    /// Changes the record of a queue where the caller may; gives what it is now.
    pub(crate) async fn change(
        &self,
        caller: &Caller,
        operation: Operation,
        url: &str,
        change: impl Fn(&mut QueueRecord) -> Result<(), ApiError>,
    ) -> Result<QueueRecord, ApiError> {
        for _ in 0..TRIES {
            let found = self.asked_for(caller, operation, url).await?;
            let mut queue = found.record.clone();
            change(&mut queue)?;
            if operation == Operation::SetQueueAttributes {
                self.check_policies(&queue).await?;
            }
            if self.write(&queue, as_found(Some(&found))).await? {
                return Ok(queue);
            }
        }
        Err(ApiError::service("The queue is being changed by others."))
    }

    /// False where somebody else was faster.
    async fn write(&self, queue: &QueueRecord, precondition: Precondition) -> Result<bool, ApiError> {
        let write = put(key(&queue.name), queue, precondition)?;
        self.records.commit(vec![write]).await
    }
}

/// What is counted: visible, taken, delayed.
const COUNTS: [&str; 3] =
    ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"];

/// A FIFO queue says so twice: in its name, and in its attribute.
fn checked_name<'a>(name: &'a str, fifo: Option<(&str, &String)>) -> Result<&'a str, ApiError> {
    let allowed = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    let fits = |stem: &str| !stem.is_empty() && name.len() <= SQS_NAME_CHARS && allowed(stem);
    let stem = name.strip_suffix(FIFO);
    match fifo.map(|(_, value)| value.as_str()) {
        Some("true") if stem.is_some_and(fits) => Ok(name),
        Some("true") => Err(invalid_parameter(
            "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo suffix and be 1 to 80 in length.",
        )),
        Some("false") => Err(unknown_attribute(Name::FifoQueue.as_str())),
        Some(_) => Err(invalid_attribute(Name::FifoQueue.as_str(), "")),
        None if fits(name) => Ok(name),
        None => Err(invalid_parameter(
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
        )),
    }
}

fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), ApiError> {
    if tags.len() > TAGS {
        return Err(invalid_parameter("Too many tags added for queue."));
    }
    let fits = |key: &str, value: &str| {
        (1..=SQS_TAG_KEY_CHARS).contains(&key.chars().count()) && value.chars().count() <= SQS_TAG_VALUE_CHARS
    };
    match tags.iter().find(|(key, value)| !fits(key, value) || key.to_ascii_lowercase().starts_with("aws:")) {
        None => Ok(()),
        Some((key, _)) => Err(invalid_parameter(format!("Tag key or value of {key} is invalid."))),
    }
}
