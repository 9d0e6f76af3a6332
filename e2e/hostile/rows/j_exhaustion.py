"""J. Resource exhaustion."""

import json
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from hostile.catalogue import absent, elsewhere, row


@row("J01", "fork and make threads without end", off="tasks", least="processes threads")
def j01(world):
    def attack(event, got):
        pids = []
        try:
            while len(pids) < 1500:
                pid = os.fork()
                if pid == 0:
                    time.sleep(1000)
                    os._exit(0)
                pids.append(pid)
            got.append("processes: 1500")
        except OSError:
            pass
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            for pid in pids:
                os.waitpid(pid, 0)
        over = threading.Event()
        threading.stack_size(65536)
        threads = []
        try:
            while len(threads) < 1500:
                thread = threading.Thread(target=over.wait, daemon=True)
                thread.start()
                threads.append(thread)
            got.append("threads: 1500")
        except RuntimeError:
            pass
        finally:
            over.set()

    return world.run(attack, MemorySize=1769)


@row("J01-bomb", "a fork bomb that never stops, left running", why="the twin of J01 shows the bound; without one this row would end the machine")
def j01_bomb(world):
    def attack(event, got):
        while True:
            try:
                os.fork()
            except OSError:
                pass

    answer = world.invoke(world.function(attack, Timeout=2))
    return [] if b"Sandbox.Timedout" in answer["payload"] else [answer["payload"]]


def memory(world, ways):
    def attack(event, got):
        def fill(size):
            area = mmap.mmap(-1, size)
            ctypes.memset(ctypes.addressof(ctypes.c_char.from_buffer(area)), 1, size)
            return area

        mb = 1 << 20
        if event == "heap":
            kept = b"x" * (400 * mb)
        elif event == "mapped":
            kept = fill(400 * mb)
        elif event == "memory file":
            fd = os.memfd_create("x")
            for _ in range(400):
                os.write(fd, b"x" * mb)
        elif event == "shared segment":
            segment = libc.shmget(0, 400 * mb, 0o1600)
            libc.shmat.restype = ctypes.c_void_p
            address = libc.shmat(segment, None, 0)
            ctypes.memset(address, 1, 400 * mb)
        elif event == "pipes":
            kept = []
            for _ in range(400):
                out, into = os.pipe()
                try:
                    fcntl.fcntl(into, 1031, mb)
                    os.write(into, b"x" * mb)
                except OSError:
                    # Beyond what a user may have in pipes: a bound that comes before memory's.
                    return
                kept.append((out, into))
        elif event == "children":
            for _ in range(20):
                if os.fork() == 0:
                    kept = fill(20 * mb)
                    time.sleep(1000)
            time.sleep(2)
            # The dead, which nobody has waited for, do not count.
            alive = sum(name.isdigit() and b") Z " not in content(f"/proc/{name}/stat") for name in os.listdir("/proc"))
            if alive < 20:
                return
        elif event == "locked":
            kept = mmap.mmap(-1, 100 * mb)
            if call("mlock", ctypes.addressof(ctypes.c_char.from_buffer(kept)), 100 * mb)[0] != 0:
                return
            kept2 = fill(300 * mb)
        got.append(event)

    got = []
    for way in ways:
        answer = world.invoke(world.function(attack, MemorySize=256, Timeout=30), way)
        if "FunctionError" not in answer:
            got += json.loads(answer["payload"])["got"]
    return got


@row("J02", "take more memory than is its own", off="memory limits", least="heap")
def j02(world):
    return memory(world, ["heap"])


@row("J02-ways", "the same in files, segments, pipes, children, locked", off="memory limits", least="children", short=False)
def j02_ways(world):
    return memory(world, ["mapped", "memory file", "shared segment", "pipes", "children", "locked"])


def twice_the_room(world):
    """What is configured is what is there."""

    def attack(event, got):
        with open("/tmp/fill", "wb") as file:
            os.posix_fallocate(file.fileno(), 0, 900 << 20)
        got.append("900 MB")

    return world.run(attack, EphemeralStorage={"Size": 1024})


