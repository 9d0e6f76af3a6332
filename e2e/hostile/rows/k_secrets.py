"""K. Secrets, identity, state left behind."""

import inspect
import json
import os
import secrets
import socket
import struct
import subprocess
import sys
import textwrap
import time

from botocore.exceptions import ClientError
from hostile.catalogue import absent, elsewhere, row
from hostile.world import HANDLER, INSIDE
from support.server import wait_until

SNAP_START = "python3.12"


@row("K01", "read another function's variables", off="pid-namespace hidden-processes user", least="variables")
def k01(world):
    def attack(event, got):
        # The mark in two parts: whole it is in this function's own event.
        mark = (event[0] + event[1]).encode()
        for name in os.listdir("/proc"):
            if name.isdigit() and name != str(os.getpid()) and mark in content(f"/proc/{name}/environ"):
                got.append("variables: of another process")
        for folder in ("/tmp", "/var", "/opt", "/dev"):
            for below, _, names in os.walk(folder):
                for name in names:
                    path = os.path.join(below, name)
                    if stat.S_ISREG(os.lstat(path).st_mode) and mark in content(path):
                        got.append(f"file: {path}")

    mark = secrets.token_hex(16)
    victim = world.call(world.deploy, "def handler(event, context):\n    return 1\n", Environment={"Variables": {"SECRET": mark}})
    world.call(victim.call)
    return world.run(attack, [mark[:16], mark[16:]])


def in_the_store(world, mark):
    """What names it in the metadata's files."""
    return [f"in {path.name}" for path in sorted(world.server.data.glob("meta.db*")) if mark.encode() in path.read_bytes()]


def a_name(world):
    """Names are not sealed: the search would find the variables as it finds these."""
    function = world.call(world.deploy, "def handler(event, context):\n    return 1\n")
    return in_the_store(world, function.name)


@row("K01-store", "find variables in the store's files", control=a_name)
def k01_store(world):
    mark = secrets.token_hex(16)
    world.call(world.deploy, "def handler(event, context):\n    return 1\n", Environment={"Variables": {"SECRET": mark}})
    mode = world.server.data.stat().st_mode & 0o777
    assert mode == 0o700, oct(mode)
    return in_the_store(world, mark)


def same_version(world):
    """Between invokes of one version what is left stays, as on Lambda: the probe would find it."""
    function = world.function(leaves)
    world.ask(function)
    return world.ask(function)["said"]


def leaves(event, got):
    found = [what for what in ("/tmp/left",) if os.path.exists(what)] + (["memory"] if hasattr(os, "left") else [])
    found += ["process"] if any(b"left-behind" in content(f"/proc/{name}/cmdline") for name in os.listdir("/proc") if name.isdigit()) else []
    put("/tmp/left")
    os.left = True
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)", "left-behind"])
    return found


@row("K02", "find what an earlier version, or other settings, left", control=same_version)
def k02(world):
    function = world.function(leaves)
    world.ask(function)
    world.call(function.update, MemorySize=512)
    first = world.ask(function)["said"]
    world.call(function.update, Environment={"Variables": {"NEW": "1"}})
    second = world.ask(function)["said"]
    other = world.ask(world.function(leaves))["said"]
    return first + second + other


def published(world, function):
    """A version of it that starts from a snapshot."""
    version = world.call(lambda: world.client.publish_version(FunctionName=function.name))["Version"]
    shown = lambda: world.client.get_function_configuration(FunctionName=function.name, Qualifier=version)
    wait_until(lambda: world.call(shown)["State"] != "Pending", 60, "no snapshot is made")
    assert world.call(shown)["SnapStart"]["OptimizationStatus"] == "On", world.call(shown)
    return version


CHANGES = """
import mmap, os, sys, urllib.request
fd, mark, id = int(sys.argv[1]), sys.argv[2].encode(), sys.argv[3]
said = []
try:
    file = os.open("/proc/self/fd/%d" % fd, os.O_RDWR)
    data = open("/proc/self/fd/%d" % fd, "rb").read()
    at = data.find(mark)
    said.append("found" if at != -1 else "not found")
    while at != -1:
        os.pwrite(file, b"changed!", at)
        at = data.find(mark, at + 1)
except OSError as error:
    said.append(repr(error))
url = "http://%s/2018-06-01/runtime/invocation/%s/response" % (os.environ["AWS_LAMBDA_RUNTIME_API"], id)
urllib.request.urlopen(urllib.request.Request(url, repr(said).encode(), {"Content-Type": "text/plain"})).read()
"""


