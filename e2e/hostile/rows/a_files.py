"""A. File system and mounts."""

import base64
import ctypes
import hashlib
import json
import os
import socket

from hostile.catalogue import row
from support.server import HANGS_S, wait_until


def trees(world):
    """The files of each package that lies unpacked, by its digest, and their checksums."""
    whole = [folder for folder in (world.server.data / "code").iterdir() if not folder.name.startswith(".")]
    files = lambda folder: [path for path in folder.rglob("*") if path.is_file()]
    return {folder.name: {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files(folder)} for folder in whole}


def digest(world, function):
    """Of a function's package, as its tree is named."""
    shown = world.client.get_function_configuration(FunctionName=function.name)["CodeSha256"]
    return base64.b64decode(shown).hex()


@row("A01", "write, create, delete, chmod, rename under the code, layers, runtime, /etc and /usr", off="read-only user", least="put")
def a01(world):
    def attack(event, got):
        for folder in ("/", "/var/task", "/opt", "/var/runtime", "/etc", "/usr", "/usr/lib", "/var", "/dev"):
            if works(put, folder + "/hostile"):
                got.append(f"put: {folder}")
                os.unlink(folder + "/hostile")
        for path in ("/var/task/app.py", "/etc/passwd"):
            if works(os.chmod, path, 0o777):
                got.append(f"chmod: {path}")
            if works(os.rename, path, path + ".old"):
                got.append(f"rename: {path}")
                os.rename(path + ".old", path)
            if works(put, path, b"# changed\n", os.O_WRONLY | os.O_APPEND):
                got.append(f"append: {path}")

    function = world.function(attack)
    own = digest(world, function)
    wait_until(lambda: own in trees(world), HANGS_S, "its package is not unpacked")
    before = trees(world)
    got = world.ask(function)["got"]
    # Meanwhile those of other functions may have come, and may have gone.
    after = trees(world)
    changed = [tree for tree, files in before.items() if after.get(tree, files) != files]
    return got + [f"bytes: of the package {tree}" for tree in changed + [own] * (own not in after)]


@row("A02", "change code by a hard link, or a file without a name, made from /tmp", off="read-only user", least="linkat")
def a02(world):
    def attack(event, got):
        if works(os.link, "/var/task/app.py", "/tmp/linked"):
            got.append("link: out of the code")
        try:
            fd = os.open("/var/task", os.O_TMPFILE | os.O_WRONLY, 0o644)
        except OSError:
            return
        os.write(fd, b"x")
        if libc.linkat(-100, f"/proc/self/fd/{fd}".encode(), -100, b"/var/task/linked", 0x400) == 0:
            got.append("linkat: into the code")

    return world.run(attack)


@row("A03", "reach a file of the host by .., //, long paths, roots of processes", off="root")
def a03(world):
    def attack(event, got):
        path = event["path"]
        ways = [path, "/opt" + path, "/" + "../" * 64 + path, "//" + path, "/proc/self/root" + "/.." * 2 + path, "/proc/1/root" + path, "/proc/self/cwd/../../../.." + path, "/tmp" + "/." * 3000 + "/.." * 64 + path, "/proc/thread-self/root" + path]
        got += reads(ways, [event["mark"]])

    # In a world with canaries the event must not tell one: it is known by its beginning.
    return world.run(attack, {"path": str(world.secret), "mark": "canary-file-"})


@row("A04", "leave the root by chroot and a folder kept open", off="system-calls user")
def a04(world):
    def attack(event, got):
        def leave():
            os.makedirs("/tmp/a/b", exist_ok=True)
            kept = os.open("/tmp", os.O_RDONLY)
            os.chroot("/tmp/a")
            os.fchdir(kept)
            for _ in range(100):
                os.chdir("..")
            os.chroot(".")

        if os.waitstatus_to_exitcode(child(leave)) == 0:
            got.append("chroot")

    return world.run(attack)


@row("A05", "open files of the host by guessed handles", off="system-calls user", least="canary")
def a05(world):
    def attack(event, got):
        mount = os.open("/var/task", os.O_RDONLY)
        # The root of most file systems has the inode number 2; what is packed is length, type (a 32-bit number and a generation), number.
        for inode in (2, 1, 64, 128, 256):
            handle = ctypes.create_string_buffer(struct.pack("=IiII", 8, 1, inode, 0), 64)
            fd, error = call("open_by_handle_at", mount, handle, os.O_RDONLY)
            if fd < 0:
                continue
            got.append("handle")
            if works(lambda: os.open(event["path"].lstrip("/"), os.O_RDONLY, dir_fd=fd)):
                got.append("canary")

    return world.run(attack, {"path": str(world.secret)})


