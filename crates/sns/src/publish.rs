//! Publishing: Publish, PublishBatch, and what other services of this server publish.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hearth_api::sns::{Operation, errors, types as api};
use hearth_api::{ApiError, Map};
use hearth_delivery::{DeadLetter, Delivery, Kind, Parcel, Retry, Sender, Source, Target};
use hearth_identity::Caller;
use hearth_sqs::{Attribute, Attributes, Value};
use hearth_types::digest::CodeDigest;
use hearth_types::limits::{
    SNS_BATCH, SNS_MESSAGE_BYTES, SNS_RETRIES, SNS_RETRY_AGE_MS, SNS_SUBJECT_CHARS, SQS_GROUP_CHARS,
};
use uuid::Uuid;

use crate::attributes::{Healthy, healthy};
use crate::errors::{invalid, invalid_because, no_topic, unsupported};
use crate::message::{Content, Notice, Structured, envelope, event};
use crate::record::{Protocol, Subscription, Topic};
use crate::{PRINCIPAL, Sns};

/// What is to be published.
#[derive(Clone, Debug, Default)]
pub struct Publication {
    /// The message.
    pub message: String,
    /// Its subject.
    pub subject: Option<String>,
    /// `json`, where the message says something to each protocol.
    pub structure: Option<String>,
    /// Its attributes.
    pub attributes: Attributes,
    /// MessageGroupId.
    pub group: Option<String>,
    /// MessageDeduplicationId.
    pub deduplication: Option<String>,
    /// X-Ray's header of what led to it.
    pub trace: Option<String>,
}

/// Why a service's publication was not taken.
#[derive(Debug)]
pub enum Refused {
    /// It never will be.
    Lasting(String),
    /// It may be later.
    Passing(String),
}

/// One that may be published.
pub(crate) struct Ready {
    publication: Publication,
    structured: Option<Structured>,
    pub(crate) message_id: String,
    pub(crate) deduplication: Option<String>,
}

/// What came of one.
#[derive(Clone)]
pub(crate) struct Published {
    pub(crate) message_id: String,
    pub(crate) sequence: Option<String>,
}

impl Sns {
    /// Publish. When it returns Ok the message is in all queues and functions that it goes to, or on its durable way.
    ///
    /// # Errors
    /// NotFound, InvalidParameter, AuthorizationError.
    pub async fn publish(
        &self,
        caller: &Caller,
        input: api::PublishInput,
        trace: Option<String>,
    ) -> Result<api::PublishResponse, ApiError> {
        if input.phone_number.is_some() {
            return Err(unsupported("text messages to phone numbers"));
        }
        let arn = input
            .topic_arn
            .or(input.target_arn)
            .ok_or_else(|| invalid("TopicArn or TargetArn Reason: no value for required parameter"))?;
        if arn.splitn(6, ':').nth(5).is_some_and(|rest| rest.starts_with("endpoint/")) {
            return Err(unsupported("mobile endpoints"));
        }
        let topic = self.asked_for(caller, Operation::Publish, &arn).await?.record;
        let publication = Publication {
            message: input.message,
            subject: input.subject,
            structure: input.message_structure,
            attributes: attributes(input.message_attributes)?,
            group: input.message_group_id,
            deduplication: input.message_deduplication_id,
            trace,
        };
        let published = self.send(&topic, vec![ready(&topic, publication)?]).await?.pop().ok_or_else(no_topic)??;
        Ok(api::PublishResponse { message_id: Some(published.message_id), sequence_number: published.sequence })
    }

