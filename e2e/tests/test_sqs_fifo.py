"""SQS's FIFO queues: the order of groups, one at a time of each, and what is sent twice. Time is moved by hand."""

import hashlib
import json
import threading

import pytest

from conftest import service_on, unique
from support.clock import advance
from support.errors import refusal_code
from test_sqs import arn_of, receive

sqs = service_on("manual", "sqs")


@pytest.fixture
def make(sqs):
    def make(name=None, tags=None, **attributes):
        attributes = {"FifoQueue": "true", **attributes}
        return sqs.create_queue(QueueName=unique(name or "q") + ".fifo", Attributes=attributes, tags=tags or {})["QueueUrl"]
    return make


def send(sqs, url, group, body, **args):
    return sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId=group, **{"MessageDeduplicationId": unique("d"), **args})


def bodies(messages):
    return [message["Body"] for message in messages]


def delete(sqs, url, messages):
    entries = [{"Id": str(n), "ReceiptHandle": message["ReceiptHandle"]} for n, message in enumerate(messages)]
    assert len(sqs.delete_message_batch(QueueUrl=url, Entries=entries)["Successful"]) == len(messages)


def test_a_group_keeps_its_order_and_is_in_one_hand_at_a_time(sqs, make):
    queue = make()
    sent = [send(sqs, queue, "g", str(n)) for n in range(4)] + [send(sqs, queue, "h", "other")]
    numbers = [int(answer["SequenceNumber"]) for answer in sent]
    assert numbers == sorted(set(numbers)) and all(len(str(number)) == 20 for number in numbers)
    first = receive(sqs, queue, MaxNumberOfMessages=2, MessageSystemAttributeNames=["All"])
    assert bodies(first) == ["0", "1"]
    assert [message["MessageId"] for message in first] == [answer["MessageId"] for answer in sent[:2]]
    shown = first[0]["Attributes"]
    assert (shown["MessageGroupId"], shown["SequenceNumber"]) == ("g", sent[0]["SequenceNumber"])
    assert shown["MessageDeduplicationId"].startswith("d")
    assert bodies(receive(sqs, queue)) == ["other"], "the group is in other hands"
    delete(sqs, queue, first[:1])
    assert receive(sqs, queue) == [], "one of it still is"
    sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=first[1]["ReceiptHandle"], VisibilityTimeout=0)
    rest = receive(sqs, queue)
    assert bodies(rest) == ["1", "2", "3"]
    delete(sqs, queue, rest)
    counts = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert counts["ApproximateNumberOfMessagesNotVisible"] == "1" and counts["ApproximateNumberOfMessages"] == "0"


def test_a_group_comes_again_when_its_time_is_over(manual, sqs, make):
    queue = make(VisibilityTimeout="10")
    send(sqs, queue, "g", "a"), send(sqs, queue, "g", "b")
    [late] = receive(sqs, queue, MaxNumberOfMessages=1)
    advance(manual, "9s")
    assert receive(sqs, queue) == []
    advance(manual, "2s")
    error = refusal_code(sqs.delete_message, QueueUrl=queue, ReceiptHandle=late["ReceiptHandle"])
    assert error == "InvalidParameterValue", "its time is over"
    assert bodies(receive(sqs, queue)) == ["a", "b"]


@pytest.mark.parametrize("attributes, again, elsewhere", [
    ({}, "same", "same"),
    ({"DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"}, "same", "new"),
])
def test_what_is_sent_twice_comes_once(manual, sqs, make, attributes, again, elsewhere):
    queue = make(**attributes)
    first = send(sqs, queue, "g", "a", MessageDeduplicationId="d")

    def says(answer):
        return "same" if answer["MessageId"] == first["MessageId"] and answer["SequenceNumber"] == first["SequenceNumber"] else "new"
    assert says(send(sqs, queue, "g", "b", MessageDeduplicationId="d")) == again
    assert says(send(sqs, queue, "h", "b", MessageDeduplicationId="d")) == elsewhere
    delete(sqs, queue, receive(sqs, queue))
    advance(manual, "4m")
    assert says(send(sqs, queue, "g", "b", MessageDeduplicationId="d")) == again, "though it is gone"
    advance(manual, "61s")
    assert says(send(sqs, queue, "g", "after five minutes", MessageDeduplicationId="d")) == "new"
    assert bodies(receive(sqs, queue)) == ["after five minutes"]


def test_the_body_may_be_the_deduplication_id(sqs, make):
    queue = make(ContentBasedDeduplication="true")
    for body in ["a", "b", "a"]:
        sqs.send_message(QueueUrl=queue, MessageBody=body, MessageGroupId="g")
    messages = receive(sqs, queue, AttributeNames=["All"])
    assert bodies(messages) == ["a", "b"]
    assert messages[0]["Attributes"]["MessageDeduplicationId"] == hashlib.sha256(b"a").hexdigest()
    entry = {"MessageBody": "c", "MessageGroupId": "other"}
    batch = sqs.send_message_batch(QueueUrl=queue, Entries=[{"Id": "1", **entry}, {"Id": "2", **entry}])["Successful"]
    assert batch[0]["MessageId"] == batch[1]["MessageId"]
    assert bodies(receive(sqs, queue)) == ["c"]


