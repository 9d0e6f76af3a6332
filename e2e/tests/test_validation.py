"""Requests that must be refused, with the service's own words."""

import base64
import json

import pytest

from conftest import PYTHON, ROLE
from support import raw
from support.packages import zip_of

ZIP = base64.b64encode(zip_of({"app.py": "def handler(event, context):\n    return 1\n"})).decode()
GOOD = {"FunctionName": "v", "Runtime": PYTHON, "Handler": "app.handler", "Role": ROLE, "Code": {"ZipFile": ZIP}}
NAME = (
    r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?"
    r"([a-zA-Z0-9-_]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?"
)
NAME_WITH_DOTS = (
    r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?"
    r"([a-zA-Z0-9-_\.]+)(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?"
)
ROLE_PATTERN = r"arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+"


def create(server, **changes):
    """CreateFunction with members changed, or left out where None."""
    body = {key: value for key, value in {**GOOD, **changes}.items() if value is not None}
    return raw.request(server, "POST", "/2015-03-31/functions", body)


def refused(answer, error, message=None, status=400):
    assert (answer.status, answer.error) == (status, error), answer
    assert answer.json.get("Type") == "User" and answer.headers["x-amzn-requestid"]
    if message is not None:
        assert answer.message == message


def one(value, member, constraint):
    return f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {constraint}"


@pytest.fixture(autouse=True, scope="module")
def nothing_is_created(client):
    before = {f["FunctionName"] for f in client.list_functions()["Functions"]}
    yield
    after = {f["FunctionName"] for f in client.list_functions()["Functions"]}
    assert "v" not in after - before


def test_names(server):
    pattern = f"Member must satisfy regular expression pattern: {NAME}"
    for name in ("a b", "a/b", "a.b", "a:b:c:d", "ä", "arn:aws:lambda:us-east-1:1:function:f", "arn:aws:s3:us-east-1:000000000000:function:f", "f:$LATES"):
        refused(create(server, FunctionName=name), "ValidationException", one(name, "functionName", pattern))
    long = "a" * 141
    refused(create(server, FunctionName=long), "ValidationException", one(long, "functionName", "Member must have length less than or equal to 140"))
    name = "a" * 65
    refused(create(server, FunctionName=name), "InvalidParameterValueException", one(name, "functionName", "Member must have length less than or equal to 64"))
    answer = raw.request(server, "GET", f"/2015-03-31/functions/{name}")
    refused(answer, "ResourceNotFoundException", status=404)


def test_the_empty_name(server):
    answer = create(server, FunctionName="")
    assert answer.status == 400 and answer.error == "ValidationException"
    assert "'functionName' failed to satisfy constraint: Member must have length greater than or equal to 1" in answer.message


def test_names_in_paths(server):
    pattern = f"Member must satisfy regular expression pattern: {NAME_WITH_DOTS}"
    for path, name in [("a%20b", "a b"), ("%2e%2e%2fb", "../b"), ("a%2Fb", "a/b"), ("a%3Ab%3Ac", "a:b:c"), ("%C3%A4", "ä")]:
        refused(raw.request(server, "GET", f"/2015-03-31/functions/{path}"), "ValidationException", one(name, "functionName", pattern))
    for path in ("..", "%2e%2e", "a%00b", "%ff", "%zz"):
        answer = raw.request(server, "GET", f"/2015-03-31/functions/{path}/configuration")
        assert answer.status in (400, 404) and answer.error in ("ValidationException", "UnknownOperationException", "SerializationException"), answer


def test_qualifiers(server):
    long = "q" * 129
    answer = raw.request(server, "GET", f"/2015-03-31/functions/f?Qualifier={long}")
    refused(answer, "ValidationException", one(long, "qualifier", "Member must have length less than or equal to 128"))
    answer = raw.request(server, "GET", "/2015-03-31/functions/f?Qualifier=a%20b")
    pattern = r"Member must satisfy regular expression pattern: \$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+"
    refused(answer, "ValidationException", one("a b", "qualifier", pattern))


