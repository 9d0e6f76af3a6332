"""Functions that bring their own runtime, and the Runtime API as anything inside may call it."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest


@pytest.fixture
def rust(deploy):
    """The example on the official Rust runtime crate, built by `cargo xtask e2e`."""
    if "BOOTSTRAP" not in os.environ:
        pytest.skip("BOOTSTRAP names no built example")
    package = {"bootstrap": (Path(os.environ["BOOTSTRAP"]).read_bytes(), 0o755)}
    return lambda **args: deploy(package, **{"Runtime": "provided.al2023", "Handler": "any", **args})


@pytest.mark.parametrize("runtime", ["provided.al2023", "provided.al2"])
def test_a_binary_on_the_official_crate(rust, runtime):
    function = rust(Runtime=runtime, MemorySize=128)
    for _ in range(3):
        assert function.call({"name": "fire"}) == {"hello": "fire", "function": function.name}


def test_a_binary_under_load(rust):
    function = rust()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: function.call({"name": str(n)})["hello"], range(200)))
    assert answers == [str(n) for n in range(200)]


# A Runtime API client to be used inside a handler, besides the runtime's own.
CLIENT = """
import http.client, json, os
API = os.environ["AWS_LAMBDA_RUNTIME_API"]
BASE = "/2018-06-01/runtime"
def call(method, path, body=None, headers={}):
    c = http.client.HTTPConnection(API); c.request(method, BASE + path, body, headers)
    r = c.getresponse(); return r.status, dict((k.lower(), v) for k, v in r.getheaders()), r.read().decode()
"""


def test_missing_bootstrap(deploy):
    error = deploy({"readme.txt": "nothing to run"}, Runtime="provided.al2023", Handler="x").error()
    assert error["errorType"] == "Runtime.InvalidEntrypoint", error
    assert "bootstrap" in error["errorMessage"]


@pytest.mark.parametrize(
    "content, mode",
    [(b"", 0o755), (b"#!/no/such/interpreter\n", 0o755), (b"\x7fELF nonsense", 0o755), (b"x" * 100, 0o755), (b"#!/var/task/bootstrap\n", 0o755)],
)
def test_bootstraps_that_cannot_start(deploy, content, mode):
    error = deploy({"bootstrap": (content, mode)}, Runtime="provided.al2023", Handler="x").error()
    assert error["errorType"] in ("Runtime.InvalidEntrypoint", "Runtime.ExitError"), error


def test_a_bootstrap_that_may_not_be_executed(deploy):
    error = deploy({"bootstrap": (b"#!/bin/sh\n", 0o644)}, Runtime="provided.al2023", Handler="x").error()
    assert error["errorType"] in ("Runtime.InvalidEntrypoint", "Runtime.ExitError"), error


# Runs inside the handler of a managed Python: while an invoke is in progress the Runtime API can be asked, and
# must not be fooled.
def ask(deploy, body):
    return deploy(CLIENT + "def handler(event, context):\n" + "".join(f"    {line}\n" for line in body.splitlines())).call()


def test_unknown_request_ids_are_refused(deploy):
    status, _, body = ask(deploy, "return call('POST', '/invocation/8476a536-e9f4-11e8-9739-2dfe598c3fcd/response', '1')")
    assert status == 400 and json.loads(body) == {"errorMessage": "Invalid request ID", "errorType": "InvalidRequestID"}


def test_next_during_an_invoke_is_refused(deploy):
    status, _, body = ask(deploy, "return call('GET', '/invocation/next')")
    assert status == 403 and json.loads(body)["errorType"] == "InvalidStateTransition"


def test_init_errors_after_init_are_refused(deploy):
    status, _, body = ask(deploy, "return call('POST', '/init/error', '{}')")
    assert status == 403 and json.loads(body)["errorType"] == "InvalidStateTransition"


def test_the_first_answer_stands(deploy):
    body = "path = '/invocation/' + context.aws_request_id + '/response'\nfirst = call('POST', path, '\"first\"')\nreturn 'second'"
    function = deploy(CLIENT + "def handler(event, context):\n" + "".join(f"    {line}\n" for line in body.splitlines()))
    assert json.loads(function.invoke()["payload"]) == "first"


def test_unknown_paths(deploy):
    for path in ("/restore/next", "/nothing", "/../../x"):
        assert ask(deploy, f"return call('GET', '{path}')")[0] in (400, 403, 404, 405)


def test_oversized_answers_are_refused_and_told(deploy):
    function = deploy(CLIENT + "def handler(event, context):\n    s = call('POST', '/invocation/' + context.aws_request_id + '/response', b'1' * 6291557)\n    print(s)\n    return 'small'\n")
    error = function.error()
    assert error["errorType"] == "Function.ResponseSizeTooLarge"
    assert function.error()["errorType"] == "Function.ResponseSizeTooLarge"


def test_errors_posted_by_hand_reach_the_caller_unchanged(deploy):
    body = '{"errorMessage": "own words", "errorType": "Own", "more": [1]}'
    function = deploy(CLIENT + f"def handler(event, context):\n    call('POST', '/invocation/' + context.aws_request_id + '/error', '''{body}''', {{'Lambda-Runtime-Function-Error-Type': 'Function.Own'}})\n")
    answer = function.invoke()
    assert answer["FunctionError"] == "Unhandled" and answer["payload"].decode() == body
