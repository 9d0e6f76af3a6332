"""Java functions, on the Java that this machine has."""

import base64
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from support.packages import zip_of

HERE = Path(__file__).resolve().parent.parent
# Holds the interfaces that handlers implement, as Lambda's own environment does.
RUNTIME_JAR = HERE.parent / "crates/runtimes/src/bootstrap/java.jar"


def javac(folder, *sources):
    subprocess.run(["javac", "--release", "11", "-cp", RUNTIME_JAR, "-d", folder, *sources], check=True, capture_output=True)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.class")}


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    if shutil.which("javac") is None:
        pytest.skip("no javac")
    return javac(tmp_path_factory.mktemp("classes"), HERE / "java/example/Handlers.java")


@pytest.fixture(scope="module")
def runtime():
    version = subprocess.run(["java", "-version"], capture_output=True, text=True, check=True).stderr
    return "java" + re.search(r'version "(\d+)', version)[1]


@pytest.fixture
def java(deploy, classes, runtime):
    return lambda handler, **args: deploy(args.pop("files", {}) | classes, **{"Runtime": runtime, "Handler": "example.Handlers" + handler, "MemorySize": 512, **args})


def test_the_interfaces(java):
    function = java("$Maps", MemorySize=128)
    event = {"a": [1, 2.5, None, True, "ü\n"], "big": 12345678901234567890, "o": {}}
    assert function.call(event) == {"echo": event, "name": function.name}
    assert java("$Maps::handleRequest").call({"a": 1})["echo"] == {"a": 1}
    assert java("$Maps::other").call({}) == "other"
    raw = b'{ "as": "it is" }'
    assert java("$Streams").invoke(Payload=raw)["payload"] == raw


def test_an_instance_lasts(java):
    function = java("::counts")
    assert [function.call() for _ in range(3)] == [1, 2, 3]


def test_classes_of_ones_own(java):
    person = {"firstName": "Ada", "age": 36, "kind": "ADULT", "weights": [1.5], "since": "2024-03-05T12:00:00Z", "unknown": 1, "children": [{"firstName": "B", "age": 3}], "nick": "a"}
    answer = java("$Persons").call(person)
    assert answer["firstName"] == "Ada" and answer["age"] == 37 and answer["kind"] == "ADULT" and answer["weights"] == [1.5]
    assert answer["since"] == "2024-03-05T12:00:00Z" and answer["nick"] == "a" and "unknown" not in answer
    assert [(child["firstName"], child["age"], child["kind"]) for child in answer["children"]] == [("B", 4, None)]


@pytest.mark.parametrize(
    "handler, event, answer",
    [
        ("::sum", [1, 2, 3], [3, 6]),
        ("::text", "ü", "ü!"),
        ("::text", 5, "5!"),
        ("::half", 9_000_000_000, 4_500_000_000),
        ("::dates", {"a": 1000, "b": "2024-03-05T12:00:00Z"}, {"a": 1000, "b": 1709640000000}),
        ("::nothing", {"any": 1}, None),
        ("::platform", {}, [32, "hi", True, 7, "ü"]),
    ],
)
def test_methods(java, handler, event, answer):
    assert java(handler).call(event) == answer


def test_context_and_environment(java, runtime):
    function = java("::context")
    context = base64.b64encode(json.dumps({"custom": {"k": "ü"}, "client": {"app_title": "t"}}).encode()).decode()
    answer = function.invoke(ClientContext=context)
    seen = json.loads(answer["payload"])
    assert seen["id"] == answer["ResponseMetadata"]["RequestId"] and seen["arn"].endswith(function.name)
    assert (seen["version"], seen["memory"], seen["custom"], seen["title"], seen["identity"]) == ("$LATEST", 512, {"k": "ü"}, "t", None)
    assert 0 < seen["left"] <= 30_000 and seen["trace"].startswith("Root=1-") and seen["directory"] == "/var/task"
    environment = seen["environment"]
    assert environment["AWS_EXECUTION_ENV"] == f"AWS_Lambda_{runtime}" and environment["_HANDLER"].endswith("::context")
    assert environment["AWS_LAMBDA_LOG_STREAM_NAME"] == seen["stream"] and "PWD" not in environment
    assert seen["charset"] == "UTF-8"


