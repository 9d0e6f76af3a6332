"""SQS's queues as boto3 and the AWS CLI use them, and dead letters and records of events in them."""

import hashlib
import json
import threading
import time

import pytest
from botocore.exceptions import ClientError

from conftest import deploys_on, service_on, unique
from support.errors import refusal_code
from support.events import SAY, said, send
from support.server import wait_until
from support.sources import sqs_of

sqs = service_on("quick", "sqs")


@pytest.fixture
def queue(sqs):
    url = sqs.create_queue(QueueName=unique("q"))["QueueUrl"]
    yield url
    sqs.delete_queue(QueueUrl=url)


deploy = deploys_on("quick")


def arn_of(url):
    return f"arn:aws:sqs:us-east-1:000000000000:{url.rsplit('/', 1)[1]}"


def receive(sqs, url, **args):
    return sqs.receive_message(QueueUrl=url, **{"MaxNumberOfMessages": 10, **args}).get("Messages", [])


def test_queues_are_made_shown_and_deleted(quick, sqs):
    name = unique("q")
    made = sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "5"}, tags={"a": "1"})["QueueUrl"]
    assert made == f"{quick.url}/000000000000/{name}"
    assert sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "5"})["QueueUrl"] == made
    assert refusal_code(sqs.create_queue, QueueName=name, Attributes={"VisibilityTimeout": "6"}) == "QueueAlreadyExists"
    assert sqs.get_queue_url(QueueName=name)["QueueUrl"] == made
    assert made in sqs.list_queues(QueueNamePrefix=name)["QueueUrls"]
    shown = sqs.get_queue_attributes(QueueUrl=made, AttributeNames=["All"])["Attributes"]
    assert shown.pop("CreatedTimestamp") and shown.pop("LastModifiedTimestamp")
    assert shown == {
        "QueueArn": arn_of(made), "VisibilityTimeout": "5", "MaximumMessageSize": "1048576", "MessageRetentionPeriod": "345600",
        "DelaySeconds": "0", "ReceiveMessageWaitTimeSeconds": "0", "SqsManagedSseEnabled": "true", "ApproximateNumberOfMessages": "0",
        "ApproximateNumberOfMessagesNotVisible": "0", "ApproximateNumberOfMessagesDelayed": "0",
    }
    sqs.set_queue_attributes(QueueUrl=made, Attributes={"DelaySeconds": "1"})
    assert sqs.get_queue_attributes(QueueUrl=made, AttributeNames=["DelaySeconds"])["Attributes"] == {"DelaySeconds": "1"}
    sqs.tag_queue(QueueUrl=made, Tags={"b": "2"})
    sqs.untag_queue(QueueUrl=made, TagKeys=["a"])
    assert sqs.list_queue_tags(QueueUrl=made)["Tags"] == {"b": "2"}
    sqs.delete_queue(QueueUrl=made)
    for call, args in [(sqs.get_queue_url, {"QueueName": name}), (sqs.send_message, {"QueueUrl": made, "MessageBody": "x"})]:
        with pytest.raises(ClientError) as caught:
            call(**args)
        assert caught.value.response["Error"]["Code"] == "AWS.SimpleQueueService.NonExistentQueue"
        assert isinstance(caught.value, sqs.exceptions.QueueDoesNotExist)


@pytest.mark.parametrize("attributes, code", [
    ({"VisibilityTimeout": "43201"}, "InvalidAttributeValue"),
    ({"VisibilityTimeout": "x"}, "InvalidAttributeValue"),
    ({"RedrivePolicy": "{}"}, "InvalidParameterValue"),
    ({"Policy": "{"}, "InvalidAttributeValue"),
    ({"QueueArn": "x"}, "InvalidAttributeName"),
    ({"Nothing": "x"}, "InvalidAttributeName"),
    ({"FifoQueue": "true"}, "InvalidParameterValue"),
    ({"FifoQueue": "false"}, "InvalidAttributeName"),
])
def test_attributes_are_checked(sqs, attributes, code):
    assert refusal_code(sqs.create_queue, QueueName=unique("q"), Attributes=attributes) == code


def test_names_are_checked(sqs):
    assert refusal_code(sqs.create_queue, QueueName="a b") == "InvalidParameterValue"
    assert refusal_code(sqs.create_queue, QueueName="a" * 81) == "InvalidParameterValue"
    assert refusal_code(sqs.create_queue, QueueName="a.fifo") == "InvalidParameterValue"


