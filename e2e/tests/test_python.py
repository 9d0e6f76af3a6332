"""The Python runtimes."""

import os
import re
from pathlib import Path

import pytest

VERSIONS = ["3.10", "3.11", "3.12", "3.13"]


def installed(version):
    """Whether this machine has the interpreter, found without Hearth's help."""
    folders = [Path(p) for p in os.environ["PATH"].split(":") if "shims" not in p] + [Path("/usr/bin"), Path("/usr/local/bin")]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    folders += [path / "bin" for path in pyenv.glob(f"{version}.*")]
    return any((folder / f"python{version}").is_file() for folder in folders)


PROBE = """
import sys, os, json
def handler(event, context):
    return {"version": "%d.%d" % sys.version_info[:2], "path": sys.path, "env": dict(os.environ), "cwd": os.getcwd(), "argv": sys.argv,
            "modules": sorted(m for m in sys.modules if m in ("botocore", "boto3", "pip", "setuptools"))}
"""


@pytest.mark.parametrize("version", VERSIONS)
def test_each_installed_version_runs(deploy, version):
    if not installed(version):
        pytest.skip(f"python{version} is not on this machine")
    seen = deploy(PROBE, Runtime=f"python{version}", Environment={"Variables": {"MINE": "1"}}).call()
    assert seen["version"] == version and seen["cwd"] == "/var/task" and seen["modules"] == []
    env = seen["env"]
    expected = {
        "_HANDLER": "app.handler", "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1", "AWS_EXECUTION_ENV": f"AWS_Lambda_python{version}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769", "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST", "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "LAMBDA_TASK_ROOT": "/var/task", "LAMBDA_RUNTIME_DIR": "/var/runtime", "LANG": "en_US.UTF-8", "TZ": ":UTC", "MINE": "1",
        "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
    }
    assert {key: env.get(key) for key in expected} == expected
    assert env["AWS_LAMBDA_LOG_GROUP_NAME"] == "/aws/lambda/" + env["AWS_LAMBDA_FUNCTION_NAME"]
    assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_LAMBDA_RUNTIME_API"} <= env.keys()
    assert seen["path"][0] == "/var/task"
    assert not [p for p in seen["path"] if "site-packages" in p and not p.startswith(("/opt/", "/var/"))], seen["path"]


def test_the_same_minor_version_as_these_tests_is_there():
    import sys

    assert installed(f"3.{sys.version_info.minor}")


def test_missing_interpreters_say_so_at_the_invoke(deploy, client):
    missing = [version for version in ("3.8", "3.9", "3.14") + tuple(VERSIONS) if not installed(version)]
    if not missing:
        pytest.skip("this machine has every interpreter")
    function = deploy(PROBE, Runtime=f"python{missing[0]}")
    error = function.error()
    assert error["errorType"].startswith("Runtime.") and f"python{missing[0]}" in error["errorMessage"], error


def test_the_hosts_packages_are_not_there(deploy):
    function = deploy("def handler(event, context):\n    import botocore\n")
    assert function.error()["errorType"] in ("ModuleNotFoundError", "ImportError")


def test_packages_of_the_function_are(deploy):
    function = deploy({"app.py": "from lib.inner import N\nimport single\ndef handler(e, c):\n    return N + single.M\n", "lib/__init__.py": "", "lib/inner.py": "N = 40\n", "single.py": "M = 2\n"})
    assert function.call() == 42


@pytest.mark.parametrize("handler", ["pkg/mod.func", "pkg.mod.func"])
def test_handlers_in_packages(deploy, handler):
    function = deploy({"pkg/mod.py": "def func(event, context):\n    return __name__\n"}, Handler=handler)
    assert function.call() == "pkg.mod"


def error_of(deploy, code, handler="app.handler", **args):
    return deploy(code, Handler=handler, **args).error()


def test_exceptions(deploy):
    function = deploy("def handler(event, context):\n    raise ValueError('böse ' + event['x'])\n")
    answer = function.invoke({"x": "y"})
    import json

    error = json.loads(answer["payload"])
    assert list(error) == ["errorMessage", "errorType", "requestId", "stackTrace"]
    assert (error["errorMessage"], error["errorType"]) == ("böse y", "ValueError")
    assert error["requestId"] == answer["ResponseMetadata"]["RequestId"]
    assert error["stackTrace"] == ['  File "/var/task/app.py", line 2, in handler\n    raise ValueError(\'böse \' + event[\'x\'])\n']


def test_an_exception_leaves_the_environment_in_use(deploy):
    function = deploy("n = 0\ndef handler(event, context):\n    global n\n    n += 1\n    if event.get('fail'):\n        raise KeyError('k')\n    return n\n")
    assert function.call() == 1
    assert function.error({"fail": True})["errorType"] == "KeyError"
    assert function.call() == 3