    /// PublishBatch: each entry succeeds or fails by itself.
    ///
    /// # Errors
    /// NotFound, AuthorizationError, and those of the batch as a whole.
    pub async fn publish_batch(
        &self,
        caller: &Caller,
        input: api::PublishBatchInput,
        trace: Option<String>,
    ) -> Result<api::PublishBatchResponse, ApiError> {
        let topic = self.asked_for(caller, Operation::Publish, &input.topic_arn).await?.record;
        check_batch(&input.publish_batch_request_entries)?;
        let (mut entries, mut ids, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        for entry in input.publish_batch_request_entries {
            let draft = attributes(entry.message_attributes).map(|attributes| Publication {
                message: entry.message,
                subject: entry.subject,
                structure: entry.message_structure,
                attributes,
                group: entry.message_group_id,
                deduplication: entry.message_deduplication_id,
                trace: trace.clone(),
            });
            match draft.and_then(|publication| ready(&topic, publication)) {
                Ok(ready) => {
                    entries.push(ready);
                    ids.push(entry.id);
                }
                Err(error) => failed.push(failure(entry.id, error)),
            }
        }
        if entries.iter().map(|ready| size(&ready.publication)).sum::<usize>() > SNS_MESSAGE_BYTES {
            let text = "The length of all the messages put together is more than the limit.";
            return Err(ApiError::new(&errors::BATCH_REQUEST_TOO_LONG, text));
        }
        let published = self.send(&topic, entries).await?;
        let mut successful = Vec::with_capacity(ids.len());
        for (id, published) in ids.into_iter().zip(published) {
            match published {
                Ok(Published { message_id, sequence }) => successful.push(api::PublishBatchResultEntry {
                    id: Some(id),
                    message_id: Some(message_id),
                    sequence_number: sequence,
                }),
                Err(error) => failed.push(failure(id, error)),
            }
        }
        Ok(api::PublishBatchResponse { successful: Some(successful), failed: Some(failed) })
    }

    /// Publishes what another service of this server sends, where it may.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn publish_for(&self, caller: &Caller, arn: &str, publication: Publication) -> Result<(), Refused> {
        let of = |error: ApiError| {
            let text = error.to_string();
            if error.kind.status < 500 { Refused::Lasting(text) } else { Refused::Passing(text) }
        };
        let topic = self.asked_for(caller, Operation::Publish, arn).await.map_err(of)?.record;
        let ready = ready(&topic, publication).map_err(of)?;
        for published in self.send(&topic, vec![ready]).await.map_err(of)? {
            published.map_err(of)?;
        }
        Ok(())
    }

    /// Whether a service of this server may publish to a topic.
    ///
    /// # Errors
    /// NotFound, AuthorizationError.
    pub async fn may_publish(&self, caller: &Caller, arn: &str) -> Result<(), ApiError> {
        self.asked_for(caller, Operation::Publish, arn).await.map(|_| ())
    }

    /// What a subscription gets of it; none where its filter lets it not through.
    pub(crate) fn parcel(
        &self,
        topic: &Topic,
        subscription: &Subscription,
        ready: &Ready,
        sequence: Option<&str>,
    ) -> Option<Parcel> {
        let Publication { message, subject, attributes, group, trace, .. } = &ready.publication;
        let message = match &ready.structured {
            Some(structured) => structured.of(subscription.protocol.name())?,
            None => message.clone(),
        };
        if subscription.filter().is_some_and(|filter| !filter.lets_through(&matchable(attributes), &message)) {
            return None;
        }
        let (topic_arn, arn) = (self.arn(&topic.name), self.subscription_arn(subscription));
        let notice = Notice {
            arn: &topic_arn,
            message_id: &ready.message_id,
            now_ms: self.now_ms(),
            endpoint: &self.parts.endpoint,
            signature_version: topic.attributes.get("SignatureVersion").map_or("1", String::as_str),
        };
        let content = Content { subject: subject.as_deref(), message: &message, attributes, sequence };
        let enveloped = envelope(&notice, &arn, &content);
        let is_raw = subscription.is_raw();
        let body = if is_raw { message.clone() } else { enveloped.clone() };
        if subscription.protocol.is_http() {
            let mut parcel = self.http_parcel(subscription, "Notification", &notice, Bytes::from(body));
            parcel.delivery.trace.clone_from(trace);
            return Some(parcel);
        }
        let is_fifo = subscription.endpoint.ends_with(".fifo");
        // A standard topic hands the group on, for queues that are fair to groups.
        let group_there = group.clone().filter(|_| is_fifo || !topic.is_fifo());
        let (target, body) = if subscription.protocol == Protocol::Sqs {
            let target = Target::Queue {
                arn: subscription.endpoint.clone(),
                attributes: if is_raw { attributes.clone() } else { Attributes::new() },
                group: group_there,
                deduplication: ready.deduplication.clone().filter(|_| is_fifo),
            };
            (target, body)
        } else {
            (Target::Function { arn: subscription.endpoint.clone() }, event(&notice, &arn, &content))
        };
        let dead_letter = subscription.dead_letter().map(|to| DeadLetter {
            attributes: if is_raw { attributes.clone() } else { Attributes::new() },
            body: Some(if is_raw { message } else { enveloped }),
            group: group.clone().filter(|_| to.ends_with(".fifo")),
            deduplication: ready.deduplication.clone().filter(|_| to.ends_with(".fifo")),
            ..DeadLetter::plain(to)
        });
        let retry = Retry { attempts: SNS_RETRIES, age_ms: SNS_RETRY_AGE_MS, pause_ms: None };
        let mut parcel = self.parcel_to(subscription, target, retry, dead_letter, Bytes::from(body));
        parcel.delivery.trace.clone_from(trace);
        Some(parcel)
    }

