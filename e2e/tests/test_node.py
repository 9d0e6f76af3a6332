"""The Node runtime that this machine has."""

import base64
import re
import subprocess

import pytest


def node_runtime():
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    return f"nodejs{version.lstrip('v').split('.')[0]}.x"


@pytest.fixture
def node(deploy):
    def make(code, file="index.mjs", handler="index.handler", **args):
        files = {file: code} if isinstance(code, str) else code
        return deploy(files, Runtime=node_runtime(), Handler=handler, **args)

    return make


HELLO = "export const handler = async (event) => ({ hello: event.name });\n"


def test_es_modules(node):
    assert node(HELLO).call({"name": "x"}) == {"hello": "x"}
    assert node({"index.js": HELLO, "package.json": '{"type": "module"}'}).call({"name": "x"}) == {"hello": "x"}
    assert node("await null;\nexport const handler = async () => 'top';\n").call() == "top"


def test_common_js(node):
    code = "exports.handler = async (event) => [typeof require, event];\n"
    assert node(code, "index.js").call(1) == ["function", 1]
    assert node(code, "index.cjs").call(2) == ["function", 2]


def test_callbacks(node):
    code = "exports.handler = (event, context, callback) => setTimeout(() => event.fail ? callback(new TypeError('no')) : callback(null, 'later'), 5);\n"
    function = node(code, "index.js")
    assert function.call({}) == "later"
    error = function.error({"fail": True})
    assert (error["errorType"], error["errorMessage"]) == ("TypeError", "no")


def test_context(node):
    code = """
export const handler = async (event, context) => ({
  id: context.awsRequestId, name: context.functionName, version: context.functionVersion, memory: context.memoryLimitInMB,
  arn: context.invokedFunctionArn, group: context.logGroupName, stream: context.logStreamName, left: context.getRemainingTimeInMillis(),
  waits: context.callbackWaitsForEmptyEventLoop, client: context.clientContext?.custom });
"""
    function = node(code)
    answer = function.invoke(ClientContext=base64.b64encode(b'{"custom": {"a": "b"}}').decode())
    import json

    seen = json.loads(answer["payload"])
    assert seen["id"] == answer["ResponseMetadata"]["RequestId"] and seen["name"] == function.name
    assert (seen["version"], seen["memory"], seen["waits"], seen["client"]) == ("$LATEST", "1769", True, {"a": "b"})
    assert 0 < seen["left"] <= 30_000


def test_undefined_is_null(node):
    assert node("export const handler = async () => {};\n").invoke()["payload"] == b"null"


def test_exceptions(node):
    error = node("export const handler = async () => { throw new RangeError('too far'); };\n").error()
    assert list(error) == ["errorType", "errorMessage", "trace"]
    assert (error["errorType"], error["errorMessage"]) == ("RangeError", "too far")
    assert error["trace"][0] == "RangeError: too far" and "index.mjs:1" in error["trace"][1]


def test_synchronous_exceptions_of_common_js(node):
    error = node("exports.handler = () => { throw new Error('sync'); };\n", "index.js").error()
    assert (error["errorType"], error["errorMessage"]) == ("Error", "sync")


def test_rejections_nobody_handles(node):
    error = node("export const handler = async () => { Promise.reject(new Error('lost')); await new Promise(r => setTimeout(r, 200)); };\n").error()
    assert error["errorType"] == "Runtime.UnhandledPromiseRejection", error


@pytest.mark.parametrize(
    "code, handler, kind",
    [
        ("import 'nothing-like-it';\nexport const handler = async () => 1;\n", "index.handler", "Error"),
        ("export const other = async () => 1;\n", "index.handler", "Runtime.HandlerNotFound"),
        ("export const handler = 5;\n", "index.handler", "Runtime.HandlerNotFound"),
        ("export const handler = async () => {\n", "index.handler", "Runtime.UserCodeSyntaxError"),
        (HELLO, "../index.handler", "Runtime.MalformedHandlerName"),
        (HELLO, "missing.handler", "Runtime.ImportModuleError"),
    ],
)
def test_modules_that_cannot_be_used(node, code, handler, kind):
    assert node(code, handler=handler).error()["errorType"] == kind


def test_nested_handlers(node):
    assert node({"src/a.mjs": "export const deep = { handler: async () => 'deep' };\n"}, handler="src/a.deep.handler").call() == "deep"


def test_node_modules_of_the_package(node):
    files = {
        "index.js": "const l = require('left');\nexports.handler = async () => l;\n",
        "node_modules/left/package.json": '{"name": "left", "main": "m.js"}',
        "node_modules/left/m.js": "module.exports = 'left';\n",
    }
    assert node(files).call() == "left"


def test_console(node):
    function = node("export const handler = async () => { console.log('to', 'log'); console.error('an error'); };\n")
    answer = function.invoke(LogType="Tail")
    request, text = answer["ResponseMetadata"]["RequestId"], base64.b64decode(answer["LogResult"]).decode()
    assert re.search(rf"^\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{3}}Z\t{request}\tINFO\tto log$", text, re.M), text
    assert re.search(rf"\t{request}\tERROR\tan error$", text, re.M), text


def test_exit(node):
    error = node("export const handler = async () => process.exit(3);\n").error()
    assert error["errorType"] == "Runtime.ExitError" and error["errorMessage"].endswith("Error: Runtime exited with error: exit status 3")


def test_environment(node):
    env = node("export const handler = async () => process.env;\n").call()
    assert env["AWS_EXECUTION_ENV"] == f"AWS_Lambda_{node_runtime()}"
    assert env["NODE_PATH"].endswith(":/var/runtime/node_modules:/var/runtime:/var/task")
