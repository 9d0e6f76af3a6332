"""Answers that are streamed: what a function sends reaches its client while it still runs. Functions wait for a gate, an
object that the test puts into a bucket, before they go on: nothing here depends on time."""

import base64
import json
import os
import re
import signal
import socket
import struct
import time
from contextlib import suppress
from pathlib import Path

import pytest
from urllib3.exceptions import ProtocolError

from conftest import client_of, deployer
from support.clients import service_of
from support.gates import PASSED, SIGV4
from support.server import HANGS_S, running, wait_until
from test_node import node_runtime
from test_provided import CLIENT

MB = 1024 * 1024
PRELUDE = "application/vnd.awslambda.http-integration-response"


# What functions here have: `passed(path)` waits for a gate, signed with the function's own credentials.
NODE = """
import { createHash, createHmac } from 'node:crypto';
const { AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = process.env;
const sha = (text) => createHash('sha256').update(text).digest('hex');
const mac = (key, text) => createHmac('sha256', key).update(text).digest();
const get = (path) => {
  const date = new Date().toISOString().replace(/[-:]|\\.\\d+/g, '');
  const scope = [date.slice(0, 8), AWS_REGION, 's3', 'aws4_request'];
  const signed = { 'x-amz-content-sha256': sha(''), 'x-amz-date': date, 'x-amz-security-token': AWS_SESSION_TOKEN };
  const all = Object.entries({ host: new URL(AWS_ENDPOINT_URL).host, ...signed });
  const names = all.map(([name]) => name).join(';');
  const canonical = ['GET', path, '', ...all.map(([name, value]) => `${name}:${value}`), '', names, sha('')].join('\\n');
  const text = ['AWS4-HMAC-SHA256', date, scope.join('/'), sha(canonical)].join('\\n');
  const signature = mac(scope.reduce(mac, `AWS4${AWS_SECRET_ACCESS_KEY}`), text).toString('hex');
  const authorization = `AWS4-HMAC-SHA256 Credential=${AWS_ACCESS_KEY_ID}/${scope.join('/')}, SignedHeaders=${names}, Signature=${signature}`;
  return fetch(AWS_ENDPOINT_URL + path, { headers: { ...signed, authorization } });
};
const passed = async (path) => {
  for (;;) {
    const { status } = await get(path);
    if (status === 200) return;
    if (status !== 404) throw new Error(`the gate answers ${status}`);
    await new Promise((r) => setTimeout(r, 10));
  }
};
const stream = awslambda.streamifyResponse;
"""
PYTHON = CLIENT + PASSED + """
import base64

class Answer:
    def __init__(self, id, headers={}):
        host, port = API.split(':')
        self.c = http.client.HTTPConnection(host, int(port))
        self.c.putrequest('POST', f'{BASE}/invocation/{id}/response')
        for name, value in {'Transfer-Encoding': 'chunked', 'Lambda-Runtime-Function-Response-Mode': 'streaming',
                            'Trailer': 'Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body', **headers}.items():
            self.c.putheader(name, value)
        self.c.endheaders()
    def send(self, data):
        self.c.send(b'%x\\r\\n%s\\r\\n' % (len(data), data))
    def end(self, trailers=''):
        self.c.send(f'0\\r\\n{trailers}\\r\\n'.encode())
        r = self.c.getresponse()
        return [r.status, json.loads(r.read())]
"""


@pytest.fixture
def node(deploy):
    return lambda code, **args: deploy({"index.mjs": NODE + code}, **{"Runtime": node_runtime(), "Handler": "index.handler", **args})


@pytest.fixture
def python(deploy):
    return lambda code, **args: deploy({"app.py": PYTHON + code, "sigv4.py": SIGV4}, **args)


class Stream:
    """An answer as boto3 reads it, event by event."""

    def __init__(self, client, function, event, **args):
        self.answer = client.invoke_with_response_stream(FunctionName=function.name, Payload=json.dumps(event), **args)
        self.events = iter(self.answer["EventStream"])

    def read(self, length):
        data = b""
        while len(data) < length:
            data += next(self.events)["PayloadChunk"]["Payload"]
        return data

    def rest(self):
        *parts, end = self.events
        return b"".join(part["PayloadChunk"]["Payload"] for part in parts), end["InvokeComplete"]


