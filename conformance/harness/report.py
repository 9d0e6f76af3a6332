"""What people and machines read: differences step by step, counts by group, and what was not expected."""

import json
from collections import Counter

from harness.compare import shown
from harness.suite import UNREACHED

# Characters of a line; --whole shows all.
LINE = 600


def differences(outcome, everything=False):
    """The steps of a scenario that differ, with their differences; `everything`: all steps with their answers."""
    lines = [f"{outcome.recording.id}: {word(outcome)}"]
    recorded = dict(outcome.recording.steps)
    if outcome.left_out:
        return f"{lines[0]} {outcome.left_out}"
    late = [step for step in recorded if outcome.strict.get(step) == [UNREACHED]]
    if late and not everything:
        lines.append(f"  not reached: {', '.join(late)}")
    for step in dict.fromkeys([*recorded, *outcome.strict]):
        if step in late and not everything:
            continue
        found = outcome.strict.get(step, [])
        noticed = outcome.lenient.get(step)
        mark = "=" if not found else "x" if noticed else "~"
        if found or everything:
            lines.append(f"  {mark} {step}")
        lines += [f"      {cut(line, everything)}" for line in found]
        if everything:
            lines.append(f"      recorded  {shown(recorded.get(step))}")
            lines.append(f"      answered  {shown(outcome.answers.get(step))}")
    if outcome.stopped:
        lines += ["  stopped:"] + [f"      {line}" for line in outcome.stopped.strip().splitlines()]
    return "\n".join(lines)


def left_out(outcomes):
    """The reasons why scenarios were not played, each once with how many they are."""
    reasons = Counter(outcome.left_out for outcome in outcomes if outcome.left_out)
    return [f"left out: {count} ({cut(reason, False)})" for reason, count in sorted(reasons.items())]


def cut(line, whole):
    return line if whole or len(line) <= LINE else f"{line[:LINE]}..."


def word(outcome):
    if outcome.left_out:
        return "left out:"
    if outcome.passes_strictly:
        return "equal"
    return "equal for most clients" if outcome.passes_leniently else "differs"


def table(outcomes):
    """Counts by group, strict and lenient; those left out stand apart."""
    groups = {}
    for outcome in outcomes:
        groups.setdefault(outcome.recording.group, []).append(outcome)
    width = max(map(len, groups), default=0)
    rows = [(group, *counts(members)) for group, members in sorted(groups.items())] + [("all", *counts(outcomes))]
    lines = [f"{'group':<{width}}  scenarios  strict  lenient  left out"]
    lines += [f"{row[0]:<{width}}  {row[1]:>9}  {row[2]:>6}  {row[3]:>7}  {row[4] or '':>8}" for row in rows]
    return "\n".join(lines)


def counts(outcomes):
    played = [outcome for outcome in outcomes if not outcome.left_out]
    strict = sum(outcome.passes_strictly for outcome in played)
    lenient = sum(outcome.passes_leniently for outcome in played)
    return len(played), strict, lenient, len(outcomes) - len(played)


def as_json(outcomes):
    """Everything that is known about each scenario."""
    scenarios = [
        {
            "scenario": outcome.recording.id,
            "strict": outcome.passes_strictly,
            "lenient": outcome.passes_leniently,
            "stopped": outcome.stopped,
            "left_out": outcome.left_out,
            "differences": {step: found for step, found in outcome.strict.items() if found},
        }
        for outcome in outcomes
    ]
    names = ("scenarios", "strict", "lenient", "left_out")
    return json.dumps({**dict(zip(names, counts(outcomes))), "details": scenarios}, indent=1, ensure_ascii=False)
