"""B. Processes, signals, users."""

import os
import re
import signal
import subprocess
import time

from hostile.catalogue import row
from support.server import descendants, processes, read, wait_until


def outside(world, function):
    """What the machine says of a function's processes: {pid: /proc/PID/status}."""
    mark = f"AWS_LAMBDA_FUNCTION_NAME={function.name}\0"
    found = [pid for pid in descendants(world.server.pid) if mark in read(f"/proc/{pid}/environ")]
    assert found, "the function has no process"
    return {pid: dict(line.split(":\t", 1) for line in read(f"/proc/{pid}/status").splitlines() if ":\t" in line) for pid in found}


@row("B01", "see processes of the platform or of others", off="pid-namespace hidden-processes", least="process")
def b01(world):
    def attack(event, got):
        for name in os.listdir("/proc"):
            if name.isdigit() and any(word in content(f"/proc/{name}/cmdline") for word in (b"serve", b"--data-dir", b"bystander")):
                got.append("process: " + name)

    return world.run(attack)


@row("B02", "kill everything, PID 1, processes of the machine", off="pid-namespace user", least="victim")
def b02(world):
    def attack(event, got):
        # All that can be seen: only ever where the function has a PID namespace of its own.
        if event["all"]:
            works(os.kill, -1, signal.SIGKILL)
            if works(os.kill, 1, signal.SIGKILL):
                time.sleep(0.2)
                got.append("init: took the signal")
        for pid in event["victims"]:
            if works(os.kill, pid, signal.SIGKILL):
                got.append("victim")

    victim = subprocess.Popen(["sleep", "600"])
    try:
        got = world.run(attack, {"victims": [victim.pid], "all": world.strong})
        # Init takes no signal that it has no handler for: the call is let through, and nothing comes of it.
        return [what for what in got if not (what.startswith("init") and world.server.running())]
    finally:
        victim.kill()
        victim.wait()


@row("B03", "trace, read or write init's memory, take its descriptors", off="system-calls user", least="memory ptrace")
def b03(world):
    def attack(event, got):
        if content("/proc/1/maps") and works(open, "/proc/1/mem", "rb"):
            got.append("memory: /proc/1/mem")
        if content("/proc/1/environ"):
            got.append("environ")
        if libc.ptrace(16, 1, 0, 0) == 0:
            got.append("ptrace")
            libc.ptrace(17, 1, 0, 0)
        start = content("/proc/1/maps").split(b"-")[0]
        if start:
            buffer = ctypes.create_string_buffer(16)
            vectors = [struct.pack("QQ", at, 16) for at in (ctypes.addressof(buffer), int(start, 16))]
            if call("process_vm_readv", 1, vectors[0], 1, vectors[1], 1, 0)[0] > 0:
                got.append("memory: process_vm_readv")
        pidfd, _ = call("pidfd_open", 1, 0)
        if pidfd >= 0 and call("pidfd_getfd", pidfd, 0, 0)[0] >= 0:
            got.append("pidfd_getfd")

    return world.run(attack)