    /// A message to an HTTP endpoint.
    pub(crate) fn http_parcel(
        &self,
        subscription: &Subscription,
        kind: &str,
        notice: &Notice<'_>,
        body: Bytes,
    ) -> Parcel {
        let mut headers = vec![
            ("x-amz-sns-message-type".to_owned(), kind.to_owned()),
            ("x-amz-sns-message-id".to_owned(), notice.message_id.to_owned()),
            ("x-amz-sns-topic-arn".to_owned(), notice.arn.to_owned()),
            ("content-type".to_owned(), "text/plain; charset=UTF-8".to_owned()),
            ("user-agent".to_owned(), "Amazon Simple Notification Service Agent".to_owned()),
        ];
        if kind == "Notification" {
            headers.push(("x-amz-sns-subscription-arn".to_owned(), self.subscription_arn(subscription)));
        }
        if kind == "Notification" && subscription.is_raw() {
            headers.push(("x-amz-sns-rawdelivery".to_owned(), "true".to_owned()));
        }
        let policy = subscription.attributes.get("DeliveryPolicy").and_then(|text| healthy(text).ok());
        let Healthy { retries, delay_s } = policy.unwrap_or(Healthy { retries: 3, delay_s: 20 });
        let retry = Retry { attempts: retries, age_ms: SNS_RETRY_AGE_MS, pause_ms: Some(delay_s * 1000) };
        let target = Target::Http { url: subscription.endpoint.clone(), headers };
        let dead_letter = subscription.dead_letter().filter(|_| kind == "Notification").map(DeadLetter::plain);
        self.parcel_to(subscription, target, retry, dead_letter, body)
    }

    fn parcel_to(
        &self,
        subscription: &Subscription,
        target: Target,
        retry: Retry,
        dead_letter: Option<DeadLetter>,
        body: Bytes,
    ) -> Parcel {
        Parcel {
            lane: format!("topic/{}", subscription.id),
            delivery: Delivery {
                source: Source { kind: Kind::Topic, arn: self.subscription_arn(subscription) },
                sender: Sender::Service { principal: PRINCIPAL.to_owned(), source_arn: self.arn(&subscription.topic) },
                target,
                retry,
                dead_letter,
                trace: None,
                since_ms: 0,
                attempts: 0,
            },
            body,
        }
    }
}

fn matchable(attributes: &Attributes) -> serde_json::Map<String, serde_json::Value> {
    let of = |attribute: &Attribute| match &attribute.value {
        Value::Text(text) => hearth_pattern::attribute(&attribute.kind, text),
        Value::Binary(_) => None,
    };
    attributes.iter().filter_map(|(name, attribute)| Some((name.clone(), of(attribute)?))).collect()
}

/// Reads what a sender gave.
fn attributes(given: Option<Map<api::MessageAttributeValue>>) -> Result<Attributes, ApiError> {
    let mut all = Attributes::new();
    for (name, given) in given.unwrap_or_default() {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if name.is_empty() || name.len() > 256 || !name.chars().all(allowed) {
            return Err(invalid(format!("Message attribute name '{name}' is invalid.")));
        }
        let kind = given.data_type;
        let value = match (kind.split('.').next().unwrap_or_default(), given.string_value, given.binary_value) {
            ("String", Some(text), None) if !text.is_empty() => Value::Text(text),
            ("Number", Some(text), None) if text.parse::<f64>().is_ok() => Value::Text(text),
            ("Number", Some(text), None) => {
                let text = format!("Could not cast message attribute '{name}' value to number: {text}");
                return Err(ApiError::new(&errors::INVALID_PARAMETER_VALUE, text));
            }
            ("Binary", None, Some(bytes)) if !bytes.is_empty() => Value::Binary(STANDARD.encode(bytes)),
            ("String" | "Number" | "Binary", ..) => {
                let text = format!(
                    "The message attribute '{name}' must contain non-empty message attribute value for message attribute type '{kind}'."
                );
                return Err(ApiError::new(&errors::INVALID_PARAMETER_VALUE, text));
            }
            _ => {
                let text = format!(
                    "The message attribute '{name}' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String."
                );
                return Err(ApiError::new(&errors::INVALID_PARAMETER_VALUE, text));
            }
        };
        all.insert(name, Attribute { kind, value });
    }
    Ok(all)
}

