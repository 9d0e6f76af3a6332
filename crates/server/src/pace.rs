//! What makes this machine slower than it could be, and can be set: `hearth doctor` says it.

use std::fs;

/// Where a virtual machine's kernel says for how long an idle processor looks for work before it halts, in nanoseconds.
const HALT_POLLING: &str = "/sys/module/haltpoll/parameters/guest_halt_poll_ns";
/// Which of the kernel's ways to be idle is in use.
const IDLE_GOVERNOR: &str = "/sys/devices/system/cpu/cpuidle/current_governor";
/// The first of a processor's ways to be idle: where it is to look for work, it is called `POLL`.
const FIRST_IDLE_STATE: &str = "/sys/devices/system/cpu/cpu0/cpuidle/state0/name";
/// Long enough for the answer of a function that does little.
const POLLED_NS: u64 = 200_000;

/// A setting that costs time.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Hindrance {
    pub(crate) what: &'static str,
    /// What to do about it, and at which price.
    pub(crate) how: String,
}

/// Looks at the machine.
pub(crate) fn hindrances() -> Vec<Hindrance> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    halting(read(IDLE_GOVERNOR).trim(), read(HALT_POLLING).trim()).into_iter().collect()
}

/// Whether an idle processor can look for work: not on a virtual machine without a driver for idleness.
pub(crate) fn idle_can_poll() -> bool {
    fs::read_to_string(FIRST_IDLE_STATE).is_ok_and(|name| name.trim() == "POLL")
}

/// To wake a halted processor leaves a virtual machine and comes back: 10 to 30 µs, twice in a warm invoke.
fn halting(governor: &str, polled_ns: &str) -> Option<Hindrance> {
    let at_once = governor == "haltpoll" && polled_ns.parse() == Ok(0_u64);
    at_once.then(|| Hindrance {
        what: "idle processors of this virtual machine halt at once, so that waking them takes long",
        how: format!(
            "`echo {POLLED_NS} > {HALT_POLLING}` lets them look for work first; an idle machine then uses more of its host. \
             `hearth serve --awake requests` has them do so while requests are under way, and leaves the setting as it is"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_halts_at_once_is_told() {
        assert!(
            halting("haltpoll", "0").is_some_and(|found| found.how.contains("echo 200000 > /sys/module/haltpoll")
                && found.how.contains("--awake requests"))
        );
        assert_eq!(halting("haltpoll", "200000"), None);
        assert_eq!(halting("menu", "0"), None, "the parameter has no effect there");
        assert_eq!(halting("", ""), None, "no virtual machine");
    }
}
