"""Every row of the catalogue, and its twin."""

from pathlib import Path

import pytest

from hostile import report
from hostile.catalogue import ROWS
from hostile.rows import load
from hostile.world import Audit
from support.server import wait_until

load()
TRIED = [row for row in ROWS.values() if row.attack]


def named(row):
    marks = [pytest.mark.short] if row.short else []
    return pytest.param(row, id=row.id, marks=marks)


@pytest.mark.parametrize("row", [named(row) for row in TRIED])
def test_row(row, strong, trial):
    with trial(row.id):
        got = row.attack(strong)
        if row.open:
            assert got, f"{row.id} holds now: it is open no more"
        else:
            assert not got, f"got through: {got}"


@pytest.mark.parametrize("row", [named(row) for row in TRIED if row.off])
def test_twin(row, weak):
    world = weak(row.off)
    try:
        got = row.attack(world)
    finally:
        world.tidy()
    assert got, f"nothing got through without {sorted(row.off)}: the row proves nothing"
    assert row.least <= {str(what).split(":")[0] for what in got}, (row.least, got)


@pytest.mark.parametrize("row", [named(row) for row in TRIED if row.control])
def test_control(row, strong, trial):
    with trial(row.id):
        assert row.control(strong), f"{row.id}: what is allowed did not work either: the row proves nothing"


@pytest.mark.short
def test_what_holds_elsewhere_is_there():
    root = Path(__file__).parents[2]
    for row in ROWS.values():
        for test in row.elsewhere:
            file, _, name = test.partition("::")
            path = root / file if "/" in file else root / "e2e/tests" / file
            assert f" {name}(" in path.read_text(), f"{row.id}: {test} is not there"


@pytest.mark.short
def test_the_table_says_what_is_tried():
    assert report.written() == report.table(), "`cargo xtask hostile --table` writes it anew"


@pytest.mark.short
def test_every_row_of_the_catalogue_is_here():
    sections = {"A": 16, "B": 12, "C": 10, "D": 8, "E": 4, "F": 8, "G": 14, "H": 13, "I": 15, "J": 17, "K": 13, "L": 7, "M": 9}
    missing = [id for letter, count in sections.items() for n in range(1, count + 1) if (id := f"{letter}{n:02}") not in ROWS]
    assert not missing, missing


@pytest.mark.short
def test_the_audit_sees(weak):
    """Without its cleaning up, an environment leaves control groups, and the audit says so."""
    world = weak(frozenset({"cleanup"}))
    world.is_well()
    audit = Audit(world)
    world.is_well()
    wait_until(lambda: "cgroups" in audit.more(), 60, lambda: f"nothing was seen: {audit.counts()}")


@pytest.mark.short
def test_the_canaries_are_looked_for(strong):
    function = strong.call(strong.deploy, "def handler(event, context):\n    return event\n")
    strong.invoke(function, strong.canaries["file"])
    assert strong.leaks() == ["file"]
    logger = strong.call(strong.deploy, "def handler(event, context):\n    print(event)\n")
    strong.invoke(logger, strong.canaries["store"])
    wait_until(lambda: strong.leaks() == ["store"], 60, "the log was not looked through")
    strong.tidy()


@pytest.mark.short
def test_the_bystander_notices(strong):
    strong.bystander.errors.append("as if it had met one")
    with pytest.raises(AssertionError):
        strong.bystander.check()
    strong.bystander.check()
    assert strong.bystander.answers > 0
