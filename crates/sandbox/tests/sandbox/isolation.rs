//! What a function sees, and cannot.

use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;

use hearth_sandbox::Sandbox;

use crate::harness::{Probe, World, json};

pub(crate) async fn it_is_an_unprivileged_user(world: World) {
    let status = world.output(Probe::new("print(open('/proc/self/status').read())")).await;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
        line.unwrap_or_else(|| panic!("no {name}")).trim().to_owned()
    };
    assert_eq!(field("Uid"), "993\t993\t993\t993");
    assert_eq!(field("Gid"), "990\t990\t990\t990");
    assert_eq!(field("Groups"), "");
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(field(set), "0000000000000000", "{set}");
    }
    assert_eq!(field("NoNewPrivs"), "1");
    assert_eq!(field("Seccomp"), "2");
    assert_eq!(field("Seccomp_filters"), "1");
    assert_eq!(field("SigIgn"), "0000000001001000", "Python itself ignores SIGPIPE and SIGXFSZ, nobody else any");
    assert_eq!(field("SigBlk"), "0000000000000000");
}

pub(crate) async fn every_namespace_is_its_own(world: World) {
    let probe = "import os\nfor n in os.listdir('/proc/self/ns'): print(n, os.stat('/proc/self/ns/' + n).st_ino)";
    let inside = world.output(Probe::new(probe)).await;
    for name in ["user", "pid", "mnt", "net", "ipc", "uts", "cgroup"] {
        let host = std::fs::metadata(format!("/proc/self/ns/{name}")).unwrap().ino();
        let line = inside.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        assert_ne!(line.unwrap().parse::<u64>().unwrap(), host, "{name}");
    }
}

pub(crate) async fn only_its_own_processes_are_visible(world: World) {
    let other = world.run(Probe::new("import time; time.sleep(600)")).await;
    let probe =
        "import os, json\nprint(json.dumps([int(p) == os.getpid() for p in os.listdir('/proc') if p.isdigit()]))";
    assert_eq!(json(&world.output(Probe::new(probe)).await), serde_json::json!([true]), "not even init");
    let probe = "import os, signal\n\
        for pid in [1, -1, 900, 1000]:\n  \
          try: os.kill(pid, signal.SIGTERM); print('killed', pid)\n  \
          except OSError as e: print(pid, e.strerror)";
    let text = world.output(Probe::new(probe)).await;
    assert!(text.starts_with("1 Operation not permitted\n-1 No such process\n900 No such process\n"), "{text}");
    other.sandbox.destroy(false).await;
}

pub(crate) async fn the_root_is_composed_and_read_only(world: World) {
    let probe = "import os, json\n\
        def attempt(f, *a):\n  \
          try: f(*a); return 'done'\n  \
          except OSError as e: return e.strerror\n\
        w = lambda p: attempt(open, p, 'w')\n\
        print(json.dumps({\n\
        'root': sorted(os.listdir('/')), 'dev': sorted(os.listdir('/dev')), 'etc': os.listdir('/etc'),\n\
        'writes': [w(p) for p in ['/x', '/etc/x', '/var/task/x', '/usr/lib/python3.11/x', '/opt/x', '/dev/x']],\n\
        'remove': attempt(os.unlink, '/var/task/app.py'), 'tmp': w('/tmp/x'), 'mode': os.stat('/tmp').st_mode,\n\
        'tmp_list': os.listdir('/tmp'), 'link': attempt(os.link, '/var/task/app.py', '/tmp/y'),\n\
        'sys': os.path.exists('/sys'), 'stdin': os.readlink('/proc/self/fd/0'),\n\
        'fds': sorted(os.listdir('/proc/self/fd')), 'cgroup': open('/proc/self/cgroup').read(),\n\
        'stdout': attempt(open, '/dev/stdout', 'w'),\n\
        'host': os.uname().nodename}))";
    let seen = json(&world.output(Probe::new(probe)).await);
    assert_eq!(
        seen["root"],
        serde_json::json!(["dev", "etc", "lib", "lib64", "opt", "proc", "tmp", "usr", "var"]),
        "nothing of the host but what the plan names"
    );
    let devices = ["fd", "full", "null", "random", "stderr", "stdin", "stdout", "urandom", "zero"];
    assert_eq!(seen["dev"], serde_json::json!(devices));
    assert_eq!(seen["etc"], serde_json::json!(["passwd"]));
    for write in seen["writes"].as_array().unwrap() {
        assert!(["Read-only file system", "Permission denied"].contains(&write.as_str().unwrap()), "{write}");
    }
    assert_eq!(seen["remove"], "Read-only file system");
    assert_eq!(seen["link"], "Invalid cross-device link");
    assert_eq!(seen["tmp"], "done");
    assert_eq!(seen["mode"], 0o041_777);
    assert_eq!(seen["tmp_list"], serde_json::json!(["x"]), "no lost+found");
    assert_eq!(seen["sys"], false);
    assert_eq!(seen["stdin"], "/dev/null");
    assert_eq!(seen["fds"], serde_json::json!(["0", "1", "2", "3"]), "3 is the listing itself");
    assert!(seen["cgroup"].as_str().unwrap().lines().all(|line| line.ends_with(":/")), "{}", seen["cgroup"]);
    assert_eq!(seen["stdout"], "done");
    assert_eq!(seen["host"], "localhost");
}

