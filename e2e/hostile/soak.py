"""Very many environments that end in all ways, and what is there before and after: `python -m hostile.soak`, in e2e/."""

import argparse
import itertools
import json
import os
import random
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

from hostile.world import Audit
from support.server import Server, Traces, descendants, read, wait_until
from tests.conftest import client_of, deployer

# How each environment of a round ends, and what its invoke must answer.
ENDS = {
    "normal": (9, None),
    "left in work": (2, None),
    "exit": (3, "Runtime.ExitError"),
    "signal": (2, "Runtime.ExitError"),
    "memory": (2, "Runtime."),
    "time-out": (1, "Sandbox.Timedout"),
    "init": (1, "Runtime.ExitError"),
}
ROUND = [end for end, (share, _) in ENDS.items() for _ in range(share)]
# Environments between two kills of the server.
BETWEEN_KILLS = 1000
WORKERS = 4
CODE = """
import os, signal, subprocess, time
if {end!r} == "init":
    os._exit(1)
def handler(event, context):
    open("/tmp/left", "wb").write(b"x" * 100_000)
    if event == "exit":
        os._exit(1)
    if event == "signal":
        os.kill(os.getpid(), signal.SIGKILL)
    if event == "memory":
        return len(b"x" * (300 << 20))
    if event == "time-out":
        while True: pass
    if event == "left in work":
        for _ in range(3):
            if os.fork() == 0:
                os.setsid()
                while True: time.sleep(1)
    return os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
# {number}
"""
# Bytes that the server may have more than after its first round: what the allocator keeps, and no more with more rounds.
GROWTH_MB = 24


class Soak:
    def __init__(self, environments, seed):
        self.wanted, self.chance, self.made = environments, random.Random(seed), 0
        self.numbers, self.ends, self.kills, self.wrong = itertools.count(), dict.fromkeys(ENDS, 0), 0, []
        self.server = Server("--pool", "2", "--ahead", "1")
        self.lock = threading.Lock()

    def run(self):
        self.server.start()
        try:
            # What stays by nature comes first: roots of runtimes, a template of /tmp, runtimes made ahead.
            self.rounds(2 * len(ROUND))
            before = self.look()
            while self.made < self.wanted:
                self.rounds(min(BETWEEN_KILLS, self.wanted - self.made))
                after = self.look(before)
                self.print(before, after)
                if self.made < self.wanted:
                    self.kill()
                    self.rounds(2 * len(ROUND))
                    before = self.look()
            self.server.stop()
            # Packages that nothing has any more go from time to time, and at a start.
            self.server.start()
            wait_until(lambda: not self.packages(), 60, lambda: f"packages that nothing has stay: {self.packages()}")
            self.server.stop()
        finally:
            self.server.close()

    def rounds(self, environments):
        target = self.made + environments
        with ThreadPoolExecutor(WORKERS) as pool:
            while self.made < target:
                ends = [end for _ in range(WORKERS) for end in self.chance.sample(ROUND, len(ROUND))]
                list(pool.map(self.one, ends))
                assert not self.wrong, self.wrong[:3]

    def one(self, end):
        """One environment from its making to its end."""
        try:
            client = client_of(self.server)
            deploy, clean = deployer(client)
            function = deploy(CODE.format(end=end, number=next(self.numbers)), MemorySize=128 if end == "memory" else 512, Timeout=1 if end == "time-out" else 60)
            answer = function.invoke(end)
            clean()
            told = json.loads(answer["payload"])
            kind = told.get("errorType") if isinstance(told, dict) else None
            expected = ENDS[end][1]
            if (kind or "").startswith(expected or "") is False or (expected is None) != (kind is None):
                self.wrong.append((end, told))
        except Exception as error:
            self.wrong.append((end, repr(error)))
        with self.lock:
            self.made += 1
            self.ends[end] += 1

    def look(self, before=None):
        """Counts once everything has settled; fails where there is more than before."""
        audit = Audit(SimpleNamespace(server=self.server))
        if before:
            audit.before = before["counts"]
            audit.check()
        server, spawner = self.server.pid, self.server.spawner()
        memory = {name: rss(pid) for name, pid in (("server", server), ("spawner", spawner))}
        packages = len(self.packages())
        found = {"counts": audit.counts() if before else audit.before, "memory": memory, "packages": packages}
        if before:
            for name, now in memory.items():
                assert now <= before["memory"][name] + GROWTH_MB, f"memory of the {name}: {before['memory'][name]} MB before, {now} MB now"
        return found

    def packages(self):
        """Digests of what lies unpacked."""
        return [path.name for path in (self.server.data / "code").iterdir() if len(path.name) == 64]

    def kill(self):
        """The server goes without a word while environments are at work."""
        deploy, _ = deployer(client_of(self.server))
        busy = [deploy(CODE.format(end="", number=next(self.numbers))) for _ in range(3)]
        threads = [threading.Thread(target=ignore, args=(function, "time-out")) for function in busy]
        for thread in threads:
            thread.start()
        wait_until(lambda: sum(b.name in read(f"/proc/{pid}/environ") for b in busy for pid in descendants(self.server.pid)) >= len(busy), 60, "they do not run")
        traces = Traces(self.server)
        self.server.kill()
        for thread in threads:
            thread.join()
        traces.check(cgroups=False)
        self.server.start()
        self.kills += 1
        self.made += len(busy)
        for function in busy:
            client_of(self.server).delete_function(FunctionName=function.name)

    def print(self, before, after):
        print(f"{self.made} environments, {self.kills} kills of the server; ends: {self.ends}", flush=True)
        for name in sorted(after["counts"]):
            if "descriptors" not in name:
                print(f"  {name}: {before['counts'].get(name, 0)} -> {after['counts'][name]}")
        for whose in ("server", "spawner"):
            count = lambda found: sum(n for name, n in found["counts"].items() if name.startswith(f"descriptors of the {whose}"))
            print(f"  descriptors of the {whose}: {count(before)} -> {count(after)}")
            print(f"  memory of the {whose}: {before['memory'][whose]} MB -> {after['memory'][whose]} MB")
        print(f"  unpacked packages: {before['packages']} -> {after['packages']}", flush=True)


def rss(pid):
    """MB of a process's own memory."""
    return int(read(f"/proc/{pid}/statm").split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20


def ignore(function, event):
    try:
        function.invoke(event)
    except Exception:
        pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--environments", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    args = parser.parse_args()
    print(f"--seed {args.seed}")
    soak = Soak(args.environments, args.seed)
    started = time.monotonic()
    soak.run()
    print(f"{soak.made} environments in {time.monotonic() - started:.0f} s left nothing behind")


if __name__ == "__main__":
    sys.exit(main())
