//! Pure cgroup v2: one group does everything.

use rustix::fs::OFlags;

use super::dir::Dir;
use super::disk;
use super::{CgroupFiles, CgroupMount, CpuQuota, NewCgroup, open_top, pids_max, weight_factor};
use crate::error::{Done, Failure};

/// The file that says which controllers groups below have.
const SUBTREE: &str = "cgroup.subtree_control";

const CONTROLLERS: [&str; 3] = ["memory", "cpu", "pids"];

/// `cpu.weight` of a group that nobody has changed, and the largest there is.
const USUAL_WEIGHT: u32 = 100;
const WEIGHT_MAX: u32 = 10_000;

/// This instance's directory, and that of all instances above it.
pub(super) struct Instance {
    dir: Dir,
    top: Dir,
    /// Whether groups here have limits of disks, or why not.
    disks: Done,
}

/// The v2 hierarchy, where it has every controller that is needed.
pub(super) fn find(mounts: &[CgroupMount<'_>]) -> Done<Option<Dir>> {
    let Some(mount) = mounts.iter().find(|m| m.v2) else { return Ok(None) };
    let root = Dir::at(mount.point)?;
    let there = root.read("cgroup.controllers")?;
    Ok(missing(&there).is_none().then_some(root))
}

/// The first controller that is needed and not in the list.
pub(super) fn missing(there: &str) -> Option<&'static str> {
    CONTROLLERS.into_iter().find(|name| !there.split_ascii_whitespace().any(|c| c == *name))
}

impl Instance {
    pub(super) fn open(root: &Dir, instance: &str) -> Done<Self> {
        enable(root).map_err(|failure| match failure.errno {
            // Only groups without processes of their own may pass controllers on; the machine's root is exempt.
            libc::EBUSY => Failure::new(
                libc::EBUSY,
                format!(
                    "{}: start the server where the cgroup2 root holds no process (see `hearth doctor`)",
                    failure.what
                ),
            ),
            _ => failure,
        })?;
        let top = open_top(root)?;
        enable(&top)?;
        let dir = top.create(instance)?;
        enable(&dir)?;
        let disks = [root, &top, &dir].into_iter().try_for_each(enable_io);
        let weight = (USUAL_WEIGHT * weight_factor()).min(WEIGHT_MAX).to_string();
        top.write("cpu.weight", &weight)?;
        dir.write("cpu.weight", &weight)?;
        Ok(Self { dir, top, disks })
    }

    pub(super) fn limits_disks(&self) -> Done {
        self.disks.clone()
    }

    pub(super) fn dir(&self) -> &Dir {
        &self.dir
    }

    pub(super) fn top(&self) -> &Dir {
        &self.top
    }

    pub(super) fn create(&self, slot: &str, quota: CpuQuota) -> Done<NewCgroup> {
        let dir = self.dir.create(slot)?;
        dir.write("cpu.max", &quota.v2())?;
        dir.write("pids.max", &pids_max())?;
        Ok(NewCgroup {
            files: CgroupFiles {
                freeze: dir.open_file("cgroup.freeze", OFlags::WRONLY)?,
                kill: dir.open_file("cgroup.kill", OFlags::WRONLY)?,
                cpu: dir.open_file("cpu.max", OFlags::WRONLY)?,
                memory_peak: dir.open_file("memory.peak", OFlags::RDONLY)?,
                oom: dir.open_file("memory.events", OFlags::RDONLY)?,
            },
            unified: dir.try_clone()?,
            attach: Vec::new(),
            io: if self.disks.is_ok() { Some(dir.open_file(disk::V2_FILE, OFlags::WRONLY)?) } else { None },
        })
    }

    pub(super) fn limit_memory(&self, slot: &str, bytes: &str) -> Done {
        self.dir.write_if_there(&format!("{slot}/memory.swap.max"), "0")?;
        self.dir.write(&format!("{slot}/memory.max"), bytes)
    }
}

/// Only throughput depends on it: a machine without goes on.
fn enable_io(dir: &Dir) -> Done {
    if !has_io(dir)? {
        return Err(Failure::new(libc::ENOTSUP, "limiting disks: there is no cgroup controller io"));
    }
    dir.write(SUBTREE, &format!("+{}", disk::V2_CONTROLLER))
}

/// Whether the controller of disks is there.
pub(super) fn has_io(dir: &Dir) -> Done<bool> {
    Ok(dir.read("cgroup.controllers")?.split_ascii_whitespace().any(|name| name == disk::V2_CONTROLLER))
}

fn enable(dir: &Dir) -> Done {
    CONTROLLERS.iter().try_for_each(|name| dir.write(SUBTREE, &format!("+{name}")))
}