@row("J03", "fill /tmp: bytes, holes, files that are deleted but open", control=twice_the_room)
def j03(world):
    def attack(event, got):
        total = 0
        kept = []
        try:
            while total < 700:
                file = open("/tmp/deleted", "wb")
                os.unlink("/tmp/deleted")
                os.posix_fallocate(file.fileno(), 0, 50 << 20)
                kept.append(file)
                total += 50
            got.append("700 MB of files that are deleted")
        except OSError as error:
            if error.errno != errno.ENOSPC:
                got.append(str(error))
        kept.clear()
        with open("/tmp/holes", "wb") as file:
            file.truncate(1 << 40)
            try:
                for at in range(0, 1 << 40, 1 << 30):
                    file.seek(at)
                    file.write(b"x" * (1 << 20))
                    file.flush()
                    os.fsync(file.fileno())
                got.append("a MB of each of a thousand GB")
            except OSError:
                pass

    free = os.statvfs(world.server.data).f_bavail * os.statvfs(world.server.data).f_frsize
    got = world.run(attack)
    taken = free - os.statvfs(world.server.data).f_bavail * os.statvfs(world.server.data).f_frsize
    return got + ([f"{taken >> 20} MB of the host's disk"] if taken > 4 << 30 else [])


@row("J04", "take all processors", off="cpu", least="share")
def j04(world):
    def attack(event, got):
        children = []
        for _ in range(4):
            pid = os.fork()
            if pid == 0:
                end = time.monotonic() + 3
                while time.monotonic() < end:
                    pass
                os._exit(0)
            children.append(pid)
        started = time.monotonic()
        for pid in children:
            os.waitpid(pid, 0)
        used = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
        share = used / (time.monotonic() - started)
        # 177 MB buy a tenth of a core.
        if share > 0.3:
            got.append(f"share: {share:.2f} of a core")

    return world.run(attack, MemorySize=177)


def stored(world):
    """Changes go through."""
    world.call(world.client.list_functions)
    return ["answered"]


@row("J05", "write to the disk and sync without end", control=stored)
def j05(world):
    def attack(event, got):
        end = time.monotonic() + 5
        with open("/tmp/x", "wb", buffering=0) as file:
            while time.monotonic() < end:
                file.seek(0)
                file.write(os.urandom(1 << 20))
                os.fsync(file.fileno())

    storms = [world.function(attack, MemorySize=128) for _ in range(3)]
    asked = [world.threads.submit(storm.invoke, None) for storm in storms]
    target = world.function(attack)
    arn = world.call(world.client.get_function, FunctionName=target.name)["Configuration"]["FunctionArn"]
    commits = 0
    while not all(done.done() for done in asked):
        world.call(world.client.tag_resource, Resource=arn, Tags={"n": str(commits)})
        commits += 1
    return [] if commits else ["no change went through meanwhile"]


@row("J06", "open files without end", off="limits", least="files")
def j06(world):
    def attack(event, got):
        kept = []
        try:
            while len(kept) < 3000:
                kept.append(os.open("/dev/null", os.O_RDONLY))
            got.append("files: 3000")
        except OSError:
            pass

    return world.run(attack)


def logs_a_line(world):
    """A line of the log is kept."""

    def attack(event, got):
        print("a line that is kept")

    world.run(attack)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if any(b"a line that is kept" in path.read_bytes() for path in world.logs()):
            return ["kept"]
    return []


@row("J07", "flood the log: many lines, one line without end, zeros", control=logs_a_line)
def j07(world):
    def attack(event, got):
        block = {"lines": b"x" * 99 + b"\n", "one line": b"y" * 100, "zeros": b"\0" * 100}[event] * 10_000
        for _ in range(60):
            os.write(1, block)

    got = []
    for kind in ("lines", "one line", "zeros"):
        with world.growth() as grown:
            world.invoke(world.function(attack, Timeout=60), kind)
        if grown[0] > 128:
            got.append(f"{kind}: the server grew by {grown[0]} MB")
    size = sum(path.stat().st_size for path in world.logs())
    return got + ([f"{size >> 20} MB of log"] if size > 400 << 20 else [])


@row("J09", "crash in each init", control=stored)
def j09(world):
    def attack(event, got):
        pass

    function = world.call(world.deploy, "import os\nos._exit(1)\n", Timeout=5)
    answers = [world.invoke(function) for _ in range(10)]
    return [answer["payload"] for answer in answers if "FunctionError" not in answer]


@row("J09-hang", "hang in each init, ten at a time", control=stored, short=False)
def j09_hang(world):
    functions = [world.call(world.deploy, "import time\ntime.sleep(600)\n", Timeout=3, MemorySize=128) for _ in range(10)]
    asked = [world.threads.submit(function.invoke, None) for function in functions]
    fresh = world.call(world.deploy, "def handler(event, context):\n    return event\n")
    assert world.call(fresh.call, 1) == 1
    return [done.result()["payload"] for done in asked if b"Timedout" not in done.result()["payload"]]


