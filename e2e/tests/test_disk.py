"""The machine's disk behind all /tmps: a part of it stays free, and whoever watches the server sees what that took."""

import json
import urllib.request

import pytest

from conftest import client_of, deployer
from support.disks import small_disk
from support.metrics import Numbers
from support.server import HANGS_S, Server, wait_until

# It writes until it cannot go on, which is when it is ended.
FILLS = """
import os
def handler(event, context):
    with open("/tmp/fill", "wb", buffering=0) as file:
        while True:
            file.write(os.urandom(1 << 20))
"""


@pytest.fixture
def cramped():
    """A server whose data folder, and so every /tmp, is on a disk smaller than what one function may be promised."""
    with small_disk(1000) as disk:
        server = Server()
        server.data = disk / "data"
        try:
            yield server.start()
            server.stop()
        finally:
            server.close()


def health(server):
    with urllib.request.urlopen(f"{server.url}/_hearth/health") as answer:
        return json.load(answer)["disk"]


def of_all_workers(server, name):
    return sum(sample.value for sample in Numbers(server).samples if sample.name == name)


def test_who_watches_sees_that_the_disk_was_short_and_what_was_ended(cramped):
    assert health(cramped) == {"short": False, "environmentsEnded": 0}
    deploy, _ = deployer(client_of(cramped))
    deploy(FILLS, Timeout=120, EphemeralStorage={"Size": 2048}).error()
    # What it took is given back a moment after its end.
    wait_until(lambda: health(cramped) == {"short": False, "environmentsEnded": 1}, HANGS_S, lambda: health(cramped))
    assert of_all_workers(cramped, "hearth_worker_disk_ended_total") == 1
    assert of_all_workers(cramped, "hearth_worker_disk_short") == 0
