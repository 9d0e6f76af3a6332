//! Subscribing: Subscribe, ConfirmSubscription, Unsubscribe.

use std::collections::BTreeMap;

use bytes::Bytes;
use hearth_api::ApiError;
use hearth_api::sns::{Operation, errors, types as api};
use hearth_identity::Caller;
use hearth_identity::policy::Principal;
use hearth_records::TRIES;
use hearth_store::typed::{Loaded, as_found};
use hearth_store::{Precondition, Write};
use hearth_types::limits::SNS_SUBSCRIPTIONS;
use uuid::Uuid;

use crate::Sns;
use crate::attributes::set_of_subscription;
use crate::errors::{invalid, invalid_because, no_subscription, unavailable, unsupported};
use crate::message::{Notice, confirmation};
use crate::record::{Protocol, Subscription, Topic};
use crate::store::busy;

/// What is shown in the place of an ARN until the endpoint has confirmed.
pub(crate) const PENDING: &str = "pending confirmation";

impl Sns {
    /// Subscribe; a subscription that is there already is no error where it is the same.
    ///
    /// # Errors
    /// NotFound, InvalidParameter, SubscriptionLimitExceeded.
    pub async fn subscribe(
        &self,
        caller: &Caller,
        input: api::SubscribeInput,
    ) -> Result<api::SubscribeResponse, ApiError> {
        let endpoint = input.endpoint.unwrap_or_default();
        let protocol = protocol(&input.protocol, &endpoint)?;
        if protocol.is_http() && caller.is_unchecked() && matches!(caller.principal(), Principal::Session { .. }) {
            // A function that nobody has given any right would reach what its own network keeps from it.
            let text =
                "A function subscribes an HTTP endpoint only where its role has been made and allows sns:Subscribe";
            return Err(ApiError::new(&errors::AUTHORIZATION_ERROR, text));
        }
        for _ in 0..TRIES {
            let topic = self.asked_for(caller, Operation::Subscribe, &input.topic_arn).await?;
            check_fifo(&topic.record, protocol, &endpoint)?;
            let mut subscription = Subscription {
                id: Subscription::id(&topic.record, protocol, &endpoint),
                topic: topic.record.name.clone(),
                protocol,
                endpoint: endpoint.clone(),
                attributes: BTreeMap::new(),
                token: protocol.is_http().then(token),
                is_confirmed: !protocol.is_http(),
                principal: caller.arn(),
            };
            let given = input.attributes.clone().unwrap_or_default();
            // The scope before what it decides about.
            for (name, value) in given.iter().filter(|(name, _)| *name == "FilterPolicyScope") {
                set_of_subscription(&mut subscription, name, value)?;
            }
            for (name, value) in given.iter() {
                set_of_subscription(&mut subscription, name, value)?;
            }
            let there = self.records.read::<Subscription>(&subscription.key()).await;
            if let Some(there) = there? {
                if !given.is_empty() && there.record.attributes != subscription.attributes {
                    return Err(invalid_because("Attributes", "Subscription already exists with different attributes"));
                }
                return self.subscribed(&topic, there.record, input.return_subscription_arn).await;
            }
            if self.all_of(&topic.record.name).await?.len() >= SNS_SUBSCRIPTIONS {
                let text = "Subscription limit exceeded for the topic";
                return Err(ApiError::new(&errors::SUBSCRIPTION_LIMIT_EXCEEDED, text));
            }
            if self.keep_subscription(&topic, &subscription, Precondition::Absent).await? {
                return self.subscribed(&topic, subscription, input.return_subscription_arn).await;
            }
        }
        Err(busy())
    }

    /// Asks an endpoint that has not confirmed yet, and tells the ARN where it may be told.
    async fn subscribed(
        &self,
        topic: &Loaded<Topic>,
        subscription: Subscription,
        tell: Option<bool>,
    ) -> Result<api::SubscribeResponse, ApiError> {
        let arn = self.subscription_arn(&subscription);
        let shown = if subscription.is_confirmed || tell == Some(true) { arn } else { PENDING.to_owned() };
        if let Some(token) = subscription.token.as_ref().filter(|_| !subscription.is_confirmed) {
            let notice = Notice {
                arn: &self.arn(&topic.record.name),
                message_id: &Uuid::new_v4().to_string(),
                now_ms: self.now_ms(),
                endpoint: &self.parts.endpoint,
                signature_version: "1",
            };
            let body = confirmation(&notice, token);
            let parcel = self.http_parcel(&subscription, "SubscriptionConfirmation", &notice, Bytes::from(body));
            self.parts.outbox.post(vec![parcel]).await.map_err(|cause| unavailable(&cause))?;
        }
        Ok(api::SubscribeResponse { subscription_arn: Some(shown) })
    }

