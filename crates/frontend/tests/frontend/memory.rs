//! What the front end keeps of functions that nobody invokes.

use crate::support::{House, LIMITS, put, record};

const FUNCTIONS: usize = 20_000;
/// Bytes of one function: its names and ARNs, its settings, its places in the snapshot and in the scheduler.
const EACH: usize = 2048;

/// Set in a process that runs this test alone: what others take at the same time would be counted, too.
const ALONE: &str = "HEARTH_MEMORY_ALONE";

#[tokio::test]
async fn a_function_takes_little() {
    if std::env::var_os(ALONE).is_none() {
        let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
        let status = alone.args(["--exact", "memory::a_function_takes_little"]).env(ALONE, "1").status().unwrap();
        assert!(status.success(), "see above");
        return;
    }
    let house = House::new(LIMITS);
    let before = resident_bytes();
    for number in 0..FUNCTIONS {
        house.dispatcher.apply(vec![put(record(&format!("function-of-some-team-{number}")))]);
    }
    let each = resident_bytes().saturating_sub(before) / FUNCTIONS;
    assert_eq!(house.dispatcher.functions().count(), FUNCTIONS + 1);
    assert!(each < EACH, "{each} bytes for each function");
}

/// Of this process.
fn resident_bytes() -> usize {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Private_Dirty:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
}
