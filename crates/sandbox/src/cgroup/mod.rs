//! Control groups: hard limits and the handles that freeze, kill and measure an environment.
//!
//! Each environment has one group, `hearth/<instance>/<slot>`, in every hierarchy that is needed. `<instance>` is the
//! spawner's process id and start time, so that a later start can tell what a dead instance left behind.

mod delegated;
mod dir;
pub(crate) mod disk;
mod v1;
mod v2;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

use hearth_types::limits::{CPU_PERIOD, ENVIRONMENT_OWN_TASKS, ENVIRONMENT_TASKS, INIT_CORES, MEMORY_MB_PER_CORE};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::OFlags;

use self::delegated::Bases;
use self::dir::Dir;
use self::disk::Disks;
use crate::Authority;
use crate::control_file::read;
use crate::error::{Done, During, Failure};
use crate::weaken::{self, Defence};

/// The directory below each hierarchy's root that is ours.
const TOP: &str = "hearth";

/// The kernel refuses a smaller quota.
const QUOTA_MIN_US: u64 = 1000;

/// How much CPU time an environment gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CpuQuota {
    /// As much as there is. Also where a quota would be all cores: enforcing it costs, and at the edges of its periods
    /// the kernel would hold tasks back.
    All,
    /// So many microseconds in each [`CPU_PERIOD`].
    Micros(u64),
}

impl CpuQuota {
    /// What so much memory buys on a machine of `cores`.
    pub(crate) fn of_memory(memory_mb: u32, cores: u32) -> Self {
        Self::of(period_us() * u64::from(memory_mb) / u64::from(MEMORY_MB_PER_CORE), cores)
    }

    /// Of the init phase.
    fn of_init(cores: u32) -> Self {
        Self::of(period_us() * u64::from(INIT_CORES), cores)
    }

    fn of(micros: u64, cores: u32) -> Self {
        if micros >= period_us() * u64::from(cores) || weaken::is_off(Defence::Cpu) {
            Self::All
        } else {
            Self::Micros(micros.max(QUOTA_MIN_US))
        }
    }

    /// As `cpu.cfs_quota_us` takes it.
    fn v1(self) -> String {
        match self {
            Self::All => "-1".to_owned(),
            Self::Micros(micros) => micros.to_string(),
        }
    }

    /// As `cpu.max` takes it.
    fn v2(self) -> String {
        match self {
            Self::All => format!("max {}", period_us()),
            Self::Micros(micros) => format!("{micros} {}", period_us()),
        }
    }

    /// As the control file takes it that the server has.
    pub(crate) fn text(self, cgroup_v2: bool) -> String {
        if cgroup_v2 { self.v2() } else { self.v1() }
    }
}

fn period_us() -> u64 {
    CPU_PERIOD.as_micros() as u64
}

/// How many times a usual group's weight all environments together have. As one group among the machine's others they
/// would get, on a busy machine, no more than any single process outside.
fn weight_factor() -> u32 {
    2 * cores()
}

fn pids_max() -> String {
    if weaken::is_off(Defence::Tasks) {
        return "max".to_owned();
    }
    (ENVIRONMENT_TASKS + ENVIRONMENT_OWN_TASKS).to_string()
}

/// The cores this process may use; looked up once, for it takes a dozen system calls.
pub(crate) fn cores() -> u32 {
    static CORES: OnceLock<u32> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, |n| n.get() as u32))
}

/// Open control files that the server uses directly. The order is that of the descriptors beside `Answer::Made`.
pub(crate) struct CgroupFiles {
    /// `cgroup.freeze`, for writing.
    pub(crate) freeze: OwnedFd,
    /// `cgroup.kill`, for writing.
    pub(crate) kill: OwnedFd,
    /// `cpu.cfs_quota_us` or `cpu.max`, for writing.
    pub(crate) cpu: OwnedFd,
    /// `memory.max_usage_in_bytes` or `memory.peak`, for reading.
    pub(crate) memory_peak: OwnedFd,
    /// `memory.oom_control` or `memory.events`, for reading: both have a line `oom_kill N`.
    pub(crate) oom: OwnedFd,
}

