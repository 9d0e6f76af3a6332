//! Topics themselves: made, shown, changed, deleted.

use std::collections::BTreeMap;

use hearth_api::sns::{Operation, errors, types as api};
use hearth_api::{ApiError, Map};
use hearth_crash::{self as crash, Point};
use hearth_identity::Caller;
use hearth_records::TRIES;
use hearth_store::typed::as_found;
use hearth_store::{Precondition, Write};
use hearth_types::limits::{SNS_NAME_CHARS, SNS_PAGE, STORE_COMMIT_WRITES, TAGS};

use crate::Sns;
use crate::attributes::{DEFAULT_DELIVERY, no_fifo_name, set_of_topic};
use crate::errors::{invalid, invalid_because, unsupported};
use crate::policy;
use crate::record::{TOPICS, Topic, topic_key};
use crate::store::busy;

impl Sns {
    /// CreateTopic; one that is there already is no error where it is the same.
    ///
    /// # Errors
    /// InvalidParameter.
    pub async fn create_topic(
        &self,
        caller: &Caller,
        input: api::CreateTopicInput,
    ) -> Result<api::CreateTopicResponse, ApiError> {
        if input.data_protection_policy.is_some() {
            return Err(unsupported("data protection policies of topics"));
        }
        let given = input.attributes.unwrap_or_default();
        check_name(&input.name, given.iter().any(|(name, value)| name == "FifoTopic" && value == "true"))?;
        let mut topic = Topic {
            name: input.name,
            attributes: BTreeMap::new(),
            tags: input.tags.into_iter().flatten().map(|tag| (tag.key, tag.value)).collect(),
            created_ms: self.now_ms(),
        };
        if topic.tags.len() > TAGS {
            return Err(too_many_tags());
        }
        for (name, value) in given.iter() {
            set_of_topic(&mut topic, name, value)?;
        }
        let arn = self.arn(&topic.name);
        self.allow(caller, Operation::CreateTopic, None, &arn)?;
        if self.keep_topic(&topic, Precondition::Absent).await? {
            return Ok(api::CreateTopicResponse { topic_arn: Some(arn) });
        }
        let there = self.topic(&arn).await?.record;
        let shown = self.shown(&there);
        if given.iter().any(|(name, value)| shown.get(name) != Some(value)) {
            return Err(invalid_because("Attributes", "Topic already exists with different attributes"));
        }
        if !topic.tags.is_empty() && topic.tags != there.tags {
            return Err(invalid_because("Tags", "Topic already exists with different tags"));
        }
        Ok(api::CreateTopicResponse { topic_arn: Some(arn) })
    }

    /// DeleteTopic, with its subscriptions; nothing where it is gone already.
    ///
    /// # Errors
    /// InvalidParameter.
    pub async fn delete_topic(&self, caller: &Caller, input: api::DeleteTopicInput) -> Result<(), ApiError> {
        for _ in 0..TRIES {
            let found = match self.asked_for(caller, Operation::DeleteTopic, &input.topic_arn).await {
                Err(error) if error.kind.code == errors::NOT_FOUND.code => return Ok(()),
                found => found?,
            };
            let subscriptions = self.all_of(&found.record.name).await?;
            // No subscription comes without a look at the topic, so that these are all.
            let keys = subscriptions.iter().map(|subscription| subscription.record.key());
            let mut writes: Vec<Write> = keys.map(|key| Write::delete(key, Precondition::Any)).collect();
            writes.truncate(STORE_COMMIT_WRITES - 1);
            writes.push(Write::delete(topic_key(&found.record.name), found.unchanged()));
            if self.records.commit(writes).await? {
                crash::point(Point::TopicGone);
                return self.forget_kept(&found.record).await;
            }
        }
        Err(busy())
    }

