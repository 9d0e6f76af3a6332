"""Segments that functions send to X-Ray's daemon, with the SDKs as people have them: spans below their invoke."""

import json
import os

import pytest

from conftest import client_of, deployer, deploys_on
from support import raw
from support.gates import Gates, waiting
from support.metrics import Numbers
from support.packages import node_packages, python_packages
from support.server import running, wait_until
from test_node import node_runtime
from test_snapstart import SNAP_START, until_settled
from test_traces import ID, ROOT, by_name, post

NEEDLESS = {"botocore"}  # Of what the SDK can patch; the recorder does without.
SAMPLED = f"{ROOT};Parent=53995c3f42cd8ad8;Sampled=1"

SDK = """
from aws_xray_sdk.core import xray_recorder

def handler(event, context):
    with xray_recorder.in_subsegment("outer") as outer:
        outer.put_annotation("tenant", "blue")
        outer.put_annotation("count", 3)
        outer.put_metadata("order", {"id": 7}, "shop")
        with xray_recorder.in_subsegment("inner", namespace="remote") as inner:
            inner.put_http_meta("url", "http://shop.example/items")
            inner.put_http_meta("method", "GET")
            inner.put_http_meta("status", 404)
    try:
        with xray_recorder.in_subsegment("broken"):
            raise ValueError("no such item")
    except ValueError:
        pass
    return "ok"
"""


@pytest.fixture(scope="module")
def traced(collector):
    with running("--otlp", collector.url) as server:
        yield server


deploy = deploys_on("traced")


def sdk(code, *more):
    return {"app.py": code, **python_packages("aws-xray-sdk", *more, without=NEEDLESS)}


def trace_of(number):
    """Another trace: its header and its id."""
    rest = f"{number:024x}"
    return f"Root=1-5759e988-{rest};Sampled=1", f"5759e988{rest}"


def invoke(server, function, event=None, trace=SAMPLED):
    answer = post(server, function, event or {}, X_Amzn_Trace_Id=trace)
    assert answer.status == 200 and "x-amz-function-error" not in answer.headers, answer.body
    return answer


def spans_of(collector, function, *names, trace=ID, unless=lambda: None):
    """The spans of a trace that came from this function, once its run is told and those of these names that it made; until
    then `unless` is called again and again."""
    def found():
        return [span for span in collector.spans() if span.resource["faas.name"] == function.name and span.trace == trace]

    def complete():
        return any(span.kind == 2 for span in found()) and set(names) <= set(own(found()))

    wait_until(lambda: complete() or unless(), 60, lambda: f"not all of {names}: {found()}")
    return found()


def own(spans):
    """Those that the function made itself, by their names."""
    return {span.name: span for span in spans if span.scope == "aws.xray"}


def counted(server):
    return {fate: Numbers(server).of("hearth_trace_segments_total", outcome=fate) for fate in ("sent", "dropped", "failed", "refused")}


def test_what_the_sdk_records_hangs_below_the_functions_span(collector, traced, deploy):
    function = deploy(sdk(SDK))
    invoke(traced, function)
    spans = spans_of(collector, function, "outer", "broken")
    [run] = [span for span in spans if span.name == function.name and span.kind != 2]
    made = own(spans)
    assert set(made) == {"outer", "inner", "broken"}
    outer, inner, broken = made["outer"], made["inner"], made["broken"]
    assert outer.parent == broken.parent == run.id and inner.parent == outer.id
    invocation = by_name(spans, "Invocation")
    assert invocation.start - 1_000_000 <= outer.start <= inner.start <= inner.end <= outer.end <= invocation.end + 1_000_000
    assert outer.attributes["tenant"] == "blue" and outer.attributes["count"] == 3
    assert sorted(outer.attributes["aws.xray.annotations"]) == ["count", "tenant"]
    assert json.loads(outer.attributes["aws.xray.metadata.shop"]) == {"order": {"id": 7}}
    assert (outer.kind, outer.error, outer.events) == (1, None, [])
    assert inner.kind == 3 and inner.attributes["http.url"] == "http://shop.example/items"
    assert inner.attributes["http.status_code"] == 404 and inner.attributes["aws.xray.error"] is True
    assert broken.error == "no such item" and broken.attributes["error.type"] == "ValueError"
    [event] = broken.events
    assert event.name == "exception" and event.attributes["exception.type"] == "ValueError"
    assert event.attributes["exception.message"] == "no such item"
    assert "handler(app.py: " in event.attributes["exception.stacktrace"]
    ids = [span.id for span in spans]
    assert len(ids) == len(set(ids))


