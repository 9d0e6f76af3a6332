//! A message as its queue keeps it. The body is what was sent.

use bytes::Bytes;
use hearth_api::Map;
use hearth_api::sqs::types as api;
use hearth_store::{Message, Step};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::attributes::{Attribute, Attributes, md5_of};
use crate::fifo::{self, Belongs, sequence_number};
use crate::inside::Received;
use crate::queue::{QueueRecord, key};

/// What is known of a message beside its body.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Head {
    /// None where it follows from what its queue numbers it: [`fifo::message_id`].
    pub(crate) id: Option<Uuid>,
    /// Milliseconds since 1970.
    pub(crate) sent_ms: i64,
    pub(crate) sender: String,
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub(crate) attributes: Attributes,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trace: Option<String>,
    /// How often it was received before the store counted it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) receives: u32,
    /// The ARN of the queue that it was moved from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) moved_from: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) deduplication: Option<String>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Head {
    pub(crate) fn new(sent_ms: i64, sender: &str, attributes: Attributes) -> Self {
        Self {
            id: None,
            sent_ms,
            sender: sender.to_owned(),
            attributes,
            trace: None,
            receives: 0,
            moved_from: None,
            deduplication: None,
        }
    }

    fn written(&self) -> Bytes {
        // A record without maps of other keys than text can always be written.
        Bytes::from(serde_json::to_vec(self).unwrap_or_default())
    }

    /// What puts it into a queue anew; into a FIFO queue it is accepted once.
    pub(crate) fn put(self, queue: &QueueRecord, belongs: Belongs, due_ms: i64, body: Bytes) -> Step {
        let name = key(&queue.name);
        let named = |head: Self| Self { id: Some(head.id.unwrap_or_else(Uuid::new_v4)), ..head }.written();
        match belongs {
            Belongs::InOrder(place) => {
                let once = Some(place.once(queue, self.sent_ms));
                let head = Self { deduplication: Some(place.deduplication), ..self }.written();
                Step::PutInGroup { queue: name, group: place.group, once, due_ms, head, body }
            }
            Belongs::Fairly(group) => Step::PutFairly { queue: name, group, due_ms, head: named(self), body },
            Belongs::Apart => Step::Put { queue: name, due_ms, head: named(self), body },
        }
    }

    /// What puts a message into another queue as it is.
    pub(crate) fn moved(&self, to: &QueueRecord, due_ms: i64, group: Option<String>, body: Bytes) -> Step {
        let (queue, head) = (key(&to.name), Self { receives: 0, ..self.clone() }.written());
        match group {
            Some(group) if to.is_fifo() => Step::PutInGroup { queue, group, once: None, due_ms, head, body },
            Some(group) => Step::PutFairly { queue, group, due_ms, head, body },
            None => Step::Put { queue, due_ms, head, body },
        }
    }

    /// How often a message was received.
    pub(crate) fn receives(&self, message: &Message) -> u32 {
        self.receives.saturating_add(message.takes)
    }

    /// The id that its sender was told.
    pub(crate) fn id(&self, queue: &QueueRecord, message: &Message) -> Uuid {
        self.id.unwrap_or_else(|| fifo::message_id(queue, message.found.id))
    }

    pub(crate) fn of(message: &Message) -> Option<Self> {
        let head = serde_json::from_slice(&message.head);
        head.map_err(|cause| tracing::error!("SQS: a message is not readable: {cause}")).ok()
    }
}

/// All system attributes of a message.
pub(crate) fn system(queue: &QueueRecord, message: &Message, head: &Head) -> Map<String> {
    let text = |ms: i64| ms.to_string();
    let number = queue.is_fifo().then(|| sequence_number(message.found.id));
    let system = [
        ("SenderId", Some(head.sender.clone())),
        ("ApproximateFirstReceiveTimestamp", message.first_taken_ms.map(text)),
        ("ApproximateReceiveCount", Some(head.receives(message).to_string())),
        ("SentTimestamp", Some(text(head.sent_ms))),
        ("SequenceNumber", number),
        ("MessageGroupId", message.group.clone()),
        ("MessageDeduplicationId", head.deduplication.clone()),
        ("AWSTraceHeader", head.trace.clone()),
        ("DeadLetterQueueSourceArn", head.moved_from.clone()),
    ];
    system.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// What of a message a receiver wants to see.
pub(crate) struct Wanted {
    pub(crate) system: Vec<String>,
    pub(crate) names: Vec<String>,
}

impl Wanted {
    fn has_system(&self, name: &str) -> bool {
        self.system.iter().any(|wanted| wanted == "All" || wanted == name)
    }

    fn has(&self, name: &str) -> bool {
        self.names.iter().any(|wanted| match wanted.strip_suffix(".*") {
            Some(prefix) => name.starts_with(prefix),
            None => wanted == "All" || wanted == name,
        })
    }

    /// A message as a client gets it.
    pub(crate) fn shown(&self, received: Received) -> api::Message {
        let system: Map<String> = received.attributes.into_iter().filter(|(name, _)| self.has_system(name)).collect();
        let chosen: Vec<(&String, &Attribute)> =
            received.message_attributes.iter().filter(|(name, _)| self.has(name)).collect();
        let attributes: Map<api::MessageAttributeValue> =
            chosen.iter().map(|(name, attribute)| ((*name).clone(), attribute.shown())).collect();
        api::Message {
            message_id: Some(received.message_id),
            receipt_handle: Some(received.handle),
            md5_of_body: Some(received.md5_of_body),
            body: Some(String::from_utf8_lossy(&received.body).into_owned()),
            attributes: (!system.is_empty()).then_some(system),
            md5_of_message_attributes: md5_of(chosen.into_iter()),
            message_attributes: (!attributes.is_empty()).then_some(attributes),
        }
    }
}