def outcome(client, function, event, **args):
    return Stream(client, function, event, **args).rest()


def failed(end):
    return end["ErrorCode"], json.loads(end["ErrorDetails"])["errorMessage"]


def test_the_first_part_comes_while_a_node_function_runs(client, node, gate):
    function = node("export const handler = stream(async (event, out) => { out.write('one'); await passed(event); out.end('two'); });")
    first = gate()
    stream = Stream(client, function, first.path)
    assert stream.read(3) == b"one"
    assert stream.answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-remapped-content-type"] == "application/octet-stream"
    first.open()
    assert stream.rest() == (b"two", {})


def test_the_same_of_a_runtime_that_speaks_http_itself(client, python, gate):
    code = """
def handler(event, context):
    answer = Answer(context.aws_request_id, {'Content-Type': 'text/plain'})
    for gate in event:
        answer.send(b'part'); passed(gate)
    print(answer.end())
"""
    function, gates = python(code), [gate(), gate(), gate()]
    stream = Stream(client, function, [one.path for one in gates], LogType="Tail")
    assert stream.answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-remapped-content-type"] == "text/plain"
    for one in gates:
        assert stream.read(4) == b"part"
        one.open()
    data, end = stream.rest()
    log = base64.b64decode(end["LogResult"]).decode()
    assert data == b"" and "[202, {'status': 'OK'}]" in log and "REPORT RequestId" in log


def test_a_shell_streams_with_curl(client, deploy, gate):
    bootstrap = """#!/bin/sh
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
while true; do
  curl -sS -D /tmp/headers "$api/next" -o /tmp/event
  id=$(grep -i '^lambda-runtime-aws-request-id' /tmp/headers | tr -d '\\r' | cut -d' ' -f2)
  gate="$AWS_ENDPOINT_URL$(tr -d '"' < /tmp/event)"
  signed="-u $AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY --aws-sigv4 aws:amz:$AWS_REGION:s3 -H x-amz-content-sha256:UNSIGNED-PAYLOAD"
  { echo one; until curl -sf -o /tmp/gate $signed -H "x-amz-security-token: $AWS_SESSION_TOKEN" "$gate"; do :; done; echo two; } |
    curl -sS -N -X POST -T - -H 'Lambda-Runtime-Function-Response-Mode: streaming' -H 'Content-Type: text/plain' "$api/$id/response" -o /tmp/taken
done
"""
    function = deploy({"bootstrap": (bootstrap.encode(), 0o755)}, Runtime="provided.al2023", Handler="any")
    one = gate()
    stream = Stream(client, function, one.path)
    assert stream.read(4) == b"one\n"
    one.open()
    assert stream.rest() == (b"two\n", {})


def test_the_official_crate_streams(client, deploy):
    if "BOOTSTRAP" not in os.environ:
        pytest.skip("BOOTSTRAP names no built example")
    binary = Path(os.environ["BOOTSTRAP"]).with_name("stream").read_bytes()
    function = deploy({"bootstrap": (binary, 0o755)}, Runtime="provided.al2023", Handler="any")
    stream = Stream(client, function, {"text": "one two three"})
    assert stream.answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-remapped-content-type"] == PRELUDE
    payload, end = stream.rest()
    head, body = payload.split(b"\0" * 8)
    assert json.loads(head)["statusCode"] == 200 and (body, end) == (b"one two three", {})
    payload, end = outcome(client, function, {})
    assert payload == b"" and failed(end)[1] == "no text to stream"


def test_whoever_wants_it_whole_gets_it_whole(client, node):
    function = node("""
export const handler = stream(async (event, out) => {
  for (let i = 0; i < event; i++) out.write('x'.repeat(1 << 20));
  if (event === 2) throw new RangeError('no'); out.end(); });""")
    assert function.invoke(1)["payload"] == b"x" * MB
    assert function.error(2)["errorType"] == "RangeError"
    error = function.error(7)
    assert error["errorType"] == "Function.ResponseSizeTooLarge" and "(6291556 bytes)" in error["errorMessage"]
    assert function.invoke(1)["payload"] == b"x" * MB, "and goes on"


