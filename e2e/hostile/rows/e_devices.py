"""E. Devices."""

from hostile.catalogue import row


@row("E01", "make and open device nodes", off="system-calls user tmp-flags", least="made opened")
def e01(world):
    def attack(event, got):
        nodes = {"disk": (stat.S_IFBLK, 8, 0), "nvme": (stat.S_IFBLK, 259, 0), "loop": (stat.S_IFBLK, 7, 0), "mem": (stat.S_IFCHR, 1, 1), "kmsg": (stat.S_IFCHR, 1, 11), "fuse": (stat.S_IFCHR, 10, 229), "tun": (stat.S_IFCHR, 10, 200), "kvm": (stat.S_IFCHR, 10, 232), "loop-control": (stat.S_IFCHR, 10, 237)}
        for name, (kind, major, minor) in nodes.items():
            path = f"/tmp/{name}"
            if works(os.mknod, path, kind | 0o666, os.makedev(major, minor)):
                got.append(f"made: {name}")
                if works(lambda: os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))):
                    got.append(f"opened: {name}")

    return world.run(attack)


@row("E02", "find other devices than the harmless ones", off="devices", least="there")
def e02(world):
    def attack(event, got):
        allowed = {"null", "zero", "full", "random", "urandom", "fd", "stdin", "stdout", "stderr"}
        got += [f"there: {name}" for name in os.listdir("/dev") if name not in allowed]
        for folder, _, names in os.walk("/"):
            if folder.startswith(("/proc", "/dev")):
                continue
            got += [f"device: {folder}/{name}" for name in names if stat.S_ISCHR(mode := os.lstat(os.path.join(folder, name)).st_mode) or stat.S_ISBLK(mode)]

    return world.run(attack)


@row("E03", "take from or put into the machine's randomness", off="user", least="credited")
def e03(world):
    def attack(event, got):
        fd = os.open("/dev/random", os.O_RDWR)
        # Credits no bits at all: whoever may do that may credit more.
        if works(fcntl.ioctl, fd, 0x40045201, struct.pack("i", 0)):
            got.append("credited")
        os.read(fd, 1 << 16)

    return world.run(attack)


@row("E04", "bring devices for graphics, virtual machines, input", off="devices", least="there")
def e04(world):
    def attack(event, got):
        names = ("dri", "nvidia0", "kvm", "vhost-net", "vhost-vsock", "uinput", "input", "watchdog", "fuse", "net", "mapper", "mem", "port", "loop-control", "shm", "ptmx", "tty", "console")
        got += [f"there: {name}" for name in names if os.path.lexists("/dev/" + name)]

    return world.run(attack)
