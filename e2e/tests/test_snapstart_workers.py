"""SnapStart in worker processes: each has a snapshot of its own, which goes when the server does."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import client_of
from support.packages import boto, zip_of
from support.workers import start_again, workers_of
from test_snapstart import call, published, until_settled

CODE = """
import os, time, uuid
init, pid = str(uuid.uuid4()), os.getpid()
def handler(event, context):
    time.sleep(event.get("sleep", 0))
    return {"init": init, "type": os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]}
"""
CALLS = """
import boto3
client = boto3.client("sts")
def handler(event, context):
    return client.get_caller_identity()["Arn"]
"""


def at_once(client, function, count):
    """Answers of so many invokes that run at the same time, each in an environment of its own."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: call(client, function, {"sleep": 2}), range(count)))


def test_each_worker_has_a_snapshot_of_its_own(house):
    server, workers, client, deploy = house(2, "--placement", "spread")
    function, shown = published(client, deploy, CODE)
    assert (shown["State"], shown["SnapStart"]["OptimizationStatus"]) == ("Active", "On")
    answers = at_once(client, function, 6)
    assert {answer["type"] for answer, _ in answers} == {"snap-start"}
    assert all("Restore Duration: " in log and "Init Duration: " not in log for _, log in answers)
    assert {worker["Name"]: worker["Environments"] for worker in workers_of(server)} == {"w0": 3, "w1": 3}
    assert len({answer["init"] for answer, _ in answers}) == 2


def test_one_goes_on_as_its_role(house):
    _, _, client, deploy = house(1)
    layer = client.publish_layer_version(LayerName="boto", Content={"ZipFile": zip_of(boto(["sts"]))})["LayerVersionArn"]
    function, shown = published(client, deploy, CALLS, Layers=[layer])
    assert shown["SnapStart"]["OptimizationStatus"] == "On"
    answer, log = call(client, function)
    assert answer == f"arn:aws:sts::000000000000:assumed-role/test/{function}" and "Restore Duration: " in log


def test_an_init_that_fails_in_a_worker_is_the_versions(house):
    _, _, client, deploy = house(1)
    function, shown = published(client, deploy, "raise ValueError('not today')\ndef handler(event, context): pass")
    assert (shown["State"], shown["StateReasonCode"]) == ("Failed", "FunctionError.RuntimeInitError")
    assert "ValueError: not today" in shown["StateReason"]


@pytest.mark.parametrize("crash", [False, True])
def test_another_server_numbers_its_versions_anew(house, crash):
    """What a worker has from the time before is of no function of the new server's."""
    server, (worker,), client, deploy = house(1)
    functions = [published(client, deploy, CODE)[0] for _ in range(2)]
    before = [call(client, function)[0]["init"] for function in functions]
    # Other generations for the functions that stay: one is gone, one is new.
    start_again(server, worker, crash)
    client = client_of(server)
    client.delete_function(FunctionName=functions[0])
    after = [call(client, function)[0] for function in functions[1:]]
    assert {answer["type"] for answer in after} == {"snap-start"}
    assert not {answer["init"] for answer in after} & set(before)


def test_one_is_published_while_no_worker_is_there(house):
    """It waits for one."""
    server, (worker,), client, deploy = house(1)
    function = deploy(CODE, Runtime="python3.12", SnapStart={"ApplyOn": "PublishedVersions"}).name
    worker.drain()
    assert client.publish_version(FunctionName=function)["State"] == "Pending"
    worker.start()
    assert until_settled(client, function)["SnapStart"]["OptimizationStatus"] == "On"
    assert call(client, function)[0]["type"] == "snap-start"
    assert json.loads(client.invoke(FunctionName=function, Payload=b"{}")["Payload"].read())["type"] == "on-demand"