@row("A06", "mount, unmount, pivot, by the old and the new interface", off="system-calls user", least="mount fsopen open_tree umount2")
def a06(world):
    def attack(event, got):
        probes = {
            "mount": (b"none\0", b"/tmp\0", b"tmpfs\0", 0, 0), "umount2": (b"/proc/keys\0", 2), "pivot_root": (b".\0", b".\0"),
            "fsopen": (b"tmpfs\0", 0), "fsconfig": (-1, 0, 0, 0, 0), "fsmount": (-1, 0, 0), "fspick": (-1, b".\0", 0), "open_tree": (-100, b"/tmp\0", 1),
            "move_mount": (-1, b"\0", -1, b"\0", 0), "mount_setattr": (-1, b"\0", 0, 0, 0),
        }
        got += [name for name, arguments in probes.items() if reached(name, *arguments)]

    return world.run(attack)


@row("A07", "have the platform follow a link in /tmp", why="the platform opens nothing below /tmp: a volume goes as a whole, so there is no step that could be weakened")
def a07(world):
    def attack(event, got):
        for name in ("core", "core.1", "log", "log.txt", "lost+found", "metrics", "bootstrap", "x"):
            os.symlink(event["path"], "/tmp/" + name)
        os.symlink("/", "/tmp/root")
        os.abort()

    function = world.function(attack)
    world.invoke(function, {"path": str(world.secret)})
    world.call(function.delete)
    return [] if world.secret.read_text() == world.canaries["file"] else ["the host's file is another"]


@row("A08", "swap a folder and a link while the environment is taken down", why="as A07: nothing below /tmp is looked at when it goes", short=False)
def a08(world):
    def attack(event, got):
        os.mkdir("/tmp/d")
        put("/tmp/d/secret")
        os.symlink(event["folder"], "/tmp/l")
        if os.fork() == 0:
            os.setsid()
            while True:
                call("renameat2", -100, b"/tmp/d\0", -100, b"/tmp/l\0", 2)

    for _ in range(10):
        function = world.function(attack)
        world.invoke(function, {"folder": str(world.folder)})
        world.call(function.delete)
    return [] if world.secret.exists() and world.secret.read_text() == world.canaries["file"] else ["the host's file is gone"]


@row("A09", "leave very many files, very deep folders and odd names in /tmp", why="as A07: nothing below /tmp is looked at when it goes")
def a09(world):
    def attack(event, got):
        deep = os.open("/tmp", os.O_RDONLY)
        for _ in range(4000):
            os.mkdir("d", dir_fd=deep)
            below = os.open("d", os.O_RDONLY, dir_fd=deep)
            os.close(deep)
            deep = below
        for name in (b"new\nline", b"\xff\xfe", b"n" * 255, b"\x1b[2J", b"-rf", b" "):
            put(b"/tmp/" + name)
        os.chmod("/tmp/-rf", 0)
        os.mkdir("/tmp/many", 0o700)
        try:
            for n in range(1_000_000):
                os.mknod(f"/tmp/many/{n}")
        except OSError as error:
            return error.errno

    answer = world.ask(world.function(attack))
    return [] if answer["said"] == 28 else [f"no bound of files: {answer}"]


@row("A10", "make pipes, sockets and device nodes in /tmp", off="system-calls user tmp-flags", least="node")
def a10(world):
    def attack(event, got):
        os.mkfifo("/tmp/fifo")
        socket.socket(socket.AF_UNIX).bind("/tmp/socket")
        for kind, major, minor in ((stat.S_IFCHR, 1, 11), (stat.S_IFCHR, 0, 0), (stat.S_IFBLK, 7, 0)):
            path = f"/tmp/node-{major}-{minor}"
            if works(os.mknod, path, kind | 0o666, os.makedev(major, minor)):
                got.append("node")
        if works(lambda: os.close(os.open("/tmp/node-1-11", os.O_RDONLY | os.O_NONBLOCK))):
            got.append("open: a device")

    return world.run(attack)


