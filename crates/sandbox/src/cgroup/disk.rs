//! How fast the disk behind a /tmp is.
//!
//! On cgroup v2 the environment's own group has a limit, and what the kernel writes later for it counts to the group, too. On
//! v1 the kernel writes later for everybody as the root group does it, so that a limit of the environment's group would be
//! one for who writes past the cache only. But the disk behind a /tmp is no other environment's: there the limit is the
//! device's, set for the root group, and for the one that environments' processes are in. What a function writes is held
//! back in one or the other; both at once, by calling for a flush all the time, can get it up to twice as much.

use std::os::fd::OwnedFd;

use rustix::fs::{CWD, Mode, OFlags};

use super::CgroupMount;
use super::delegated::Bases;
use super::dir::Dir;
use crate::error::{Done, During, Failure};

/// Major number of loop devices.
const LOOP_MAJOR: u32 = 7;
/// The files of a v1 group.
const V1_FILES: [&str; 2] = ["blkio.throttle.read_bps_device", "blkio.throttle.write_bps_device"];
/// The file of a v2 group.
pub(super) const V2_FILE: &str = "io.max";
/// The controller of both.
const V1_CONTROLLER: &str = "blkio";
pub(super) const V2_CONTROLLER: &str = "io";

/// How a spawner limits the disks of its environments.
pub(crate) struct Disks {
    /// MB a second, each way.
    mb: u32,
    /// None where each environment's own group has the limit.
    v1: Option<V1Files>,
}

impl Disks {
    /// By each environment's own group.
    pub(super) fn by_groups(mb: u32) -> Self {
        Self { mb, v1: None }
    }

    /// By the device.
    ///
    /// # Errors
    /// That the controller is missing, or that this is a container, which has no say in what the root group does.
    pub(super) fn by_device(mb: u32, mounts: &[CgroupMount<'_>]) -> Done<Self> {
        Ok(Self { mb, v1: Some(V1Files::find(mounts)?) })
    }

    /// Limits a loop device; `io` is, on v2, what has the limits of its environment's group. The first limit in a device's
    /// life waits for a grace period of the kernel, some 30 ms, and so does what is read and written there meanwhile.
    pub(crate) fn limit(&self, loop_number: u32, io: Option<&OwnedFd>) -> Done {
        let bytes = u64::from(self.mb) * 1_000_000;
        let written = match (&self.v1, io) {
            (Some(files), _) => files.write(loop_number, bytes),
            (None, Some(file)) => {
                let line = format!("{LOOP_MAJOR}:{loop_number} rbps={bytes} wbps={bytes}");
                rustix::io::write(file, line.as_bytes()).map(drop)
            }
            (None, None) => Err(rustix::io::Errno::BADF),
        };
        written.during(format_args!("limiting /dev/loop{loop_number} to {} MB/s", self.mb))
    }

    /// Lifts the limit of a device, which another program may use next. That of a group goes with the group.
    pub(crate) fn lift(&self, loop_number: u32) {
        self.v1.iter().for_each(|files| files.lift(loop_number));
    }
}

/// The v1 files that limit a device for everybody who works with a /tmp. Each writing opens them anew: writings by the same
/// descriptor would wait for each other.
struct V1Files(Vec<String>);

impl V1Files {
    fn find(mounts: &[CgroupMount<'_>]) -> Done<Self> {
        let point = v1_mount(mounts)?;
        let own = Bases::own()?.below(point, V1_CONTROLLER);
        let mut groups = vec![point.to_owned()];
        groups.extend((own != point).then_some(own));
        let paths = groups.iter().flat_map(|group| V1_FILES.map(|file| format!("{group}/{file}")));
        let files = Self(paths.collect());
        files.0.iter().try_for_each(|path| open(path).map(drop).during(format_args!("opening {path}")))?;
        files.forget_dead(point)?;
        Ok(files)
    }

    fn lift(&self, loop_number: u32) {
        // Best effort: the device may be gone.
        let _ = self.write(loop_number, 0);
    }

    /// 0 is no limit.
    fn write(&self, loop_number: u32, bytes: u64) -> rustix::io::Result<()> {
        let line = format!("{LOOP_MAJOR}:{loop_number} {bytes}");
        self.0.iter().try_for_each(|path| rustix::io::write(open(path)?, line.as_bytes()).map(drop))
    }

    /// Lifts what a spawner left that died of a sudden: limits of loop devices that nothing is bound to.
    fn forget_dead(&self, root: &str) -> Done {
        let limits = Dir::at(root)?.read(V1_FILES[1])?;
        let unbound = |number: &u32| !std::path::Path::new(&format!("/sys/block/loop{number}/loop")).exists();
        limited_loops(&limits).filter(unbound).for_each(|number| self.lift(number));
        Ok(())
    }
}

fn open(path: &str) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(CWD, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
}

/// Numbers of the loop devices in lines of `major:minor bytes`.
fn limited_loops(text: &str) -> impl Iterator<Item = u32> {
    let number = |line: &str| line.strip_prefix("7:")?.split_once(' ')?.0.parse().ok();
    text.lines().filter_map(number)
}

/// The hierarchy of the v1 controller, where it is the machine's own and not the part of it that a container is given.
pub(super) fn v1_mount<'a>(mounts: &[CgroupMount<'a>]) -> Done<&'a str> {
    let mount = mounts.iter().find(|mount| !mount.v2 && mount.options.contains(&V1_CONTROLLER));
    match mount {
        Some(mount) if mount.root == "/" => Ok(mount.point),
        Some(mount) => {
            let what = format!(
                "limiting disks: {} shows a part of the hierarchy only, and on cgroup v1 it is the root group that writes",
                mount.point
            );
            Err(Failure::new(libc::ENOTSUP, what))
        }
        None => Err(Failure::new(libc::ENOTSUP, "limiting disks: there is no cgroup controller blkio (v1) or io (v2)")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loop_devices_are_looked_at() {
        let text = "8:0 1000\n7:12 256000000\n7:3 5\n17:4 5\n7:x 1\n";
        assert_eq!(limited_loops(text).collect::<Vec<_>>(), [12, 3]);
    }

    #[test]
    fn a_part_of_a_hierarchy_is_not_enough() {
        let mount = |root| CgroupMount { root, point: "/cg/blkio", v2: false, options: vec!["rw", "blkio"] };
        assert_eq!(v1_mount(&[mount("/")]).unwrap(), "/cg/blkio");
        assert!(v1_mount(&[mount("/docker/7")]).is_err());
        assert!(v1_mount(&[]).is_err());
    }
}
