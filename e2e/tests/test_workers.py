"""Functions in worker processes: all that a function is and does, and workers that drain, die and come back."""

import base64
import json
import os
import signal
import subprocess
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

from conftest import Function, client_of, deployer
from support.gates import Gates, held, waiting
from support.packages import boto, zip_of
from support.server import HANGS_S, HEARTH, STOP_S, wait_until
from support.workers import WorkerProcess, start_again, workers_of
from test_inside import CALLER
from test_node import node_runtime
from test_streaming import NODE

EMBEDDED = "server"
# Holds an invoke for as long as the event says, or at its gate; says which environment it is.
CODE = waiting("""
import uuid
ME = str(uuid.uuid4())
def handler(event, context):
    time.sleep(event.get("sleep", 0))
    if "gate" in event: passed(event["gate"])
    print("line of", event.get("n"))
    return {"me": ME, "n": event.get("n"), "version": context.function_version, "said": event.get("text", "")}
""")
STREAMS = NODE + """
export const handler = stream(async (event, out) => {
  for (let n = 0; n < event.parts; n++) {
    if (!out.write("x".repeat(event.bytes))) await new Promise((go) => out.once("drain", go));
  }
  out.end();
});
"""


def environments(server):
    return {worker["Name"]: worker["Environments"] for worker in workers_of(server)}


def busy(worker):
    seen = worker.seen()
    return seen["Environments"] - seen["IdleEnvironments"]


class Load:
    """Invokes one after another, from several clients at once, until it is ended."""

    def __init__(self, function, clients=4, **args):
        self.function, self.args, self.stopping = function, args, threading.Event()
        self.answers, self.errors, self.era = [], [], 0
        self.threads = [threading.Thread(target=self.run, args=(n,), daemon=True) for n in range(clients)]

    def run(self, n):
        while not self.stopping.is_set():
            era = self.era
            try:
                self.answers.append({"asked_in": era, **self.function.call({"n": n, "sleep": 0.01}, **self.args)})
            except (ClientError, AssertionError) as error:
                self.errors.append(error)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        self.go_on()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)

    def go_on(self, answers=20):
        """Until so many more are answered."""
        enough = len(self.answers) + answers
        wait_until(lambda: len(self.answers) >= enough or self.errors, HANGS_S, lambda: f"{len(self.answers)} of {enough}")


def test_a_function_is_the_same_in_a_worker_process(house):
    server, (worker,), client, deploy = house(1)
    function = deploy(CODE)
    answer = function.invoke({"n": 1, "text": "ä"}, LogType="Tail")
    assert json.loads(answer["payload"])["said"] == "ä"
    tail = base64.b64decode(answer["LogResult"]).decode()
    assert "line of 1\n" in tail and "REPORT RequestId: " in tail and "Init Duration: " in tail
    assert len(function.call({"text": "x" * 5_900_000})["said"]) == 5_900_000
    assert environments(server) == {"w0": 1} and worker.seen()["UsedMemoryMB"] == 1769
    error = function.error({"sleep": "long"})
    assert error["errorType"] == "TypeError"
    wait_until(lambda: "line of 1" in logged(server, function), HANGS_S, "its log lines do not come")
    worker.drain()
    assert workers_of(server) == []


def logged(server, function):
    with urllib.request.urlopen(f"{server.url}/_hearth/logs/{function.name}", timeout=30) as answer:
        return answer.read().decode()


def test_a_streamed_answer_waits_for_its_client_and_holds_nobody_else(house):
    server, (worker,), client, deploy = house(1)
    function = deploy({"index.mjs": STREAMS}, Runtime=node_runtime(), Handler="index.handler")
    event = json.dumps({"parts": 300, "bytes": 65536})
    slow = client.invoke_with_response_stream(FunctionName=function.name, Payload=event)["EventStream"]
    first = next(iter(slow))
    fast = client.invoke_with_response_stream(FunctionName=function.name, Payload=event)["EventStream"]
    assert sum(len(part["PayloadChunk"]["Payload"]) for part in fast if "PayloadChunk" in part) == 300 * 65536
    rest = list(slow)
    got = [part["PayloadChunk"]["Payload"] for part in [first, *rest] if "PayloadChunk" in part]
    assert sum(map(len, got)) == 300 * 65536
    assert "ErrorCode" not in rest[-1]["InvokeComplete"]


