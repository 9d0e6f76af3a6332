"""Queues of ActiveMQ as event sources: a broker of the test's own, and an emulator for its password."""

import base64
import json

import pytest

from conftest import deploys_on, unique
from support.activemq import PASSWORD, USER, ActiveMq
from support.events import said
from support.server import Server, wait_until
from support.streams import WAIT_S, settled

ARN = "arn:aws:mq:us-east-1:000000000000:broker:orders:b-1"
OBEY = """
import base64, json, os
def handler(event, context):
    print("SAID " + json.dumps({"event": event, "id": context.aws_request_id}))
    for message in event["messages"]:
        if base64.b64decode(message["data"]) == b"fail once" and not os.path.exists("/tmp/failed"):
            open("/tmp/failed", "w").close()
            raise Exception("asked to fail")
"""


@pytest.fixture(scope="module")
def broker():
    broker = ActiveMq()
    yield broker
    broker.close()


@pytest.fixture(scope="module")
def secret(upstream):
    return upstream.secret(USER, PASSWORD)


@pytest.fixture(scope="module")
def server(broker, upstream):
    server = Server("--upstream", f"secretsmanager={upstream.url}", "--broker", f"orders=stomp://127.0.0.1:{broker.port}")
    try:
        yield server.start()
        server.stop()
    finally:
        server.close()


deploy = deploys_on("server")


def mapped(function, queue, secret, **args):
    access = [{"Type": "BASIC_AUTH", "URI": secret}]
    made = function.client.create_event_source_mapping(FunctionName=function.name, EventSourceArn=ARN, Queues=[queue], SourceAccessConfigurations=access, **args)
    settled(function.client, made["UUID"], "Enabled")
    return made["UUID"]


def gone(function, uuid):
    function.client.delete_event_source_mapping(UUID=uuid)
    wait_until(lambda: not function.client.list_event_source_mappings(FunctionName=function.name)["EventSourceMappings"], WAIT_S, "it stays")


def texts(server, function):
    """What came, a list for each invoke."""
    return [[base64.b64decode(message["data"]) for message in run["event"]["messages"]] for run in said(server, function)]


def come(server, function, count):
    wait_until(lambda: sum(map(len, texts(server, function))) >= count, WAIT_S, lambda: f"{texts(server, function)}")
    return texts(server, function)


def result(function, uuid):
    return function.client.get_event_source_mapping(UUID=uuid).get("LastProcessingResult", "")


def test_messages_come_as_lambda_has_them_and_leave_their_queue(server, deploy, broker, secret):
    function, queue = deploy(OBEY), unique("q")
    broker.put(queue, "a", **{"correlation-id": "c:1", "type": "t", "priority": "3", "reply-to": "/queue/r", "own": "a\\b:c"})
    broker.put(queue, b"b\0" * 50_000, "")
    uuid = mapped(function, queue, secret)
    assert [body for batch in come(server, function, 3) for body in batch] == [b"a", b"b\0" * 50_000, b""]
    event = said(server, function)[0]["event"]
    assert set(event) == {"eventSource", "eventSourceArn", "messages"}
    assert (event["eventSource"], event["eventSourceArn"]) == ("aws:mq", ARN)
    messages = [message for run in said(server, function) for message in run["event"]["messages"]]
    first = messages[0]
    assert {name: first[name] for name in ("messageType", "deliveryMode", "replyTo", "type", "expiration", "priority", "correlationId", "redelivered", "destination", "properties")} == {
        "messageType": "jms/text-message", "deliveryMode": 2, "replyTo": "/queue/r", "type": "t", "expiration": "0", "priority": 3,
        "correlationId": "c:1", "redelivered": False, "destination": {"physicalName": queue}, "properties": {"own": "a\\b:c"},
    }
    assert first["messageID"].startswith("ID:") and first["timestamp"] == first["brokerInTime"] <= first["brokerOutTime"]
    assert messages[1]["messageType"] == "jms/bytes-message" and messages[1]["replyTo"] is None
    wait_until(lambda: result(function, uuid) == "OK", WAIT_S, lambda: result(function, uuid))
    gone(function, uuid)
    assert broker.left(queue) == []


def test_a_batch_that_fails_comes_again_and_what_filters_hold_back_is_gone(server, deploy, broker, secret):
    function, queue = deploy(OBEY), unique("q")
    broker.put(queue, '{"n": 1}', "fail once", '{"n": 2}')
    patterns = [json.dumps({"data": ["fail once"]}), json.dumps({"data": {"n": [2]}})]
    uuid = mapped(function, queue, secret, MaximumBatchingWindowInSeconds=1, FilterCriteria={"Filters": [{"Pattern": pattern} for pattern in patterns]})
    assert come(server, function, 4) == [[b"fail once", b'{"n": 2}']] * 2
    gone(function, uuid)
    assert broker.left(queue) == []


def test_batches_have_the_size_that_was_asked_for(server, deploy, broker, secret):
    function, queue = deploy(OBEY), unique("q")
    broker.put(queue, *map(str, range(7)))
    mapped(function, queue, secret, BatchSize=3, MaximumBatchingWindowInSeconds=2)
    batches = come(server, function, 7)
    assert [int(body) for batch in batches for body in batch] == list(range(7)) and max(map(len, batches)) == 3


def test_a_broker_that_goes_away_is_told_and_found_again(server, deploy, broker, secret):
    function, queue = deploy(OBEY), unique("q")
    broker.put(queue, "before")
    uuid = mapped(function, queue, secret)
    come(server, function, 1)
    broker.stop()
    wait_until(lambda: result(function, uuid).startswith("PROBLEM: the broker"), WAIT_S, lambda: result(function, uuid))
    broker.start()
    broker.put(queue, "after")
    wait_until(lambda: any(b"after" in batch for batch in texts(server, function)), WAIT_S, lambda: f"{texts(server, function)}")


def test_who_may_not_enter_is_told(server, deploy, broker, upstream):
    function, queue = deploy(OBEY), unique("q")
    broker.put(queue, "a")
    uuid = mapped(function, queue, upstream.secret(USER, "wrong"))
    wait_until(lambda: "or password is invalid" in result(function, uuid), WAIT_S, lambda: result(function, uuid))
    gone(function, uuid)
    assert broker.left(queue) == [b"a"] and not said(server, function)
    uuid = mapped(function, "a,b", upstream.secret(USER, PASSWORD))
    wait_until(lambda: 'the queue "a,b" cannot be asked for' in result(function, uuid), WAIT_S, lambda: result(function, uuid))
