//! Programs that are started ahead of their function.

use std::ffi::CString;

use hearth_sandbox::{Command, Exit, Program, SandboxError, Tmp, Waiting};

use crate::harness::{CODE, Probe, Running, World, json};

/// Waits as a program that is started ahead does, then goes on with the rest.
const WAIT: &str = "
import posix
for name in list(posix.environ): posix.unsetenv(name)
posix.environ.clear()
posix.write(63, b'w')
told = b''
while part := posix.read(63, 65536): told += part
posix.close(63)
posix.chdir('/var/task')
for variable in told.split(b'\\0')[:-1]:
  name, _, value = variable.partition(b'=')
  posix.environ[name] = value
  posix.putenv(name, value)
";

/// What a process can tell of itself.
const LOOK: &str = "
import json, os, resource, signal, sys
names = ('Uid', 'Gid', 'Groups', 'FDSize', 'NSpid', 'Threads', 'SigQ', 'SigBlk', 'SigIgn', 'SigCgt', 'CapEff', 'CapBnd', 'NoNewPrivs', 'Seccomp')
status = dict(line.split(':', 1) for line in open('/proc/self/status').read().splitlines())
def inherited():
  hear, tell = os.pipe()
  if os.fork() == 0:
    os.dup2(tell, 1)
    os.execv(sys.executable, [sys.executable, '-I', '-S', '-c', 'import posix; print(posix.environ)'])
  os.close(tell)
  os.wait()
  with open(hear) as pipe: return pipe.read()
print(json.dumps({
  'environ': dict(os.environ), 'inherited': inherited(),
  'variables': open('/proc/self/environ').read().rstrip('\\0').split('\\0'),
  'cmdline': open('/proc/self/cmdline').read().count('\\0'),
  'cwd': os.getcwd(), 'code': sorted(os.listdir('.')), 'opt': sorted(os.listdir('/opt')), 'task': sorted(os.listdir('/var/task')),
  'umask': os.umask(0o22), 'fds': {f: os.readlink('/proc/self/fd/' + f).split(':')[0] for f in os.listdir('/proc/self/fd') if os.path.exists('/proc/self/fd/' + f)},
  'status': {name: status[name].split() for name in names if name != 'SigQ'},
  'limits': open('/proc/self/limits').read().splitlines(),
  'mounts': sorted(line.split()[4] for line in open('/proc/self/mountinfo')),
  'oom': open('/proc/self/oom_score_adj').read(), 'session': os.getsid(0) == os.getpid(),
  'flags': list(sys.flags), 'path': sys.path,
}))
";

/// What `LOOK` told, without what may differ: the first init of a data folder has mkfs as its first child, the others do not.
fn comparable(mut seen: serde_json::Value) -> serde_json::Value {
    seen["status"]["NSpid"].take();
    seen
}

/// The program as it would be run with these variables, and room for those to come.
async fn launched(world: &World, script: &str, room: usize) -> Result<(Waiting, std::io::PipeReader), SandboxError> {
    let (output, theirs) = std::io::pipe().unwrap();
    let room = CString::new(format!("ROOM={}", "x".repeat(room))).unwrap();
    let program = Probe::new(script).program(theirs.into());
    let made = world.spawner.make(Tmp::New { mb: 512 }).await.unwrap();
    let started = world.spawner.start(made, 0).await.unwrap();
    let program = Program { env: [program.env.clone(), vec![room]].concat(), ..program };
    world.spawner.launch(started, program).await.map(|waiting| (waiting, output))
}

pub(crate) async fn it_finds_what_a_fresh_one_finds(world: World) {
    for layers in [vec![], vec![CODE]] {
        let script = format!("AHEAD = 0\nif AHEAD: exec({WAIT:?})\nelse: import posix\n{LOOK}");
        let probe = Probe { memory_mb: 128, layers: layers.clone(), ..Probe::new(&script) };
        let fresh = comparable(json(&world.output(probe).await));
        let script = script.replace("AHEAD = 0", "AHEAD = 1");
        let (waiting, output) = launched(&world, &script, 4000).await.unwrap();
        let probe = Probe { memory_mb: 128, layers, ..Probe::new(&script) };
        let sandbox = world.spawner.employ(waiting, probe.assignment(), &[c"LANG=C.UTF-8".to_owned()]).await.unwrap();
        let running = Running { sandbox, output };
        let ahead = comparable(json(&running.read_all().await));
        assert_eq!(running.sandbox.exited().await, Exit::Code(0));
        assert!(running.sandbox.destroy(true).await.is_some(), "its /tmp can be kept");
        for (name, value) in fresh.as_object().unwrap() {
            assert_eq!(ahead[name], *value, "{name}");
        }
        assert_eq!(ahead["environ"], serde_json::json!({"LANG": "C.UTF-8"}));
        assert_eq!(ahead["variables"], serde_json::json!(["LANG=C.UTF-8"]));
        assert_eq!(ahead["task"], serde_json::json!(["app.py"]));
    }
}

