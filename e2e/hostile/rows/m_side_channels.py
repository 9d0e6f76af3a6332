"""M. Side channels, and monitors of virtual machines."""

from hostile.catalogue import absent, elsewhere, row


@row("M04-watch", "see by inotify when others use files that are shared", why="the kernel tells of a file, not of a way to it", open="files of a runtime are shared by all of its environments, and inotify tells of their use, as timing does; what was read of them it does not tell")
def m04_watch(world):
    def attack(event, got):
        import calendar

        fd = libc.inotify_init()
        libc.inotify_add_watch(fd, calendar.__file__.encode(), 0x20)
        put("/tmp/ready")
        ready, _, _ = select.select([fd], [], [], 10)
        if ready:
            got.append("another's use was seen")

    spy = world.function(attack)
    seen = world.threads.submit(spy.invoke, None)
    import json

    while not seen.done():
        other = world.call(world.deploy, "import calendar\nopen(calendar.__file__).read()\ndef handler(event, context):\n    return 1\n")
        world.call(other.call)
    return json.loads(seen.result()["payload"])["got"]


elsewhere("M01", "tell by the answer whether another's function is there", "test_policies.py::test_who_may_not_learns_nothing")
elsewhere("M02", "tell by time how much of a signature is right", "test_auth.py::test_every_service_refuses_unknown_keys_and_wrong_secrets_in_its_own_words")
absent({"M03": "tell by time whether a file is known"}, "packages are kept by their own digest for all: who uploads the same bytes may notice it by time; not promised")
absent({"M04": "flush and reload of shared pages", "M05": "Spectre and its kin"}, "documented, not promised: a kernel and its page cache are shared (see above); the machine's own mitigations hold")
absent({"M06": "devices of a virtual machine", "M07": "a monitor that has been taken over", "M08": "a guest that lies to its host", "M09": "gVisor's gofer"}, "microVMs and gVisor are not offered")
