//! What becomes of an event: before an attempt, and after it. Pure; times are milliseconds since 1970.

use hearth_fleet::Timing;
use hearth_types::limits::EVENT_ANSWER_KEPT_BYTES;

use crate::Attempt;
use crate::event::{Answer, Event};

/// What the function is set to, as far as it decides about its events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rules {
    /// Attempts after the first.
    pub(crate) retries: u32,
    /// How old an event may become, in milliseconds.
    pub(crate) age_ms: i64,
    /// Reserved concurrency.
    pub(crate) reserved: Option<u32>,
    pub(crate) timing: Timing,
}

impl Rules {
    /// From then on no attempt is begun.
    pub(crate) fn expires_ms(&self, event: &Event) -> i64 {
        event.accepted_ms.saturating_add(self.age_ms)
    }
}

/// Why an event is not tried any more, as records name it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Condition {
    Success,
    RetriesExhausted,
    EventAgeExceeded,
    ZeroReservedConcurrency,
}

impl Condition {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::RetriesExhausted => "RetriesExhausted",
            Self::EventAgeExceeded => "EventAgeExceeded",
            Self::ZeroReservedConcurrency => "ZeroReservedConcurrency",
        }
    }
}

/// Why it may not be tried at all now; none where it may.
pub(crate) fn before(now_ms: i64, event: &Event, rules: &Rules) -> Option<Condition> {
    if rules.reserved == Some(0) {
        return Some(Condition::ZeroReservedConcurrency);
    }
    (now_ms >= rules.expires_ms(event)).then_some(Condition::EventAgeExceeded)
}

/// What becomes of an event after an attempt.
#[derive(Clone, Debug)]
pub(crate) enum After {
    /// It is over.
    Ended(Event, Condition),
    /// It waits until then. `Some` of a failure: the platform's, not the function's.
    Again { event: Event, due_ms: i64, failed: bool },
    /// It stays where it is, untouched: others of its function have no room either.
    Throttled,
    /// Nobody wants it any more.
    Forgotten,
}

pub(crate) fn after(now_ms: i64, event: Event, rules: &Rules, attempt: Attempt) -> After {
    let expires_ms = rules.expires_ms(&event);
    match attempt {
        Attempt::Ran { payload, function_error, version, trace_id: _ } => {
            let answer = Answer::new(&payload, function_error, &version);
            let event = Event { attempts: event.attempts + 1, failures: 0, last: Some(answer), ..event };
            if !function_error {
                return After::Ended(event, Condition::Success);
            }
            if event.attempts > rules.retries {
                return After::Ended(event, Condition::RetriesExhausted);
            }
            let due_ms = now_ms.saturating_add(rules.timing.retry_ms(event.attempts)).min(expires_ms);
            After::Again { event: short(event), due_ms, failed: false }
        }
        Attempt::Failed(_) => {
            let due_ms = now_ms.saturating_add(rules.timing.pause_ms(event.failures)).min(expires_ms);
            let event = Event { failures: event.failures.saturating_add(1), ..event };
            After::Again { event, due_ms, failed: true }
        }
        Attempt::Throttled => After::Throttled,
        Attempt::Gone => After::Forgotten,
        // It cannot become another one: what the qualifier stood for is gone for good, or it is one of a chain.
        Attempt::NoQualifier | Attempt::Looped => After::Ended(event, Condition::RetriesExhausted),
    }
}