def test_metadata_comes_ahead_of_the_body(client, node):
    function = node("""
export const handler = stream(async (event, out) => {
  out = awslambda.HttpResponseStream.from(out, { statusCode: 418, headers: { a: 'b' }, cookies: ['c=d'] });
  out.write('tea'); out.end(); });""")
    stream = Stream(client, function, {})
    assert stream.answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-remapped-content-type"] == PRELUDE
    payload, end = stream.rest()
    metadata, body = payload.split(b"\0" * 8)
    assert json.loads(metadata) == {"statusCode": 418, "headers": {"a": "b"}, "cookies": ["c=d"]}
    assert (body, end) == (b"tea", {})


def test_errors_come_at_the_end(client, node, python):
    function = node("export const handler = stream(async (event, out) => { if (event) out.write('some'); throw new RangeError('no'); });")
    for first in (True, False):
        payload, end = outcome(client, function, first)
        assert (payload, failed(end)) == (b"some" if first else b"", ("RangeError", "no"))
    function = python("""
def handler(event, context):
    answer = Answer(context.aws_request_id); answer.send(b'some')
    body = base64.b64encode(json.dumps({'errorType': 'Late', 'errorMessage': 'told'}).encode()).decode()
    answer.end('Lambda-Runtime-Function-Error-Type: Function.Late\\r\\n' + (f'Lambda-Runtime-Function-Error-Body: {body}\\r\\n' if event else ''))
""")
    assert outcome(client, function, True) == (b"some", {"ErrorCode": "Late", "ErrorDetails": '{"errorType": "Late", "errorMessage": "told"}'})
    payload, end = outcome(client, function, False)
    assert (payload, failed(end)) == (b"some", ("Function.Late", ""))


def test_time_crashes_and_truncation_break_an_answer_off(client, python, gate):
    code = """
import os, socket
def handler(event, context):
    answer = Answer(context.aws_request_id); answer.send(b'some')
    if event[1]: passed(event[1]) # The client has some of it.
    event = event[0]
    if event == 'exit': os._exit(3)
    if event == 'cut': answer.c.sock.shutdown(socket.SHUT_WR); return
    while True: time.sleep(60)
"""
    payload, end = outcome(client, python(code, Timeout=6), ("wait", None))
    assert (payload, end["ErrorCode"]) == (b"some", "Sandbox.Timedout") and "Task timed out after 6.00 seconds" in end["ErrorDetails"]
    function = python(code)
    for event, logged in (("exit", "Error Type: Runtime.ExitError"), ("cut", "REPORT")):
        one = gate()
        stream = Stream(client, function, (event, one.path), LogType="Tail")
        assert stream.read(4) == b"some"
        one.open()
        payload, end = stream.rest()
        assert (payload, end["ErrorCode"]) == (b"", "Runtime.TruncatedResponse"), event
        assert logged in base64.b64decode(end["LogResult"]).decode()


def test_one_answer_at_a_time(client, python, gate):
    function = python("""
def handler(event, context):
    answer = Answer(context.aws_request_id); answer.send(b'some'); passed(event)
    again = call('POST', f'/invocation/{context.aws_request_id}/response', '1')
    error = call('POST', f'/invocation/{context.aws_request_id}/error', '1')
    next = call('GET', '/invocation/next')
    answer.send(json.dumps([json.loads(body) for _, _, body in (again, error, next)] + [status for status, _, _ in (again, error, next)]).encode())
    answer.end()
""")
    one = gate()
    stream = Stream(client, function, one.path)
    assert stream.read(4) == b"some"
    one.open()
    payload, end = stream.rest()
    *told, a, b, c = json.loads(payload)
    text = "State transition from RuntimeInvocationResponse to %s failed for runtime. Error: State transition is not allowed"
    assert [one["errorMessage"] for one in told] == [text % to for to in ("RuntimeInvocationResponse", "RuntimeInvocationErrorResponse", "RuntimeReady")]
    assert (a, b, c, end) == (403, 403, 403, {})


def invoke_raw(server, function, event):
    """A connection that has asked for a stream and read nothing of it yet; the kernel holds little of it for us."""
    path = f"/2021-11-15/functions/{function.name}/response-streaming-invocations"
    body = json.dumps(event).encode()
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    connection.connect(("127.0.0.1", server.port))
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)
    return connection


