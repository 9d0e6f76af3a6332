"""The server from end to end on a cgroup v2 machine, with nothing but Python's standard library.

Runs inside the guest, as root or as an ordinary user with a control group of its own. What the clients and the rest of the behaviour are worth is tested elsewhere; this is
about what the machine enforces: limits, freezing, killing, and that nothing is left.
"""

import base64
import io
import json
import os
import signal
import subprocess
import sys
import time
import traceback
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

ORDINARY = os.getuid() != 0
# Below which control group the servers have theirs: an ordinary user is given one, and starts each server in a new one.
BASE = Path(os.environ["HEARTH_GROUP"]) if ORDINARY else Path("/sys/fs/cgroup")
SLOTS = "*/hearth/*/*" if ORDINARY else "hearth/*/*"
DATA = Path.home() / "hearth-smoke" if ORDINARY else Path("/var/tmp/hearth-smoke")
MB = 1 << 20
# Emulation is some twenty times slower than the machine; these bound a hang, they measure nothing.
WAIT_S = 60
INVOKE_S = 300

PYTHON = '''
import errno, os, threading
invokes = 0
beats = 0

def beat():
    global beats
    while True:
        beats += 1

def fill():
    written, block = 0, bytes(1 << 20)
    try:
        with open("/tmp/fill", "wb", buffering=0) as file:
            while True:
                written += file.write(block)
    except OSError as error:
        return {"errno": errno.errorcode[error.errno], "written": written, "size": os.path.getsize("/tmp/fill")}

def processes():
    children = []
    try:
        while len(children) < 3000:
            child = os.fork()
            if child == 0:
                os.read(hold[0], 1)
                os._exit(0)
            children.append(child)
        error = None
    except OSError as failure:
        error = errno.errorcode[failure.errno]
    os.close(hold[1])
    for child in children:
        os.kill(child, 9)
        os.waitpid(child, 0)
    return {"error": error, "made": len(children)}

hold = os.pipe()

def handler(event, context):
    global invokes
    invokes += 1
    what = event.get("do")
    if what == "beat":
        threading.Thread(target=beat, daemon=True).start()
    elif what == "fill":
        return fill()
    elif what == "eat":
        kept = []
        while True:
            kept.append(b"x" * (1 << 20))
    elif what == "processes":
        return processes()
    elif what == "hang":
        while True:
            pass
    return {"invokes": invokes, "beats": beats, "pid": os.getpid(), "uid": os.getuid(), "echo": event.get("echo")}
'''

NODE = '''
let invokes = 0;
export const handler = async (event) => ({ invokes: ++invokes, node: process.version, echo: event.echo });
'''

# What the snapshot holds is the same in all environments, what is drawn after it is not.
SNAPSHOT = '''
import os, random, ssl, uuid
mark = os.urandom(8).hex()
random.random(), ssl.RAND_bytes(8), uuid.uuid4()

def handler(event, context):
    if event.get("do") == "end":
        os._exit(1)
    drawn = [random.getrandbits(64), ssl.RAND_bytes(16).hex(), str(uuid.uuid4()), os.urandom(16).hex()]
    return {"mark": mark, "drawn": drawn, "uid": os.getuid(), "type": os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]}
'''
# SnapStart begins with it.
SNAP_START = "python3.12"

EXTENSION = '''#!/var/lang/bin/python3.11 -IS
import http.client, json, os
def call(method, path, body=None, headers={}):
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    connection.request(method, "/2020-01-01/extension/" + path, body, headers)
    answer = connection.getresponse()
    return answer.getheader("Lambda-Extension-Identifier"), json.loads(answer.read())
me, _ = call("POST", "register", '{"events": ["INVOKE"]}', {"Lambda-Extension-Name": "tells"})
while True:
    print("EXTENSION", call("GET", "event/next", headers={"Lambda-Extension-Identifier": me})[1]["eventType"], flush=True)
'''


def package_of(name, text, mode=0o644):
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        # Lambda's users have their files readable for all.
        entry = zipfile.ZipInfo(name)
        entry.external_attr = (0o100000 | mode) << 16
        archive.writestr(entry, text)
    return base64.b64encode(package.getvalue()).decode()