def test_an_older_name_is_served_by_a_newer_java(java):
    seen = java("::context", Runtime="java11").call()
    environment = seen["environment"]
    assert environment["AWS_EXECUTION_ENV"] == "AWS_Lambda_java11" and environment["_X_AMZN_TRACE_ID"] == seen["trace"]
    assert environment["AWS_ACCESS_KEY"] == environment["AWS_ACCESS_KEY_ID"] and environment["AWS_SECRET_KEY"]


def test_errors(java):
    function = java("::fails")
    error = function.error({"why": "ü"})
    assert (error["errorMessage"], error["errorType"]) == ("broken: ü", "java.lang.IllegalStateException")
    assert error["stackTrace"][0].startswith("example.Handlers.fails(Handlers.java:") and not any("hearth" in frame for frame in error["stackTrace"])
    assert error["cause"]["errorType"] == "java.lang.NullPointerException"
    error = function.error([1])
    assert (error["errorMessage"], error["errorType"], error["stackTrace"]) == ("An error occurred during JSON parsing", "java.lang.RuntimeException", [])
    assert java("::deep").error(1)["errorType"] == "java.lang.StackOverflowError"
    assert java("::exits").error(3)["errorMessage"].endswith("Runtime exited with error: exit status 3")


@pytest.mark.parametrize(
    "handler, kind, text",
    [
        ("Nowhere", "java.lang.ClassNotFoundException", "Class not found: example.HandlersNowhere"),
        ("$Plain", "java.lang.Exception", "does not implement an appropriate handler interface"),
        ("::nope", "java.lang.Exception", "No public method named nope with appropriate method signature found on class example.Handlers"),
        ("$Broken::run", "java.lang.IllegalArgumentException", "not today"),
    ],
)
def test_classes_that_cannot_be_used(java, handler, kind, text):
    error = java(handler).error()
    assert error["errorType"] == kind and text in error["errorMessage"], error


def test_logs(java):
    def lines(**args):
        answer = java("::logs", **args).invoke(LogType="Tail")
        return answer["ResponseMetadata"]["RequestId"], base64.b64decode(answer["LogResult"]).decode().splitlines()

    _, text = lines()
    start = next(at for at, line in enumerate(text) if line.startswith("START"))
    assert text[start + 1 : start + 5] == ["printed", "plain", "careful", "low"]
    request, text = lines(LoggingConfig={"LogFormat": "JSON", "ApplicationLogLevel": "INFO"})
    told = [json.loads(line) for line in text if "AWSRequestId" in line]
    assert [(line["message"], line["level"], line["AWSRequestId"]) for line in told] == [("plain", "UNDEFINED", request), ("careful", "WARN", request)]


def test_libraries_of_the_package_and_of_layers(java, client, tmp_path):
    source = tmp_path / "Library.java"
    source.write_text('package extra; public class Library { public static String name() { return "found"; } }')
    jar = zip_of(javac(tmp_path / "out", source))
    assert java("::library", files={"lib/extra.jar": jar}).call() == "found"
    arn = client.publish_layer_version(LayerName="java", Content={"ZipFile": zip_of({"java/lib/extra.jar": jar})})["LayerVersionArn"]
    assert java("::library", Layers=[arn]).call() == "found"


def test_a_wrapper_script_and_options(java):
    wrapper = ('#!/bin/bash\nexport WRAPPED="$1"\nexec "$@"\n', 0o755)
    variables = {"AWS_LAMBDA_EXEC_WRAPPER": "/var/task/wrap", "JAVA_TOOL_OPTIONS": "-Dmine=1"}
    seen = java("::context", files={"wrap": wrapper}, Environment={"Variables": variables}).call()
    assert seen["environment"]["WRAPPED"] == "/var/lang/bin/java" and seen["environment"]["JAVA_TOOL_OPTIONS"] == "-Dmine=1"
