"""A `hearth serve` of the tests' own, and the proof that nothing of it is left."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

HEARTH = os.environ.get("HEARTH", "hearth")
# How many worker processes the functions of all servers run in that do not say it themselves. 0: in the server's own.
WORKERS = int(os.environ.get("HEARTH_WORKERS", "0"))
READY_S = 60
STOP_S = 60
# What a test waits for comes. This bound ends those of which it never does, however busy the machine is.
HANGS_S = 90


class Server:
    """Starts on a free port with a data folder of its own. `start` again after `kill` keeps the data folder."""

    def __init__(self, *args, listen="127.0.0.1:0", before=()):
        """`before` are the words of a command that ends by starting another one."""
        self.args, self.listen, self.before = args, listen, before
        self.folder = Path(tempfile.mkdtemp(prefix="hearth-e2e-"))
        self.data = self.folder / "data"
        self.log = self.folder / "server.log"
        self.process = None
        self.url = None

    def launch(self):
        command = [*self.before, HEARTH, "serve", "--listen", self.listen, "--data-dir", str(self.data), *self.workers(), *self.args]
        with open(self.log, "ab") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)

    def workers(self):
        says = {"--no-worker", "--workers"} & set(self.args)
        return [] if says or not WORKERS or self.before else ["--workers", str(WORKERS)]

    def start_and_kill(self, seconds):
        """A start that a crash interrupts after this time, wherever it is by then."""
        with self.launch() as process:
            try:
                status = process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
            else:
                raise AssertionError(f"ended by itself with {status}\n{self.log_text()}")

    def start(self):
        self.process = self.launch()
        guard = threading.Timer(READY_S, self.process.kill)
        guard.start()
        line = self.process.stdout.readline().decode()
        guard.cancel()
        words = line.split()
        assert words and words[-1].startswith("http://"), f"not ready: {line!r}\n{self.log_text()}"
        self.url = words[-1].rstrip("/")
        return self

    @property
    def pid(self):
        return self.process.pid

    @property
    def port(self):
        return int(self.url.rsplit(":", 1)[1])

    def log_text(self):
        return self.log.read_text(errors="replace")

    def stop(self):
        """Stops as a supervisor does; nothing may be left."""
        traces = Traces(self)
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(STOP_S)
        assert status == 0, f"ended with {status}\n{self.log_text()}"
        traces.check(cgroups=True)

    def kill(self, *others):
        """As a crash: the server, and the given processes, get no chance to clean up."""
        for pid in (self.pid, *others):
            os.kill(pid, signal.SIGKILL)
        self.process.wait(STOP_S)

    def running(self):
        return self.process is not None and self.process.poll() is None

    def close(self):
        """Ends whatever still runs and removes the data folder."""
        if self.running():
            self.process.kill()
            self.process.wait()
        if self.process is not None:
            self.process.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def environments(self, function):
        """What lives of a function's environments, and what each does."""
        with urllib.request.urlopen(f"{self.url}/_hearth/functions/{function.name}/environments") as answer:
            return json.load(answer)["Environments"]

    def states(self, function):
        return [environment["State"] for environment in self.environments(function)]

    def until_busy(self, function, count=1):
        """Returns once so many of the function's invokes are under way."""
        wait_until(lambda: sum(state in ("Init", "Busy") for state in self.states(function)) >= count, HANGS_S, lambda: f"{self.states(function)}: too few are busy")

    def until_idle(self, function):
        """Returns once all of the function's environments are idle: an answer comes a moment before that."""
        wait_until(lambda: set(self.states(function)) <= {"Idle"}, HANGS_S, lambda: f"{self.states(function)}: not all are idle")

    def spawner(self):
        """The child that holds the privileges."""
        children = [pid for pid, (parent, _) in processes().items() if parent == self.pid]
        children = [pid for pid in children if "keep-workers" not in read(f"/proc/{pid}/cmdline").split("\0")]
        assert len(children) == 1, children
        return children[0]


