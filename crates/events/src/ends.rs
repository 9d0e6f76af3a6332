//! Where what became of an event is told: to a function or a queue, at once and in the commit that ends the event; to a
//! bucket, by way of a queue of deliveries.

use bytes::Bytes;
use hearth_sqs::Letter;
use hearth_store::Step;
use hearth_types::limits::DEAD_LETTER_TEXT_BYTES;
use hearth_types::{Place, RequestId};
use serde::{Deserialize, Serialize};
use tracing::warn;
use uuid::Uuid;

use crate::accept::{NewEvent, put};
use crate::decide::Condition;
use crate::event::{DELIVERIES, Event};
use crate::policy::Policy;
use crate::record::{object_key, record};

/// An event that is over.
pub(crate) struct Ended<'a> {
    pub(crate) function: &'a str,
    pub(crate) event: &'a Event,
    pub(crate) condition: Condition,
    pub(crate) payload: &'a Bytes,
}

/// A record on its way to a bucket, as its queue keeps it; the body is the record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Delivery {
    pub(crate) bucket: String,
    pub(crate) key: String,
    /// ARN, in whose name.
    pub(crate) role: String,
    /// Since when it is tried, in milliseconds since 1970.
    pub(crate) since_ms: i64,
    /// How often it has failed.
    #[serde(default)]
    pub(crate) failures: u32,
}

impl Delivery {
    pub(crate) fn head(&self) -> Bytes {
        // A record without maps of other keys than text can always be written.
        Bytes::from(serde_json::to_vec(self).unwrap_or_default())
    }
}

/// How somebody is told.
pub(crate) enum Way<'a> {
    /// A function of this server gets an event.
    Event { arn: &'a str, step: Step },
    /// A bucket gets an object.
    Object { step: Step },
    /// A queue of this server gets a message.
    Letter { arn: &'a str, letter: Letter },
}

impl<'a> Way<'a> {
    /// Of who is told; of a bucket there is none, as it is told later.
    pub(crate) fn arn(&self) -> &'a str {
        match self {
            Self::Event { arn, .. } | Self::Letter { arn, .. } => arn,
            Self::Object { .. } => "",
        }
    }
}

/// The ways of all who are to be told. Dead letters and records go independently of each other.
pub(crate) fn ways<'a>(place: &Place, now_ms: i64, policy: &'a Policy, ended: &Ended<'_>) -> Vec<Way<'a>> {
    let is_success = ended.condition == Condition::Success;
    let destination = if is_success { &policy.on_success } else { &policy.on_failure };
    let dead_letter = policy.dead_letter.as_deref().filter(|_| !is_success);
    let record = destination.as_deref().and_then(|arn| of_record(place, now_ms, policy, ended, arn));
    record.into_iter().chain(dead_letter.and_then(|arn| of_dead_letter(ended, arn))).collect()
}

fn of_record<'a>(place: &Place, now_ms: i64, policy: &Policy, ended: &Ended<'_>, arn: &'a str) -> Option<Way<'a>> {
    let Ended { function, event, condition, payload } = ended;
    let record = |whole| record(place, now_ms, function, event, *condition, payload, whole);
    match (service(arn), arn.splitn(6, ':').nth(5)) {
        ("lambda", _) => {
            let target = place.resolve(arn, None).ok()?;
            let event = NewEvent {
                function: target.name,
                qualifier: target.qualifier,
                request_id: RequestId(Uuid::new_v4()),
                payload: record(false),
                trace_id: event.trace_id.as_str().into(),
            };
            Some(Way::Event { arn, step: put(event, now_ms) })
        }
        ("sqs", _) => {
            let letter = Letter { body: record(false), attributes: Vec::new(), trace: Some(event.trace_id.clone()) };
            Some(Way::Letter { arn, letter })
        }
        ("s3", Some(bucket)) => {
            let delivery = Delivery {
                bucket: bucket.to_owned(),
                key: object_key(now_ms, function, event),
                role: policy.role.clone(),
                since_ms: now_ms,
                failures: 0,
            };
            let queue = format!("{DELIVERIES}{function}");
            Some(Way::Object { step: Step::Put { queue, due_ms: now_ms, head: delivery.head(), body: record(true) } })
        }
        _ => {
            untold(ended, arn, "this server has no such service");
            None
        }
    }
}

/// The event as it was sent, with what went wrong beside it.
fn of_dead_letter<'a>(ended: &Ended<'_>, arn: &'a str) -> Option<Way<'a>> {
    if service(arn) != "sqs" {
        untold(ended, arn, "this server has no such service");
        return None;
    }
    let (code, text) = match &ended.event.last {
        Some(answer) => ("200", answer.error_message().unwrap_or_default()),
        // Its version is gone, or it was one of a loop.
        None if ended.condition == Condition::RetriesExhausted => ("400", "The event cannot be run.".to_owned()),
        // It never ran: there was no room for it.
        None => ("429", "Rate Exceeded.".to_owned()),
    };
    let attributes = vec![
        ("RequestID", "String", ended.event.id.to_string()),
        ("ErrorCode", "Number", code.to_owned()),
        ("ErrorMessage", "String", cut(text, DEAD_LETTER_TEXT_BYTES)),
    ];
    let attributes = attributes.into_iter().filter(|(.., value)| !value.is_empty()).collect();
    Some(Way::Letter { arn, letter: Letter { body: ended.payload.clone(), attributes, trace: None } })
}

fn service(arn: &str) -> &str {
    arn.split(':').nth(2).unwrap_or_default()
}

fn cut(mut text: String, bytes: usize) -> String {
    text.truncate(text.floor_char_boundary(bytes));
    text
}

/// Nothing vanishes without a word.
pub(crate) fn untold(ended: &Ended<'_>, arn: &str, why: &str) {
    let (function, id, condition) = (ended.function, ended.event.id, ended.condition.name());
    warn!("{function}: {arn} is not told of the end of {id} ({condition}): {why}");
}
