"""Extensions as teams deploy them: on the official crate, as scripts in a layer, and inside the runtime."""

import base64
import itertools
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from conftest import client_of, deployer, unique
from support.clients import service_at
from support.gates import PASSED, SIGV4, Gates
from support.packages import zip_of
from support.server import HANGS_S, Traces, descendants, wait_until

CALL = """
import http.client, json, os, sys, threading, time
ME = os.path.basename(sys.argv[0])
def call(method, path, body=None, headers={}):
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    connection.request(method, "/2020-01-01/extension/" + path, body, headers)
    answer = connection.getresponse()
    return answer.status, {k.lower(): v for k, v in answer.getheaders()}, json.loads(answer.read() or "null")
def register(name, *events):
    status, headers, body = call("POST", "register", json.dumps({"events": events}), {"Lambda-Extension-Name": name})
    assert status == 200, body
    return {"Lambda-Extension-Identifier": headers["lambda-extension-identifier"]}
"""

# Prints what it is told.
LISTENS = """
me = register(ME, "INVOKE", "SHUTDOWN")
while True:
    event = call("GET", "event/next", headers=me)[2]
    print(ME, json.dumps(event), flush=True)
    if event["eventType"] == "SHUTDOWN": break
"""

# In bash alone: no curl, no other language.
BASH = r"""#!/bin/bash
address=${AWS_LAMBDA_RUNTIME_API%:*} port=${AWS_LAMBDA_RUNTIME_API#*:} name=${0##*/}
call() {  # METHOD PATH HEADER BODY -> $line: the last line; $id: the identifier
  exec 3<>"/dev/tcp/$address/$port"
  printf '%s /2020-01-01/extension/%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\nContent-Length: %s\r\n\r\n%s' "$1" "$2" "$3" "${#4}" "$4" >&3
  line=
  while IFS= read -r -u 3 line || [ -n "$line" ]; do
    line=${line%$'\r'}
    case ${line,,} in lambda-extension-identifier:*) id=${line#*: };; esac
    last=$line
  done
  exec 3>&-
}
call POST register "Lambda-Extension-Name: $name" '{"events":["INVOKE","SHUTDOWN"]}'
while :; do
  call GET event/next "Lambda-Extension-Identifier: $id"
  echo "$name $last"
  case $last in *SHUTDOWN*) exit 0;; esac
done
"""

# For programs in a layer that has `sigv4.py`.
WAITS = "sys.path.append('/opt')\n" + PASSED

HANDLER = "def handler(event, context): return context.aws_request_id"


@pytest.fixture
def layer(client):
    """layer({name: content of a program}) -> the ARN of a layer's version with these in extensions/."""
    return _layers(client)


def _layers(client):
    def layer(programs, **others):
        files = {f"extensions/{name}": (content, 0o755) for name, content in programs.items()}
        files.update(others)
        return client.publish_layer_version(LayerName=unique("l"), Content={"ZipFile": zip_of(files)})["LayerVersionArn"]

    return layer


@pytest.fixture
def narrow(alone):
    """A server with room for one environment: whatever comes waits for that one."""
    return alone("--memory-budget", "1769")


def python(code):
    return "#!/usr/bin/env python3\n" + CALL + code


def tail(function, event=None):
    """The end of one invoke's log."""
    answer = function.invoke(event or {}, LogType="Tail")
    return base64.b64decode(answer["LogResult"]).decode()


@pytest.fixture
def rust():
    if "EXTENSION" not in os.environ:
        pytest.skip("EXTENSION names no built example")
    return Path(os.environ["EXTENSION"]).read_bytes()


def test_the_official_crate(narrow, rust):
    """Two on the crate beside a Python function; each keeps what it is told in /tmp, which outlives a reset.

    They do not end by themselves, so that the end takes all of its two seconds: the next invoke waits for its room."""
    client = client_of(narrow)
    (deploy, _), layer = deployer(client), _layers(client)
    function = deploy(
        "import json, os, time\n"
        "def told(name):\n"
        "    lines = open('/tmp/' + name).read().splitlines() if os.path.exists('/tmp/' + name) else []\n"
        "    return [json.loads(line) for line in lines]\n"
        "def handler(event, context):\n"
        "    if event.get('sleep'): time.sleep(600)\n"
        "    while len([t for t in told('one') + told('two') if t.get('requestId') == context.aws_request_id]) < 2: time.sleep(0.01)\n"
        "    return {name: told(name) for name in ('one', 'two')}\n",
        Layers=[layer({"one": rust, "two": rust})],
        Timeout=10,
    )
    first = function.call()
    assert [len(events) for events in first.values()] == [1, 1]
    second = function.call()
    assert [len(events) for events in second.values()] == [2, 2]
    assert "timed out" in function.error({"sleep": True})["errorMessage"]
    after = function.call()
    for events in after.values():
        assert [event["event"] for event in events] == ["INVOKE", "INVOKE", "INVOKE", "SHUTDOWN", "INVOKE"]
        assert events[3]["reason"] == "timeout"


