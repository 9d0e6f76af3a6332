"""D. /proc, /sys and what is masked there."""

from pathlib import Path

from hostile.catalogue import row
from support.server import read

MASKED = ("config.gz", "kcore", "kmsg", "keys", "timer_list", "sched_debug", "latency_stats", "mtrr")


@row("D01", "read what /proc and /sys tell of the machine", off="masks user", least="told")
def d01(world):
    def attack(event, got):
        for name in event:
            try:
                fd = os.open(f"/proc/{name}", os.O_RDONLY | os.O_NONBLOCK)
            except OSError:
                continue
            if works(lambda: os.read(fd, 16)[0]):
                got.append(f"told: {name}")
        for path in ("/proc/scsi", "/proc/acpi"):
            if os.path.isdir(path) and os.listdir(path):
                got.append(f"told: {path}")
        got += [f"there: {path}" for path in ("/sys/firmware", "/sys/kernel/security", "/sys/devices/virtual/powercap") if os.path.exists(path)]

    return world.run(attack, MASKED)


@row("D01-disks", "see by the machine's disks how many others there are, and what each writes", off="masks", least="disks")
def d01_disks(world):
    def attack(event, got):
        for path in ("/proc/diskstats", "/proc/partitions"):
            if "loop" in open(path).read():
                got.append(f"disks: {path}")
        if glob.glob("/proc/fs/*/*"):
            got.append("disks: /proc/fs")

    return world.run(attack)


@row("D02", "write settings of the kernel", off="masks user", least="open")
def d02(world):
    def attack(event, got):
        # Opened, never written: what can be opened could be.
        for path in ("sys/kernel/core_pattern", "sys/kernel/modprobe", "sys/kernel/panic", "sys/kernel/hostname", "sys/net/ipv4/ip_forward", "sys/vm/drop_caches", "sysrq-trigger", "irq/default_smp_affinity", "bus/pci/devices", "mtrr"):
            if stat.S_ISREG(os.stat("/proc/" + path).st_mode if os.path.exists("/proc/" + path) else 0):
                if works(lambda: os.close(os.open("/proc/" + path, os.O_WRONLY))):
                    got.append(f"open: {path}")

    return world.run(attack)


@row("D03", "uncover what is masked", off="system-calls user", least="uncovered")
def d03(world):
    def attack(event, got):
        def empty(path):
            try:
                return not os.read(os.open(path, os.O_RDONLY | os.O_NONBLOCK), 16)
            except OSError:
                return True

        call("umount2", b"/proc/timer_list\0", 2)
        os.mkdir("/tmp/proc")
        call("mount", b"proc\0", b"/tmp/proc\0", b"proc\0", 0, 0)
        paths = ["/proc/timer_list", "/tmp/proc/timer_list", "/proc/self/root/proc/timer_list", "/proc/thread-self/root/proc/timer_list"]
        held = os.open("/proc", os.O_RDONLY)
        paths.append(f"/proc/self/fd/{held}/timer_list")
        got += [f"uncovered: {path}" for path in paths if not empty(path)]

    return world.run(attack)


@row("D04", "learn the host's layout, other tenants' names, the platform's variables", off="root user hidden-processes", least="mountinfo")
def d04(world):
    def attack(event, got):
        told = {path: content(path).decode(errors="replace") for path in ("/proc/self/mountinfo", "/proc/self/cgroup", "/proc/1/cmdline", "/proc/1/environ", "/proc/1/cgroup", "/proc/self/environ", "/proc/1/maps")}
        # Its own code's folder is shown, and known: nothing else of the data folder.
        lines = [line for line in told["/proc/self/mountinfo"].splitlines() if event["data"] in line]
        if len(lines) > 1:
            got.append("mountinfo: more than the function's own code")
        if "/sys" in {line.split()[4] for line in told["/proc/self/mountinfo"].splitlines()} or "/opt/proc" in told["/proc/self/mountinfo"]:
            got.append("mountinfo: the machine's")
        if any(line.split(":", 2)[2] != "/" for line in told["/proc/self/cgroup"].splitlines()):
            got.append("cgroup: a path of the machine")
        if told["/proc/1/environ"] or told["/proc/1/maps"]:
            got.append("init")
        for path, text in told.items():
            got += [f"{path}: {word}" for word in ("canary-", "bystander", "PLATFORM_CANARY") if word in text]

    return world.run(attack, {"data": str(world.server.data.parent.name)})


@row("D05", "open init's program for writing or run it anew", off="user", least="open")
def d05(world):
    def attack(event, got):
        for path in ("/proc/1/exe", "/proc/1/root/proc/1/exe"):
            if works(lambda: os.close(os.open(path, os.O_RDONLY))):
                got.append("open: init's program")
            if works(lambda: os.close(os.open(path, os.O_WRONLY))):
                got.append("write: init's program")

    return world.run(attack)


@row("D06", "spare itself when memory is short; map users anew", off="user limits", least="map")
def d06(world):
    def attack(event, got):
        if works(put, "/proc/self/oom_score_adj", b"-1000", os.O_WRONLY):
            got.append("oom_score_adj")
        if works(put, "/proc/self/uid_map", b"0 0 1\n", os.O_WRONLY):
            got.append("uid_map")
        if works(put, "/proc/self/setgroups", b"allow", os.O_WRONLY):
            got.append("setgroups")
        if open("/proc/self/uid_map").read().split() == ["0", "0", "4294967295"]:
            got.append("map: all users of the machine")

    return world.run(attack)


@row("D07", "change its control groups", off="root user", least="writable")
def d07(world):
    def attack(event, got):
        for root in ("/sys/fs/cgroup", "/opt/sys/fs/cgroup", "/proc/self/root/sys/fs/cgroup"):
            for path in [*glob.glob(root + "/cgroup.procs"), *glob.glob(root + "/*/cgroup.procs"), *glob.glob(root + "/*/release_agent")]:
                if works(lambda: os.close(os.open(path, os.O_WRONLY))):
                    got.append(f"writable: {path}")

    return world.run(attack)


@row("D08", "tell machines apart by /sys", off="root", least="there")
def d08(world):
    def attack(event, got):
        got += [f"there: {path}" for path in ("/sys/class", "/sys/block", "/opt/sys/class", "/opt/sys/block", "/etc/machine-id", "/opt/etc/machine-id") if os.path.exists(path)]

    # What is shown and known: /proc/cpuinfo, /proc/meminfo, the kernel's release, as on Lambda.
    assert Path("/sys/class").exists() and read("/proc/cpuinfo")
    return world.run(attack)
