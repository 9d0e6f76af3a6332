//! A message as its queue keeps it. The body is what was sent.

use bytes::Bytes;
use hearth_api::Map;
use hearth_api::sqs::types as api;
use hearth_store::{Found, Message, MessageId, Step};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Sqs;
use crate::attributes::{Attribute, Attributes, md5, md5_of};
use crate::queue::{QueueRecord, key};

/// What is known of a message beside its body.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) id: Uuid,
    /// Milliseconds since 1970.
    pub(crate) sent_ms: i64,
    pub(crate) sender: String,
    #[serde(default)]
    pub(crate) attributes: Attributes,
    #[serde(default)]
    pub(crate) trace: Option<String>,
    /// How often it was received.
    #[serde(default)]
    pub(crate) receives: u32,
    /// Milliseconds since 1970.
    #[serde(default)]
    pub(crate) first_received_ms: Option<i64>,
    /// The ARN of the queue that it was moved from.
    #[serde(default)]
    pub(crate) moved_from: Option<String>,
}

impl Head {
    pub(crate) fn new(sent_ms: i64, sender: &str, attributes: Attributes) -> Self {
        Self {
            id: Uuid::new_v4(),
            sent_ms,
            sender: sender.to_owned(),
            attributes,
            trace: None,
            receives: 0,
            first_received_ms: None,
            moved_from: None,
        }
    }

    pub(crate) fn written(&self) -> Bytes {
        // A record without maps of other keys than text can always be written.
        Bytes::from(serde_json::to_vec(self).unwrap_or_default())
    }

    pub(crate) fn put(&self, queue: &str, due_ms: i64, body: Bytes) -> Step {
        Step::Put { queue: key(queue), due_ms, head: self.written(), body }
    }
}

/// What a receiver has to show: which message, and which of its receives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Handle {
    pub(crate) id: MessageId,
    pub(crate) receives: u32,
}

impl Handle {
    pub(crate) fn written(self) -> String {
        format!("{:016x}-{:08x}", self.id.0, self.receives)
    }

    pub(crate) fn read(text: &str) -> Option<Self> {
        let (id, receives) = text.split_once('-').filter(|(id, receives)| id.len() == 16 && receives.len() == 8)?;
        Some(Self {
            id: MessageId(u64::from_str_radix(id, 16).ok()?),
            receives: u32::from_str_radix(receives, 16).ok()?,
        })
    }
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
}

/// A message as a receiver gets it.
pub(crate) fn shown(id: MessageId, head: &Head, body: &Bytes, wanted: &Wanted) -> api::Message {
    let text = |ms: i64| ms.to_string();
    let system = [
        ("SenderId", Some(head.sender.clone())),
        ("ApproximateFirstReceiveTimestamp", head.first_received_ms.map(text)),
        ("ApproximateReceiveCount", Some(head.receives.to_string())),
        ("SentTimestamp", Some(text(head.sent_ms))),
        ("AWSTraceHeader", head.trace.clone()),
        ("DeadLetterQueueSourceArn", head.moved_from.clone()),
    ];
    let system: Map<String> = system
        .into_iter()
        .filter(|(name, _)| wanted.has_system(name))
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect();
    let chosen: Vec<(&String, &Attribute)> = head.attributes.iter().filter(|(name, _)| wanted.has(name)).collect();
    let attributes: Map<api::MessageAttributeValue> =
        chosen.iter().map(|(name, attribute)| ((*name).clone(), attribute.shown())).collect();
    api::Message {
        message_id: Some(head.id.to_string()),
        receipt_handle: Some(Handle { id, receives: head.receives }.written()),
        md5_of_body: Some(md5(body)),
        body: Some(String::from_utf8_lossy(body).into_owned()),
        attributes: (!system.is_empty()).then_some(system),
        md5_of_message_attributes: md5_of(chosen.into_iter()),
        message_attributes: (!attributes.is_empty()).then_some(attributes),
    }
}

pub(crate) fn head_of(message: &Message) -> Option<(Found, Head)> {
    let head = serde_json::from_slice(&message.head);
    head.map_err(|cause| tracing::error!("SQS: a message is not readable: {cause}"))
        .ok()
        .map(|head| (message.found, head))
}

/// What the platform itself puts into a queue.
#[derive(Clone, Debug)]
pub struct Letter {
    /// The body.
    pub body: Bytes,
    /// Message attributes.
    pub attributes: Attributes,
    /// AWSTraceHeader.
    pub trace: Option<String>,
}

impl Sqs {
    /// The step that puts a letter into the queue with this ARN, for a commit of the caller's; and the queue's policy, as
    /// text. None where there is no such queue.
    ///
    /// # Errors
    /// When the metadata cannot be read; with a text for people.
    pub async fn letter(&self, arn: &str, letter: Letter) -> Result<Option<(Step, Option<String>)>, String> {
        let Some(queue) = self.by_arn(arn).await.map_err(|cause| cause.to_string())? else { return Ok(None) };
        let now_ms = self.now_ms();
        let head = Head { trace: letter.trace, ..Head::new(now_ms, &self.parts.place.account, letter.attributes) };
        let due_ms = now_ms + delay_ms(&queue);
        Ok(Some((head.put(&queue.name, due_ms, letter.body), queue.policy().map(str::to_owned))))
    }

    /// Wakes who waits at the queue with this ARN: a letter has been put there.
    pub fn posted(&self, arn: &str) {
        self.waiting.ring(arn.rsplit(':').next().unwrap_or_default());
    }
}

pub(crate) fn delay_ms(queue: &QueueRecord) -> i64 {
    queue.number(api::QueueAttributeName::DelaySeconds) * 1000
}
