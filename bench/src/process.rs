//! What the kernel says of processes and of itself.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// CPU time of a process, all its threads, in user and kernel mode.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    let fields = stat(pid)?;
    let ticks = |index: usize| -> Result<u64> { Ok(fields.get(index).context("a short stat line")?.parse()?) };
    let per_second = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_secs_f64((ticks(11)? + ticks(12)?) as f64 / per_second as f64))
}

/// The fields of a process's stat line from its state on.
fn stat(pid: u32) -> Result<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid} is gone"))?;
    let (_, rest) = text.rsplit_once(')').context("a stat line without a name")?;
    Ok(rest.split_whitespace().map(str::to_owned).collect())
}

/// All processes that descend from `root`, their parents before them.
pub(crate) fn descendants(root: u32) -> Result<Vec<u32>> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // A process may end while the list is read.
        if let Ok(fields) = stat(pid)
            && let Some(parent) = fields.get(1).and_then(|parent| parent.parse::<u32>().ok())
        {
            parents.push((pid, parent));
        }
    }
    let mut found = Vec::new();
    let mut next = vec![root];
    while let Some(parent) = next.pop() {
        let children = parents.iter().filter(|(_, p)| *p == parent).map(|(pid, _)| *pid);
        let children: Vec<u32> = children.collect();
        found.extend(&children);
        next.extend(children);
    }
    Ok(found)
}

/// The children of a process.
pub(crate) fn children(of: u32) -> Result<Vec<u32>> {
    let is_child = |pid: &u32| stat(*pid).is_ok_and(|fields| fields.get(1).is_some_and(|p| *p == of.to_string()));
    Ok(descendants(of)?.into_iter().filter(is_child).collect())
}

/// Memory in kB of a process: resident, and its share of what it shares. 0 where the process is gone.
pub(crate) fn memory_kb(pid: u32) -> (u64, u64) {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    (field_kb(&text, "Rss:"), field_kb(&text, "Pss:"))
}

/// Memory in kB of a process that it shares with no other. 0 where the process is gone.
pub(crate) fn private_kb(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    field_kb(&text, "Private_Clean:") + field_kb(&text, "Private_Dirty:")
}

/// kB that the machine could still give to programs.
pub(crate) fn available_kb() -> u64 {
    field_kb(&fs::read_to_string("/proc/meminfo").unwrap_or_default(), "MemAvailable:")
}

/// CPU time that all of the machine's processors have spent on anything since its start.
pub(crate) fn machine_cpu() -> Result<Duration> {
    let text = fs::read_to_string("/proc/stat")?;
    let line = text.lines().next().context("an empty /proc/stat")?;
    let fields: Vec<u64> = line.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
    // user, nice, system; then idle and iowait; then irq, softirq.
    let ticks: u64 = [0, 1, 2, 5, 6].iter().filter_map(|at| fields.get(*at)).sum();
    Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

/// Whether a process was started with this variable.
pub(crate) fn has_variable(pid: u32, name: &str) -> bool {
    let variables = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    variables.split(|byte| *byte == 0).any(|variable| variable.starts_with(format!("{name}=").as_bytes()))
}

/// Open descriptors. 0 where the process is gone.
pub(crate) fn descriptors(pid: u32) -> u64 {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |entries| entries.count() as u64)
}

/// kB that the kernel itself uses: slabs, stacks, page tables, per-CPU data.
pub(crate) fn kernel_kb() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    ["Slab:", "KernelStack:", "PageTables:", "Percpu:"].iter().map(|name| field_kb(&text, name)).sum()
}

fn field_kb(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()).and_then(|kb| kb.parse().ok()).unwrap_or(0)
}
