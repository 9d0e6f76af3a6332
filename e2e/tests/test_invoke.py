"""The Invoke operation."""

import base64
import json
import re

import pytest
from botocore.exceptions import ClientError

from support import raw

ECHO = """
def handler(event, context):
    print("line of", context.aws_request_id)
    return event
"""
CONTEXT = """
def handler(event, context):
    c = context.client_context
    return {
        "arn": context.invoked_function_arn, "name": context.function_name, "version": context.function_version,
        "memory": context.memory_limit_in_mb, "group": context.log_group_name, "stream": context.log_stream_name,
        "id": context.aws_request_id, "left": context.get_remaining_time_in_millis(),
        "client": c and {"custom": c.custom, "env": c.env, "title": c.client and c.client.app_title},
    }
"""


@pytest.fixture(scope="module")
def echo(deploy_once):
    return deploy_once(ECHO)


@pytest.fixture(scope="module")
def context(deploy_once):
    return deploy_once(CONTEXT, Timeout=20)


def post(server, function, body, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return raw.request(server, "POST", f"/2015-03-31/functions/{function.name}/invocations", body, headers.items())


@pytest.mark.parametrize("event", [{}, [], "text", 0, -1.5, None, True, {"ä": "\u20ac \U0001f600", "n": [1, [2, {"x": None}]]}, {"__proto__": 1}])
def test_events_arrive_and_return_whole(echo, event):
    assert echo.call(event) == event


def test_the_answer_has_its_headers(server, echo):
    answer = post(server, echo, b'{"a":1}')
    assert answer.status == 200 and json.loads(answer.body) == {"a": 1}
    assert answer.headers["x-amz-executed-version"] == "$LATEST"
    assert answer.headers["content-type"] == "application/json"
    assert "x-amz-function-error" not in answer.headers and "x-amz-log-result" not in answer.headers
    assert re.match(r"(?i)root=1-[0-9a-f]{8}-[0-9a-f]{24}", answer.headers["x-amzn-trace-id"])


def test_no_payload_is_an_empty_object(server, echo):
    assert post(server, echo, b"").json == {}


def test_deep_events_pass_untouched(server, deploy):
    # Python's own parser gives up at this depth: the package answers without parsing.
    function = deploy({"app.py": "def handler(event, context):\n    return 'ok'\n"})
    answer = post(server, function, b"[" * 200 + b"]" * 200)
    assert answer.status == 200 and answer.json == "ok"


def test_a_payload_may_have_six_mebibytes(server, echo):
    event = "x" * (6 * 1024 * 1024 - 2)
    body = json.dumps(event).encode()
    assert len(body) == 6 * 1024 * 1024
    assert post(server, echo, body).json == event
    answer = post(server, echo, json.dumps(event + "y").encode())
    assert (answer.status, answer.error) == (413, "RequestTooLargeException"), answer


def test_a_response_may_have_six_mebibytes_and_a_hundred_bytes(deploy):
    function = deploy("def handler(event, context):\n    return 'x' * (event - 2)\n")
    limit = 6 * 1024 * 1024 + 100
    assert len(function.invoke(limit)["payload"]) == limit
    error = function.error(limit + 1)
    assert error == {
        "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
        "errorType": "Function.ResponseSizeTooLarge",
    }
    assert function.call(2) == ""


@pytest.mark.parametrize("body", [b"{", b"abc", b"'a'", b'{"a":1}x', b"\xef\xbb\xbf{}", b'{"a":"\x87"}', b"[1,]", b"01", b'"\x01"', b'{"a" 1}', b"nul"])
def test_what_is_not_json_is_refused(server, echo, body):
    answer = post(server, echo, body)
    assert (answer.status, answer.error) == (400, "InvalidRequestContentException"), answer
    assert answer.json["Type"] == "User"
    assert answer.message.startswith("Could not parse request body into json: Could not parse payload into json: ")


def test_context(context):
    answer = context.invoke()
    seen = json.loads(answer["payload"])
    name = context.name
    assert seen["arn"] == f"arn:aws:lambda:us-east-1:000000000000:function:{name}"
    assert (seen["name"], seen["version"], seen["memory"]) == (name, "$LATEST", "1769")
    assert seen["group"] == f"/aws/lambda/{name}"
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", seen["stream"])
    assert seen["id"] == answer["ResponseMetadata"]["RequestId"]
    assert 0 < seen["left"] <= 20_000
    assert seen["client"] is None


def test_the_arn_is_the_one_that_was_asked_for(context):
    answer = context.call(Qualifier="$LATEST")
    assert answer["arn"] == f"arn:aws:lambda:us-east-1:000000000000:function:{context.name}:$LATEST"


def test_client_context(context):
    text = json.dumps({"custom": {"k": "v"}, "env": {"locale": "de"}, "client": {"app_title": "t"}})
    seen = context.call(ClientContext=base64.b64encode(text.encode()).decode())
    assert seen["client"] == {"custom": {"k": "v"}, "env": {"locale": "de"}, "title": "t"}


def test_a_bad_client_context_is_refused(server, context):
    for value in ("%%%", base64.b64encode(b"{").decode(), "A" * 3584):
        answer = post(server, context, b"{}", X_Amz_Client_Context=value)
        assert answer.status == 400, (value[:20], answer)


def test_the_log_tail_comes_on_request(echo):
    answer = echo.invoke({"a": 1}, LogType="Tail")
    request = answer["ResponseMetadata"]["RequestId"]
    lines = base64.b64decode(answer["LogResult"]).decode().splitlines()
    start = lines.index(f"START RequestId: {request} Version: $LATEST")
    assert lines[start + 1 : start + 3] == [f"line of {request}", f"END RequestId: {request}"]
    assert lines[start + 3].startswith(f"REPORT RequestId: {request}\tDuration: ")
    assert "LogResult" not in echo.invoke()


def test_dry_run_runs_nothing(server, client, echo):
    answer = echo.invoke({"dry": True}, InvocationType="DryRun", LogType="Tail")
    assert answer["StatusCode"] == 204 and answer["payload"] == b""
    with pytest.raises(ClientError) as caught:
        client.invoke(FunctionName="nowhere", InvocationType="DryRun")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_unknown_invocation_types_are_refused(server, echo):
    answer = post(server, echo, b"{}", X_Amz_Invocation_Type="Later")
    assert (answer.status, answer.error) == (400, "ValidationException")
    assert answer.message == (
        "1 validation error detected: Value 'Later' at 'invocationType' failed to satisfy constraint: "
        "Member must satisfy enum value set: [RequestResponse, Event, DryRun]"
    ) or re.fullmatch(
        r"1 validation error detected: Value 'Later' at 'invocationType' failed to satisfy constraint: "
        r"Member must satisfy enum value set: \[(Event|RequestResponse|DryRun)(, (Event|RequestResponse|DryRun)){2}\]",
        answer.message,
    )


def test_a_trace_id_of_the_caller_reaches_the_function(server, deploy):
    function = deploy("import os\ndef handler(event, context):\n    return os.environ.get('_X_AMZN_TRACE_ID')\n")
    given = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    assert post(server, function, b"{}", X_Amzn_Trace_Id=given).json.startswith("Root=1-5759e988-bd862e3fe1be46a994272793;")
    made = post(server, function, b"{}").json
    assert re.match(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=[01]", made)
    for bad in ("x" * 3000, "Root=nothing", "<script>"):
        answer = post(server, function, b"{}", X_Amzn_Trace_Id=bad)
        assert answer.status == 200 and re.match(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24}", answer.json), answer


def test_a_caller_that_leaves_does_not_block_the_next(server, deploy):
    function = deploy("import time\ndef handler(event, context):\n    time.sleep(event.get('sleep', 0))\n    return 'done'\n")
    sock = raw.connect(server)
    body = b'{"sleep": 1}'
    head = f"POST /2015-03-31/functions/{function.name}/invocations HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: {len(body)}\r\n\r\n"
    sock.sendall(head.encode() + body)
    sock.close()
    assert function.call() == "done"


def test_other_methods_and_paths_are_unknown(server):
    for method, path in [("PATCH", "/2015-03-31/functions"), ("GET", "/2099-01-01/functions"), ("GET", "/"), ("GET", "/2015-03-31/functions/a/b/c")]:
        answer = raw.request(server, method, path)
        assert answer.status in (404, 405) and answer.error == "UnknownOperationException", answer
