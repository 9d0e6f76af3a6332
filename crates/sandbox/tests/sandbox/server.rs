//! The server as a process of its own: what it may after giving up root, and what its death leaves.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use hearth_sandbox::{SERVER_ID, Spawner, SpawnerConfig, drop_root, start_spawner};

use crate::harness::{CODE, Probe, Residue, World, python_root, uid_base};

/// The argument that makes this program act as a server.
const ACT: &str = "act-as-server";

/// As a server: starts a spawner, gives root up, deploys a package, runs a function in it and goes on until killed.
pub(crate) fn act_as_server() -> bool {
    let args: Vec<String> = std::env::args().collect();
    let [_, act, data, uid_base] = args.as_slice() else { return false };
    if act != ACT {
        return false;
    }
    let mut config = SpawnerConfig::new(PathBuf::from(data), vec![python_root()]);
    config.uid_base = uid_base.parse().unwrap();
    let connection = start_spawner(&config).unwrap();
    println!("{}", connection.process_id());
    let reachable = drop_root(Path::new(data), hearth_sandbox::Authority::Root).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(serve(connection, &reachable));
    true
}

async fn serve(connection: hearth_sandbox::SpawnerConnection, data: &Path) {
    let code = data.join("code").join(CODE.to_string());
    std::fs::create_dir_all(&code).unwrap();
    std::fs::write(code.join("app.py"), "x = 1\n").unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&code, PermissionsExt::from_mode(0o755)).unwrap();
    println!("{}", data.display());
    println!("init: {:?}", std::fs::read("/proc/1/environ").unwrap_err().kind());
    println!("tmp: {:?}", std::fs::read_dir(data.join("tmp")).unwrap_err().kind());
    println!("proc 1: {:?}", std::fs::read_link("/proc/1/exe").unwrap_err().kind());
    let world = World::of_server(Spawner::new(connection).unwrap());
    println!("function: {}", world.output(Probe::new("print(open('app.py').read().strip())")).await.trim());
    let running = world.run(Probe::new("import time; time.sleep(600)")).await;
    let frozen = world.run(Probe::new("import time; time.sleep(600)")).await;
    frozen.sandbox.freeze().unwrap();
    println!("running");
    running.sandbox.exited().await;
}

struct Server {
    process: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    residue: Residue,
}

impl Server {
    fn start(data: &Path) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args([ACT, data.to_str().unwrap(), &uid_base().to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let spawner_process = lines.next().unwrap().unwrap().parse().unwrap();
        Self { process, lines, residue: Residue { spawner_process, uid_base: uid_base(), data: data.to_owned() } }
    }

    /// All it says until its functions run.
    fn until_running(&mut self) -> Vec<String> {
        self.lines.by_ref().map(Result::unwrap).take_while(|line| line != "running").collect()
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// So that a test that fails does not disturb the next.
impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) async fn it_gives_root_up_and_still_works(_: World) {
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("meta.db"), "old").unwrap();
    let mut server = Server::start(data.path());
    let said = server.until_running();
    assert_eq!(said[0], "/mnt/hearth");
    let denied = "PermissionDenied";
    assert_eq!(said[1..4], [format!("init: {denied}"), format!("tmp: {denied}"), format!("proc 1: {denied}")]);
    assert_eq!(said[4], "function: x = 1");
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process.id())).unwrap();
    let id = format!("\t{SERVER_ID}").repeat(4);
    for line in [
        format!("Uid:{id}"),
        format!("Gid:{id}"),
        "Groups:\t ".to_owned(),
        "NoNewPrivs:\t1".to_owned(),
        "CapPrm:\t0000000000000000".to_owned(),
        "CapEff:\t0000000000000000".to_owned(),
        "CapBnd:\t0000000000000000".to_owned(),
        "CapInh:\t0000000000000000".to_owned(),
        "CapAmb:\t0000000000000000".to_owned(),
    ] {
        assert!(status.lines().any(|l| l == line), "no {line:?} in {status}");
    }
    use std::os::unix::fs::MetadataExt;
    let owner = |path: &Path| std::fs::metadata(path).unwrap().uid();
    assert_eq!(owner(data.path()), SERVER_ID);
    assert_eq!(owner(&data.path().join("meta.db")), SERVER_ID);
    assert_eq!(owner(&data.path().join("tmp")), 0);
    assert_eq!(std::fs::metadata(data.path()).unwrap().mode() & 0o7777, 0o700);
    // What it may not be asked by others of its user: to be traced, or to show its memory.
    assert_eq!(std::fs::metadata(format!("/proc/{}/mem", server.process.id())).unwrap().uid(), 0);
    server.kill();
    server.residue.must_go(<[String]>::is_empty);
}

pub(crate) async fn its_death_takes_all_along(_: World) {
    let data = tempfile::tempdir().unwrap();
    let mut server = Server::start(data.path());
    server.until_running();
    assert!(server.residue.find().iter().filter(|what| what.starts_with("process")).count() >= 4);
    server.kill();
    server.residue.must_go(<[String]>::is_empty);
}

pub(crate) async fn the_next_start_removes_what_both_deaths_left(world: World) {
    let data = tempfile::tempdir().unwrap();
    let mut server = Server::start(data.path());
    server.until_running();
    let family = world.family_of(server.residue.spawner_process);
    world.kill_all(&family);
    server.kill();
    // No process does anything for it any more, so only empty groups can be left.
    server.residue.must_go(|left| left.iter().all(|what| what.contains("/cgroup")));
    assert!(!server.residue.cgroups().is_empty(), "this test shows nothing: nobody was late");
    let mut next = Server::start(data.path());
    assert_eq!(server.residue.cgroups(), [] as [PathBuf; 0]);
    next.kill();
    next.residue.must_go(<[String]>::is_empty);
}
