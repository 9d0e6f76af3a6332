//! Attributes of topics and subscriptions: which there are, and what they may say.

use hearth_api::ApiError;
use hearth_identity::policy::{Document, Kind};
use hearth_pattern::FilterPolicy;
use serde_json::Value;

use crate::errors::{invalid, invalid_because, unsupported};
use crate::record::{Protocol, Subscription, Topic, dead_letter};

/// What HTTP endpoints are tried by, unless told otherwise (SNS).
pub(crate) const DEFAULT_DELIVERY: &str = r#"{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":20,"maxDelayTarget":20,"numRetries":3,"numMaxDelayRetries":0,"numNoDelayRetries":0,"numMinDelayRetries":0,"backoffFunction":"linear"},"disableSubscriptionOverrides":false,"defaultRequestPolicy":{"headerContentType":"text/plain; charset=UTF-8"}}}"#;

/// Sets an attribute of a topic; an empty value takes it away.
pub(crate) fn set_of_topic(topic: &mut Topic, name: &str, value: &str) -> Result<(), ApiError> {
    let is_bool = matches!(value, "true" | "false");
    match name {
        "DisplayName" if value.chars().count() <= 100 => {}
        "DisplayName" => return Err(invalid("DisplayName")),
        "Policy" if value.is_empty() || Document::parse(value, Kind::Resource).is_ok() => {}
        "Policy" => return Err(invalid("Policy statement action out of service scope!")),
        "SignatureVersion" if matches!(value, "1" | "2") => {}
        "SignatureVersion" => return Err(invalid_because("SignatureVersion", "must be 1 or 2")),
        "TracingConfig" if value == "PassThrough" => {}
        "TracingConfig" => return Err(unsupported("active tracing of topics")),
        "FifoTopic" if value == if topic.is_fifo() { "true" } else { "false" } => {}
        "FifoTopic" if value == "true" => return Err(no_fifo_name()),
        "FifoTopic" => return Err(invalid("Topic Name")),
        "ContentBasedDeduplication" if is_bool && (topic.is_fifo() || value == "false") => {}
        "ContentBasedDeduplication" => {
            return Err(invalid("Content-based deduplication can only be set for FIFO topics"));
        }
        "FifoThroughputScope" if topic.is_fifo() && matches!(value, "Topic" | "MessageGroup") => {}
        "FifoThroughputScope" => return Err(invalid("FifoThroughputScope")),
        "DeliveryPolicy" => return Err(unsupported("DeliveryPolicy of topics: set it for the subscription")),
        "KmsMasterKeyId" => return Err(unsupported("keys of KMS for topics")),
        "ArchivePolicy" => return Err(unsupported("archives of topics")),
        feedback if feedback.contains("Feedback") => return Err(unsupported("delivery status logging of topics")),
        _ => return Err(invalid("AttributeName")),
    }
    if value.is_empty() {
        topic.attributes.remove(name);
    } else {
        topic.attributes.insert(name.to_owned(), value.to_owned());
    }
    Ok(())
}

pub(crate) fn no_fifo_name() -> ApiError {
    invalid(
        "Fifo Topic names must end with .fifo and must be made up of only uppercase and lowercase ASCII letters, numbers, underscores, and hyphens, and must be between 1 and 256 characters long.",
    )
}

