//! Dead-letter queues: the policy of a queue that has one, the policy of one that is one, and which queues have it.

use hearth_api::ApiError;
use hearth_api::sqs::types::QueueAttributeName as Name;
use hearth_api::sqs::{Operation, types as api};
use hearth_identity::Caller;
use hearth_types::limits::SQS_LIST_PAGE;
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use crate::Sqs;
use crate::errors::invalid_value;
use crate::queue::{QUEUES, QueueRecord, key};

/// The receives after which a message goes to the dead-letter queue, at most (SQS).
const RECEIVES_MAX: u32 = 1000;

/// Queues that a RedriveAllowPolicy names, at most (SQS).
const ALLOWED_MAX: usize = 10;

/// RedrivePolicy.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Redrive {
    /// Where messages go.
    pub(crate) dead_letter_target_arn: String,
    /// After so many receives.
    #[serde(deserialize_with = "number_or_text")]
    pub(crate) max_receive_count: u32,
}

/// RedriveAllowPolicy: which queues may have this one.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Allowing {
    redrive_permission: Permission,
    #[serde(default)]
    source_queue_arns: Option<Vec<String>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Permission {
    AllowAll,
    DenyAll,
    ByQueue,
}

impl Allowing {
    fn allows(&self, source: &str) -> bool {
        match self.redrive_permission {
            Permission::AllowAll => true,
            Permission::DenyAll => false,
            Permission::ByQueue => self.source_queue_arns.iter().flatten().any(|arn| arn == source),
        }
    }

    fn is_valid(&self) -> bool {
        match (self.redrive_permission, &self.source_queue_arns) {
            (Permission::ByQueue, Some(arns)) => (1..=ALLOWED_MAX).contains(&arns.len()),
            (Permission::ByQueue, None) => false,
            (Permission::AllowAll | Permission::DenyAll, arns) => arns.is_none(),
        }
    }
}

/// Clients write it both ways.
fn number_or_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.parse().map_err(|_| de::Error::custom("a count is a number"))
}

/// Reads a RedrivePolicy; the reasons are the service's.
fn read(text: &str) -> Result<Redrive, ApiError> {
    let invalid = |reason: &str| invalid_value(text, "RedrivePolicy", reason);
    let value: Value = serde_json::from_str(text)
        .ok()
        .filter(Value::is_object)
        .ok_or_else(|| invalid("Redrive policy is not a valid JSON map."))?;
    for member in ["deadLetterTargetArn", "maxReceiveCount"] {
        if value.get(member).is_none() {
            return Err(invalid(&format!("Redrive policy does not contain mandatory attribute: {member}.")));
        }
    }
    if let Some(other) = value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name)
        .find(|name| !matches!(name.as_str(), "deadLetterTargetArn" | "maxReceiveCount"))
    {
        return Err(invalid(&format!(
            "Only following attributes are supported: [deadLetterTargetArn, maxReceiveCount], not {other}."
        )));
    }
    let count = value["maxReceiveCount"].to_string().replace('"', "");
    let range = || {
        let text = "valid values are from 1 to 1000 both inclusive.";
        invalid(&format!("Invalid value for maxReceiveCount: {count}, {text}"))
    };
    let redrive: Redrive = serde_json::from_value(value.clone()).map_err(|_| range())?;
    if !(1..=RECEIVES_MAX).contains(&redrive.max_receive_count) {
        return Err(range());
    }
    Ok(redrive)
}

impl Sqs {
    /// What the two policies need beside their text: that the dead-letter queue is there, and takes from this one.
    pub(crate) async fn check_policies(&self, queue: &QueueRecord) -> Result<(), ApiError> {
        if let Some(text) = queue.attributes.get(Name::RedriveAllowPolicy.as_str()) {
            let reason = "RedriveAllowPolicy must be a JSON map of redrivePermission (allowAll, denyAll or byQueue) and, for byQueue alone, 1 to 10 sourceQueueArns.";
            if !queue.allowing().is_some_and(|allowing| allowing.is_valid()) {
                return Err(invalid_value(text, "RedriveAllowPolicy", reason));
            }
        }
        let Some(text) = queue.attributes.get(Name::RedrivePolicy.as_str()) else { return Ok(()) };
        let invalid = |reason: &str| Err(invalid_value(text, "RedrivePolicy", reason));
        let redrive = read(text)?;
        let Some(target) = self.by_arn(&redrive.dead_letter_target_arn).await? else {
            return invalid("Dead letter target does not exist.");
        };
        if target.is_fifo() != queue.is_fifo() {
            return invalid("Dead-letter queue must be same type of queue as the source.");
        }
        if target.allowing().is_some_and(|allowing| !allowing.allows(&self.arn(&queue.name))) {
            return invalid("The dead-letter queue's RedriveAllowPolicy does not permit this queue.");
        }
        Ok(())
    }

    /// Where messages go that were received too often. A queue that is gone takes none.
    pub(crate) async fn dead_letters(&self, queue: &QueueRecord) -> Result<Option<(QueueRecord, Redrive)>, ApiError> {
        let Some(policy) = queue.redrive() else { return Ok(None) };
        Ok(self.by_arn(&policy.dead_letter_target_arn).await?.map(|target| (target, policy)))
    }

    /// Up to `limit` queues whose messages go to this one, behind the name `after`.
    pub(crate) async fn sources_of(
        &self,
        arn: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, ApiError> {
        let sends_there =
            |queue: &QueueRecord| queue.redrive().is_some_and(|policy| policy.dead_letter_target_arn == arn);
        let after = after.map(key);
        let found = self.records.read_matching::<QueueRecord>(QUEUES, after.as_deref(), limit, sends_there).await;
        Ok(found?.into_iter().map(|(name, _)| name).collect())
    }

    /// ListDeadLetterSourceQueues.
    ///
    /// # Errors
    /// QueueDoesNotExist, InvalidParameterValue.
    pub async fn list_dead_letter_source_queues(
        &self,
        caller: &Caller,
        input: api::ListDeadLetterSourceQueuesRequest,
        endpoint: &str,
    ) -> Result<api::ListDeadLetterSourceQueuesResult, ApiError> {
        let target = self.asked_for(caller, Operation::ListDeadLetterSourceQueues, &input.queue_url).await?.record;
        let limit = page(input.max_results)?;
        let arn = self.arn(&target.name);
        let mut names = self.sources_of(&arn, input.next_token.as_deref(), limit + 1).await?;
        let has_more = names.len() > limit;
        names.truncate(limit);
        Ok(api::ListDeadLetterSourceQueuesResult {
            next_token: names.last().filter(|_| has_more && input.max_results.is_some()).cloned(),
            queue_urls: names.iter().map(|name| self.url(endpoint, name)).collect(),
        })
    }
}

/// Queues on a page.
pub(crate) fn page(given: Option<i32>) -> Result<usize, ApiError> {
    let Some(given) = given else { return Ok(SQS_LIST_PAGE) };
    let fits = usize::try_from(given).ok().filter(|limit| (1..=SQS_LIST_PAGE).contains(limit));
    fits.ok_or_else(|| {
        invalid_value(given, "MaxResults", &format!("MaxResults must be an integer between 1 and {SQS_LIST_PAGE}."))
    })
}
