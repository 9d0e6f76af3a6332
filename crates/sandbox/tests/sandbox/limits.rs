//! What an environment may use.

use hearth_sandbox::Exit;

use crate::harness::{HANGS, Probe, World, json};

pub(crate) async fn resource_limits_are_those_of_lambda(world: World) {
    let probe = "import resource, json\n\
        names = ['NOFILE', 'NPROC', 'MEMLOCK', 'STACK', 'AS', 'CPU', 'DATA', 'FSIZE', 'RSS', 'CORE']\n\
        print(json.dumps({n: resource.getrlimit(getattr(resource, 'RLIMIT_' + n)) for n in names}))";
    let limits = json(&world.output(Probe { memory_mb: 128, ..Probe::new(probe) }).await);
    let unlimited = serde_json::json!([-1, -1]);
    assert_eq!(limits["NOFILE"], serde_json::json!([1024, 1024]));
    assert_eq!(limits["NPROC"], serde_json::json!([742, 742]));
    assert_eq!(limits["MEMLOCK"], serde_json::json!([65536, 65536]));
    assert_eq!(limits["STACK"], serde_json::json!([8_388_608, -1]));
    for name in ["AS", "CPU", "DATA", "FSIZE", "RSS"] {
        assert_eq!(limits[name], unlimited, "{name}");
    }
    // A machine whose root may not raise it keeps its own.
    let core = &limits["CORE"];
    assert!([0, 1, 10_737_418_240_i64].map(|n| serde_json::json!([n, n])).contains(core), "{core}");
}

pub(crate) async fn tmp_is_a_disk_of_its_size(world: World) {
    let probe = "import os, json, errno\n\
        s = os.statvfs('/tmp'); written = 0; block = b'x' * 65536; error = None\n\
        f = os.open('/tmp/full', os.O_WRONLY | os.O_CREAT)\n\
        try:\n  \
          while True: written += os.write(f, block)\n\
        except OSError as e: error = errno.errorcode[e.errno]\n\
        os.close(f); os.unlink('/tmp/full'); open('/tmp/again', 'w').write('room again')\n\
        print(json.dumps({'error': error, 'written': written, 'free': s.f_bavail * s.f_bsize,\n\
          'type': [l.split()[2] for l in open('/proc/mounts') if ' /tmp ' in l], \n\
          'options': [l.split()[3] for l in open('/proc/mounts') if ' /tmp ' in l]}))";
    let running = world.run(Probe { memory_mb: 128, ..Probe::new(probe) }).await;
    let text = running.read_all().await;
    assert_eq!(running.sandbox.exited().await, Exit::Code(0), "{text}");
    assert!(!running.sandbox.oom_killed(), "what is in /tmp is not memory");
    assert!(running.sandbox.memory_peak_bytes().unwrap() <= 128 << 20);
    running.sandbox.destroy(false).await;
    let seen = json(&text);
    assert_eq!(seen["error"], "ENOSPC");
    let written = seen["written"].as_u64().unwrap();
    assert!((512 << 20..535 << 20).contains(&written), "{written} bytes fit");
    assert_eq!(seen["type"], serde_json::json!(["ext4"]));
    let options = seen["options"][0].as_str().unwrap();
    assert!(options.contains("nosuid") && options.contains("nodev"), "{options}");
}

pub(crate) async fn the_disk_behind_tmp_has_a_throughput(world: World) {
    let running = world.run(Probe::new("import time; time.sleep(600)")).await;
    let devices = world.residue().devices();
    assert!(!devices.is_empty());
    let bytes = u64::from(hearth_types::limits::TMP_THROUGHPUT_MB) * 1_000_000;
    if world.cgroup_v2 {
        let group = world.group_of_a_function("");
        let limit = |line: &str| {
            let (device, limits) = line.split_once(' ').unwrap();
            devices.contains(&device.to_owned()) && limits.starts_with(&format!("rbps={bytes} wbps={bytes} "))
        };
        until(&format!("/sys/fs/cgroup{group}/io.max"), |limits| limits.lines().any(limit)).await;
        running.sandbox.destroy(false).await;
        return;
    }
    let file = |name: &str| format!("/sys/fs/cgroup/blkio/blkio.throttle.{name}_bps_device");
    let limited = |limits: &str, device: &String| limits.lines().any(|line| *line == format!("{device} {bytes}"));
    for name in ["read", "write"] {
        // The one that is made ahead has one, too; what only a template was made on is gone soon.
        until(&file(name), |limits| world.residue().devices().iter().all(|device| limited(limits, device))).await;
    }
    running.sandbox.destroy(false).await;
    // The one made ahead keeps its own, and the device may be another's by now.
    world.spawner.stop().await;
    let left = std::fs::read_to_string(file("write")).unwrap();
    let bound = world.residue().devices();
    assert!(bound.is_empty() && !devices.iter().any(|device| limited(&left, device)), "{left}");
}

