//! The way to the outside, with a machine and an outside of our own: network namespaces. The test itself runs on that
//! machine.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use crate::harness::{HANGS, PYTHON, Probe, Running, World, json};

/// The machine's address on its uplink, the outside's there, and networks behind another link.
const MACHINE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 2);
const OTHER_LINK: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 1);
const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 2);
const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

/// Answers each connection with its peer's address, once its links are there.
const HOST: &str = "import select, socket, sys\n\
    sys.stdin.readline()\n\
    all = [socket.create_server(('0.0.0.0', port)) for port in (80, 25)]; print('ready', flush=True)\n\
    while True:\n  \
      for s in select.select(all, [], [])[0]: c, peer = s.accept(); c.sendall(peer[0].encode()); c.close()\n";

/// What a probe needs to try addresses: `get` and `own`, and the router's address.
const TRY: &str = "import json, socket, sys\n\
    def get(a, p=80, family=socket.AF_INET):\n  \
      s = socket.socket(family); s.settimeout(1)\n  \
      try: s.connect((a, p)); return s.recv(100).decode()\n  \
      except OSError as e: return type(e).__name__ + ' ' + str(e.strerror)\n\
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('203.0.113.2', 9)); own = s.getsockname()[0]\n\
    routes = [l.split() for l in open('/proc/net/route')][1:]\n\
    router = socket.inet_ntoa(int(next(r[2] for r in routes if r[1] == '00000000'), 16).to_bytes(4, 'little'))\n";

/// Prints the names of all tables of packet rules.
const TABLES: &str = "import socket, struct\n\
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)\n\
    s.send(struct.pack('=IHHIIBBH', 20, 10 << 8 | 1, 0x301, 1, 0, 0, 0, 0))\n\
    done = False\n\
    while not done:\n  \
      data = s.recv(65536)\n  \
      while data:\n    \
        length, kind = struct.unpack('=IH', data[:6]); message, data = data[:length], data[(length + 3) & ~3:]\n    \
        if kind == 3: done = True; break\n    \
        n, _ = struct.unpack('=HH', message[20:24]); print(message[24:20 + n - 1].decode())\n";