def test_functions_in_a_worker_reach_the_servers_api_with_their_role(house):
    _, _, client, deploy = house(1)
    layer = client.publish_layer_version(LayerName="boto", Content={"ZipFile": zip_of(boto(["sts"]))})["LayerVersionArn"]
    function = deploy(CALLER, Layers=[layer])
    answer = function.call(["sts", "get_caller_identity", {}])
    assert answer["Arn"] == f"arn:aws:sts::000000000000:assumed-role/test/{function.name}"


def test_a_killed_worker_fails_only_what_it_ran(house):
    server, workers, client, deploy = house(2, "--placement", "spread", "--retry-base", "60")
    function = deploy(CODE, Timeout=60)
    with ThreadPoolExecutor(4) as pool:
        gate = Gates(server)()
        held = [pool.submit(function.invoke, {"n": n, "gate": gate.path}) for n in range(4)]
        try:
            wait_until(lambda: all(busy(worker) == 2 for worker in workers), HANGS_S, lambda: environments(server))
            killed, other = workers
            killed.kill()
        finally:
            gate.open()
        outcomes = [future.exception(HANGS_S) or future.result() for future in held]
    failed = [outcome for outcome in outcomes if isinstance(outcome, ClientError)]
    assert len(failed) == 2, outcomes
    assert {error.response["Error"]["Code"] for error in failed} == {"ServiceException"}
    assert {error.response["ResponseMetadata"]["HTTPStatusCode"] for error in failed} == {500}
    assert all("FunctionError" not in outcome for outcome in outcomes if outcome not in failed)
    assert list(environments(server)) == ["w1"]
    function.call()
    killed.start()
    assert sorted(environments(server)) == ["w0", "w1"]


def test_asynchronous_invokes_of_a_killed_worker_are_run_again(house):
    server, workers, client, deploy = house(2, "--placement", "spread", "--retry-base", "60")
    function = deploy(CODE, Timeout=60)
    gate = Gates(server)()
    for n in range(4):
        answer = client.invoke(FunctionName=function.name, InvocationType="Event", Payload=json.dumps({"n": n, "gate": gate.path}))
        assert answer["StatusCode"] == 202
    wait_until(lambda: all(busy(worker) == 2 for worker in workers), HANGS_S, lambda: environments(server))
    workers[0].kill()
    gate.open()
    ended = [f"line of {n}\n" for n in range(4)]
    wait_until(lambda: all(line in logged(server, function) for line in ended), HANGS_S, lambda: logged(server, function))


def test_a_worker_drains_under_load_and_no_invoke_fails(house):
    server, workers, client, deploy = house(2, "--placement", "spread")
    function = deploy(CODE)
    with Load(function) as load:
        assert all(count > 0 for count in environments(server).values())
        workers[0].drain()
        load.go_on()
        workers[0].start()
        workers[1].drain()
        load.go_on()
    assert load.errors == []
    assert environments(server)["w0"] > 0


def test_changes_and_shifted_weights_lose_nothing_under_load(house):
    server, workers, client, deploy = house(2, "--placement", "spread")
    function = deploy(CODE)
    first, second = (client.publish_version(FunctionName=function.name)["Version"], None)
    function.update(Description="another")
    second = client.publish_version(FunctionName=function.name)["Version"]
    client.create_alias(FunctionName=function.name, Name="live", FunctionVersion=first)
    with Load(Function(client, function.name), Qualifier="live") as shifted, Load(function) as changed:
        for weight in (0.2, 0.5, 0.8):
            routing = {"AdditionalVersionWeights": {second: weight}}
            client.update_alias(FunctionName=function.name, Name="live", RoutingConfig=routing)
            shifted.go_on(30)
            function.update(Environment={"Variables": {"STEP": str(weight)}})
            changed.go_on(10)
        client.update_alias(FunctionName=function.name, Name="live", FunctionVersion=second, RoutingConfig={})
        shifted.era += 1
        shifted.go_on(30)
    assert (shifted.errors, changed.errors) == ([], [])
    assert {answer["version"] for answer in shifted.answers if answer["asked_in"]} == {second}
    assert {answer["version"] for answer in shifted.answers} == {first, second}