TRACER = """
from aws_lambda_powertools import Tracer
tracer = Tracer(service="shop")

@tracer.capture_method
def pay(amount):
    tracer.put_annotation(key="currency", value="EUR")
    if amount < 0:
        raise RuntimeError("refused")
    return {"paid": amount}

@tracer.capture_lambda_handler
def handler(event, context):
    return pay(event["amount"])
"""


def test_the_tracer_of_powertools_finds_a_daemon(collector, traced, deploy):
    function = deploy(sdk(TRACER, "aws-lambda-powertools"))
    invoke(traced, function, {"amount": 3})
    made = own(spans_of(collector, function, "## handler", "## app.pay"))
    handler, pay = made["## handler"], made["## app.pay"]
    assert pay.parent == handler.id and handler.error is pay.error is None
    assert handler.attributes["ColdStart"] is True and handler.attributes["Service"] == "shop"
    assert pay.attributes["currency"] == "EUR"
    assert json.loads(pay.attributes["aws.xray.metadata.shop"]) == {"app.pay response": {"paid": 3}}
    header, other = trace_of(11)
    post(traced, function, {"amount": -1}, X_Amzn_Trace_Id=header)
    made = own(spans_of(collector, function, "## handler", "## app.pay", trace=other))
    assert made["## handler"].attributes["ColdStart"] is False
    handler, pay = made["## handler"], made["## app.pay"]
    [event] = pay.events
    assert (pay.error, handler.error) == ("refused", "fault") and event.attributes["exception.type"] == "RuntimeError"
    assert handler.attributes["aws.xray.cause"] == event.attributes["aws.xray.exception.id"]


NODE = """
const xray = require('aws-xray-sdk-core');
exports.handler = async () => {
  await xray.captureAsyncFunc('work', async (work) => {
    work.addAnnotation('tenant', 'blue');
    const part = work.addNewSubsegment('part');
    part.addError(new TypeError('no such item'));
    part.close();
    work.close();
  });
  return 'ok';
};
"""


def test_the_sdk_for_node_finds_it_too(collector, traced, deploy):
    modules = node_packages(os.environ["HEARTH_NODE_MODULES"], "aws-xray-sdk-core")
    function = deploy({"index.js": NODE, **modules}, Runtime=node_runtime(), Handler="index.handler")
    invoke(traced, function)

    def goes_on():
        # This SDK does not wait until a segment is sent: on a busy machine the environment freezes before the last one is.
        invoke(traced, function, trace=trace_of(12)[0])

    made = own(spans_of(collector, function, "work", "part", unless=goes_on))
    assert made["part"].parent == made["work"].id and made["work"].attributes["tenant"] == "blue"
    assert made["part"].error == "no such item" and made["part"].events[0].attributes["exception.type"] == "TypeError"


# What SDKs do, without one: `tell` sends a segment of this trace, which `members` may change.
BY_HAND = """
import json, os, socket, threading, time
HEADER = b'{"format": "json", "version": 1}\\n'
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
host, port = os.environ['AWS_XRAY_DAEMON_ADDRESS'].split(':')
def send(datagram):
    sock.sendto(datagram, (host, int(port)))
def context():
    parts = dict(part.split('=') for part in os.environ['_X_AMZN_TRACE_ID'].split(';'))
    return {'trace_id': parts['Root'], 'parent_id': parts['Parent']}
def tell(name, **members):
    now = time.time()
    segment = {'name': name, 'id': os.urandom(8).hex(), 'type': 'subsegment', 'start_time': now, 'end_time': now, **context(), **members}
    send(HEADER + json.dumps(segment).encode())
    return segment
"""


def test_what_is_not_sampled_leads_to_nothing(collector, traced, deploy):
    function = deploy(BY_HAND + "def handler(event, context):\n    tell(event['name'])\n")
    invoke(traced, function, {"name": "unwanted"}, f"{ROOT};Sampled=0")
    invoke(traced, function, {"name": "wanted"})
    made = own(spans_of(collector, function, "wanted"))
    assert set(made) == {"wanted"}
    quiet = deploy(sdk(SDK))
    invoke(traced, quiet, trace=f"{ROOT};Sampled=0")
    invoke(traced, function, {"name": "after"}, trace_of(1)[0])
    spans_of(collector, function, "after", trace=trace_of(1)[1])
    assert not [span for span in collector.spans() if span.resource["faas.name"] == quiet.name]


