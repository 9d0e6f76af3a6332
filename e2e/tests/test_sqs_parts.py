"""The parts of SQS around messages: permissions, tags, purges, deletion, retention, delays, move tasks. Time is moved by hand."""

import json

import pytest

from conftest import service_on, unique
from support.clock import advance
from support.errors import refusal_code
from support.server import wait_until
from test_sqs import arn_of, receive

sqs = service_on("manual", "sqs")


@pytest.fixture
def make(sqs):
    return lambda **attributes: sqs.create_queue(QueueName=unique("q"), Attributes=attributes)["QueueUrl"]


def counts(sqs, url):
    shown = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return tuple(int(shown[f"ApproximateNumberOfMessages{kind}"]) for kind in ("", "NotVisible", "Delayed"))


def test_messages_are_counted_by_what_they_are(manual, sqs, make):
    queue = make()
    for delay in (0, 0, 30):
        sqs.send_message(QueueUrl=queue, MessageBody="a", DelaySeconds=delay)
    assert counts(sqs, queue) == (2, 0, 1)
    assert len(receive(sqs, queue, MaxNumberOfMessages=1)) == 1
    assert counts(sqs, queue) == (1, 1, 1)
    advance(manual, "31s")
    assert counts(sqs, queue) == (3, 0, 0)


def test_a_delay_of_the_queue_is_of_each_message_that_says_nothing(manual, sqs, make):
    queue = make(DelaySeconds="20")
    sqs.send_message(QueueUrl=queue, MessageBody="late")
    sqs.send_message(QueueUrl=queue, MessageBody="now", DelaySeconds=0)
    assert [message["Body"] for message in receive(sqs, queue)] == ["now"]
    advance(manual, "21s")
    assert [message["Body"] for message in receive(sqs, queue)] == ["late"]


def test_what_is_too_old_goes(manual, sqs, make):
    queue = make(MessageRetentionPeriod="60")
    sqs.send_message(QueueUrl=queue, MessageBody="a")
    advance(manual, "59s")
    assert counts(sqs, queue) == (1, 0, 0)
    advance(manual, "2s")
    assert counts(sqs, queue) == (0, 0, 0) and receive(sqs, queue) == []


def test_a_visibility_is_twelve_hours_in_all(manual, sqs, make):
    queue = make()
    sqs.send_message(QueueUrl=queue, MessageBody="a")
    [message] = receive(sqs, queue)
    change = dict(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    assert refusal_code(sqs.change_message_visibility, **change, VisibilityTimeout=43201) == "InvalidParameterValue"
    sqs.change_message_visibility(**change, VisibilityTimeout=43200)
    advance(manual, "1s")
    assert refusal_code(sqs.change_message_visibility, **change, VisibilityTimeout=43200) == "InvalidParameterValue"
    sqs.change_message_visibility(**change, VisibilityTimeout=5)
    advance(manual, "6s")
    code = refusal_code(sqs.change_message_visibility, **change, VisibilityTimeout=5)
    assert code == "AWS.SimpleQueueService.MessageNotInflight"


def test_a_queue_is_purged_once_a_minute(manual, sqs, make):
    queue = make()
    sqs.send_message(QueueUrl=queue, MessageBody="a")
    sqs.purge_queue(QueueUrl=queue)
    assert counts(sqs, queue) == (0, 0, 0)
    assert refusal_code(sqs.purge_queue, QueueUrl=queue) == "AWS.SimpleQueueService.PurgeQueueInProgress"
    advance(manual, "61s")
    sqs.purge_queue(QueueUrl=queue)


def test_a_name_rests_for_a_minute(manual, sqs):
    name = unique("q")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="a")
    sqs.delete_queue(QueueUrl=url)
    assert refusal_code(sqs.get_queue_url, QueueName=name) == "AWS.SimpleQueueService.NonExistentQueue"
    assert refusal_code(sqs.create_queue, QueueName=name) == "AWS.SimpleQueueService.QueueDeletedRecently"
    advance(manual, "61s")
    assert counts(sqs, sqs.create_queue(QueueName=name)["QueueUrl"]) == (0, 0, 0)


def test_permissions_are_statements_of_the_policy(sqs, make):
    queue = make()
    one = dict(QueueUrl=queue, Label="one", AWSAccountIds=["111111111111"], Actions=["ReceiveMessage"])
    sqs.add_permission(**one)
    policy = json.loads(sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["Policy"])["Attributes"]["Policy"])
    assert policy == {"Version": "2008-10-17", "Id": f"{arn_of(queue)}/SQSDefaultPolicy", "Statement": [
        {"Sid": "one", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111111111111:root"},
         "Action": "SQS:ReceiveMessage", "Resource": arn_of(queue)}]}
    assert refusal_code(sqs.add_permission, **one) == "InvalidParameterValue"
    assert refusal_code(sqs.add_permission, **{**one, "Label": "two", "Actions": ["CreateQueue"]}) == "InvalidParameterValue"
    assert refusal_code(sqs.add_permission, **{**one, "Label": "two", "Actions": ["SendMessage"] * 8}) == "OverLimit"
    assert refusal_code(sqs.remove_permission, QueueUrl=queue, Label="two") == "InvalidParameterValue"
    sqs.remove_permission(QueueUrl=queue, Label="one")
    assert "Attributes" not in sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["Policy"])


def redrive(dead, most=1):
    return json.dumps({"deadLetterTargetArn": arn_of(dead), "maxReceiveCount": str(most)})


