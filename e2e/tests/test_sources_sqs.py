"""Queues as event sources: what reaches the function, what stays in the queue, and the states of a mapping."""

import hashlib
import json

import pytest
from botocore.exceptions import ClientError

from conftest import client_of, deployer, service_on, unique
from support.clients import service_of
from support.clock import MANUAL, advance
from support.gates import waiting
from support.server import running, wait_until
from support.sources import OBEY, WAIT_S, arn_of, changed, empty, gone, heard, left, mapped, passing_on, records, said, send, settled, sqs_of

sqs = service_on("server", "sqs")


@pytest.fixture
def make(sqs):
    """Makes queues: make(VisibilityTimeout="1")."""
    made = []

    def make(**attributes):
        url = sqs.create_queue(QueueName=unique("q"), Attributes=attributes)["QueueUrl"]
        made.append(url)
        return url

    yield make
    for url in made:
        sqs.delete_queue(QueueUrl=url)


@pytest.fixture
def mapping(client):
    """Makes mappings that go with the test: mapping(function, url, BatchSize=1)."""
    made = []

    def make(function, url, **args):
        made.append(mapped(function, arn_of(url), **args))
        return made[-1]

    yield make
    for uuid in made:
        try:
            settled(client, uuid)
            client.delete_event_source_mapping(UUID=uuid)
        except client.exceptions.ResourceNotFoundException:
            continue
        gone(client, uuid)


@pytest.fixture(scope="module")
def still():
    """A server on which time passes only where a test lets it: messages stay hidden as long as their functions take."""
    with running(*MANUAL) as server:
        yield server


class Still:
    """What the fixtures above make, on that server; it takes all of it with itself."""

    def __init__(self, server):
        self.server, self.sqs = server, sqs_of(server)
        self.deploy, _ = deployer(client_of(server))

    def make(self, **attributes):
        return self.sqs.create_queue(QueueName=unique("q"), Attributes=attributes)["QueueUrl"]

    def until_hidden(self, url, count):
        """Waits until all of a queue's messages are with functions, or were, and so many stay."""
        wait_until(lambda: left(self.sqs, url) == (0, count), WAIT_S, lambda: f"{left(self.sqs, url)} messages in {url}")

    def show_again(self):
        """Lets the queues' usual 30 s pass."""
        advance(self.server, "31s")


def redriven(sqs, make, most=1, **attributes):
    """A queue whose messages go to another one after so many receives: both."""
    dead = make()
    policy = json.dumps({"deadLetterTargetArn": arn_of(dead), "maxReceiveCount": most})
    return make(RedrivePolicy=policy, **attributes), dead


