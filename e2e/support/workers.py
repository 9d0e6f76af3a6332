"""`hearth worker` processes of a test's own."""

import json
import os
import signal
import subprocess
import urllib.request
from pathlib import Path

from support.server import HEARTH, STOP_S, Traces, wait_until

READY_S = 60


class WorkerProcess:
    """Joins a server's data folder; `wait` until the server has it."""

    def __init__(self, server, name, *args):
        self.server, self.name, self.args = server, name, args
        self.log, self.process = server.folder / f"{name}.log", None

    def start(self):
        command = [HEARTH, "worker", "--data-dir", str(self.server.data), "--name", self.name, *self.args]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log)
        return self.joined()

    @property
    def pid(self):
        return self.process.pid

    @property
    def folder(self):
        """What it has for itself in the data folder: where the lock is that it holds."""
        held = (read_link(link) for link in Path(f"/proc/{self.pid}/fd").iterdir())
        return next(Path(path).parent for path in held if path.startswith(str(self.server.data)) and path.endswith("/lock"))

    def joined(self):
        wait_until(lambda: self.seen() is not None, READY_S, lambda: f"{self.name} has not joined\n{self.log_text()}")
        return self

    def seen(self):
        """What the server says of it; none where it has not joined."""
        return next((worker for worker in workers_of(self.server) if worker["Name"] == self.name), None)

    def log_text(self):
        return self.log.read_text(errors="replace")

    def drain(self):
        """As a supervisor stops it: it goes by itself, and nothing of it is left."""
        traces = Traces(self)
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(STOP_S)
        assert status == 0, f"ended with {status}\n{self.log_text()}"
        traces.check(cgroups=True)

    def kill(self):
        """As a crash; what it had goes all the same."""
        traces = Traces(self)
        os.kill(self.pid, signal.SIGKILL)
        self.process.wait(STOP_S)
        traces.check(cgroups=False)

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def start_again(server, worker, crash):
    """Ends the server, by a crash or as a supervisor does, and starts another one in its place. Its worker stays, and joins that."""
    if crash:
        server.kill()
    else:
        server.process.terminate()
        status = server.process.wait(STOP_S)
        assert status == 0, f"ended with {status}\n{server.log_text()}"
    server.start()
    worker.joined()


def read_link(path):
    try:
        return os.readlink(path)
    except OSError:
        return ""


def workers_of(server):
    """All workers as the server sees them."""
    with urllib.request.urlopen(f"{server.url}/_hearth/workers", timeout=30) as answer:
        return json.load(answer)["Workers"]
