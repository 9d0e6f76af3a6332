"""F. Hand-over, and descriptors that leak."""

import json
import os
import re
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from botocore.exceptions import ClientError
from hostile.catalogue import absent, row
from hostile.world import Audit
from support.server import descendants, read

# Runs before the runtime does, as the first program of the environment.
WRAPPER = """#!{python} -IS
import os, sys
with open("/tmp/first", "w") as out:
    for fd in sorted(os.listdir("/proc/self/fd"), key=int):
        try:
            print(fd, os.readlink("/proc/self/fd/" + fd), file=out)
        except OSError:
            pass
os.execv(sys.argv[1], sys.argv[1:])
"""


@row("F01", "find descriptors open at the first instruction", off="descriptors", least="open")
def f01(world):
    def attack(event, got):
        for line in open("/tmp/first"):
            fd, target = line.split(maxsplit=1)
            # The last one is the reading itself.
            if int(fd) > 2 and "/proc/" not in target and "/var/task" not in target and "/tmp/first" not in target:
                got.append(f"open: {line.strip()}")

    wrapper = (WRAPPER.format(python="/var/lang/bin/python3"), 0o755)
    return world.run(attack, files={"first": wrapper}, Environment={"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "/var/task/first"}})


@row("F02", "work in a folder that an open descriptor leads to", off="descriptors", least="reached")
def f02(world):
    def attack(event, got):
        for fd in range(3, 65):
            if works(os.chdir, f"/proc/self/fd/{fd}") and b"canary-file-" in content(event.lstrip("/")) + content("../" * 20 + event.lstrip("/")):
                got.append(f"reached: by {fd}")

    got = world.run(attack, str(world.secret))
    for fd in (7, 62):
        function = world.function(attack, Handler=f"/proc/self/fd/{fd}/app.handler")
        answer = world.invoke(function, str(world.secret))
        got += [] if "FunctionError" in answer else [f"started: in {fd}"]
    return got


@row("F03", "go up from an open folder", off="descriptors", least="reached")
def f03(world):
    def attack(event, got):
        for fd in range(3, 1024):
            for way in (event.lstrip("/"), "../" * 20 + event.lstrip("/")):
                if works(lambda: os.close(os.open(way, os.O_RDONLY, dir_fd=fd))):
                    got.append(f"reached: by {fd}")

    return world.run(attack, str(world.secret))


@row("F04", "send descriptors to the platform", why="no socket inside leads to the platform but TCP, which carries no descriptors: there is no taker to weaken")
def f04(world):
    def attack(event, got):
        for name in os.listdir("/proc/self/fd"):
            try:
                sock = socket.socket(fileno=os.dup(int(name)))
            except OSError:
                continue
            if sock.family == socket.AF_UNIX:
                sent = works(lambda: [socket.send_fds(sock, [b"x"], [0] * 250, socket.MSG_DONTWAIT) for _ in range(20)])
                got.append(f"unix socket {name}, sent: {sent}")

    return world.run(attack)


@row("F05", "have the loader bring code into the platform's own processes", why="init runs from a copy of the server's program made before anything of a customer's is there, and loads nothing later: it has no file to load from")
def f05(world):
    def attack(event, got):
        return "here"

    function = world.function(attack, files={"evil.so": "not a library", "etc/ld.so.preload": "/var/task/evil.so\n"}, Environment={"Variables": {"LD_PRELOAD": "/var/task/evil.so", "LD_LIBRARY_PATH": "/var/task", "PYTHONPATH": "/var/task", "LD_AUDIT": "/var/task/evil.so"}})
    world.invoke(function)
    inits = [pid for pid in descendants(world.server.pid) if "hearth-spawner" in read(f"/proc/{pid}/cmdline")]
    assert inits
    return [f"loaded: into {pid}" for pid in inits if "/var/task" in read(f"/proc/{pid}/maps")]


def good(world):
    """A bootstrap of the same kind that does run."""
    function = world.call(world.deploy, {"bootstrap": (open(os.environ["BOOTSTRAP"], "rb").read(), 0o755)}, Runtime="provided.al2023", Handler="x")
    answer = world.invoke(function, {"name": "x"})
    return [] if "FunctionError" in answer else ["runs"]


@row("F07", "bootstraps that are no programs", control=good)
def f07(world):
    elf = open(os.environ["BOOTSTRAP"], "rb").read()
    wrong = elf[:18] + b"\xb7\x00" + elf[20:]
    kinds = {"empty": ("", 0o755), "not executable": (elf, 0o644), "wrong processor": (wrong, 0o755), "loop": ("#!/var/task/bootstrap\n", 0o755), "no interpreter": ("#!/nowhere\n", 0o755), "noise": (b"\x7fELF" + os.urandom(4096), 0o755)}
    got = []
    for name, bootstrap in kinds.items():
        function = world.call(world.deploy, {"bootstrap": bootstrap}, Runtime="provided.al2023", Handler="x", Timeout=10)
        answer = world.invoke(function)
        error = json.loads(answer["payload"])
        if "FunctionError" not in answer or error["errorType"] not in ("Runtime.InvalidEntrypoint", "Runtime.ExitError"):
            got.append(f"{name}: {answer['payload']}")
    return got


# Sleeps between a moment of a start and a stop, in ms: in this order, again and again.
DELAYS_MS = [0, 0.1, 0.2, 0.4, 0.8, 1.2, 1.6, 2, 3, 4, 6, 10]
CUSTOMERS = """
open("/proc/self/comm", "w").write("customers")
def handler(event, context):
    return "ran"
"""


class Stops:
    """Stops the first processes of environments while they start, each at another step, and looks at what then runs below them."""

    def __init__(self, server, most):
        self.server, self.spawner, self.most = server, server.spawner(), most
        self.seen, self.stopped, self.ran, self.over = set(self.children(self.spawner)), [], [], threading.Event()
        self.thread = threading.Thread(target=self.stop_all)
        self.thread.start()

    def children(self, pid):
        return [int(child) for child in read(f"/proc/{pid}/task/{pid}/children").split()]

    def stop_all(self):
        looked = 0
        while not self.over.is_set():
            for pid in set(self.children(self.spawner)) - self.seen:
                self.seen.add(pid)
                if len(self.stopped) < self.most:
                    self.stop(pid, len(self.stopped))
            if time.monotonic() - looked > 0.05:
                self.look()
                looked = time.monotonic()

    def stop(self, pid, number):
        """Every other one is stopped so long after it is there, the others so long after they have made their first process."""
        end = time.monotonic() + 0.05
        while number % 2 and not self.children(pid) and time.monotonic() < end and alive(pid):
            pass
        time.sleep(DELAYS_MS[number // 2 % len(DELAYS_MS)] / 1000)
        try:
            os.kill(pid, signal.SIGSTOP)
        except ProcessLookupError:
            return
        self.stopped.append(pid)

    def look(self):
        """A customer's code under an init that has not given everything up."""
        for pid in filter(self.is_privileged, self.seen):
            ran = [f"ran: {child} below {pid}" for child in descendants(pid) if read(f"/proc/{child}/comm") == "customers\n"]
            # It may have given everything up since it was looked at, as it is to.
            self.ran += ran if self.is_privileged(pid) else []

    def is_privileged(self, pid):
        privileges = re.search(r"CapEff:\t(\w+)", read(f"/proc/{pid}/status"))
        return privileges is not None and int(privileges[1], 16) != 0

    def close(self):
        self.over.set()
        self.thread.join()


def answered(function):
    """What an invoke says in the end, an error of the service's included: whoever waits for what stands still is told so."""
    try:
        return function.invoke()["payload"]
    except ClientError as error:
        return str(error).encode()


def alive(pid):
    return os.path.exists(f"/proc/{pid}")


@row("F08", "stop init at a hundred points of its start, and have code run in what is half made", off="pace word user", least="ran", short=False)
def f08(world):
    functions = [world.call(world.deploy, CUSTOMERS, Timeout=5, MemorySize=128) for _ in range(30)]
    Audit(world).settled()
    stops = Stops(world.server, 100)
    standing = lambda: [pid for pid in stops.stopped if alive(pid)]
    try:
        with ThreadPoolExecutor(len(functions), initializer=world.enter) as many:
            end = time.monotonic() + 900
            # What stands still and was made ahead for nobody yet goes when it is somebody's turn to have it.
            while (len(stops.stopped) < stops.most or (world.strong and standing())) and not stops.ran:
                assert time.monotonic() < end, f"{len(stops.stopped)} were stopped; they stand still and stay: {standing()}"
                world.said += many.map(answered, functions)
                # Their environments go, and the next invokes need others.
                list(many.map(lambda function: function.update(Description=str(time.monotonic())), functions))
        return stops.ran
    finally:
        stops.close()
        for pid in standing():
            os.kill(pid, signal.SIGCONT)


absent({"F06": "hostile settings of an image"}, "functions from images are not offered")
