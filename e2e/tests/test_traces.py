"""What becomes of a trace: the header, the log, and the spans that a collector gets."""

import base64
import json
import re

import pytest

from conftest import PYTHON, client_of, deployer, deploys_on
from support import raw
from support.metrics import Numbers
from support.server import running, wait_until

TRACE = """
import os, time
def handler(event, context):
    time.sleep(event.get('sleep', 0))
    if event.get('fail'):
        raise ValueError('no')
    return os.environ['_X_AMZN_TRACE_ID']
"""
ROOT = "Root=1-5759e988-bd862e3fe1be46a994272793"
ID = ROOT[len("Root=1-"):].replace("-", "")


@pytest.fixture(scope="module")
def traced(collector):
    with running("--otlp", collector.url, "--retry-base", "100") as server:
        yield server


deploy = deploys_on("traced")


def post(server, function, event, **headers):
    path = f"/2015-03-31/functions/{function.name}/invocations"
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return raw.request(server, "POST", path, json.dumps(event).encode(), list(headers.items()))


def spans_of(collector, function, count):
    """The traces of a function by their ids, once there are so many."""
    def traces():
        found = {}
        for span in collector.spans():
            if span.resource["faas.name"] == function.name:
                found.setdefault(span.trace, []).append(span)
        return found

    wait_until(lambda: len(traces()) >= count, 60, lambda: f"{len(traces())} traces of {count}")
    return traces()


def by_name(spans, name):
    [span] = [span for span in spans if span.name == name]
    return span


def test_a_cold_start_is_seen_in_its_parts(collector, traced, deploy):
    function = deploy(TRACE)
    answer = post(traced, function, {"sleep": 0.05}, X_Amzn_Trace_Id=f"{ROOT};Parent=53995c3f42cd8ad8;Sampled=1", X_Amz_Log_Type="Tail")
    seen = dict(part.split("=") for part in answer.json.split(";"))
    assert seen["Root"] == ROOT[len("Root="):] and seen["Sampled"] == "1" and seen["Parent"] != "53995c3f42cd8ad8"
    assert answer.headers["x-amzn-trace-id"] == answer.json
    spans = spans_of(collector, function, 1)[ID]
    service, run = [span for span in spans if span.name == function.name]
    assert (service.parent, service.kind, run.parent, run.id) == ("53995c3f42cd8ad8", 2, service.id, seen["Parent"])
    assert service.attributes["faas.invocation_id"] == answer.headers["x-amzn-requestid"]
    assert run.attributes["faas.coldstart"] is True and run.attributes["hearth.billed_ms"] >= 50
    init, invocation = by_name(spans, "Initialization"), by_name(spans, "Invocation")
    assert init.parent == invocation.parent == run.id and by_name(spans, "queue").parent == service.id
    phases = [by_name(spans, name) for name in ("sandbox", "runtime", "function")]
    assert all(phase.parent == init.id for phase in phases)
    assert service.start <= init.start == phases[0].start and init.end <= invocation.start + 1_000_000
    assert invocation.end - invocation.start >= 50_000_000 and invocation.end <= run.end == service.end
    assert all(span.start <= span.end and span.error is None for span in spans)
    assert service.resource["faas.version"] == "$LATEST" and service.resource["cloud.region"] == "us-east-1"


def test_the_report_names_the_trace_of_what_is_sampled(traced, deploy):
    function = deploy(TRACE)
    log = function.client.invoke(FunctionName=function.name, LogType="Tail")
    assert "XRAY" not in base64.b64decode(log["LogResult"]).decode()
    answer = post(traced, function, {}, X_Amzn_Trace_Id=f"{ROOT};Sampled=1", X_Amz_Log_Type="Tail")
    report = base64.b64decode(answer.headers["x-amz-log-result"]).decode().splitlines()[-1]
    [(trace, segment)] = re.findall(r"\tXRAY TraceId: (\S+)\tSegmentId: ([0-9a-f]{16})\tSampled: true\t$", report)
    assert f"Root={trace};Parent={segment};Sampled=1" in answer.json and trace == ROOT[len("Root="):]


def test_active_samples_the_first_of_a_second_and_pass_through_none(collector, traced, deploy):
    active, through = deploy(TRACE, TracingConfig={"Mode": "Active"}), deploy(TRACE)
    assert "Sampled=1" in active.call({})
    assert "Sampled=0" in through.call({})
    assert "Sampled=0" in json.dumps(post(traced, active, {}, X_Amzn_Trace_Id=f"{ROOT};Parent=53995c3f42cd8ad8;Sampled=0").json)
    [spans] = spans_of(collector, active, 1).values()
    assert [span.parent for span in spans if span.kind == 2] == [""]
    assert active.client.get_function_configuration(FunctionName=active.name)["TracingConfig"] == {"Mode": "Active"}
    assert not [span for span in collector.spans() if span.resource["faas.name"] == through.name]


