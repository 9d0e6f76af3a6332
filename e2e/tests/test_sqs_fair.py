"""Groups of standard queues: those of which few messages are in flight come before others. Time is moved by hand."""

import json

import pytest

from conftest import deploys_on, service_on, unique
from support.clients import service_of
from support.clock import advance
from support.errors import refusal_code
from support.server import Server
from support.sources import OBEY, mapped, records
from test_sqs import arn_of, sqs_of
from test_sqs import receive as receive_some

sqs = service_on("manual", "sqs")
deploy = deploys_on("manual")


@pytest.fixture
def make(sqs):
    return lambda **attributes: sqs.create_queue(QueueName=unique("q"), Attributes=attributes)["QueueUrl"]


def receive(sqs, url, **args):
    return receive_some(sqs, url, AttributeNames=["All"], **args)


def send(sqs, url, group, count):
    named = {"MessageGroupId": group} if group else {}
    for start in range(0, count, 10):
        entries = [{"Id": str(n), "MessageBody": f"{group} {n}", **named} for n in range(start, min(start + 10, count))]
        assert len(sqs.send_message_batch(QueueUrl=url, Entries=entries)["Successful"]) == len(entries)


def groups(sqs, url, count):
    """The groups of the next messages, one receive for each."""
    found = [receive(sqs, url, MaxNumberOfMessages=1) for _ in range(count)]
    return [message["Attributes"].get("MessageGroupId", "") for (message,) in found]


def test_a_calm_group_does_not_wait_behind_a_loud_one(manual, sqs, make):
    queue = make(VisibilityTimeout="30")
    send(sqs, queue, "loud", 100)
    assert groups(sqs, queue, 5) == ["loud"] * 5
    advance(manual, "1s")
    send(sqs, queue, "calm", 2)
    send(sqs, queue, "", 1)
    advance(manual, "1s")
    assert sorted(groups(sqs, queue, 3)) == ["", "calm", "calm"]
    assert groups(sqs, queue, 3) == ["loud"] * 3, "none waits while there is nothing else"
    # What was not deleted is there again, and no longer counts.
    advance(manual, "31s")
    send(sqs, queue, "calm", 1)
    assert len({message["MessageId"] for message in all_of(sqs, queue)}) == 104
    assert receive(sqs, queue) == []


def all_of(sqs, queue):
    found = []
    while messages := receive(sqs, queue):
        found += messages
    return found


def test_what_is_deleted_makes_room_for_its_group(manual, sqs, make):
    queue = make()
    send(sqs, queue, "a", 9)
    taken = receive(sqs, queue, MaxNumberOfMessages=6)
    send(sqs, queue, "b", 9)
    assert groups(sqs, queue, 3) == ["b"] * 3
    for message in taken:
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    assert groups(sqs, queue, 3) == ["a"] * 3


def test_a_group_is_shown_and_checked_and_goes_along(manual, sqs, make):
    dead, queue = make(), make()
    policy = json.dumps({"deadLetterTargetArn": arn_of(dead), "maxReceiveCount": 1})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"RedrivePolicy": policy})
    for args in ({"MessageGroupId": "a b"}, {"MessageGroupId": "g" * 129}, {"MessageGroupId": "g", "MessageDeduplicationId": "d"}):
        assert refusal_code(sqs.send_message, QueueUrl=queue, MessageBody="m", **args) == "InvalidParameterValue"
    sent = sqs.send_message(QueueUrl=queue, MessageBody="m", MessageGroupId="g")
    assert "SequenceNumber" not in sent
    (message,) = receive(sqs, queue, VisibilityTimeout=0)
    assert (message["MessageId"], message["Attributes"]["MessageGroupId"]) == (sent["MessageId"], "g")
    assert "SequenceNumber" not in message["Attributes"]
    assert receive(sqs, queue) == []
    (letter,) = receive(sqs, dead, VisibilityTimeout=0)
    assert (letter["MessageId"], letter["Attributes"]["MessageGroupId"]) == (sent["MessageId"], "g")
    sqs.start_message_move_task(SourceArn=arn_of(dead))
    advance(manual, "1s")
    (again,) = receive(sqs, queue)
    assert (again["Body"], again["Attributes"]["MessageGroupId"]) == ("m", "g")


def test_a_standard_topic_and_a_mapping_hand_the_group_on(manual, sqs, make, deploy):
    sns = service_of(manual, "sns")
    queue = make(Policy=json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": "*"}]}))
    topic = sns.create_topic(Name=unique("t"))["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn_of(queue), Attributes={"RawMessageDelivery": "true"})
    sns.publish(TopicArn=topic, Message="hello", MessageGroupId="tenant")
    function = deploy(OBEY)
    uuid = mapped(function, arn_of(queue))
    (record,) = records(manual, function, 1)
    assert (record["body"], record["attributes"]["MessageGroupId"]) == ("hello", "tenant")
    function.client.delete_event_source_mapping(UUID=uuid)


def test_groups_outlive_a_crash():
    server = Server()
    try:
        sqs = sqs_of(server.start())
        queue = sqs.create_queue(QueueName="q", Attributes={"VisibilityTimeout": "600"})["QueueUrl"]
        send(sqs, queue, "loud", 30)
        assert groups(sqs, queue, 4) == ["loud"] * 4
        server.kill()
        sqs = sqs_of(server.start())
        send(sqs, queue, "calm", 2)
        assert groups(sqs, queue, 3) == ["calm", "calm", "loud"]
        server.stop()
    finally:
        server.close()
