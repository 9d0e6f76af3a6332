//! How environments come and go.

use std::ffi::CString;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::time::Instant;

use hearth_sandbox::{Exit, Program, SandboxError, Tmp};

use crate::harness::{Probe, World};

pub(crate) async fn exits_are_told(world: World) {
    let probe = "import os, sys; print(os.getcwd(), os.listdir('.')); sys.exit(7)";
    let running = world.run(Probe::new(probe)).await;
    assert_eq!(running.read_all().await, "/var/task ['app.py']\n");
    assert_eq!(running.sandbox.exited().await, Exit::Code(7));
    assert_eq!(running.sandbox.exited().await, Exit::Code(7), "asked again");
    assert!(running.sandbox.destroy(false).await.is_none());

    let running = world.run(Probe::new("import os; os.abort()")).await;
    assert_eq!(running.sandbox.exited().await, Exit::Signal(6));

    let endless = world.run(Probe::new("import time; time.sleep(600)")).await;
    let mut waiting = Box::pin(endless.sandbox.exited());
    assert!(futures_pending(&mut waiting).await);
    drop(waiting);
    assert!(endless.sandbox.destroy(false).await.is_none());
}

/// Whether a future is not done yet when asked once.
async fn futures_pending<F: Future + Unpin>(future: &mut F) -> bool {
    std::future::poll_fn(|cx| std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx).is_pending())).await
}

pub(crate) async fn since_when_it_runs_is_told_not_when_that_is_heard(world: World) {
    let probe = Probe::new("import time; print('runs', flush=True); time.sleep(600)");
    let (mut output, theirs) = std::io::pipe().unwrap();
    let (assignment, program) = (probe.assignment(), probe.program(theirs.into()));
    let made = world.spawner.make(probe.tmp).await.unwrap();
    let started = world.spawner.start(made, 0).await.unwrap();
    let mut assigned = Box::pin(world.spawner.assign(started, assignment, program));
    assert!(futures_pending(&mut assigned).await);
    tokio::task::spawn_blocking(move || output.read_exact(&mut [0; 5]).unwrap()).await.unwrap();
    let seen = Instant::now();
    let sandbox = assigned.await.unwrap();
    assert!(sandbox.runs_since() < seen);
    sandbox.destroy(false).await;
}

pub(crate) async fn a_program_that_cannot_run_is_an_error(world: World) {
    for (program, cwd, errno) in [
        ("/var/task/missing", "/var/task", 2),
        ("/var/task/app.py", "/var/task", 13),
        ("/usr/bin/python3.11", "/nowhere", 2),
    ] {
        let made = world.spawner.make(Tmp::New { mb: 512 }).await.unwrap();
        let started = world.spawner.start(made, 0).await.unwrap();
        let (_output, theirs) = std::io::pipe().unwrap();
        let assignment = Probe::new("").assignment();
        let wrong = Program {
            argv: vec![CString::new(program).unwrap()],
            otherwise: None,
            env: vec![],
            cwd: CString::new(cwd).unwrap(),
            output: OwnedFd::from(theirs),
        };
        match world.spawner.assign(started, assignment, wrong).await {
            Err(SandboxError::NotExecutable { program: named, missing, source }) => {
                assert_eq!((named.as_str(), source.raw_os_error()), (program, Some(errno)));
                assert_eq!(missing, errno == libc::ENOENT);
            }
            Err(SandboxError::Failed { what, source }) => {
                assert_eq!((what.as_str(), source.raw_os_error()), ("entering /nowhere", Some(errno)));
            }
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("{program} runs in {cwd}"),
        }
    }
}

