"""Plays all recorded scenarios against a running server; `cargo xtask conformance` starts one and calls this."""

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness import report
from harness.known import Known
from harness.suite import Scenarios, play, recordings

THREADS = 4


def main():
    args = arguments()
    start = time.monotonic()
    known, scenarios = Known.read(), Scenarios()
    chosen = [r for r in recordings() if wanted(r, args)]
    if not chosen:
        sys.exit("no scenario of that name")
    outcomes = run(chosen, scenarios, args)
    if args.show:
        print("\n".join(report.differences(outcome, everything=args.whole) for outcome in outcomes))
    if args.json:
        Path(args.json).write_text(report.as_json(outcomes))
    print(f"\n{report.table(outcomes)}\n")
    played = [outcome for outcome in outcomes if not outcome.left_out]
    print("\n".join([*report.left_out(outcomes), ""]))
    wrong = [(outcome, known.unexpected(outcome)) for outcome in played]
    wrong = [(outcome, why) for outcome, why in wrong if why]
    for outcome, why in wrong:
        print(f"UNEXPECTED {outcome.recording.id}: {why}")
        if not args.show and not outcome.passes_strictly:
            print(report.differences(outcome))
    unused = known.unused([r.id for r in recordings()])
    for pattern in unused:
        print(f"UNEXPECTED known.toml names {pattern}, which no scenario is")
    failed = len(wrong) + len(unused)
    print(f"{len(played) - len(wrong)} passed, {failed} failed in {time.monotonic() - start:.1f}s")
    sys.exit(1 if failed else 0)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True, help="the server, started with --account 111111111111")
    parser.add_argument("--settling-url", help="one whose updates take a while (--settle-after)")
    parser.add_argument("--only", action="append", default=[], help="a group, or a part of its name (repeatable)")
    parser.add_argument("--show", action="append", default=[], help="scenarios whose differences to show: a part of the name")
    parser.add_argument("--whole", action="store_true", help="with --show: all steps with both answers")
    parser.add_argument("--json", help="file for a report with all differences")
    return parser.parse_args()


def wanted(recording, args):
    in_group = not args.only or any(word in recording.group for word in args.only)
    return in_group and (not args.show or any(word in recording.id for word in args.show))


def run(chosen, scenarios, args):
    """Plays most scenarios side by side, and those that look at the whole account after them, one by one."""
    functions = {recording.id: scenarios.of(recording) for recording in chosen}
    together = [r for r in chosen if not getattr(functions[r.id], "alone", False)]
    alone = [r for r in chosen if getattr(functions[r.id], "alone", False)]

    def one(recording):
        function = functions[recording.id]
        return play(recording, function, args.settling_url if getattr(function, "settling", False) else args.url)

    with ThreadPoolExecutor(THREADS) as pool:
        outcomes = list(pool.map(one, together))
    outcomes += [one(recording) for recording in alone]
    order = {recording.id: at for at, recording in enumerate(chosen)}
    return sorted(outcomes, key=lambda outcome: order[outcome.recording.id])


if __name__ == "__main__":
    main()
