"""C. Kernel interface."""

import re
import time
from pathlib import Path

from hostile.catalogue import row
from support.server import read

CALLS = Path(__file__).parents[3] / "crates/sandbox/src/seccomp/calls.rs"
HEADER = "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"


def numbers_of(lists):
    """Numbers of the system calls that these lists of the reviewed file name, as far as they have names in the header."""
    header = dict(re.findall(r"__NR_(\w+)\s+(\d+)", read(HEADER)))
    found = []
    for name in lists:
        body = re.search(rf"const {name}: &\[i64\] =\s*&\[(.*?)\];", read(CALLS), re.S).group(1)
        found += [int(header[call]) for call in re.findall(r"SYS_(\w+)", body) if call in header]
        found += [int(number) for number in re.findall(r"^\s+(\d+),", body, re.M)]
    return found


REFUSED = ("MOUNTS", "OTHER_PROCESSES", "KERNEL", "KERNEL_LEGACY", "KEYS", "MACHINE", "NUMA")


@row("C01", "every system call by number, and the calls of other processor modes", off="system-calls user", least="number")
def c01(world):
    def attack(event, got):
        # Not with a valid argument, and only what does not end or halt anything: those are tried by name elsewhere.
        spared = {169, 153}
        for number in [*event, *range(467, 600)]:
            if number not in spared and reached(number, -1, -1, -1, -1, -1, -1):
                got.append(f"number: {number}")
        for number in (39, 59, 57, 520, 521, 547):
            # x32: ended by a signal or refused, but never served.
            if os.WIFEXITED(status := child(lambda: os._exit(0 if reached(0x40000000 + number, -1, -1, -1) else 1))) and status == 0:
                got.append(f"x32: {number}")
        # mov eax, 20 (getpid); int 0x80; ret
        area = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        area.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")
        code = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(area)))
        if child(lambda: os._exit(0 if code() == os.getpid() else 1)) == 0:
            got.append("i386")

    return world.run(attack, sorted(set(numbers_of(REFUSED))))


@row("C02", "calls with a history of escapes, each by itself", off="system-calls user", least="bpf perf_event_open userfaultfd io_uring_setup keyctl ptrace personality unshare")
def c02(world):
    def attack(event, got):
        # Arguments that would be harmless even if let through.
        probes = {
            "bpf": (0, 0, 0), "perf_event_open": (0, 0, -1, -1, 0), "userfaultfd": (0,), "io_uring_setup": (0, 0), "keyctl": (0, -3, 0), "add_key": (0, 0, 0, 0, 0),
            "request_key": (0, 0, 0, 0), "kexec_load": (0, 1 << 40, 0, 0), "kexec_file_load": (-1, -1, 0, 0, 0), "init_module": (0, 0, 0), "finit_module": (-1, 0, 0),
            "delete_module": (0, 0), "iopl": (4,), "ioperm": (-1, 0, 1), "swapon": (0, 0), "swapoff": (0,), "syslog": (-1, 0, 0), "quotactl": (0, 0, 0, 0),
            "personality": (0x0400000,), "unshare": (-1,), "ptrace": (16, -1, 0, 0), "process_vm_readv": (-1, 0, 0, 0, 0, 0), "process_vm_writev": (-1, 0, 0, 0, 0, 0),
            "kcmp": (-1, -1, 0, 0, 0), "pidfd_getfd": (-1, 0, 0), "modify_ldt": (9, 0, 0), "move_pages": (-1, 0, 0, 0, 0, 0), "migrate_pages": (-1, 0, 0, 0),
            "lookup_dcookie": (0, 0, 0), "nfsservctl": (0, 0, 0), "setns": (-1, 0), "open_by_handle_at": (-1, 0, 0), "name_to_handle_at": (-1, 0, 0, 0, 0), "fanotify_init": (-1, 0),
        }
        for name, arguments in probes.items():
            if os.waitstatus_to_exitcode(child(lambda: os._exit(0 if reached(name, *arguments) else 1))) == 0:
                got.append(name)

    return world.run(attack)


@row("C03", "read keys of the platform's keyrings", off="system-calls", least="keyring")
def c03(world):
    def attack(event, got):
        for ring in (-1, -2, -3, -4, -5):
            if call("keyctl", 0, ring, 1)[0] > 0:
                got.append(f"keyring: {ring}")

    return world.run(attack)


@row("C04", "sockets of odd families, raw sockets", off="system-calls user", least="raw packet netlink")
def c04(world):
    def attack(event, got):
        probes = {
            "packet": (17, 3, 0x300), "vsock": (40, 1, 0), "alg": (38, 5, 0), "bluetooth": (31, 3, 0), "key": (15, 3, 2), "raw": (2, 3, 1), "raw6": (10, 3, 58), "xdp": (44, 3, 0),
            "netlink": (16, 3, 12), "netlink audit": (16, 3, 9), "tipc": (30, 1, 0), "can": (29, 3, 1), "rds": (21, 5, 0), "packet old": (2, 10, 0),
        }
        for name, arguments in probes.items():
            fd, error = call(41, *arguments)
            if fd >= 0 or error not in (errno.EPERM, errno.ENOSYS):
                got.append(name)

    return world.run(attack)