FORGER = BY_HAND + """
def handler(event, context):
    own = globals()['context']()
    for name, members in event['forged'].items():
        tell(name, **members)
    tell('function', id=own['parent_id'])
    tell('twice', id='00000000000000aa')
    tell('twice again', id='00000000000000aa')
    for junk in (b'', b'{}', HEADER, HEADER + b'[]', HEADER + b'{', b'\\xff' * 60000, HEADER + b'[' * 60000):
        send(junk)
    tell('genuine')
"""


def test_a_forged_one_gets_nowhere(collector, traced, deploy):
    victim = deploy(BY_HAND + "def handler(event, context):\n    tell('its own')\n")
    header, trace = trace_of(2)
    invoke(traced, victim, trace=header)
    before = spans_of(collector, victim, "its own", trace=trace)
    known = next(span.id for span in before if span.kind == 2)
    forger = deploy(FORGER)
    forged = {
        "another's": {"trace_id": f"1-{trace[:8]}-{trace[8:]}", "parent_id": known},
        "nobody's": {"trace_id": "1-00000000-000000000000000000000000"},
        "no trace": {"trace_id": 7},
        "no id": {"id": "0000000000000000"},
        "a short id": {"id": "abc"},
        "no time": {"start_time": -5},
        "never": {"start_time": 1e300},
    }
    refused = counted(traced)["refused"]
    invoke(traced, forger, {"forged": forged})
    spans = spans_of(collector, forger, "genuine")
    assert set(own(spans)) == {"twice", "genuine"}
    assert {span.id for span in collector.spans() if span.trace == trace} == {span.id for span in before}
    assert counted(traced)["refused"] == refused + len(forged) + 2 + 7


def test_a_flood_loses_its_own_and_all_of_it_is_counted(collector, traced, deploy):
    code = "def handler(event, context):\n    for number in range(event['count']):\n        tell(event['name'], pad='x' * event['bytes'])\n"
    flood, other = deploy(BY_HAND + code), deploy(BY_HAND + code)
    before = counted(traced)
    header, trace = trace_of(3)
    invoke(traced, flood, {"count": 20_000, "name": "flood", "bytes": 10}, header)
    invoke(traced, other, {"count": 1, "name": "other's", "bytes": 10}, header)
    invoke(traced, flood, {"count": 1, "name": "later", "bytes": 10}, trace_of(4)[0])
    assert "other's" in own(spans_of(collector, other, "other's", trace=trace))
    assert set(own(spans_of(collector, flood, "later", trace=trace_of(4)[1]))) == {"later"}
    taken = [span for span in spans_of(collector, flood, "flood", trace=trace) if span.scope == "aws.xray"]
    assert 0 < len(taken) <= 1000
    gained = {fate: count - before[fate] for fate, count in counted(traced).items()}
    assert gained == {"sent": len(taken) + 2, "dropped": 20_000 - len(taken), "failed": 0, "refused": 0}


def test_large_ones_are_bounded_by_their_bytes(collector, traced, deploy):
    function = deploy(BY_HAND + "def handler(event, context):\n    for number in range(20):\n        tell(f'large {number}', metadata={'n': {'pad': 'x' * 60_000}})\n        time.sleep(.02)\n")
    header, trace = trace_of(5)
    invoke(traced, function, trace=header)
    taken = own(spans_of(collector, function, "large 0", trace=trace))
    assert 0 < len(taken) <= 8 and all(len(span.attributes["aws.xray.metadata.n"]) > 60_000 for span in taken.values())


def test_one_that_is_told_of_early_counts_once_it_is_over(collector, traced, deploy):
    function = deploy(BY_HAND + """
def handler(event, context):
    now = time.time()
    tell('half', id='00000000000000ab', end_time=None, in_progress=True)
    tell('never over', id='00000000000000ac', end_time=None, in_progress=True)
    tell('whole', id='00000000000000ab', start_time=now, end_time=now + 5)
    tell('half again', id='00000000000000ab', end_time=None, in_progress=True)
""")
    header, trace = trace_of(6)
    invoke(traced, function, trace=header)
    made = own(spans_of(collector, function, "whole", trace=trace))
    assert set(made) == {"whole", "never over"}
    assert 4_999_000_000 < made["whole"].end - made["whole"].start < 5_001_000_000
    assert made["never over"].attributes["aws.xray.inprogress"] is True and "aws.xray.inprogress" not in made["whole"].attributes