@row("A11", "gain rights by a set-id program from /tmp or from the package", off="new-privileges system-calls tmp-flags", least="privileges set-id")
def a11(world):
    def attack(event, got):
        status = dict(line.split(":\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\t" in line)
        if status["NoNewPrivs"] != "1":
            got.append("privileges: may be gained")
        mounts = {line.split()[4]: line.split()[5].split(",") for line in open("/proc/self/mountinfo")}
        got += [f"set-id: on {point}" for point in ("/tmp", "/var/task", "/") if "nosuid" not in mounts[point]]
        shutil.copy(os.path.realpath(sys.executable), "/tmp/py")
        os.chmod("/tmp/py", 0o6755)
        seen = subprocess.run(["/tmp/py", "-I", "-S", "-c", "import os; print(os.geteuid() == os.getuid(), open('/proc/self/status').read())"], capture_output=True, text=True).stdout
        if not seen.startswith("True"):
            got.append("euid: is another")
        got += [f"bits: of {name}" for name in ("suid", "app.py") if os.stat("/var/task/" + name).st_mode & 0o6000]

    return world.run(attack, files={"suid": ("x", 0o6755)})


@row("A12", "run programs from /tmp and from memory, as on Lambda", why="a guard of compatibility: here it is the failure that would be told")
def a12(world):
    def attack(event, got):
        python = os.path.realpath(sys.executable)
        shutil.copy(python, "/tmp/py")
        code = ["-I", "-S", "-c", "print(open('/proc/self/status').read())"]
        memory = os.memfd_create("program", 0)
        os.write(memory, b"#!" + python.encode() + b"\nprint(open('/proc/self/status').read())\n")
        for name, command in {"/tmp": ["/tmp/py", *code], "memory": [python, f"/proc/self/fd/{memory}"]}.items():
            done = subprocess.run(command, capture_output=True, text=True, pass_fds=[memory])
            status = dict(line.split(":\t", 1) for line in done.stdout.splitlines() if ":\t" in line)
            if status.get("NoNewPrivs") != "1" or any(int(status[cap], 16) for cap in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")):
                got.append(f"{name}: {done.stdout} {done.stderr}")
        if os.path.exists("/dev/shm"):
            got.append("/dev/shm is there")

    return world.run(attack)


@row("A13", "connect to abstract sockets of the platform's network, or listen at their names", off="network-namespace", least="connected")
def a13(world):
    def attack(event, got):
        for name in event:
            with socket.socket(socket.AF_UNIX) as sock:
                if works(sock.connect, "\0" + name):
                    got.append(f"connected: {name}")

    def listen():
        listener = socket.socket(socket.AF_UNIX)
        listener.bind("\0hearth-hostile-canary")
        listener.listen()
        return listener

    with world.call(listen):
        return world.run(attack, ["hearth-hostile-canary", "hearth", "hearth-spawner"])


@row("A14", "watch files by fanotify", off="system-calls user", least="fanotify_init")
def a14(world):
    def attack(event, got):
        # A class that only the machine's root may have.
        if reached("fanotify_init", 4, 0):
            got.append("fanotify_init")

    return world.run(attack)


@row("A15", "hold a lock or a lease on a shared file", off="user", least="lease")
def a15(world):
    def attack(event, got):
        for path in (os.__file__, "/var/task/app.py"):
            fd = os.open(path, os.O_RDONLY)
            fcntl.flock(fd, fcntl.LOCK_EX)
            if works(fcntl.fcntl, fd, 1024, fcntl.F_RDLCK):
                got.append(f"lease: {path}")
        # Holds the locks while others start.
        time.sleep(2)

    function = world.function(attack)
    asked = world.threads.submit(function.invoke, None)
    # The same package, and so the same files.
    assert world.ask(world.function(lock_free))["said"] == "here"
    return json.loads(asked.result()["payload"])["got"]


def lock_free(event, got):
    return "here"


@row("A16", "list and attach shared memory of others", off="ipc-namespace", least="segment")
def a16(world):
    def attack(event, got):
        segment = libc.shmget(event["key"], 0, 0)
        if segment != -1:
            got.append("segment: found by its key")
        if str(event["key"]) in open("/proc/sysvipc/shm").read():
            got.append("segment: listed")
        if os.path.exists("/dev/shm"):
            got.append("/dev/shm")

    key = 0x48450000 + os.getpid() % 0xFFFF
    libc = ctypes.CDLL(None)
    segment = libc.shmget(key, 4096, 0o1666)
    assert segment != -1
    try:
        return world.run(attack, {"key": key})
    finally:
        libc.shmctl(segment, 0, None)