impl CgroupFiles {
    /// How many there are.
    pub(crate) const COUNT: usize = 5;

    pub(crate) fn in_order(&self) -> [BorrowedFd<'_>; Self::COUNT] {
        [&self.freeze, &self.kill, &self.cpu, &self.memory_peak, &self.oom].map(AsFd::as_fd)
    }

    pub(crate) fn from_order(fds: [OwnedFd; Self::COUNT]) -> Self {
        let [freeze, kill, cpu, memory_peak, oom] = fds;
        Self { freeze, kill, cpu, memory_peak, oom }
    }

    /// The most that it has been charged with at a time.
    pub(crate) fn memory_peak_bytes(&self) -> io::Result<u64> {
        let text = read(&self.memory_peak)?;
        let peak = text.trim().parse();
        peak.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, format!("memory peak {text:?}")))
    }
}

/// A new group, with limits of the init phase and no memory limit yet.
pub(crate) struct NewCgroup {
    /// For the server.
    pub(crate) files: CgroupFiles,
    /// The cgroup2 directory that init is cloned into.
    pub(crate) unified: OwnedFd,
    /// `cgroup.procs` of each v1 hierarchy; init writes itself there, because a sparse attach may wait some 10 ms for
    /// a grace period of the kernel and must not keep the spawner.
    pub(crate) attach: Vec<OwnedFd>,
    /// On v2, where the limits of disks are: `io.max`.
    pub(crate) io: Option<OwnedFd>,
}

/// See [`Cgroups::open`].
const OPEN_ATTEMPTS: u32 = 4;

/// The groups of one spawner.
pub(crate) struct Cgroups {
    layout: Layout,
}

enum Layout {
    V1(v1::Instance),
    V2(v2::Instance),
}

impl Layout {
    fn open(mounts: &[CgroupMount<'_>], instance: &str, authority: Authority) -> Done<Self> {
        let unified = match authority {
            Authority::Root => v2::find(mounts)?,
            Authority::UserNamespace => {
                delegated::describe(mounts)?;
                delegated::find(mounts)?
            }
        };
        match unified {
            Some(root) => Ok(Self::V2(v2::Instance::open(&root, instance)?)),
            None => Ok(Self::V1(v1::Instance::open(mounts, instance, &Bases::of(authority)?)?)),
        }
    }
}

impl Cgroups {
    /// Finds the hierarchies, removes what dead instances left and makes this instance's directories.
    ///
    /// # Errors
    /// Names the controller that the machine, or the group that is delegated to an ordinary user, does not offer.
    pub(crate) fn open(instance: &str, authority: Authority) -> Done<Self> {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").during("reading /proc/self/mountinfo")?;
        let mounts = parse_mounts(&mounts);
        // Another instance's end may remove our common directory at the very moment that we go into it.
        for _ in 1..OPEN_ATTEMPTS {
            match Layout::open(&mounts, instance, authority) {
                Err(failure) if failure.errno == libc::ENOENT => {}
                layout => return Ok(Self { layout: layout? }),
            }
        }
        Ok(Self { layout: Layout::open(&mounts, instance, authority)? })
    }

    pub(crate) fn is_v2(&self) -> bool {
        matches!(self.layout, Layout::V2(_))
    }

    /// Makes the group of a slot.
    pub(crate) fn create(&self, slot: u64) -> Done<NewCgroup> {
        match &self.layout {
            Layout::V1(instance) => instance.create(&slot.to_string(), CpuQuota::of_init(cores())),
            Layout::V2(instance) => instance.create(&slot.to_string(), CpuQuota::of_init(cores())),
        }
    }

    /// Sets the hard memory limit of a slot; swap is off.
    pub(crate) fn limit_memory(&self, slot: u64, memory_mb: u32) -> Done {
        if weaken::is_off(Defence::Memory) {
            return Ok(());
        }
        let bytes = (u64::from(memory_mb) * 1024 * 1024).to_string();
        match &self.layout {
            Layout::V1(instance) => instance.limit_memory(&slot.to_string(), &bytes),
            Layout::V2(instance) => instance.limit_memory(&slot.to_string(), &bytes),
        }
    }

