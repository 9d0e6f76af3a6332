//! What the figures were measured on.

use std::fs;

use serde_json::{Value, json};

use crate::args::RunArgs;

/// Whether a server can keep this machine's processors awake.
pub(crate) fn can_be_kept_awake() -> bool {
    let first = fs::read_to_string("/sys/devices/system/cpu/cpu0/cpuidle/state0/name");
    first.is_ok_and(|name| name.trim() == "POLL") && fs::exists("/dev/cpu_dma_latency").unwrap_or(false)
}

/// Facts for the report's head.
pub(crate) fn facts(args: &RunArgs) -> Value {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let line = |text: &str, name: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(name));
        found.map(|rest| rest.trim_start_matches([' ', '\t', ':']).to_owned()).unwrap_or_default()
    };
    json!({
        "commit": args.commit,
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "processor": line(&read("/proc/cpuinfo"), "model name"),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        // Decides what it takes to wake somebody, and so every figure of one at a time.
        "halt_polling_ns": read("/sys/module/haltpoll/parameters/guest_halt_poll_ns").trim(),
        "awake": args.awake,
        "memory": line(&read("/proc/meminfo"), "MemTotal:"),
        "python": args.python_runtime,
        "node": args.node_runtime,
        "quick": args.quick,
    })
}
