//! Where what became of an event is told: as parcels of the outbox, which puts what goes to a function or a queue there in
//! the commit that ends the event.

use bytes::Bytes;
use hearth_delivery::{Delivery, Kind, Parcel, Retry, Sender, Source, Target};
use hearth_fleet::Timing;
use hearth_sqs::{Attribute, Attributes};
use hearth_types::Place;
use hearth_types::limits::{DEAD_LETTER_TEXT_BYTES, DELIVERY_AGE};

use crate::decide::Condition;
use crate::event::Event;
use crate::policy::Policy;
use crate::record::{object_key, record};

/// An event that is over.
pub(crate) struct Ended<'a> {
    pub(crate) function: &'a str,
    pub(crate) event: &'a Event,
    pub(crate) condition: Condition,
    pub(crate) payload: &'a Bytes,
}

/// What is sent to all who are to be told. Dead letters and records go independently of each other.
pub(crate) fn parcels(place: &Place, now_ms: i64, policy: &Policy, ended: &Ended<'_>) -> Vec<Parcel> {
    let is_success = ended.condition == Condition::Success;
    let destination = if is_success { &policy.on_success } else { &policy.on_failure };
    let dead_letter = policy.dead_letter.as_deref().filter(|_| !is_success);
    let record = destination.as_deref().map(|arn| {
        let (target, body) = of_record(place, now_ms, ended, arn);
        parcel(place, Kind::Destination, policy, ended, target, Some(ended.event.trace_id.clone()), body)
    });
    let letter = dead_letter.map(|arn| {
        let target = of_dead_letter(ended, arn);
        parcel(place, Kind::DeadLetter, policy, ended, target, None, ended.payload.clone())
    });
    record.into_iter().chain(letter).collect()
}

fn parcel(
    place: &Place,
    kind: Kind,
    policy: &Policy,
    ended: &Ended<'_>,
    target: Target,
    trace: Option<String>,
    body: Bytes,
) -> Parcel {
    let name = ended.function.to_owned();
    Parcel {
        lane: format!("destination/{name}"),
        delivery: Delivery {
            source: Source { kind, arn: place.arn(&name).to_string() },
            sender: Sender::Function { name, role: policy.role.clone() },
            target,
            retry: retry(policy.rules.timing),
            dead_letter: None,
            trace,
            since_ms: 0,
            attempts: 0,
        },
        body,
    }
}

/// Until its age is reached.
fn retry(timing: Timing) -> Retry {
    Retry { attempts: u32::MAX, age_ms: timing.in_proportion_ms(DELIVERY_AGE), pause_ms: None }
}

fn of_record(place: &Place, now_ms: i64, ended: &Ended<'_>, arn: &str) -> (Target, Bytes) {
    let Ended { function, event, condition, payload } = ended;
    let record = |whole| record(place, now_ms, function, event, *condition, payload, whole);
    let arn = arn.to_owned();
    match (service(&arn), arn.splitn(6, ':').nth(5)) {
        ("sqs", _) => (Target::queue(arn, Attributes::new()), record(false)),
        ("sns", _) => (Target::topic(arn, Attributes::new()), record(false)),
        ("events", _) => (of_bus(place, ended, arn), record(false)),
        ("s3", Some(bucket)) => {
            let (bucket, key) = (bucket.to_owned(), object_key(now_ms, function, event));
            (Target::Object { bucket, key }, record(true))
        }
        // No other can be set.
        _ => (Target::Function { arn }, record(false)),
    }
}

/// An event of EventBridge's with the record as its detail.
fn of_bus(place: &Place, ended: &Ended<'_>, arn: String) -> Target {
    let is_success = ended.condition == Condition::Success;
    let result = if is_success { "Success" } else { "Failure" };
    Target::Bus {
        source: "lambda".to_owned(),
        detail_type: format!("Lambda Function Invocation Result - {result}"),
        resources: vec![arn.clone(), format!("{}:{}", place.arn(ended.function), ended.event.qualifier())],
        arn,
    }
}

/// The event as it was sent, with what went wrong beside it.
fn of_dead_letter(ended: &Ended<'_>, arn: &str) -> Target {
    let (code, text) = match &ended.event.last {
        Some(answer) => ("200", answer.error_message().unwrap_or_default()),
        // Its version is gone, or it was one of a loop.
        None if ended.condition == Condition::RetriesExhausted => ("400", "The event cannot be run.".to_owned()),
        // It never ran: there was no room for it.
        None => ("429", "Rate Exceeded.".to_owned()),
    };
    let attributes = [
        ("RequestID", "String", ended.event.id.to_string()),
        ("ErrorCode", "Number", code.to_owned()),
        ("ErrorMessage", "String", cut(text, DEAD_LETTER_TEXT_BYTES)),
    ];
    let attributes = attributes.into_iter().filter(|(.., value)| !value.is_empty());
    let attributes = attributes.map(|(name, kind, value)| (name.to_owned(), Attribute::text(kind, value))).collect();
    if service(arn) == "sns" { Target::topic(arn, attributes) } else { Target::queue(arn, attributes) }
}

fn service(arn: &str) -> &str {
    arn.split(':').nth(2).unwrap_or_default()
}

fn cut(mut text: String, bytes: usize) -> String {
    text.truncate(text.floor_char_boundary(bytes));
    text
}