    /// Prepares to limit the disks of environments to so many MB a second.
    ///
    /// # Errors
    /// What the machine lacks for it.
    pub(crate) fn limit_disks(&self, mb: u32) -> Done<Disks> {
        match &self.layout {
            Layout::V2(instance) => instance.limits_disks().map(|()| Disks::by_groups(mb)),
            Layout::V1(_) => {
                let mounts = std::fs::read_to_string("/proc/self/mountinfo").during("reading /proc/self/mountinfo")?;
                Disks::by_device(mb, &parse_mounts(&mounts))
            }
        }
    }

    /// Kills all processes of a slot.
    pub(crate) fn kill(&self, slot: u64) -> Done {
        self.unified().write(&format!("{slot}/cgroup.kill"), "1")
    }

    /// Removes the group of a slot, in which no process may be left.
    pub(crate) fn remove(&self, slot: u64) -> Done {
        self.instances().iter().try_for_each(|dir| dir.remove(&slot.to_string()))
    }

    /// Removes this instance with all slots, and what instances have in common after the last of them. Slots with
    /// processes in them stay, and so does what is above them.
    pub(crate) fn remove_all(&self, instance: &str) {
        for top in self.tops() {
            remove_instance(top, instance);
            let _ = top.remove(&format!("../{TOP}"));
        }
    }

    /// Descriptors that work with groups needs.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.instances().into_iter().chain(self.tops()).map(Dir::as_fd)
    }

    /// Waits until no process is left in any slot. For a process that outlives the spawner: it has nothing else to do.
    pub(crate) fn wait_until_empty(&self) {
        let Ok(events) = self.unified().open_file("cgroup.events", OFlags::RDONLY) else { return };
        let mut text = [0; 128];
        while let Ok(length) = rustix::io::pread(&events, &mut text, 0) {
            if !text[..length].windows(11).any(|part| part == b"populated 1") {
                return;
            }
            let mut fds = [PollFd::new(&events, PollFlags::PRI)];
            if poll(&mut fds, None).is_err() {
                return;
            }
        }
    }

    fn unified(&self) -> &Dir {
        match &self.layout {
            Layout::V1(instance) => instance.unified(),
            Layout::V2(instance) => instance.dir(),
        }
    }

    fn instances(&self) -> Vec<&Dir> {
        match &self.layout {
            Layout::V1(instance) => instance.dirs().to_vec(),
            Layout::V2(instance) => vec![instance.dir()],
        }
    }

    fn tops(&self) -> Vec<&Dir> {
        match &self.layout {
            Layout::V1(instance) => instance.tops().to_vec(),
            Layout::V2(instance) => vec![instance.top()],
        }
    }
}

/// What the machine has of control groups, only looked at.
///
/// # Errors
/// Names the controller that it does not offer.
pub(crate) fn describe() -> Done<String> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").during("reading /proc/self/mountinfo")?;
    let mounts = parse_mounts(&mounts);
    if !rustix::process::geteuid().is_root() {
        return delegated::describe(&mounts);
    }
    if v2::find(&mounts)?.is_some() {
        return Ok("v2".to_owned());
    }
    v1::require_controllers(&mounts)?;
    let beside = mounts.iter().find(|mount| mount.v2).map_or("one of our own", |mount| mount.point);
    Ok(format!("v1, and to freeze and kill a v2 hierarchy ({beside})"))
}

/// What the machine has to limit disks, only looked at.
///
/// # Errors
/// What it lacks.
pub(crate) fn describe_disks() -> Done<String> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").during("reading /proc/self/mountinfo")?;
    let mounts = parse_mounts(&mounts);
    match v2::find(&mounts)? {
        Some(root) if v2::has_io(&root)? => Ok("v2: each environment's own group".to_owned()),
        Some(_) => Err(Failure::new(libc::ENOTSUP, "limiting disks: there is no cgroup controller io")),
        None => disk::v1_mount(&mounts).map(|_| "v1: the device's own limit".to_owned()),
    }
}