pub(crate) async fn a_root_that_cannot_be_composed_is_an_error(world: World) {
    for (root, text) in [(1, "/no/such/interpreter"), (7, "root number 7")] {
        let made = world.spawner.make(Tmp::New { mb: 512 }).await.unwrap();
        let mut started = world.spawner.start(made, root).await.unwrap();
        let error = started.composed().await.unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
        // The same without having asked before.
        let made = world.spawner.make(Tmp::New { mb: 512 }).await.unwrap();
        let started = world.spawner.start(made, root).await.unwrap();
        let (_output, theirs) = std::io::pipe().unwrap();
        let probe = Probe::new("pass");
        let assigned = world.spawner.assign(started, probe.assignment(), probe.program(theirs.into())).await;
        let Err(error) = assigned else { panic!("root {root} was composed") };
        assert!(error.to_string().contains(text), "{error}");
    }
    assert_eq!(world.output(Probe::new("print(1)")).await, "1\n", "others go on");
}

pub(crate) async fn tmp_is_kept_over_a_reset(world: World) {
    let write = "import os\nos.mkdir('/tmp/d'); open('/tmp/d/f', 'w').write('kept'); os.kill(os.getpid(), 9)";
    let running = world.run(Probe { tmp: Tmp::New { mb: 600 }, ..Probe::new(write) }).await;
    assert_eq!(running.sandbox.exited().await, Exit::Signal(9));
    let volume = running.sandbox.destroy(true).await.unwrap();
    assert_eq!(volume.mb(), 600);
    // Its owner is the same user, so it can be changed; twice, because the second time it is a volume that was kept.
    let again =
        "import os\nprint(open('/tmp/d/f').read(), os.stat('/tmp/d/f').st_uid)\nopen('/tmp/d/f', 'w').write('twice')";
    let running = world.run(Probe { tmp: Tmp::Kept(volume), ..Probe::new(again) }).await;
    assert_eq!(running.read_all().await, "kept 993\n");
    let volume = running.sandbox.destroy(true).await.unwrap();
    let running = world.run(Probe { tmp: Tmp::Kept(volume), ..Probe::new(again) }).await;
    assert_eq!(running.read_all().await, "twice 993\n");
    assert!(running.sandbox.destroy(false).await.is_none());
    // One that is let go, and a new one that has nothing of it.
    let running = world.run(Probe::new("open('/tmp/secret', 'w').write('x')")).await;
    drop(running.sandbox.destroy(true).await.unwrap());
    assert_eq!(world.output(Probe::new("import os; print(os.listdir('/tmp'))")).await, "[]\n");
}

pub(crate) async fn what_is_dropped_goes(world: World) {
    let residue = world.residue();
    drop(world.spawner.make(Tmp::New { mb: 700 }).await.unwrap());
    let made = world.spawner.make(Tmp::New { mb: 512 }).await.unwrap();
    drop(world.spawner.start(made, 0).await.unwrap());
    let running = world.run(Probe::new("import time; time.sleep(600)")).await;
    running.sandbox.freeze().unwrap();
    drop(running);
    residue.must_go(|left| !left.iter().any(|what| what.starts_with("process")));
}

pub(crate) async fn nothing_survives_the_runtime_process(world: World) {
    let probe = "import os, signal, time\n\
        if os.fork() == 0:\n  \
          os.setsid(); signal.signal(signal.SIGTERM, signal.SIG_IGN)\n  \
          if os.fork() == 0:\n    \
            while True: time.sleep(1000)\n  \
          os._exit(0)\n\
        os.wait(); print('daemon is up')";
    let residue = world.residue();
    let running = world.run(Probe::new(probe)).await;
    assert_eq!(running.sandbox.exited().await, Exit::Code(0));
    assert_eq!(running.read_all().await, "daemon is up\n", "the pipe has no writer any more");
    residue.must_go(|left| !left.iter().any(|what| what.starts_with("process")));
    running.sandbox.destroy(false).await;
}