def test_required_members(server):
    for member in ("FunctionName", "Role", "Code"):
        answer = create(server, **{member: None})
        name = member[0].lower() + member[1:]
        text = f"1 validation error detected: Value null at '{name}' failed to satisfy constraint: Member must not be null"
        refused(answer, "ValidationException", text)


def test_all_broken_constraints_come_in_one_answer(server):
    answer = create(server, Role="me", MemorySize=1, Timeout=0)
    refused(answer, "ValidationException")
    assert answer.message.startswith("3 validation errors detected: ")
    parts = answer.message.removeprefix("3 validation errors detected: ").split("; ")
    assert sorted(parts) == sorted([
        f"Value 'me' at 'role' failed to satisfy constraint: Member must satisfy regular expression pattern: {ROLE_PATTERN}",
        "Value '1' at 'memorySize' failed to satisfy constraint: Member must have value greater than or equal to 128",
        "Value '0' at 'timeout' failed to satisfy constraint: Member must have value greater than or equal to 1",
    ])


def test_roles(server):
    pattern = f"Member must satisfy regular expression pattern: {ROLE_PATTERN}"
    for role in ("r", "arn:aws:iam::12:role/r", "arn:aws:iam::000000000000:user/r"):
        refused(create(server, Role=role), "ValidationException", one(role, "role", pattern))


@pytest.mark.parametrize("member, value", [("MemorySize", 127), ("MemorySize", 10241), ("Timeout", 901), ("Timeout", 0), ("MemorySize", -1)])
def test_numbers_out_of_range(server, member, value):
    answer = create(server, **{member: value})
    assert answer.status == 400 and answer.error in ("ValidationException", "InvalidParameterValueException"), answer
    assert f"'{value}' at '{member[0].lower() + member[1:]}'" in answer.message, answer


@pytest.mark.parametrize("size", [511, 10241, 0])
def test_ephemeral_storage_out_of_range(server, size):
    answer = create(server, EphemeralStorage={"Size": size})
    assert answer.status == 400 and answer.error in ("ValidationException", "InvalidParameterValueException"), answer
    assert str(size) in answer.message and "ephemeralStorage.size" in answer.message


@pytest.mark.parametrize("handler", ["a b", "x" * 129])
def test_handlers(server, handler):
    refused(create(server, Handler=handler), "ValidationException")


def test_descriptions(server):
    refused(create(server, Description="d" * 257), "ValidationException", one("d" * 257, "description", "Member must have length less than or equal to 256"))


def test_runtimes(server):
    for runtime in ("python9.9", "Python3.12", "cobol"):
        answer = create(server, Runtime=runtime)
        refused(answer, "InvalidParameterValueException")
        assert answer.message.startswith(f"Value {runtime} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [nodejs20.x, ")
        assert answer.message.endswith("] or be a valid ARN")
    for runtime in ("python3.7", "nodejs14.x", "go1.x", "java8", "ruby2.7", "provided", "dotnetcore3.1"):
        text = (
            f"The runtime parameter of {runtime} is no longer supported for creating or updating AWS Lambda functions. "
            "We recommend you use a supported runtime while creating or updating functions."
        )
        refused(create(server, Runtime=runtime), "InvalidParameterValueException", text)


def test_a_zip_needs_runtime_and_handler(server):
    for member in ("Runtime", "Handler"):
        answer = create(server, **{member: None})
        assert answer.status == 400 and answer.error in ("InvalidParameterValueException", "ValidationException")
        assert member.lower() in answer.message.lower()


