//! Runs the cases one after the other, each with a spawner of its own, and checks that nothing is left.

use std::ffi::CString;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Command;
use std::sync::Arc;

use hearth_sandbox::{Assignment, NetworkMode, Program, Sandbox, Spawner, SpawnerConfig, Tmp, start_spawner};
use hearth_types::CodeDigest;
use hearth_types::rootfs::{Bind, RootPlan};

use crate::network::Machine;

/// Debian's interpreter: the probe inside.
pub(crate) const PYTHON: &str = "/usr/bin/python3.11";
/// Ends tests that wait for what never comes, however busy the machine is.
pub(crate) const HANGS: std::time::Duration = std::time::Duration::from_secs(120);
/// The package that every probe runs with.
pub(crate) const CODE: CodeDigest = CodeDigest([0xC0; 32]);

pub(crate) type Outcome = Pin<Box<dyn Future<Output = ()>>>;

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) run: fn(World) -> Outcome,
    /// On a machine of its own, whose environments reach the outside.
    pub(crate) network: bool,
}

macro_rules! case {
    ($path:path) => {
        $crate::harness::Case { name: stringify!($path), run: |world| Box::pin($path(world)), network: false }
    };
}
macro_rules! network_case {
    ($path:path) => {
        $crate::harness::Case { network: true, ..$crate::harness::case!($path) }
    };
}
pub(crate) use {case, network_case};

/// One spawner and its data folder.
pub(crate) struct World {
    pub(crate) spawner: Spawner,
    pub(crate) spawner_process: u32,
    pub(crate) cgroup_v2: bool,
    /// None where a server of its own has one.
    pub(crate) data: Option<tempfile::TempDir>,
    pub(crate) uid_base: u32,
    machine: Option<Arc<Machine>>,
}

/// What must be the same after a case as before it.
#[derive(PartialEq, Debug)]
struct Baseline {
    mounts: String,
    descriptors: usize,
}

impl Baseline {
    fn take() -> Self {
        Self {
            mounts: std::fs::read_to_string("/proc/self/mountinfo").unwrap(),
            descriptors: std::fs::read_dir("/proc/self/fd").unwrap().count(),
        }
    }
}

/// Runs those whose name contains an argument, or all.
pub(crate) fn run(cases: &[Case]) {
    let filters: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    if std::env::args().any(|arg| arg == "--list") {
        cases.iter().for_each(|case| println!("{}: test", case.name));
        return;
    }
    let chosen: Vec<_> =
        cases.iter().filter(|case| filters.is_empty() || filters.iter().any(|f| case.name.contains(f))).collect();
    // The first runtime of a process opens descriptors that stay.
    drop(tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap());
    let mut failed = Vec::new();
    for case in &chosen {
        let passed = std::panic::catch_unwind(|| run_one(case)).is_ok();
        eprintln!("test {} ... {}", case.name, if passed { "ok" } else { "FAILED" });
        if !passed {
            failed.push(case.name);
        }
    }
    eprintln!("{} passed, {} failed {failed:?}", chosen.len() - failed.len(), failed.len());
    std::process::exit(i32::from(!failed.is_empty()));
}

fn run_one(case: &Case) {
    let before = Baseline::take();
    let machine = case.network.then(|| Arc::new(Machine::enter()));
    let prepared = Prepared::new(machine.clone());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let world = prepared.enter();
        let (spawner, residue) = (world.spawner.clone(), world.residue());
        (case.run)(world).await;
        spawner.stop().await;
        residue.must_be_gone();
    });
    drop(runtime);
    drop(machine);
    assert_eq!(Baseline::take(), before);
}

/// A world before tokio: a spawner is started while there is one thread.
struct Prepared {
    connection: hearth_sandbox::SpawnerConnection,
    data: tempfile::TempDir,
    machine: Option<Arc<Machine>>,
}

impl Prepared {
    fn new(machine: Option<Arc<Machine>>) -> Self {
        let data = tempfile::tempdir().unwrap();
        let code = data.path().join("code").join(CODE.to_string());
        std::fs::create_dir_all(&code).unwrap();
        std::fs::write(code.join("app.py"), "x = 1\n").unwrap();
        let mut config = SpawnerConfig::new(data.path().to_owned(), vec![python_root(), broken_root()]);
        config.pool = 1..=1;
        config.network = if machine.is_some() { NetworkMode::Nat } else { NetworkMode::None };
        config.uid_base = uid_base();
        Self { connection: start_spawner(&config).unwrap(), data, machine }
    }