def test_a_client_that_goes_away_does_not_stop_the_function(server, client, node, gate):
    function = node("""
export const handler = stream(async (event, out) => {
  out.write('one'); await passed(event);
  for (let i = 0; i < 64; i++) if (!out.write('x'.repeat(1 << 18))) await new Promise((r) => out.once('drain', r));
  console.log('through with it'); out.end(); });""")
    one = gate()
    connection = invoke_raw(server, function, one.path)
    assert connection.recv(10).startswith(b"HTTP/1.1 2")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    one.open()
    # More than a client takes at once, or what Lambda's pace allows: there is nobody left to wait for.
    wait_until(lambda: "through with it" in logged(server, function), HANGS_S, "the function did not go on")


def logged(server, function):
    logs = service_of(server, "logs")
    try:
        events = logs.filter_log_events(logGroupName=f"/aws/lambda/{function.name}")["events"]
    except logs.exceptions.ResourceNotFoundException:
        return ""
    return "".join(event["message"] for event in events)


def test_figures_in_the_log(server, client, node, gate):
    function = node(
        "export const handler = stream(async (event, out) => { out.write('x'.repeat(1000)); await passed(event); out.end('y'); });",
        LoggingConfig={"LogFormat": "JSON", "SystemLogLevel": "DEBUG"},
    )
    one = gate()
    stream = Stream(client, function, one.path)
    stream.read(1000)
    one.open()
    assert stream.rest() == (b"y", {})
    wait_until(lambda: "platform.report" in logged(server, function), HANGS_S, "no report")
    logs = service_of(server, "logs")
    events = [json.loads(event["message"]) for event in logs.filter_log_events(logGroupName=f"/aws/lambda/{function.name}")["events"]]
    done = next(event["record"] for event in events if event["type"] == "platform.runtimeDone")
    assert done["metrics"]["producedBytes"] == 1001
    spans = {span["name"]: span["durationMs"] for span in done["spans"]}
    assert set(spans) == {"responseLatency", "responseDuration", "runtimeOverhead"} and spans["responseDuration"] > 0
    assert abs(sum(spans.values()) - done["metrics"]["durationMs"]) < 0.05


@pytest.fixture(scope="module")
def fast():
    """A server that lets streams go as fast as they are taken, and a function that sends so many MB."""
    with running("--stream-bandwidth", "0") as server:
        client = client_of(server)
        deploy, clean = deployer(client)
        code = """
export const handler = stream(async (event, out) => {
  const piece = Buffer.alloc(1 << 20, 'x');
  for (let i = 0; i < event.mb; i++) if (!out.write(piece)) await new Promise((r) => out.once('drain', r));
  out.end('y'.repeat(event.more)); });"""
        function = deploy({"index.mjs": NODE + code}, Runtime=node_runtime(), Handler="index.handler", Timeout=60)
        yield client, function, server
        clean()


def test_200_mb_are_the_most(fast):
    client, function, server = fast
    before = resident(server)
    size, end = 0, None
    for event in Stream(client, function, {"mb": 200, "more": 0}).events:
        size += len(event.get("PayloadChunk", {}).get("Payload", b""))
        end = event.get("InvokeComplete", end)
    assert (size, end) == (200 * MB, {})
    assert resident(server) - before < 64 * MB, "nothing of it is kept"
    payload, end = outcome(client, function, {"mb": 200, "more": 1})
    assert len(payload) == 200 * MB and failed(end) == (
        "Function.ResponseSizeTooLarge", "Response payload size exceeded maximum allowed payload size (209715200 bytes).")
    assert outcome(client, function, {"mb": 0, "more": 1}) == (b"y", {}), "and goes on"


def test_a_client_that_does_not_read_slows_the_function(fast):
    """160 MB, and no pace: nothing but the client holds the function up, which runs out of time while it waits.

    All buffers on the way together have less than half of it: the kernel's, of which the one that is read from may have
    grown to 32 MB, and our own."""
    client, _, server = fast
    deploy, clean = deployer(client)
    function = deploy({"index.mjs": NODE + """
export const handler = stream(async (event, out) => {
  const piece = Buffer.alloc(1 << 18, 'x');
  for (let i = 1; i <= 640; i++) { if (!out.write(piece)) await new Promise((r) => out.once('drain', r)); console.log(`sent ${i}`); }
  out.end(); });"""}, Runtime=node_runtime(), Handler="index.handler", Timeout=6)
    connection = invoke_raw(server, function, {})
    assert connection.recv(10).startswith(b"HTTP/1.1 2"), "it has begun to send"
    wait_until(lambda: "Task timed out" in logged(server, function), HANGS_S, "no end of time")
    sent = [int(n) for n in re.findall(r"sent (\d+)", logged(server, function))]
    assert max(sent, default=0) < 320, "some buffers of sockets, not all"
    connection.close()
    clean()


