//! Programs beside a runtime, in the same sandbox.

use std::ffi::CString;

use hearth_sandbox::{Beside, Exit, Happening, Process, Sandbox, SandboxError, Signal, Tmp};
use hearth_types::CodeDigest;

use crate::harness::{Probe, Running, World, json};

const LAYER: CodeDigest = CodeDigest([0xE0; 32]);

/// Starts a probe, and beside it Python scripts of a layer.
async fn start(world: &World, runtime: &str, beside: &[&str]) -> Result<Running, SandboxError> {
    let folder = world.data.as_ref().unwrap().path().join("code").join(LAYER.to_string()).join("extensions");
    std::fs::create_dir_all(&folder).unwrap();
    let mut programs = Vec::new();
    for (number, script) in beside.iter().enumerate() {
        let name = format!("e{number}");
        let path = folder.join(&name);
        std::fs::write(&path, format!("#!{} -IS\n{script}\n", crate::harness::PYTHON)).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(if script.is_empty() { 0o644 } else { 0o755 });
        std::fs::set_permissions(&path, mode).unwrap();
        programs.push(CString::new(format!("/opt/extensions/{name}")).unwrap());
    }
    let (output, theirs) = std::io::pipe().unwrap();
    let probe = Probe { layers: vec![LAYER], ..Probe::new(runtime) };
    let beside = Beside {
        programs,
        env: vec![c"WHO=beside".to_owned()],
        cwd: c"/tmp".to_owned(),
        output: theirs.try_clone().unwrap().into(),
    };
    let made = world.spawner.make(Tmp::New { mb: 512 }).await?;
    let started = world.spawner.start(made, 0).await?;
    let (assignment, program) = (probe.assignment(), probe.program(theirs.into()));
    let sandbox = world.spawner.assign_beside(started, assignment, program, beside).await?;
    Ok(Running { sandbox, output })
}

async fn ended(sandbox: &Sandbox) -> (Process, Exit) {
    match sandbox.happening().await {
        Happening::Ended(process, exit) => (process, exit),
        other => panic!("{other:?}"),
    }
}

async fn go(sandbox: &Sandbox) {
    sandbox.let_runtime_go().await.unwrap();
    match sandbox.happening().await {
        Happening::RuntimeRuns => {}
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn the_runtime_waits_until_it_may_go(world: World) {
    let show = "import os, json
who = {'namespaces': [os.readlink('/proc/self/ns/' + n) for n in ('user', 'pid', 'net', 'mnt', 'ipc', 'uts', 'cgroup')],
  'ids': [os.getresuid(), os.getresgid()], 'groups': open('/proc/self/cgroup').read(),
  'status': [l for l in open('/proc/self/status') if l.startswith(('Cap', 'Seccomp:', 'NoNewPrivs'))],
  'env': os.environ.get('WHO'), 'cwd': os.getcwd(), 'descriptors': len(os.listdir('/proc/self/fd'))}
print(json.dumps(who), flush=True)
";
    let runtime = format!("{show}\nprint(os.path.exists('/tmp/first'), flush=True)");
    let program = format!("{show}\nopen('/tmp/first', 'w')\nimport sys\nsys.exit(3)");
    let running = start(&world, &runtime, &[&program]).await.unwrap();
    assert_eq!(ended(&running.sandbox).await, (Process::Beside(0), Exit::Code(3)), "its end is not all's");
    go(&running.sandbox).await;
    assert_eq!(ended(&running.sandbox).await, (Process::Runtime, Exit::Code(0)));
    running.sandbox.destroy(false).await;
    let text = std::io::read_to_string(running.output).unwrap();
    let mut lines = text.lines();
    let (mut beside, mut runtime) = (json(lines.next().unwrap()), json(lines.next().unwrap()));
    assert_eq!(lines.next(), Some("True"), "it came later");
    assert_eq!((&beside["env"], &beside["cwd"]), (&"beside".into(), &"/tmp".into()));
    for own in ["env", "cwd"] {
        beside[own] = "".into();
        runtime[own] = "".into();
    }
    assert_eq!(beside, runtime, "in the same confinement");
}

pub(crate) async fn signals_reach_the_process_that_is_meant(world: World) {
    let polite = "import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
print('ready', flush=True)
time.sleep(600)";
    let running = start(&world, polite, &["import time; time.sleep(600)", polite]).await.unwrap();
    let sandbox = &running.sandbox;
    go(sandbox).await;
    let mut pipe = running.output.try_clone().unwrap();
    let ready = tokio::task::spawn_blocking(move || {
        let mut bytes = [0; 12];
        std::io::Read::read_exact(&mut pipe, &mut bytes).unwrap();
    });
    ready.await.unwrap();
    sandbox.signal(Process::Beside(1), Signal::Terminate).await.unwrap();
    assert_eq!(ended(sandbox).await, (Process::Beside(1), Exit::Code(5)));
    sandbox.signal(Process::Runtime, Signal::Terminate).await.unwrap();
    assert_eq!(ended(sandbox).await, (Process::Runtime, Exit::Code(5)));
    for gone in [Process::Beside(1), Process::Runtime, Process::Beside(9)] {
        sandbox.signal(gone, Signal::Kill).await.unwrap();
    }
    sandbox.freeze().unwrap();
    sandbox.signal(Process::Beside(0), Signal::Kill).await.unwrap();
    sandbox.thaw().unwrap();
    assert_eq!(ended(sandbox).await, (Process::Beside(0), Exit::Signal(9)));
    running.sandbox.destroy(false).await;
}

pub(crate) async fn a_runtime_alone_can_be_asked_to_end(world: World) {
    let script = "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\nprint(1, flush=True)\ntime.sleep(600)";
    let running = world.run(Probe::new(script)).await;
    let mut pipe = running.output.try_clone().unwrap();
    tokio::task::spawn_blocking(move || std::io::Read::read_exact(&mut pipe, &mut [0; 2]).unwrap()).await.unwrap();
    running.sandbox.signal(Process::Runtime, Signal::Terminate).await.unwrap();
    assert_eq!(ended(&running.sandbox).await, (Process::Runtime, Exit::Code(5)));
    assert!(matches!(running.sandbox.happening().await, Happening::Gone));
    running.sandbox.destroy(false).await;
}

pub(crate) async fn what_others_leave_behind_is_reaped(world: World) {
    // Each of the many leaves a child behind: without anybody to reap them they would use up all tasks there may be.
    let script = "import os
for _ in range(3000):
  if os.fork() == 0:
    if os.fork() == 0: os._exit(0)
    os._exit(0)
  os.wait()
print('done')";
    assert_eq!(world.output(Probe::new(script)).await, "done\n");
}

pub(crate) async fn a_program_that_cannot_run_is_told(world: World) {
    match start(&world, "pass", &["import time; time.sleep(600)", ""]).await {
        Err(SandboxError::NotExecutable { program, source, .. }) => {
            assert_eq!((program.as_str(), source.raw_os_error()), ("/opt/extensions/e1", Some(13)));
        }
        other => panic!("{:?}", other.err()),
    }
}
