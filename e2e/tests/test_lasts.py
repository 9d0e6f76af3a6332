"""Crashes, restarts and the end."""

import json
import os
import random
import shutil
import signal
import subprocess
import threading
import urllib.request

import pytest

from conftest import Function, client_of, deployer
from support import raw
from support.packages import zip_of
from support.server import HANGS_S, HEARTH, Traces, processes_of, wait_until

CODE = "import time\ndef handler(event, context):\n    time.sleep(event.get('sleep', 0))\n    return 'here'\n"


def test_functions_survive_a_crash(alone):
    server = alone()
    deploy, _ = deployer(client_of(server))
    function = deploy(CODE, Description="kept", Environment={"Variables": {"KEY": "v"}})
    assert function.call() == "here"
    before = function.client.get_function_configuration(FunctionName=function.name)
    traces = Traces(server)
    server.kill()
    traces.check(cgroups=False)
    server.start()
    client = client_of(server)
    after = client.get_function_configuration(FunctionName=function.name)
    for answer in (before, after):
        answer.pop("ResponseMetadata")
    assert after == before
    assert Function(client, function.name).call() == "here"
    with urllib.request.urlopen(client.get_function(FunctionName=function.name)["Code"]["Location"]) as answer:
        assert len(answer.read()) == before["CodeSize"]
    server.stop()
    traces.check(cgroups=True)


def test_acknowledged_means_stored(alone):
    """Killed right after the answer: what was answered with 201 is there, whole."""
    server = alone()
    client = client_of(server)
    from conftest import PYTHON, ROLE

    made = []
    for round in range(4):
        for n in range(5):
            name = f"kept-{round}-{n}"
            client.create_function(FunctionName=name, Runtime=PYTHON, Handler="app.handler", Role=ROLE, Code={"ZipFile": zip_of({"app.py": CODE, "n": name})})
            made.append(name)
        server.kill()
        server.start()
        client = client_of(server)
        assert sorted(f["FunctionName"] for f in client.list_functions()["Functions"]) == sorted(made)
    for name in (made[0], made[-1]):
        assert Function(client, name).ready().call({}) == "here"
    server.stop()


def test_packages_of_any_size_are_there_after_a_crash_that_took_what_was_made_of_them(alone):
    """Small ones are kept beside the metadata, others in files; the unpacked trees can be made of either again."""
    server = alone()
    client = client_of(server)
    made = {}
    for size in (0, 15_000, 40_000):
        package = zip_of({"app.py": CODE, "size": random.Random(size).randbytes(size)})
        deployed = deployer(client)[0](package)
        layer = client.publish_layer_version(LayerName=f"layer-{size}", Content={"ZipFile": package})
        made[deployed.name, layer["LayerVersionArn"]] = package
    server.kill()
    files = sorted(path.stat().st_size for path in (server.data / "blobs").iterdir())
    assert files == [len(package) for package in made.values() if len(package) > 16 * 1024], "which have files"
    shutil.rmtree(server.data / "code")
    server.start()
    client = client_of(server)
    for (name, layer), package in made.items():
        assert Function(client, name).call() == "here"
        locations = client.get_function(FunctionName=name)["Code"], client.get_layer_version_by_arn(Arn=layer)["Content"]
        for place in locations:
            with urllib.request.urlopen(place["Location"]) as answer:
                assert answer.read() == package
    server.stop()


@pytest.mark.parametrize("both", [False, True], ids=["server", "server and spawner"])
def test_a_crash_leaves_nothing_behind(alone, both):
    server = alone()
    deploy, _ = deployer(client_of(server))
    function = deploy(CODE)
    function.call()
    spawner = server.spawner()
    invoke = threading.Thread(target=ignore_errors, args=(function, {"sleep": 25}))
    invoke.start()
    server.until_busy(function)
    traces = Traces(server)
    assert len(traces.processes) >= 3, "no environment was running"
    server.kill(*([spawner] if both else []))
    traces.check(cgroups=False)
    invoke.join()
    server.start()
    server.stop()
    assert not traces.left(cgroups=True)


