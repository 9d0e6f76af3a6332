"""Asynchronous invokes: kept, run, tried again, ended."""

import json

import pytest
from botocore.exceptions import ClientError

from conftest import client_of, deployer, deploys_on
from support import raw
from support.events import SAY, heard, said, send
from support.server import wait_until

deploy = deploys_on("quick")


def configure(function, **settings):
    function.client.put_function_event_invoke_config(FunctionName=function.name, **settings)


def until_quiet(server, function, marker):
    """Whatever was due before this event has begun by the time it has run."""
    configure(function, MaximumRetryAttempts=0)
    send(function, {"marker": marker})
    wait_until(lambda: any(run["event"] == {"marker": marker} for run in said(server, function)), 60, "no marker")


def test_an_event_runs_once_as_it_was_sent(quick, deploy):
    function = deploy(SAY)
    event = {"text": "ä\u0000\n", "deep": [[{}]], "number": 1.0}
    ids = [send(function, event), send(function, event, Qualifier="$LATEST")]
    runs = heard(quick, function, 2)
    assert sorted(run["id"] for run in runs) == sorted(ids)
    assert all(run["event"] == event for run in runs)
    assert {run["arn"].rsplit(":", 1)[1] for run in runs} == {function.name, "$LATEST"}


def test_every_kind_of_json_is_an_event(quick, deploy):
    function = deploy(SAY)
    for event in (None, 7, "text", [1]):
        send(function, event)
    function.client.invoke(FunctionName=function.name, InvocationType="Event")
    runs = heard(quick, function, 5)
    assert sorted(json.dumps(run["event"]) for run in runs) == ['"text"', "7", "[1]", "null", "{}"]


def test_an_error_is_tried_twice_more_with_the_same_id(quick, deploy):
    function = deploy(SAY)
    sent = send(function, {"fail": "always"})
    runs = heard(quick, function, 3)
    assert [run["id"] for run in runs] == [sent] * 3
    waits = [after["began"] - before["ended"] for before, after in zip(runs, runs[1:])]
    assert waits[0] >= 0.12 and waits[1] >= 0.24, waits
    until_quiet(quick, function, "end")
    assert len(said(quick, function)) == 4


@pytest.mark.parametrize("retries", [0, 1])
def test_the_number_of_retries_is_that_of_exactly_the_qualifier(quick, deploy, retries):
    function = deploy(SAY)
    version = function.client.publish_version(FunctionName=function.name)["Version"]
    function.client.create_alias(FunctionName=function.name, Name="live", FunctionVersion=version)
    configure(function, Qualifier="live", MaximumRetryAttempts=retries)
    configure(function, MaximumRetryAttempts=1 - retries)
    send(function, {"fail": "alias"}, Qualifier="live")
    send(function, {"fail": "latest"})
    heard(quick, function, 3)
    until_quiet(quick, function, "end")
    runs = [(run["event"].get("fail"), run["version"]) for run in said(quick, function)[:-1]]
    assert sorted(runs) == sorted([("alias", version)] * (1 + retries) + [("latest", "$LATEST")] * (2 - retries))


def test_with_one_reserved_environment_events_run_one_after_another(quick, deploy):
    function = deploy(SAY)
    function.client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=1)
    for n in range(6):
        send(function, {"n": n, "sleep": 0.1})
    runs = sorted(heard(quick, function, 6), key=lambda run: run["began"])
    assert sorted(run["event"]["n"] for run in runs) == list(range(6))
    assert all(before["ended"] <= after["began"] for before, after in zip(runs, runs[1:]))


def test_events_wait_while_a_caller_has_the_only_place(quick, deploy):
    function = deploy(SAY)
    function.client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=1)
    send(function, {"sleep": 0.5})
    refused = []

    def invoke():
        try:
            function.invoke({"sleep": 0.01})
        except ClientError as error:
            refused.append(error.response["Reason"])
        return refused

    # The event takes the place at some moment.
    wait_until(invoke, 60, "it never does")
    assert refused == ["ReservedFunctionConcurrentInvocationLimitExceeded"]
    wait_until(lambda: any(run["event"] == {"sleep": 0.5} for run in said(quick, function)), 60, "the event never ran")


