"""What people and machines read: differences step by step, counts by group, and what was not expected."""

import json

from harness.compare import shown


def differences(outcome, everything=False):
    """The steps of a scenario that differ, with their differences; `everything`: all steps with their answers."""
    lines = [f"{outcome.recording.id}: {word(outcome)}"]
    recorded = dict(outcome.recording.steps)
    for step in dict.fromkeys([*recorded, *outcome.strict]):
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


def cut(line, whole):
    return line if whole or len(line) <= 600 else f"{line[:600]}..."


def word(outcome):
    if outcome.passes_strictly:
        return "equal"
    return "equal for most clients" if outcome.passes_leniently else "differs"


def table(outcomes):
    """Counts by group, strict and lenient."""
    groups = {}
    for outcome in outcomes:
        groups.setdefault(outcome.recording.group, []).append(outcome)
    width = max(map(len, groups), default=0)
    rows = [(group, *counts(members)) for group, members in sorted(groups.items())] + [("all", *counts(outcomes))]
    lines = [f"{'group':<{width}}  scenarios  strict  lenient"]
    lines += [f"{name:<{width}}  {total:>9}  {strict:>6}  {lenient:>7}" for name, total, strict, lenient in rows]
    return "\n".join(lines)


def counts(outcomes):
    strict = sum(outcome.passes_strictly for outcome in outcomes)
    return len(outcomes), strict, sum(outcome.passes_leniently for outcome in outcomes)


def as_json(outcomes):
    """Everything that is known about each scenario."""
    scenarios = [
        {
            "scenario": outcome.recording.id,
            "strict": outcome.passes_strictly,
            "lenient": outcome.passes_leniently,
            "stopped": outcome.stopped,
            "differences": {step: found for step, found in outcome.strict.items() if found},
        }
        for outcome in outcomes
    ]
    names = ("scenarios", "strict", "lenient")
    return json.dumps({**dict(zip(names, counts(outcomes))), "details": scenarios}, indent=1, ensure_ascii=False)
