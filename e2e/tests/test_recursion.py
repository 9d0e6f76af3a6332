"""Functions that lead to themselves are stopped, unless they are allowed to."""

import pytest

from conftest import client_of, deployer
from support import raw
from support.events import SAY, heard, said, send
from support.server import running, wait_until

ROUNDS = 16


@pytest.fixture(scope="module")
def quick():
    with running("--retry-base", "120") as server:
        yield server


@pytest.fixture
def deploy(quick):
    deploy, clean = deployer(client_of(quick))
    yield deploy
    clean()


def invoke(server, function, trace=None):
    headers = [("X-Amzn-Trace-Id", trace)] if trace else []
    return raw.request(server, "POST", f"/2015-03-31/functions/{function.name}/invocations", b"{}", headers)


def test_a_chain_of_invokes_ends(quick, deploy):
    function, other = deploy("def handler(event, context):\n    return 1\n"), deploy("def handler(event, context):\n    return 2\n")
    trace = None
    for n in range(ROUNDS):
        # As an SDK inside the function sends it on, with another function in between.
        for member in (function, other):
            answer = invoke(quick, member, trace)
            assert answer.status == 200, (n, answer)
            trace = answer.headers["x-amzn-trace-id"]
    answer = invoke(quick, function, trace)
    assert (answer.status, answer.error) == (400, "RecursiveInvocationException"), answer
    assert invoke(quick, function).status == 200, "only the chain is ended"
    function.client.put_function_recursion_config(FunctionName=function.name, RecursiveLoop="Allow")
    assert invoke(quick, function, trace).status == 200


def test_functions_that_are_each_others_destinations_come_to_an_end(quick, deploy):
    here, there, failures = deploy(SAY), deploy(SAY), deploy(SAY)
    arn = "arn:aws:lambda:us-east-1:000000000000:function:{}".format

    def lead(function, to):
        sides = {"OnSuccess": {"Destination": arn(to.name)}, "OnFailure": {"Destination": arn(failures.name)}}
        function.client.put_function_event_invoke_config(FunctionName=function.name, DestinationConfig=sides)

    lead(here, there)
    lead(there, here)
    send(here, {"a": 1})
    record = heard(quick, failures, 1)[0]["event"]
    assert (record["requestContext"]["condition"], record["requestContext"]["approximateInvokeCount"]) == ("RetriesExhausted", 0)
    wait_until(lambda: len(said(quick, here)) + len(said(quick, there)) >= 2 * ROUNDS, 30, "they ended too early")
    assert (len(said(quick, here)), len(said(quick, there))) == (ROUNDS, ROUNDS)
