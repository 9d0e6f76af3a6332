"""Provisioned concurrency: environments that are initialised before anybody asks."""

import base64
import json
import re
import time
import urllib.request

import pytest
from botocore.exceptions import ClientError

from conftest import client_of, deployer
from support.clients import service_of
from support.gates import Gates, held, waiting
from support.server import HANGS_S, wait_until

# An init waits for the gate that its variables name, an invoke for the one that its event is.
WHO = waiting("""
import uuid
ME = os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"] + " " + str(uuid.uuid4())
if "GATE" in os.environ:
    passed(os.environ["GATE"])
def handler(event, context):
    if event == "die":
        os._exit(1)
    if event:
        passed(event)
    return ME + " " + os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
""")


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
        wait_until(lambda: self.config(qualifier)["Status"] == status, HANGS_S, f"{qualifier} is not {status}")
        return self.config(qualifier)

    def ready(self, qualifier, count):
        self.provision(qualifier, count)
        found = self.until(qualifier)
        assert [found[f"{what}ProvisionedConcurrentExecutions"] for what in ("Requested", "Allocated", "Available")] == [
            count
        ] * 3
        return found

    def call(self, qualifier):
        """How it was initialised, who answered, and of which version that is."""
        return self.function.call(0, Qualifier=qualifier).split(" ")

    def calls(self, server, gate, qualifier, count):
        """The same of so many at a time."""
        # Whoever is idle may come to it a moment after its last answer.
        wait_until(lambda: "Busy" not in server.states(self.function), HANGS_S, "they stay busy")
        with held(server, gate, self.function, count, Qualifier=qualifier) as running:
            pass
        return [future.result().split(" ") for future in running]


@pytest.fixture
def published(client, deploy):
    return lambda code=WHO, **args: Published(client, deploy(code, **args))


def test_it_is_in_progress_and_then_ready(published, gate):
    init = gate()
    function = published(Environment={"Variables": {"GATE": init.path}})
    asked = function.provision("1", 2)
    assert asked.pop("ResponseMetadata")["HTTPStatusCode"] == 202
    assert asked.pop("LastModified")
    counts = [f"{what}ProvisionedConcurrentExecutions" for what in ("Allocated", "Available", "Requested")]
    assert asked == dict(zip(counts, [0, 0, 2])) | {"Status": "IN_PROGRESS"}
    assert function.config("1")["Status"] == "IN_PROGRESS"
    init.open()
    found = function.until("1")
    found.pop("LastModified")
    assert found == dict(zip(counts, [2, 2, 2])) | {"Status": "READY"}
    listed = function.client.list_provisioned_concurrency_configs(FunctionName=function.name)
    (item,) = listed["ProvisionedConcurrencyConfigs"]
    assert item["FunctionArn"].endswith(f":{function.name}:1") and item["Status"] == "READY"


def test_provisioned_environments_are_used_first_and_others_when_they_are_in_use(published, server, gate):
    function = published()
    function.ready("1", 2)
    assert function.call("1")[0] == "provisioned-concurrency"
    three = function.calls(server, gate(), "1", 3)
    assert sorted(kind for kind, *_ in three) == ["on-demand", "provisioned-concurrency", "provisioned-concurrency"]
    assert len({who for _, who, _ in three}) == 3
    for _ in range(4):
        server.until_idle(function.function)
        assert function.call("1")[0] == "provisioned-concurrency"
    server.until_idle(function.function)
    with urllib.request.urlopen(f"{server.url}/_hearth/metrics") as answer:
        metrics = answer.read().decode()
    label = f'{{function_name="{function.name}"}}'
    assert f"lambda_provisioned_concurrency_invocations_total{label} 7\n" in metrics
    assert f"lambda_provisioned_concurrency_spillover_invocations_total{label} 1\n" in metrics
    assert f'hearth_provisioned_environments{{function_name="{function.name}",state="available"}} 2\n' in metrics
    assert f"lambda_provisioned_concurrency_utilization{label} 0" in metrics


