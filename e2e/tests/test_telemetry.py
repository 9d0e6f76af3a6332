"""What extensions are told of what happens: one on the official Rust crate, one in Python, from layers."""

import json
import os
import uuid
from pathlib import Path

import pytest

from support.server import HANGS_S, wait_until
from test_cloudwatch_logs import logs  # noqa: F401 - a fixture
from test_layers import publish  # noqa: F401 - a fixture

# Waits until the extension has kept what the test asks for, and gives all that it was told.
FUNCTION = """
import json, os, time
print('loaded')
def told():
    try:
        lines = open('/tmp/watch').read().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in lines if line.endswith('\\n')]
def handler(event, context):
    print('at work')
    if event.get('end') == 'late':
        time.sleep(600)
    if event.get('end') == 'exit':
        os._exit(3)
    while sum(event['until'] in json.dumps(one) for one in told()) < event.get('times', 1):
        time.sleep(0.01)
    return told()
"""

PYTHON_EXTENSION = """#!/var/lang/bin/python3
import http.server, json, os, threading, urllib.request
API = 'http://' + os.environ['AWS_LAMBDA_RUNTIME_API']
class Sink(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        events = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
        with open('/tmp/watch', 'a') as file:
            file.write(''.join(json.dumps(event) + '\\n' for event in events))
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass
def call(method, path, body=None, **headers):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(API + path, data, {'Lambda-Extension-' + k: v for k, v in headers.items()}, method=method)
    return urllib.request.urlopen(request)
server = http.server.HTTPServer(('sandbox.localdomain', 4243), Sink)
threading.Thread(target=server.serve_forever, daemon=True).start()
me = call('POST', '/2020-01-01/extension/register', {'events': ['INVOKE']}, Name='watch').headers['Lambda-Extension-Identifier']
call('PUT', '/2022-07-01/telemetry', {
    'schemaVersion': '2022-12-13', 'types': ['platform', 'function', 'extension'], 'buffering': {'timeoutMs': 25},
    'destination': {'protocol': 'HTTP', 'URI': 'http://sandbox.localdomain:4243'}}, Identifier=me)
print('the extension starts', flush=True)
while True:
    call('GET', '/2020-01-01/extension/event/next', Identifier=me).read()
"""

USUAL = [
    "platform.initStart",
    "function",
    "platform.telemetrySubscription",
    "platform.extension",
    "platform.initRuntimeDone",
    "platform.initReport",
    "platform.start",
    "function",
    "platform.runtimeDone",
    "platform.report",
]


@pytest.fixture
def watched(deploy, publish):  # noqa: F811
    """watched(does) -> a function with the Rust extension."""
    if "EXTENSION" not in os.environ:
        pytest.skip("EXTENSION names no built extension")

    def watched(does, **args):
        layer = publish({"extensions/watch": (Path(os.environ["EXTENSION"]).read_bytes(), 0o755)})
        return deploy(FUNCTION, Layers=[layer], Environment={"Variables": {"EXTENSION_DOES": does}}, **args)

    return watched


def types(events):
    return [event["type"] for event in events if "type" in event]


def records(events, kind):
    return [event["record"] for event in events if event.get("type") == kind]


def in_order(expected, found):
    """Whether all that is expected was found in this order, others between them or not."""
    found = iter(found)
    return all(one in found for one in expected)


def test_an_extension_on_the_rust_crate_hears_what_happens(watched):
    function = watched("telemetry")
    function.call({"until": "platform.start"})
    events = function.call({"until": "platform.report"})
    assert in_order([kind for kind in USUAL if kind != "platform.telemetrySubscription"], types(events)), events
    assert records(events, "function")[:2] == ["loaded\n", "at work\n"]
    assert "the extension starts\n" in records(events, "extension")
    [subscription] = records(events, "platform.telemetrySubscription")
    assert subscription == {"name": "watch", "state": "Subscribed", "types": ["platform", "function", "extension"]}
    report = records(events, "platform.report")[0]
    assert report["requestId"] == records(events, "platform.start")[0]["requestId"]
    assert report["metrics"]["memorySizeMB"] == 1769


def test_an_extension_on_the_rust_crate_hears_the_older_logs(watched):
    function = watched("logs")
    function.call({"until": "PlatformStart"})
    events = [event["log"] for event in function.call({"until": "PlatformReport"}) if "log" in event]
    names = [event.split("(")[0].split(" ")[0] for event in events]
    usual = ["PlatformStart", "Function", "PlatformRuntimeDone", "PlatformEnd", "PlatformReport"]
    assert in_order(usual, names), events
    assert 'Function("at work\\n")' in events
    assert any(event.startswith("PlatformLogsSubscription { name: \"watch\"") for event in events), events


def test_an_extension_in_python_hears_what_happens(deploy, publish):  # noqa: F811
    layer = publish({"extensions/watch": (PYTHON_EXTENSION, 0o755)})
    function = deploy(FUNCTION, Layers=[layer])
    function.call({"until": "platform.start"})
    events = function.call({"until": "platform.report"})
    assert in_order([kind for kind in USUAL if kind != "platform.telemetrySubscription"], types(events)), events
    assert "the extension starts\n" in records(events, "extension")


@pytest.mark.parametrize(("end", "status", "reason", "limit"), [("late", "timeout", "timeout", 4), ("exit", "error", "failure", 30)])
def test_the_last_events_come_before_the_end(watched, logs, end, status, reason, limit):
    function = watched("telemetry", Timeout=limit)
    function.error({"end": end})
    # In the end the extension prints what it was told, a line each.
    lines = until_logged(logs, function, '{"event":"SHUTDOWN"')
    told = [json.loads(line) for line in lines if line.startswith("{")]
    assert told[-1] == {"event": "SHUTDOWN", "reason": reason}
    [start], [done], [report] = (records(told, f"platform.{kind}") for kind in ("start", "runtimeDone", "report"))
    assert (done["status"], report["status"]) == (status, status)
    assert start["requestId"] == done["requestId"] == report["requestId"]


def test_the_older_logs_tell_of_faults(watched, logs):
    function = watched("logs", Timeout=4)
    function.error({"end": "late"})
    lines = until_logged(logs, function, '{"event":"SHUTDOWN"')
    logs = [json.loads(line).get("log") for line in lines if line.startswith("{")]
    [fault] = [line for line in logs if line and line.startswith("PlatformFault")]
    assert "Task timed out after 4.00 seconds" in fault


def until_logged(logs, function, text):
    """The lines of a function's log, once one begins with the text."""
    def lines():
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{function.name}")
        return [event["message"] for page in pages for event in page["events"]]

    wait_until(lambda: any(line.startswith(text) for line in lines()), HANGS_S, lambda: f"no {text} in {lines()}")
    return lines()


def test_the_start_of_an_init_names_the_environment(deploy, logs):  # noqa: F811
    code = "def handler(event, context):\n    return [context.log_stream_name, context.log_group_name]\n"
    function = deploy(code, MemorySize=256, LoggingConfig={"LogFormat": "JSON", "SystemLogLevel": "DEBUG"})
    stream, group = function.call()
    [start] = [record for record in map(json.loads, lines_of(logs, group)) if record["type"] == "platform.initStart"]
    assert start["record"]["instanceId"] == str(uuid.UUID(stream.rsplit("]")[-1]))
    assert start["record"]["instanceMaxMemory"] == 256


def lines_of(logs, group):  # noqa: F811
    return [event["message"] for event in logs.filter_log_events(logGroupName=group)["events"]]
