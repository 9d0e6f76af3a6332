//! The hybrid layout: memory, cpu and pids on v1 hierarchies, freeze and kill by a cgroup2 hierarchy without
//! controllers. Never the v1 freezer: frozen there, a process does not even die.

use hearth_types::limits::CPU_PERIOD;
use rustix::fs::OFlags;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

use super::delegated::Bases;
use super::dir::Dir;
use super::{CgroupFiles, CgroupMount, CpuQuota, NewCgroup, open_top, pids_max, weight_factor};
use crate::error::{Done, During, Failure};

/// `cpu.shares` of a group that nobody has changed.
const USUAL_SHARES: u32 = 1024;

/// This instance's directories in the hierarchies, and those of all instances above them.
pub(super) struct Instance {
    memory: Dir,
    cpu: Dir,
    pids: Dir,
    unified: Dir,
    tops: [Dir; 4],
}

impl Instance {
    pub(super) fn open(mounts: &[CgroupMount<'_>], instance: &str, bases: &Bases) -> Done<Self> {
        let base = |name| open_top(&Dir::at(&bases.below(controller(mounts, name)?, name))?);
        let (memory, cpu, pids) = (base("memory")?, base("cpu")?, base("pids")?);
        let unified = open_top(&unified(mounts, bases)?)?;
        let shares = (USUAL_SHARES * weight_factor()).to_string();
        let instance_cpu = cpu.create(instance)?;
        cpu.write("cpu.shares", &shares)?;
        instance_cpu.write("cpu.shares", &shares)?;
        Ok(Self {
            memory: memory.create(instance)?,
            cpu: instance_cpu,
            pids: pids.create(instance)?,
            unified: unified.create(instance)?,
            tops: [memory, cpu, pids, unified],
        })
    }

    pub(super) fn dirs(&self) -> [&Dir; 4] {
        [&self.memory, &self.cpu, &self.pids, &self.unified]
    }

    pub(super) fn unified(&self) -> &Dir {
        &self.unified
    }

    pub(super) fn tops(&self) -> [&Dir; 4] {
        self.tops.each_ref()
    }

    pub(super) fn create(&self, slot: &str, quota: CpuQuota) -> Done<NewCgroup> {
        let [memory, cpu, pids, unified] =
            [self.memory.create(slot)?, self.cpu.create(slot)?, self.pids.create(slot)?, self.unified.create(slot)?];
        cpu.write("cpu.cfs_period_us", &CPU_PERIOD.as_micros().to_string())?;
        cpu.write("cpu.cfs_quota_us", &quota.v1())?;
        pids.write("pids.max", &pids_max())?;
        let procs = [&memory, &cpu, &pids].map(|dir| dir.open_file("cgroup.procs", OFlags::WRONLY));
        Ok(NewCgroup {
            files: CgroupFiles {
                freeze: unified.open_file("cgroup.freeze", OFlags::WRONLY)?,
                kill: unified.open_file("cgroup.kill", OFlags::WRONLY)?,
                cpu: cpu.open_file("cpu.cfs_quota_us", OFlags::WRONLY)?,
                memory_peak: memory.open_file("memory.max_usage_in_bytes", OFlags::RDONLY)?,
                oom: memory.open_file("memory.oom_control", OFlags::RDONLY)?,
            },
            unified: unified.try_clone()?,
            attach: procs.into_iter().collect::<Done<_>>()?,
            io: None,
        })
    }

    pub(super) fn limit_memory(&self, slot: &str, bytes: &str) -> Done {
        self.memory.write(&format!("{slot}/memory.limit_in_bytes"), bytes)?;
        // Memory and swap together no more than memory alone: no swap. Kernels without swap accounting lack the file,
        // and there swappiness 0 is the nearest.
        let swap = format!("{slot}/memory.memsw.limit_in_bytes");
        match self.memory.write(&swap, bytes) {
            Err(failure) if failure.errno == libc::ENOENT => {
                self.memory.write(&format!("{slot}/memory.swappiness"), "0")
            }
            other => other,
        }
    }
}

/// Fails with the name of the first controller that is missing.
pub(super) fn require_controllers(mounts: &[CgroupMount<'_>]) -> Done {
    ["memory", "cpu", "pids"].iter().try_for_each(|name| controller(mounts, name).map(drop))
}

/// A hierarchy that is needed, by where it is mounted and its controller; that of cgroup2 has none.
pub(super) struct Place<'a> {
    pub(super) point: &'a str,
    pub(super) controller: &'static str,
}

/// All of them that are mounted.
///
/// # Errors
/// As [`require_controllers`].
pub(super) fn places<'a>(mounts: &[CgroupMount<'a>]) -> Done<Vec<Place<'a>>> {
    let place = |name| controller(mounts, name).map(|point| Place { point, controller: name });
    let mut places = vec![place("memory")?, place("cpu")?, place("pids")?];
    places.extend(mounts.iter().find(|m| m.v2).map(|m| Place { point: m.point, controller: "" }));
    Ok(places)
}

fn controller<'a>(mounts: &[CgroupMount<'a>], name: &str) -> Done<&'a str> {
    mounts.iter().find(|m| !m.v2 && m.options.contains(&name)).map(|m| m.point).ok_or_else(|| {
        let what = format!(
            "the cgroup controller {name} is mounted neither on cgroup v2 nor on v1; without it an environment's \
             limits cannot be enforced"
        );
        Failure::new(libc::ENOTSUP, what)
    })
}

/// The cgroup2 hierarchy: where it is mounted, or mounted for this process alone.
fn unified(mounts: &[CgroupMount<'_>], bases: &Bases) -> Done<Dir> {
    if let Some(mount) = mounts.iter().find(|m| m.v2) {
        return Dir::at(&bases.below(mount.point, ""));
    }
    let what = "mounting cgroup2 (needed to freeze and kill environments)";
    let fs = rustix::mount::fsopen("cgroup2", FsOpenFlags::FSOPEN_CLOEXEC).during(what)?;
    rustix::mount::fsconfig_create(&fs).during(what)?;
    let mount = rustix::mount::fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).during(what)?;
    Dir::detached(mount)
}
