//! The control groups that an ordinary user may do with as it likes: those that the server was started in.

use super::dir::Dir;
use super::{CgroupMount, v1, v2};
use crate::Authority;
use crate::error::{Done, During, Failure};

/// Where server and spawner go: only a group without processes of its own may have groups with limits below it.
const OWN_PROCESSES: &str = "hearth-server";

/// How to get one.
const REMEDY: &str = "start the server in a group of its own: systemd-run --user --scope -p Delegate=yes hearth serve";

/// Below which groups of the hierarchies ours are.
pub(super) struct Bases {
    /// The text of /proc/self/cgroup; none where they are below the hierarchies' roots.
    own: Option<String>,
}

impl Bases {
    pub(super) fn of(authority: Authority) -> Done<Self> {
        match authority {
            Authority::Root => Ok(Self { own: None }),
            Authority::UserNamespace => Self::own(),
        }
    }

    pub(super) fn own() -> Done<Self> {
        let own = std::fs::read_to_string("/proc/self/cgroup").during("reading /proc/self/cgroup")?;
        Ok(Self { own: Some(own) })
    }

    /// The path in the hierarchy of this controller, mounted at `point`; cgroup2 has none in its name.
    pub(super) fn below(&self, point: &str, controller: &str) -> String {
        let own = self.own.iter().flat_map(|text| text.lines()).find_map(|line| {
            let (_, line) = line.split_once(':')?;
            let (controllers, path) = line.split_once(':')?;
            controllers.split(',').any(|name| name == controller).then_some(path)
        });
        format!("{point}{}", own.unwrap_or_default().trim_end_matches('/'))
    }
}

/// The same on cgroup v1, where systemd gives no user any.
const REMEDY_V1: &str = "on cgroup v1 root has to make groups of this user in the hierarchies of memory, cpu, pids and \
                         cgroup2, and to start the server in them; better is a machine with cgroup v2";

/// The group that is delegated, without a process in it; none on a machine with cgroup v1.
///
/// # Errors
/// That there is none, and how to get one.
pub(super) fn find(mounts: &[CgroupMount<'_>]) -> Done<Option<Dir>> {
    let Some(dir) = own_group(mounts)? else { return Ok(None) };
    let own = dir.create(OWN_PROCESSES).map_err(|failure| match failure.errno {
        libc::EACCES | libc::EPERM | libc::EROFS => {
            Failure::new(failure.errno, format!("{}, which is not this user's; {REMEDY}", failure.what))
        }
        _ => failure,
    })?;
    let server = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().to_string());
    for process in server.into_iter().chain(["0".to_owned()]) {
        own.write("cgroup.procs", &process)?;
    }
    let left = dir.read("cgroup.procs")?;
    if !left.trim().is_empty() {
        let others = left.split_ascii_whitespace().collect::<Vec<_>>().join(", ");
        return Err(Failure::new(libc::EBUSY, format!("{} has other processes ({others}); {REMEDY}", dir.path())));
    }
    Ok(Some(dir))
}

/// What would be found, only looked at.
pub(super) fn describe(mounts: &[CgroupMount<'_>]) -> Done<String> {
    let remedied = |remedy| move |failure: Failure| Failure::new(failure.errno, format!("{}; {remedy}", failure.what));
    if let Some(dir) = own_group(mounts)? {
        dir.writable().map_err(remedied(REMEDY))?;
        return Ok(format!("v2, delegated: {}", dir.path()));
    }
    let bases = Bases::own()?;
    for place in v1::places(mounts)? {
        Dir::at(&bases.below(place.point, place.controller))
            .and_then(|dir| dir.writable())
            .map_err(remedied(REMEDY_V1))?;
    }
    Ok("v1, delegated".to_owned())
}

/// The group that this process is in, where it has all controllers; none where they are not on cgroup v2 at all.
fn own_group(mounts: &[CgroupMount<'_>]) -> Done<Option<Dir>> {
    let Some(mount) = mounts.iter().find(|mount| mount.v2) else { return Ok(None) };
    if mounts.iter().any(|mount| !mount.v2 && mount.options.contains(&"memory")) {
        return Ok(None);
    }
    let dir = Dir::at(&Bases::own()?.below(mount.point, ""))?;
    match v2::missing(&dir.read("cgroup.controllers")?) {
        None => Ok(Some(dir)),
        Some(controller) => {
            let what = format!("{} is given no controller \"{controller}\"; {REMEDY}", dir.path());
            Err(Failure::new(libc::ENOENT, what))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_group_is_found_in_each_hierarchy() {
        let own = "5:cpu,cpuacct:/users/ann\n4:memory:/\n0::/user.slice/run-1.scope\n";
        let bases = Bases { own: Some(own.to_owned()) };
        assert_eq!(bases.below("/cg/cpu", "cpu"), "/cg/cpu/users/ann");
        assert_eq!(bases.below("/cg/memory", "memory"), "/cg/memory");
        assert_eq!(bases.below("/cg", ""), "/cg/user.slice/run-1.scope");
        assert_eq!(bases.below("/cg/pids", "pids"), "/cg/pids");
        assert_eq!(Bases { own: None }.below("/cg/cpu", "cpu"), "/cg/cpu");
    }
}
