//! SNS: which operation is answered by what.

use bytes::Bytes;
use hearth_api::ApiError;
use hearth_api::sns::{Operation, ops};
use http::Response;

use super::{Asked, answer};
use crate::gateway::Gateway;

impl Gateway {
    /// `trace` is X-Ray's header of the request.
    pub(super) async fn sns(
        &self,
        asked: Asked<'_, Operation>,
        trace: Option<String>,
    ) -> Result<Response<Bytes>, ApiError> {
        let (sns, caller) = (&self.sns, asked.caller);
        answer! { xml asked;
            CreateTopic(input) => sns.create_topic(caller, input),
            DeleteTopic(input) => sns.delete_topic(caller, input),
            ListTopics(input) => sns.list_topics(caller, input),
            GetTopicAttributes(input) => sns.get_topic_attributes(caller, input),
            SetTopicAttributes(input) => sns.set_topic_attributes(caller, input),
            AddPermission(input) => sns.add_permission(caller, input),
            RemovePermission(input) => sns.remove_permission(caller, input),
            TagResource(input) => sns.tag_resource(caller, input),
            UntagResource(input) => sns.untag_resource(caller, input),
            ListTagsForResource(input) => sns.list_tags_for_resource(caller, input),

            Subscribe(input) => sns.subscribe(caller, input),
            ConfirmSubscription(input) => sns.confirm_subscription(input),
            Unsubscribe(input) => sns.unsubscribe(caller, input),
            ListSubscriptions(input) => sns.list_subscriptions(caller, input),
            ListSubscriptionsByTopic(input) => sns.list_subscriptions_by_topic(caller, input),
            GetSubscriptionAttributes(input) => sns.get_subscription_attributes(caller, input),
            SetSubscriptionAttributes(input) => sns.set_subscription_attributes(caller, input),

            Publish(input) => sns.publish(caller, input, trace),
            PublishBatch(input) => sns.publish_batch(caller, input, trace),
        }
    }
}
