"""The table of rows in docs/security.md: `python -m hostile.report [--write]`, in e2e/."""

import sys
from pathlib import Path

from hostile.catalogue import ROWS
from hostile.rows import load

DOCUMENT = Path(__file__).parents[2] / "docs/security.md"
BEGIN, END = "<!-- rows: written by `cargo xtask hostile --table` -->", "<!-- rows end -->"
SECTIONS = {
    "A": "Files and mounts", "B": "Processes, signals, users", "C": "Kernel interface", "D": "/proc and /sys", "E": "Devices", "F": "Hand-over", "G": "Packages",
    "H": "Network", "I": "Runtime interface, extensions, telemetry", "J": "Resource exhaustion", "K": "Secrets, and what is left", "L": "Logs and results", "M": "Side channels, monitors",
}


def found(row):
    """What is known of a row, and how."""
    if row.absent:
        return "not applicable", row.absent
    if row.open:
        return "**open**", row.open
    if row.elsewhere:
        return "held", "by " + ", ".join(f"`{test}`" for test in row.elsewhere)
    if row.off:
        return "held", "gets through without: " + ", ".join(sorted(row.off))
    return "held", f"no twin: {row.why}" if row.why else "the same means, used for what is allowed, are seen to work"


def table():
    load()
    lines = []
    for letter, title in SECTIONS.items():
        lines += [f"### {letter}. {title}", "", "| row | attempt | | how it is known |", "|---|---|---|---|"]
        for row in sorted((row for row in ROWS.values() if row.id[0] == letter), key=lambda row: row.id):
            state, how = found(row)
            lines.append(f"| {row.id} | {row.title} | {state} | {how} |")
        lines.append("")
    states = [found(row)[0].strip("*") for row in ROWS.values()]
    count = ", ".join(f"{states.count(state)} {state}" for state in ("held", "open", "not applicable"))
    return "\n".join([BEGIN, f"{len(states)} rows: {count}.", "", *lines, END])


def written():
    """The table as the document has it."""
    text = DOCUMENT.read_text()
    return text[text.index(BEGIN) : text.index(END) + len(END)]


if __name__ == "__main__":
    if "--write" in sys.argv:
        text = DOCUMENT.read_text()
        DOCUMENT.write_text(text.replace(written(), table()))
    else:
        print(table())