def again(world, function, version):
    """What a new environment has; there is none as long as anybody has the file open to write to."""
    end = time.monotonic() + 60
    while True:
        try:
            return world.ask(function, Qualifier=version)["said"]
        except ClientError:
            assert time.monotonic() < end
            time.sleep(0.1)


@row("K11", "change the snapshot that later environments start from; find it on the disk", off="seals", least="changed")
def k11(world):
    def attack(event, got):
        if event == "change":
            # This process's program is the snapshot. It cannot be written to while anything executes it, so this one goes on as another.
            fd = os.open("/proc/self/exe", os.O_RDONLY)
            os.set_inheritable(fd, True)
            os.execv("/var/lang/bin/python3", ["python3", "/var/task/changes.py", str(fd), MARK, request])
        return MARK

    files = {"changes.py": CHANGES, "app.py": INSIDE + "\nMARK = 'mark-' + os.urandom(12).hex()\n" + textwrap.dedent(inspect.getsource(attack)) + HANDLER.format(name="attack")}
    function = world.call(world.deploy, files, Runtime=SNAP_START, SnapStart={"ApplyOn": "PublishedVersions"}, Timeout=60)
    version = published(world, function)
    mark = world.ask(function, Qualifier=version)["said"]
    answer = world.invoke(function, "change", Qualifier=version)
    assert b"found" in answer["payload"] or b"Error" in answer["payload"], answer
    after = again(world, function, version)
    got = [] if after == mark else [f"changed: {mark} to {after}"]
    for path in world.server.data.rglob("*"):
        if path.is_file() and mark.encode() in path.read_bytes():
            got.append(f"on the disk: {path.name}")
    return got


@row("K11-open", "keep others from a snapshot by opening its file to write; leave messages in its attributes", off="seals", least="attributes")
def k11_open(world):
    def attack(event, got):
        try:
            os.close(os.open("/proc/self/exe", os.O_RDWR))
            got.append("opened")
        except OSError as error:
            # Whoever may open it is only told to wait until nobody executes it. While it is open nobody can execute it.
            if error.errno == errno.ETXTBSY:
                got.append("may open")
        if works(os.utime, "/proc/self/exe"):
            got.append("attributes: times")
        if works(os.setxattr, "/proc/self/exe", "user.message", b"x"):
            got.append("attributes: a message")

    function = world.function(attack, Runtime=SNAP_START, SnapStart={"ApplyOn": "PublishedVersions"})
    return world.ask(function, Qualifier=published(world, function))["got"]