class Server:
    def __init__(self):
        command = ["hearth", "serve", "--listen", "127.0.0.1:0", "--data-dir", str(DATA)]
        if ORDINARY:
            command += ["--isolation-at-least", "limits"]
        self.scope = BASE / f"server-{time.monotonic_ns()}"
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, preexec_fn=self.enter if ORDINARY else None
        )
        line = self.process.stdout.readline()
        assert line.split() and line.split()[-1].startswith("http://"), f"not ready: {line!r}"
        self.root = line.split()[-1].rstrip("/")
        self.url = self.root + "/2015-03-31/functions"

    def enter(self):
        self.scope.mkdir()
        (self.scope / "cgroup.procs").write_text("0")

    def remove_scope(self):
        """As systemd does after the last process, which cleans up after the others."""
        events = self.scope / "cgroup.events"
        wait_until(lambda: "populated 0" in events.read_text(), lambda: f"alive: {self.processes()}")
        for folder in sorted(self.scope.glob("**/"), reverse=True):
            folder.rmdir()

    def processes(self):
        return [pid for file in self.scope.glob("**/cgroup.procs") for pid in file.read_text().split()]

    def request(self, method, path, body=None, headers={}):
        """Status, headers and body of the answer; an error's as well."""
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=INVOKE_S) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def create(self, name, memory_mb, runtime="python3.11", timeout_s=INVOKE_S, code=PYTHON, **more):
        package = package_of("app.mjs", NODE) if runtime.startswith("node") else package_of("app.py", code)
        function = {
            "FunctionName": name,
            "Runtime": runtime,
            "Role": "arn:aws:iam::000000000000:role/smoke",
            "Handler": "app.handler",
            "MemorySize": memory_mb,
            "Timeout": timeout_s,
            "Code": {"ZipFile": package},
            **more,
        }
        status, _, body = self.request("POST", "", json.dumps(function).encode())
        assert status == 201, (status, body)
        wait_until(lambda: self.state(name) == "Active", lambda: f"{name} is {self.state(name)}")

    def shown(self, name, qualifier="$LATEST"):
        status, _, body = self.request("GET", f"/{name}/configuration?Qualifier={qualifier}")
        assert status == 200, (status, body)
        return json.loads(body)

    def state(self, name):
        return self.shown(name)["State"]

    def publish_layer(self, name, package):
        body = json.dumps({"Content": {"ZipFile": package}}).encode()
        request = urllib.request.Request(f"{self.root}/2018-10-31/layers/{name}/versions", body, method="POST")
        with urllib.request.urlopen(request, timeout=INVOKE_S) as answer:
            return json.load(answer)["LayerVersionArn"]

    def lines(self, name):
        """Of a function's log group."""
        headers = {"X-Amz-Target": "Logs_20140328.FilterLogEvents", "Content-Type": "application/x-amz-json-1.1"}
        body = json.dumps({"logGroupName": f"/aws/lambda/{name}"}).encode()
        with urllib.request.urlopen(urllib.request.Request(self.root, body, headers), timeout=INVOKE_S) as answer:
            return [event["message"].rstrip() for event in json.load(answer)["events"]]

    def invoke(self, name, qualifier="$LATEST", **event):
        headers = {"X-Amz-Log-Type": "Tail"}
        path = f"/{name}/invocations?Qualifier={qualifier}"
        status, headers, body = self.request("POST", path, json.dumps(event).encode(), headers)
        assert status == 200, (status, body)
        log = base64.b64decode(headers["X-Amz-Log-Result"]).decode()
        return Answer(json.loads(body), headers["X-Amz-Function-Error"], log)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(WAIT_S)


class Answer:
    def __init__(self, payload, error, log):
        self.payload, self.error, self.log = payload, error, log

    def ok(self):
        assert self.error is None, (self.error, self.payload, self.log)
        return self.payload


class Cgroup:
    """The group of the one environment that has so much memory."""

    def __init__(self, memory_mb):
        limit = str(memory_mb * MB)
        found = [d for d in BASE.glob(SLOTS) if d.is_dir() and (d / "memory.max").read_text().strip() == limit]
        assert len(found) == 1, f"{len(found)} control groups have memory.max = {limit}"
        self.path = found[0]

    def read(self, name):
        return (self.path / name).read_text().strip()

    def field(self, name, key):
        return int(dict(line.split() for line in self.read(name).splitlines())[key])

    def frozen(self):
        return self.field("cgroup.events", "frozen") == 1


def wait_until(condition, message):
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, message() if callable(message) else message
        time.sleep(0.05)


def cold_then_warm(server):
    server.create("warm", 256)
    cold, warm = server.invoke("warm", echo="é1"), server.invoke("warm", echo=2)
    assert (cold.ok()["invokes"], cold.payload["echo"]) == (1, "é1"), cold.payload
    assert (warm.ok()["invokes"], warm.payload["pid"]) == (2, cold.payload["pid"]), warm.payload
    assert warm.payload["uid"] != 0
    assert "Init Duration" in cold.log and "Init Duration" not in warm.log, (cold.log, warm.log)


