"""PutRuntimeManagementConfig: a machine with two interpreters of one runtime, and which of them a function runs."""

import functools
import json
import os
import re
import shutil
import subprocess
import tempfile
import urllib.request
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from conftest import client_of, deployer
from support.server import HEARTH, Server

WHERE = """
import os
def handler(event, context):
    return os.path.realpath("/var/lang")
"""
# SnapStart has it, too.
RUNTIME = "python3.12"


def installed(**environment):
    """The interpreters for the runtime, as `hearth doctor` has them."""
    command = [HEARTH, "doctor", "--json"]
    said = json.loads(subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}).stdout)
    return [one for one in said["runtimes"] if one["name"] == RUNTIME]


@functools.cache
def hosts_own():
    """Where the host's own interpreter is."""
    return Path(installed()[0]["location"]).parent.parent


@pytest.fixture(scope="module")
def second():
    """The same interpreter at another place, as a version manager would install it. Not in /tmp, which is the functions' own."""
    prefix = Path(tempfile.mkdtemp(prefix="hearth-python-", dir="/var/tmp"))
    unused = shutil.ignore_patterns("test", "tests", "idlelib", "ensurepip", "tkinter", "config-*", "__pycache__", "*-packages")
    shutil.copytree(hosts_own() / "lib" / RUNTIME, prefix / "lib" / RUNTIME, ignore=unused)
    (prefix / "bin").mkdir()
    shutil.copy2(hosts_own() / "bin" / RUNTIME, prefix / "bin" / RUNTIME)
    yield prefix
    shutil.rmtree(prefix)


class Machine:
    """A server that finds the interpreters that it is started with, the first one first."""

    def __init__(self):
        self.server = Server()

    def starts(self, *prefixes):
        path = ":".join([*(f"{prefix}/bin" for prefix in prefixes), "/usr/sbin", "/sbin"])
        if self.server.running():
            self.server.stop()
        self.server.before = ("env", f"PATH={path}")
        self.server.start()
        self.client = client_of(self.server)
        return self

    def arn(self, name):
        config = self.client.get_function_configuration(FunctionName=name)["RuntimeVersionConfig"]
        assert "Error" not in config, config
        return config["RuntimeVersionArn"]


@pytest.fixture
def machine():
    machine = Machine()
    try:
        yield machine
    finally:
        machine.server.close()


def call(machine, name, **args):
    """The function error, where there was one, and what was returned."""
    answer = machine.client.invoke(FunctionName=name, **args)
    payload = answer["Payload"].read().decode()
    return answer.get("FunctionError"), payload.strip('"')


def test_a_function_stays_with_its_interpreter(machine, second):
    machine.starts(hosts_own())
    deploy, _ = deployer(machine.client)
    auto, updated, manual = (deploy(WHERE, Runtime=RUNTIME).name for _ in range(3))
    hosts = machine.arn(auto)
    assert re.fullmatch(r"arn:aws:lambda:us-east-1::runtime:[0-9a-f]{64}", hosts)
    machine.client.put_runtime_management_config(FunctionName=updated, UpdateRuntimeOn="FunctionUpdate")

    machine.starts(second, hosts_own())
    others = machine.arn(auto)
    assert others != hosts
    told = installed(PATH=f"{second}/bin:{hosts_own()}/bin", AWS_REGION="us-east-1")
    assert {one["location"]: one["arn"] for one in told[:2]} == {f"{second}/bin/{RUNTIME}": others, f"{hosts_own()}/bin/{RUNTIME}": hosts}
    pinned = machine.client.put_runtime_management_config(FunctionName=manual, UpdateRuntimeOn="Manual", RuntimeVersionArn=others)
    assert pinned["RuntimeVersionArn"] == others
    places = {name: call(machine, name)[1] for name in (auto, updated, manual)}
    assert places == {auto: str(second), updated: str(hosts_own()), manual: str(second)}
    assert machine.arn(updated) == hosts
    # Others of the same runtime wait by now, started ahead: each function gets one of its own interpreter.
    machine.client.put_runtime_management_config(FunctionName=manual, UpdateRuntimeOn="Manual", RuntimeVersionArn=hosts)
    assert call(machine, manual)[1] == str(hosts_own())
    machine.client.put_runtime_management_config(FunctionName=manual, UpdateRuntimeOn="Manual", RuntimeVersionArn=others)
    assert call(machine, manual)[1] == str(second)
    machine.client.update_function_configuration(FunctionName=updated, Timeout=5)
    machine.client.get_waiter("function_updated_v2").wait(FunctionName=updated)
    assert machine.arn(updated) == others and call(machine, updated)[1] == str(second)
    got = machine.client.get_runtime_management_config(FunctionName=updated)
    assert got["UpdateRuntimeOn"] == "FunctionUpdate" and "RuntimeVersionArn" not in got

    machine.starts(hosts_own())
    for name in (updated, manual):
        error, payload = call(machine, name)
        assert error == "Unhandled" and "Runtime.InvalidRuntime" in payload, payload
        assert f"at {second}/bin/{RUNTIME}" in payload and "UpdateRuntimeOn Auto" in payload, payload
        config = machine.client.get_function_configuration(FunctionName=name)["RuntimeVersionConfig"]
        assert config["RuntimeVersionArn"] == others and config["Error"]["ErrorCode"] == "Runtime.InvalidRuntime"
    assert call(machine, auto)[1] == str(hosts_own())
    machine.client.put_runtime_management_config(FunctionName=manual, UpdateRuntimeOn="Auto")
    assert call(machine, manual)[1] == str(hosts_own())
    with pytest.raises(ClientError, match="There is no runtime version") as refused:
        machine.client.put_runtime_management_config(FunctionName=manual, UpdateRuntimeOn="Manual", RuntimeVersionArn=others)
    assert refused.value.response["Error"]["Code"] == "InvalidParameterValueException"


def test_a_snapshot_is_of_the_interpreter_that_is_asked_for(machine, second):
    machine.starts(second, hosts_own())
    deploy, _ = deployer(machine.client)
    name = deploy(WHERE, Runtime=RUNTIME, SnapStart={"ApplyOn": "PublishedVersions"}).name
    others = machine.arn(name)
    machine.client.publish_version(FunctionName=name)
    machine.client.get_waiter("published_version_active").wait(FunctionName=name, Qualifier="1")
    assert call(machine, name, Qualifier="1")[1] == str(second)
    machine.client.put_runtime_management_config(FunctionName=name, Qualifier="1", UpdateRuntimeOn="Manual", RuntimeVersionArn=others)
    # Where the normal one is another, the version's snapshot is taken of its own all the same.
    machine.starts(hosts_own(), second)
    assert call(machine, name)[1] == str(hosts_own())
    error, payload = call(machine, name, Qualifier="1")
    assert error is None and payload == str(second), payload


def test_the_log_names_the_version_that_runs(machine, second):
    machine.starts(second, hosts_own())
    deploy, _ = deployer(machine.client)
    name = deploy(WHERE, Runtime=RUNTIME).name
    call(machine, name)
    with urllib.request.urlopen(f"{machine.server.url}/_hearth/logs/{name}") as answer:
        log = answer.read().decode()
    assert f"Runtime Version ARN: {machine.arn(name)}\n" in log, log
