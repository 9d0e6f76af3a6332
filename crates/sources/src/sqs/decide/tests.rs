use proptest::prelude::*;

use super::*;

fn item(bytes: usize, trace: Option<&str>) -> Item {
    Item {
        id: String::new(),
        handle: String::new(),
        group: None,
        trace: trace.map(str::to_owned),
        json: vec![b'1'; bytes],
    }
}

proptest! {
    /// No message is lost or moved, and no batch is larger than what a function takes.
    #[test]
    fn batches_have_all_messages_in_order_within_the_bounds(
        sizes in prop::collection::vec(1..3_000_000_usize, 0..40),
        most in 1..12_usize,
    ) {
        let items: Vec<Item> = sizes.iter().map(|bytes| item(*bytes, None)).collect();
        let batches = batches(items, most);
        let flat: Vec<usize> = batches.iter().flatten().map(|item| item.json.len()).collect();
        prop_assert_eq!(flat, sizes);
        for batch in &batches {
            prop_assert!(!batch.is_empty() && batch.len() <= most);
            prop_assert!(event(batch).len() <= SYNC_PAYLOAD_BYTES && event(batch).len() <= size(batch));
        }
    }

    /// It never is more than what was set, and never nothing.
    #[test]
    fn the_scale_keeps_its_bounds(
        most in prop::option::of(2..1_001_i32),
        happens in prop::collection::vec((0..3_u8, 0..2_000_i64, 0..2_000_usize), 0..60),
    ) {
        let mut scale = Scale::new(most);
        let mut now_ms = 0;
        for (what, later, used) in happens {
            now_ms += later;
            let before = scale.limit;
            match what {
                0 => drop(scale.limit(now_ms, used)),
                1 => scale.throttled(now_ms, used),
                _ => scale.idle(now_ms),
            }
            let bound = most.map_or(SOURCE_POLLERS_MAX, |most| most as usize);
            prop_assert!((1..=bound).contains(&scale.limit) && scale.limit <= before.max(SOURCE_POLLERS_START) + 5);
        }
    }
}

#[test]
fn an_event_lists_its_records() {
    assert_eq!(event(&[item(2, None), item(1, None)]), br#"{"Records":[11,1]}"#);
}

#[test]
fn one_message_that_is_too_large_is_a_batch_of_its_own() {
    let cut = batches(vec![item(1, None), item(SYNC_PAYLOAD_BYTES, None), item(1, None)], 10);
    assert_eq!(cut.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1]);
}

#[test]
fn it_grows_by_three_hundred_a_minute_while_all_are_in_use() {
    let mut scale = Scale::new(None);
    assert_eq!(scale.limit(0, 3), 5);
    let minute: Vec<usize> = (0..60)
        .map(|second| {
            let used = scale.limit;
            scale.limit(second * 1000, used)
        })
        .collect();
    assert_eq!((minute[0], minute[59]), (10, 305));
    assert_eq!(Scale::new(Some(2)).limit(0, 2), 2);
    scale.idle(60_000);
    assert_eq!(scale.limit, 5);
}

#[test]
fn the_longest_chain_leads() {
    let (short, long) = ("Root=1-a;Sampled=0;Lineage=a:2|b:3", "Root=1-b;Sampled=0;Lineage=a:11");
    assert_eq!(trace(&[item(1, Some(short)), item(1, None), item(1, Some(long))]), Some(long));
    assert_eq!(trace(&[item(1, Some("first")), item(1, Some("second"))]), Some("first"));
    assert_eq!(trace(&[item(1, None)]), None);
}

#[test]
fn messages_are_hidden_for_as_long_as_the_function_needs() {
    assert_eq!(visibility_s(0, 30, 30), None);
    assert_eq!(visibility_s(5, 30, 30), Some(65));
    assert_eq!(visibility_s(300, 43_000, 30), Some(SQS_VISIBILITY_MAX_S));
}

#[test]
fn a_batch_is_tried_again_only_while_there_is_time_for_it() {
    assert_eq!(again_ms(0, 30_000, 3_000, 0), Some(SOURCE_RETRY_FIRST_MS));
    assert_eq!(again_ms(0, 30_000, 3_000, 30), Some(SOURCE_RETRY_MOST_MS));
    assert_eq!(again_ms(27_000, 30_000, 3_000, 0), None);
}