def limits_are_the_kernels(server):
    server.create("limits", 384)
    server.invoke("limits").ok()
    group = Cgroup(384)
    quota, period = map(int, group.read("cpu.max").split())
    cores = os.cpu_count()
    assert abs(quota / period - min(384 / 1769, cores)) < 0.01, group.read("cpu.max")
    assert group.read("memory.swap.max") == "0" if (group.path / "memory.swap.max").exists() else True
    assert group.field("memory.events", "oom_kill") == 0
    assert 1024 <= int(group.read("pids.max")) < 1100, group.read("pids.max")


def idle_is_frozen(server):
    server.create("frozen", 320)
    server.invoke("frozen", do="beat").ok()
    group = Cgroup(320)
    wait_until(group.frozen, lambda: f"never frozen: {group.read('cgroup.events')}")
    used = group.field("cpu.stat", "usage_usec")
    time.sleep(1)
    assert group.frozen() and group.field("cpu.stat", "usage_usec") == used, "a frozen environment used the CPU"
    thawed = server.invoke("frozen").ok()
    assert thawed["invokes"] == 2 and thawed["beats"] > 0, thawed
    wait_until(group.frozen, "not frozen again")


def a_full_tmp_is_enospc_and_survived(server):
    # Without root it is in memory, and counts.
    memory_mb = 896 if ORDINARY else 128
    server.create("full", memory_mb)
    answer = server.invoke("full", do="fill").ok()
    assert answer["errno"] == "ENOSPC", answer
    # What the file system keeps for itself is not the function's loss: Lambda shows 512 MB as about 525 MB of 551.
    assert 480 * MB <= answer["written"] == answer["size"], answer
    group = Cgroup(memory_mb)
    assert group.field("memory.events", "oom_kill") == 0
    assert server.invoke("full").ok()["invokes"] == 2, "the environment did not live on"


def users_are_nobody_elses(server):
    server.create("ids", 576)
    server.invoke("ids").ok()
    pid = int(Cgroup(576).read("cgroup.procs").split()[-1])
    uid = processes()[pid]
    assert uid >= 100000, f"process {pid} is of user {uid}"


def too_much_memory_is_a_kill(server):
    server.create("greedy", 192)
    before = server.invoke("greedy").ok()
    answer = server.invoke("greedy", do="eat")
    assert answer.error == "Unhandled", (answer.error, answer.payload)
    assert answer.payload["errorType"] == "Runtime.ExitError", answer.payload
    assert answer.payload["errorMessage"].endswith("Error: Runtime exited with error: signal: killed"), answer.payload
    after = server.invoke("greedy").ok()
    assert after["invokes"] == 1, "the processes must be new"
    assert before["invokes"] == 1


def processes_have_an_end(server):
    server.create("forks", 1024)
    answer = server.invoke("forks", do="processes").ok()
    assert answer["error"] == "EAGAIN" and 900 < answer["made"] < 1024, answer
    assert server.invoke("forks").ok()["invokes"] == 2


def a_timeout_ends_the_processes(server):
    server.create("hang", 448, timeout_s=20)
    before = server.invoke("hang").ok()
    answer = server.invoke("hang", do="hang")
    assert answer.error == "Unhandled" and "Task timed out after 20.00 seconds" in answer.payload["errorMessage"], answer.payload
    after = server.invoke("hang").ok()
    assert (before["invokes"], after["invokes"]) == (1, 1)


def node_runs(server):
    server.create("node", 1024, runtime="nodejs18.x")
    cold, warm = server.invoke("node", echo="a").ok(), server.invoke("node", echo="b").ok()
    assert (cold["invokes"], warm["invokes"], warm["echo"]) == (1, 2, "b"), (cold, warm)


def an_extension_is_let_go_before_the_runtime(server):
    layer = server.publish_layer("tells", package_of("extensions/tells", EXTENSION, 0o755))
    server.create("extended", 640, Layers=[layer])
    assert server.invoke("extended").ok()["invokes"] == 1
    wait_until(lambda: "EXTENSION INVOKE" in server.lines("extended"), lambda: f"{server.lines('extended')}")