def confined(event, got):
    """All that confines a process or tells of its privileges, as it sees it itself."""
    # Numbers of its own, and what it has used up.
    changing = ("Vm", "Rss", "Pid", "Tgid", "PPid", "NS", "Name", "Threads", "SigQ", "voluntary", "nonvoluntary")
    status = [line for line in open("/proc/self/status").read().splitlines() if not line.startswith(changing)]
    numbers = lambda text: "".join("N" if letter.isdigit() else letter for letter in text)
    mounts = sorted(" ".join(line.split()[3:6] + line.split("- ")[1].split()[:1]) for line in open("/proc/self/mountinfo") if "/var/task" not in line)
    flags = [libc.prctl(option, 0, 0, 0, 0) for option in (3, 7, 21, 27, 39, 42)]
    open_files = {fd: numbers(os.readlink(f"/proc/self/fd/{fd}")) for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")}
    scheduled = [os.nice(0), os.sched_getscheduler(0), sorted(os.sched_getaffinity(0)), content("/proc/self/oom_score_adj").decode(), content("/proc/self/timerslack_ns").decode()]
    who = [os.getresuid(), os.getresgid(), os.getgroups(), os.getsid(0) == os.getpid(), numbers(content("/proc/self/uid_map").decode())]
    return {"status": status, "limits": content("/proc/self/limits").decode(), "mounts": mounts, "groups": numbers(content("/proc/self/cgroup").decode()), "flags": flags, "open": open_files, "scheduled": scheduled, "who": who, "folder": os.getcwd()}


def differences(world, begin):
    """What differs between a clone whose template did this first, and an environment that was started as usual."""
    code = INSIDE + begin + textwrap.dedent(inspect.getsource(confined)) + HANDLER.format(name="confined")
    clones = world.call(world.deploy, code, Runtime=SNAP_START, SnapStart={"ApplyOn": "PublishedVersions"})
    clone = world.ask(clones, Qualifier=published(world, clones))["said"]
    fresh = world.ask(world.function(confined, Runtime=SNAP_START))["said"]
    return [f"{name}: {fresh[name]} is {clone[name]}" for name in fresh if fresh[name] != clone[name]]


def template_with_another_mask(world):
    """A difference that a process may make, is seen."""
    return differences(world, "\nos.umask(0)\n")


@row("K11-same", "be less confined in a clone: limits, filters, ids, mounts, control groups, descriptors", control=template_with_another_mask)
def k11_same(world):
    tries = """
for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC, resource.RLIMIT_CORE, resource.RLIMIT_STACK):
    works(resource.setrlimit, limit, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
for option, value in ((36, 1), (38, 0), (8, 1), (28, 63), (41, 1)):
    libc.prctl(option, value, 0, 0, 0)
libc.personality(0x0400000)
works(os.nice, 5)
works(put, "/proc/self/oom_score_adj", b"-1000")
works(put, "/proc/self/timerslack_ns", b"1")
kept = [os.open("/proc", os.O_RDONLY | os.O_CLOEXEC), os.open("/", os.O_PATH | os.O_CLOEXEC)]
for fd in kept:
    os.close(fd)
"""
    return differences(world, tries)


def joins(server, name, **other):
    """What a server says to a worker that asks to join."""
    version = subprocess.run([os.environ["HEARTH"], "--version"], capture_output=True, text=True).stdout.split()[-1]
    join = {"Join": {"version": version, "pid": os.getpid(), "name": name, "memory_mb": 1, "environments": 0, "socket": "none.sock", **other}}
    return talk_to(server, frame(join))


def frame(head, body=b""):
    head = json.dumps(head).encode()
    return struct.pack("<II", len(head), len(body)) + head + body


def talk_to(server, sent, hold=()):
    """What a server answers a worker; the connection is left to `hold`, where that is a list."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(30)
    try:
        connection.connect(str(server.data / "workers.sock"))
        connection.sendall(sent)
        said = connection.recv(65536)
    except OSError as error:
        said = repr(error).encode()
    if isinstance(hold, list):
        hold.append(connection)
    else:
        connection.close()
    return said


def a_worker_joins(world):
    said = joins(world.server, "of-the-row")
    return ["joined"] if b"Accepted" in said else []


@row("K08", "join as a worker: as another user, under a name that is taken, by broken and endless frames", control=a_worker_joins)
def k08(world):
    got, held = [], []
    path = world.server.data / "workers.sock"
    other = "import os, socket; os.setgroups([]); os.setgid(65534); os.setuid(65534); socket.socket(socket.AF_UNIX).connect(os.environ['AT'])"
    if subprocess.run([sys.executable, "-c", other], env={"AT": str(path)}, capture_output=True).returncode == 0:
        got.append("another user connects")
    version = subprocess.run([os.environ["HEARTH"], "--version"], capture_output=True, text=True).stdout.split()[-1]
    join = {"Join": {"version": version, "pid": 1, "name": "taken", "memory_mb": 1, "environments": 0, "socket": "none.sock"}}
    try:
        assert b"Accepted" in talk_to(world.server, frame(join), held)
        if b"Accepted" in joins(world.server, "taken"):
            got.append("two of a name")
        if b"Accepted" in joins(world.server, "a\nb"):
            got.append("a name of several lines")
        # Others' snapshots, environments and keys are not its own to speak of; a log line without an end is none.
        for message in ({"Snapshot": {"number": 1, "outcome": {"Ok": None}}}, {"Forget": {"access_key_id": "ASIAOTHER"}}, {"Unknown": {}}):
            said = talk_to(world.server, frame(join | {"Join": {**join["Join"], "name": "speaks"}}) + frame(message))
            got += [f"{message} is answered"] if said.count(b"{") > 1 else []
    finally:
        for connection in held:
            connection.close()
    for broken in (b"\xff" * 8 + b"x", secrets.token_bytes(64), struct.pack("<II", 60_000, 0) + b"[" * 60_000, frame({"Door": {"access_key_id": "ASIAOTHER"}})):
        said = talk_to(world.server, broken)
        got += [f"an answer to {broken[:20]}"] if said and b"Error" not in said else []
    return got


def own_remains(world):
    """In its own files, before they are deleted, the same search finds the mark."""

    def attack(event, got):
        with open("/tmp/x", "wb") as file:
            file.write(event.encode() * 1000)
        return event.encode() in content("/tmp/x")

    return ["found"] if world.ask(world.function(attack), secrets.token_hex(16))["said"] else []


@row("K03", "find others' bytes in fresh memory and unwritten blocks of /tmp", control=own_remains)
def k03(world):
    def writes(event, got):
        with open("/tmp/x", "wb") as file:
            for _ in range(400):
                file.write((event * (1 << 15)).encode())
            file.flush()
            os.fsync(file.fileno())

    def looks(event, got):
        mark = (event[0] + event[1]).encode()
        with open("/tmp/y", "wb+") as file:
            os.posix_fallocate(file.fileno(), 0, 400 << 20)
            file.seek(0)
            while part := file.read(1 << 20):
                if mark in part or part.strip(b"\0"):
                    got.append("disk: not zeros")
                    break
        area = mmap.mmap(-1, 200 << 20)
        if area.find(mark) != -1 or area[: 1 << 20].strip(b"\0"):
            got.append("memory: not zeros")

    mark = secrets.token_hex(16)
    first = world.function(writes)
    world.ask(first, mark)
    world.call(first.delete)
    return world.run(looks, [mark[:16], mark[16:]])


@row("K05", "find the platform's own keys", why="no secret of the platform ever comes near an environment: there is nothing that could be left out")
def k05(world):
    def attack(event, got):
        told = [content("/proc/self/environ"), content("/proc/1/environ")]
        # Its own memory, all of it: a copy of the platform's would be a leak.
        with open("/proc/self/mem", "rb", 0) as memory:
            for line in open("/proc/self/maps"):
                area, mode = line.split()[:2]
                start, end = (int(part, 16) for part in area.split("-"))
                if "r" in mode and end - start < 64 << 20 and "[v" not in line:
                    try:
                        memory.seek(start)
                        told.append(memory.read(end - start))
                    except OSError:
                        pass
        mark = bytes.fromhex(event[0]) + bytes.fromhex(event[1])
        if any(mark in part for part in told):
            got.append("the key of secrets")
        if any("".join(event[2:]).encode() in part for part in told):
            got.append("the platform's variables")

    world.call(world.client.list_functions)
    path = world.server.data / "secret.key"
    key = path.read_bytes()[:32] if path.exists() else secrets.token_bytes(32)
    return world.run(attack, [key[:16].hex(), key[16:].hex(), "PLATFORM_", "CANARY"])


@row("K12", "have the server fail, and read what it says", why="what is shown is that odd input makes no panic, and that no canary is in the server's log")
def k12(world):
    for path in ("/2015-03-31/functions/%00/invocations", "/2015-03-31/functions/" + "a" * 5000 + "/invocations", "/%ff%fe", "/2015-03-31/functions/x/invocations?Qualifier=%0a"):
        for method in ("GET", "POST", "PUT", "DELETE"):
            world.raw(f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: 2\r\n\r\n".encode(), b"{{")
    log = world.server.log_text()
    return [word for word in ("panicked", *world.canaries.values()) if word in log]


@row("K13", "find secrets in errors, logs, metrics", why="each place is looked through for canaries after every row as well")
def k13(world):
    mark = secrets.token_hex(16)

    def attack(event, got):
        raise RuntimeError("as it is")

    function = world.function(attack, Environment={"Variables": {"SECRET": mark}})
    answer = world.invoke(function, {"event": mark + "-event"})
    time.sleep(0.5)
    told = {"error": answer["payload"], "server's log": world.server.log_text().encode(), "log": b"".join(path.read_bytes() for path in world.logs())}
    for path in ("/_hearth/metrics", "/_hearth/health", "/metrics"):
        told[path] = world.raw(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
    told["error"] = told["error"].replace(json.dumps({"event": mark + "-event"}).encode(), b"")
    return [name for name, text in told.items() if mark.encode() in text]


elsewhere("K04", "use a role's credentials after it is gone, or another's", "test_inside.py::test_the_credentials_of_a_role_that_is_gone_are_of_no_use", "test_inside.py::test_a_role_that_is_gone_allows_nothing_in_environments_that_are_made_later_either", "test_inside.py::test_only_the_environments_own_credentials_are_taken", "test_inside.py::test_a_role_allows_what_its_policies_allow")
elsewhere("K06", "replay or change a signed request", "test_auth.py::test_what_was_signed_cannot_be_changed", "test_auth.py::test_clocks_may_differ_by_five_minutes", "test_auth.py::test_a_scope_is_for_this_place_and_service", "test_auth.py::test_the_host_is_always_signed")
elsewhere("K07", "stretch a signed link", "test_auth.py::test_links_are_good_until_they_end", "test_auth.py::test_a_links_time_runs_out")
absent({"K09": "a lease that has run out"}, "there are no leases: an environment in another process is a connection, and ends with it")
elsewhere("K10", "clones that share randomness", "test_snapstart.py::test_no_two_clones_draw_the_same")
elsewhere("K11-others", "have a snapshot that is another's", "test_snapstart.py::test_versions_and_functions_do_not_share", "test_snapstart.py::test_a_client_that_was_made_before_the_snapshot_signs_as_its_clone")
