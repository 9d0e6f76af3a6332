"""The rows of the catalogue: what is tried, by what it is held, and how we know that the test sees."""

from dataclasses import dataclass
from typing import Callable


@dataclass
class Row:
    """One attack. `attack(world)` tells all that got through: nothing, where the row holds."""

    id: str
    title: str
    attack: Callable | None
    # The twin: the same attack gets through where exactly these defences are off.
    off: frozenset = frozenset()
    # Where no defence can be left out: the same means, used for what is allowed, are seen to work. Tells what did.
    control: Callable | None = None
    # Why there is neither.
    why: str = ""
    # Not tried on this machine, and why.
    absent: str = ""
    # Tests outside this suite that hold it.
    elsewhere: tuple = ()
    # Gets through as things stand, and why that is so. The test fails once it does not any more.
    open: str = ""
    # Part of the short form.
    short: bool = True
    # Names of what must get through in the twin, beside anything at all.
    least: frozenset = frozenset()


ROWS: dict[str, Row] = {}


def row(id, title, off="", control=None, why="", open="", short=True, least=""):
    """Enters the attack that follows."""

    def enter(attack):
        assert id not in ROWS, id
        assert bool(off) + bool(control) + bool(why) == 1, f"{id}: a twin, a control, or why there is none"
        walls, seen = frozenset(off.split()), frozenset(least.split())
        ROWS[id] = Row(id, title, attack, off=walls, control=control, why=why, open=open, short=short, least=seen)
        return attack

    return enter


def elsewhere(id, title, *tests):
    """A row that other tests hold: FILE::NAME below e2e/tests, or with its path; that they are there is checked."""
    assert id not in ROWS, id
    ROWS[id] = Row(id, title, None, elsewhere=tests)


def absent(ids, why):
    """Rows that cannot be tried here: {id: title}."""
    for id, title in ids.items():
        assert id not in ROWS, id
        ROWS[id] = Row(id, title, None, absent=why)


def still_open(id, title, why):
    """A row that nothing holds yet, and that nobody needs to try to know it."""
    assert id not in ROWS, id
    ROWS[id] = Row(id, title, None, open=why)