def test_a_message_reaches_the_function_as_lambda_gives_it_and_is_gone(server, client, sqs, make, mapping, deploy):
    function, url = deploy(OBEY), make()
    uuid = mapping(function, url)
    made = client.get_event_source_mapping(UUID=uuid)
    assert (made["State"], made["StateTransitionReason"]) == ("Enabled", "USER_INITIATED") and "LastProcessingResult" not in made
    attributes = {"n": {"DataType": "Number", "StringValue": "1"}, "b": {"DataType": "Binary", "BinaryValue": b"\0\1"}}
    sent = sqs.send_message(QueueUrl=url, MessageBody='say "ü"', MessageAttributes=attributes)
    (record,) = records(server, function, 1)
    assert list(record) == ["messageId", "receiptHandle", "body", "attributes", "messageAttributes", "md5OfMessageAttributes", "md5OfBody", "eventSource", "eventSourceARN", "awsRegion"]
    assert (record["messageId"], record["body"], record["md5OfBody"]) == (sent["MessageId"], 'say "ü"', hashlib.md5('say "ü"'.encode()).hexdigest())
    assert (record["eventSource"], record["eventSourceARN"], record["awsRegion"]) == ("aws:sqs", arn_of(url), "us-east-1")
    assert list(record["attributes"]) == ["ApproximateReceiveCount", "SentTimestamp", "SenderId", "ApproximateFirstReceiveTimestamp"]
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    lists = {"stringListValues": [], "binaryListValues": []}
    assert record["messageAttributes"] == {"b": {"binaryValue": "AAE=", **lists, "dataType": "Binary"}, "n": {"stringValue": "1", **lists, "dataType": "Number"}}
    assert record["md5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    empty(sqs, url)
    (run,) = said(server, function)
    assert run["arn"].endswith(f":function:{function.name}")


def test_without_attributes_there_is_no_checksum_of_them(server, sqs, make, mapping, deploy):
    function, url = deploy(OBEY), make()
    mapping(function, url)
    send(sqs, url, "x")
    (record,) = records(server, function, 1)
    assert record["messageAttributes"] == {} and "md5OfMessageAttributes" not in record


def test_a_window_fills_a_batch(server, client, sqs, make, mapping, deploy):
    function, url = deploy(OBEY), make()
    uuid = mapping(function, url, BatchSize=25, MaximumBatchingWindowInSeconds=5, Enabled=False)
    ids = send(sqs, url, *(str(n) for n in range(25)))
    assert client.update_event_source_mapping(UUID=uuid, Enabled=True)["State"] == "Enabling"
    assert {record["messageId"] for record in records(server, function, 25)} == set(ids)
    assert len(said(server, function)) == 1
    empty(sqs, url)


SIZES = """
import json
def handler(event, context):
    size = len(json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode())
    print("SAID " + json.dumps({"size": size, "numbers": [json.loads(record["body"])["n"] for record in event["Records"]]}))
"""


def test_batches_are_no_larger_than_an_event(server, sqs, make, mapping, deploy):
    function, url = deploy(SIZES, MemorySize=3008), make()
    uuid = mapping(function, url, BatchSize=100, MaximumBatchingWindowInSeconds=3, Enabled=False)
    # A byte of the body is two of the event.
    send(sqs, url, *(json.dumps({"n": n, "text": '"' * 200_000}) for n in range(24)))
    function.client.update_event_source_mapping(UUID=uuid, Enabled=True)
    empty(sqs, url)
    runs = said(server, function)
    assert sorted(n for run in runs for n in run["numbers"]) == list(range(24))
    assert max(run["size"] for run in runs) <= 6 * 1024 * 1024 and len(runs) >= 2, runs


FILTERS = [
    ({"body": {"k": ["v"]}}, {"k": "v"}, [{"k": "w"}, "v", "1"]),
    ({"body": {"n": [{"numeric": [">", 100]}]}}, {"n": 101}, [{"n": 99}, "101"]),
    ({"body": ["plain"]}, "plain", ['"plain"x', {"k": "plain"}, "other"]),
]


@pytest.mark.parametrize("pattern, fits, others", FILTERS, ids=["keys", "numbers", "text"])
def test_what_a_filter_holds_back_is_deleted(server, sqs, make, mapping, deploy, pattern, fits, others):
    function, url = deploy(OBEY), make()
    mapping(function, url, FilterCriteria={"Filters": [{"Pattern": json.dumps(pattern)}]})
    send(sqs, url, *others, fits)
    (record,) = records(server, function, 1)
    assert record["body"] == (fits if isinstance(fits, str) else json.dumps(fits)) and record["md5OfMessageAttributes"] is None
    empty(sqs, url)
    assert len(said(server, function)) == 1


def test_a_batch_that_failed_comes_again_and_then_goes_to_the_dead_letter_queue(still):
    here = Still(still)
    sqs, function = here.sqs, here.deploy(OBEY)
    url, dead = redriven(sqs, here.make, 2)
    mapped(function, arn_of(url), BatchSize=1)
    (sent,) = send(sqs, url, {"fail": 1})
    for runs in (1, 2):
        records(still, function, runs)
        here.show_again()
    wait_until(lambda: left(sqs, dead) == (1, 0), WAIT_S, lambda: f"{left(sqs, dead)} in the dead-letter queue, {left(sqs, url)} in its source")
    first, second = records(still, function, 2)
    assert first["messageId"] == second["messageId"] == sent and first["receiptHandle"] != second["receiptHandle"]
    assert [record["attributes"]["ApproximateReceiveCount"] for record in (first, second)] == ["1", "2"]
    (letter,) = sqs.receive_message(QueueUrl=dead)["Messages"]
    assert (letter["MessageId"], json.loads(letter["Body"])) == (sent, {"fail": 1})


def test_only_what_is_reported_stays(still):
    here = Still(still)
    # Window and limit together are within the 30 s, which are longer otherwise.
    sqs, function = here.sqs, here.deploy(OBEY, Timeout=20)
    url, dead = redriven(sqs, here.make)
    uuid = mapped(function, arn_of(url), FunctionResponseTypes=["ReportBatchItemFailures"], MaximumBatchingWindowInSeconds=2, Enabled=False)
    kept = send(sqs, url, {"n": 1}, {"report": True}, {"n": 3})[1]
    changed(function.client, uuid, Enabled=True)
    wait_until(lambda: left(sqs, url)[0] == 0, WAIT_S, "nobody takes them")
    advance(still, "3s")
    here.until_hidden(url, 1)
    here.show_again()
    wait_until(lambda: left(sqs, dead) == (1, 0), WAIT_S, lambda: f"{left(sqs, dead)} in the dead-letter queue, {left(sqs, url)} in its source")
    (letter,) = sqs.receive_message(QueueUrl=dead)["Messages"]
    assert letter["MessageId"] == kept
    empty(sqs, url)


ALL_DONE = [None, "", {}, [], {"batchItemFailures": None}, {"batchItemFailures": []}]
ALL_FAILED = [
    {"batchItemFailures": [{"itemIdentifier": ""}]},
    {"batchItemFailures": [{"itemIdentifier": None}]},
    {"batchItemFailures": [{"foo": "ID"}]},
    {"batchItemFailures": [{"itemIdentifier": "other"}]},
    {"batchItemFailures": "ID"},
    "text",
    [1],
]


def test_answers_that_report_nothing_are_a_success_and_malformed_ones_never(still):
    here = Still(still)
    sqs, function = here.sqs, here.deploy(OBEY)
    url, dead = redriven(sqs, here.make)
    mapped(function, arn_of(url), BatchSize=1, FunctionResponseTypes=["ReportBatchItemFailures"])
    send(sqs, url, *({"answer": answer} for answer in ALL_DONE + ALL_FAILED))
    here.until_hidden(url, len(ALL_FAILED))
    heard(still, function, len(ALL_DONE + ALL_FAILED))
    here.show_again()
    wait_until(lambda: left(sqs, dead)[0] >= len(ALL_FAILED), WAIT_S, lambda: f"{left(sqs, dead)} in the dead-letter queue")
    empty(sqs, url)
    letters = []
    while len(letters) < len(ALL_FAILED):
        letters += [json.loads(letter["Body"])["answer"] for letter in sqs.receive_message(QueueUrl=dead, MaxNumberOfMessages=10)["Messages"]]
    assert sorted(map(json.dumps, letters)) == sorted(map(json.dumps, ALL_FAILED))


def test_no_more_batches_run_at_a_time_than_set(server, sqs, make, mapping, deploy):
    function, url = deploy(OBEY), make()
    uuid = mapping(function, url, BatchSize=1, ScalingConfig={"MaximumConcurrency": 2}, Enabled=False)
    send(sqs, url, *({"sleep": 0.3} for _ in range(8)))
    changed(function.client, uuid, Enabled=True)
    runs = heard(server, function, 8)
    edges = sorted([(run["began"], 1) for run in runs] + [(run["ended"], -1) for run in runs])
    at_once, most = 0, 0
    for _, step in edges:
        at_once += step
        most = max(most, at_once)
    assert most == 2
    assert changed(function.client, uuid, ScalingConfig={}).get("ScalingConfig") in (None, {})


def test_a_throttled_batch_waits_for_room(server, client, sqs, make, mapping, deploy):
    function, url = deploy(OBEY), make(VisibilityTimeout="600")
    client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=0)
    mapping(function, url)
    send(sqs, url, "x")
    wait_until(lambda: left(sqs, url) == (0, 1), WAIT_S, "nobody takes it")
    client.delete_function_concurrency(FunctionName=function.name)
    (record,) = records(server, function, 1)
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    empty(sqs, url)


