"""Provisioned concurrency: environments that are initialised before anybody asks."""

import base64
import re
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

from conftest import client_of, deployer
from support.clients import service_of
from support.server import wait_until

WHO = """
import os, time, uuid
ME = os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"] + " " + str(uuid.uuid4())
def handler(event, context):
    if event == "die":
        os._exit(1)
    time.sleep(event if event else 0)
    return ME + " " + os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
"""


class Published:
    """A function with one published version."""

    def __init__(self, client, function):
        self.client, self.function, self.name = client, function, function.name
        self.publish()

    def publish(self, **config):
        if config:
            self.function.update(**config)
        return self.client.publish_version(FunctionName=self.name)["Version"]

    def provision(self, qualifier, count):
        return self.client.put_provisioned_concurrency_config(
            FunctionName=self.name, Qualifier=qualifier, ProvisionedConcurrentExecutions=count
        )

    def config(self, qualifier):
        found = self.client.get_provisioned_concurrency_config(FunctionName=self.name, Qualifier=qualifier)
        found.pop("ResponseMetadata")
        return found

    def until(self, qualifier, status="READY"):
        wait_until(lambda: self.config(qualifier)["Status"] == status, 60, f"{qualifier} is not {status}")
        return self.config(qualifier)

    def ready(self, qualifier, count):
        self.provision(qualifier, count)
        found = self.until(qualifier)
        assert [found[f"{what}ProvisionedConcurrentExecutions"] for what in ("Requested", "Allocated", "Available")] == [
            count
        ] * 3
        return found

    def call(self, qualifier, event=0):
        """How it was initialised, who answered, and of which version that is."""
        return self.function.call(event, Qualifier=qualifier).split(" ")

    def calls(self, qualifier, count, event):
        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(lambda _: self.call(qualifier, event), range(count)))


@pytest.fixture
def published(client, deploy):
    return lambda code=WHO, **args: Published(client, deploy(code, **args))


def test_it_is_in_progress_and_then_ready(published):
    function = published()
    asked = function.provision("1", 2)
    assert asked.pop("ResponseMetadata")["HTTPStatusCode"] == 202
    assert asked.pop("LastModified")
    counts = [f"{what}ProvisionedConcurrentExecutions" for what in ("Allocated", "Available", "Requested")]
    assert asked == dict(zip(counts, [0, 0, 2])) | {"Status": "IN_PROGRESS"}
    assert function.config("1")["Status"] == "IN_PROGRESS"
    found = function.until("1")
    found.pop("LastModified")
    assert found == dict(zip(counts, [2, 2, 2])) | {"Status": "READY"}
    listed = function.client.list_provisioned_concurrency_configs(FunctionName=function.name)
    (item,) = listed["ProvisionedConcurrencyConfigs"]
    assert item["FunctionArn"].endswith(f":{function.name}:1") and item["Status"] == "READY"


def test_provisioned_environments_are_used_first_and_others_when_they_are_in_use(published, server):
    function = published()
    function.ready("1", 2)
    assert function.call("1")[0] == "provisioned-concurrency"
    three = function.calls("1", 3, 3)
    assert sorted(kind for kind, *_ in three) == ["on-demand", "provisioned-concurrency", "provisioned-concurrency"]
    assert len({who for _, who, _ in three}) == 3
    assert {function.call("1")[0] for _ in range(4)} == {"provisioned-concurrency"}
    with urllib.request.urlopen(f"{server.url}/_hearth/metrics") as answer:
        metrics = answer.read().decode()
    label = f'{{function_name="{function.name}"}}'
    assert f"lambda_provisioned_concurrency_invocations_total{label} 7\n" in metrics
    assert f"lambda_provisioned_concurrency_spillover_invocations_total{label} 1\n" in metrics
    assert f'hearth_provisioned_environments{{function_name="{function.name}",state="available"}} 2\n' in metrics
    assert f"lambda_provisioned_concurrency_utilization{label} 0" in metrics


def test_the_invoke_has_no_cold_start(published, server):
    function = published("import time\ntime.sleep(2)\ndef handler(event, context):\n    return 1", Timeout=10)
    function.ready("1", 1)
    begin = time.monotonic()
    answer = function.client.invoke(FunctionName=function.name, Qualifier="1", LogType="Tail")
    assert time.monotonic() - begin < 2, "its init was over"
    log = base64.b64decode(answer["LogResult"]).decode()
    assert "Init Duration" not in log and "INIT_START" not in log
    # The log of its init is there all the same, with its report.
    reported = re.compile(r"^INIT_REPORT Init Duration: ([\d.]+) ms\tPhase: init\tStatus: success")
    found = lambda: [reported.match(event["message"]) for event in logs.filter_log_events(logGroupName=group)["events"]]
    group, logs = f"/aws/lambda/{function.name}", service_of(server, "logs")
    wait_until(lambda: any(found()), 30, "its init is not reported")
    assert [float(line[1]) >= 2000 for line in found() if line] == [True]


