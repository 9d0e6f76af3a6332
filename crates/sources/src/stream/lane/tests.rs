use serde_json::json;

use hearth_types::limits::STREAM_STATE_BYTES;

use super::*;

const RULES: Rules = Rules { batch: 3, window_ms: 0, retries: None, age_ms: None, bisect: false, tumbling_ms: None };

fn record(number: i64, arrival_ms: i64) -> Record {
    let sequence = |number: i64| Sequence(number.to_string().into());
    let before = (number > 1).then(|| sequence(number - 1));
    let event = Bytes::from_static(b"{}");
    Record { sequence: sequence(number), before, arrival_ms, seen_ms: arrival_ms, event }
}

fn lane(rules: Rules, records: i64) -> Lane {
    let mut lane = Lane::new(rules, None);
    (1..=records).for_each(|number| lane.push(record(number, 0)));
    lane
}

fn invoke(records: usize) -> Next {
    Next::Invoke { records, share: None }
}

fn given_up(records: usize, condition: Condition, invokes: u32) -> Next {
    Next::GiveUp(GivenUp { records, condition, invokes })
}

/// Lets the time come that the lane waits for.
fn next(lane: &mut Lane, now_ms: &mut i64) -> Next {
    loop {
        match lane.next(*now_ms, Behind::Quiet) {
            Next::At(due_ms) => *now_ms = due_ms,
            next => return next,
        }
    }
}

#[test]
fn batches_are_full_or_old_enough() {
    let mut lane = lane(Rules { window_ms: 100, ..RULES }, 4);
    assert_eq!(lane.next(0, Behind::Quiet), invoke(3));
    assert_eq!(lane.next(0, Behind::Quiet), Next::Nothing, "one batch at a time");
    lane.ended(0, Outcome::Success(Value::Null));
    assert_eq!(lane.next(99, Behind::Quiet), Next::At(100));
    assert_eq!(lane.clone().next(99, Behind::Closed), invoke(1), "nothing comes any more");
    assert_eq!(lane.next(100, Behind::Quiet), invoke(1));
    lane.ended(100, Outcome::Success(Value::Null));
    assert!(lane.is_empty() && lane.next(100, Behind::Quiet) == Next::Nothing);
    assert_eq!(lane.done(), Some(&Sequence("4".into())));
}

#[test]
fn a_batch_has_at_most_the_bytes_of_an_invoke() {
    let mut lane = Lane::new(RULES, None);
    let large = Bytes::from(vec![b'x'; STREAM_BATCH_BYTES / 2]);
    (1..=3).for_each(|number| lane.push(Record { event: large.clone(), ..record(number, 0) }));
    assert_eq!(lane.next(0, Behind::Quiet), invoke(1));
    let mut lane = Lane::new(RULES, None);
    lane.push(Record { event: Bytes::from(vec![b'x'; STREAM_BATCH_BYTES + 1]), ..record(1, 0) });
    assert_eq!(lane.next(0, Behind::Quiet), invoke(1), "a record that is too large goes alone");
}

#[test]
fn a_failed_batch_stays_as_it_is_and_is_given_up_after_its_retries() {
    let mut lane = lane(Rules { retries: Some(2), ..RULES }, 2);
    let mut now_ms = 0;
    for _ in 0..3 {
        assert_eq!(next(&mut lane, &mut now_ms), invoke(2));
        lane.push(record(3, 0));
        lane.ended(now_ms, Outcome::Failure);
    }
    let Next::GiveUp(over) = lane.next(now_ms, Behind::Quiet) else { panic!("it is not given up") };
    assert_eq!(over, GivenUp { records: 2, condition: Condition::RetryAttemptsExhausted, invokes: 3 });
    lane.given_up(&over);
    assert_eq!(lane.done(), Some(&Sequence("2".into())));
}

#[test]
fn pauses_grow_up_to_a_bound() {
    let pauses: Vec<i64> = (1..12).map(pause_ms).collect();
    assert!(pauses.is_sorted() && pauses[0] < pauses[1]);
    assert_eq!(pauses.last(), Some(&i64::try_from(STREAM_RETRY_MAX.as_millis()).unwrap()));
}

#[test]
fn what_did_not_reach_the_function_is_no_attempt() {
    let mut lane = lane(Rules { retries: Some(0), ..RULES }, 1);
    let mut now_ms = 0;
    for _ in 0..5 {
        assert_eq!(next(&mut lane, &mut now_ms), invoke(1));
        lane.ended(now_ms, Outcome::NotReached);
    }
    assert_eq!(next(&mut lane, &mut now_ms), invoke(1));
    lane.ended(now_ms, Outcome::Failure);
    assert_eq!(lane.next(now_ms, Behind::Quiet), given_up(1, Condition::RetryAttemptsExhausted, 1));
}

#[test]
fn a_partial_answer_moves_on_and_counts_anew() {
    let mut lane = lane(Rules { retries: Some(3), ..RULES }, 3);
    let mut now_ms = 0;
    assert_eq!(next(&mut lane, &mut now_ms), invoke(3));
    lane.ended(now_ms, Outcome::From(2, Value::Null));
    assert_eq!(lane.done(), Some(&Sequence("2".into())));
    // Observed: with three retries the record that failed was delivered 1 + 4 times.
    for _ in 0..4 {
        assert_eq!(next(&mut lane, &mut now_ms), invoke(1));
        lane.ended(now_ms, Outcome::From(0, Value::Null));
    }
    assert_eq!(lane.next(now_ms, Behind::Quiet), given_up(1, Condition::RetryAttemptsExhausted, 4));
}