    fn enter(self) -> World {
        let (spawner_process, cgroup_v2) = (self.connection.process_id(), self.connection.cgroup_v2());
        let spawner = Spawner::new(self.connection).unwrap();
        let Self { data, machine, .. } = self;
        World { spawner, spawner_process, cgroup_v2, data: Some(data), uid_base: uid_base(), machine }
    }
}

/// User ids that no other run of these tests uses at this time, but for one whose process number is a multiple of
/// this many away: there are no more ids.
pub(crate) fn uid_base() -> u32 {
    const RUNS: u32 = 500_000;
    hearth_sandbox::UID_BASE + std::process::id() % RUNS * 2 * hearth_types::limits::SANDBOXES
}

/// How to find what a world's spawner could leave behind.
pub(crate) struct Residue {
    pub(crate) spawner_process: u32,
    pub(crate) uid_base: u32,
    pub(crate) data: PathBuf,
}

impl Residue {
    /// What is there of processes, loop devices and control groups.
    pub(crate) fn find(&self) -> Vec<String> {
        let mut found: Vec<String> = processes()
            .filter(|(_, uid)| self.owns(*uid))
            .map(|(pid, uid)| format!("process {pid} of {uid}"))
            .collect();
        for device in std::fs::read_dir("/sys/block").unwrap().flatten() {
            let file = std::fs::read_to_string(device.path().join("loop/backing_file")).unwrap_or_default();
            if Path::new(&file).starts_with(&self.data) {
                found.push(format!("{} on {file}", device.path().display()));
            }
        }
        found.extend(self.cgroups().iter().map(|path| path.display().to_string()));
        found
    }

    /// Major and minor number of each loop device.
    pub(crate) fn devices(&self) -> Vec<String> {
        let ours = |device: &PathBuf| {
            let file = std::fs::read_to_string(device.join("loop/backing_file")).unwrap_or_default();
            Path::new(&file).starts_with(&self.data)
        };
        let devices = std::fs::read_dir("/sys/block").unwrap().map(|device| device.unwrap().path());
        devices.filter(ours).map(|path| std::fs::read_to_string(path.join("dev")).unwrap().trim().to_owned()).collect()
    }

    /// This instance's directories in all hierarchies.
    pub(crate) fn cgroups(&self) -> Vec<PathBuf> {
        let roots = ["/sys/fs/cgroup".into()]
            .into_iter()
            .chain(std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten().map(|entry| entry.path()));
        let instances = roots.flat_map(|root: PathBuf| std::fs::read_dir(root.join("hearth")).into_iter().flatten());
        let prefix = format!("{}-", self.spawner_process);
        let ours = instances.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix));
        ours.map(|entry| entry.path()).collect()
    }

    pub(crate) fn must_be_gone(&self) {
        assert_eq!(self.find(), [] as [String; 0]);
    }

    /// For what goes by itself: looks again and again, and gives up after far longer than it should take.
    pub(crate) fn must_go(&self, wanted: impl Fn(&[String]) -> bool) {
        let begin = std::time::Instant::now();
        loop {
            let found = self.find();
            if wanted(&found) {
                return;
            }
            assert!(begin.elapsed() < HANGS, "still there: {found:?}");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    fn owns(&self, uid: u32) -> bool {
        (self.uid_base..self.uid_base + 2 * hearth_types::limits::SANDBOXES).contains(&uid)
    }
}

/// All processes of the machine with their users.
fn processes() -> impl Iterator<Item = (u32, u32)> {
    std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let status = std::fs::read_to_string(entry.path().join("status")).ok()?;
        let uid =
            status.lines().find_map(|line| line.strip_prefix("Uid:\t"))?.split_whitespace().next()?.parse().ok()?;
        Some((pid, uid))
    })
}

/// A process's group in the v1 hierarchy of a controller, or, without one, in the v2 hierarchy.
fn group_of(pid: u32, controller: &str) -> String {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let group = |line: &str| {
        let mut parts = line.splitn(3, ':').skip(1);
        let ours = parts.next()?.split(',').any(|name| name == controller);
        if ours { parts.next().map(str::to_owned) } else { None }
    };
    groups.lines().find_map(group).unwrap()
}