def test_one_that_dies_is_made_again(published):
    function = published()
    function.ready("1", 1)
    _, first, _ = function.call("1")
    assert function.function.error("die", Qualifier="1")["errorType"] == "Runtime.ExitError"
    function.until("1")
    kind, second, _ = function.call("1")
    assert kind == "provisioned-concurrency" and second != first


def test_it_moves_with_its_alias_and_is_divided_by_weight(published):
    function = published()
    client = function.client
    second = function.publish(Description="second")
    client.create_alias(FunctionName=function.name, Name="live", FunctionVersion="1")
    function.ready("live", 4)
    assert function.call("live")[::2] == ["provisioned-concurrency", "1"]
    client.update_alias(FunctionName=function.name, Name="live", FunctionVersion=second)
    assert function.until("live")["AvailableProvisionedConcurrentExecutions"] == 4
    assert function.call("live")[::2] == ["provisioned-concurrency", second]
    assert function.call("1")[0] == "on-demand"
    routing = {"AdditionalVersionWeights": {"1": 0.5}}
    client.update_alias(FunctionName=function.name, Name="live", FunctionVersion=second, RoutingConfig=routing)
    function.until("live")
    for version in ("1", second):
        assert [kind for kind, *_ in function.calls(version, 2, 2)] == ["provisioned-concurrency"] * 2
    client.delete_alias(FunctionName=function.name, Name="live")
    wait_until(lambda: function.call("1")[0] == "on-demand", 30, "what the alias had is still there")


def test_a_function_whose_init_fails_fails(published):
    function = published("raise ValueError('no')")
    function.provision("1", 3)
    found = function.until("1", "FAILED")
    assert found["StatusReason"] == "FUNCTION_ERROR_INIT_FAILURE"
    assert found["AvailableProvisionedConcurrentExecutions"] == 0


def test_fewer_and_none(published):
    function = published()
    function.ready("1", 3)
    function.ready("1", 1)
    assert sorted(kind for kind, *_ in function.calls("1", 2, 2)) == ["on-demand", "provisioned-concurrency"]
    function.client.delete_provisioned_concurrency_config(FunctionName=function.name, Qualifier="1")
    with pytest.raises(ClientError) as none:
        function.config("1")
    assert none.value.response["Error"]["Code"] == "ProvisionedConcurrencyConfigNotFoundException"
    wait_until(lambda: function.call("1")[0] == "on-demand", 30, "one is still there")


def test_what_is_reserved_for_provisioned_environments_is_not_lent(published):
    function = published()
    client = function.client
    client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=2)
    function.ready("1", 2)
    with pytest.raises(ClientError) as throttled:
        function.function.call(0)
    error = throttled.value.response
    assert error["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert {function.call("1")[0] for _ in range(5)} == {"provisioned-concurrency"}


def test_it_is_there_again_after_a_restart(alone):
    server = alone()
    client = client_of(server)
    deploy, clean = deployer(client)
    function = Published(client, deploy(WHO))
    function.ready("1", 2)
    server.stop()
    server.start()
    function.client = function.function.client = client_of(server)
    function.until("1")
    assert function.call("1")[0] == "provisioned-concurrency"
    clean()


def test_what_does_not_fit_into_the_memory_waits_for_room(alone):
    server = alone("--memory-budget", "512")
    client = client_of(server)
    deploy, clean = deployer(client)
    large = Published(client, deploy(WHO, MemorySize=1024))
    large.provision("1", 1)
    assert "larger than all the memory" in large.until("1", "FAILED")["StatusReason"]
    other, function = deploy(WHO, MemorySize=512), Published(client, deploy(WHO, MemorySize=512))
    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(other.call, 6)
        server.until_busy(other)
        function.provision("1", 1)
        wait_until(lambda: "StatusReason" in function.config("1"), 30, "it does not say that it waits for room")
        assert function.config("1")["Status"] == "IN_PROGRESS"
        busy.result()
    function.until("1")
    clean()


def test_through_the_command_line(aws, published):
    function = published()
    words = ["--function-name", function.name, "--qualifier", "1"]
    asked = aws("lambda", "put-provisioned-concurrency-config", *words, "--provisioned-concurrent-executions", "1")
    assert asked["Status"] == "IN_PROGRESS"
    wait_until(
        lambda: aws("lambda", "get-provisioned-concurrency-config", *words)["Status"] == "READY", 60, "never ready"
    )
    aws("lambda", "delete-provisioned-concurrency-config", *words)
    listed = aws("lambda", "list-provisioned-concurrency-configs", "--function-name", function.name)
    assert listed == {"ProvisionedConcurrencyConfigs": []}