def test_the_invoke_has_no_cold_start(published, server):
    function = published("import time\ntime.sleep(2)\nT = time.time()\ndef handler(event, context):\n    return T")
    function.ready("1", 1)
    begin = time.time()
    answer = function.client.invoke(FunctionName=function.name, Qualifier="1", LogType="Tail")
    assert json.load(answer["Payload"]) <= begin, "its init was over"
    log = base64.b64decode(answer["LogResult"]).decode()
    assert "Init Duration" not in log and "INIT_START" not in log
    # The log of its init is there all the same, with its report.
    reported = re.compile(r"^INIT_REPORT Init Duration: ([\d.]+) ms\tPhase: init\tStatus: success")
    found = lambda: [reported.match(event["message"]) for event in logs.filter_log_events(logGroupName=group)["events"]]
    group, logs = f"/aws/lambda/{function.name}", service_of(server, "logs")
    wait_until(lambda: any(found()), HANGS_S, "its init is not reported")
    assert [float(line[1]) >= 2000 for line in found() if line] == [True]


def test_one_that_dies_is_made_again(published):
    function = published()
    function.ready("1", 1)
    _, first, _ = function.call("1")
    assert function.function.error("die", Qualifier="1")["errorType"] == "Runtime.ExitError"
    function.until("1")
    kind, second, _ = function.call("1")
    assert kind == "provisioned-concurrency" and second != first


def test_it_moves_with_its_alias_and_is_divided_by_weight(published, server, gate):
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
        assert [kind for kind, *_ in function.calls(server, gate(), version, 2)] == ["provisioned-concurrency"] * 2
    client.delete_alias(FunctionName=function.name, Name="live")
    wait_until(lambda: function.call("1")[0] == "on-demand", HANGS_S, "what the alias had is still there")


def test_a_function_whose_init_fails_fails(published):
    function = published("raise ValueError('no')")
    function.provision("1", 3)
    found = function.until("1", "FAILED")
    assert found["StatusReason"] == "FUNCTION_ERROR_INIT_FAILURE"
    assert found["AvailableProvisionedConcurrentExecutions"] == 0


def test_fewer_and_none(published, server, gate):
    function = published()
    function.ready("1", 3)
    function.ready("1", 1)
    assert sorted(kind for kind, *_ in function.calls(server, gate(), "1", 2)) == ["on-demand", "provisioned-concurrency"]
    function.client.delete_provisioned_concurrency_config(FunctionName=function.name, Qualifier="1")
    with pytest.raises(ClientError) as none:
        function.config("1")
    assert none.value.response["Error"]["Code"] == "ProvisionedConcurrencyConfigNotFoundException"
    wait_until(lambda: function.call("1")[0] == "on-demand", HANGS_S, "one is still there")


def test_what_is_reserved_for_provisioned_environments_is_not_lent(published, server):
    function = published()
    client = function.client
    client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=2)
    function.ready("1", 2)
    with pytest.raises(ClientError) as throttled:
        function.function.call(0)
    error = throttled.value.response
    assert error["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    for _ in range(5):
        server.until_idle(function.function)
        assert function.call("1")[0] == "provisioned-concurrency"


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
    with held(server, Gates(server)(), other):
        function.provision("1", 1)
        wait_until(lambda: "StatusReason" in function.config("1"), HANGS_S, "it does not say that it waits for room")
        assert function.config("1")["Status"] == "IN_PROGRESS"
    function.until("1")
    clean()


def test_through_the_command_line(aws, published):
    function = published()
    words = ["--function-name", function.name, "--qualifier", "1"]
    asked = aws("lambda", "put-provisioned-concurrency-config", *words, "--provisioned-concurrent-executions", "1")
    assert asked["Status"] == "IN_PROGRESS"
    wait_until(
        lambda: aws("lambda", "get-provisioned-concurrency-config", *words)["Status"] == "READY", HANGS_S, "never ready"
    )
    aws("lambda", "delete-provisioned-concurrency-config", *words)
    listed = aws("lambda", "list-provisioned-concurrency-configs", "--function-name", function.name)
    assert listed == {"ProvisionedConcurrencyConfigs": []}