@pytest.mark.parametrize("args, code", [
    ({"MessageDeduplicationId": "d"}, "MissingParameter"),
    ({"MessageGroupId": "g"}, "InvalidParameterValue"),
    ({"MessageGroupId": "a b", "MessageDeduplicationId": "d"}, "InvalidParameterValue"),
    ({"MessageGroupId": "g" * 129, "MessageDeduplicationId": "d"}, "InvalidParameterValue"),
    ({"MessageGroupId": "g", "MessageDeduplicationId": "d" * 129}, "InvalidParameterValue"),
    ({"MessageGroupId": "g", "MessageDeduplicationId": "d", "DelaySeconds": 5}, "InvalidParameterValue"),
])
def test_what_a_fifo_queue_needs(sqs, make, args, code):
    queue = make()
    assert refusal_code(sqs.send_message, QueueUrl=queue, MessageBody="a", **args) == code
    assert receive(sqs, queue) == []


@pytest.mark.parametrize("attributes, code", [
    ({"FifoThroughputLimit": "perMessageGroupId"}, "InvalidAttributeValue"),
    ({"DeduplicationScope": "x"}, "InvalidAttributeValue"),
    ({"FifoQueue": "false"}, "InvalidAttributeValue"),
])
def test_attributes_of_fifo_queues_are_checked(sqs, make, attributes, code):
    queue = make()
    assert refusal_code(sqs.set_queue_attributes, QueueUrl=queue, Attributes=attributes) == code
    standard = sqs.create_queue(QueueName=unique("q"))["QueueUrl"]
    expected = "InvalidAttributeName" if "FifoQueue" not in attributes else None
    if expected:
        assert refusal_code(sqs.set_queue_attributes, QueueUrl=standard, Attributes=attributes) == expected


def test_what_is_received_too_often_leaves_the_way_for_others(sqs, make):
    dead = make("dead")
    policy = json.dumps({"deadLetterTargetArn": arn_of(dead), "maxReceiveCount": 2})
    queue = make(RedrivePolicy=policy, VisibilityTimeout="0")
    bad, good = send(sqs, queue, "g", "bad"), send(sqs, queue, "g", "good")
    for _ in range(2):
        assert bodies(receive(sqs, queue, MaxNumberOfMessages=1)) == ["bad"]
    [message] = receive(sqs, queue, MaxNumberOfMessages=1, VisibilityTimeout=30)
    assert message["MessageId"] == good["MessageId"]
    [letter] = receive(sqs, dead, AttributeNames=["All"])
    assert letter["MessageId"] == bad["MessageId"] and letter["Attributes"]["MessageGroupId"] == "g"
    assert letter["Attributes"]["DeadLetterQueueSourceArn"] == arn_of(queue)
    standard = sqs.create_queue(QueueName=unique("q"))["QueueUrl"]
    other = json.dumps({"deadLetterTargetArn": arn_of(standard), "maxReceiveCount": 2})
    assert refusal_code(sqs.set_queue_attributes, QueueUrl=queue, Attributes={"RedrivePolicy": other}) == "InvalidParameterValue"


def test_many_receivers_get_each_group_in_its_order(sqs, make):
    queue = make()
    groups, each = 8, 12
    for n in range(each):
        entries = [{"Id": f"{group}", "MessageBody": f"{group}-{n}", "MessageGroupId": f"{group}", "MessageDeduplicationId": f"{group}-{n}"}
                   for group in range(groups)]
        assert not sqs.send_message_batch(QueueUrl=queue, Entries=entries).get("Failed")
    seen, lock = [], threading.Lock()

    def work():
        while messages := receive(sqs, queue, MaxNumberOfMessages=3, WaitTimeSeconds=1):
            with lock:
                seen.extend(bodies(messages))
            delete(sqs, queue, messages)
    workers = [threading.Thread(target=work) for _ in range(6)]
    [worker.start() for worker in workers], [worker.join() for worker in workers]
    assert len(seen) == len(set(seen)) == groups * each
    for group in range(groups):
        assert [body for body in seen if body.startswith(f"{group}-")] == [f"{group}-{n}" for n in range(each)]


def test_a_receive_that_is_asked_for_again_gives_the_same(manual, sqs, make):
    queue = make(VisibilityTimeout="30")
    for n in range(3):
        send(sqs, queue, "g", str(n))
    again = {"ReceiveRequestAttemptId": "try-1", "MaxNumberOfMessages": 2, "MessageSystemAttributeNames": ["All"]}
    first = receive(sqs, queue, **again)
    assert bodies(first) == ["0", "1"]
    advance(manual, "20s")
    assert receive(sqs, queue, **again) == first, "the same handles, and it counts once"
    assert receive(sqs, queue, **{**again, "ReceiveRequestAttemptId": "try-2"}) == []
    advance(manual, "20s")
    assert receive(sqs, queue) == [], "they are hidden anew"
    delete(sqs, queue, first[:1])
    assert receive(sqs, queue, **again) == [], "one of them is gone, and the other is in these hands"
    advance(manual, "20s")
    later = receive(sqs, queue, **again)
    assert bodies(later) == ["1", "2"] and later[0]["ReceiptHandle"] != first[1]["ReceiptHandle"]
    delete(sqs, queue, later)
    assert refusal_code(sqs.receive_message, QueueUrl=queue, ReceiveRequestAttemptId="ü") == "InvalidParameterValue"
    plain = sqs.create_queue(QueueName=unique("q"))["QueueUrl"]
    sqs.send_message(QueueUrl=plain, MessageBody="m")
    assert bodies(receive(sqs, plain, ReceiveRequestAttemptId="a")) == ["m"] and receive(sqs, plain, ReceiveRequestAttemptId="a") == []