    /// ListTopics.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn list_topics(
        &self,
        caller: &Caller,
        input: api::ListTopicsInput,
    ) -> Result<api::ListTopicsResponse, ApiError> {
        self.allow(caller, Operation::ListTopics, None, &self.arn("*"))?;
        let after = input.next_token.as_deref().map(topic_key);
        let page = self.records.read_page::<Topic>(TOPICS, after.as_deref(), SNS_PAGE + 1).await;
        let mut page = page?;
        let has_more = page.len() > SNS_PAGE;
        page.truncate(SNS_PAGE);
        let next_token = page.last().filter(|_| has_more).map(|(name, _)| name.clone());
        let topics = page.iter().map(|(name, _)| api::Topic { topic_arn: Some(self.arn(name)) }).collect();
        Ok(api::ListTopicsResponse { topics: Some(topics), next_token })
    }

    /// GetTopicAttributes.
    ///
    /// # Errors
    /// NotFound.
    pub async fn get_topic_attributes(
        &self,
        caller: &Caller,
        input: api::GetTopicAttributesInput,
    ) -> Result<api::GetTopicAttributesResponse, ApiError> {
        let topic = self.asked_for(caller, Operation::GetTopicAttributes, &input.topic_arn).await?.record;
        let subscriptions = self.all_of(&topic.name).await?;
        let confirmed = subscriptions.iter().filter(|subscription| subscription.record.is_confirmed).count();
        let mut shown = self.shown(&topic);
        shown.insert("SubscriptionsConfirmed".into(), confirmed.to_string());
        shown.insert("SubscriptionsPending".into(), (subscriptions.len() - confirmed).to_string());
        shown.insert("SubscriptionsDeleted".into(), "0".into());
        let attributes: Map<String> = shown.into_iter().collect();
        Ok(api::GetTopicAttributesResponse { attributes: Some(attributes) })
    }

    /// What is set or has a default, but for what is counted.
    fn shown(&self, topic: &Topic) -> BTreeMap<String, String> {
        let arn = self.arn(&topic.name);
        let mut shown = BTreeMap::from([
            ("Policy".to_owned(), policy::default(&self.parts.place, &arn).to_string()),
            ("TopicArn".to_owned(), arn),
            ("Owner".to_owned(), self.parts.place.account.to_string()),
            ("DisplayName".to_owned(), String::new()),
            ("EffectiveDeliveryPolicy".to_owned(), DEFAULT_DELIVERY.to_owned()),
        ]);
        if topic.is_fifo() {
            shown.insert("FifoTopic".into(), "true".into());
            shown.insert("ContentBasedDeduplication".into(), "false".into());
        }
        shown.extend(topic.attributes.clone());
        shown
    }

    /// SetTopicAttributes.
    ///
    /// # Errors
    /// NotFound, InvalidParameter.
    pub async fn set_topic_attributes(
        &self,
        caller: &Caller,
        input: api::SetTopicAttributesInput,
    ) -> Result<(), ApiError> {
        let (name, value) = (&input.attribute_name, input.attribute_value.unwrap_or_default());
        if name == "FifoTopic" {
            return Err(invalid("AttributeName"));
        }
        self.change_topic(caller, Operation::SetTopicAttributes, &input.topic_arn, |topic| {
            set_of_topic(topic, name, &value)
        })
        .await
    }

    /// TagResource.
    ///
    /// # Errors
    /// ResourceNotFound, TagLimitExceeded.
    pub async fn tag_resource(
        &self,
        caller: &Caller,
        input: api::TagResourceRequest,
    ) -> Result<api::TagResourceResponse, ApiError> {
        let changed = self.change_topic(caller, Operation::TagResource, &input.resource_arn, |topic| {
            topic.tags.extend(input.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())));
            if topic.tags.len() > TAGS { Err(too_many_tags()) } else { Ok(()) }
        });
        changed.await.map_err(of_resource)?;
        Ok(api::TagResourceResponse {})
    }

    /// UntagResource.
    ///
    /// # Errors
    /// ResourceNotFound.
    pub async fn untag_resource(
        &self,
        caller: &Caller,
        input: api::UntagResourceRequest,
    ) -> Result<api::UntagResourceResponse, ApiError> {
        let changed = self.change_topic(caller, Operation::UntagResource, &input.resource_arn, |topic| {
            topic.tags.retain(|key, _| !input.tag_keys.contains(key));
            Ok(())
        });
        changed.await.map_err(of_resource)?;
        Ok(api::UntagResourceResponse {})
    }

    /// ListTagsForResource.
    ///
    /// # Errors
    /// ResourceNotFound.
    pub async fn list_tags_for_resource(
        &self,
        caller: &Caller,
        input: api::ListTagsForResourceRequest,
    ) -> Result<api::ListTagsForResourceResponse, ApiError> {
        let found = self.asked_for(caller, Operation::ListTagsForResource, &input.resource_arn).await;
        let tags = found.map_err(of_resource)?.record.tags.into_iter();
        Ok(api::ListTagsForResourceResponse { tags: Some(tags.map(|(key, value)| api::Tag { key, value }).collect()) })
    }

    pub(crate) async fn change_topic(
        &self,
        caller: &Caller,
        operation: Operation,
        arn: &str,
        change: impl Fn(&mut Topic) -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        for _ in 0..TRIES {
            let found = self.asked_for(caller, operation, arn).await?;
            let mut topic = found.record.clone();
            change(&mut topic)?;
            if self.keep_topic(&topic, as_found(Some(&found))).await? {
                return Ok(());
            }
        }
        Err(busy())
    }
}

fn check_name(name: &str, is_fifo: bool) -> Result<(), ApiError> {
    let bare = name.strip_suffix(".fifo");
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let fits = !name.is_empty() && name.len() <= SNS_NAME_CHARS && bare.unwrap_or(name).chars().all(allowed);
    match (is_fifo, bare.is_some() && fits) {
        (true, false) => Err(no_fifo_name()),
        (true, true) => Ok(()),
        (false, _) if fits && bare.is_none() => Ok(()),
        (false, _) => Err(invalid("Topic Name")),
    }
}

fn too_many_tags() -> ApiError {
    ApiError::new(&errors::TAG_LIMIT_EXCEEDED, "Could not complete request: tag quota of per resource exceeded")
}

/// Operations on tags name what they do not find in their own way.
fn of_resource(error: ApiError) -> ApiError {
    if error.kind.code == errors::NOT_FOUND.code {
        return ApiError::new(&errors::RESOURCE_NOT_FOUND, "Resource does not exist");
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_fifo_topics_end_with_it_and_those_of_others_do_not() {
        let of = |name: &str, is_fifo| check_name(name, is_fifo).map_err(|error| error.message);
        assert!(of("a-b_C", false).is_ok() && of("a.fifo", true).is_ok() && of(&"x".repeat(256), false).is_ok());
        for (name, is_fifo) in [("", false), ("a.b", false), ("a.fifo", false), ("a", true), (&"x".repeat(257), false)]
        {
            assert!(of(name, is_fifo).is_err(), "{name}");
        }
    }
}