#[test]
fn halves_end_at_the_record_that_fails() {
    let mut lane = lane(Rules { batch: 8, retries: Some(1), bisect: true, ..RULES }, 8);
    let (mut now_ms, mut sizes, mut lost) = (0, Vec::new(), Vec::new());
    while !lane.is_empty() {
        match next(&mut lane, &mut now_ms) {
            Next::Invoke { records, .. } => {
                let has_bad = lane.records().iter().take(records).any(|one| &*one.sequence.0 == "6");
                sizes.push(records);
                lane.ended(now_ms, if has_bad { Outcome::Failure } else { Outcome::Success(Value::Null) });
            }
            Next::GiveUp(over) => {
                lost.extend(lane.records().iter().take(over.records).map(|one| one.sequence.clone()));
                lane.given_up(&over);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(lost, [Sequence("6".into())]);
    assert_eq!(sizes, [8, 4, 4, 2, 1, 1, 1, 2]);
}

#[test]
fn records_that_are_too_old_go_alone() {
    let mut lane = Lane::new(Rules { age_ms: Some(60_000), ..RULES }, None);
    lane.push(record(1, 0));
    lane.push(record(2, 50_000));
    let Next::GiveUp(over) = lane.next(60_001, Behind::Quiet) else { panic!("it is not given up") };
    assert_eq!(over, GivenUp { records: 1, condition: Condition::RecordAgeExceeded, invokes: 1 });
    lane.given_up(&over);
    assert_eq!(lane.next(60_001, Behind::Quiet), invoke(1));
    lane.ended(60_001, Outcome::Failure);
    let mut now_ms = 110_001;
    assert_eq!(next(&mut lane, &mut now_ms), given_up(1, Condition::RecordAgeExceeded, 1));
}

#[test]
fn what_is_left_of_a_batch_with_records_that_are_too_old_stays_together() {
    let mut lane = Lane::new(Rules { age_ms: Some(100), ..RULES }, None);
    lane.push(record(1, 0));
    lane.push(record(2, 50));
    lane.push(record(3, 60));
    assert_eq!(lane.next(60, Behind::Quiet), invoke(3));
    lane.ended(60, Outcome::Failure);
    let Next::GiveUp(over) = lane.next(101, Behind::Quiet) else { panic!("it is not given up") };
    lane.given_up(&over);
    assert_eq!(lane.next(101, Behind::Quiet), invoke(2));
}

const MINUTE: i64 = 60_000;

fn share(start: i64, state: Value, is_final: bool, is_early: bool) -> Share {
    Share { start_ms: start * MINUTE, end_ms: (start + 1) * MINUTE, state, is_final, is_early }
}

#[test]
fn a_window_hands_its_state_on_and_ends_with_an_invoke_of_its_own() {
    let mut lane = Lane::new(Rules { tumbling_ms: Some(MINUTE), ..RULES }, None);
    lane.push(record(1, 10));
    lane.push(record(2, 20));
    lane.push(record(3, MINUTE + 10));
    let with = |records, share| Next::Invoke { records, share: Some(share) };
    let now_ms = MINUTE + 20;
    assert_eq!(lane.next(now_ms, Behind::Quiet), with(2, share(0, json!({}), false, false)));
    lane.ended(now_ms, Outcome::Success(json!({"sum": 2})));
    assert_eq!(lane.window().unwrap().state, json!({"sum": 2}));
    assert_eq!(lane.next(now_ms, Behind::Quiet), with(0, share(0, json!({"sum": 2}), true, false)));
    lane.ended(now_ms, Outcome::Success(Value::Null));
    assert_eq!(lane.next(now_ms, Behind::Quiet), with(1, share(1, json!({}), false, false)));
    lane.ended(now_ms, Outcome::Success(json!({"sum": 1})));
    assert_eq!(lane.next(now_ms, Behind::Quiet), Next::At(2 * MINUTE));
    assert_eq!(lane.clone().next(2 * MINUTE, Behind::More), Next::Nothing, "its records may still be read");
    assert_eq!(lane.clone().next(now_ms, Behind::Closed), with(0, share(1, json!({"sum": 1}), true, true)));
    assert_eq!(lane.next(2 * MINUTE, Behind::Quiet), with(0, share(1, json!({"sum": 1}), true, false)));
    lane.ended(2 * MINUTE, Outcome::Success(Value::Null));
    assert!(lane.is_empty());
}

#[test]
fn a_window_whose_state_is_too_large_ends_early() {
    let mut lane = Lane::new(Rules { tumbling_ms: Some(MINUTE), ..RULES }, None);
    lane.push(record(1, 10));
    assert!(matches!(lane.next(20, Behind::Quiet), Next::Invoke { records: 1, .. }));
    let state = json!("x".repeat(STREAM_STATE_BYTES));
    lane.ended(20, Outcome::Success(state.clone()));
    assert_eq!(lane.next(20, Behind::Quiet), Next::Invoke { records: 0, share: Some(share(0, state, true, true)) });
}