@row("C05", "change the machine's clock or name", off="system-calls user uts-namespace", least="sethostname clock_settime")
def c05(world):
    def attack(event, got):
        # Wrong addresses and lengths: whoever is let in hears of those.
        probes = {"clock_settime": (0, 1), "settimeofday": (1, 0), "adjtimex": (1,), "clock_adjtime": (0, 1), "sethostname": (b"x\0", -1), "setdomainname": (b"x\0", -1)}
        got += [name for name, arguments in probes.items() if reached(name, *arguments)]

    return world.run(attack)


@row("C06", "a filter of one's own that asks a listener", why="a process may confine itself: what is shown is that nobody else is confined by it")
def c06(world):
    def attack(event, got):
        # Answers every getppid with EPERM: in this process alone.
        program = struct.pack("HBBI", 0x20, 0, 0, 0) + struct.pack("HBBI", 0x15, 0, 1, 110) + struct.pack("HBBI", 6, 0, 0, 0x00050001) + struct.pack("HBBI", 6, 0, 0, 0x7FFF0000)
        area = ctypes.create_string_buffer(program)
        filters = struct.pack("HxxxxxxQ", 4, ctypes.addressof(area))
        listener, _ = call("seccomp", 1, 8, filters)
        return listener

    function = world.function(attack)
    world.invoke(function)
    return [] if world.server.running() else ["the platform ended"]


@row("C07", "type into a terminal that was left open", off="system-calls", least="ioctl")
def c07(world):
    def attack(event, got):
        got += [f"terminal: {fd}" for fd in (0, 1, 2) if os.isatty(fd)]
        for request in (0x5412, 0x541C):
            if reached(16, 0, request, b"x"):
                got.append("ioctl")

    return world.run(attack)


@row("C08", "have the kernel load modules", off="system-calls", least="asked")
def c08(world):
    def attack(event, got):
        for family in (*range(3, 10), *range(11, 16), *range(18, 47)):
            if call(41, family, 5, 0)[1] not in (errno.EPERM, errno.ENOSYS):
                got.append("asked: for a family of sockets")

    before = read("/proc/modules")
    got = world.run(attack)
    return got + (["module: loaded"] if read("/proc/modules") != before else [])


@row("C09", "a storm of random system calls", why="it is aimed at all defences at once", short=False)
def c09(world):
    def attack(event, got):
        end = time.monotonic() + event["seconds"]
        rounds = 0
        while time.monotonic() < end:
            pid = os.fork()
            if pid == 0:
                chance = random.Random(event["seed"] + rounds)
                signal.alarm(1)
                for _ in range(200):
                    values = [chance.choice((0, 1, -1, 3, 63, 4096, 1 << 31, 1 << 63 - 1, chance.getrandbits(64) - (1 << 63))) for _ in range(6)]
                    libc.syscall(ctypes.c_long(chance.randrange(0, 470)), *[ctypes.c_long(value) for value in values])
                os._exit(0)
            os.waitpid(pid, 0)
            rounds += 1
        return rounds

    function = world.function(attack, Timeout=120)
    taint = read("/proc/sys/kernel/tainted")
    # Its own death is allowed.
    world.invoke(function, {"seconds": 60, "seed": time.time_ns() % 1_000_000})
    return [] if read("/proc/sys/kernel/tainted") == taint else ["the kernel is tainted"]


@row("C10", "reach what known escapes begin with", off="system-calls user", least="fs-context cgroup-release netfilter overlay")
def c10(world):
    def attack(event, got):
        probes = {
            # CVE-2022-0185
            "fs-context": lambda: reached("fsopen", b"cgroup2\0", 0),
            # CVE-2022-0492
            "cgroup-release": lambda: reached("mount", b"none\0", b"/tmp\0", b"cgroup\0", 0, b"rdma\0"),
            # CVE-2024-1086
            "netfilter": lambda: call(41, 16, 3, 12)[0] >= 0,
            # CVE-2023-0386
            "overlay": lambda: reached("mount", b"none\0", b"/tmp\0", b"overlay\0", 0, b"lowerdir=/usr,upperdir=/tmp,workdir=/tmp\0"),
            # CVE-2021-33909 and relatives begin with a namespace of their own.
            "namespace": lambda: reached("unshare", 0x10000000),
            # CVE-2017-5123, CVE-2021-3490
            "bpf": lambda: reached("bpf", 0, 0, 0),
            # CVE-2021-41073, CVE-2023-2598
            "uring": lambda: reached("io_uring_setup", 0, 0),
        }
        for name, do in probes.items():
            if os.waitstatus_to_exitcode(child(lambda: os._exit(0 if do() else 1))) == 0:
                got.append(name)
        # CVE-2022-0847: a page of a file that is read-only must not change through a pipe.
        path = "/var/task/app.py"
        before = content(path, 64)
        fd = os.open(path, os.O_RDONLY)
        out, into = os.pipe()
        capacity = fcntl.fcntl(into, 1032)
        os.write(into, b"x" * capacity)
        os.read(out, capacity)
        libc.splice(fd, ctypes.byref(ctypes.c_int64(0)), into, None, 1, 0)
        os.write(into, b"HOSTILE")
        if content(path, 64) != before:
            got.append("pipe: a page was changed")

    return world.run(attack)