def is_served(world):
    """Within its reservation it is served."""
    function = world.call(world.deploy, "def handler(event, context):\n    return event\n")
    world.call(world.client.put_function_concurrency, FunctionName=function.name, ReservedConcurrentExecutions=1)
    return ["served"] if world.call(function.call, 1) == 1 else []


@row("J12", "hold all concurrency that it is given", control=is_served)
def j12(world):
    def attack(event, got):
        time.sleep(8)

    function = world.function(attack)
    world.call(world.client.put_function_concurrency, FunctionName=function.name, ReservedConcurrentExecutions=2)
    answers = []

    def ask():
        try:
            function.invoke()
            answers.append("served")
        except Exception as error:
            answers.append(type(error).__name__)

    asked = [world.threads.submit(ask) for _ in range(8)]
    fresh = world.call(world.deploy, "def handler(event, context):\n    return event\n")
    assert world.call(fresh.call, 1) == 1
    for done in asked:
        done.result()
    return [] if answers.count("served") == 2 and answers.count("TooManyRequestsException") == 6 else answers


@row("J13", "start very many distinct functions once", control=stored, short=False)
def j13(world):
    functions = [world.call(world.deploy, f"N = {n}\ndef handler(event, context):\n    return N\n", MemorySize=128) for n in range(60)]

    def ask(n):
        try:
            return functions[n].call() == n
        except Exception as error:
            return "TooManyRequests" in type(error).__name__ or repr(error)

    answers = list(world.threads.map(ask, range(60)))
    return [answer for answer in answers if answer is not True]


@row("J16", "create and delete without end", control=stored)
def j16(world):
    def size(path):
        # The server works in there meanwhile.
        with suppress(FileNotFoundError):
            return os.lstat(path).st_size
        return 0

    def folder():
        files = (os.path.join(at, name) for at, _, names in os.walk(world.server.data) for name in names)
        return sum(size(path) for path in files if "/logs/" not in path)

    def round(n):
        function = world.call(world.deploy, f"N = {n}\n" + "def handler(event, context):\n    return 1\n")
        for _ in range(3):
            world.call(world.client.publish_version, FunctionName=function.name)
        world.call(function.delete)

    for n in range(5):
        round(n)
    before = folder()
    for n in range(40):
        round(n + 1000)
    grown = folder() - before
    return [f"the data folder grew by {grown >> 10} KB"] if grown > 4 << 20 else []


def unread(world, calls):
    """How many MB the server grows by while that many answers of 5 MB are asked for and not read."""
    function = world.call(world.deploy, "def handler(event, context):\n    return 'x' * (5 << 20)\n", MemorySize=128)
    world.call(function.call)
    body = b"{}"
    head = f"POST /2015-03-31/functions/{function.name}/invocations HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n".encode()

    def ask():
        sock = socket.create_connection(("127.0.0.1", world.server.port))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(head + body)
        assert sock.recv(1) == b"H", "the answer's first byte, and no more"
        return sock

    with world.growth() as grown:
        with ThreadPoolExecutor(4) as pool:
            held = list(pool.map(lambda _: world.call(ask), range(calls)))
        time.sleep(4)
        fresh = world.call(world.deploy, "def handler(event, context):\n    return event\n")
        assert world.call(fresh.call, 1) == 1
    for sock in held:
        sock.close()
    return grown[0]


@row("J17", "call, and never read the answer", control=stored)
def j17(world):
    grown = unread(world, 40)
    return [f"the server grew by {grown} MB"] if grown > 256 else []


@row("J17-many", "the same on all connections at once", why="the bound is in the server, and so is the memory that is looked at")
def j17_many(world):
    """1,000 MB in all, of which 512 may wait for a second, and 256 for longer."""
    grown = unread(world, 200)
    return [f"the server grew by {grown} MB"] if grown > 640 else []


elsewhere("J08", "loop for ever, ignore signals", "test_failures.py::test_a_busy_loop_is_ended_too", "test_failures.py::test_a_timeout")
absent({"J15": "thrash caches and the memory bus"}, "measured, not promised, and only where cores are pinned to microVMs, which are not offered")
elsewhere("J14", "an event that always fails", "test_events.py::test_an_error_is_tried_twice_more_with_the_same_id", "test_events.py::test_the_number_of_retries_is_that_of_exactly_the_qualifier", "test_events_ends.py::test_records_of_success_and_failure_go_to_functions")
elsewhere("J11", "very many events", "test_events.py::test_events_wait_while_a_caller_has_the_only_place", "test_events.py::test_with_one_reserved_environment_events_run_one_after_another")
elsewhere("J10", "call itself without end", "test_recursion.py::test_a_chain_of_invokes_ends")
