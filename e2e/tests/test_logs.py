"""What a function and the platform write."""

import base64
import re
import signal
import subprocess
import threading
from contextlib import contextmanager

import pytest

from conftest import EMPTY
from support.gates import waiting
from support.server import HANGS_S, HEARTH

TALK = """
import sys
print("init line")
def handler(event, context):
    for n in range(event.get("lines", 3)):
        print("line", n)
    print("to stderr", file=sys.stderr)
    if event.get("raise"):
        raise ValueError("bad")
    return 1
"""
REPORT = re.compile(
    r"^REPORT RequestId: (?P<id>[0-9a-f-]{36})\tDuration: (?P<duration>\d+\.\d\d) ms\tBilled Duration: (?P<billed>\d+) ms\t"
    r"Memory Size: (?P<size>\d+) MB\tMax Memory Used: (?P<used>\d+) MB\t(Init Duration: (?P<init>\d+\.\d\d) ms\t)?(?P<rest>.*)$"
)


def tail(function, event=EMPTY):
    answer = function.invoke(event, LogType="Tail")
    return answer["ResponseMetadata"]["RequestId"], base64.b64decode(answer["LogResult"]).decode()


def report(text):
    return REPORT.match(text.splitlines()[-1])


@pytest.fixture
def logs(server):
    def run(*words):
        return subprocess.run([HEARTH, "logs", *words, "--endpoint", server.url], capture_output=True, text=True, timeout=60)

    return run


def test_the_lines_of_an_invoke_in_order(deploy):
    function = deploy(TALK, MemorySize=512)
    request, text = tail(function)
    lines = text.splitlines()
    body = lines[lines.index(f"START RequestId: {request} Version: $LATEST") :]
    assert body[:-1] == [f"START RequestId: {request} Version: $LATEST", "line 0", "line 1", "line 2", "to stderr", f"END RequestId: {request}"]
    cold = report(text)
    assert cold and cold["id"] == request and cold["size"] == "512" and float(cold["init"]) > 0
    assert 1 <= int(cold["used"]) <= 512
    assert int(cold["billed"]) >= float(cold["duration"])
    request, text = tail(function)
    warm = report(text)
    assert warm["init"] is None and "init line" not in text
    assert int(warm["billed"]) == -(-float(warm["duration"]) // 1)


def test_memory_used_is_measured(deploy):
    function = deploy("def handler(event, context):\n    return len(bytearray(event << 20))\n", MemorySize=512)
    small = int(report(tail(function, 1)[1])["used"])
    big = int(report(tail(function, 200)[1])["used"])
    assert big >= small + 150


def test_the_tail_is_the_last_four_kilobytes(deploy):
    function = deploy(TALK)
    _, text = tail(function, {"lines": 5000})
    assert len(text.encode()) <= 4096 and text.splitlines()[-1].startswith("REPORT ")
    assert "line 4999" in text


def test_errors_are_in_the_log(deploy):
    function = deploy(TALK)
    _, text = tail(function, {"raise": True})
    assert "[ERROR] ValueError: bad" in text and "Traceback (most recent call last):" in text


def test_failures_are_in_the_report(deploy):
    function = deploy("import os, time\ndef handler(event, context):\n    os._exit(1) if event else time.sleep(60)\n", Timeout=5)
    assert "Status: timeout" in report(tail(function)[1])["rest"]
    assert "Status: error\tError Type: Runtime.ExitError" in report(tail(function, 1)[1])["rest"]


def test_output_without_a_line_end_is_kept(deploy):
    function = deploy("import sys\ndef handler(event, context):\n    sys.stdout.write('no end')\n    sys.stdout.flush()\n")
    assert "no end" in tail(function)[1]


def test_forged_platform_lines_do_not_hide_the_real_ones(deploy):
    function = deploy("def handler(event, context):\n    print('REPORT RequestId: x\\tDuration: 0 ms')\n    print('END RequestId: x')\n")
    request, text = tail(function)
    assert report(text)["id"] == request


def test_a_flood_is_bounded(server, deploy):
    function = deploy("import os\ndef handler(event, context):\n    for _ in range(64):\n        os.write(1, b'x' * (1 << 20))\n    return 'done'\n", Timeout=60)
    assert function.call() == "done"
    assert "REPORT" in tail(deploy(TALK))[1]


def test_the_logs_command(deploy, logs):
    function = deploy(TALK)
    request, _ = tail(function)
    done = logs(function.name)
    assert done.returncode == 0, done.stderr
    assert "init line" in done.stdout and f"START RequestId: {request} Version: $LATEST" in done.stdout and "line 2" in done.stdout
    assert done.stdout.index("START RequestId") < done.stdout.index("line 0") < done.stdout.index("END RequestId")


def test_the_logs_command_as_json(deploy, logs):
    import json

    function = deploy(TALK)
    tail(function)
    lines = [json.loads(line) for line in logs(function.name, "--json").stdout.splitlines()]
    assert any("line 2" in str(line) for line in lines)


def test_logs_of_an_unknown_function(logs):
    done = logs("nowhere")
    assert done.returncode != 0 and "nowhere" in done.stderr


def test_terminal_escapes_are_shown_not_sent(deploy, logs):
    function = deploy("def handler(event, context):\n    print('\\x1b[31mred\\x1b[0m \\x07')\n")
    tail(function)
    out = logs(function.name).stdout
    assert "\x1b" not in out and "\x07" not in out and "red" in out


def hear_interrupts():
    """Tests that a shell runs in the background are started deaf to them, and what they start inherits it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def following(server, function):
    """The lines of `hearth logs -f`, as they come."""
    follower = subprocess.Popen([HEARTH, "logs", function.name, "-f", "--endpoint", server.url], stdout=subprocess.PIPE, text=True, preexec_fn=hear_interrupts)
    guard = threading.Timer(HANGS_S, follower.kill)
    guard.start()
    try:
        yield follower.stdout
        follower.send_signal(signal.SIGINT)
        follower.wait(HANGS_S)
    finally:
        guard.cancel()
        if follower.poll() is None:
            follower.kill()
        follower.wait()
        follower.stdout.close()


def test_following_shows_new_lines_as_they_come(server, gate, deploy):
    one = gate()
    function = deploy(waiting("def handler(event, context):\n    print('mark', event, flush=True)\n    passed(event)\n    print('late')\n"))
    with following(server, function) as lines:
        seen = []
        invoke = threading.Thread(target=function.invoke, args=(one.path,))
        invoke.start()
        for line in lines:
            seen.append(line)
            if f"mark {one.path}" in line:
                # It came while the invoke still runs.
                one.open()
            if "REPORT" in line:
                break
        invoke.join()
        assert any("late" in line for line in seen)


def test_an_invoke_that_says_nothing_is_seen_to_have_begun(server, gate, deploy):
    function = deploy(waiting("def handler(event, context):\n    passed(event)\n"))
    with following(server, function) as lines:
        for one in (gate(), gate()):
            answers = []
            invoke = threading.Thread(target=lambda path=one.path: answers.append(function.invoke(path)))
            invoke.start()
            begun = any("START RequestId" in line for line in lines)
            one.open()
            invoke.join()
            # It did not wait until its time was over.
            assert begun and "FunctionError" not in answers[0], answers
            assert any("REPORT" in line for line in lines)
