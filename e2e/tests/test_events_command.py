"""`hearth events`: what waits, what failed, and doing something about it."""

import json
import subprocess

from conftest import deploys_on
from support import raw
from support.clock import advance, now_ms
from support.events import SAY, said, send
from support.server import HEARTH

deploy = deploys_on("manual")


def events(server, *args):
    return subprocess.run([HEARTH, "events", *args, "--endpoint", server.url], capture_output=True, text=True, timeout=60)


def read(server, *args):
    done = events(server, *args, "--json")
    assert done.returncode == 0, done
    return json.loads(done.stdout)


def ids(listed, of="events"):
    return [event["id"] for event in listed[of]]


def waiting(server, deploy, count):
    """A function with events that wait for their second attempt."""
    function = deploy(SAY)
    sent = [send(function, {"fail": f"no {n}"}) for n in range(count)]
    advance(server, "0s")
    assert len(said(server, function)) == count
    return function, sent


def test_what_waits_is_listed_and_shown(manual, deploy):
    function, sent = waiting(manual, deploy, 3)
    listed = read(manual, "list", function.name)
    assert sorted(ids(listed)) == sorted(sent) and listed["failed"] == [] and not listed["more"]
    [first] = [event for event in listed["events"] if event["id"] == sent[0]]
    now = now_ms(manual)
    assert first == {"function": function.name, "id": sent[0], "state": "retrying", "acceptedMs": now, "dueMs": now + 60_000, "attempts": 1,
                     "lastError": "no 0", "bytes": len(json.dumps({"fail": "no 0"}))}
    shown = read(manual, "show", function.name, sent[1])
    assert shown["payload"] == {"fail": "no 1"} and shown["event"]["id"] == sent[1]
    text = events(manual, "list", function.name).stdout.splitlines()
    assert len(text) == 3 and all(line.startswith(function.name) and "retrying after 1 attempts" in line for line in text)
    assert sorted(ids(read(manual, "list"))) == sorted(sent)


def test_a_long_error_is_a_line_and_shown_whole(manual, deploy):
    function = deploy(SAY)
    sent = send(function, {"fail": "x" * 900})
    advance(manual, "0s")
    (line,) = events(manual, "list", function.name).stdout.splitlines()
    assert line.endswith(": " + "x" * 200 + "...")
    assert read(manual, "show", function.name, sent)["event"]["lastError"] == "x" * 900


def test_one_or_all_are_run_at_once(manual, deploy):
    function, sent = waiting(manual, deploy, 3)
    assert read(manual, "redrive", function.name, sent[1]) == {"count": 1}
    advance(manual, "0s")
    assert [run["id"] for run in said(manual, function)[3:]] == [sent[1]]
    assert read(manual, "redrive", function.name, "--all") == {"count": 3}
    advance(manual, "0s")
    assert sorted(run["id"] for run in said(manual, function)) == sorted([*sent, *sent, sent[1]])
    # That one has had its three attempts.
    listed = read(manual, "list", function.name)
    assert (ids(listed, "failed"), sorted(ids(listed))) == ([sent[1]], sorted([sent[0], sent[2]]))
    [failed] = listed["failed"]
    assert (failed["condition"], failed["attempts"], failed["lastError"]) == ("RetriesExhausted", 3, "no 1")
    assert "failed: RetriesExhausted after 3 attempts" in events(manual, "list", function.name).stdout


def test_one_or_all_are_dropped(manual, deploy):
    function, sent = waiting(manual, deploy, 3)
    assert read(manual, "drop", function.name, sent[0]) == {"count": 1}
    assert sorted(ids(read(manual, "list", function.name))) == sorted(sent[1:])
    assert read(manual, "drop", function.name, "--all") == {"count": 2}
    advance(manual, "6h")
    assert len(said(manual, function)) == 3
    assert read(manual, "list", function.name) == {"events": [], "more": False, "failed": [], "deliveries": []}


def test_what_is_not_there_is_said(manual, deploy):
    function, _ = waiting(manual, deploy, 1)
    for args, says in [
        (("show", function.name, "no-such"), "no event no-such"),
        (("drop", function.name, "no-such"), "no-such of"),
        (("redrive", "no-such-function", "no-such"), "no-such of"),
        (("drop", function.name), "required"),
    ]:
        done = events(manual, *args)
        assert done.returncode != 0 and says in done.stderr, done
    assert read(manual, "drop", "no-such-function", "--all") == {"count": 0}
    for body in (b"{", {"action": "stop", "function": "f"}, {"action": "drop"}):
        assert raw.request(manual, "POST", "/_hearth/events", body).status == 400


def test_who_must_sign_signs_for_events_too(alone):
    server = alone("--auth", "required")
    assert raw.request(server, "GET", "/_hearth/events").status == 403
    assert raw.request(server, "POST", "/_hearth/events", {"action": "drop", "function": "f"}).status == 403