def test_a_run_that_fails_says_how(collector, traced, deploy):
    function = deploy(TRACE, Timeout=4)
    post(traced, function, {"fail": 1}, X_Amzn_Trace_Id=f"{ROOT};Sampled=1")
    post(traced, function, {"sleep": 30}, X_Amzn_Trace_Id="Root=1-5759e988-000000000000000000000001;Sampled=1")
    traces = spans_of(collector, function, 2)
    assert by_name(traces[ID], "Invocation").error == "Function.Unknown" or by_name(traces[ID], "Invocation").error
    late = by_name(traces["5759e988000000000000000000000001"], "Invocation")
    assert late.error == "Sandbox.Timedout" and late.end - late.start == 4_000_000_000


def test_each_attempt_at_an_event_has_spans(collector, traced, deploy):
    function = deploy(TRACE)
    answer = post(traced, function, {"fail": 1}, X_Amz_Invocation_Type="Event", X_Amzn_Trace_Id=f"{ROOT};Sampled=1")
    assert answer.status == 202
    wait_until(lambda: len([s for s in spans_of(collector, function, 1)[ID] if s.kind == 2]) == 3, 60, "not three attempts")
    ids = [span.id for span in spans_of(collector, function, 1)[ID]]
    assert len(ids) == len(set(ids))


def test_telemetry_names_the_trace(collector, traced, deploy):
    function = deploy(TRACE, LoggingConfig={"LogFormat": "JSON", "SystemLogLevel": "DEBUG"})
    answer = post(traced, function, {}, X_Amzn_Trace_Id=f"{ROOT};Sampled=1", X_Amz_Log_Type="Tail")
    lines = [json.loads(line) for line in base64.b64decode(answer.headers["x-amz-log-result"]).decode().splitlines()]
    told = {line["type"]: line["record"].get("tracing") for line in lines if line.get("type", "").startswith("platform.")}
    span = re.search("Parent=([0-9a-f]{16})", answer.json)[1]
    expected = {"spanId": span, "type": "X-Amzn-Trace-Id", "value": answer.json}
    assert [told[f"platform.{kind}"] for kind in ("start", "runtimeDone", "report")] == [expected] * 3


def test_a_collector_that_is_away_for_a_while_loses_nothing(collector, traced, deploy):
    function = deploy(TRACE)
    collector.refuse = 2
    post(traced, function, {}, X_Amzn_Trace_Id=f"{ROOT};Sampled=1")
    spans_of(collector, function, 1)
    assert collector.refuse == 0
    wait_until(lambda: Numbers(traced).of("hearth_traced_invokes_total", outcome="sent") > 0, 60, "not counted")
    before = Numbers(traced).of("hearth_traced_invokes_total", outcome="failed")
    collector.refuse, collector.status = 1, 400
    try:
        post(traced, function, {}, X_Amzn_Trace_Id=f"{ROOT};Sampled=1")
        failed = lambda: Numbers(traced).of("hearth_traced_invokes_total", outcome="failed")
        wait_until(lambda: failed() == before + 1, 60, "not counted")
    finally:
        collector.status = 503


def test_a_stop_sends_what_is_left(collector):
    with running("--otlp", collector.url) as server:
        deploy, _ = deployer(client_of(server))
        function = deploy(TRACE)
        for _ in range(5):
            post(server, function, {}, X_Amzn_Trace_Id=f"{ROOT};Sampled=1")
    assert len([span for span in collector.spans() if span.resource["faas.name"] == function.name and span.kind == 2]) == 5


RAISES = {
    "app.py": "def handler(event, context):\n    raise KeyError('h\u00e9')\n",
    "app.js": "exports.handler = async () => {\n  throw new RangeError('h\u00e9');\n};\n",
}


@pytest.mark.parametrize("runtime, kind, message", [(PYTHON, "KeyError", "'h\u00e9'"), ("nodejs20.x", "RangeError", "h\u00e9")])
def test_what_a_function_raises_is_told_of_the_invocation(collector, traced, deploy, runtime, kind, message):
    function = deploy(RAISES, Runtime=runtime)
    post(traced, function, {}, X_Amzn_Trace_Id=f"{ROOT};Sampled=1")
    [event] = by_name(spans_of(collector, function, 1)[ID], "Invocation").events
    assert (event.attributes["exception.type"], event.attributes["exception.message"]) == (kind, message)
    assert "(/var/task/app." in event.attributes["exception.stacktrace"] and ": 2)" in event.attributes["exception.stacktrace"]