def test_a_message_comes_back_as_it_was_sent(sqs, queue):
    attributes = {
        "text": {"DataType": "String", "StringValue": "ä"},
        "number": {"DataType": "Number.float", "StringValue": "1.50"},
        "bytes": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
    }
    # boto3 itself compares the checksums of body and attributes with its own.
    sent = sqs.send_message(QueueUrl=queue, MessageBody="body ä", MessageAttributes=attributes)
    assert sent["MD5OfMessageBody"] == hashlib.md5("body ä".encode()).hexdigest()
    [message] = receive(sqs, queue, MessageAttributeNames=["All"], MessageSystemAttributeNames=["All"])
    assert (message["MessageId"], message["Body"]) == (sent["MessageId"], "body ä")
    assert message["MessageAttributes"] == attributes
    assert message["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    assert {"SenderId", "SentTimestamp", "ApproximateFirstReceiveTimestamp"} < set(message["Attributes"])
    assert receive(sqs, queue) == []
    sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    [again] = receive(sqs, queue, AttributeNames=["ApproximateReceiveCount"], MessageAttributeNames=["nu*", "number"])
    assert again["Attributes"] == {"ApproximateReceiveCount": "2"} and set(again["MessageAttributes"]) == {"number"}
    assert again["ReceiptHandle"] != message["ReceiptHandle"]
    # Somebody else has it by now.
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    counts = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert counts["ApproximateNumberOfMessagesNotVisible"] == "1"
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=again["ReceiptHandle"])
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=again["ReceiptHandle"])
    assert refusal_code(sqs.change_message_visibility, QueueUrl=queue, ReceiptHandle=again["ReceiptHandle"], VisibilityTimeout=1) == "InvalidParameterValue"
    assert refusal_code(sqs.delete_message, QueueUrl=queue, ReceiptHandle="x") == "ReceiptHandleIsInvalid"


def test_batches(sqs, queue):
    entries = [{"Id": str(n), "MessageBody": str(n)} for n in range(9)] + [{"Id": "bad", "MessageBody": "\u0001"}]
    answer = sqs.send_message_batch(QueueUrl=queue, Entries=entries)
    assert [entry["Id"] for entry in answer["Successful"]] == [str(n) for n in range(9)]
    assert [(entry["Id"], entry["Code"], entry["SenderFault"]) for entry in answer["Failed"]] == [("bad", "InvalidMessageContents", True)]
    messages = receive(sqs, queue)
    assert sorted(message["Body"] for message in messages) == [str(n) for n in range(9)]
    shown = [{"Id": message["Body"], "ReceiptHandle": message["ReceiptHandle"]} for message in messages]
    sqs.change_message_visibility_batch(QueueUrl=queue, Entries=[{**entry, "VisibilityTimeout": 100} for entry in shown])
    assert len(sqs.delete_message_batch(QueueUrl=queue, Entries=shown)["Successful"]) == 9
    assert refusal_code(sqs.send_message_batch, QueueUrl=queue, Entries=[]) == "AWS.SimpleQueueService.EmptyBatchRequest"
    eleven = [{"Id": str(n), "MessageBody": "x"} for n in range(11)]
    assert refusal_code(sqs.send_message_batch, QueueUrl=queue, Entries=eleven) == "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"
    twice = [{"Id": "a", "MessageBody": "x"}] * 2
    assert refusal_code(sqs.send_message_batch, QueueUrl=queue, Entries=twice) == "AWS.SimpleQueueService.BatchEntryIdsNotDistinct"


def test_a_receiver_that_waits_gets_what_comes(sqs, queue):
    got = []
    waiting = threading.Thread(target=lambda: got.extend(receive(sqs, queue, WaitTimeSeconds=20)))
    began = time.monotonic()
    waiting.start()
    sqs.send_message(QueueUrl=queue, MessageBody="x", DelaySeconds=1)
    waiting.join(60)
    assert [message["Body"] for message in got] == ["x"] and time.monotonic() - began >= 0.9


def test_a_message_that_is_not_deleted_becomes_visible_again(sqs, queue):
    sqs.send_message(QueueUrl=queue, MessageBody="x")
    assert receive(sqs, queue, VisibilityTimeout=1)
    [again] = receive(sqs, queue, WaitTimeSeconds=20, MessageSystemAttributeNames=["ApproximateReceiveCount"])
    assert again["Attributes"]["ApproximateReceiveCount"] == "2"