/// Returns when this is true of the file's content; a limit may come a moment after its sandbox.
async fn until(path: &str, wanted: impl Fn(&str) -> bool) {
    let begin = std::time::Instant::now();
    loop {
        let content = std::fs::read_to_string(path).unwrap();
        if wanted(&content) {
            return;
        }
        assert!(begin.elapsed() < HANGS, "{path}: {content}");
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn memory_is_a_hard_cap(world: World) {
    let probe = "b = []\nwhile True: b.append(bytearray(b'x' * (1 << 20)))";
    let running = world.run(Probe { memory_mb: 128, ..Probe::new(probe) }).await;
    assert_eq!(running.sandbox.exited().await, Exit::Signal(libc_sigkill()));
    assert!(running.sandbox.oom_killed());
    let peak = running.sandbox.memory_peak_bytes().unwrap();
    assert!((100 << 20..=128 << 20).contains(&peak), "{peak}");
    running.sandbox.destroy(false).await;

    let modest = world.run(Probe { memory_mb: 128, ..Probe::new("b = b'x' * (64 << 20)") }).await;
    assert_eq!(modest.sandbox.exited().await, Exit::Code(0));
    assert!(!modest.sandbox.oom_killed());
    assert!(modest.sandbox.memory_peak_bytes().unwrap() >= 64 << 20);
    modest.sandbox.destroy(false).await;
}

fn libc_sigkill() -> i32 {
    9
}

pub(crate) async fn tasks_are_capped(world: World) {
    // The function's first thread is one of them.
    let probe = "import threading, time, os\nn = 1\nthreading.stack_size(65536)\n\
        try:\n  \
          while True: threading.Thread(target=time.sleep, args=(1000,), daemon=True).start(); n += 1\n\
        except RuntimeError as e: print(n, e, flush=True)\n\
        try: os.fork()\n\
        except OSError as e: print(e.strerror, flush=True)\n\
        os._exit(0)";
    for (memory_mb, tasks) in [(1024, 1024), (128, 742)] {
        let running = world.run(Probe { memory_mb, ..Probe::new(probe) }).await;
        let exit = running.sandbox.exited().await;
        assert_eq!(exit, Exit::Code(0));
        assert_eq!(
            running.read_all().await,
            format!("{tasks} can't start new thread\nResource temporarily unavailable\n"),
            "at {memory_mb} MB"
        );
        running.sandbox.destroy(false).await;
    }
}

pub(crate) async fn open_files_are_capped(world: World) {
    let probe = "import os, errno\nfds = []\n\
        try:\n  \
          while True: fds.append(os.open('/dev/null', 0))\n\
        except OSError as e: print(max(fds), errno.errorcode[e.errno])";
    assert_eq!(world.output(Probe::new(probe)).await, "1023 EMFILE\n");
}

pub(crate) async fn cpu_is_in_proportion_to_memory(world: World) {
    // How much CPU time it gets at least depends on the machine's load, how much at most does not.
    let probe = "import time, socket\n\
        s = socket.create_connection(('169.254.100.1', 9001)); s.recv(1)\n\
        w, c = time.monotonic(), time.process_time()\n\
        while time.monotonic() - w < 2: pass\n\
        print((time.process_time() - c) / (time.monotonic() - w), flush=True); s.recv(1)";
    let cores = std::thread::available_parallelism().unwrap().get() as u32;
    for (memory_mb, most, throttled) in [(128, 0.085, true), (885, 0.52, false), (1769 * cores, 1.01, false)] {
        let mut running = world.run(Probe { memory_mb: 256, ..Probe::new(probe) }).await;
        let process = world.busy_process();
        let listener = running.sandbox.take_listener().unwrap();
        listener.set_nonblocking(false).unwrap();
        let (mut stream, _) = tokio::task::spawn_blocking(move || listener.accept().unwrap()).await.unwrap();
        assert_eq!(world.throttled_periods(process), 0, "the init phase has full cores");
        running.sandbox.limit_cpu(memory_mb).unwrap();
        std::io::Write::write_all(&mut stream, b"g").unwrap();
        let mut line = String::new();
        let mut output = std::io::BufReader::new(running.output.try_clone().unwrap());
        let read = move || std::io::BufRead::read_line(&mut output, &mut line).map(|_| line);
        let share: f64 = tokio::task::spawn_blocking(read).await.unwrap().unwrap().trim().parse().unwrap();
        assert!(share < most, "{memory_mb} MB got {share} of a core");
        // The smallest share is less than a process gets on any machine that these tests can run on.
        assert!(!throttled || world.throttled_periods(process) > 0, "{memory_mb} MB");
        running.sandbox.destroy(false).await;
    }
}

pub(crate) async fn a_frozen_environment_uses_no_cpu(world: World) {
    let running = world.run(Probe::new("print('up', flush=True)\nwhile True: pass")).await;
    let mut up = [0; 3];
    let mut output = running.output.try_clone().unwrap();
    tokio::task::spawn_blocking(move || std::io::Read::read_exact(&mut output, &mut up)).await.unwrap().unwrap();
    let burner = world.busy_process();
    running.sandbox.freeze().unwrap();
    world.wait_until_frozen(burner);
    let frozen_at = world.cpu_ticks(burner);
    // Longer than several scheduler ticks; a running loop would use nearly all of it.
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(world.cpu_ticks(burner), frozen_at);
    running.sandbox.thaw().unwrap();
    let begin = std::time::Instant::now();
    while world.cpu_ticks(burner) <= frozen_at {
        assert!(begin.elapsed() < HANGS, "it does not go on");
        std::thread::yield_now();
    }
    running.sandbox.freeze().unwrap();
    assert!(running.sandbox.destroy(false).await.is_none(), "a frozen one can be destroyed");
    assert!(!std::path::Path::new(&format!("/proc/{burner}")).exists());
}
