//! What the front end keeps of functions that nobody invokes.

use crate::support::{House, LIMITS, put, record};

const FUNCTIONS: usize = 20_000;
/// Bytes of one function: its names and ARNs, its settings, its places in the snapshot and in the scheduler.
const EACH: usize = 2048;

#[tokio::test]
async fn a_function_takes_little() {
    let house = House::new(LIMITS);
    let before = resident_bytes();
    for number in 0..FUNCTIONS {
        house.dispatcher.apply(vec![put(record(&format!("function-of-some-team-{number}")))]);
    }
    let each = resident_bytes().saturating_sub(before) / FUNCTIONS;
    assert_eq!(house.dispatcher.functions().count(), FUNCTIONS + 1);
    assert!(each < EACH, "{each} bytes for each function");
}

/// Of this process; the other tests in it take some hundred kilobytes.
fn resident_bytes() -> usize {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Private_Dirty:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
}