def test_what_is_received_too_often_goes_to_the_dead_letter_queue(sqs, queue):
    source = sqs.create_queue(QueueName=unique("q"), Attributes={
        "VisibilityTimeout": "0", "RedrivePolicy": json.dumps({"deadLetterTargetArn": arn_of(queue), "maxReceiveCount": "2"})})["QueueUrl"]
    sent = sqs.send_message(QueueUrl=source, MessageBody="poison")
    wait_until(lambda: sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]["ApproximateNumberOfMessages"] == "1"
               or (receive(sqs, source) and False), 60, "it never went")
    [dead] = receive(sqs, queue, MessageSystemAttributeNames=["All"])
    assert (dead["MessageId"], dead["Body"]) == (sent["MessageId"], "poison")
    assert dead["Attributes"]["DeadLetterQueueSourceArn"] == arn_of(source)
    assert sqs.list_dead_letter_source_queues(QueueUrl=queue)["queueUrls"] == [source]
    sqs.delete_queue(QueueUrl=source)


def test_no_message_is_given_twice_while_it_is_invisible(sqs, queue):
    for _ in range(10):
        sqs.send_message_batch(QueueUrl=queue, Entries=[{"Id": str(n), "MessageBody": "x"} for n in range(10)])
    got, lock = [], threading.Lock()

    def work():
        while messages := receive(sqs, queue):
            with lock:
                got.extend(message["MessageId"] for message in messages)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == len(set(got)) == 100


def test_a_purged_queue_is_empty(sqs, queue):
    sqs.send_message(QueueUrl=queue, MessageBody="x")
    sqs.purge_queue(QueueUrl=queue)
    assert receive(sqs, queue) == []


def test_messages_outlive_the_server(alone):
    server = alone()
    sqs = sqs_of(server)
    queue = sqs.create_queue(QueueName="q")["QueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody="kept")
    [message] = receive(sqs, queue)
    server.kill()
    server.start()
    sqs = sqs_of(server)
    queue = sqs.get_queue_url(QueueName="q")["QueueUrl"]
    assert receive(sqs, queue) == [], "it is invisible still"
    sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    assert receive(sqs, queue)[0]["Body"] == "kept"
    server.stop()


def test_the_command_line(aws, server):
    def call(operation, *words, **args):
        # The first version of the CLI looks for queues at an older address of AWS's unless it is told here.
        return aws("sqs", operation, "--endpoint-url", server.url, *words, **args)

    queue = call("create-queue", "--queue-name", unique("cli"))["QueueUrl"]
    call("send-message", "--queue-url", queue, "--message-body", "hello")
    message = call("receive-message", "--queue-url", queue)["Messages"][0]
    assert message["Body"] == "hello"
    call("delete-message", "--queue-url", queue, "--receipt-handle", message["ReceiptHandle"])
    call("delete-queue", "--queue-url", queue)
    assert "NonExistentQueue" in call("send-message", "--queue-url", queue, "--message-body", "x", fails=True)


def test_events_that_fail_become_dead_letters(quick, sqs, queue, deploy):
    function = deploy(SAY, DeadLetterConfig={"TargetArn": arn_of(queue)})
    function.client.put_function_event_invoke_config(FunctionName=function.name, MaximumRetryAttempts=0)
    sent = send(function, {"fail": "no " + "x" * 2000})
    [letter] = receive(sqs, queue, WaitTimeSeconds=20, MessageAttributeNames=["All"])
    assert json.loads(letter["Body"]) == {"fail": "no " + "x" * 2000}
    assert letter["MessageAttributes"] == {
        "RequestID": {"DataType": "String", "StringValue": sent},
        "ErrorCode": {"DataType": "Number", "StringValue": "200"},
        "ErrorMessage": {"DataType": "String", "StringValue": ("no " + "x" * 2000)[:1024]},
    }
    sqs.purge_queue(QueueUrl=queue)
    function.update(DeadLetterConfig={"TargetArn": ""})
    send(function, {"fail": "again"})
    wait_until(lambda: len(said(quick, function)) == 2, 60, "it did not run")
    assert receive(sqs, queue, WaitTimeSeconds=1) == []


def test_records_go_to_queues(quick, sqs, queue, deploy):
    function = deploy(SAY)
    side = {"Destination": arn_of(queue)}
    function.client.put_function_event_invoke_config(
        FunctionName=function.name, MaximumRetryAttempts=0, DestinationConfig={"OnSuccess": side, "OnFailure": side})
    for event, condition in [({"a": 1}, "Success"), ({"fail": "no"}, "RetriesExhausted")]:
        sent = send(function, event)
        [message] = receive(sqs, queue, WaitTimeSeconds=20, MessageSystemAttributeNames=["AWSTraceHeader"])
        record = json.loads(message["Body"])
        assert (record["requestContext"]["requestId"], record["requestContext"]["condition"]) == (sent, condition)
        assert record["requestPayload"] == event and message["Attributes"]["AWSTraceHeader"].startswith("Root=1-")
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