/// What a probe printed, as JSON.
pub(crate) fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// What a probe is run with.
pub(crate) struct Probe<'a> {
    pub(crate) script: &'a str,
    pub(crate) memory_mb: u32,
    pub(crate) tmp: Tmp,
    pub(crate) layers: Vec<CodeDigest>,
}

impl<'a> Probe<'a> {
    pub(crate) fn new(script: &'a str) -> Self {
        Self { script, memory_mb: 512, tmp: Tmp::New { mb: 512 }, layers: Vec::new() }
    }

    pub(crate) fn assignment(&self) -> Assignment {
        Assignment { code: CODE, layers: self.layers.clone(), memory_mb: self.memory_mb }
    }

    pub(crate) fn program(&self, output: OwnedFd) -> Program {
        let argv = [PYTHON, "-I", "-S", "-c", self.script];
        Program {
            argv: argv.map(|arg| CString::new(arg).unwrap()).to_vec(),
            otherwise: None,
            env: vec![c"LANG=C.UTF-8".to_owned()],
            cwd: c"/var/task".to_owned(),
            output,
        }
    }
}

/// A sandbox with a Python probe in it, and the other end of its output.
pub(crate) struct Running {
    pub(crate) sandbox: Sandbox,
    pub(crate) output: std::io::PipeReader,
}

impl World {
    /// In a server that is a process of its own; only probes can be run with it.
    pub(crate) fn of_server(spawner: Spawner) -> Self {
        Self { spawner, spawner_process: 0, cgroup_v2: false, data: None, uid_base: 0, machine: None }
    }

    pub(crate) fn machine(&self) -> &Machine {
        self.machine.as_ref().unwrap()
    }

    /// A second one beside this world's, with the same network; it ends when it is dropped.
    pub(crate) fn another_spawner(&self) -> (hearth_sandbox::SpawnerConnection, tempfile::TempDir) {
        let data = tempfile::tempdir().unwrap();
        let mut config = SpawnerConfig::new(data.path().to_owned(), vec![]);
        config.uid_base = self.uid_base;
        config.network = NetworkMode::Nat;
        (start_spawner(&config).unwrap(), data)
    }

    pub(crate) fn kill_spawner(&self) {
        self.kill_all(&[self.spawner_process]);
    }

    /// Kills processes, which are stopped first so that none sees another's end. One that has just ended is fine.
    pub(crate) fn kill_all(&self, pids: &[u32]) {
        for signal in ["-STOP", "-KILL"] {
            let pids = pids.iter().map(u32::to_string);
            Command::new("kill").arg(signal).args(pids).stderr(std::process::Stdio::null()).status().unwrap();
        }
    }

    /// A process and its children.
    pub(crate) fn family_of(&self, pid: u32) -> Vec<u32> {
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        std::iter::once(pid).chain(children.split_whitespace().map(|child| child.parse().unwrap())).collect()
    }

    /// The only function's process there is.
    pub(crate) fn busy_process(&self) -> u32 {
        let residue = self.residue();
        let functions: Vec<u32> = processes()
            .filter(|(_, uid)| residue.owns(*uid) && (uid - self.uid_base).is_multiple_of(2))
            .map(|(pid, _)| pid)
            .collect();
        assert_eq!(functions.len(), 1);
        functions[0]
    }