def test_a_missing_module(deploy):
    error = error_of(deploy, "import nothing_like_it\n")
    assert error["errorType"] == "Runtime.ImportModuleError"
    assert error["errorMessage"] == "Unable to import module 'app': No module named 'nothing_like_it'"
    error = error_of(deploy, "", handler="other.handler")
    assert error["errorMessage"] == "Unable to import module 'other': No module named 'other'"


def test_a_missing_handler(deploy):
    error = error_of(deploy, "def other(event, context): pass\n")
    assert error["errorType"] == "Runtime.HandlerNotFound"
    assert error["errorMessage"] == "Handler 'handler' missing on module 'app'"


def test_a_handler_without_a_dot(deploy):
    error = error_of(deploy, "def handler(event, context): pass\n", handler="app")
    assert error["errorType"] == "Runtime.MalformedHandlerName"


def test_a_builtin_module_as_handler(deploy):
    error = error_of(deploy, "", handler="sys.exit")
    assert error["errorType"] == "Runtime.BuiltInModuleConflict"


def test_a_syntax_error(deploy):
    error = error_of(deploy, "def handler(event, context)\n    return 1\n")
    assert error["errorType"] == "Runtime.UserCodeSyntaxError"
    assert error["errorMessage"].startswith("Syntax error in module 'app': ")
    assert 'File "/var/task/app.py"' in "".join(error["stackTrace"])


def test_an_exception_at_import(deploy):
    error = error_of(deploy, "raise RuntimeError('at import')\ndef handler(e, c): pass\n")
    assert (error["errorType"], error["errorMessage"]) == ("RuntimeError", "at import")
    assert error["requestId"] == ""


def test_an_answer_that_is_no_json(deploy):
    error = error_of(deploy, "def handler(event, context):\n    return {1, 2}\n")
    assert error["errorType"] == "Runtime.MarshalError"
    assert error["errorMessage"] == "Unable to marshal response: Object of type set is not JSON serializable"


def test_a_coroutine_handler_is_an_error(deploy):
    error = error_of(deploy, "async def handler(event, context):\n    return 1\n")
    assert error["errorType"] == "Runtime.MarshalError"
    assert "coroutine" in error["errorMessage"]


def test_decimals_and_nones(deploy):
    function = deploy("from decimal import Decimal\ndef handler(event, context):\n    return {'d': Decimal('1.50'), 'n': None, 'u': 'ä'}\n")
    assert function.call() == {"d": 1.5, "n": None, "u": "ä"}


def test_module_state_lives_as_long_as_the_environment(deploy):
    function = deploy("import uuid\nME = str(uuid.uuid4())\ndef handler(event, context):\n    return ME\n")
    assert len({function.call() for _ in range(5)}) == 1


def test_logging(deploy):
    import base64

    code = "import logging\nlog = logging.getLogger()\nlog.setLevel('INFO')\ndef handler(event, context):\n    log.info('to the %s', 'log')\n    logging.getLogger('a.b').warning('other')\n"
    function = deploy(code)
    answer = function.invoke(LogType="Tail")
    request, text = answer["ResponseMetadata"]["RequestId"], base64.b64decode(answer["LogResult"]).decode()
    assert re.search(rf"^\[INFO\]\t\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{3}}Z\t{request}\tto the log$", text, re.M), text
    assert re.search(rf"^\[WARNING\]\t.*\t{request}\tother$", text, re.M), text


def test_threads_and_subprocesses(deploy):
    code = """
import subprocess, threading, sys
def handler(event, context):
    seen = []
    t = threading.Thread(target=lambda: seen.append("thread")); t.start(); t.join()
    seen.append(subprocess.run([sys.executable, "-c", "print('child')"], capture_output=True, text=True).stdout.strip())
    return seen
"""
    assert deploy(code).call() == ["thread", "child"]


def test_multiprocessing_as_on_lambda(deploy):
    code = """
import multiprocessing as mp
def child(pipe):
    pipe.send("from the child")
def handler(event, context):
    ours, theirs = mp.get_context("fork").Pipe()
    p = mp.get_context("fork").Process(target=child, args=(theirs,)); p.start()
    got = ours.recv(); p.join()
    try:
        mp.get_context("fork").Pool(1)
        pool = "works"
    except OSError as error:
        pool = type(error).__name__
    return [got, pool]
"""
    got = deploy(code).call()
    assert got[0] == "from the child" and got[1] in ("OSError", "FileNotFoundError", "PermissionError")


def test_time_zone_data_and_certificates(deploy):
    code = """
import ssl, time, os
def handler(event, context):
    return [len(ssl.create_default_context().get_ca_certs()) > 50, time.tzname[0]]
"""
    assert deploy(code).call() == [True, "UTC"]
    assert deploy(code, Environment={"Variables": {"TZ": "Europe/Berlin"}}).call() == [True, "CET"]
