"""The power fails under load: with the server goes whatever it has not flushed. `python -m loss.power`, in e2e/.

That every flush is needed is shown, too: where the program forgets one kind, as if the call were not there, something
must be lost (`--forget`)."""

import argparse
import os
import secrets
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

from loss.kill import Run
from loss.verdict import LOST
from loss.witness import Witness
from loss.world import World
from support.server import wait_until

PAGE = 4096
# Of what was not flushed, how much is there nevertheless: nothing, or about so much, in any order.
SURVIVES = (0.0, 0.0, 0.5)
# What is made again from what is kept: its marks are those of the machine's boot, which does not change here, and of the
# spawner, which the shim is not in.
DERIVED = ("code", "tmp")
# Kinds of flushes, by a part of the path, of which each must be missed. The name of a folder ends its path.
FLUSHES = ("queues.db-wal", "meta.db-wal", "/.unfinished-", "/blobs\n", "/objects/", "/objects\n")
# Rounds within which a forgotten flush must have shown.
SHOWN_WITHIN = 12
# Without any sign of life, where something is expected to be missed.
MISSED_S = 30
# For what is taken down after a failure.
REMOVED_S = 30


class Disk:
    """What a data folder has on stable storage, as the shim keeps it."""

    def __init__(self, data, forgets=""):
        self.data = Path(data)
        self.folder = Path(tempfile.mkdtemp(prefix="hearth-durable-"))
        self.folder.chmod(0o777)
        self.shim = self.folder / "unflushed.so"
        source = Path(__file__).with_name("unflushed.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", self.shim, source, "-lpthread"], check=True)
        self.environment = {"LD_PRELOAD": str(self.shim), "LOSS_DURABLE": str(self.folder), "LOSS_FORGETS": forgets}

    def fail(self, chance):
        """The data folder becomes what a power failure leaves of it."""
        survives = chance.choice(SURVIVES)
        after = self.data.with_name("after")
        self.rebuild(self.data, self.data.stat().st_ino, after, lambda: chance.random() < survives)
        before = self.data.rename(self.data.with_name("before"))
        after.rename(self.data)
        wait_until(lambda: is_removed(before), REMOVED_S, "the data folder of before the failure cannot be removed")
        for kept in self.folder.glob("[df]-*"):
            kept.unlink()
        self.keep(self.data)

    def rebuild(self, now, inode, to, survives):
        """A folder of which `now` is the path, if it is still there."""
        to.mkdir()
        os.chown(to, *owner(now if now and now.exists() else self.data))
        to.chmod(stat.S_IMODE((now if now and now.exists() else self.data).stat().st_mode))
        flushed = {name: (kind, number) for kind, number, name in self.names(inode)}
        there = {}
        if now and now.is_dir() and now.stat().st_ino == inode:
            there = {entry.name: (kind_of(entry), entry.inode()) for entry in os.scandir(now)}
        for name in sorted({*flushed, *there}):
            kept = flushed.get(name)
            if kept != there.get(name) and survives():
                kept = there.get(name)
            if not kept or kept[0] not in "df":
                continue
            path = now / name if now and there.get(name) == kept else None
            if kept[0] == "d":
                derived = name in DERIVED and now == self.data
                self.rebuild(path, kept[1], to / name, (lambda: False) if derived else survives)
            else:
                self.rebuild_file(path, kept[1], to / name, survives)

    def rebuild_file(self, now, inode, to, survives):
        kept = self.folder / f"f-{inode}"
        flushed = kept.read_bytes() if kept.exists() else b""
        there = now.read_bytes() if now else flushed
        size = len(there) if there != flushed and survives() else len(flushed)
        pages = []
        for at in range(0, size, PAGE):
            old, new = (text[at : at + PAGE] for text in (flushed, there))
            pages.append((new if old != new and survives() else old).ljust(min(PAGE, size - at), b"\0")[: size - at])
        to.write_bytes(b"".join(pages))
        os.chown(to, *owner(now or self.data))
        to.chmod(stat.S_IMODE(now.stat().st_mode) if now else 0o600)

    def names(self, inode):
        kept = self.folder / f"d-{inode}"
        for line in kept.read_text().splitlines() if kept.exists() else ():
            kind, number, name = line.split(" ", 2)
            yield kind, int(number), name

    def keep(self, folder):
        """What is there after a failure is on stable storage."""
        lines = []
        for entry in os.scandir(folder):
            lines.append(f"{kind_of(entry)} {entry.inode()} {entry.name}\n")
            if entry.is_dir():
                self.keep(Path(entry.path))
            else:
                shutil.copyfile(entry.path, self.folder / f"f-{entry.inode()}")
                (self.folder / f"f-{entry.inode()}").chmod(0o666)
        kept = self.folder / f"d-{folder.stat().st_ino}"
        kept.write_text("".join(lines))
        kept.chmod(0o666)

    def close(self):
        shutil.rmtree(self.folder)


def owner(path):
    found = path.stat()
    return found.st_uid, found.st_gid


def is_removed(folder):
    """What takes an environment down may still be at work in it."""
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


def kind_of(entry):
    return "d" if entry.is_dir(follow_symlinks=False) else "f" if entry.is_file(follow_symlinks=False) else "-"


class Failures(Run):
    def __init__(self, world, witness, seed, disk):
        super().__init__(world, witness, seed)
        self.disk = disk
        if disk.environment["LOSS_FORGETS"]:
            self.patience = MISSED_S

    def hire_more(self, make):
        """What these write lies in the same files: without them the others write more between two failures."""
        return []

    def fails_once(self):
        chance = self.chance
        steps, runs = chance.choice([(chance.randint(1, 120), 10**9), (10**9, chance.randint(1, 30))])
        self.round().until_killed(steps, runs, chance.random() * 0.01, "all")
        self.crashes += 1
        self.disk.fail(chance)
        self.world.must_start()


def play(seed, rounds, look_every, forgets=""):
    with Witness() as witness:
        world = World()
        disk = Disk(world.server.data, forgets)
        world.environment = disk.environment
        try:
            run = Failures(world, witness, seed, disk)
            run.begin()
            for round_ in range(1, rounds + 1):
                run.fails_once()
                if round_ % look_every == 0 or round_ == rounds:
                    run.look()
        finally:
            world.close()
            disk.close()


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--rounds", type=int, default=60)
    arguments.add_argument("--seed", type=int, default=None)
    arguments.add_argument("--forget", action="append", help="only this kind of flush, which must be missed")
    arguments = arguments.parse_args()
    seed = secrets.randbits(32) if arguments.seed is None else arguments.seed
    print(f"--seed {seed}", flush=True)
    if not arguments.forget:
        play(seed, arguments.rounds, 10)
    for flush in arguments.forget or FLUSHES:
        try:
            play(seed, SHOWN_WITHIN, 1, flush)
        except LOST as error:
            print(f"without the flush of {flush.strip()}: {str(error).splitlines()[0][:150]}", flush=True)
        else:
            raise SystemExit(f"without the flush of {flush.strip()} nothing is lost: it is not needed, or this test does not see")


if __name__ == "__main__":
    main()