@row("B04", "work on in the background between invokes, and outlive the environment", off="freeze", least="works")
def b04(world):
    def attack(event, got):
        if not os.path.exists("/tmp/ticks"):
            if os.fork() == 0:
                os.setsid()
                for number in range(1, 32):
                    if number not in (signal.SIGKILL, signal.SIGSTOP):
                        signal.signal(number, signal.SIG_IGN)
                if os.fork() == 0:
                    while True:
                        put("/tmp/ticks", b"%f\n" % time.monotonic(), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
                        time.sleep(0.01)
                os._exit(0)
            while not content("/tmp/ticks"):
                time.sleep(0.01)
        # For how long nothing was done at the most, in seconds.
        ticks = [float(tick) for tick in content("/tmp/ticks").split(b"\n")[:-1]] + [time.monotonic()]
        return max(later - earlier for earlier, later in zip(ticks, ticks[1:]))

    function = world.function(attack)
    before = descendants(world.server.pid)
    world.ask(function)
    time.sleep(4)
    stood = world.ask(function)["said"]
    came = {pid: start for pid, (_, start) in processes().items() if pid in descendants(world.server.pid) - before}
    world.call(function.delete)
    # When it is frozen is the server's affair; awake it works a hundred times a second.
    got = [f"works: stood still for {stood:.1f} s of 4 between invokes"] if stood < 2 else []
    own = lambda: [pid for pid, start in came.items() if processes().get(pid, (0, 0))[1] == start and "app.handler" in read(f"/proc/{pid}/environ")]
    wait_until(lambda: not own(), 30, lambda: f"outlives its environment: {own()}")
    return got


@row("B05", "become root, gain groups or capabilities", off="user new-privileges system-calls", least="setuid status")
def b05(world):
    def attack(event, got):
        for name, do in {"setuid": lambda: os.setuid(0), "setgid": lambda: os.setgid(0), "setgroups": lambda: os.setgroups([0]), "setresuid": lambda: os.setresuid(0, 0, 0)}.items():
            if works(do):
                got.append(name)
        header, data = struct.pack("Ii", 0x20080522, 0), struct.pack("6I", *[0xFFFFFFFF, 0xFFFFFFFF, 0, 0xFFFFFFFF, 0xFFFFFFFF, 0])
        if call("capset", header, data)[0] == 0:
            got.append("capset")
        if libc.prctl(47, 2, 21, 0, 0) == 0:
            got.append("ambient")
        got += [f"program: {name}" for name in ("su", "sudo", "ping", "mount", "newuidmap") if shutil.which(name)]

    function = world.function(attack)
    got = world.ask(function)["got"]
    for status in outside(world, function).values():
        got += [f"status: {cap}" for cap in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb") if int(status[cap], 16)]
        got += [f"status: {name}" for name, value in (("NoNewPrivs", "1"), ("Seccomp", "2")) if status[name] != value]
        got += ["status: root"] if "0" in status["Uid"].split() + status["Gid"].split() else []
    return got


@row("B06", "make namespaces", off="system-calls", least="unshare clone")
def b06(world):
    def attack(event, got):
        flags = {"user": 0x10000000, "pid": 0x20000000, "mount": 0x00020000, "network": 0x40000000, "ipc": 0x08000000, "uts": 0x04000000, "cgroup": 0x02000000}
        for name, flag in flags.items():
            # With a user namespace, in which all others may be made.
            if child(lambda: os._exit(0 if call("unshare", flag | flags["user"])[0] == 0 else 1)) == 0:
                got.append(f"unshare: {name}")
            pid, _ = call(56, flag | flags["user"] | signal.SIGCHLD, 0, 0, 0, 0)
            if pid == 0:
                os._exit(0)
            if pid > 0:
                os.waitpid(pid, 0)
                got.append(f"clone: {name}")
        if call("clone3", 0, 0)[1] != errno.ENOSYS:
            got.append("clone3: is there")

    return world.run(attack)


@row("B07", "enter namespaces of others", off="system-calls user", least="setns")
def b07(world):
    def attack(event, got):
        for pid in ("self", "1"):
            for kind in ("net", "ipc", "uts", "pid", "cgroup"):
                try:
                    fd = os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY)
                except OSError:
                    continue
                if call("setns", fd, 0)[0] == 0:
                    got.append(f"setns: {kind} of {pid}")

    return world.run(attack)


@row("B08", "go before others on the CPU, the disk, in memory", off="user limits", least="nice mlock")
def b08(world):
    def attack(event, got):
        if works(os.setpriority, os.PRIO_PROCESS, 0, -20):
            got.append("nice")
        if works(os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(50)):
            got.append("realtime")
        if call("ioprio_set", 1, 0, 1 << 13)[0] == 0:
            got.append("ioprio")
        area = mmap.mmap(-1, 1 << 20)
        address = ctypes.addressof(ctypes.c_char.from_buffer(area))
        if call("mlock", address, 1 << 20)[0] == 0:
            got.append("mlock")

    return world.run(attack)


@row("B09", "raise its own limits", off="limits user", least="outside")
def b09(world):
    def attack(event, got):
        for name in ("NOFILE", "NPROC", "CORE", "MEMLOCK"):
            limit = getattr(resource, "RLIMIT_" + name)
            hard = resource.getrlimit(limit)[1]
            if hard != resource.RLIM_INFINITY and works(resource.setrlimit, limit, (hard, hard + 1)):
                got.append(f"raised: {name}")

    function = world.function(attack)
    got = world.ask(function)["got"]
    for pid in outside(world, function):
        limits = read(f"/proc/{pid}/limits")
        got += [] if re.search(r"^Max open files\s+1024\s+1024", limits, re.M) else ["outside: open files"]
    return got


@row("B10", "have the machine handle a core dump", why="what the machine does with dumps (core_pattern) is the machine's own; changing it for a twin would change the machine")
def b10(world):
    def attack(event, got):
        os.chdir("/tmp")
        libc.prctl(4, 1, 0, 0, 0)
        status = child(os.abort)
        if os.WTERMSIG(status) != signal.SIGABRT:
            got.append(f"status {status}")
        # A dump in its own /tmp is its own affair; one that a program of the machine takes would say so here.
        if resource.getrlimit(resource.RLIMIT_CORE)[0] > 1 and event.startswith("|"):
            got.append("dumps are piped to a program of the machine")

    return world.run(attack, read("/proc/sys/kernel/core_pattern"))


@row("B11", "take the platform's name, or one that confuses", why="the platform knows processes by descriptors and control groups and reads no name, so there is nothing to weaken")
def b11(world):
    def attack(event, got):
        libc.prctl(36, 1, 0, 0, 0)
        for name in (b"hearth-spawner", b"\x1b[2J\x1b]0;x\x07", b") Z 1 (", b"\xff\xfe\n"):
            libc.prctl(15, name, 0, 0, 0)
            child(lambda: libc.prctl(15, name, 0, 0, 0))
        return "here"

    function = world.function(attack)
    answers = [world.ask(function)["said"] for _ in range(2)]
    return [] if answers == ["here", "here"] else answers


@row("B12", "end and fork so fast that a later signal meets another process", why="the platform signals by descriptors of processes and by control group only; no number is ever used")
def b12(world):
    def attack(event, got):
        end = time.monotonic() + event
        rounds = 0
        while time.monotonic() < end:
            pid = os.fork()
            if pid == 0:
                os._exit(0)
            os.waitpid(pid, 0)
            rounds += 1
        if os.fork() == 0:
            while True:
                if os.fork():
                    os._exit(0)
        return rounds

    function = world.function(attack)
    world.ask(function, 1)
    world.call(function.delete)
    return []