/// This process as an instance name.
pub(crate) fn instance_name() -> Done<String> {
    let pid = std::process::id();
    let start = start_time(pid).ok_or_else(|| Failure::new(libc::EIO, "reading the start time of this process"))?;
    Ok(format!("{pid}-{start}"))
}

/// Clock ticks after boot at which the process started; none where there is no such process.
fn start_time(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything; the 20th field behind it is the start time.
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}

fn is_alive(instance: &str) -> bool {
    let parts = instance.split_once('-').and_then(|(pid, start)| Some((pid.parse().ok()?, start.parse().ok()?)));
    parts.is_none_or(|(pid, start): (u32, u64)| start_time(pid) == Some(start))
}

/// Opens `hearth` below a hierarchy's root, without the remains of dead instances.
fn open_top(root: &Dir) -> Done<Dir> {
    let top = root.create(TOP)?;
    for name in top.children()?.iter().filter(|name| !is_alive(name)) {
        remove_instance(&top, name);
    }
    Ok(top)
}

/// Best effort: what cannot go now (a process is still dying) goes at the next start.
fn remove_instance(top: &Dir, instance: &str) {
    let Ok(dir) = top.open(instance) else { return };
    for slot in dir.children().unwrap_or_default() {
        // Only cgroup2 has the file. Nothing should be alive in there, but nothing may be either.
        let _ = dir.write(&format!("{slot}/cgroup.kill"), "1");
        let _ = dir.remove(&slot);
    }
    let _ = top.remove(instance);
}

/// One line of `/proc/self/mountinfo` that is a control group hierarchy.
#[derive(Debug, PartialEq, Eq)]
struct CgroupMount<'a> {
    /// The directory of the hierarchy that is mounted there.
    root: &'a str,
    point: &'a str,
    v2: bool,
    /// Super block options; on v1 they name the controllers.
    options: Vec<&'a str>,
}

fn parse_mounts(mountinfo: &str) -> Vec<CgroupMount<'_>> {
    mountinfo.lines().filter_map(parse_mount).collect()
}

fn parse_mount(line: &str) -> Option<CgroupMount<'_>> {
    let (left, right) = line.split_once(" - ")?;
    let mut right = right.split(' ');
    let v2 = match right.next()? {
        "cgroup2" => true,
        "cgroup" => false,
        _ => return None,
    };
    let options = right.nth(1)?.split(',').collect();
    let mut left = left.split(' ').skip(3);
    Some(CgroupMount { root: left.next()?, point: left.next()?, v2, options })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_share_is_memory_over_1769_of_a_core() {
        let quota = |memory_mb| CpuQuota::of_memory(memory_mb, 4);
        assert_eq!(quota(1769), CpuQuota::Micros(20_000));
        assert_eq!(quota(128), CpuQuota::Micros(1447));
        assert_eq!(quota(3538), CpuQuota::Micros(40_000));
        assert_eq!(quota(10_240), CpuQuota::All, "more than the machine has");
        assert_eq!(quota(1), CpuQuota::Micros(QUOTA_MIN_US));
        assert_eq!(CpuQuota::of_init(4), CpuQuota::Micros(40_000));
        assert_eq!((CpuQuota::All.v1(), CpuQuota::All.v2()), ("-1".to_owned(), "max 20000".to_owned()));
    }

    #[test]
    fn mounts_are_read() {
        let text = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
                    26 23 8:1 / / rw shared:1 - ext4 /dev/vda rw\n\
                    41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
        let mounts = parse_mounts(text);
        assert_eq!(mounts.len(), 2);
        assert_eq!(
            mounts[0],
            CgroupMount { root: "/", point: "/sys/fs/cgroup/memory", v2: false, options: vec!["rw", "memory"] }
        );
        assert!(mounts[1].v2 && mounts[1].point == "/sys/fs/cgroup/unified");
    }

    #[test]
    fn only_dead_instances_count_as_dead() {
        assert!(is_alive(&instance_name().unwrap()));
        assert!(!is_alive(&format!("{}-1", std::process::id())), "same number, other process");
        assert!(is_alive("something-else"), "not ours to remove");
    }
}