fn size(publication: &Publication) -> usize {
    let of = |attribute: &Attribute| match &attribute.value {
        Value::Text(text) | Value::Binary(text) => text.len() + attribute.kind.len(),
    };
    let attributes: usize = publication.attributes.iter().map(|(name, value)| name.len() + of(value)).sum();
    publication.message.len() + attributes
}

/// Checks what is to be published.
fn ready(topic: &Topic, publication: Publication) -> Result<Ready, ApiError> {
    if publication.message.is_empty() {
        return Err(invalid("Empty message"));
    }
    if size(&publication) > SNS_MESSAGE_BYTES {
        return Err(invalid("Message too long"));
    }
    if let Some(subject) = &publication.subject {
        let fits = (1..=SNS_SUBJECT_CHARS).contains(&subject.chars().count());
        if !fits || subject.chars().any(char::is_control) {
            return Err(invalid("Subject"));
        }
    }
    if let Some(group) = &publication.group {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c.is_ascii_punctuation();
        if !(1..=SQS_GROUP_CHARS).contains(&group.len()) || !group.chars().all(allowed) {
            return Err(invalid("MessageGroupId"));
        }
    }
    let structured = match publication.structure.as_deref() {
        None => None,
        Some("json") => Some(Structured::parse(&publication.message).map_err(invalid)?),
        Some(_) => return Err(invalid("MessageStructure")),
    };
    let deduplication = match (topic.is_fifo(), &publication.deduplication) {
        (true, _) if publication.group.is_none() => {
            return Err(invalid("The MessageGroupId parameter is required for FIFO topics"));
        }
        (true, Some(given)) => Some(given.clone()),
        (true, None) if topic.has("ContentBasedDeduplication", "true") => {
            Some(CodeDigest::of(publication.message.as_bytes()).to_string())
        }
        (true, None) => {
            return Err(invalid(
                "The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly",
            ));
        }
        (false, Some(_)) => {
            return Err(invalid_because(
                "MessageDeduplicationId",
                "The request includes MessageDeduplicationId parameter that is not valid for this topic type",
            ));
        }
        (false, None) => None,
    };
    Ok(Ready { publication, structured, message_id: Uuid::new_v4().to_string(), deduplication })
}

fn failure(id: String, error: ApiError) -> api::BatchResultErrorEntry {
    api::BatchResultErrorEntry {
        id,
        code: error.kind.code.to_owned(),
        sender_fault: error.kind.status < 500,
        message: error.message,
    }
}

fn check_batch(entries: &[api::PublishBatchRequestEntry]) -> Result<(), ApiError> {
    if entries.is_empty() {
        return Err(ApiError::new(&errors::EMPTY_BATCH_REQUEST, "The batch request doesn't contain any entries."));
    }
    if entries.len() > SNS_BATCH {
        let text = "The batch request contains more entries than permissible.";
        return Err(ApiError::new(&errors::TOO_MANY_ENTRIES_IN_BATCH_REQUEST, text));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if entries.iter().any(|entry| !(1..=80).contains(&entry.id.len()) || !entry.id.chars().all(allowed)) {
        let text = "The Id of a batch entry in a batch request doesn't abide by the specification.";
        return Err(ApiError::new(&errors::INVALID_BATCH_ENTRY_ID, text));
    }
    let mut ids: Vec<&str> = entries.iter().map(|entry| entry.id.as_str()).collect();
    ids.sort_unstable();
    if ids.windows(2).any(|two| two[0] == two[1]) {
        let text = "Two or more batch entries in the request have the same Id.";
        return Err(ApiError::new(&errors::BATCH_ENTRY_IDS_NOT_DISTINCT, text));
    }
    Ok(())
}