    /// CPU time that a process has used, in clock ticks.
    pub(crate) fn cpu_ticks(&self, pid: u32) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields = stat.rsplit_once(')').unwrap().1;
        fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum()
    }

    /// The kernel freezes soon after it was told to; its own word for that is in the group's events.
    pub(crate) fn wait_until_frozen(&self, pid: u32) {
        let root = if self.cgroup_v2 { "/sys/fs/cgroup" } else { "/sys/fs/cgroup/unified" };
        let events = format!("{root}{}/cgroup.events", group_of(pid, ""));
        while !std::fs::read_to_string(&events).unwrap().contains("frozen 1") {
            std::thread::yield_now();
        }
    }

    /// Periods in which a process's group had used its CPU time up.
    pub(crate) fn throttled_periods(&self, pid: u32) -> u64 {
        let (root, controller) = if self.cgroup_v2 { ("/sys/fs/cgroup", "") } else { ("/sys/fs/cgroup/cpu", "cpu") };
        let stat = std::fs::read_to_string(format!("{root}{}/cpu.stat", group_of(pid, controller))).unwrap();
        stat.lines().find_map(|line| line.strip_prefix("nr_throttled ")).unwrap().parse().unwrap()
    }

    pub(crate) fn data_folder(&self) -> &Path {
        self.data.as_ref().unwrap().path()
    }

    pub(crate) fn residue(&self) -> Residue {
        let (spawner_process, uid_base) = (self.spawner_process, self.uid_base);
        Residue { spawner_process, uid_base, data: self.data.as_ref().unwrap().path().to_owned() }
    }

    /// The users, all different, of the processes of all environments that run a function.
    pub(crate) fn users_of_processes(&self) -> Vec<u32> {
        let residue = self.residue();
        let mut users: Vec<u32> = processes().map(|(_, uid)| uid).filter(|uid| residue.owns(*uid)).collect();
        users.sort_unstable();
        users.dedup();
        users
    }

    /// One process of an environment that runs a function.
    pub(crate) fn process_of_a_function(&self) -> u32 {
        let residue = self.residue();
        processes().find(|(_, uid)| residue.owns(*uid)).unwrap().0
    }

    /// Its group in the v2 hierarchy.
    pub(crate) fn group_of_a_function(&self, controller: &str) -> String {
        group_of(self.process_of_a_function(), controller)
    }

    pub(crate) async fn run(&self, probe: Probe<'_>) -> Running {
        let (output, theirs) = std::io::pipe().unwrap();
        let (assignment, program) = (probe.assignment(), probe.program(theirs.into()));
        let made = self.spawner.make(probe.tmp).await.unwrap();
        let started = self.spawner.start(made, 0).await.unwrap();
        let sandbox = self.spawner.assign(started, assignment, program).await.unwrap();
        Running { sandbox, output }
    }

    /// Runs a probe to its end and returns what it printed.
    pub(crate) async fn output(&self, probe: Probe<'_>) -> String {
        let running = self.run(probe).await;
        let text = running.read_all().await;
        let exit = running.sandbox.exited().await;
        assert_eq!(exit, hearth_sandbox::Exit::Code(0), "the probe printed: {text}");
        running.sandbox.destroy(false).await;
        text
    }
}

impl Running {
    /// All output until every process inside has closed it.
    pub(crate) async fn read_all(&self) -> String {
        let mut pipe = File::from(OwnedFd::from(self.output.try_clone().unwrap()));
        let read = move || {
            let mut text = String::new();
            pipe.read_to_string(&mut text).unwrap();
            text
        };
        tokio::task::spawn_blocking(read).await.unwrap()
    }
}

/// A root with Debian's Python 3.11 and the libraries that it and its modules need.
pub(crate) fn python_root() -> RootPlan {
    let library = PathBuf::from("/usr/lib/python3.11");
    let modules = std::fs::read_dir(library.join("lib-dynload")).unwrap().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = libraries(Path::new(PYTHON));
    files.extend(modules.flat_map(|module| libraries(&module)));
    files.push(PYTHON.into());
    files.sort();
    files.dedup();
    let bind = |target: PathBuf| Bind { source: std::fs::canonicalize(&target).unwrap(), target };
    let mut binds: Vec<Bind> = files.into_iter().map(bind).collect();
    binds.push(bind(library));
    RootPlan {
        name: "python3.11".to_owned(),
        directories: vec![],
        binds,
        masks: vec![],
        links: vec![],
        files: vec![("/etc/passwd".into(), b"sbx_user1051:x:993:990::/:/sbin/nologin\n".to_vec(), false)],
    }
}

/// A root of something that is not there.
fn broken_root() -> RootPlan {
    let missing = PathBuf::from("/no/such/interpreter");
    let binds = vec![Bind { source: missing.clone(), target: missing }];
    RootPlan { name: "broken".to_owned(), binds, ..RootPlan::default() }
}

/// What the loader maps for a program or library.
fn libraries(file: &Path) -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(file).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let words = text.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    words.map(PathBuf::from).collect()
}
