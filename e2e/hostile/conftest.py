"""The worlds that rows are tried in."""

import os
from contextlib import contextmanager
from pathlib import Path

import pytest

from hostile.rows.k_secrets import SNAP_START
from hostile.world import Audit, World


@pytest.fixture(scope="session")
def strong():
    """The server as it is shipped."""
    world = World()
    try:
        # Each kind of runtime once: what is made for all functions of a kind stays.
        world.is_well()
        world.invoke(world.call(world.deploy, {"bootstrap": (Path(os.environ["BOOTSTRAP"]).read_bytes(), 0o755)}, Runtime="provided.al2023", Handler="x"), {"name": "x"})
        world.call(world.call(world.deploy, "def handler(event, context):\n    return event\n", Runtime=SNAP_START).call)
        world.tidy()
        world.audit = Audit(world)
        yield world
    finally:
        world.close()


@pytest.fixture(scope="session")
def weak():
    """weak({"system-calls"}): the same without these defences. One at a time: each takes a share of the machine."""
    kept = {}

    def of(off):
        # Connections that are over keep the ports of a network that all environments share for a while.
        if off not in kept or "network-namespace" in off:
            for other in list(kept):
                kept.pop(other).close()
            kept[off] = World(off)
        return kept[off]

    try:
        yield of
    finally:
        for world in kept.values():
            world.close()


@pytest.fixture
def trial(strong):
    """All that must be true around any row: nothing left, nothing told, nobody else the worse for it."""

    @contextmanager
    def around(id):
        strong.bystander.check()
        try:
            yield
        finally:
            strong.tidy()
        strong.bystander.check()
        assert strong.server.running(), strong.server.log_text()
        assert not (leaks := strong.leaks()), f"{id}: canaries told: {leaks}"
        assert strong.secret.read_text() == strong.canaries["file"]
        strong.audit.check()
        strong.is_well()

    return around


def pytest_collection_modifyitems(items):
    """Twins with the same defences off come one after the other, so that they share a server."""

    def key(item):
        row = item.callspec.params.get("row") if hasattr(item, "callspec") else None
        off = sorted(row.off) if row and item.originalname == "test_twin" else []
        return (item.originalname != "test_row", item.originalname, off)

    items.sort(key=key)
