//! Runs the cases one after the other, each with a spawner of its own, and checks that nothing is left.

use std::ffi::CString;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Command;

use hearth_sandbox::{Assignment, Sandbox, Spawner, SpawnerConfig, Tmp, start_spawner};
use hearth_types::CodeDigest;
use hearth_types::rootfs::{Bind, RootPlan};

/// Debian's interpreter: the probe inside.
pub(crate) const PYTHON: &str = "/usr/bin/python3.11";
/// The package that every probe runs with.
pub(crate) const CODE: CodeDigest = CodeDigest([0xC0; 32]);

pub(crate) type Outcome = Pin<Box<dyn Future<Output = ()>>>;

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) run: fn(World) -> Outcome,
}

macro_rules! case {
    ($path:path) => {
        $crate::harness::Case { name: stringify!($path), run: |world| Box::pin($path(world)) }
    };
}
pub(crate) use case;

/// One spawner and its data folder.
pub(crate) struct World {
    pub(crate) spawner: Spawner,
    pub(crate) spawner_process: u32,
    pub cgroup_v2: bool,
    pub(crate) data: tempfile::TempDir,
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
    for case in &chosen {
        eprint!("test {} ... ", case.name);
        let world = Prepared::new();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async { (case.run)(world.enter()).await });
        eprintln!("ok");
    }
    eprintln!("{} passed", chosen.len());
}

/// A world before tokio: a spawner is started while there is one thread.
struct Prepared {
    connection: hearth_sandbox::SpawnerConnection,
    data: tempfile::TempDir,
}

impl Prepared {
    fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let code = data.path().join("code").join(CODE.to_string());
        std::fs::create_dir_all(&code).unwrap();
        std::fs::write(code.join("app.py"), "x = 1\n").unwrap();
        let mut config = SpawnerConfig::new(data.path().to_owned(), vec![python_root()]);
        config.pool = 1;
        Self { connection: start_spawner(&config).unwrap(), data }
    }

    fn enter(self) -> World {
        let (spawner_process, cgroup_v2) = (self.connection.process_id(), self.connection.cgroup_v2());
        World { spawner: Spawner::new(self.connection).unwrap(), spawner_process, cgroup_v2, data: self.data }
    }
}

/// What a probe is run with.
pub(crate) struct Probe<'a> {
    pub(crate) script: &'a str,
    pub(crate) memory_mb: u32,
    pub(crate) tmp: Tmp,
}

impl<'a> Probe<'a> {
    pub(crate) fn new(script: &'a str) -> Self {
        Self { script, memory_mb: 512, tmp: Tmp::New { mb: 512 } }
    }
}

/// A sandbox with a Python probe in it, and the other end of its output.
pub(crate) struct Running {
    pub(crate) sandbox: Sandbox,
    pub(crate) output: std::io::PipeReader,
}

impl World {
    pub(crate) async fn run(&self, probe: Probe<'_>) -> Running {
        let made = self.spawner.make(probe.tmp).await.unwrap();
        let started = self.spawner.start(made, 0).await.unwrap();
        let (output, theirs) = std::io::pipe().unwrap();
        let argv = [PYTHON, "-I", "-S", "-c", probe.script];
        let assignment = Assignment {
            code: CODE,
            memory_mb: probe.memory_mb,
            argv: argv.map(|arg| CString::new(arg).unwrap()).to_vec(),
            env: vec![c"LANG=C.UTF-8".to_owned()],
            cwd: c"/var/task".to_owned(),
            output: OwnedFd::from(theirs),
        };
        let sandbox = self.spawner.assign(started, assignment).await.unwrap();
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

/// What the loader maps for a program or library.
fn libraries(file: &Path) -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(file).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let words = text.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    words.map(PathBuf::from).collect()
}