def test_a_dead_letter_queue_says_whose_it_is(sqs, make):
    dead = make()
    for policy in ('{"redrivePermission": "x"}', '{"redrivePermission": "byQueue"}', "x"):
        assert refusal_code(sqs.set_queue_attributes, QueueUrl=dead, Attributes={"RedriveAllowPolicy": policy}) == "InvalidParameterValue"
    queue, other = make(), make()
    allow = json.dumps({"redrivePermission": "byQueue", "sourceQueueArns": [arn_of(queue)]})
    sqs.set_queue_attributes(QueueUrl=dead, Attributes={"RedriveAllowPolicy": allow})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"RedrivePolicy": redrive(dead)})
    code = refusal_code(sqs.set_queue_attributes, QueueUrl=other, Attributes={"RedrivePolicy": redrive(dead)})
    assert code == "InvalidParameterValue"
    assert sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == [queue]


def dead_letters(sqs, queue, dead, bodies):
    for body in bodies:
        sqs.send_message(QueueUrl=queue, MessageBody=body)
    while messages := receive(sqs, queue, VisibilityTimeout=0):
        assert len(messages) <= 10
    assert counts(sqs, dead) == (len(bodies), 0, 0)


def test_dead_letters_go_back_to_where_they_came_from(sqs, make):
    dead = make()
    queue = make(RedrivePolicy=redrive(dead))
    assert refusal_code(sqs.start_message_move_task, SourceArn=arn_of(queue)) == "InvalidParameterValue"
    assert refusal_code(sqs.start_message_move_task, SourceArn=arn_of(queue) + "x") == "ResourceNotFoundException"
    dead_letters(sqs, queue, dead, [str(n) for n in range(25)])
    handle = sqs.start_message_move_task(SourceArn=arn_of(dead))["TaskHandle"]

    def task():
        [task] = sqs.list_message_move_tasks(SourceArn=arn_of(dead))["Results"]
        return task
    wait_until(lambda: task()["Status"] == "COMPLETED", 60, "the task is done")
    assert (task()["ApproximateNumberOfMessagesMoved"], task()["ApproximateNumberOfMessagesToMove"]) == (25, 25)
    assert "TaskHandle" not in task()
    assert refusal_code(sqs.cancel_message_move_task, TaskHandle=handle) == "AWS.SimpleQueueService.UnsupportedOperation"
    assert counts(sqs, dead) == (0, 0, 0) and counts(sqs, queue) == (25, 0, 0)
    [message, *_] = receive(sqs, queue, AttributeNames=["All"])
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    assert "DeadLetterQueueSourceArn" not in message["Attributes"]


def test_a_slow_move_can_be_stopped(manual, sqs, make):
    dead, elsewhere = make(), make()
    queue = make(RedrivePolicy=redrive(dead))
    dead_letters(sqs, queue, dead, [str(n) for n in range(12)])
    start = dict(SourceArn=arn_of(dead), DestinationArn=arn_of(elsewhere), MaxNumberOfMessagesPerSecond=5)
    handle = sqs.start_message_move_task(**start)["TaskHandle"]
    assert refusal_code(sqs.start_message_move_task, **start) == "AWS.SimpleQueueService.UnsupportedOperation"
    wait_until(lambda: counts(sqs, elsewhere)[0] == 5, 60, "some are moved")
    assert counts(sqs, dead) == (7, 0, 0), "time stands still"
    wait_until(lambda: sqs.list_message_move_tasks(SourceArn=arn_of(dead))["Results"][0]["ApproximateNumberOfMessagesMoved"] == 5,
               30, "the task says so")
    assert sqs.cancel_message_move_task(TaskHandle=handle)["ApproximateNumberOfMessagesMoved"] == 5
    advance(manual, "2s")
    [task] = sqs.list_message_move_tasks(SourceArn=arn_of(dead), MaxResults=10)["Results"]
    assert task["Status"] == "CANCELLED" and task["DestinationArn"] == arn_of(elsewhere)
    moved = counts(sqs, elsewhere)[0]
    assert moved + counts(sqs, dead)[0] == 12 and moved < 12


def test_tags_have_bounds(sqs, make):
    queue = make()
    assert refusal_code(sqs.tag_queue, QueueUrl=queue, Tags={"k" * 129: "v"}) == "InvalidParameterValue"
    assert refusal_code(sqs.tag_queue, QueueUrl=queue, Tags={"k": "v" * 257}) == "InvalidParameterValue"
    sqs.tag_queue(QueueUrl=queue, Tags={"k": "v", "l": ""})
    sqs.untag_queue(QueueUrl=queue, TagKeys=["k"])
    assert sqs.list_queue_tags(QueueUrl=queue)["Tags"] == {"l": ""}


def test_batches_are_judged_entry_by_entry(sqs, make):
    queue = make(MaximumMessageSize="1024")
    entries = [{"Id": "good", "MessageBody": "a"}, {"Id": "large", "MessageBody": "a" * 1025}, {"Id": "late", "MessageBody": "b", "DelaySeconds": 901}]
    answer = sqs.send_message_batch(QueueUrl=queue, Entries=entries)
    assert [entry["Id"] for entry in answer["Successful"]] == ["good"]
    assert {entry["Id"]: (entry["Code"], entry["SenderFault"]) for entry in answer["Failed"]} == {
        "large": ("InvalidParameterValue", True), "late": ("InvalidParameterValue", True)}
    too_long = [{"Id": str(n), "MessageBody": "a" * 600_000} for n in range(2)]
    assert refusal_code(sqs.send_message_batch, QueueUrl=make(), Entries=too_long) == "AWS.SimpleQueueService.BatchRequestTooLong"
    twice = [{"Id": "x", "MessageBody": "a"}] * 2
    assert refusal_code(sqs.send_message_batch, QueueUrl=queue, Entries=twice) == "AWS.SimpleQueueService.BatchEntryIdsNotDistinct"
