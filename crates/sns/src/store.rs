//! Reading and writing records.

use hearth_api::ApiError;
use hearth_records::put;
use hearth_store::typed::Loaded;
use hearth_store::{Precondition, Write};
use hearth_types::limits::SNS_PAGE;

use crate::Sns;
use crate::errors::{no_subscription, no_topic};
use crate::record::{Subscription, Topic, subscriptions_of, topic_key};

impl Sns {
    pub(crate) async fn find(&self, name: &str) -> Result<Option<Loaded<Topic>>, ApiError> {
        self.records.read(&topic_key(name)).await
    }

    /// The topic of this server with this ARN.
    pub(crate) async fn topic(&self, arn: &str) -> Result<Loaded<Topic>, ApiError> {
        let name = arn.strip_prefix(&self.arn("")).ok_or_else(no_topic)?;
        self.find(name).await?.ok_or_else(no_topic)
    }

    /// The subscription with this ARN.
    pub(crate) async fn subscription(&self, arn: &str) -> Result<Loaded<Subscription>, ApiError> {
        let parts = arn.strip_prefix(&self.arn("")).and_then(|rest| rest.rsplit_once(':'));
        let (topic, id) = parts.ok_or_else(no_subscription)?;
        let key = format!("{}{id}", subscriptions_of(topic));
        self.records.read(&key).await?.ok_or_else(no_subscription)
    }

    /// All subscriptions of a topic.
    pub(crate) async fn all_of(&self, topic: &str) -> Result<Vec<Loaded<Subscription>>, ApiError> {
        let (prefix, mut all) = (subscriptions_of(topic), Vec::new());
        loop {
            let after = all.last().map(|last: &Loaded<Subscription>| last.record.key());
            let page = self.page(&prefix, after.as_deref()).await?;
            let is_last = page.len() < SNS_PAGE;
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
    }

    /// Subscriptions behind a key.
    pub(crate) async fn page(&self, prefix: &str, after: Option<&str>) -> Result<Vec<Loaded<Subscription>>, ApiError> {
        let page = self.records.read_page(prefix, after, SNS_PAGE).await?;
        Ok(page.into_iter().map(|(_, loaded)| loaded).collect())
    }

    pub(crate) async fn keep_topic(&self, topic: &Topic, precondition: Precondition) -> Result<bool, ApiError> {
        self.records.commit(vec![put(topic_key(&topic.name), topic, precondition)?]).await
    }

    /// Keeps a subscription, as long as its topic is there.
    pub(crate) async fn keep_subscription(
        &self,
        topic: &Loaded<Topic>,
        subscription: &Subscription,
        precondition: Precondition,
    ) -> Result<bool, ApiError> {
        let write = put(subscription.key(), subscription, precondition)?;
        self.records.commit(vec![Write::check(topic_key(&topic.record.name), topic.unchanged()), write]).await
    }
}

pub(crate) fn busy() -> ApiError {
    ApiError::service("The topic is being changed by others.")
}
