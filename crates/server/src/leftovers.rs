//! What is left of worker processes that are to end, and for how long it is worth waiting: as long as it gets anywhere.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// After so long without any progress, what stands still is given up.
const PATIENCE: Duration = Duration::from_secs(20);

/// The processes below this one.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Left {
    /// CPU time that each has had, in the kernel's ticks, by process id.
    ticks: BTreeMap<u32, u64>,
    /// How many environments there are. What runs inside is no progress.
    environments: usize,
}

impl Left {
    /// As it is now, without `workers` themselves: one that only waits for its spawner still uses a little time.
    pub(crate) fn behind(workers: &[u32]) -> Self {
        let mut left = Self::default();
        let mut below = children_of(std::process::id());
        while let Some(pid) = below.pop() {
            let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
            if is_in_environment(&read("status")) {
                left.environments += 1;
                continue;
            }
            below.extend(children_of(pid));
            if !workers.contains(&pid)
                && let Some(ticks) = ticks(&read("stat"))
            {
                left.ticks.insert(pid, ticks);
            }
        }
        left
    }
}

fn children_of(pid: u32) -> Vec<u32> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let texts = tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    texts.flat_map(|text| text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
}

/// From `/proc/PID/status`: such a process has an id in a namespace of its own, too.
fn is_in_environment(status: &str) -> bool {
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    ids.is_some_and(|ids| ids.split_whitespace().count() > 1)
}

/// From `/proc/PID/stat`: of all its threads, in the program and in the kernel.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

/// What is to be done about what is left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// It gets on, or has not had its time yet.
    Wait,
    /// It stands still: the workers are to be killed.
    Kill,
    /// It stands still although they were.
    GiveUp,
}

/// Waiting for the end, as it goes on.
pub(crate) struct Patience {
    since: Instant,
    seen: Left,
    killed: bool,
}

impl Patience {
    pub(crate) fn new(now: Instant, seen: Left) -> Self {
        Self { since: now, seen, killed: false }
    }

    /// Looks at what is left, where it is time for that.
    pub(crate) fn look(&mut self, now: Instant, left: impl FnOnce() -> Left) -> Verdict {
        if now.saturating_duration_since(self.since) < PATIENCE {
            return Verdict::Wait;
        }
        self.since = now;
        let seen = left();
        if seen != self.seen {
            self.seen = seen;
            return Verdict::Wait;
        }
        if std::mem::replace(&mut self.killed, true) { Verdict::GiveUp } else { Verdict::Kill }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn what_gets_on_is_waited_for() {
        let left = |ticks| Left { ticks: BTreeMap::from([(7, ticks)]), environments: 3 };
        let begin = Instant::now();
        let at = |periods: u32| begin + PATIENCE * periods;
        let mut patience = Patience::new(begin, left(1));
        assert_eq!(patience.look(at(1) - Duration::from_millis(1), || unreachable!()), Verdict::Wait);
        assert_eq!(patience.look(at(1), || left(2)), Verdict::Wait);
        assert_eq!(patience.look(at(2), || Left { environments: 2, ..left(2) }), Verdict::Wait);
        assert_eq!(patience.look(at(3), || Left { environments: 2, ..left(2) }), Verdict::Kill);
        assert_eq!(patience.look(at(4), Left::default), Verdict::Wait);
        assert_eq!(patience.look(at(5), Left::default), Verdict::GiveUp);
    }

    #[test]
    fn descendants_are_found() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let pid = child.id();
        assert!(Left::behind(&[]).ticks.contains_key(&pid));
        assert!(!Left::behind(&[pid]).ticks.contains_key(&pid), "a worker's own time is no progress");
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(!Left::behind(&[]).ticks.contains_key(&pid));
    }

    #[test]
    fn the_kernels_files_are_read() {
        assert_eq!(ticks("17 (a ) b) S 1 17 17 0 -1 4194560 1 2 3 4 50 6 7 8 20 0"), Some(56));
        assert_eq!(ticks("17 (a) S 1"), None);
        assert!(is_in_environment("Name:\ta\nNSpid:\t77\t1\nThreads:\t1\n"));
        assert!(!is_in_environment("Name:\ta\nNSpid:\t77\nThreads:\t1\n"));
    }
}