@pytest.mark.parametrize("crash", [False, True])
def test_workers_stay_while_their_server_is_away(house, crash):
    server, (worker,), client, deploy = house(1)
    function = deploy(CODE)
    before = function.call()["me"]
    start_again(server, worker, crash)
    again = Function(client_of(server), function.name)
    assert again.call()["me"] != before
    assert environments(server) == {"w0": 1}


def test_a_server_stops_although_environments_are_kept_initialised_in_its_workers(house):
    server, _, client, deploy = house(2)
    name = deploy("def handler(event, context):\n    return 1\n", MemorySize=128).name
    version = client.publish_version(FunctionName=name)["Version"]
    client.put_provisioned_concurrency_config(FunctionName=name, Qualifier=version, ProvisionedConcurrentExecutions=5)
    is_ready = lambda: client.get_provisioned_concurrency_config(FunctionName=name, Qualifier=version)["Status"] == "READY"
    wait_until(is_ready, HANGS_S, "they are not there")
    server.process.terminate()
    assert server.process.wait(STOP_S) == 0, server.log_text()


def test_a_worker_that_hangs_is_lost_and_comes_back(house):
    """Its invoke fails as if it had been killed, the next one runs elsewhere; going on, it ends what it ran and joins anew."""
    server, workers, client, deploy = house(2)
    function = deploy(CODE, Timeout=120)
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(function.invoke, {"sleep": 100})
        wait_until(lambda: any(busy(worker) for worker in workers), 60, "it does not run")
        hanging = next(worker for worker in workers if busy(worker))
        os.kill(hanging.pid, signal.SIGSTOP)
        try:
            wait_until(lambda: hanging.seen() is None, 120, "the server still counts on it")
            with pytest.raises(ClientError) as lost:
                held.result(60)
            assert lost.value.response["Error"]["Code"] == "ServiceException"
            other = next(worker for worker in workers if worker is not hanging)
            assert function.call()["me"] and environments(server) == {other.name: 1}
        finally:
            os.kill(hanging.pid, signal.SIGCONT)
    hanging.joined()
    assert environments(server) == {hanging.name: 0, other.name: 1}
    top = hearth(server, "top", "--json", "--interval", "0.1")
    assert {worker["name"]: worker["environments"] for worker in json.loads(top)["workers"]} == environments(server)
    assert {line.split()[0] for line in hearth(server, "top", "--interval", "0.1").splitlines() if line} >= {"WORKER", "w0", "w1"}


def hearth(server, *words):
    command = [HEARTH, *words, "--endpoint", server.url]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def test_without_a_worker_an_invoke_says_so(house):
    server, _, client, deploy = house(0)
    function = deploy(CODE)
    with pytest.raises(ClientError) as refused:
        function.invoke()
    assert refused.value.response["Error"]["Code"] == "ServiceException"
    assert "No worker takes new environments" in refused.value.response["Error"]["Message"]


def test_a_worker_beside_the_servers_own_takes_what_has_no_room_there(alone):
    server = alone("--memory-budget", "2000")
    worker = WorkerProcess(server, "w0", "--memory-budget", "2000")
    try:
        worker.start()
        deploy, _ = deployer(client_of(server))
        function = deploy(CODE)
        gate = Gates(server)()
        with held(server, gate, function, 2, {"gate": gate.path}) as running:
            pass
        assert len({future.result()["me"] for future in running}) == 2
        assert environments(server) == {EMBEDDED: 1, "w0": 1}
    finally:
        worker.close()
