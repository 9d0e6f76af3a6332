"""`--start-python snapshot`: functions on Python go on from one interpreter that was written down before it knew any."""

import concurrent.futures
import json
import os
import subprocess
import time
import urllib.request

from conftest import PYTHON, client_of, deployer
from support.server import HEARTH
from test_ahead import PYTHON_LOOK

OPTIONS = ["--ahead", "0", "--isolation-at-least", "disk", "--start-python", "snapshot"]
STARTS = int(os.environ.get("HEARTH_CLONES", "40"))

DRAW = """
import os, random, ssl, uuid
first = [random.random(), ssl.RAND_bytes(16).hex(), str(uuid.uuid4()), str(uuid.uuid1()), os.urandom(8).hex()]
def handler(event, context):
    return [first, str(hash("a text"))]
"""


def found(server, function):
    with urllib.request.urlopen(f"{server.url}/_hearth/functions/{function}/environments") as answer:
        return [each["InitPhases"]["Found"] for each in json.load(answer)["Environments"]]


def until_written(server, deploy):
    """Has an interpreter written down: the first function that wants one starts afresh."""
    end = time.monotonic() + 60
    while True:
        function = deploy("def handler(event, context): pass")
        function.call()
        [what] = found(server, function.name)
        if what == "snapshot":
            return
        assert time.monotonic() < end, server.log_text()


def test_a_function_finds_what_a_fresh_start_finds(alone):
    def look(server, prepare):
        deploy, _ = deployer(client_of(server))
        prepare(server, deploy)
        function = deploy({"app.py": PYTHON_LOOK}, Environment={"Variables": {"MINE": "a=b", "TEXT": "é\n"}})
        return function.call(), found(server, function.name), function.call()

    fresh, how, _ = look(alone("--ahead", "0"), lambda server, deploy: None)
    assert how == ["nothing"]
    other, how, again = look(alone(*OPTIONS), until_written)
    assert how == ["snapshot"]
    for one, another, later in zip(fresh, other, again, strict=True):
        assert another == one and later == one


def test_no_two_starts_draw_the_same(alone):
    server = alone(*OPTIONS, "--memory-budget", "1000000", "--request-rate", "0", "--scaling", "unlimited")
    deploy, _ = deployer(client_of(server))
    until_written(server, deploy)

    def one(_):
        function = deploy({"app.py": DRAW})
        return *function.call(), found(server, function.name)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        drawn = list(pool.map(one, range(STARTS)))
    assert all(how == ["snapshot"] for _, _, how in drawn)
    for each in zip(*(first for first, _, _ in drawn), strict=True):
        assert len(set(each)) == STARTS
    # What they have in common is what the level says that they may.
    assert len({common for _, common, _ in drawn}) == 1


def test_what_an_interpreter_reads_at_its_start_has_its_effect(alone):
    server = alone(*OPTIONS)
    deploy, _ = deployer(client_of(server))
    until_written(server, deploy)
    code = "import sys\ndef handler(e, c): return [hash('a text'), sys.flags.hash_randomization]"
    seeded = [deploy(code, Environment={"Variables": {"PYTHONHASHSEED": "7"}}) for _ in range(2)]
    one, other = [function.call() for function in seeded]
    assert one == other and one != deploy(code).call()
    assert found(server, seeded[0].name) == ["nothing"]


def test_a_function_that_crashes_starts_again_with_its_tmp(alone):
    server = alone(*OPTIONS)
    deploy, _ = deployer(client_of(server))
    until_written(server, deploy)
    code = """
import os
def handler(event, context):
    if event.get("end"):
        open("/tmp/kept", "w").write("kept")
        os._exit(1)
    return open("/tmp/kept").read()
"""
    function = deploy(code)
    function.error({"end": True})
    assert function.call() == "kept"


def test_nobody_asks_twice_and_nobody_else_asks(alone):
    server = alone(*OPTIONS)
    deploy, _ = deployer(client_of(server))
    until_written(server, deploy)
    code = """
import urllib.request, urllib.error
def handler(event, context):
    try:
        urllib.request.urlopen("http://169.254.100.1:9001/2018-06-01/runtime/restore/next")
    except urllib.error.HTTPError as error:
        return error.code
"""
    function = deploy(code)
    assert function.call() == 404 and found(server, function.name) == ["snapshot"]


def test_it_is_less_than_all_that_is_promised(tmp_path):
    command = [HEARTH, "serve", "--listen", "127.0.0.1:0", "--data-dir", str(tmp_path / "data"), "--start-python", "snapshot"]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 2 and "--isolation-at-least disk" in refused.stderr, refused.stderr


def test_the_runtime_is_the_one_that_is_asked_for(alone):
    server = alone(*OPTIONS)
    deploy, _ = deployer(client_of(server))
    until_written(server, deploy)
    code = "import sys\ndef handler(e, c): return '%d.%d' % sys.version_info[:2]"
    assert "python" + deploy(code).call() == PYTHON