/// While it waits, an event keeps no long answer: the next attempt gives another.
fn short(mut event: Event) -> Event {
    if let Some(answer) = &mut event.last
        && answer.payload.as_ref().is_some_and(|payload| payload.get().len() > EVENT_ANSWER_KEPT_BYTES)
    {
        answer.payload = None;
    }
    event
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use hearth_types::RequestId;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const MINUTE: i64 = 60_000;

    fn event() -> Event {
        Event {
            id: RequestId(Uuid::nil()),
            qualifier: None,
            accepted_ms: 0,
            trace_id: String::new(),
            tenant: None,
            attempts: 0,
            failures: 0,
            last: None,
        }
    }

    fn rules(retries: u32, age_s: i64) -> Rules {
        let timing = Timing { retry_base: Duration::from_secs(60) };
        Rules { retries, age_ms: age_s * 1000, reserved: None, timing }
    }

    fn ran(function_error: bool) -> Attempt {
        Attempt::Ran { payload: Bytes::from_static(b"{}"), function_error, version: "1".into(), trace_id: "".into() }
    }

    #[test]
    fn an_error_is_tried_again_after_one_and_two_minutes_then_it_is_over() {
        let rules = rules(2, 21_600);
        let After::Again { event, due_ms, failed: false } = after(0, event(), &rules, ran(true)) else { panic!() };
        assert_eq!(due_ms, MINUTE);
        let After::Again { event, due_ms, .. } = after(MINUTE, event, &rules, ran(true)) else { panic!() };
        assert_eq!(due_ms, 3 * MINUTE);
        let After::Ended(event, condition) = after(3 * MINUTE, event, &rules, ran(true)) else { panic!() };
        assert_eq!((condition, event.attempts), (Condition::RetriesExhausted, 3));
    }

    #[test]
    fn a_retry_that_would_come_too_late_ends_at_the_age() {
        let rules = rules(2, 70);
        let After::Again { event, due_ms, .. } = after(30_000, event(), &rules, ran(true)) else { panic!() };
        assert_eq!(due_ms, 70_000);
        assert_eq!(before(due_ms - 1, &event, &rules), None);
        assert_eq!(before(due_ms, &event, &rules), Some(Condition::EventAgeExceeded));
    }

    #[test]
    fn nothing_reserved_ends_it_before_the_first_attempt() {
        let rules = Rules { reserved: Some(0), ..rules(2, 60) };
        assert_eq!(before(0, &event(), &rules), Some(Condition::ZeroReservedConcurrency));
        assert_eq!(before(0, &event(), &Rules { reserved: Some(1), ..rules }), None);
    }

    #[test]
    fn failures_of_the_platform_wait_ever_longer_and_use_up_no_attempt() {
        let rules = rules(0, 21_600);
        let (mut event, mut now, mut waits) = (event(), 0, Vec::new());
        while before(now, &event, &rules).is_none() {
            let again = after(now, event, &rules, Attempt::Failed(String::new()));
            let After::Again { event: next, due_ms, failed: true } = again else { panic!() };
            waits.push((due_ms - now) / 1000);
            (event, now) = (next, due_ms);
        }
        assert_eq!(waits[..10], [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
        assert_eq!((now, event.attempts), (21_600_000, 0));
        assert!(waits.len() < 100, "{}", waits.len());
    }

    #[test]
    fn a_qualifier_that_is_gone_ends_it_and_a_function_that_is_gone_leaves_nothing() {
        assert!(matches!(
            after(0, event(), &rules(2, 60), Attempt::NoQualifier),
            After::Ended(_, Condition::RetriesExhausted)
        ));
        assert!(matches!(after(0, event(), &rules(2, 60), Attempt::Gone), After::Forgotten));
        assert!(matches!(after(0, event(), &rules(2, 60), Attempt::Throttled), After::Throttled));
    }

    proptest! {
        /// Whatever happens to it, an event ends: by an answer, or by its age; and never runs more often than it may.
        #[test]
        fn every_event_ends(retries in 0..3_u32, age_s in 60..21_600_i64, script in proptest::collection::vec(0..3_u8, 1..40)) {
            let rules = rules(retries, age_s);
            let (mut event, mut now, mut step) = (event(), 0, 0);
            let ended = loop {
                if let Some(condition) = before(now, &event, &rules) {
                    break condition;
                }
                let attempt = match script[step % script.len()] {
                    0 => ran(true),
                    1 => Attempt::Failed(String::new()),
                    _ => Attempt::Throttled,
                };
                step += 1;
                match after(now, event.clone(), &rules, attempt) {
                    After::Again { event: next, due_ms, .. } => {
                        prop_assert!(due_ms > now && due_ms <= rules.expires_ms(&next));
                        (event, now) = (next, due_ms);
                    }
                    After::Throttled => now += rules.timing.pause_ms(8),
                    After::Ended(next, condition) => {
                        event = next;
                        break condition;
                    }
                    After::Forgotten => unreachable!(),
                }
            };
            prop_assert!(event.attempts <= retries + 1);
            prop_assert!(ended != Condition::Success);
        }
    }
}