pub(crate) async fn a_process_without_a_program_becomes_as_a_fresh_one(world: World) {
    for layers in [vec![], vec![CODE]] {
        let probe = || Probe { memory_mb: 128, layers: layers.clone(), ..Probe::new(LOOK) };
        let fresh = json(&world.output(probe()).await);
        let (output, theirs) = std::io::pipe().unwrap();
        let made = world.spawner.make(Tmp::New { mb: 512 }).await.unwrap();
        let started = world.spawner.start(made, 0).await.unwrap();
        let held = world.spawner.hold(started, theirs.into()).await.unwrap();
        let (_, unused) = std::io::pipe().unwrap();
        let Program { argv, otherwise, env, cwd, .. } = probe().program(unused.into());
        let command = Command { argv, otherwise, env, cwd };
        let sandbox = world.spawner.employ_held(held, probe().assignment(), command).await.unwrap();
        let running = Running { sandbox, output };
        let late = json(&running.read_all().await);
        assert_eq!(running.sandbox.exited().await, Exit::Code(0));
        assert_eq!(comparable(late), comparable(fresh));
    }
    // What cannot be executed is told as ever.
    let (_output, theirs) = std::io::pipe().unwrap();
    let made = world.spawner.make(Tmp::New { mb: 512 }).await.unwrap();
    let held = world.spawner.hold(world.spawner.start(made, 0).await.unwrap(), theirs.into()).await.unwrap();
    let command = Command { argv: vec![c"/no/such".to_owned()], otherwise: None, env: vec![], cwd: c"/".to_owned() };
    let employed = world.spawner.employ_held(held, Probe::new("").assignment(), command).await;
    assert!(matches!(employed, Err(SandboxError::NotExecutable { .. })));
}

pub(crate) async fn its_memory_is_capped_from_its_assignment_on(world: World) {
    let script = format!("{WAIT}\nprint('up', flush=True)\nx = bytearray(300 << 20)\nprint(len(x))");
    let (waiting, output) = launched(&world, &script, 100).await.unwrap();
    let probe = Probe { memory_mb: 128, ..Probe::new(&script) };
    let sandbox = world.spawner.employ(waiting, probe.assignment(), &[]).await.unwrap();
    let running = Running { sandbox, output };
    assert_eq!(running.read_all().await, "up\n");
    assert_eq!(running.sandbox.exited().await, Exit::Signal(9));
    assert!(running.sandbox.oom_killed());
    assert!(running.sandbox.memory_peak_bytes().unwrap() > 120 << 20);
    running.sandbox.destroy(false).await;
}

pub(crate) async fn the_end_of_a_waiting_program_is_told(world: World) {
    let (waiting, _output) = launched(&world, WAIT, 100).await.unwrap();
    world.kill_all(&[world.busy_process()]);
    waiting.ended().await;
    let employed = world.spawner.employ(waiting, Probe::new("").assignment(), &[]).await;
    assert!(employed.is_err(), "there is nobody to employ");
    // One that ends before it waits, and one that cannot run.
    assert!(launched(&world, "print(1)", 100).await.is_err());
    let (_output, theirs) = std::io::pipe().unwrap();
    let missing = Program { argv: vec![c"/no/such".to_owned()], ..Probe::new("").program(theirs.into()) };
    let made = world.spawner.make(Tmp::New { mb: 512 }).await.unwrap();
    let started = world.spawner.start(made, 0).await.unwrap();
    assert!(matches!(world.spawner.launch(started, missing).await, Err(SandboxError::NotExecutable { .. })));
}

pub(crate) async fn variables_that_have_no_room_are_an_error(world: World) {
    let (waiting, _output) = launched(&world, WAIT, 100).await.unwrap();
    let long = CString::new(format!("LONG={}", "x".repeat(200))).unwrap();
    let Err(error) = world.spawner.employ(waiting, Probe::new("").assignment(), &[long]).await else {
        panic!("200 bytes had room in 100");
    };
    assert!(error.to_string().contains("room for"), "{error}");
}

pub(crate) async fn what_waits_and_is_let_go_leaves_nothing(world: World) {
    let residue = world.residue();
    let (waiting, output) = launched(&world, WAIT, 100).await.unwrap();
    assert!(residue.find().iter().any(|what| what.starts_with("process")));
    drop((waiting, output));
    residue.must_go(|left| !left.iter().any(|what| what.starts_with("process")));
}

pub(crate) async fn the_death_of_the_spawner_takes_it_along(world: World) {
    let residue = world.residue();
    let (waiting, _output) = launched(&world, WAIT, 100).await.unwrap();
    world.kill_spawner();
    world.spawner.closed().await;
    waiting.ended().await;
    residue.must_go(<[String]>::is_empty);
}
