"""A server with a network of its own, a bystander, and canaries; and what must be as before once a row is over."""

import ctypes
import fcntl
import inspect
import json
import os
import re
import secrets
import shutil
import socket
import struct
import subprocess
import tempfile
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from support.clients import service_of
from support.server import Server, descendants, namespaces_of, read, wait_until
from tests.conftest import client_of, deployer

INSIDE = Path(__file__).with_name("inside.py").read_text()
HANDLER = """
def handler(event, context):
    global request
    got, request = [], context.aws_request_id
    said = {name}(event, got)
    return {{"got": got, "said": said}}
"""
# Where services of a cloud would answer; in here on the loopback of the world's own network.
METADATA = ("169.254.169.254", "169.254.170.2", "10.9.9.9")
# Of services that a platform has beside it.
PORTS = (80, 2379, 4222, 5432, 9000)
# What goes by itself goes; a busy machine takes its time.
RESIDUE_S = 60
# So long nothing must change until all that is made ahead is taken to be there.
SETTLED_S = 5
_libc = ctypes.CDLL(None, use_errno=True)
NEW_NETWORK = 0x40000000


class WeakServer(Server):
    """The same server from a build that can leave defences out."""

    def __init__(self, off, *args):
        super().__init__(*args)
        self.off = off

    def launch(self):
        command = [os.environ["HEARTH_WEAK"], "serve", "--listen", self.listen, "--data-dir", str(self.data), *self.args]
        if "uts-namespace" in self.off:
            # Each environment gives its name to whatever namespace it is in: the machine's own is what others look at meanwhile.
            command = ["unshare", "--uts", *command]
        environment = {**os.environ, "HEARTH_WEAKEN": ",".join(sorted(self.off))}
        with open(self.log, "ab") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=environment)


