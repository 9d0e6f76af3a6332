"""Differences that are known: scenarios that are expected to fail, each with its reason."""

import tomllib
from fnmatch import fnmatchcase
from pathlib import Path

FILE = Path(__file__).resolve().parent.parent / "known.toml"
WAYS = ("differs", "strict")


class Known:
    """`[group]` tables of `"scenario" = {way, why}`; a `*` in a scenario's name stands for anything."""

    def __init__(self, entries):
        self.entries = entries

    @classmethod
    def read(cls, file=FILE):
        entries = []
        for group, scenarios in tomllib.loads(file.read_text()).items():
            for name, entry in scenarios.items():
                assert entry["way"] in WAYS and entry["why"].strip(), f"{group}::{name}: {entry}"
                entries.append((f"{group}::{name}", entry["way"], entry["why"]))
        return cls(entries)

    def of(self, scenario):
        """How a scenario is expected to fail and why; (None, None) if it is to pass."""
        for pattern, way, why in self.entries:
            if fnmatchcase(scenario, pattern.replace("[", "[[]")):
                return way, why
        return None, None

    def unexpected(self, outcome):
        """What is wrong with an outcome; None if it is as expected."""
        way, why = self.of(outcome.recording.id)
        if way is None:
            return None if outcome.passes_strictly else "differs, and is not in known.toml"
        if outcome.passes_strictly:
            return f"passes now: take it out of known.toml ({why})"
        if outcome.passes_leniently and way == "differs":
            return f'passes leniently now: its way in known.toml is "strict" ({why})'
        if not outcome.passes_leniently and way == "strict":
            return "differs where most clients would notice; known.toml expects less"
        return None

    def unused(self, scenarios):
        """Entries that no scenario has: they would hide a misspelling."""
        patterns = [pattern for pattern, _, _ in self.entries]
        return [p for p in patterns if not any(fnmatchcase(s, p.replace("[", "[[]")) for s in scenarios)]