def test_a_dead_spawner_ends_environments_and_is_told(alone):
    server = alone()
    deploy, _ = deployer(client_of(server))
    function = deploy(CODE.replace("    time", "    print('begun')\n    time", 1))
    answers = []
    invoke = threading.Thread(target=lambda: ignore_errors(function, {"sleep": 25}, answers))
    invoke.start()
    wait_until(lambda: "begun" in logged(server, function), HANGS_S, "the function did not begin")
    traces = Traces(server)
    os.kill(server.spawner(), signal.SIGKILL)
    traces.check(cgroups=False)
    invoke.join()
    assert not answers, "the function is blamed for what became of the platform"
    # The server either makes a new spawner or ends with an error; it does not hang on.
    def settled():
        if not server.running():
            return True
        try:
            return function.invoke({})["StatusCode"] == 200
        except Exception:
            return False

    wait_until(settled, HANGS_S, "the server neither recovered nor ended")


def logged(server, function):
    """What the function has logged so far."""
    done = subprocess.run([HEARTH, "logs", function.name, "--endpoint", server.url], capture_output=True, text=True, timeout=HANGS_S)
    return done.stdout


def ignore_errors(function, event, answers=None):
    try:
        answer = function.invoke(event)
        if answers is not None:
            answers.append(answer)
    except Exception:
        pass


def test_sigterm_drains_running_invokes_and_exits_zero(alone):
    server = alone()
    deploy, _ = deployer(client_of(server))
    function = deploy(CODE)
    function.call()
    answers = []
    invoke = threading.Thread(target=lambda: answers.append(function.invoke({"sleep": 3})))
    invoke.start()
    server.until_busy(function)
    server.stop()
    invoke.join()
    assert answers and answers[0]["payload"] == b'"here"'


def test_a_stopping_server_takes_no_new_connections(alone):
    server = alone()
    deploy, _ = deployer(client_of(server))
    function = deploy(CODE)
    function.call()
    # Ended as soon as it has been seen.
    invoke = threading.Thread(target=ignore_errors, args=(function, {"sleep": 20}))
    invoke.start()
    server.until_busy(function)
    server.process.send_signal(signal.SIGTERM)

    def closed():
        try:
            answer = raw.request(server, "GET", "/_hearth/health")
        except OSError:
            return True
        return answer is None or answer.status == 503

    wait_until(closed, HANGS_S, "new connections were still served")
    assert invoke.is_alive() and server.running(), "it has stopped: this shows nothing"
    [os.kill(pid, signal.SIGKILL) for pid in processes_of(function)]
    invoke.join()
    assert server.process.wait(60) == 0


def test_an_idle_server_stops_at_once_on_sigint_too(alone):
    server = alone()
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(60) == 0


def test_one_data_folder_serves_one_server(alone):
    server = alone()
    second = subprocess.run([HEARTH, "serve", "--listen", "127.0.0.1:0", "--data-dir", str(server.data)], capture_output=True, text=True, timeout=60)
    assert second.returncode != 0 and str(server.data) in second.stderr


def test_health(server):
    answer = raw.request(server, "GET", "/_hearth/health")
    assert answer.status == 200


def test_the_server_is_small(alone):
    """What it has for itself. How much of its binary is mapped is the system's decision; the benchmark has the sum."""
    server = alone()
    status = dict(line.split(":", 1) for line in open(f"/proc/{server.pid}/status"))
    own_kb = int(status["RssAnon"].split()[0])
    assert own_kb < 8 << 10, own_kb


def test_doctor():
    done = subprocess.run([HEARTH, "doctor"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "python3." in done.stdout
    report = json.loads(subprocess.run([HEARTH, "doctor", "--json"], capture_output=True, text=True, timeout=60).stdout)
    for found in report["slower"]:
        assert found["what"] in done.stdout and found["how"] in done.stdout