pub(crate) async fn proc_tells_nothing_of_the_machine(world: World) {
    let probe = "import os, json\n\
        def read(p):\n  \
          try: return len(open(p, 'rb').read(64))\n  \
          except FileNotFoundError: return 0\n  \
          except OSError as e: return e.strerror\n\
        def write(p):\n  \
          try: os.write(os.open(p, os.O_WRONLY), b'1'); return 'done'\n  \
          except OSError as e: return e.strerror\n\
        masked = ['kcore', 'keys', 'kmsg', 'timer_list', 'sched_debug', 'latency_stats', 'mtrr']\n\
        written = ['sys/kernel/core_pattern', 'sys/net/ipv4/ip_forward', 'sys/vm/panic_on_oom', 'irq/default_smp_affinity',\n\
          'self/uid_map', '1/oom_score_adj', 'self/attr/current']\n\
        print(json.dumps({\n\
        'masked': [read('/proc/' + n) for n in masked],\n\
        'scsi': [n for d in ['acpi', 'scsi'] if os.path.isdir('/proc/' + d) for n in os.listdir('/proc/' + d)],\n\
        'written': [write('/proc/' + n) for n in written], 'sysrq': os.path.exists('/proc/sysrq-trigger') and os.stat('/proc/sysrq-trigger').st_rdev,\n\
        'init': [os.path.exists('/proc/1/' + n) for n in ['cmdline', 'environ', 'root', 'exe', 'mem']],\n\
        'oom': open('/proc/self/oom_score_adj').read().strip(),\n\
        'useful': [read('/proc/' + n) > 0 for n in ['cpuinfo', 'meminfo', 'stat', 'self/maps', 'sys/kernel/osrelease']]}))";
    let seen = json(&world.output(Probe::new(probe)).await);
    assert_eq!(seen["masked"], serde_json::json!([0, 0, 0, 0, 0, 0, 0]));
    assert_eq!(seen["scsi"], serde_json::json!([]));
    for write in seen["written"].as_array().unwrap() {
        assert_ne!(write, "done", "{}", seen["written"]);
    }
    let null = 1 << 8 | 3;
    let sysrq = std::path::Path::new("/proc/sysrq-trigger").exists();
    assert_eq!(seen["sysrq"], if sysrq { null.into() } else { serde_json::json!(false) }, "covered by /dev/null");
    assert_eq!(seen["init"], serde_json::json!([false, false, false, false, false]));
    assert_eq!(seen["oom"], "500");
    assert_eq!(seen["useful"], serde_json::json!([true, true, true, true, true]));
}