def test_what_a_deleted_function_had_to_do_is_forgotten(quick, deploy):
    function = deploy(SAY)
    function.client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=1)
    for _ in range(20):
        send(function, {"old": True, "sleep": 1})
    heard(quick, function, 1)
    function.delete()
    # Its events go at once, but beside the answer to the delete.
    again = deploy(SAY, FunctionName=function.name)
    until_quiet(quick, again, "new")
    olds = [run for run in said(quick, again) if "old" in run["event"]]
    # Those that ran before the delete came; not forgotten, it would be all.
    assert len(olds) < 15, olds


def test_what_may_be_an_event(quick, deploy):
    function = deploy("def handler(event, context):\n    print('SAID', '{\"event\": ' + str(len(event)) + '}')\n")
    most = b'"' + b"x" * (1048576 - 2) + b'"'
    answer = function.client.invoke(FunctionName=function.name, InvocationType="Event", Payload=most)
    assert answer["StatusCode"] == 202
    assert heard(quick, function, 1)[0]["event"] == 1048574
    for payload, code, status in [
        (most + b" ", "RequestTooLargeException", 413),
        (b"{", "InvalidRequestContentException", 400),
        (b'"\xff"', "InvalidRequestContentException", 400),
    ]:
        with pytest.raises(ClientError) as caught:
            function.client.invoke(FunctionName=function.name, InvocationType="Event", Payload=payload)
        error = caught.value.response
        assert (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)
    for args in ({"FunctionName": "nowhere"}, {"FunctionName": function.name, "Qualifier": "7"}):
        with pytest.raises(ClientError) as caught:
            function.client.invoke(InvocationType="Event", **args)
        assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"
    assert len(said(quick, function)) == 1


def test_the_older_way_to_send_an_event(quick, deploy):
    function = deploy(SAY)
    assert function.client.invoke_async(FunctionName=function.name, InvokeArgs=b'{"old": 1}')["Status"] == 202
    assert heard(quick, function, 1)[0]["event"] == {"old": 1}
    path = f"/2014-11-13/functions/{function.name}/invoke-async/"
    for body, status, error in [
        (b"{}", 202, None),
        (b"{", 400, "InvalidRequestContentException"),
        (b" " * 262145, 413, "RequestTooLargeException"),
    ]:
        answer = raw.request(quick, "POST", path, body)
        assert answer.status == status and (error is None or answer.error.startswith(error)), answer
        assert status != 202 or answer.json == {"Status": 202}


def test_a_trace_goes_on_in_every_attempt(quick, deploy):
    code = "import os\n" + SAY.replace('"event": event', '"event": event, "trace": os.environ["_X_AMZN_TRACE_ID"]')
    function = deploy(code)
    root = "Root=1-5759e988-bd862e3fe1be46a994272793"
    path = f"/2015-03-31/functions/{function.name}/invocations"
    headers = [("X-Amz-Invocation-Type", "Event"), ("X-Amzn-Trace-Id", f"{root};Parent=53995c3f42cd8ad8;Sampled=1")]
    assert raw.request(quick, "POST", path, b'{"fail": "x"}', headers).status == 202
    assert all(run["trace"].startswith(root) for run in heard(quick, function, 2))


def test_a_stop_keeps_what_has_not_run(alone):
    server = alone("--event-pollers", "2", "--retry-base", "120")
    deploy, _ = deployer(client_of(server))
    function = deploy(SAY)
    for n in range(12):
        send(function, {"n": n, "sleep": 0.2})
    heard(server, function, 1)
    server.stop()
    # What ran to its end before is not run again.
    server.start()
    function.client = client_of(server)
    runs = [run["event"]["n"] for run in heard(server, function, 12)]
    until_quiet(server, function, "end")
    assert sorted(runs) == list(range(12))
    assert len(said(server, function)) == 13
    server.stop()
