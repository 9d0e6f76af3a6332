//! What a server must take with it when it goes: processes, cgroups, mounts, loop devices.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// Time for the kernel and the server's own reapers to finish what the server's end set off.
const GRACE_S: i64 = 5;

/// What exists because of one server, seen while it runs.
#[derive(Debug)]
pub(crate) struct Leftovers {
    /// (pid, start time): a pid alone may be somebody else's by the time of the check.
    processes: BTreeSet<(i32, u64)>,
    cgroups: BTreeSet<PathBuf>,
    data: PathBuf,
}

impl Leftovers {
    /// Looks at the server `pid`, all its descendants and their cgroups.
    pub(crate) fn of(pid: u32, data: &Path) -> Result<Self> {
        let own = cgroups_of("self");
        let processes = descendants(i32::try_from(pid)?)?;
        let cgroups = processes.iter().flat_map(|(pid, _)| cgroups_of(&pid.to_string())).collect::<BTreeSet<_>>();
        let cgroups = cgroups.difference(&own).cloned().collect();
        Ok(Self { processes, cgroups, data: data.to_path_buf() })
    }

    /// Fails with a list if anything is still there.
    pub(crate) fn check(&self) -> Result<()> {
        let mut left: Vec<String> = Vec::new();
        for &(pid, started) in &self.processes {
            if !gone(pid, started)? {
                left.push(format!("process {pid} ({})", name_of(pid)));
            }
        }
        left.extend(self.cgroups.iter().filter(|path| path.exists()).map(|path| format!("cgroup {}", path.display())));
        let data = self.data.to_string_lossy();
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        left.extend(mounts.lines().filter(|line| line.contains(&*data)).map(|line| format!("mount {line}")));
        left.extend(
            loops()?.into_iter().filter(|file| file.contains(&*data)).map(|file| format!("loop device of {file}")),
        );
        if left.is_empty() {
            return Ok(());
        }
        bail!("left behind:\n  {}", left.join("\n  "));
    }
}

/// Waits until the process has ended, for a bounded time. True if it has.
fn gone(pid: i32, started: u64) -> Result<bool> {
    let same = |pid| stat(pid).is_some_and(|(_, start)| start == started);
    let Some(raw) = Pid::from_raw(pid) else { return Ok(true) };
    let Ok(handle) = pidfd_open(raw, PidfdFlags::empty()) else { return Ok(true) };
    if !same(pid) {
        return Ok(true);
    }
    let limit = Timespec { tv_sec: GRACE_S, tv_nsec: 0 };
    Ok(poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&limit))? > 0)
}

/// All descendants of a process, with their start times.
fn descendants(root: i32) -> Result<BTreeSet<(i32, u64)>> {
    let mut children: BTreeMap<i32, Vec<(i32, u64)>> = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if let Some((parent, started)) = stat(pid) {
            children.entry(parent).or_default().push((pid, started));
        }
    }
    let mut found = BTreeSet::new();
    let mut next = vec![root];
    while let Some(pid) = next.pop() {
        for &(child, started) in children.get(&pid).into_iter().flatten() {
            if found.insert((child, started)) {
                next.push(child);
            }
        }
    }
    Ok(found)
}

/// Parent and start time of a process. The name before them may hold spaces and brackets.
fn stat(pid: i32) -> Option<(i32, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    Some((fields.get(1)?.parse().ok()?, fields.get(19)?.parse().ok()?))
}

fn name_of(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

/// The folders of a process's cgroups, in whichever hierarchies are mounted; not the roots, where one that ends is.
fn cgroups_of(pid: &str) -> BTreeSet<PathBuf> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let base = Path::new("/sys/fs/cgroup");
    let folders = text.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?.trim_start_matches('/'));
        let names = if controllers.is_empty() { "unified" } else { controllers.trim_start_matches("name=") };
        let hierarchy = if base.join(names).is_dir() { base.join(names) } else { base.to_path_buf() };
        (!path.is_empty()).then(|| hierarchy.join(path))
    });
    folders.collect()
}

/// The files behind the machine's loop devices.
fn loops() -> Result<Vec<String>> {
    let Ok(devices) = fs::read_dir("/sys/block") else { return Ok(Vec::new()) };
    let mut files = Vec::new();
    for device in devices {
        files.extend(fs::read_to_string(device?.path().join("loop/backing_file")).ok());
    }
    Ok(files)
}