def a_version_goes_on_from_its_snapshot(server):
    server.create("snapshot", 704, runtime=SNAP_START, code=SNAPSHOT, SnapStart={"ApplyOn": "PublishedVersions"})
    status, _, body = server.request("POST", "/snapshot/versions", b"{}")
    assert status == 201 and json.loads(body)["State"] == "Pending", (status, body)
    shown = lambda: server.shown("snapshot", 1)
    wait_until(lambda: shown()["State"] != "Pending", "the version stays Pending")
    version = shown()
    assert (version["State"], version["SnapStart"]["OptimizationStatus"]) == ("Active", "On"), (version, server.lines("snapshot"))
    answers = []
    for _ in range(3):
        answer = server.invoke("snapshot", 1)
        answers.append(answer.ok())
        # After a crash the restore is part of the invoke, as an init is.
        assert "Init Duration" not in answer.log and ("Restore Duration" in answer.log) == (len(answers) == 1), answer.log
        group = Cgroup(704)
        wait_until(group.frozen, "a restored environment is not frozen")
        assert processes()[int(group.read("cgroup.procs").split()[-1])] >= 100000
        # The next one is another clone.
        assert server.invoke("snapshot", 1, do="end").error == "Unhandled"
    assert {(answer["type"], answer["uid"]) for answer in answers} == {("snap-start", 993)}, answers
    assert len({answer["mark"] for answer in answers}) == 1, "each was initialised anew"
    for drawn in zip(*(answer["drawn"] for answer in answers)):
        assert len(set(drawn)) == len(answers), f"drawn twice: {drawn}"
    restored = lambda: sum(line.startswith("RESTORE_REPORT Restore Duration") for line in server.lines("snapshot"))
    wait_until(lambda: restored() == len(answers), lambda: f"{server.lines('snapshot')}")
    assert server.invoke("snapshot").ok()["type"] == "on-demand"


CASES = [
    cold_then_warm,
    limits_are_the_kernels,
    idle_is_frozen,
    a_full_tmp_is_enospc_and_survived,
    users_are_nobody_elses,
    too_much_memory_is_a_kill,
    processes_have_an_end,
    a_timeout_ends_the_processes,
    node_runs,
    an_extension_is_let_go_before_the_runtime,
    a_version_goes_on_from_its_snapshot,
]


def processes():
    """Process id -> user id, of all that run."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            found[int(folder.name)] = folder.stat().st_uid
        except FileNotFoundError:
            pass
    return found


def left():
    """Processes, mounts and loop devices of Hearth."""
    names = [f"process {pid} of user {uid}" for pid, uid in processes().items() if uid not in (0, os.getuid())]
    names += [f"process {pid} called hearth" for pid in processes() if name_of(pid).startswith("hearth")]
    names += [f"mount {line}" for line in Path("/proc/mounts").read_text().splitlines() if str(DATA) in line]
    names += [f"loop device {path}" for path in Path("/sys/block").glob("loop*/loop/backing_file")]
    return names


def name_of(pid):
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return ""


def groups():
    return [str(path) for path in BASE.glob(SLOTS) if path.is_dir()]


def a_stopped_server_leaves_nothing(server):
    status = server.stop()
    assert status == 0, f"exit status {status}"
    wait_until(lambda: not left(), lambda: f"left: {left()}")
    wait_until(lambda: not groups(), lambda: f"left: {groups()}")


def a_killed_server_leaves_nothing_alive(_):
    server = Server()
    server.create("lasts", 256)
    server.invoke("lasts").ok()
    server.process.kill()
    server.process.wait()
    wait_until(lambda: not left(), lambda: f"left: {left()}")
    dead = groups()
    if ORDINARY:
        server.remove_scope()
    server = Server()
    assert server.invoke("lasts").ok()["invokes"] == 1, "functions outlive a crash"
    kept = set(dead) & set(groups())
    assert not kept, f"control groups of the dead server: {kept}"
    assert server.stop() == 0


def main():
    chosen = sys.argv[1:]
    server = Server()
    failed = 0
    cases = [case for case in CASES if not chosen or case.__name__ in chosen]
    for case in [*cases, a_stopped_server_leaves_nothing, a_killed_server_leaves_nothing_alive]:
        start = time.monotonic()
        try:
            case(server)
            print(f"test {case.__name__} ... ok ({time.monotonic() - start:.1f} s)", flush=True)
        except Exception:
            failed += 1
            print(f"test {case.__name__} ... FAILED\n{traceback.format_exc()}", flush=True)
    server.process.kill()
    print(f"test result: {'FAILED' if failed else 'ok'}. {len(cases) + 2 - failed} passed; {failed} failed;", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