# What a runtime says of an error beside the error itself, said in its place by the function.
CAUSE = """
import http.client, json, os
def post(path, cause, kind):
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    headers = {"Lambda-Runtime-Function-Error-Type": kind, "Lambda-Runtime-Function-XRay-Error-Cause": cause}
    connection.request("POST", "/2018-06-01/runtime/" + path, json.dumps({"errorMessage": "own", "errorType": "Own"}), headers)
    return connection.getresponse().status
"""
FAILS = CAUSE + """
def handler(event, context):
    frame = {"path": "app.py", "line": 7, "label": "pay" * event.get("times", 1)}
    cause = {"working_directory": "/var/task", "paths": ["app.py"], "exceptions": [
        {"type": "KeyError", "message": "'x'", "stack": [frame] * event.get("frames", 1)}, {"type": "ValueError", "message": "before"}]}
    post(f"invocation/{context.aws_request_id}/error", event.get("raw") or json.dumps(cause), "Function.Own")
"""
FAILS_IN_INIT = CAUSE + """
post("init/error", json.dumps({"exceptions": [{"type": "KeyError", "message": "'x'"}]}), "Runtime.Own")
import time
time.sleep(60)
"""
OWN = {"errorMessage": "own", "errorType": "Own"}


def test_what_a_runtime_says_of_an_error_is_told_of_the_invocation(collector, traced, deploy):
    function = deploy(FAILS)
    assert post(traced, function, {}, X_Amzn_Trace_Id=f"{ROOT};Sampled=1").json == OWN
    spans = spans_of(collector, function, 1)[ID]
    assert [span.name for span in spans if span.events] == ["Invocation"]
    first, second = by_name(spans, "Invocation").events
    assert (first.name, first.at, by_name(spans, "Invocation").error) == ("exception", by_name(spans, "Invocation").end, "Function.Own")
    assert first.attributes == {
        "exception.type": "KeyError", "exception.message": "'x'", "exception.stacktrace": "KeyError: 'x'\n\tat pay(app.py: 7)\n"}
    assert second.attributes == {"exception.type": "ValueError", "exception.message": "before"}


def test_what_a_runtime_says_of_an_error_in_init_is_told_of_the_initialization(collector, traced, deploy):
    function = deploy(FAILS_IN_INIT)
    assert post(traced, function, {}, X_Amzn_Trace_Id=f"{ROOT};Sampled=1").json == OWN
    spans = spans_of(collector, function, 1)[ID]
    assert [span.name for span in spans if span.events] == ["Initialization"]
    init = by_name(spans, "Initialization")
    assert [event.attributes["exception.type"] for event in init.events] == ["KeyError"] and init.error == "Runtime.Own"


@pytest.mark.parametrize("raw", ["{", "[]", "7", '{"exceptions": 7}', '{"exceptions": [7, {"type": {}, "stack": "x"}]}', "[" * 5000])
def test_a_runtime_that_says_it_wrongly_has_its_error_all_the_same(collector, traced, deploy, raw):
    function = deploy(FAILS)
    assert post(traced, function, {"raw": raw}, X_Amzn_Trace_Id=f"{ROOT};Sampled=1").json == OWN
    invocation = by_name(spans_of(collector, function, 1)[ID], "Invocation")
    assert invocation.error == "Function.Own" and all(not event.attributes for event in invocation.events)


def test_of_much_that_a_runtime_says_the_first_is_told(collector, traced, deploy):
    function = deploy(FAILS)
    assert post(traced, function, {"frames": 2000, "times": 30}, X_Amzn_Trace_Id=f"{ROOT};Sampled=1").json == OWN
    event = by_name(spans_of(collector, function, 1)[ID], "Invocation").events[0]
    assert 100 < event.attributes["exception.stacktrace"].count("\tat pay") < 2000
    assert len(event.attributes["exception.stacktrace"]) < 64 * 1024


def test_what_a_runtime_says_in_a_worker_process_is_told(collector, house):
    server, _, _, deploy = house(1, "--otlp", collector.url)
    function = deploy(FAILS)
    assert post(server, function, {}, X_Amzn_Trace_Id=f"{ROOT};Sampled=1").json == OWN
    invocation = by_name(spans_of(collector, function, 1)[ID], "Invocation")
    assert [event.attributes["exception.type"] for event in invocation.events] == ["KeyError", "ValueError"]