def test_scripts_hear_of_invokes_and_of_a_deploy(deploy, layer, client):
    """Their output is in the function's log, their state before START; a deploy ends them in their order."""
    function = deploy(HANDLER, Layers=[layer({"in-bash": BASH, "in-python": python(LISTENS)})])
    group = f"/aws/lambda/{function.name}"
    logs = boto_logs(client)
    ids = [function.call() for _ in range(3)]
    function.update(Description="changed")

    def events_of(name):
        lines = messages(logs, group)
        return [json.loads(line.split(" ", 1)[1]) for line in lines if line.startswith(f"{name} {{")]

    for name in ("in-bash", "in-python"):
        wait_until(lambda: len(events_of(name)) == 4, HANGS_S, f"{name} did not hear of the end")
        *invokes, end = events_of(name)
        assert [event["requestId"] for event in invokes] == ids
        assert (end["eventType"], end["shutdownReason"]) == ("SHUTDOWN", "spindown")
    lines = messages(logs, group)
    for name in ("in-bash", "in-python"):
        assert lines.count(f"EXTENSION\tName: {name}\tState: Ready\tEvents: [INVOKE, SHUTDOWN]") == 1
    first_start = next(at for at, line in enumerate(lines) if line.startswith("START "))
    assert all(at < first_start for at, line in enumerate(lines) if line.startswith("EXTENSION"))


def boto_logs(client):
    endpoint = client.meta.endpoint_url
    return service_at(endpoint, "logs")


def messages(logs, group):
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group)
    try:
        return [event["message"].rstrip("\n") for page in pages for event in page["events"]]
    except logs.exceptions.ResourceNotFoundException:
        return []


def test_the_answer_comes_first_and_the_next_invoke_waits(narrow):
    """The tail of an extension is in the duration; the answer has not waited for it; the next invoke has."""
    tail = Gates(narrow)()
    slow = python(
        WAITS
        + f"""
me = register(ME, "INVOKE")
while True:
    call("GET", "event/next", headers=me)
    passed("{tail.path}")
"""
    )
    client = client_of(narrow)
    deploy, _ = deployer(client)
    made = _layers(client)({"slow": slow}, **{"sigv4.py": SIGV4})
    function = deploy("import time\ndef handler(event, context): return time.time()", Layers=[made])
    # The gate is closed, and yet there is an answer.
    first = function.call()
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(function.call)
        # So that one that would not wait is seen not to; too short a time hides it, and fails nothing.
        time.sleep(1)
        opened = time.time()
        tail.open()
        assert second.result() >= opened > first, "the next invoke has waited"
    group = f"/aws/lambda/{function.name}"
    report = next(line for line in messages(boto_logs(client), group) if line.startswith("REPORT"))
    assert float(report.split("Duration: ")[1].split(" ")[0]) >= 1000


def test_failures_are_lambdas(deploy, layer):
    def error(program, mode=0o755, **args):
        made = layer({}, **{"extensions/bad": (program, mode)})
        function = deploy(HANDLER, Layers=[made], **args)
        error = function.error()
        return error["errorType"], error["errorMessage"].split("Error: ")[1]

    assert error("#!/bin/sh\nexit 7\n") == ("Extension.Crash", "exit status 7")
    assert error("#!/bin/sh\nexit 7\n", 0o644) == ("Extension.LaunchError", "fork/exec /opt/extensions/bad: permission denied")
    gives_up = """
me = register(ME)
call("POST", "init/error", json.dumps({"errorMessage": "no key", "errorType": "x"}), {**me, "Lambda-Extension-Function-Error-Type": "Extension.NoKey"})
"""
    assert error(python(gives_up)) == ("Extension.InitError", "no key")
    gives_up_later = """
me = register(ME, "INVOKE")
call("GET", "event/next", headers=me)
call("POST", "exit/error", json.dumps({"errorMessage": "lost it"}), {**me, "Lambda-Extension-Function-Error-Type": "Extension.Lost"})
time.sleep(600)
"""
    made = layer({"bad": python(gives_up_later)})
    function = deploy("import time\ndef handler(event, context): time.sleep(600)", Layers=[made])
    answer = function.error()
    assert (answer["errorType"], answer["errorMessage"].split("Error: ")[1]) == ("Extension.ExitError", "lost it")


