"""Idle processors that are kept from halting while clients' requests are under way: by what the kernel says is in force."""

import os
import subprocess
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from conftest import PYTHON, ROLE, Function, client_of
from support.metrics import Numbers
from support.packages import zip_of
from support.server import HEARTH, descendants, read, wait_until

DEVICE = Path("/dev/cpu_dma_latency")
IDLE = "/sys/devices/system/cpu"
# The same machine without any way to be idle, as this process alone sees it.
NEVER_IDLE = ["unshare", "--mount", "sh", "-c", f'mount -t tmpfs none {IDLE} && exec "$@"', "sh"]
LONG = """
import time
def handler(event, context):
    time.sleep(event.get("sleep", 0))
"""

polls = pytest.mark.skipif(
    read(f"{IDLE}/cpu0/cpuidle/state0/name").strip() != "POLL" or not os.access(DEVICE, os.W_OK),
    reason="this machine's idle processors cannot be kept from halting",
)


def held():
    """Whether somebody on this machine keeps its processors awake: no other test does."""
    with open(DEVICE, "rb", buffering=0) as device:
        return int.from_bytes(device.read(4), "little", signed=True) == 0


def who_has_it(pids):
    def has(pid):
        try:
            return any(os.readlink(fd.path) == str(DEVICE) for fd in os.scandir(f"/proc/{pid}/fd"))
        except OSError:
            return False

    return {pid for pid in pids if has(pid)}


class Asking:
    """Requests without a pause, until the server is gone or they are enough."""

    def __init__(self, server):
        self.server, self.enough = server, threading.Event()
        self.thread = threading.Thread(target=self.ask)

    def ask(self):
        while not self.enough.is_set():
            try:
                urllib.request.urlopen(f"{self.server.url}/2015-03-31/functions/").read()
            except (OSError, urllib.error.URLError):
                return

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.enough.set()
        self.thread.join()


@polls
def test_processors_are_awake_for_requests_and_no_longer(alone):
    server = alone("--awake", "requests")
    wait_until(lambda: not held(), 60, "processors are kept awake without a request")
    with Asking(server):
        wait_until(held, 60, "requests did not keep processors awake")
    wait_until(lambda: not held(), 60, "processors are kept awake after the last request")
    assert Numbers(server).of("hearth_processors_awake_seconds_total") > 0
    server.stop()


@polls
def test_a_request_that_takes_long_lets_them_go_and_so_does_a_crash(alone):
    server = alone("--awake", "requests")
    client = client_of(server)
    code = {"ZipFile": zip_of({"app.py": LONG})}
    client.create_function(FunctionName="long", Runtime=PYTHON, Role=ROLE, Handler="app.handler", Code=code, Timeout=600)
    function = Function(client, "long").ready()
    function.call()
    url = f"{server.url}/2015-03-31/functions/long/invocations"
    waits = subprocess.Popen(["curl", "-s", url, "-d", '{"sleep": 600}'])
    try:
        server.until_busy(function)
        wait_until(lambda: not held(), 60, "a request that waits keeps processors awake")
        assert server.states(function) == ["Busy"]
        with Asking(server):
            wait_until(held, 60, "requests beside a long one did not keep processors awake")
            server.kill()
        wait_until(lambda: not held(), 60, "processors are kept awake after a crash")
    finally:
        waits.kill()
        waits.wait()


@polls
def test_only_a_server_that_is_to_has_the_means(alone):
    asked, other = alone("--awake", "requests"), alone()
    assert who_has_it(descendants(asked.pid) | {asked.pid}) == {asked.pid}, "its spawner has it, or it has not"
    assert who_has_it(descendants(other.pid) | {other.pid}) == set()
    assert Numbers(other).of("hearth_processors_awake_seconds_total") == 0
    asked.stop()
    other.stop()


def test_where_it_would_have_no_effect_it_is_refused(tmp_path):
    command = [*NEVER_IDLE, HEARTH, "serve", "--awake", "requests", "--listen", "127.0.0.1:0", "--data-dir", str(tmp_path / "data")]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 2 and refused.stdout == ""
    assert "--awake requests would have no effect" in refused.stderr and "POLL" in refused.stderr