def test_variables(server):
    for key in ("1A", "A-B", "A=B", "A", "", "ä"):
        refused(create(server, Environment={"Variables": {key: "x"}}), "ValidationException")
    for key in ("AWS_REGION", "_HANDLER", "AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "AWS_SESSION_TOKEN"):
        answer = create(server, Environment={"Variables": {key: "x"}})
        assert answer.status == 400 and answer.error in ("InvalidParameterValueException", "ValidationException"), answer
        if not key.startswith("_"):
            assert "reserved" in answer.message.lower() and key in answer.message, answer
    big = {"SMALL_VAR": "ok", "LARGE_VAR": "x" * 4096}
    text = (
        "Lambda was unable to configure your environment variables because the environment variables you have provided "
        f"exceeded the 4KB limit. String measured: {json.dumps(big, separators=(',', ':'))}"
    )
    refused(create(server, Environment={"Variables": big}), "InvalidParameterValueException", text)


def test_tags(server):
    answer = create(server, Tags={f"k{n}": "v" for n in range(51)})
    refused(answer, "InvalidParameterValueException", "Number of tags exceeds resource tag limit.")


def test_enums(server):
    for member, value, at in [("PackageType", "zip", "packageType"), ("TracingConfig", {"Mode": "active"}, "tracingConfig.mode"), ("SnapStart", {"ApplyOn": "all"}, "snapStart.applyOn")]:
        answer = create(server, **{member: value})
        refused(answer, "ValidationException")
        text = next(iter(value.values())) if isinstance(value, dict) else value
        assert answer.message.startswith(one(text, at, "Member must satisfy enum value set: ["))


def test_code_sources(server):
    answer = create(server, Code={})
    assert answer.status == 400 and answer.error in ("InvalidParameterValueException", "ValidationException"), answer
    answer = create(server, Code={"ZipFile": ZIP, "S3Bucket": "bucket", "S3Key": "k"})
    assert answer.status == 400 and "ZipFile" in answer.message


def test_an_arn_of_another_account_is_denied(server):
    answer = create(server, FunctionName="arn:aws:lambda:us-east-1:111111111111:function:v")
    assert (answer.status, answer.error) == (403, "AccessDeniedException"), answer


@pytest.mark.parametrize("body", [b"", b"{", b"no", b"[]", b'"x"', b'{"FunctionName":"v"', b'{"FunctionName":"v"}x', b"\xef\xbb\xbf{}", b'{"FunctionName":"\xff"}', b"[" * 100_000])
def test_bodies_that_are_no_json_object(server, body):
    answer = raw.request(server, "POST", "/2015-03-31/functions", body)
    assert answer.status == 400 and answer.error in ("SerializationException", "ValidationException"), answer


@pytest.mark.parametrize(
    "changes",
    [{"MemorySize": "abc"}, {"Layers": "x"}, {"Environment": []}, {"FunctionName": 5}, {"MemorySize": 128.5}, {"MemorySize": 1e400}, {"Timeout": 2**63}, {"Publish": "yes"}, {"Code": {"ZipFile": "%%%"}}, {"Environment": {"Variables": {"KEY": 1}}}],
)
def test_members_of_the_wrong_type(server, changes):
    body = json.dumps({**GOOD, **changes}).replace("Infinity", "1e400").encode()
    answer = raw.request(server, "POST", "/2015-03-31/functions", body)
    assert answer.status == 400 and answer.error in ("SerializationException", "ValidationException", "InvalidParameterValueException"), answer


def test_unknown_members_are_ignored(server, client):
    body = {**GOOD, "FunctionName": "v-unknown", "Colour": "red"}
    answer = raw.request(server, "POST", "/2015-03-31/functions", body)
    assert answer.status == 201, answer
    client.delete_function(FunctionName="v-unknown")


def test_paging(server):
    for query in ("MaxItems=0", "MaxItems=10001", "MaxItems=x", "MaxItems=-1", "Marker=nonsense"):
        answer = raw.request(server, "GET", f"/2015-03-31/functions?{query}")
        assert answer.status == 400 and answer.error in ("ValidationException", "InvalidParameterValueException", "SerializationException"), (query, answer)


def test_both_spellings_of_the_list_path(server):
    assert raw.request(server, "GET", "/2015-03-31/functions").status == 200
    assert raw.request(server, "GET", "/2015-03-31/functions/").status == 200