def test_one_that_ends_between_invokes_is_in_the_log(alone):
    server = alone("--freeze-after", "60000")
    client, between = client_of(server), Gates(server)()
    brittle = python(
        WAITS
        + f"""
def end():
    passed("{between.path}")
    os.kill(os.getpid(), 9)
me = register(ME, "INVOKE")
call("GET", "event/next", headers=me)
threading.Thread(target=end).start()
call("GET", "event/next", headers=me)
"""
    )
    deploy, _ = deployer(client)
    made = _layers(client)({"brittle": brittle}, **{"sigv4.py": SIGV4})
    function = deploy(HANDLER, Layers=[made])
    first = function.call()
    logs, group = boto_logs(client), f"/aws/lambda/{function.name}"
    ended = "EXTENSION\tName: brittle\tState: Exited\tEvents: [INVOKE]\tError Type: Extension.Crash"
    wait_until(lambda: f"END RequestId: {first}" in messages(logs, group), HANGS_S, "the invoke does not end")
    server.until_idle(function)
    between.open()
    wait_until(lambda: ended in messages(logs, group), HANGS_S, "the log does not tell")
    assert function.call() != first


def test_one_in_the_runtime(deploy, client):
    """Python code that registers before the handler is loaded, and an orderly end of its process."""
    function = deploy(
        CALL
        + """
import signal
me, told, more = register("inner", "INVOKE"), [], threading.Condition()
def listen():
    while True:
        event = call("GET", "event/next", headers=me)[2]
        with more:
            told.append(event["requestId"])
            more.notify()
threading.Thread(target=listen, daemon=True).start()
def end(*_):
    print("an orderly end", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
def handler(event, context):
    with more: more.wait_for(lambda: context.aws_request_id in told, 25)
    return told[-1] == context.aws_request_id
"""
    )
    assert [function.call() for _ in range(3)] == [True] * 3
    logs, group = boto_logs(client), f"/aws/lambda/{function.name}"
    shutdowns = itertools.count()

    def has_ended_orderly():
        # A runtime has 150 ms between SIGTERM and SIGKILL here, which a busy machine may not give to one of them.
        function.update(Description=f"changed {next(shutdowns)}")
        return function.call() and "an orderly end" in messages(logs, group)

    wait_until(has_ended_orderly, HANGS_S, "the runtime was not asked to end")


def test_a_file_does_without_them(deploy, layer):
    made = layer({"bad": "#!/bin/sh\nexit 1\n"}, **{"disable-extensions-jwigqn8j": ""})
    assert deploy(HANDLER, Layers=[made]).call()


def test_json_records(deploy, layer, client):
    made = layer({"a": python(LISTENS)})
    function = deploy(HANDLER, Layers=[made], LoggingConfig={"LogFormat": "JSON"})
    function.call()
    logs, group = boto_logs(client), f"/aws/lambda/{function.name}"

    def record():
        lines = [json.loads(line) for line in messages(logs, group) if line.startswith('{"time"')]
        return next((line["record"] for line in lines if line["type"] == "platform.extension"), None)

    wait_until(record, HANGS_S, "no platform.extension")
    assert record() == {"name": "a", "state": "Ready", "events": ["INVOKE", "SHUTDOWN"]}


def test_the_end_of_the_server_is_told_and_nothing_stays(alone):
    """SIGTERM: frozen environments wake for it, stubborn extensions do not hold it up; a killed server leaves nothing."""
    server = alone()
    client = client_of(server)
    deploy, _ = deployer(client)
    made = _layers(client)({"listens": python(LISTENS), "stubborn": python("me = register(ME, 'SHUTDOWN')\ncall('GET', 'event/next', headers=me)\ntime.sleep(600)\n")})
    functions = [deploy(HANDLER, Layers=[made]) for _ in range(3)]
    for function in functions:
        function.call()
    server.stop()  # Proves that nothing is left.
    server.start()
    client = client_of(server)
    logs = boto_logs(client)
    for function in functions:
        ends = [line for line in messages(logs, f"/aws/lambda/{function.name}") if line.startswith("listens ") and "SHUTDOWN" in line]
        assert len(ends) == 1 and '"spindown"' in ends[0]
    for function in functions:
        function.client = client
        function.call()
    traces = Traces(server)
    server.kill()
    traces.check(cgroups=True)


def test_starts_and_ends_leave_no_process(alone):
    """Environments come and go by the dozen, some end badly; in the end the server has no more children than at first."""
    server = alone("--keep-alive", "1", "--pool", "0")
    client = client_of(server)
    deploy, _ = deployer(client)
    layer = _layers(client)
    listens = layer({"listens": python(LISTENS)})
    code = "import os\ndef handler(event, context):\n    if event.get('crash'): os._exit(1)\n    return 1"
    functions = [deploy(code, Layers=[listens], MemorySize=256) for _ in range(4)]
    # Its packages are read then, by a process that leaves one behind for the next package.
    for function in functions:
        function.invoke({})
        wait_until(lambda: not server.states(function), HANGS_S, "an environment stays")
    before = len(descendants(server.pid))
    for turn in range(3):
        with ThreadPoolExecutor(8) as pool:
            events = [{"crash": True} if (turn + at) % 3 == 0 else {} for at in range(16)]
            list(pool.map(lambda pair: functions[pair[0] % 4].invoke(pair[1]), enumerate(events)))
    wait_until(lambda: len(descendants(server.pid)) <= before, HANGS_S, "processes stay")
    server.stop()
