"""Queues of RabbitMQ as event sources: a broker of the test's own, and an emulator for its password."""

import base64
import json
import os

import pytest

import support.server
from conftest import deploys_on, unique
from support.events import said
from support.rabbitmq import RabbitMq
from support.server import Server, wait_until
from support.streams import WAIT_S, settled

ARN = "arn:aws:mq:us-east-1:000000000000:broker:orders:b-1"
OBEY = """
import base64, json, os
def handler(event, context):
    print("SAID " + json.dumps({"event": event, "id": context.aws_request_id}))
    for records in event["rmqMessagesByQueue"].values():
        for record in records:
            if base64.b64decode(record["data"]) == b"fail once" and not os.path.exists("/tmp/failed"):
                open("/tmp/failed", "w").close()
                raise Exception("asked to fail")
"""


@pytest.fixture(scope="module")
def broker():
    broker = RabbitMq()
    yield broker
    broker.close()


@pytest.fixture(scope="module")
def secret(upstream):
    return upstream.secret("guest", "guest")


@pytest.fixture(scope="module")
def server(broker, upstream):
    usual, support.server.HEARTH = support.server.HEARTH, os.environ["HEARTH_MQ"]
    server = Server("--upstream", f"secretsmanager={upstream.url}", "--broker", f"orders=amqp://127.0.0.1:{broker.port}")
    try:
        yield server.start()
        server.stop()
    finally:
        server.close()
        support.server.HEARTH = usual


deploy = deploys_on("server")


def mapped(function, queue, secret, state="Enabled", **args):
    access = [{"Type": "BASIC_AUTH", "URI": secret}, {"Type": "VIRTUAL_HOST", "URI": "/"}]
    made = function.client.create_event_source_mapping(FunctionName=function.name, EventSourceArn=ARN, Queues=[queue], SourceAccessConfigurations=access, **args)
    settled(function.client, made["UUID"], state)
    return made["UUID"]


def texts(server, function, queue):
    """What came, a list for each invoke."""
    return [[base64.b64decode(record["data"]).decode() for record in run["event"]["rmqMessagesByQueue"][f"{queue}::/"]] for run in said(server, function)]


def come(server, function, queue, count):
    wait_until(lambda: sum(map(len, texts(server, function, queue))) >= count, WAIT_S, lambda: f"{texts(server, function, queue)}")
    return texts(server, function, queue)


def result(function, uuid):
    return function.client.get_event_source_mapping(UUID=uuid).get("LastProcessingResult", "")


def test_messages_come_as_lambda_has_them_and_leave_their_queue(server, deploy, broker, secret):
    function, queue = deploy(OBEY), unique("q")
    broker.put(queue, b"a", b"b" * 100_000, content_type="text/plain", headers={"h": "he", "n": 10}, timestamp=2021, priority=3)
    uuid = mapped(function, queue, secret)
    assert [text for batch in come(server, function, queue, 2) for text in batch] == ["a", "b" * 100_000]
    event = said(server, function)[0]["event"]
    assert (event["eventSource"], event["eventSourceArn"]) == ("aws:rmq", ARN)
    record = event["rmqMessagesByQueue"][f"{queue}::/"][0]
    assert record["redelivered"] is False
    properties = record["basicProperties"]
    assert properties["headers"] == {"h": {"bytes": [104, 101]}, "n": 10}
    assert [properties[name] for name in ("contentType", "deliveryMode", "priority", "bodySize")] == ["text/plain", 2, 3, 1]
    assert (properties["timestamp"], properties["replyTo"]) == ("Jan 1, 1970, 12:33:41 AM", None)
    wait_until(lambda: result(function, uuid) == "OK", WAIT_S, lambda: result(function, uuid))
    function.client.delete_event_source_mapping(UUID=uuid)
    wait_until(lambda: not function.client.list_event_source_mappings(FunctionName=function.name)["EventSourceMappings"], WAIT_S, "it stays")
    assert broker.left(queue) == 0


def test_a_batch_that_fails_comes_again_and_what_filters_hold_back_is_gone(server, deploy, broker, secret):
    function, queue = deploy(OBEY), unique("q")
    broker.put(queue, b'{"n": 1}', b"fail once", b'{"n": 2}')
    patterns = [json.dumps({"data": ["fail once"]}), json.dumps({"data": {"n": [2]}})]
    uuid = mapped(function, queue, secret, MaximumBatchingWindowInSeconds=1, FilterCriteria={"Filters": [{"Pattern": pattern} for pattern in patterns]})
    assert come(server, function, queue, 4) == [["fail once", '{"n": 2}']] * 2
    function.client.delete_event_source_mapping(UUID=uuid)
    wait_until(lambda: not function.client.list_event_source_mappings(FunctionName=function.name)["EventSourceMappings"], WAIT_S, "it stays")
    assert broker.left(queue) == 0


def test_a_broker_that_goes_away_is_told_and_found_again(server, deploy, broker, secret):
    function, queue = deploy(OBEY), unique("q")
    broker.put(queue, b"before")
    uuid = mapped(function, queue, secret)
    come(server, function, queue, 1)
    broker.stop()
    wait_until(lambda: result(function, uuid).startswith("PROBLEM: the broker"), WAIT_S, lambda: result(function, uuid))
    broker.start()
    broker.put(queue, b"after")
    wait_until(lambda: any("after" in batch for batch in texts(server, function, queue)), WAIT_S, lambda: f"{texts(server, function, queue)}")


def test_who_may_not_enter_or_has_no_queue_is_told(server, deploy, broker, secret, upstream):
    function, queue = deploy(OBEY), unique("none")
    uuid = mapped(function, queue, secret)
    wait_until(lambda: result(function, uuid).startswith("PROBLEM: the broker"), WAIT_S, lambda: result(function, uuid))
    function, queue = deploy(OBEY), unique("q")
    broker.put(queue, b"a")
    uuid = mapped(function, queue, upstream.secret("guest", "wrong"))
    wait_until(lambda: result(function, uuid).startswith("PROBLEM: the broker"), WAIT_S, lambda: result(function, uuid))
    assert broker.left(queue) == 1 and not said(server, function)


def test_what_is_missing_is_said(server, deploy, secret):
    function = deploy(OBEY)
    made = function.client.create_event_source_mapping(
        FunctionName=function.name, EventSourceArn=ARN.replace("orders", "others"), Queues=["q"], SourceAccessConfigurations=[{"Type": "BASIC_AUTH", "URI": secret}]
    )
    settled(function.client, made["UUID"], "Disabled")
    assert "--broker NAME=amqp://HOST:PORT" in function.client.get_event_source_mapping(UUID=made["UUID"])["StateTransitionReason"]
