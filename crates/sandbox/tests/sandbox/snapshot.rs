//! Functions that are written down and go on elsewhere.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use hearth_sandbox::{Exit, SandboxError, Snapshot, Template, Tmp};

use crate::harness::{Probe, Running, World, json};

/// A bound on waiting for what comes at once.
const PATIENCE: Duration = Duration::from_secs(20);

/// Becomes, as our bootstrap does, a child of the first process that waits to be written down.
const WAIT: &str = r"
import os, socket
def wait():
    s = socket.socket(); s.connect(('169.254.100.1', 9001))
    child = os.fork()
    if child:
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    global written_as
    written_as = os.getpid()
    s.sendall(b'GET /2018-06-01/runtime/restore/next HTTP/1.1\r\nHost: runtime\r\n\r\n')
    sum(range(globals().get('late', 0)))
    return s, s.recv(1000)
";

async fn template(world: &World, probe: &Probe<'_>) -> (Template, std::io::PipeReader) {
    let script = format!("{WAIT}{}", probe.script);
    let (output, theirs) = std::io::pipe().unwrap();
    let probe = Probe { script: &script, tmp: Tmp::New { mb: 512 }, layers: probe.layers.clone(), ..*probe };
    let made = world.spawner.make(Tmp::New { mb: 512 }).await.unwrap();
    let started = world.spawner.start(made, 0).await.unwrap();
    let program = probe.program(theirs.into());
    (world.spawner.assign_template(started, probe.assignment(), program).await.unwrap(), output)
}

/// Answers nothing; the connection stays open as long as it is kept.
fn asked(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(false).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut request = [0; 1000];
    let length = stream.read(&mut request).unwrap();
    assert!(request[..length].starts_with(b"GET /2018-06-01/runtime/restore/next "), "{:?}", &request[..length]);
    stream
}

async fn written(world: &World, probe: &Probe<'_>) -> Result<Snapshot, SandboxError> {
    let (mut template, _output) = template(world, probe).await;
    let listener = template.sandbox().take_listener().unwrap();
    let _connection = asked(&listener);
    template.write().await
}

async fn restored(world: &World, probe: &Probe<'_>, snapshot: &Snapshot) -> Running {
    let (output, theirs) = std::io::pipe().unwrap();
    let made = world.spawner.make(Tmp::New { mb: 512 }).await.unwrap();
    let started = world.spawner.start(made, 0).await.unwrap();
    let mut sandbox = world.spawner.restore(started, probe.assignment(), snapshot, theirs.into()).await.unwrap();
    let listener = sandbox.take_listener().unwrap();
    asked(&listener).write_all(b"go on").unwrap();
    Running { sandbox, output }
}

async fn said(running: Running) -> serde_json::Value {
    let Running { sandbox, mut output } = running;
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    assert_eq!(sandbox.exited().await, Exit::Code(0), "{text}");
    sandbox.destroy(false).await;
    json(&text)
}

pub(crate) async fn what_is_on_its_way_to_its_wait_is_waited_for(world: World) {
    let probe = Probe::new("late = 10 ** 7\ns, answer = wait()\nprint('{\"answer\": \"' + answer.decode() + '\"}')");
    let snapshot = written(&world, &probe).await.unwrap();
    let told = said(restored(&world, &probe, &snapshot).await).await;
    assert_eq!(told["answer"], "go on");
}

pub(crate) async fn it_goes_on_in_a_sandbox_of_its_own(world: World) {
    let script = "
import json, sys, time, signal, decimal, threading
def handler(*_): pass
signal.signal(signal.SIGUSR1, handler)
kept = [bytearray(b'x' * 5000) for _ in range(2000)]
file = open('/var/task/app.py'); file.read(2)
first = os.getpid(), time.monotonic()
s, answer = wait()
def deep(n): return 0 if n == 0 else 1 + deep(n - 1)
sys.setrecursionlimit(20000)
thread = threading.Thread(target=lambda: kept.append(1)); thread.start(); thread.join()
kept[0][0] = 65
print(json.dumps({
  'answer': answer.decode(), 'kept': [len(kept), bytes(kept[0][:2]).decode(), sum(map(len, kept[:-1]))],
  'deep': deep(5000), 'file': file.read(), 'signal': signal.getsignal(signal.SIGUSR1) is handler,
  'decimal': str(decimal.Decimal(1) / 3)[:6], 'later': time.monotonic() >= first[1], 'other_number': os.getpid() not in (first[0], written_as),
  'exec': os.spawnv(os.P_WAIT, '/usr/bin/python3.11', ['python', '-ISc', 'raise SystemExit(3)']), 'child': os.waitstatus_to_exitcode(os.waitpid(os.fork() or os._exit(7), 0)[1]),
  'name': open('/proc/self/comm').read().strip(), 'arguments': open('/proc/self/cmdline').read()[:15],
  'descriptors': sorted(map(int, os.listdir('/proc/self/fd')))[:-1], 'caps': [l for l in open('/proc/self/status') if l.startswith(('CapEff', 'Seccomp:', 'NoNewPrivs'))],
  'ids': os.getresuid(), 'maps': len(open('/proc/self/maps').readlines())}), flush=True)
os.kill(os.getpid(), signal.SIGUSR1)
";
    let probe = Probe::new(script);
    let snapshot = written(&world, &probe).await.unwrap();
    for _ in 0..2 {
        let told = said(restored(&world, &probe, &snapshot).await).await;
        let of = |name: &str| told[name].clone();
        assert_eq!(of("answer"), "go on");
        assert_eq!(of("kept"), serde_json::json!([2001, "Ax", 10_000_000]), "{told}");
        for name in ["later", "other_number", "signal"] {
            assert_eq!(of(name), true, "{name}: {told}");
        }
        assert_eq!((of("deep"), of("file"), of("exec")), (5000.into(), "= 1\n".into(), 3.into()));
        assert_eq!((of("decimal"), of("child")), ("0.3333".into(), 7.into()));
        assert_eq!((of("name"), of("arguments")), ("python3.11".into(), "/usr/bin/python".into()), "{told}");
        assert_eq!(of("descriptors"), serde_json::json!([0, 1, 2, 3, 4]), "{told}");
        let caps = ["CapEff:\t0000000000000000\n", "NoNewPrivs:\t1\n", "Seccomp:\t2\n"];
        assert_eq!(of("caps"), serde_json::json!(caps));
        assert_eq!(of("ids"), serde_json::json!([993, 993, 993]));
    }
}

pub(crate) async fn what_cannot_be_written_down_is_said(world: World) {
    for (script, reason) in [
        ("r, w = os.pipe(); wait()", "an open pipe:"),
        ("import select; e = select.epoll(); wait()", "an open anon_inode:[eventpoll]"),
        ("import signal; os.fork() or signal.pause(); wait()", "processes beside the runtime's"),
        (
            "import mmap; f = open('/tmp/x', 'w+b'); f.write(b'x' * 4096); f.flush(); m = mmap.mmap(f.fileno(), 4096); wait()",
            "shared memory",
        ),
    ] {
        let refused = written(&world, &Probe::new(script)).await.unwrap_err().to_string();
        assert!(refused.contains(reason), "{refused}");
    }
}