def test_what_a_run_sent_that_was_ended_is_there(collector, traced, deploy):
    function = deploy(BY_HAND + "def handler(event, context):\n    tell('before the end')\n    time.sleep(60)\n", Timeout=2)
    header, trace = trace_of(7)
    post(traced, function, {}, X_Amzn_Trace_Id=header)
    spans = spans_of(collector, function, "before the end", trace=trace)
    assert by_name(spans, "Invocation").error == "Sandbox.Timedout"


def test_what_comes_after_the_answer_is_of_the_invoke_before(collector, alone):
    server = alone("--otlp", collector.url, "--freeze-after", "60000")
    deploy, _ = deployer(client_of(server))
    gate = Gates(server)()
    function = deploy(waiting(BY_HAND + """
def late(path, known):
    passed(path)
    tell('late', **known)
known = None
def handler(event, own):
    global known
    if 'path' in event:
        known = context()
        threading.Thread(target=late, args=(event['path'], known)).start()
    else:
        tell('later', **known)
        tell('now')
"""))
    (first, id), (second, other) = trace_of(8), trace_of(9)
    invoke(server, function, {"path": gate.path}, first)
    server.until_idle(function)
    gate.open()
    spans_of(collector, function, "late", trace=id)
    invoke(server, function, {}, second)
    assert set(own(spans_of(collector, function, "now", trace=other))) == {"now"}
    spans_of(collector, function, "late", "later", trace=id)
    invoke(server, function, {}, trace_of(10)[0])
    wait_until(lambda: counted(server)["refused"] == 1, 60, "what is two invokes old is taken")


@pytest.mark.parametrize("args", [["--workers", "2"], ["--network", "nat"], ["--start-python", "snapshot", "--isolation-at-least", "disk"]], ids=lambda args: args[0])
def test_it_is_there_however_environments_are_made(collector, args):
    with running("--otlp", collector.url, *args) as server:
        deploy, clean = deployer(client_of(server))
        function = deploy(sdk(SDK))
        invoke(server, function)
        made = own(spans_of(collector, function, "outer", "inner", "broken"))
        assert made["inner"].parent == made["outer"].id and made["outer"].attributes["tenant"] == "blue"
        wait_until(lambda: counted(server) == {"sent": 3, "dropped": 0, "failed": 0, "refused": 0}, 60, lambda: f"{counted(server)}")
        clean()


def test_a_function_that_crashed_and_one_from_a_snapshot_find_it_as_well(collector, traced, deploy):
    code = BY_HAND + "def handler(event, context):\n    if event.get('crash'):\n        tell('last words')\n        os._exit(1)\n    tell('alive')\n"
    function = deploy(code, Runtime=SNAP_START, SnapStart={"ApplyOn": "PublishedVersions"})
    (first, id), (second, other), (third, restored) = trace_of(12), trace_of(13), trace_of(14)
    post(traced, function, {"crash": True}, X_Amzn_Trace_Id=first)
    spans_of(collector, function, "last words", trace=id)
    invoke(traced, function, {}, second)
    spans_of(collector, function, "alive", trace=other)
    function.client.publish_version(FunctionName=function.name)
    assert until_settled(function.client, function.name)["State"] == "Active"
    path = f"/2015-03-31/functions/{function.name}/invocations?Qualifier=1"
    assert raw.request(traced, "POST", path, b"{}", [("X-Amzn-Trace-Id", third)]).status == 200
    spans = spans_of(collector, function, "alive", trace=restored)
    assert {span.resource["faas.version"] for span in spans} == {"1"}


def test_without_a_collector_nobody_listens(server, deploy_plainly):
    code = BY_HAND + "def handler(event, _):\n    sock.connect((host, int(port)))\n    sock.send(b'x')\n    try:\n        sock.send(b'x')\n    except ConnectionRefusedError:\n        return 'nobody'\n"
    assert deploy_plainly(code).call({}) == "nobody"


@pytest.fixture
def deploy_plainly(client):
    deploy, clean = deployer(client)
    yield deploy
    clean()
