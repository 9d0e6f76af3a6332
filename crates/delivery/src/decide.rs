//! What becomes of a delivery that was not taken. Pure; times are milliseconds since 1970.

use hearth_fleet::Timing;
use hearth_sqs::{Attribute, Attributes};
use hearth_types::limits::DEAD_LETTER_TEXT_BYTES;

use crate::{DeadLetter, Delivery, Failure, Target};

/// Which of its bounds a delivery reached, as EventBridge's dead letters name it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exhausted {
    Attempts,
    Age,
}

impl Exhausted {
    fn name(self) -> &'static str {
        match self {
            Self::Attempts => "MaximumRetryAttempts",
            Self::Age => "MaximumEventAgeInSeconds",
        }
    }
}

/// What becomes of it.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum After {
    /// It is tried again then.
    Again { delivery: Delivery, due_ms: i64 },
    /// It is over. None where no other attempt would go better.
    Over { delivery: Delivery, exhausted: Option<Exhausted> },
}

pub(crate) fn after(now_ms: i64, delivery: Delivery, failure: &Failure, timing: Timing) -> After {
    let failures = delivery.attempts;
    let delivery = Delivery { attempts: failures.saturating_add(1), ..delivery };
    if failure.is_lasting {
        return After::Over { delivery, exhausted: None };
    }
    if delivery.attempts > delivery.retry.attempts {
        return After::Over { delivery, exhausted: Some(Exhausted::Attempts) };
    }
    let pause_ms = delivery.retry.pause_ms.unwrap_or_else(|| timing.pause_ms(failures)).max(1);
    let due_ms = now_ms.saturating_add(pause_ms);
    if due_ms >= delivery.since_ms.saturating_add(delivery.retry.age_ms) {
        return After::Over { delivery, exhausted: Some(Exhausted::Age) };
    }
    After::Again { delivery, due_ms }
}

/// Where the letter goes that tells of a delivery's end.
pub(crate) fn letter(delivery: &Delivery, to: &DeadLetter, failure: &Failure, exhausted: Option<Exhausted>) -> Target {
    let mut attributes = to.attributes.clone();
    if to.says_why {
        let mut say = |name: &str, kind: &str, text: String| {
            if !text.is_empty() {
                attributes.insert(name.to_owned(), Attribute::text(kind, text));
            }
        };
        say("ERROR_CODE", "String", failure.code.clone());
        say("ERROR_MESSAGE", "String", cut(failure.message.clone(), DEAD_LETTER_TEXT_BYTES));
        say("RETRY_ATTEMPTS", "Number", delivery.attempts.saturating_sub(1).to_string());
        say("EXHAUSTED_RETRY_CONDITION", "String", exhausted.map_or("", Exhausted::name).to_owned());
    }
    let (group, deduplication) = (to.group.clone(), to.deduplication.clone());
    Target::Queue { arn: to.arn.clone(), attributes: limited(attributes), group, deduplication }
}

/// A queue takes some attributes only.
fn limited(attributes: Attributes) -> Attributes {
    attributes.into_iter().take(hearth_types::limits::SQS_MESSAGE_ATTRIBUTES).collect()
}

fn cut(mut text: String, bytes: usize) -> String {
    text.truncate(text.floor_char_boundary(bytes));
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::{Kind, Retry, Sender, Source};

    const TIMING: Timing = Timing { retry_base: Duration::from_secs(60) };

    fn delivery(attempts: u32, age_ms: i64, pause_ms: Option<i64>) -> Delivery {
        Delivery {
            source: Source { kind: Kind::Rule, arn: "arn:aws:events:us-east-1:000000000000:rule/r".into() },
            sender: Sender::Service { principal: "events.amazonaws.com".into(), source_arn: String::new() },
            target: Target::Function { arn: "f".into() },
            retry: Retry { attempts, age_ms, pause_ms },
            dead_letter: None,
            trace: None,
            since_ms: 0,
            attempts: 0,
        }
    }

    /// When it is tried, in milliseconds, and how that ends.
    fn tried(mut delivery: Delivery, failure: &Failure) -> (Vec<i64>, Option<Exhausted>) {
        let (mut now, mut times) = (0, Vec::new());
        loop {
            times.push(now);
            match after(now, delivery, failure, TIMING) {
                After::Again { delivery: next, due_ms } => (delivery, now) = (next, due_ms),
                After::Over { exhausted, .. } => return (times, exhausted),
            }
        }
    }

    #[test]
    fn pauses_grow_until_the_age_is_reached() {
        let (times, why) = tried(delivery(u32::MAX, 20_000, None), &Failure::passing("E", "m"));
        assert_eq!((times, why), (vec![0, 1000, 3000, 7000, 15_000], Some(Exhausted::Age)));
    }

    #[test]
    fn attempts_are_counted_and_pauses_may_be_even() {
        let (times, why) = tried(delivery(3, i64::MAX, Some(20_000)), &Failure::passing("E", "m"));
        assert_eq!((times, why), (vec![0, 20_000, 40_000, 60_000], Some(Exhausted::Attempts)));
        let (times, why) = tried(delivery(3, i64::MAX, None), &Failure::lasting("E", "m"));
        assert_eq!((times, why), (vec![0], None));
    }

    #[test]
    fn a_letter_says_why_where_it_is_to() {
        let mut to = DeadLetter::plain("arn:aws:sqs:us-east-1:000000000000:dead");
        to.attributes.insert("RULE_ARN".into(), Attribute::text("String", "r"));
        let Delivery { .. } = delivery(1, 1, None);
        let over = Delivery { attempts: 3, ..delivery(2, i64::MAX, None) };
        let named = |to: &DeadLetter| {
            let failure = Failure::passing("SDK_CLIENT_ERROR", "é".repeat(DEAD_LETTER_TEXT_BYTES));
            let Target::Queue { attributes, .. } = letter(&over, to, &failure, Some(Exhausted::Attempts)) else {
                panic!()
            };
            attributes
        };
        assert_eq!(named(&to).into_keys().collect::<Vec<_>>(), ["RULE_ARN"]);
        to.says_why = true;
        let told = named(&to);
        assert_eq!(told["RETRY_ATTEMPTS"], Attribute::text("Number", "2"));
        assert_eq!(told["EXHAUSTED_RETRY_CONDITION"], Attribute::text("String", "MaximumRetryAttempts"));
        assert_eq!(told["ERROR_CODE"], Attribute::text("String", "SDK_CLIENT_ERROR"));
        assert_eq!(told["ERROR_MESSAGE"], Attribute::text("String", "é".repeat(DEAD_LETTER_TEXT_BYTES / 2)));
    }

    proptest! {
        /// Whatever its bounds are, a delivery that nobody takes ends, within them.
        #[test]
        fn every_delivery_ends(attempts in 0..200_u32, age_ms in 1..100_000_000_i64, pause_ms in proptest::option::of(1000..600_000_i64)) {
            let (times, why) = tried(delivery(attempts, age_ms, pause_ms), &Failure::passing("E", "m"));
            prop_assert!(times.len() <= attempts as usize + 1);
            prop_assert!(times.iter().all(|time| *time < age_ms));
            prop_assert!(why.is_some());
        }
    }
}