/// Sets an attribute of a subscription; an empty value takes it away.
pub(crate) fn set_of_subscription(subscription: &mut Subscription, name: &str, value: &str) -> Result<(), ApiError> {
    let attributes = &mut subscription.attributes;
    if value.is_empty() {
        attributes.remove(name);
    } else {
        attributes.insert(name.to_owned(), value.to_owned());
    }
    match name {
        "RawMessageDelivery" if !matches!(value, "true" | "false") => {
            return Err(invalid_because("Attributes", "RawMessageDelivery: Invalid value. Must be true or false."));
        }
        "RawMessageDelivery" if value == "true" && subscription.protocol == Protocol::Lambda => {
            return Err(invalid_because(
                "Attributes",
                "RawMessageDelivery: Delivery protocol [lambda] does not support raw message delivery.",
            ));
        }
        "RawMessageDelivery" => {}
        "FilterPolicyScope" if matches!(value, "MessageAttributes" | "MessageBody" | "") => {}
        "FilterPolicyScope" => {
            return Err(invalid_because(
                "Attributes",
                format!(
                    "FilterPolicyScope: Invalid value [{value}]. Please use either MessageBody or MessageAttributes"
                ),
            ));
        }
        "FilterPolicy" => {}
        "RedrivePolicy" if value.is_empty() => {}
        "RedrivePolicy" => match dead_letter(value) {
            Some(arn) if arn.starts_with("arn:") && arn.split(':').nth(2) == Some("sqs") => {
                let is_fifo_topic = subscription.topic.ends_with(".fifo");
                if is_fifo_topic != arn.ends_with(".fifo") {
                    let text = "RedrivePolicy: must use a dead-letter queue of the same type as the topic";
                    return Err(invalid(text));
                }
            }
            Some(_) => return Err(invalid("RedrivePolicy: deadLetterTargetArn is an invalid arn")),
            None => return Err(invalid("RedrivePolicy: failed to parse JSON.")),
        },
        "DeliveryPolicy" if value.is_empty() => {}
        "DeliveryPolicy" if subscription.protocol.is_http() => drop(healthy(value)?),
        "DeliveryPolicy" => return Err(invalid("DeliveryPolicy: it is for HTTP/S subscriptions")),
        "SubscriptionRoleArn" => return Err(unsupported("subscriptions of Firehose")),
        "ReplayPolicy" => return Err(unsupported("archives of topics")),
        _ => return Err(invalid("AttributeName")),
    }
    // Its scope decides about what a policy may say.
    if let Some(policy) = subscription.attributes.get("FilterPolicy") {
        FilterPolicy::parse(policy, subscription.scope()).map_err(|cause| invalid(format!("FilterPolicy: {cause}")))?;
    }
    Ok(())
}

/// Of a DeliveryPolicy: attempts after the first, and seconds between them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Healthy {
    pub(crate) retries: u32,
    pub(crate) delay_s: i64,
}

/// Reads the part of a DeliveryPolicy that is heeded; refuses the rest by its name.
pub(crate) fn healthy(policy: &str) -> Result<Healthy, ApiError> {
    let policy: Value = serde_json::from_str(policy).map_err(|_| invalid("DeliveryPolicy: failed to parse JSON."))?;
    let members = policy.as_object().ok_or_else(|| invalid("DeliveryPolicy: failed to parse JSON."))?;
    if let Some(other) = members.keys().find(|name| *name != "healthyRetryPolicy") {
        return Err(unsupported(&format!("{other} in a DeliveryPolicy")));
    }
    let mut healthy = Healthy { retries: 3, delay_s: 20 };
    for (name, value) in policy["healthyRetryPolicy"].as_object().into_iter().flatten() {
        let number = value.as_i64().unwrap_or(-1);
        match name.as_str() {
            "numRetries" if (0..=100).contains(&number) => healthy.retries = u32::try_from(number).unwrap_or(0),
            "minDelayTarget" if (1..=3600).contains(&number) => healthy.delay_s = number,
            // One pause stands for all: between the least and the most there is none of ours.
            "maxDelayTarget" if policy["healthyRetryPolicy"]["minDelayTarget"].as_i64().unwrap_or(20) == number => {}
            "backoffFunction" if value == "linear" => {}
            "numNoDelayRetries" | "numMinDelayRetries" | "numMaxDelayRetries" if number == 0 => {}
            "numRetries" | "minDelayTarget" => return Err(invalid(format!("DeliveryPolicy: {name}"))),
            other => return Err(unsupported(&format!("such a {other} in a DeliveryPolicy"))),
        }
    }
    Ok(healthy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_policy_has_its_effect_or_is_refused() {
        let of = |policy| healthy(policy).map_err(|error| error.message.unwrap_or_default());
        assert_eq!(
            of(r#"{"healthyRetryPolicy":{"numRetries":5,"minDelayTarget":1,"maxDelayTarget":1}}"#),
            Ok(Healthy { retries: 5, delay_s: 1 })
        );
        assert_eq!(of("{}"), Ok(Healthy { retries: 3, delay_s: 20 }));
        assert!(of(r#"{"throttlePolicy":{"maxReceivesPerSecond":1}}"#).unwrap_err().contains("throttlePolicy"));
        assert!(
            of(r#"{"healthyRetryPolicy":{"backoffFunction":"exponential"}}"#).unwrap_err().contains("backoffFunction")
        );
    }
}