def resident(server):
    """Bytes of memory that the server has now."""
    with open(f"/proc/{server.pid}/statm") as file:
        return int(file.read().split()[1]) * 4096


def test_beyond_6_mb_there_is_a_pace(client, node):
    """A bound from below, which no load on the machine can break: 10 MB take 6 MB at once and 2 s for the rest.

    The second run is measured: no cold start is in it."""
    function = node("""
export const handler = stream(async (event, out) => {
  for (let i = 0; i < event; i++) if (!out.write(Buffer.alloc(1 << 20, 'x'))) await new Promise((r) => out.once('drain', r));
  out.end(); });""")
    assert outcome(client, function, 0) == (b"", {})
    begin = time.monotonic()
    payload, end = outcome(client, function, 10)
    assert end == {} and len(payload) == 10 * MB
    assert time.monotonic() - begin > 1.8


def test_any_bytes_and_none(client, node, python):
    function = node("export const handler = stream(async (event, out) => { out.write(Buffer.from([0, 255, 128])); out.end(); });")
    assert outcome(client, function, {}) == (b"\0\xff\x80", {})
    assert function.invoke()["payload"] == b"\0\xff\x80"
    function = node("export const handler = stream(async (event, out) => { out.end(); });")
    assert outcome(client, function, {}) == (b"", {})
    assert function.invoke()["payload"] == b""
    # A stream whose length is known ahead is one, too; and an answer without the mode is not.
    function = python("""
def handler(event, context):
    call('POST', f'/invocation/{context.aws_request_id}/response', b'known', {'Lambda-Runtime-Function-Response-Mode': 'streaming'} if event else {})
""")
    for streamed, kind in ((True, "application/octet-stream"), (False, "application/json")):
        stream = Stream(client, function, streamed)
        assert stream.answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-remapped-content-type"] == kind
        assert stream.rest() == (b"known", {})


def test_6_mb_and_100_bytes_are_the_most_in_one_piece(client, python):
    function = python("""
def handler(event, context):
    told = call('POST', f'/invocation/{context.aws_request_id}/response', b'x' * event)
    print(told[0], told[2])
""")
    most = 6 * MB + 100
    payload, end = outcome(client, function, most)
    assert (len(payload), end) == (most, {})
    payload, end = outcome(client, function, most + 1, LogType="Tail")
    text = "Response payload size exceeded maximum allowed payload size (6291556 bytes)."
    assert payload == b"" and failed(end) == ("Function.ResponseSizeTooLarge", text)
    log = base64.b64decode(end["LogResult"]).decode()
    assert '413 {"errorMessage":"Exceeded maximum allowed payload size (6291556 bytes).","errorType":"RequestEntityTooLarge"}' in log


def test_a_server_that_stops_lets_a_stream_end(alone):
    """SIGTERM lets the function send all it has; the server ends after it. A second one breaks the connection off."""
    for signals in (1, 2):
        server = alone()
        client = client_of(server)
        deploy, _ = deployer(client)
        code = NODE + "export const handler = stream(async (event, out) => { out.write('one'); process.stdout.write('begun\\n'); await new Promise((r) => setTimeout(r, event)); out.end('two'); });"
        function = deploy({"index.mjs": code}, Runtime=node_runtime(), Handler="index.handler", Timeout=60)
        stream = Stream(client, function, 1000 if signals == 1 else 50_000)
        assert stream.read(3) == b"one"
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "draining" in server.log_text(), HANGS_S, "it does not stop")
        if signals == 1:
            assert stream.rest() == (b"two", {})
        else:
            server.process.send_signal(signal.SIGTERM)
            # Never as if it were whole.
            with suppress(ProtocolError):
                assert stream.rest()[1]["ErrorCode"] in ("Runtime.TruncatedResponse", "ServiceException")
        assert server.process.wait(60) == 0
