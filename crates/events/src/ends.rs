//! Where the record of an event's end goes: to a function, at once and in the same commit; to a bucket, by way of a queue
//! of deliveries.

use bytes::Bytes;
use hearth_store::Step;
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

/// A service that takes records.
enum Target<'a> {
    Function {
        name: String,
        qualifier: Option<String>,
    },
    Bucket(&'a str),
    /// None that this server has.
    Elsewhere,
}

fn target<'a>(place: &Place, arn: &'a str) -> Target<'a> {
    match arn.splitn(6, ':').collect::<Vec<_>>().as_slice() {
        [_, _, "lambda", ..] => match place.resolve(arn, None) {
            Ok(target) => Target::Function { name: target.name, qualifier: target.qualifier },
            Err(_) => Target::Elsewhere,
        },
        [_, _, "s3", _, _, bucket] => Target::Bucket(bucket),
        _ => Target::Elsewhere,
    }
}

/// The destination of an event that ended so.
pub(crate) fn destination(policy: &Policy, condition: Condition) -> Option<&str> {
    let arn = if condition == Condition::Success { &policy.on_success } else { &policy.on_failure };
    arn.as_deref()
}

/// What the record's way begins with. The dead-letter queue and the destination get theirs independently of each other.
pub(crate) fn steps(place: &Place, now_ms: i64, policy: &Policy, ended: &Ended<'_>) -> Vec<Step> {
    let dead_letter = policy.dead_letter.as_ref().filter(|_| ended.condition != Condition::Success);
    let destination = destination(policy, ended.condition);
    let destination = destination.and_then(|arn| to_destination(place, now_ms, policy, ended, arn));
    if let Some(arn) = dead_letter {
        undelivered(ended, arn);
    }
    destination.into_iter().collect()
}

fn to_destination(place: &Place, now_ms: i64, policy: &Policy, ended: &Ended<'_>, arn: &str) -> Option<Step> {
    let Ended { function, event, condition, payload } = ended;
    let record = |whole| record(place, now_ms, function, event, *condition, payload, whole);
    match target(place, arn) {
        Target::Function { name, qualifier } => {
            let request_id = RequestId(Uuid::new_v4());
            let trace_id = event.trace_id.as_str().into();
            Some(put(NewEvent { function: name, qualifier, request_id, payload: record(false), trace_id }, now_ms))
        }
        Target::Bucket(bucket) => {
            let delivery = Delivery {
                bucket: bucket.to_owned(),
                key: object_key(now_ms, function, event),
                role: policy.role.clone(),
                since_ms: now_ms,
                failures: 0,
            };
            let queue = format!("{DELIVERIES}{function}");
            Some(Step::Put { queue, due_ms: now_ms, head: delivery.head(), body: record(true) })
        }
        Target::Elsewhere => {
            undelivered(ended, arn);
            None
        }
    }
}

/// Nothing vanishes without a word.
fn undelivered(ended: &Ended<'_>, arn: &str) {
    let (function, id, condition) = (ended.function, ended.event.id, ended.condition.name());
    warn!("{function}: the record of {id} ({condition}) is not delivered: this server has nothing at {arn}");
}