def test_states_follow_what_is_asked(server, client, sqs, make, deploy, gate):
    function, url = deploy(waiting(OBEY.replace("print(", "[passed(wish['gate']) for wish, _ in wishes if 'gate' in wish]; print(", 1))), make()
    made = client.create_event_source_mapping(FunctionName=function.name, EventSourceArn=arn_of(url), BatchSize=1)
    uuid = made["UUID"]
    assert made["State"] == "Creating" and settled(client, uuid)["State"] == "Enabled"
    assert client.update_event_source_mapping(UUID=uuid, BatchSize=2)["State"] == "Updating"
    assert settled(client, uuid)["BatchSize"] == 2
    # What is with the function comes to its end before the mapping is disabled.
    one = gate()
    send(sqs, url, {"gate": one.path})
    wait_until(lambda: left(sqs, url) == (0, 1), WAIT_S, "nobody takes it")
    assert client.update_event_source_mapping(UUID=uuid, Enabled=False)["State"] == "Disabling"
    with pytest.raises(ClientError) as refused:
        client.update_event_source_mapping(UUID=uuid, Enabled=True)
    assert refused.value.response["Error"]["Code"] == "ResourceInUseException"
    one.open()
    assert settled(client, uuid)["State"] == "Disabled" and left(sqs, url) == (0, 0)
    send(sqs, url, "later")
    assert left(sqs, url) == (1, 0)
    assert changed(client, uuid, Enabled=True)["State"] == "Enabled"
    assert records(server, function, 2)[1]["body"] == "later"
    assert client.delete_event_source_mapping(UUID=uuid)["State"] == "Deleting"
    gone(client, uuid)
    send(sqs, url, "stays")
    again = mapped(function, arn_of(url), Enabled=False)
    assert left(sqs, url) == (1, 0)
    client.delete_event_source_mapping(UUID=again)
    gone(client, again)


