"""Hours of retries, told in a moment by a clock that is moved by hand. No test here waits for time to pass."""

import json
import threading

import pytest

from conftest import client_of, deployer, deploys_on, unique
from support.clients import service_of
from support.clock import MANUAL, advance, now_ms
from support.events import SAY, said, send
from support.server import wait_until

SIX_HOURS_MS = 6 * 3_600_000


deploy = deploys_on("manual")


class Queue:
    """A queue of a server's, and all that ever was in it."""

    def __init__(self, server):
        self.sqs = service_of(server, "sqs")
        self.url = self.sqs.create_queue(QueueName=unique("q"))["QueueUrl"]
        self.got = []
        self.arn = f"arn:aws:sqs:us-east-1:000000000000:{self.url.rsplit('/', 1)[1]}"

    def messages(self):
        got = self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10, AttributeNames=["All"], MessageAttributeNames=["All"])
        for message in got.get("Messages", []):
            self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
            self.got.append(message)
        return self.got

    def records(self):
        return [json.loads(message["Body"]) for message in self.messages()]


def configure(function, failure, **settings):
    function.client.put_function_event_invoke_config(
        FunctionName=function.name, DestinationConfig={"OnFailure": {"Destination": failure.arn}}, **settings)


def contexts(queue):
    return [(record["requestContext"]["condition"], record["requestContext"]["approximateInvokeCount"]) for record in queue.records()]


def test_retries_come_after_one_and_two_minutes(manual, deploy):
    failures, dead = Queue(manual), Queue(manual)
    function = deploy(SAY, DeadLetterConfig={"TargetArn": dead.arn})
    configure(function, failures)
    sent = send(function, {"fail": "always"})
    runs = []
    for by in ("0s", "59s", "1s", "119s"):
        advance(manual, by)
        runs.append(len(said(manual, function)))
    assert runs == [1, 1, 2, 2]
    assert (failures.messages(), dead.messages()) == ([], [])
    ends = advance(manual, "1s")
    assert [run["id"] for run in said(manual, function)] == [sent] * 3
    assert contexts(failures) == [("RetriesExhausted", 3)]
    [letter] = dead.messages()
    assert json.loads(letter["Body"]) == {"fail": "always"}
    attributes = {name: attribute["StringValue"] for name, attribute in letter["MessageAttributes"].items()}
    assert attributes == {"RequestID": sent, "ErrorCode": "200", "ErrorMessage": "always"}
    assert int(letter["Attributes"]["SentTimestamp"]) == ends


def test_one_step_of_six_hours_leads_to_what_many_small_ones_do(manual, deploy):
    function, failures = deploy(SAY), Queue(manual)
    configure(function, failures)
    began = now_ms(manual)
    for n in range(5):
        send(function, {"fail": f"always {n}"})
    assert advance(manual, "6h") == began + SIX_HOURS_MS
    assert sorted(run["event"]["fail"] for run in said(manual, function)) == sorted([f"always {n}" for n in range(5)] * 3)
    assert contexts(failures) == [("RetriesExhausted", 3)] * 5
    assert {int(message["Attributes"]["SentTimestamp"]) for message in failures.messages()} == {began + 180_000}


def test_an_event_without_room_is_tried_ever_more_rarely_until_it_is_six_hours_old(alone):
    server = alone(*MANUAL)
    deploy, _ = deployer(client_of(server))
    function, failures = deploy(SAY, Timeout=900), Queue(server)
    configure(function, failures)
    function.client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=1)
    # It has the only place for as long as the server lives.
    threading.Thread(target=lambda: pytest.raises(Exception, function.invoke, {"sleep": 800}), daemon=True).start()
    wait_until(lambda: is_busy(server, function), 60, "the place is not taken")
    sent = send(function, {"late": True})
    advance(server, "5h 59m 59s")
    assert failures.messages() == []
    advance(server, "1s")
    [record] = failures.records()
    assert record["requestContext"]["requestId"] == sent
    assert contexts(failures) == [("EventAgeExceeded", 0)]
    assert said(server, function) == []


def is_busy(server, function):
    return server.states(function) in (["Init"], ["Busy"])


def test_an_event_that_is_too_old_is_not_tried_again(manual, deploy):
    function, failures = deploy(SAY), Queue(manual)
    configure(function, failures, MaximumEventAgeInSeconds=90)
    send(function, {"fail": "twice"})
    advance(manual, "89s")
    assert (len(said(manual, function)), failures.messages()) == (2, [])
    advance(manual, "1s")
    assert len(said(manual, function)) == 2
    [record] = failures.records()
    assert contexts(failures) == [("EventAgeExceeded", 2)]
    assert record["responsePayload"]["errorMessage"] == "twice"


def test_an_alias_stands_for_what_it_is_when_the_event_runs(manual, deploy):
    function = deploy(SAY)
    function.client.publish_version(FunctionName=function.name)
    function.update(Description="another")
    function.client.publish_version(FunctionName=function.name)
    function.client.create_alias(FunctionName=function.name, Name="live", FunctionVersion="1")
    send(function, {"fail": "twice"}, Qualifier="live")
    advance(manual, "1s")
    function.client.update_alias(FunctionName=function.name, Name="live", FunctionVersion="2")
    advance(manual, "1m")
    assert [run["version"] for run in said(manual, function)] == ["1", "2"]


def test_what_a_function_does_takes_real_time(manual, deploy):
    function = deploy(SAY, Timeout=3)
    send(function, {"sleep": 1})
    began = now_ms(manual)
    advance(manual, "6h")
    [run] = said(manual, function)
    assert run["ended"] - run["began"] >= 1 and now_ms(manual) == began + SIX_HOURS_MS


def test_what_a_bucket_tells_is_heard_before_the_clock_has_moved(manual, deploy):
    s3 = service_of(manual, "s3")
    bucket, function, ended = unique("b"), deploy(SAY), Queue(manual)
    configure(function, ended)
    arn = f"arn:aws:lambda:us-east-1:000000000000:function:{function.name}"
    s3.create_bucket(Bucket=bucket)
    function.client.add_permission(FunctionName=function.name, StatementId="s", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com")
    told = {"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"LambdaFunctionConfigurations": [told]})
    for count in range(1, 13):
        s3.put_object(Bucket=bucket, Key=str(count), Body=b"")
        advance(manual, "1s")
        assert len(said(manual, function)) == count