@contextmanager
def running(*args):
    """A server for a block of tests; at its end it must stop cleanly and leave nothing."""
    server = Server(*args)
    try:
        yield server.start()
        assert server.running(), f"the server did not survive the tests\n{server.log_text()}"
        server.stop()
    finally:
        server.close()


class Traces:
    """What exists because of one server: taken while it runs, checked when it is gone."""

    def __init__(self, server):
        table = processes()
        self.data = str(server.folder)
        self.processes = {(pid, table[pid][1]) for pid in descendants(server.pid, table)}
        own = cgroups_of("self")
        self.cgroups = {path for pid, _ in self.processes for path in cgroups_of(pid)} - own
        self.namespaces = {ns for pid, _ in self.processes for ns in namespaces_of(pid)} - namespaces_of("self")
        # Whoever else is in them: the kernel gives a namespace's number to a new one once it is free, so a process
        # that was in none of these holds another, however old it is.
        self.holders = {(pid, start) for pid, (_, start) in table.items() if namespaces_of(pid) & self.namespaces}

    def check(self, cgroups):
        """Fails unless all of it goes; `cgroups`: empty ones count too."""
        wait_until(lambda: not self.left(cgroups), HANGS_S, lambda: f"left behind: {self.left(cgroups)}")

    def left(self, cgroups):
        table = processes()
        left = [f"process {pid}" for pid, start in self.processes if pid in table and table[pid][1] == start]
        for path in self.cgroups:
            if path.is_dir() and (cgroups or read(path / "cgroup.procs").strip()):
                left.append(f"cgroup {path}")
        left += [f"mount {line}" for line in Path("/proc/self/mountinfo").read_text().splitlines() if self.data in line]
        for file in Path("/sys/block").glob("loop*/loop/backing_file"):
            if self.data in read(file):
                left.append(f"loop device {file}")
        held = {ns for pid, (_, start) in table.items() if (pid, start) in self.holders for ns in namespaces_of(pid)}
        left += [f"namespace {ns}" for ns in self.namespaces & held]
        return left


def wait_until(condition, seconds, message):
    """Waits for what happens in processes that cannot tell us; bounded."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, message() if callable(message) else message
        time.sleep(0.05)


def read(path):
    """A file of /proc or /sys; empty if it went away."""
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def processes():
    """{pid: (parent, start time)} of the machine; the dead that wait for their parent do not count."""
    table = {}
    for path in Path("/proc").iterdir():
        if not path.name.isdigit():
            continue
        _, _, rest = read(path / "stat").rpartition(")")
        fields = rest.split()
        if fields and fields[0] not in "ZX":
            table[int(path.name)] = (int(fields[1]), int(fields[19]))
    return table


def descendants(root, table=None):
    """The pids of all that descend from `root`."""
    table = table or processes()
    found, todo = set(), [root]
    while todo:
        parent = todo.pop()
        new = {pid for pid, (p, _) in table.items() if p == parent} - found
        found |= new
        todo += new
    return found


def processes_of(function):
    """The pids of what runs in a function's environments."""
    wanted = f"AWS_LAMBDA_FUNCTION_NAME={function.name}"
    return [pid for pid in processes() if wanted in read(f"/proc/{pid}/environ").split("\0")]


def cgroups_of(pid):
    """The folders of a process's cgroups, in whichever hierarchies are mounted; not the roots, where one that ends is."""
    base, found = Path("/sys/fs/cgroup"), set()
    for line in read(f"/proc/{pid}/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        name = controllers.removeprefix("name=") or "unified"
        hierarchy = base / name if (base / name).is_dir() else base
        if path != "/":
            found.add(hierarchy / path.lstrip("/"))
    return found


def namespaces_of(pid):
    """The identities of a process's namespaces."""
    found = set()
    for kind in ("mnt", "net", "pid", "ipc", "uts", "user", "cgroup"):
        try:
            found.add(os.readlink(f"/proc/{pid}/ns/{kind}"))
        except OSError:
            pass
    return found