def test_a_source_that_is_lost_is_said(server, client, sqs, mapping, deploy):
    function, url = deploy(OBEY), sqs.create_queue(QueueName=unique("q"))["QueueUrl"]
    uuid = mapping(function, url)
    sqs.delete_queue(QueueUrl=url)
    said_of = lambda: client.get_event_source_mapping(UUID=uuid).get("LastProcessingResult", "")
    wait_until(lambda: "AWS.SimpleQueueService.NonExistentQueue" in said_of(), WAIT_S, said_of)
    assert said_of().startswith("PROBLEM: ") and client.get_event_source_mapping(UUID=uuid)["State"] == "Enabled"


def test_groups_of_a_fifo_queue_come_in_order_and_one_batch_of_each_at_a_time(server, client, sqs, mapping, deploy):
    function = deploy(OBEY)
    url = sqs.create_queue(QueueName=unique("q") + ".fifo", Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true"})["QueueUrl"]
    uuid = mapping(function, url, BatchSize=1, Enabled=False)
    for n in range(5):
        for group in ("a", "b", "c"):
            sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"n": n, "group": group, "sleep": 0.1}), MessageGroupId=group)
    changed(client, uuid, Enabled=True)
    runs = sorted(heard(server, function, 15), key=lambda run: run["began"])
    by_group = {}
    for run in runs:
        (record,) = run["event"]["Records"]
        wish = json.loads(record["body"])
        assert record["attributes"]["MessageGroupId"] == wish["group"] and {"SequenceNumber", "MessageDeduplicationId"} < set(record["attributes"])
        by_group.setdefault(wish["group"], []).append((wish["n"], run["began"], run["ended"]))
    for group in by_group.values():
        assert [n for n, *_ in group] == list(range(5))
        assert all(before[2] <= after[1] for before, after in zip(group, group[1:]))
    assert any(one["ended"] > other["began"] for one, other in zip(runs, runs[1:])), "groups wait for each other"
    sqs.delete_queue(QueueUrl=url)


def test_a_message_that_fails_holds_up_its_group_alone(still):
    here = Still(still)
    sqs, function = here.sqs, here.deploy(OBEY)
    attributes = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    url = sqs.create_queue(QueueName=unique("q") + ".fifo", Attributes=attributes)["QueueUrl"]
    mapped(function, arn_of(url), BatchSize=1)
    for group, body in (("bad", {"fail": 1}), ("bad", {"n": 0}), ("good", {"n": 1}), ("good", {"n": 2})):
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps(body), MessageGroupId=group)
    records(still, function, 3)
    here.show_again()
    got = [json.loads(record["body"]) for record in records(still, function, 4)]
    assert got.count({"fail": 1}) == 2 and [body for body in got if "n" in body] == [{"n": 1}, {"n": 2}]


