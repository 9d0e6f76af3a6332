"""AWS's own runtime client for Python, unchanged, in place of our bootstrap."""

import base64
import json
from importlib.metadata import files

import pytest

from conftest import PYTHON

CODE = """import collections, decimal, os
Point = collections.namedtuple("Point", "x y")

def handler(event, context):
    print("printed")
    if "fail" in event:
        raise KeyError(event["fail"])
    return {"event": event, "id": context.aws_request_id, "arn": context.invoked_function_arn, "left": context.get_remaining_time_in_millis(),
            "custom": context.client_context and context.client_context.custom, "trace": os.environ["_X_AMZN_TRACE_ID"],
            "memory": context.memory_limit_in_mb, "point": Point(1, decimal.Decimal("2.50"))}
"""
# It stands where a wrapper script may stand, and does not call what it is to wrap.
START = f"#!/bin/sh\nexec /var/lang/bin/{PYTHON} -m awslambdaric app.handler\n"
WRAPPED = {"Environment": {"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "/var/task/start"}}}


@pytest.fixture(scope="module")
def package():
    parts = ("awslambdaric", "simplejson", "snapshot-restore-py")
    found = [file for part in parts for file in files(part) if "__pycache__" not in str(file)]
    return {str(file): file.locate().read_bytes() for file in found} | {"start": (START, 0o755)}


def test_both_clients_answer_alike(deploy, package):
    context = base64.b64encode(json.dumps({"custom": {"k": "v"}}).encode()).decode()
    answers = []
    for function in (deploy({"app.py": CODE}), deploy(package | {"app.py": CODE}, **WRAPPED)):
        event = {"a": ["ü", None, 1.5]}
        for _ in range(2):
            answer = function.invoke(event, ClientContext=context, LogType="Tail")
            assert "FunctionError" not in answer and "printed\n" in base64.b64decode(answer["LogResult"]).decode(), answer["payload"]
            seen = json.loads(answer["payload"])
            assert seen.pop("id") == answer["ResponseMetadata"]["RequestId"] and seen.pop("arn").endswith(function.name)
            assert 0 < seen.pop("left") <= 30_000 and seen.pop("trace").startswith("Root=")
        error = function.error({"fail": "why"})
        assert error.pop("requestId")
        answers.append((seen, error))
    assert answers[0] == answers[1]
    assert answers[0][0] == {"event": event, "custom": {"k": "v"}, "memory": "1769", "point": {"x": 1, "y": 2.5}}


def test_its_errors_of_init_are_told(deploy, package):
    error = deploy(package | {"app.py": "import nowhere"}, **WRAPPED).error()
    assert error["errorType"] == "Runtime.ImportModuleError" and "No module named 'nowhere'" in error["errorMessage"], error
