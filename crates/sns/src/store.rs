//! Reading and writing records.

use hearth_api::ApiError;
use hearth_store::typed::{self, Loaded};
use hearth_store::{CommitError, Precondition, Write};
use hearth_types::limits::SNS_PAGE;

use crate::Sns;
use crate::errors::{no_subscription, no_topic, unavailable};
use crate::record::{Subscription, Topic, subscriptions_of, topic_key};

/// Tries against other writers of one record.
pub(crate) const TRIES: usize = 16;

impl Sns {
    pub(crate) async fn find(&self, name: &str) -> Result<Option<Loaded<Topic>>, ApiError> {
        typed::read(&*self.parts.metadata, &topic_key(name)).await.map_err(|fault| unavailable(&fault))
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
        let found = typed::read(&*self.parts.metadata, &key).await.map_err(|fault| unavailable(&fault))?;
        found.ok_or_else(no_subscription)
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
        let page = typed::read_page(&*self.parts.metadata, prefix, after, SNS_PAGE).await;
        Ok(page.map_err(|fault| unavailable(&fault))?.into_iter().map(|(_, loaded)| loaded).collect())
    }

    /// False where somebody else was faster.
    pub(crate) async fn commit(&self, writes: Vec<Write>) -> Result<bool, ApiError> {
        match self.parts.metadata.commit(writes).await {
            Ok(_) => Ok(true),
            Err(CommitError::Conflict { .. }) => Ok(false),
            Err(cause) => Err(unavailable(&cause)),
        }
    }

    pub(crate) async fn keep_topic(&self, topic: &Topic, precondition: Precondition) -> Result<bool, ApiError> {
        let write = typed::put(topic_key(&topic.name), topic, precondition).map_err(|fault| unavailable(&fault))?;
        self.commit(vec![write]).await
    }

    /// Keeps a subscription, as long as its topic is there.
    pub(crate) async fn keep_subscription(
        &self,
        topic: &Loaded<Topic>,
        subscription: &Subscription,
        precondition: Precondition,
    ) -> Result<bool, ApiError> {
        let write = typed::put(subscription.key(), subscription, precondition).map_err(|fault| unavailable(&fault))?;
        self.commit(vec![Write::check(topic_key(&topic.record.name), topic.unchanged()), write]).await
    }
}

pub(crate) fn busy() -> ApiError {
    ApiError::service("The topic is being changed by others.")
}