def test_a_function_that_is_gone_leaves_its_mapping_and_the_messages(server, client, sqs, make, mapping, deploy):
    function, url = deploy(OBEY), make()
    uuid = mapping(function, url)
    function.delete()
    wait_until(lambda: client.get_event_source_mapping(UUID=uuid).get("LastProcessingResult") == "PROBLEM: Function not found", WAIT_S, "nothing is said")
    send(sqs, url, "x")
    deploy(OBEY, FunctionName=function.name)
    records(server, function, 1)
    empty(sqs, url)
    assert client.get_event_source_mapping(UUID=uuid)["State"] == "Enabled"


def test_a_function_polls_what_its_role_lets_it(server, client, sqs, make, deploy):
    iam = service_of(server, "iam")
    trust = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}}
    role, policy = unique("poller"), "arn:aws:iam::aws:policy/service-role/AWSLambdaSQSQueueExecutionRole"
    function = deploy(OBEY, Role=iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"])
    url = make()
    with pytest.raises(ClientError) as refused:
        client.create_event_source_mapping(FunctionName=function.name, EventSourceArn=arn_of(url))
    text = "The function execution role does not have permissions to call ReceiveMessage on SQS"
    error = refused.value.response["Error"]
    assert (error["Code"], error["Message"]) == ("InvalidParameterValueException", text)
    iam.attach_role_policy(RoleName=role, PolicyArn=policy)
    uuid = mapped(function, arn_of(url))
    send(sqs, url, "x")
    records(server, function, 1)
    empty(sqs, url)
    iam.detach_role_policy(RoleName=role, PolicyArn=policy)
    wait_until(lambda: "does not have permissions" in client.get_event_source_mapping(UUID=uuid).get("LastProcessingResult", ""), WAIT_S, "nothing is said")
    send(sqs, url, "y")
    iam.attach_role_policy(RoleName=role, PolicyArn=policy)
    records(server, function, 2)
    client.delete_event_source_mapping(UUID=uuid)
    gone(client, uuid)


def test_versions_and_aliases_are_invoked_as_they_are_named(server, client, sqs, make, mapping, deploy):
    function, url = deploy(OBEY), make()
    client.publish_version(FunctionName=function.name)
    client.create_alias(FunctionName=function.name, Name="live", FunctionVersion="1")
    made = client.create_event_source_mapping(FunctionName=f"{function.name}:live", EventSourceArn=arn_of(url))
    settled(client, made["UUID"])
    send(sqs, url, "x")
    (run,) = heard(server, function, 1)
    assert run["arn"].endswith(f"{function.name}:live") and made["FunctionArn"] == run["arn"]
    client.delete_event_source_mapping(UUID=made["UUID"])
    gone(client, made["UUID"])


def test_every_message_reaches_the_function_though_the_server_is_killed(alone):
    server = alone()
    deploy, _ = deployer(client_of(server))
    sqs = sqs_of(server)
    urls = {name: sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "3"})["QueueUrl"] for name in ("from", "to")}
    function = deploy(passing_on(), Timeout=2, Environment={"Variables": {"TO": urls["to"]}})
    uuid = mapped(function, arn_of(urls["from"]), BatchSize=3)
    sent, got = set(), set()
    for part in range(3):
        bodies = {f"{part}-{n}" for n in range(40)}
        sent |= bodies
        before = left(sqs, urls["to"])[0]
        send(sqs, urls["from"], *bodies)
        wait_until(lambda: left(sqs, urls["to"])[0] > before, WAIT_S, "nothing is delivered")
        server.kill()
        server.start()
        sqs = sqs_of(server)
        assert settled(client_of(server), uuid)["State"] == "Enabled"
    empty(sqs, urls["from"])
    while messages := sqs.receive_message(QueueUrl=urls["to"], MaxNumberOfMessages=10, VisibilityTimeout=600).get("Messages"):
        got |= {message["Body"] for message in messages}
    assert got == sent