pub(crate) async fn the_death_of_the_spawner_takes_all_along(world: World) {
    let residue = world.residue();
    let running = world.run(Probe::new("import time; time.sleep(600)")).await;
    let frozen = world.run(Probe::new("import time; time.sleep(600)")).await;
    frozen.sandbox.freeze().unwrap();
    let made = world.spawner.make(Tmp::New { mb: 512 }).await.unwrap();
    world.kill_spawner();
    world.spawner.closed().await;
    assert_eq!(running.sandbox.exited().await, Exit::Signal(9));
    assert_eq!(frozen.sandbox.exited().await, Exit::Signal(9));
    assert!(matches!(world.spawner.start(made, 0).await, Err(SandboxError::SpawnerGone)));
    assert!(matches!(world.spawner.make(Tmp::New { mb: 512 }).await, Err(SandboxError::SpawnerGone)));
    assert!(running.sandbox.destroy(true).await.is_none());
    residue.must_go(<[String]>::is_empty);
}

pub(crate) async fn a_server_cannot_have_files_given_away(world: World) {
    use std::os::unix::fs::MetadataExt;
    let file = tempfile::NamedTempFile::new().unwrap();
    let made = world.spawner.make(Tmp::New { mb: 512 }).await.unwrap();
    let started = world.spawner.start(made, 0).await.unwrap();
    let output = OwnedFd::from(file.reopen().unwrap());
    let probe = Probe::new("print(1)");
    let sandbox = world.spawner.assign(started, probe.assignment(), probe.program(output)).await.unwrap();
    assert_eq!(sandbox.exited().await, Exit::Code(0));
    sandbox.destroy(false).await;
    assert_eq!(std::fs::read_to_string(file.path()).unwrap(), "1\n");
    assert_eq!(file.path().metadata().unwrap().uid(), 0, "the function's user must not own it");
}

pub(crate) async fn a_tmp_out_of_range_is_refused(world: World) {
    for mb in [0, 511, 10_241, u32::MAX] {
        let Err(SandboxError::Failed { source, .. }) = world.spawner.make(Tmp::New { mb }).await else {
            panic!("{mb} MB")
        };
        assert_eq!(source.raw_os_error(), Some(22));
    }
}

pub(crate) async fn a_start_that_nobody_waits_for_leaves_nothing(world: World) {
    let residue = world.residue();
    // Given up after a number of steps of its future that reaches from before the first request to after the last.
    let mut finished = 0;
    for steps in 0..12 {
        let mut start = Box::pin(world.run(Probe::new("import time; time.sleep(600)")));
        for _ in 0..steps {
            if !futures_pending(&mut start).await {
                finished += 1;
                break;
            }
            // The answer that the next step needs; the machine decides when it comes.
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
    assert!(finished < 12, "some were given up");
    residue.must_go(|left| !left.iter().any(|what| what.starts_with("process")));
    assert_eq!(world.output(Probe::new("print(1)")).await, "1\n");
}

pub(crate) async fn the_spawner_keeps_no_descriptor(world: World) {
    let count = || std::fs::read_dir(format!("/proc/{}/fd", world.spawner_process)).unwrap().count();
    let before = count();
    let rounds = 40;
    for _ in 0..rounds {
        let running = world.run(Probe { tmp: Tmp::New { mb: 513 }, ..Probe::new("pass") }).await;
        running.sandbox.exited().await;
        drop(running.sandbox.destroy(true).await);
    }
    // At either moment the pool's next one may be there in any state of its making; one kept a round would show.
    assert!(count() < before + rounds, "{} descriptors more", count() - before);
}

pub(crate) async fn many_start_at_a_time(world: World) {
    let world = std::rc::Rc::new(world);
    let local = tokio::task::LocalSet::new();
    let mut starts = Vec::new();
    for n in 0..40 {
        let world = world.clone();
        let probe = format!("print({n})");
        starts.push(local.spawn_local(async move { world.output(Probe::new(&probe)).await }));
    }
    local.await;
    for (n, start) in starts.into_iter().enumerate() {
        assert_eq!(start.await.unwrap(), format!("{n}\n"));
    }
}

pub(crate) async fn many_live_at_a_time(world: World) {
    let mut all = Vec::new();
    for _ in 0..20 {
        all.push(world.run(Probe { memory_mb: 128, ..Probe::new("import time; time.sleep(600)") }).await);
    }
    assert_eq!(world.users_of_processes().len(), 40);
    for running in all {
        running.sandbox.destroy(false).await;
    }
}