/// Another host: a network namespace with a process that serves in it.
struct Host {
    process: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Host {
    fn start() -> Self {
        let mut command = Command::new("unshare");
        command.args(["--net", PYTHON, "-I", "-c", HOST]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let host = Self { process, lines };
        // It is in its namespace once that is another one.
        let own = std::fs::read_link("/proc/self/ns/net").unwrap();
        while std::fs::read_link(format!("/proc/{}/ns/net", host.id())).unwrap() == own {
            std::thread::yield_now();
        }
        host
    }

    fn id(&self) -> u32 {
        self.process.id()
    }

    fn ip(&self, words: &str) {
        run(Command::new("nsenter").args(["-t", &self.id().to_string(), "-n", "ip"]).args(words.split(' ')));
    }

    /// Runs a Python program on this host and returns what it printed.
    fn python(&self, program: &str) -> String {
        run(Command::new("nsenter").args(["-t", &self.id().to_string(), "-n", PYTHON, "-I", "-c", program]))
    }

    fn serve(&mut self) {
        self.process.stdin.take().unwrap().write_all(b"go\n").unwrap();
        assert_eq!(self.lines.next().unwrap().unwrap(), "ready");
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn ip(words: &str) -> String {
    run(Command::new("ip").args(words.split(' ')))
}

/// Puts this thread, which must be the only one, on a machine of its own, until it is dropped.
pub(crate) struct Machine {
    real: OwnedFd,
    outside: Host,
    neighbour: Host,
}

impl Machine {
    pub(crate) fn enter() -> Self {
        let real = std::fs::File::open("/proc/self/ns/net").unwrap().into();
        // SAFETY: the table of descriptors is not unshared.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }.unwrap();
        let (mut outside, mut neighbour) = (Host::start(), Host::start());
        ip("link set lo up");
        for (link, own, host, other) in
            [("wan", MACHINE, &mut outside, OUTSIDE), ("lan", OTHER_LINK, &mut neighbour, NEIGHBOUR)]
        {
            ip(&format!("link add {link} type veth peer name out netns {}", host.id()));
            ip(&format!("addr add {own}/24 dev {link}"));
            ip(&format!("link set {link} up"));
            for words in
                ["link set lo up".to_owned(), format!("addr add {other}/24 dev out"), "link set out up".to_owned()]
            {
                host.ip(&words);
            }
            host.ip(&format!("route add default via {own}"));
        }
        outside.ip(&format!("addr add {METADATA}/32 dev out"));
        ip(&format!("route add default via {OUTSIDE}"));
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "0").unwrap();
        outside.serve();
        neighbour.serve();
        Self { real, outside, neighbour }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        move_into_link_name_space(self.real.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
    }
}

fn forwards(link: &str) -> bool {
    std::fs::read_to_string(format!("/proc/sys/net/ipv4/conf/{link}/forwarding")).unwrap().trim() == "1"
}

/// What is there of a spawner on this machine: links, and tables of packet rules.
fn traces() -> Vec<String> {
    let links = ip("-o link");
    let links = links.lines().filter_map(|line| line.split(": ").nth(1)).filter(|name| name.starts_with("hearth"));
    let tables = run(Command::new(PYTHON).args(["-I", "-c", TABLES]));
    links.chain(tables.lines()).map(|name| name.split('@').next().unwrap().to_owned()).collect()
}

pub(crate) async fn the_outside_answers_to_the_machines_address(world: World) {
    let script = format!("{TRY}print(json.dumps([get('{OUTSIDE}'), own, [n for _, n in socket.if_nameindex()]]))");
    let seen = json(&world.output(Probe::new(&script)).await);
    assert_eq!(seen[0], MACHINE.to_string());
    assert_ne!(seen[1], MACHINE.to_string());
    assert_eq!(seen[2], serde_json::json!(["lo", "eth0"]));
    assert_eq!(traces(), [format!("hearth{}", world.spawner_process), format!("hearth{}", world.spawner_process)]);
}

pub(crate) async fn the_machine_its_networks_and_metadata_are_out_of_reach(world: World) {
    let service = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = service.local_addr().unwrap().port();
    let local = TcpListener::bind("127.0.0.1:0").unwrap();
    let local_port = local.local_addr().unwrap().port();
    let datagrams = UdpSocket::bind("0.0.0.0:0").unwrap();
    datagrams.set_nonblocking(true).unwrap();
    let datagram_port = datagrams.local_addr().unwrap().port();
    let listens =
        "import socket, time\ns = socket.create_server(('0.0.0.0', 8080)); print('up', flush=True); time.sleep(600)";
    let mut other = world.run(Probe::new(listens)).await;
    assert_eq!(first_line(&mut other), "up");
    let script = format!(
        "{TRY}import struct\n\
         base = struct.unpack('>I', socket.inet_aton(router))[0] - 2\n\
         at = lambda n: socket.inet_ntoa(struct.pack('>I', base + n))\n\
         tried = {{'machine': get('{MACHINE}', {port}), 'link': get(at(1), {port}), 'router': get(at(2), {port}),\n\
         'other link': get('{OTHER_LINK}', {port}), 'neighbour': get('{NEIGHBOUR}'), 'metadata': get('{METADATA}'),\n\
         'loopback': get('127.0.0.1', {local_port}), 'zero': get('0.0.0.0', {local_port}), 'broadcast': get('203.0.113.255'),\n\
         'mapped': get('::ffff:{MACHINE}', {port}, socket.AF_INET6), 'six': get('2001:db8::1', 80, socket.AF_INET6),\n\
         'others': [get(at(n), 8080) for n in range(3, 12) if at(n) != own]}}\n\
         s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)\n\
         for a in ['{MACHINE}', at(1), '{OTHER_LINK}', '203.0.113.255', '255.255.255.255', '224.0.0.1']:\n  \
           try: s.sendto(b'hello', (a, {datagram_port}))\n  \
           except OSError: pass\n\
         tried['outside'] = get('{OUTSIDE}')\n\
         print(json.dumps(tried))"
    );
    let seen = json(&world.output(Probe::new(&script)).await);
    let tried = seen.as_object().unwrap();
    // The probe can get through, and what it tries is there.
    assert_eq!(seen["outside"], MACHINE.to_string());
    for (address, port) in
        [(MACHINE, port), (OTHER_LINK, port), (Ipv4Addr::LOCALHOST, local_port), (NEIGHBOUR, 80), (METADATA, 80)]
    {
        TcpStream::connect((address, port)).unwrap();
    }
    let answers =
        tried.iter().filter(|(name, _)| *name != "outside").flat_map(|(name, answer)| match answer.as_array() {
            Some(all) => all.iter().map(|answer| (name.as_str(), answer.clone())).collect::<Vec<_>>(),
            None => vec![(name.as_str(), answer.clone())],
        });
    for (name, answer) in answers {
        let refused = [
            "TimeoutError",
            "OSError No route",
            "OSError Network is unreachable",
            "ConnectionRefusedError",
            "PermissionError",
        ];
        assert!(refused.iter().any(|text| answer.as_str().unwrap().starts_with(text)), "{name}: {answer}");
    }
    assert_eq!(seen["six"], "OSError Network is unreachable");
    assert_eq!(datagrams.recv(&mut [0; 9]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    other.sandbox.destroy(false).await;
}

/// What a probe that goes on printed first.
fn first_line(running: &mut Running) -> String {
    let mut line = String::new();
    BufReader::new(&mut running.output).read_line(&mut line).unwrap();
    line.trim().to_owned()
}

pub(crate) async fn mail_between_servers_goes_nowhere(world: World) {
    let probe = format!("{TRY}print(json.dumps([get('{OUTSIDE}', 80) == own, get('{OUTSIDE}', 25)]))");
    let seen = json(&world.output(Probe::new(&probe)).await);
    assert_eq!(seen[1], "OSError No route to host");
    assert!(TcpStream::connect((OUTSIDE, 25)).is_ok(), "from the machine there is a way");
}

pub(crate) async fn both_ends_of_a_link_are_limited(world: World) {
    let mut running = world.run(Probe::new("import time; print('up', flush=True); time.sleep(600)")).await;
    first_line(&mut running);
    let limit = "qdisc tbf 1: root refcnt";
    let queues = |namespace: &str, link: &str| {
        let tc = ["--net=".to_owned() + namespace, "tc".to_owned()];
        run(Command::new("nsenter").args(tc).args(["qdisc", "show", "dev", link]))
    };
    let inside = format!("/proc/{}/ns/net", world.process_of_a_function());
    // The router has no process: the spawner's descriptor names it.
    let own = std::fs::read_link("/proc/self/ns/net").unwrap();
    let folder = format!("/proc/{}/fd", world.spawner_process);
    let is_router = |path: &std::path::PathBuf| {
        let target = std::fs::read_link(path).unwrap_or_default();
        target.to_string_lossy().starts_with("net:") && target != own
    };
    let mut descriptors = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let router = descriptors.find(is_router).unwrap();
    let router = router.to_str().unwrap();
    let links = run(Command::new("nsenter").args([&format!("--net={router}"), "ip", "-o", "link"]));
    let ends: Vec<_> =
        links.lines().filter_map(|line| line.split(": ").nth(1)?.strip_prefix('e')?.split_once('@')).collect();
    assert!(!ends.is_empty(), "{links}");
    let ends = ends.iter().map(|(number, _)| queues(router, &format!("e{number}")));
    for queue in ends.chain([queues(&inside, "eth0")]) {
        assert!(queue.starts_with(limit) && queue.contains(" rate 625Mbit burst "), "{queue}");
    }
    running.sandbox.destroy(false).await;
}

pub(crate) async fn nobody_gets_in(world: World) {
    let script = format!(
        "{TRY}import time\n\
         s = socket.create_server(('0.0.0.0', 8080)); print(own, get(own, 8080), flush=True)\ntime.sleep(600)"
    );
    let mut running = world.run(Probe::new(&script)).await;
    let line = first_line(&mut running);
    let (address, heard) = line.split_once(' ').unwrap();
    assert_eq!(heard, "TimeoutError None", "it connects to itself, and then hears nothing");
    let address: std::net::SocketAddr = format!("{address}:8080").parse().unwrap();
    let kind = TcpStream::connect_timeout(&address, Duration::from_secs(1)).unwrap_err().kind();
    assert!([std::io::ErrorKind::TimedOut, std::io::ErrorKind::PermissionDenied].contains(&kind), "{kind:?}");
    let try_it = format!(
        "import socket\ns = socket.socket(); s.settimeout(1)\n\
         try: s.connect(('{}', 8080)); print('in')\nexcept OSError: print('out')",
        address.ip()
    );
    assert_eq!(world.machine().outside.python(&try_it), "out\n");
    assert_eq!(world.machine().neighbour.python(&try_it), "out\n");
    running.sandbox.destroy(false).await;
}

pub(crate) async fn the_machine_does_not_become_a_router(world: World) {
    let through = format!(
        "import socket\ns = socket.socket(); s.settimeout(1)\n\
         try: s.connect(('{NEIGHBOUR}', 80)); print(s.recv(100).decode())\nexcept OSError as e: print('out')"
    );
    assert!(forwards("wan") && !forwards("lan"));
    assert_eq!(world.machine().outside.python(&through), "out\n");
    // What the machine itself does is not disturbed.
    TcpStream::connect((NEIGHBOUR, 80)).unwrap();
    TcpStream::connect((OUTSIDE, 80)).unwrap();
    world.spawner.stop().await;
    assert!(!forwards("wan"), "left on");
    assert!(!notes_of_this_machine());
    assert_eq!(traces(), [] as [String; 0]);
    std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
    assert_eq!(world.machine().outside.python(&through), format!("{OUTSIDE}\n"), "this test shows nothing");
}

fn notes_of_this_machine() -> bool {
    use std::os::unix::fs::MetadataExt;
    let namespace = std::fs::metadata("/proc/self/ns/net").unwrap().ino();
    let prefix = format!("forwarding-{namespace}-");
    let notes = std::fs::read_dir("/run/hearth").into_iter().flatten().flatten();
    notes.into_iter().any(|e| e.file_name().to_string_lossy().starts_with(&prefix))
}

pub(crate) async fn names_are_asked_for_where_the_server_listens(world: World) {
    let probe = "import socket\n\
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('127.0.0.1', 53)); s.send(b'who'); print(s.recv(9).decode())\n\
        s = socket.create_connection(('127.0.0.1', 53)); s.sendall(b'and'); s.shutdown(1); print(s.recv(9).decode())";
    let mut running = world.run(Probe::new(probe)).await;
    let names = running.sandbox.take_names().unwrap();
    assert!(running.sandbox.take_names().is_none());
    names.datagrams.set_nonblocking(false).unwrap();
    names.streams.set_nonblocking(false).unwrap();
    let serve = move || {
        let mut bytes = [0; 9];
        let (length, asker) = names.datagrams.recv_from(&mut bytes).unwrap();
        names.datagrams.send_to(&bytes[..length].to_ascii_uppercase(), asker).unwrap();
        let (mut stream, _) = names.streams.accept().unwrap();
        let mut asked = String::new();
        std::io::Read::read_to_string(&mut stream, &mut asked).unwrap();
        stream.write_all(asked.to_uppercase().as_bytes()).unwrap();
    };
    tokio::task::spawn_blocking(serve).await.unwrap();
    assert_eq!(running.read_all().await, "WHO\nAND\n");
    running.sandbox.destroy(false).await;
}

pub(crate) async fn an_environment_cannot_fill_the_machines_memory_of_connections(world: World) {
    let script = format!(
        "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
         for port in range(1, 4097):\n  \
           try: s.sendto(b'x', ('{OUTSIDE}', port))\n  \
           except OSError: pass\n"
    );
    world.output(Probe::new(&script)).await;
    let count: u32 =
        std::fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_count").unwrap().trim().parse().unwrap();
    let most = hearth_types::limits::ENVIRONMENT_CONNECTIONS;
    // Errors that others sent back are no connections of it.
    assert!((most - 10..most + 100).contains(&count), "{count}");
}

pub(crate) async fn environments_follow_the_machines_routes(world: World) {
    let script = format!("{TRY}print(get('{OUTSIDE}'))");
    // An address on the same link needs no default route for the machine, but environments go by such only.
    ip("route del default");
    until(|| async { world.output(Probe::new(&script)).await != format!("{MACHINE}\n") }).await;
    ip(&format!("route add default via {OUTSIDE}"));
    until(|| async { world.output(Probe::new(&script)).await == format!("{MACHINE}\n") }).await;
}

/// For what the spawner does by itself, soon.
async fn until<F: Future<Output = bool>>(mut done: impl FnMut() -> F) {
    let begin = std::time::Instant::now();
    while !done().await {
        assert!(begin.elapsed() < HANGS, "it never came");
    }
}

pub(crate) async fn an_orderly_end_waits_for_no_namespace(world: World) {
    // Whoever holds the router's namespace keeps its links alive, unless they are removed.
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", world.spawner_process)).unwrap().flatten();
    let held: Vec<std::fs::File> = descriptors
        .filter(|entry| {
            std::fs::read_link(entry.path()).is_ok_and(|target| target.to_string_lossy().starts_with("net:"))
        })
        .map(|entry| std::fs::File::open(entry.path()).unwrap())
        .collect();
    assert!(!held.is_empty(), "the router's namespace is held by other means: this test shows nothing");
    world.spawner.stop().await;
    assert_eq!(traces(), [] as [String; 0]);
}

pub(crate) async fn sudden_deaths_leave_no_link_and_no_rule(world: World) {
    let running = world.run(Probe::new("import time; time.sleep(600)")).await;
    assert_eq!(traces().len(), 2);
    let family = world.family_of(world.spawner_process);
    world.kill_all(&family);
    // A thread of the kernel takes namespaces down.
    until(|| async { traces().is_empty() }).await;
    assert_eq!(running.sandbox.exited().await, hearth_sandbox::Exit::Signal(9));
    assert!(forwards("wan"), "nobody was left to switch it off: this test shows nothing");
    world.residue().must_go(|left| left.iter().all(|what| what.contains("/cgroup")));
    let next = world.another_spawner();
    assert_eq!(traces().len(), 2);
    drop(next);
    until(|| async { !forwards("wan") && traces().is_empty() }).await;
    assert!(!notes_of_this_machine());
}