class World:
    """`off`: the defences that are left out."""

    def __init__(self, off=frozenset(), *args):
        self.off, self.strong = off, not off
        self.canaries = {name: f"canary-{name}-{secrets.token_hex(12)}" for name in ("file", "process", "variable", "tmp", "log", "event", "store")}
        self.folder = Path(tempfile.mkdtemp(prefix="hearth-hostile-"))
        self.folder.chmod(0o755)
        self.secret = self.folder / "secret"
        self.secret.write_text(self.canaries["file"])
        os.environ["PLATFORM_CANARY"] = self.canaries["process"]
        self.netns = None
        self.threads = ThreadPoolExecutor(16, initializer=self.enter)
        # One environment after the other where all are in one network.
        few = ("--pool", "0", "--ahead", "0") if "network-namespace" in off else ("--pool", "2", "--ahead", "1")
        self.server = self.call(lambda: (WeakServer(off, *few, *args) if off else Server(*few, *args)).start())
        self.client = client_of(self.server)
        self.deploy, self.clean = deployer(self.client)
        self.visits = self.call(self.listen)
        self.said, self.scanned = [], {}
        self.bystander = Bystander(self) if self.strong else None

    def enter(self):
        """Brings a thread into the world's network."""
        if self.netns is None:
            assert _libc.unshare(NEW_NETWORK) == 0
            self.netns = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
            with socket.socket() as sock:
                fcntl.ioctl(sock, 0x8914, struct.pack("16sH22x", b"lo", 0x49))
            for address in METADATA:
                subprocess.run(["ip", "addr", "add", f"{address}/32", "dev", "lo"], check=True)
        else:
            assert _libc.setns(self.netns, NEW_NETWORK) == 0

    def call(self, do, *args, **more):
        """Does it in the world's network."""
        return self.threads.submit(do, *args, **more).result()

    def listen(self):
        """What a function must not reach: each visit is noted."""
        visits, guests = [], []

        def serve(listener):
            while True:
                try:
                    guest, _ = listener.accept()
                except OSError:
                    return
                visits.append(guest.getsockname())
                guest.close()

        for port in PORTS:
            listener = socket.create_server(("0.0.0.0", port))
            guests.append(listener)
            threading.Thread(target=serve, args=(listener,), daemon=True).start()
        self.listeners = guests
        return visits

    def function(self, attack, files=(), **settings):
        """Deploys an attack: a function of two arguments, the event and a list of what got through."""
        code = INSIDE + "\n\n" + textwrap.dedent(inspect.getsource(attack)) + HANDLER.format(name=attack.__name__)
        return self.call(self.deploy, {"app.py": code, **dict(files)}, **{"Timeout": 60, **settings})

    def invoke(self, function, event=None, **args):
        """The answer as the client has it; what it says is kept for the canaries."""
        answer = self.call(function.invoke, event, **args)
        self.said.append(answer["payload"])
        return answer

    def ask(self, function, event=None, **args):
        """What the attack tells: {"got": ..., "said": ...}."""
        answer = self.invoke(function, event, **args)
        assert "FunctionError" not in answer, answer["payload"]
        return json.loads(answer["payload"])

    def run(self, attack, event=None, files=(), **settings):
        """Deploys and runs an attack once: what got through."""
        return self.ask(self.function(attack, files, **settings), event)["got"]

    @contextmanager
    def growth(self):
        """The most that the server's memory grows within the block, in MB: growth[0]."""
        before, most, over = self.memory(), [0], threading.Event()

        def look():
            while not over.wait(0.05):
                most[0] = max(most[0], self.memory() - before)

        looking = threading.Thread(target=look)
        looking.start()
        try:
            yield most
        finally:
            over.set()
            looking.join()

    def memory(self):
        """MB of memory that the server has in use."""
        return int(read(f"/proc/{self.server.pid}/statm").split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20

    def raw(self, head, body=b"", timeout=120, hold=0):
        """All bytes that come back for a request of one's own making."""

        def talk():
            with socket.create_connection(("127.0.0.1", self.server.port), timeout) as sock:
                try:
                    sock.sendall(head + body)
                    data = b""
                    while part := sock.recv(65536):
                        data += part
                        if hold and len(data) >= hold:
                            break
                except OSError:
                    pass
                return data

        return self.call(talk)

    def is_well(self):
        """The control API answers, and a new function can be made, invoked and deleted."""
        started = time.monotonic()
        self.call(self.client.list_functions)
        answered = time.monotonic() - started
        function = self.call(self.deploy, "def handler(event, context):\n    return event\n")
        assert self.call(function.call, 7) == 7
        self.call(function.delete)
        return answered

    def leaks(self):
        """Canaries in what functions have said or logged since the last look."""
        told = b"".join(self.said + [self.new_in(path) for path in self.logs()])
        self.said.clear()
        return [name for name, mark in self.canaries.items() if mark.encode() in told]

    def logs(self):
        """Files of all logs but the bystander's own, and but what is being written to become a group's description."""
        own = {path.parent for path in (self.server.data / "logs").rglob("group.json") if "/bystander" in path.read_text()}
        files = [path for path in (self.server.data / "logs").rglob("*") if path.is_file() and path.parent not in own]
        return [path for path in files if path.suffix != ".new"]

    def new_in(self, path):
        with open(path, "rb") as file:
            file.seek(self.scanned.get(path, 0))
            data = file.read()
            self.scanned[path] = file.tell()
        return data

    def tidy(self):
        """Deletes the row's functions; where all environments are in one network, nothing of them may be in the next one's way."""
        self.call(self.clean)
        if "network-namespace" in self.off:
            # The spawner, the reaper and a jail that waits for an archive; an environment has two at the least.
            wait_until(lambda: len(descendants(self.server.pid)) <= 3, RESIDUE_S, "an environment did not end")
        self.deploy, self.clean = deployer(self.client)

    def close(self):
        if self.bystander:
            self.bystander.stop()
        try:
            self.tidy()
            if self.server.running():
                self.call(self.server.stop)
        finally:
            self.server.close()
            for listener in self.listeners:
                listener.close()
            self.threads.shutdown()
            os.close(self.netns)
            shutil.rmtree(self.folder, ignore_errors=True)


BYSTANDER = """
import os
open("/tmp/canary", "w").write(os.environ["TMP_CANARY"])
print(os.environ["LOG_CANARY"])
def handler(event, context):
    return event
"""


class Bystander:
    """Another function under a steady, light load: no row may cost it an error."""

    def __init__(self, world):
        self.world, self.errors, self.answers, self.took = world, [], 0, []
        marks = world.canaries
        variables = {"CANARY": marks["variable"], "TMP_CANARY": marks["tmp"], "LOG_CANARY": marks["log"]}
        deploy, _ = deployer(world.client)
        # Not in a file with others' lines: what it logs there itself is no leak.
        world.call(lambda: service_of(world.server, "logs").create_log_group(logGroupName="/aws/lambda/bystander"))
        self.function = world.call(deploy, BYSTANDER, Environment={"Variables": variables}, Description=marks["store"], FunctionName="bystander", Timeout=60)
        self.name = self.function.name
        world.call(self.function.call, marks["event"])
        self.over = threading.Event()
        self.thread = world.threads.submit(self.live)

    def live(self):
        while not self.over.wait(0.05):
            started = time.monotonic()
            try:
                answer = self.function.invoke(self.world.canaries["event"])
                if "FunctionError" in answer or json.loads(answer["payload"]) != self.world.canaries["event"]:
                    self.errors.append(answer["payload"])
            except Exception as error:
                self.errors.append(repr(error))
            self.answers += 1
            self.took.append(time.monotonic() - started)

    def process(self):
        """The pid of its runtime, as the machine knows it."""
        for pid in descendants(self.world.server.pid):
            if self.world.canaries["variable"] in read(f"/proc/{pid}/environ"):
                return pid
        raise AssertionError("the bystander has no process")

    def check(self):
        errors, self.errors = self.errors, []
        assert not errors, f"the bystander suffered: {errors[:3]}"

    def stop(self):
        self.over.set()
        self.thread.result()


class Audit:
    """What is there because of one server, counted; and values of the machine that no function may change."""

    MACHINE = ("kernel/hostname", "kernel/domainname", "kernel/core_pattern", "kernel/modprobe", "kernel/panic", "kernel/sysrq", "kernel/tainted", "vm/overcommit_memory", "net/ipv4/ip_forward")

    def __init__(self, world):
        self.world, server = world, world.server
        self.pids = (server.pid, server.spawner())
        self.machine = self.values()
        self.modules = self.names_of_modules()
        self.before = self.settled()

    def settled(self):
        """The counts once what is made ahead is there."""
        last, since = self.counts(), time.monotonic()
        while time.monotonic() - since < SETTLED_S:
            time.sleep(0.1)
            if (now := self.counts()) != last:
                last, since = now, time.monotonic()
        return last

    def values(self):
        return {name: read(f"/proc/sys/{name}") for name in self.MACHINE}

    def names_of_modules(self):
        return sorted(line.split()[0] for line in read("/proc/modules").splitlines())

    def counts(self):
        server, spawner = self.pids
        all_pids = descendants(server)
        top = Path("/sys/fs/cgroup")
        instance = [path for pattern in ("hearth", "*/hearth") for path in top.glob(f"{pattern}/{spawner}-*")]
        data = str(self.world.server.folder)
        return {
            "processes": len(all_pids),
            "cgroups": sum(len([p for p in path.iterdir() if p.is_dir()]) for path in instance),
            "loop devices": sum(data in read(file) for file in Path("/sys/block").glob("loop*/loop/backing_file")),
            "mounts of the server": len(read(f"/proc/{server}/mountinfo").splitlines()),
            "mounts of the spawner": len(read(f"/proc/{spawner}/mountinfo").splitlines()),
            "mounts of the machine": sum(data in line for line in read("/proc/self/mountinfo").splitlines()),
            "namespaces": len({ns for pid in all_pids for ns in namespaces_of(pid)}),
            **descriptors("the server", server),
            **descriptors("the spawner", spawner),
            # A template for each size that /tmp has had stays.
            "files of /tmp volumes": sum(not path.name.startswith("template-") for path in (self.world.server.data / "tmp").iterdir()),
        }

    def more(self):
        """What there is more of than before."""
        now = self.counts()
        return {name: (self.before.get(name, 0), count) for name, count in now.items() if count > self.before.get(name, 0)}

    def check(self):
        wait_until(lambda: not self.more(), RESIDUE_S, lambda: f"residue: {self.more()}")
        assert self.values() == self.machine, (self.machine, self.values())
        assert self.names_of_modules() == self.modules


def descriptors(whose, pid):
    """How many of each kind a process has, but log files, of which a bounded number stays open, and what clients hold open."""
    found, clients = {}, {f"socket:[{inode}]" for inode in connections(pid)}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{fd}")
        except OSError:
            continue
        if "/logs/" not in target and target not in clients:
            name = f"descriptors of {whose}: {re.sub('[0-9]+', 'N', target)}"
            found[name] = found.get(name, 0) + 1
    return found


def connections(pid):
    """Inodes of established connections of the process's network that were accepted at a port that it listens on."""
    rows = [line.split() for line in read(f"/proc/{pid}/net/tcp").splitlines()[1:]]
    listening = {row[1].split(":")[1] for row in rows if row[3] == "0A"}
    return {row[9] for row in rows if row[3] != "0A" and row[1].split(":")[1] in listening}
