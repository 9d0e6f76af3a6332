"""The command line client as a user types it."""

import base64
import json

import pytest

from conftest import PYTHON, ROLE, unique
from support.packages import sha256, zip_of


@pytest.fixture
def cli_function(aws, tmp_path):
    name, package = unique("cli"), zip_of({"app.py": "def handler(event, context):\n    print('seen', event)\n    return {'got': event}\n"})
    (tmp_path / "f.zip").write_bytes(package)
    made = aws("lambda", "create-function", "--function-name", name, "--runtime", PYTHON, "--handler", "app.handler", "--role", ROLE, "--zip-file", "fileb://f.zip")
    assert made["CodeSha256"] == sha256(package)
    aws("lambda", "wait", "function-active-v2", "--function-name", name)
    yield name
    aws("lambda", "delete-function", "--function-name", name)


def test_a_life_of_a_function(aws, cli_function, tmp_path):
    name = cli_function
    answer = aws("lambda", "invoke", "--function-name", name, "--log-type", "Tail", "--payload", '{"a": 1}', "out.json")
    assert answer["StatusCode"] == 200 and answer["ExecutedVersion"] == "$LATEST"
    assert json.loads((tmp_path / "out.json").read_text()) == {"got": {"a": 1}}
    assert "seen {'a': 1}" in base64.b64decode(answer["LogResult"]).decode()

    (tmp_path / "g.zip").write_bytes(zip_of({"app.py": "def handler(event, context):\n    return 'new'\n"}))
    aws("lambda", "update-function-code", "--function-name", name, "--zip-file", "fileb://g.zip")
    aws("lambda", "wait", "function-updated-v2", "--function-name", name)
    aws("lambda", "update-function-configuration", "--function-name", name, "--timeout", "9", "--environment", "Variables={KEY=b}")
    aws("lambda", "wait", "function-updated-v2", "--function-name", name)
    aws("lambda", "invoke", "--function-name", name, "out.json")
    assert json.loads((tmp_path / "out.json").read_text()) == "new"
    got = aws("lambda", "get-function-configuration", "--function-name", name)
    assert (got["Timeout"], got["Environment"]["Variables"]) == (9, {"KEY": "b"})
    assert name in [f["FunctionName"] for f in aws("lambda", "list-functions")["Functions"]]


def test_dry_run(aws, cli_function):
    answer = aws("lambda", "invoke", "--function-name", cli_function, "--invocation-type", "DryRun", "out.json")
    assert answer["StatusCode"] == 204


def test_errors_read_as_those_of_lambda(aws, cli_function):
    error = aws("lambda", "get-function", "--function-name", "nowhere", fails=True)
    assert "(ResourceNotFoundException)" in error and "Function not found: arn:aws:lambda:" in error
    error = aws("lambda", "publish-version", "--function-name", cli_function, "--code-sha256", "x", fails=True)
    assert "(InvalidParameterValueException) when calling the PublishVersion operation: CodeSHA256 (x) is different" in error
    error = aws("lambda", "list-capacity-providers", fails=True)
    assert "ListCapacityProviders" in error


def test_events_are_sent(aws, cli_function):
    sent = aws("lambda", "invoke", "--function-name", cli_function, "--invocation-type", "Event", "out.json")
    assert sent == {"StatusCode": 202}