pub(crate) async fn the_network_is_its_own_loopback(world: World) {
    let probe = "import socket, json\n\
        def connect(address):\n  \
          s = socket.socket(); s.settimeout(2)\n  \
          try: s.connect(address); return 'connected'\n  \
          except OSError as e: return e.strerror\n\
        l = socket.socket(); l.bind(('127.0.0.1', 0)); l.listen()\n\
        print(json.dumps({'own': connect(l.getsockname()), 'names': [n for _, n in socket.if_nameindex()],\n\
        'away': [connect((a, 80)) for a in ['169.254.169.254', '10.0.0.1', '8.8.8.8']]}))";
    let seen = json(&world.output(Probe::new(probe)).await);
    assert_eq!(seen["own"], "connected");
    assert_eq!(seen["names"], serde_json::json!(["lo"]));
    for answer in seen["away"].as_array().unwrap() {
        assert_eq!(answer, "Network is unreachable");
    }
}

pub(crate) async fn the_runtime_api_and_the_servers_answer_inside(world: World) {
    answers_inside(&world, "169.254.100.1", 9001, Sandbox::take_listener).await;
    answers_inside(&world, "127.0.0.1", 4566, Sandbox::take_api).await;
}

async fn answers_inside(world: &World, address: &str, port: u16, take: fn(&mut Sandbox) -> Option<TcpListener>) {
    use std::io::{Read, Write};
    let probe = format!(
        "import socket\n\
        s = socket.create_connection(('{address}', {port})); s.sendall(b'next?'); s.shutdown(1); print(s.recv(100).decode())"
    );
    let mut running = world.run(Probe::new(&probe)).await;
    let listener = take(&mut running.sandbox).unwrap();
    assert!(take(&mut running.sandbox).is_none());
    listener.set_nonblocking(false).unwrap();
    let serve = move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = String::new();
        stream.read_to_string(&mut asked).unwrap();
        stream.write_all(asked.to_uppercase().as_bytes()).unwrap();
    };
    tokio::task::spawn_blocking(serve).await.unwrap();
    assert_eq!(running.read_all().await, "NEXT?\n");
    running.sandbox.destroy(false).await;
}

/// One socket serves for several connections, one after the other, all of them inside.
pub(crate) async fn a_socket_from_outside_connects_to_what_listens_inside(world: World) {
    let probe = "import socket\n\
        l = socket.create_server(('127.0.0.1', 8080)); print('up', flush=True)\n\
        for _ in range(2):\n  \
          c, _ = l.accept(); c.sendall(c.recv(100).upper()); c.close()";
    let mut running = world.run(Probe::new(probe)).await;
    let mut up = [0; 3];
    let socket = running.sandbox.network().socket().await.unwrap();
    let on_the_machine = TcpListener::bind("127.0.0.1:0").unwrap();
    let there = on_the_machine.local_addr().unwrap();
    let ask = move || {
        use std::io::{Read, Write};
        running.output.read_exact(&mut up).unwrap();
        rustix::io::ioctl_fionbio(&socket, false).unwrap();
        let refused = rustix::net::connect(&socket, &there).unwrap_err();
        assert_eq!(refused, rustix::io::Errno::CONNREFUSED, "the machine's own listener is not to be reached");
        for _ in 0..2 {
            rustix::net::connect(&socket, &std::net::SocketAddrV4::new([127, 0, 0, 1].into(), 8080)).unwrap();
            let mut stream = std::net::TcpStream::from(socket.try_clone().unwrap());
            stream.write_all(b"there?").unwrap();
            let mut said = String::new();
            stream.read_to_string(&mut said).unwrap();
            assert_eq!(said, "THERE?");
            rustix::net::connect_unspec(&socket).unwrap();
        }
        running
    };
    let running = tokio::task::spawn_blocking(ask).await.unwrap();
    running.sandbox.exited().await;
    let error = loop {
        // The kernel tells of an end before all of it is over.
        match running.sandbox.network().socket().await {
            Ok(socket) => drop(socket),
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("socket in an environment"), "{error}");
    running.sandbox.destroy(false).await;
}

pub(crate) async fn two_environments_share_no_user(world: World) {
    // Inside it is 993 both times; outside, the owner of a file in /tmp tells.
    let one = world.run(Probe::new("import time; time.sleep(600)")).await;
    let two = world.run(Probe::new("import time; time.sleep(600)")).await;
    let users = world.users_of_processes();
    assert_eq!(users.len(), 4, "two functions and two inits, each of its own: {users:?}");
    assert!(!users.contains(&0));
    one.sandbox.destroy(false).await;
    two.sandbox.destroy(false).await;
}