    pub(crate) fn subscription_arn(&self, subscription: &Subscription) -> String {
        format!("{}:{}", self.arn(&subscription.topic), subscription.id)
    }

    /// ConfirmSubscription: whoever has the token may.
    ///
    /// # Errors
    /// NotFound, InvalidParameter.
    pub async fn confirm_subscription(
        &self,
        input: api::ConfirmSubscriptionInput,
    ) -> Result<api::ConfirmSubscriptionResponse, ApiError> {
        for _ in 0..TRIES {
            let topic = self.topic(&input.topic_arn).await?;
            let all = self.all_of(&topic.record.name).await?;
            let found = all.into_iter().find(|one| one.record.token.as_deref() == Some(&*input.token));
            let found = found.ok_or_else(|| invalid("Token"))?;
            let arn = self.subscription_arn(&found.record);
            let confirmed = Subscription { is_confirmed: true, ..found.record.clone() };
            if found.record.is_confirmed || self.keep_subscription(&topic, &confirmed, as_found(Some(&found))).await? {
                return Ok(api::ConfirmSubscriptionResponse { subscription_arn: Some(arn) });
            }
        }
        Err(busy())
    }

    /// Unsubscribe; nothing where it is gone already.
    ///
    /// # Errors
    /// InvalidParameter.
    pub async fn unsubscribe(&self, caller: &Caller, input: api::UnsubscribeInput) -> Result<(), ApiError> {
        let arn = &input.subscription_arn;
        if arn.split(':').count() != 7 {
            return Err(invalid_because("SubscriptionArn", "An ARN must have at least 7 elements"));
        }
        let topic = arn.rsplit_once(':').map_or("", |(topic, _)| topic);
        self.allow(caller, Operation::Unsubscribe, None, topic)?;
        let found = match self.subscription(arn).await {
            Err(error) if error.kind.code == no_subscription().kind.code => return Ok(()),
            found => found?,
        };
        self.records.commit(vec![Write::delete(found.record.key(), Precondition::Any)]).await.map(|_| ())
    }
}

/// What an endpoint sends back.
fn token() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

fn protocol(name: &str, endpoint: &str) -> Result<Protocol, ApiError> {
    let is_arn_of = |service| endpoint.starts_with("arn:") && endpoint.split(':').nth(2) == Some(service);
    match name {
        "sqs" if is_arn_of("sqs") => Ok(Protocol::Sqs),
        "sqs" => Err(invalid("SQS endpoint ARN")),
        "lambda" if is_arn_of("lambda") => Ok(Protocol::Lambda),
        "lambda" => Err(invalid("Lambda endpoint ARN")),
        "http" if endpoint.starts_with("http://") => Ok(Protocol::Http),
        "https" if endpoint.starts_with("https://") => Ok(Protocol::Https),
        "http" | "https" => Err(invalid("Endpoint must match the specified protocol")),
        "email" | "email-json" | "sms" | "application" | "firehose" => {
            Err(unsupported(&format!("subscriptions of protocol {name}: it has sqs, lambda, http and https")))
        }
        _ => {
            let shown: String = name.chars().take(64).collect();
            Err(invalid(format!("Amazon SNS does not support this protocol string: {shown}")))
        }
    }
}

fn check_fifo(topic: &Topic, protocol: Protocol, endpoint: &str) -> Result<(), ApiError> {
    match (topic.is_fifo(), protocol) {
        (false, Protocol::Sqs) if endpoint.ends_with(".fifo") => Err(invalid_because(
            "Invalid parameter: Endpoint",
            "FIFO SQS Queues can not be subscribed to standard SNS topics",
        )),
        (true, Protocol::Lambda | Protocol::Http | Protocol::Https) => {
            Err(invalid_because("Invalid parameter: Endpoint", "Please use FIFO SQS queue"))
        }
        _ => Ok(()),
    }
}
