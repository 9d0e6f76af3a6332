"""InvokeWithResponseStream: the frames as boto3 reads them, and the errors that come before the first one."""

import base64
import json

import pytest
from botocore.exceptions import ClientError

from support import raw

CODE = """
def handler(event, context):
    print("a line")
    if event == "fail":
        raise ValueError("asked to")
    return event
"""


@pytest.fixture(scope="module")
def function(deploy_once):
    return deploy_once(CODE)


def stream(client, function, event, **args):
    answer = client.invoke_with_response_stream(FunctionName=function.name, Payload=json.dumps(event), **args)
    assert answer["StatusCode"] == 200 and answer["ExecutedVersion"] == args.get("Qualifier", "$LATEST")
    assert answer["ResponseStreamContentType"] == "application/vnd.amazon.eventstream"
    *chunks, end = answer["EventStream"]
    return b"".join(chunk["PayloadChunk"]["Payload"] for chunk in chunks), end["InvokeComplete"]


@pytest.mark.parametrize("event", [{"ä": "\U0001f600"}, "", list(range(100_000))])
def test_a_whole_answer_comes_as_pieces_and_an_end(client, function, event):
    payload, end = stream(client, function, event)
    assert json.loads(payload) == event and end == {}


def test_the_end_of_the_log_comes_last(client, function):
    _, end = stream(client, function, 1, LogType="Tail")
    log = base64.b64decode(end["LogResult"]).decode()
    assert "\na line\n" in log and "\nREPORT RequestId: " in log


def test_an_error_comes_as_the_end(client, function):
    payload, end = stream(client, function, "fail")
    assert payload == b"" and end["ErrorCode"] == "ValueError"
    details = json.loads(end["ErrorDetails"])
    assert details["errorMessage"] == "asked to" and details["stackTrace"]


def test_versions_are_streamed_too(client, function):
    version = client.publish_version(FunctionName=function.name)["Version"]
    assert stream(client, function, 5, Qualifier=version) == (b"5", {})


def test_a_dry_run_runs_nothing(server, function):
    path = f"/2021-11-15/functions/{function.name}/response-streaming-invocations"
    answer = raw.request(server, "POST", path, b"", [("X-Amz-Invocation-Type", "DryRun")])
    assert (answer.status, answer.body) == (204, b"")


@pytest.mark.parametrize("args, code", [
    ({"FunctionName": "nowhere"}, "ResourceNotFoundException"),
    ({"Payload": b"{"}, "InvalidRequestContentException"),
    ({"Payload": b" " * 6_300_000}, "RequestTooLargeException"),
    ({"TenantId": "tenant"}, "InvalidParameterValueException"),
])
def test_what_is_refused_is_no_stream(client, function, args, code):
    with pytest.raises(ClientError) as caught:
        client.invoke_with_response_stream(**{"FunctionName": function.name, **args})
    assert caught.value.response["Error"]["Code"] == code


def test_events_cannot_be_streamed(server, function):
    path = f"/2021-11-15/functions/{function.name}/response-streaming-invocations"
    answer = raw.request(server, "POST", path, b"{}", [("X-Amz-Invocation-Type", "Event")])
    assert answer.status == 400 and "RequestResponse" in answer.message, answer
