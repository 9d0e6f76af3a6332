//! Subscriptions shown and changed.

use std::collections::BTreeMap;

use hearth_api::sns::{Operation, types as api};
use hearth_api::{ApiError, Map};
use hearth_identity::Caller;
use hearth_records::TRIES;
use hearth_store::typed::{Loaded, as_found};
use hearth_types::limits::SNS_PAGE;

use crate::Sns;
use crate::attributes::{DEFAULT_DELIVERY, set_of_subscription};
use crate::errors::invalid_because;
use crate::record::{SUBSCRIPTIONS, Subscription, subscriptions_of};
use crate::store::busy;

impl Sns {
    /// ListSubscriptions.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn list_subscriptions(
        &self,
        caller: &Caller,
        input: api::ListSubscriptionsInput,
    ) -> Result<api::ListSubscriptionsResponse, ApiError> {
        self.allow(caller, Operation::ListSubscriptions, None, &self.arn("*"))?;
        let (subscriptions, next_token) = self.listed(SUBSCRIPTIONS, input.next_token).await?;
        Ok(api::ListSubscriptionsResponse { subscriptions: Some(subscriptions), next_token })
    }

    /// ListSubscriptionsByTopic.
    ///
    /// # Errors
    /// NotFound.
    pub async fn list_subscriptions_by_topic(
        &self,
        caller: &Caller,
        input: api::ListSubscriptionsByTopicInput,
    ) -> Result<api::ListSubscriptionsByTopicResponse, ApiError> {
        let topic = self.asked_for(caller, Operation::ListSubscriptionsByTopic, &input.topic_arn).await?.record;
        let (subscriptions, next_token) = self.listed(&subscriptions_of(&topic.name), input.next_token).await?;
        Ok(api::ListSubscriptionsByTopicResponse { subscriptions: Some(subscriptions), next_token })
    }

    /// A page, and what leads to the next one: the last key without what all have.
    async fn listed(
        &self,
        prefix: &str,
        token: Option<String>,
    ) -> Result<(Vec<api::Subscription>, Option<String>), ApiError> {
        let after = token.map(|token| format!("{SUBSCRIPTIONS}{token}"));
        let page = self.page(prefix, after.as_deref()).await?;
        let last = page.last().filter(|_| page.len() == SNS_PAGE);
        let next = last.map(|last| last.record.key()[SUBSCRIPTIONS.len()..].to_owned());
        let shown = |one: &Loaded<Subscription>| {
            let Subscription { topic, protocol, endpoint, is_confirmed, .. } = &one.record;
            let arn = self.subscription_arn(&one.record);
            api::Subscription {
                subscription_arn: Some(if *is_confirmed { arn } else { "PendingConfirmation".to_owned() }),
                owner: Some(self.parts.place.account.to_string()),
                protocol: Some(protocol.name().to_owned()),
                endpoint: Some(endpoint.clone()),
                topic_arn: Some(self.arn(topic)),
            }
        };
        Ok((page.iter().map(shown).collect(), next))
    }

    /// The subscription, where the caller may: of who may do what the topic's ARN decides.
    async fn subscription_for(
        &self,
        caller: &Caller,
        operation: Operation,
        arn: &str,
    ) -> Result<Loaded<Subscription>, ApiError> {
        if arn.split(':').count() != 7 {
            return Err(invalid_because("SubscriptionArn", "An ARN must have at least 7 elements"));
        }
        self.allow(caller, operation, None, arn.rsplit_once(':').map_or("", |(topic, _)| topic))?;
        self.subscription(arn).await
    }

    /// GetSubscriptionAttributes.
    ///
    /// # Errors
    /// NotFound.
    pub async fn get_subscription_attributes(
        &self,
        caller: &Caller,
        input: api::GetSubscriptionAttributesInput,
    ) -> Result<api::GetSubscriptionAttributesResponse, ApiError> {
        let arn = input.subscription_arn;
        let found = self.subscription_for(caller, Operation::GetSubscriptionAttributes, &arn).await?.record;
        let mut shown = BTreeMap::from([
            ("SubscriptionArn".to_owned(), arn),
            ("TopicArn".to_owned(), self.arn(&found.topic)),
            ("Owner".to_owned(), self.parts.place.account.to_string()),
            ("Protocol".to_owned(), found.protocol.name().to_owned()),
            ("Endpoint".to_owned(), found.endpoint.clone()),
            ("SubscriptionPrincipal".to_owned(), found.principal.clone()),
            ("PendingConfirmation".to_owned(), (!found.is_confirmed).to_string()),
            ("ConfirmationWasAuthenticated".to_owned(), found.token.is_none().to_string()),
            ("RawMessageDelivery".to_owned(), "false".to_owned()),
        ]);
        if found.attributes.contains_key("FilterPolicy") {
            shown.insert("FilterPolicyScope".into(), "MessageAttributes".into());
        }
        if found.protocol.is_http() {
            let effective = found.attributes.get("DeliveryPolicy").map_or(DEFAULT_DELIVERY, String::as_str);
            shown.insert("EffectiveDeliveryPolicy".into(), effective.to_owned());
        }
        shown.extend(found.attributes);
        let attributes: Map<String> = shown.into_iter().collect();
        Ok(api::GetSubscriptionAttributesResponse { attributes: Some(attributes) })
    }

    /// SetSubscriptionAttributes.
    ///
    /// # Errors
    /// NotFound, InvalidParameter.
    pub async fn set_subscription_attributes(
        &self,
        caller: &Caller,
        input: api::SetSubscriptionAttributesInput,
    ) -> Result<(), ApiError> {
        let value = input.attribute_value.unwrap_or_default();
        for _ in 0..TRIES {
            let operation = Operation::SetSubscriptionAttributes;
            let found = self.subscription_for(caller, operation, &input.subscription_arn).await?;
            let topic = self.topic(&self.arn(&found.record.topic)).await?;
            let mut subscription = found.record.clone();
            set_of_subscription(&mut subscription, &input.attribute_name, &value)?;
            if self.keep_subscription(&topic, &subscription, as_found(Some(&found))).await? {
                return Ok(());
            }
        }
        Err(busy())
    }
}
