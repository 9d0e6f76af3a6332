"""M. Side channels, and monitors of virtual machines."""

import json
import time

from hostile.catalogue import absent, elsewhere, row


@row("M04-watch", "see by inotify, or by signals, when others use files that are shared", off="system-calls", least="inotify dnotify")
def m04_watch(world):
    def attack(event, got):
        import calendar

        # Opened, read, closed unwritten; and the same of anything in the folder, which the kernel signals.
        fd = libc.inotify_init()
        watches = [what for what in (0x20, 0x1, 0x10) if libc.inotify_add_watch(fd, calendar.__file__.encode(), what | 0x20000000) != -1]
        signalled = []
        signal.signal(signal.SIGIO, lambda *_: signalled.append(1))
        folder = os.open(os.path.dirname(calendar.__file__), os.O_RDONLY)
        if works(fcntl.fcntl, folder, fcntl.F_NOTIFY, fcntl.DN_ACCESS | fcntl.DN_MULTISHOT):
            watches.append("folder")
        end = time.monotonic() + 30
        while watches and time.monotonic() < end and len(got) < 2:
            if select.select([fd], [], [], 0.1)[0] and "inotify" not in got:
                got.append("inotify")
            if signalled and "dnotify" not in got:
                got.append("dnotify")

    spy = world.function(attack)
    seen = world.threads.submit(spy.invoke, None)
    while not seen.done():
        other = world.call(world.deploy, "import calendar\nopen(calendar.__file__).read()\ndef handler(event, context):\n    return 1\n")
        world.call(other.call)
    return json.loads(seen.result()["payload"])["got"]


@row("M04-devices", "see by inotify when anybody uses a device", off="devices", least="null")
def m04_devices(world):
    def attack(event, got):
        fd = libc.inotify_init()
        # Written, and closed after that: such watches are allowed.
        assert libc.inotify_add_watch(fd, b"/dev/null", 0x2 | 0x8) != -1
        if select.select([fd], [], [], 5)[0]:
            got.append("null")

    spy = world.function(attack)
    seen = world.threads.submit(spy.invoke, None)
    while not seen.done():
        with open("/dev/null", "w") as null:
            null.write("x")
        time.sleep(0.05)
    return json.loads(seen.result()["payload"])["got"]


elsewhere("M01", "tell by the answer whether another's function is there", "test_policies.py::test_who_may_not_learns_nothing")
elsewhere("M02", "tell by time how much of a signature is right", "test_auth.py::test_every_service_refuses_unknown_keys_and_wrong_secrets_in_its_own_words")
absent({"M03": "tell by time whether a file is known"}, "packages are kept by their own digest for all: who uploads the same bytes may notice it by time; not promised")
absent({"M04": "flush and reload of shared pages", "M05": "Spectre and its kin"}, "documented, not promised: a kernel and its page cache are shared (see above); the machine's own mitigations hold")
absent({"M06": "devices of a virtual machine", "M07": "a monitor that has been taken over", "M08": "a guest that lies to its host", "M09": "gVisor's gofer"}, "microVMs and gVisor are not offered")
