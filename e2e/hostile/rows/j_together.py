"""J. Resource exhaustion: what is the machine's, and nobody's share."""

import inspect
import mmap
import os
import textwrap
from pathlib import Path

from botocore.exceptions import ClientError
from hostile.catalogue import row
from hostile.rows.k_secrets import SNAP_START, published
from hostile.world import HANDLER, INSIDE, WeakServer
from support.disks import small_disk
from support.server import Server
from tests.conftest import Function, client_of, deployer


@row("J03-disk", "fill the machine's disk by what all /tmps are promised together", off="room", least="deploy")
def j03_disk(world):
    def attack(event, got):
        with open("/tmp/fill", "wb", buffering=0) as file:
            try:
                while True:
                    file.write(os.urandom(1 << 20))
            except OSError:
                pass

    def tried():
        client = client_of(server)
        deploy, _ = deployer(client)
        fills = Function(client, "fills")
        code = INSIDE + "\n\n" + textwrap.dedent(inspect.getsource(attack)) + HANDLER.format(name="attack")
        deploy(code, FunctionName="fills", Timeout=120, EphemeralStorage={"Size": 2048})
        # It ends by itself where there is no room left, or is ended before.
        fills.invoke()
        got = []
        for what, do in {
            "deploy": lambda: deploy("def handler(event, context):\n    return event\n").call(1),
            "event": lambda: client.invoke(FunctionName="fills", InvocationType="Event", Payload=b"0", Qualifier="$LATEST"),
            "delete": lambda: client.delete_function(FunctionName="fills"),
        }.items():
            try:
                do()
            except ClientError as error:
                got.append(f"{what}: {error}")
        return got

    with small_disk(1000) as disk:
        server = WeakServer(world.off) if world.off else Server()
        server.data = disk / "data"
        try:
            world.call(server.start)
            got = world.call(tried)
        finally:
            server.close()
    return got


def holes_fill(world):
    """The kernel makes memory of what was never written of such a file when it is read."""

    def attack(event, got):
        file = os.memfd_create("holes")
        os.ftruncate(file, 64 << 20)
        area = mmap.mmap(file, 64 << 20, prot=mmap.PROT_READ)
        for at in range(0, len(area), mmap.PAGESIZE):
            area[at]
        return os.fstat(file).st_blocks * 512

    return ["fills"] if world.ask(world.function(attack, MemorySize=256))["said"] >= 64 << 20 else []


@row("J02-snapshots", "have a snapshot take more memory than when it was counted", control=holes_fill)
def j02_snapshots(world):
    def attack(event, got):
        for at in range(0, len(AREA), mmap.PAGESIZE):
            AREA[at]

    # Fresh memory that is only read is the kernel's own page of zeros, and nobody's.
    begin = "\nAREA = mmap.mmap(-1, 256 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)\nAREA[0] = 1\nfor at in range(0, len(AREA), mmap.PAGESIZE):\n    AREA[at]\n"
    code = INSIDE + begin + textwrap.dedent(inspect.getsource(attack)) + HANDLER.format(name="attack")
    function = world.call(world.deploy, code, Runtime=SNAP_START, SnapStart={"ApplyOn": "PublishedVersions"}, MemorySize=512)
    version = published(world, function)
    before = of_snapshots(world)
    assert before, "no snapshot is there"
    world.ask(function, Qualifier=version)
    grown = of_snapshots(world) - before
    return [f"{grown >> 20} MB more"] if grown > 8 << 20 else []


def of_snapshots(world):
    """Bytes of memory that the server's snapshots take."""
    files = [path for path in Path(f"/proc/{world.server.pid}/fd").iterdir() if "hearth-snapshot" in os.readlink(path)]
    return sum(path.stat().st_blocks * 512 for path in files)
