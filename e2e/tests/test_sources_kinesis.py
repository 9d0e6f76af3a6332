"""Kinesis streams as event sources: read from an independent emulator."""

import json
import random
import re

import pytest
from botocore.exceptions import ClientError

from conftest import ROLE, client_of, deployer, deploys_on, unique
from support.clients import service_of
from support.clock import MANUAL, advance
from support.events import said
from support.server import Server, running, wait_until
from support.sources import PASS_ON, passing_on
from support.streams import OBEY, batches, mapped, numbers, put, received, records, resulted, settled, stream_of, texts

# Puts down which records it gets.
PUT_DOWN = """
import json, pass_on
def handler(event, context):
    got = [record["kinesis"] for record in event["Records"]]
    pass_on.handler({"Records": [{"body": json.dumps([record["partitionKey"], record["sequenceNumber"]])} for record in got]}, context)
"""
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


@pytest.fixture(scope="module")
def server(upstream):
    with running(*upstream.args()) as server:
        yield server


deploy = deploys_on("server")


@pytest.fixture
def kinesis(upstream):
    return upstream.client("kinesis")


def queue_of(server):
    sqs = service_of(server, "sqs")
    url = sqs.create_queue(QueueName=unique("lost"))["QueueUrl"]
    return sqs, url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def to(arn):
    return {"OnFailure": {"Destination": arn}}


def test_records_come_in_order_as_lambda_has_them(server, deploy, kinesis):
    name = unique("s")
    arn = stream_of(kinesis, name)
    put_before = put(kinesis, name, "first", {"n": 2})
    function = deploy(OBEY)
    uuid = mapped(function, arn, BatchSize=10)
    put_after = put(kinesis, name, *(str(number) for number in range(12)))
    come = records(server, function, 14)
    assert [record["kinesis"]["sequenceNumber"] for record in come] == put_before + put_after
    first = come[0]
    assert isinstance(first["kinesis"].pop("approximateArrivalTimestamp"), float)
    assert first == {
        "kinesis": {"kinesisSchemaVersion": "1.0", "partitionKey": "test", "sequenceNumber": put_before[0], "data": "Zmlyc3Q="},
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"shardId-000000000000:{put_before[0]}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": ROLE,
        "awsRegion": "us-east-1",
        "eventSourceARN": arn,
    }
    assert list(first) == ["kinesis", "eventSource", "eventVersion", "eventID", "eventName", "invokeIdentityArn", "awsRegion", "eventSourceARN"]
    assert all(len(event["Records"]) <= 10 for event in batches(server, function, 1))
    resulted(function.client, uuid, "OK")


def test_latest_begins_with_what_comes_next_and_goes_on_where_it_was(server, deploy, kinesis):
    name = unique("s")
    arn = stream_of(kinesis, name)
    put(kinesis, name, "before")
    function = deploy(OBEY)
    uuid = mapped(function, arn, "LATEST")
    put(kinesis, name, "a", "b")
    assert texts(records(server, function, 2)) == ["a", "b"]
    resulted(function.client, uuid, "OK")
    function.client.update_event_source_mapping(UUID=uuid, Enabled=False)
    settled(function.client, uuid, "Disabled")
    put(kinesis, name, "c")
    function.client.update_event_source_mapping(UUID=uuid, Enabled=True)
    settled(function.client, uuid, "Enabled")
    assert texts(records(server, function, 3)) == ["a", "b", "c"]


def test_a_batch_that_fails_is_tried_again_and_its_end_is_told_to_a_queue(server, deploy, kinesis):
    name = unique("s")
    arn = stream_of(kinesis, name)
    sqs, url, queue = queue_of(server)
    function = deploy(OBEY)
    uuid = mapped(function, arn, BatchSize=1, MaximumRetryAttempts=1, DestinationConfig=to(queue))
    number, after = put(kinesis, name, {"fail": 1}, "after")
    told = received(sqs, url)
    assert re.fullmatch(TIME, told.pop("timestamp"))
    info = told["KinesisBatchInfo"]
    assert re.fullmatch(TIME, info.pop("approximateArrivalOfFirstRecord")) and re.fullmatch(TIME, info.pop("approximateArrivalOfLastRecord"))
    runs = batches(server, function, 3)
    assert [numbers(event) for event in runs] == [[number], [number], [after]]
    assert told == {
        "requestContext": {"requestId": said(server, function)[1]["id"], "functionArn": f"arn:aws:lambda:us-east-1:000000000000:function:{function.name}", "condition": "RetryAttemptsExhausted", "approximateInvokeCount": 2},
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "version": "1.0",
        "KinesisBatchInfo": {"shardId": "shardId-000000000000", "startSequenceNumber": number, "endSequenceNumber": number, "batchSize": 1, "streamArn": arn},
    }
    resulted(function.client, uuid, "OK")


def test_a_bucket_is_told_with_the_event_itself(server, deploy, kinesis):
    name, bucket = unique("s"), unique("b").lower().replace("_", "-")
    arn = stream_of(kinesis, name)
    s3 = service_of(server, "s3")
    s3.create_bucket(Bucket=bucket)
    function = deploy(OBEY)
    uuid = mapped(function, arn, BatchSize=1, MaximumRetryAttempts=0, DestinationConfig=to(f"arn:aws:s3:::{bucket}"))
    (number,) = put(kinesis, name, {"fail": 1})
    wait_until(lambda: s3.list_objects_v2(Bucket=bucket).get("Contents"), 60, "the bucket was told nothing")
    (found,) = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert re.fullmatch(rf"aws/lambda/{uuid}/shardId-000000000000/\d{{4}}/\d\d/\d\d/\d{{4}}-\d\d-\d\dT\d\d\.\d\d\.\d\d-[0-9a-f-]{{36}}", found["Key"])
    told = json.loads(s3.get_object(Bucket=bucket, Key=found["Key"])["Body"].read())
    (event,) = batches(server, function, 1)
    assert json.loads(told["payload"]) == event and told["KinesisBatchInfo"]["startSequenceNumber"] == number


def test_what_a_function_names_and_all_behind_it_comes_again(server, deploy, kinesis):
    """As recorded: with three retries the record that failed was delivered 1 + 4 times."""
    name = unique("s")
    arn = stream_of(kinesis, name)
    sqs, url, queue = queue_of(server)
    function = deploy(OBEY)
    sent = put(kinesis, name, *["well"] * 5, {"report": 1})
    mapped(function, arn, BatchSize=10, MaximumRetryAttempts=3, FunctionResponseTypes=["ReportBatchItemFailures"], DestinationConfig=to(queue))
    told = received(sqs, url)
    assert told["requestContext"]["approximateInvokeCount"] == 4
    assert (told["KinesisBatchInfo"]["batchSize"], told["KinesisBatchInfo"]["startSequenceNumber"]) == (1, sent[5])
    assert told["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST", "functionError": None}
    assert [number for event in batches(server, function, 5) for number in numbers(event)] == sent + [sent[5]] * 4


@pytest.mark.parametrize("answer, is_success", [(None, True), ("", True), ({}, True), ([], True), ({"batchItemFailures": None}, True), ({"batchItemFailures": []}, True), ({"batchItemFailures": [{"itemIdentifier": ""}]}, False), ({"batchItemFailures": [{"itemIdentifier": None}]}, False), ({"batchItemFailures": [{"foo": "ID"}]}, False), ({"batchItemFailures": [{"itemIdentifier": "other"}]}, False)])
def test_answers_that_name_nothing_are_well_and_malformed_ones_are_not(server, deploy, kinesis, answer, is_success):
    name = unique("s")
    arn = stream_of(kinesis, name)
    code = OBEY.replace("if answer is not None:", "if True:")
    function = deploy(code)
    put(kinesis, name, {"answer": answer}, "next")
    mapped(function, arn, BatchSize=1, MaximumRetryAttempts=1, FunctionResponseTypes=["ReportBatchItemFailures"])
    come = texts(records(server, function, 2 if is_success else 3))
    assert come == [json.dumps({"answer": answer})] * (1 if is_success else 2) + ["next"]


def test_halves_find_the_record_that_fails(server, deploy, kinesis):
    name = unique("s")
    arn = stream_of(kinesis, name)
    sqs, url, queue = queue_of(server)
    sent = put(kinesis, name, "a", "b", {"fail": 1}, "d")
    function = deploy(OBEY)
    mapped(function, arn, BatchSize=4, MaximumRetryAttempts=0, BisectBatchOnFunctionError=True, DestinationConfig=to(queue))
    told = received(sqs, url)["KinesisBatchInfo"]
    assert (told["batchSize"], told["startSequenceNumber"]) == (1, sent[2])
    assert [len(event["Records"]) for event in batches(server, function, 5)] == [4, 2, 2, 1, 1]


def test_filters_hold_back_what_fits_none_of_them(server, deploy, kinesis):
    name = unique("s")
    arn = stream_of(kinesis, name)
    function = deploy(OBEY)
    mapped(function, arn, FilterCriteria={"Filters": [{"Pattern": json.dumps({"data": {"k": ["yes"]}})}]})
    put(kinesis, name, {"k": "no"}, "text", {"k": "yes", "n": 1}, {"k": "yes", "n": 2})
    assert [json.loads(text)["n"] for text in texts(records(server, function, 2))] == [1, 2]


def test_keys_keep_their_order_while_their_shard_is_read_in_parallel(server, deploy, kinesis):
    name = unique("s")
    arn = stream_of(kinesis, name)
    function = deploy(OBEY)
    stuck = put(kinesis, name, {"fail": 1}, key="stuck")
    mapped(function, arn, BatchSize=1, ParallelizationFactor=10)
    sent = {key: put(kinesis, name, *(f"{key}-{number}" for number in range(4)), key=key) for key in ("a", "b", "c", "d", "e")}

    def come():
        return [record["kinesis"] for run in said(server, function) for record in run["event"]["Records"]]

    def free():
        # Some key may share its part with the one that is stuck, not all.
        return [key for key in sent if [record["sequenceNumber"] for record in come() if record["partitionKey"] == key] == sent[key]]

    wait_until(lambda: len(free()) >= 3, 90, lambda: str(come()))
    assert {record["sequenceNumber"] for record in come() if record["partitionKey"] == "stuck"} == set(stuck)


def test_children_are_read_after_their_parents(server, deploy, kinesis):
    name = unique("s")
    arn = stream_of(kinesis, name)
    put(kinesis, name, *(f"parent-{number}" for number in range(5)))
    kinesis.split_shard(StreamName=name, ShardToSplit="shardId-000000000000", NewStartingHashKey=str(2**127))
    for number in range(6):
        put(kinesis, name, f"child-{number}", key=f"key-{number}")
    function = deploy(OBEY)
    mapped(function, arn, BatchSize=2)
    come = texts(records(server, function, 11))
    assert come[:5] == [f"parent-{number}" for number in range(5)] and sorted(come[5:]) == [f"child-{number}" for number in range(6)]


def test_a_stream_that_is_gone_is_a_problem_that_the_mapping_shows(server, deploy, kinesis):
    name = unique("s")
    arn = stream_of(kinesis, name)
    function = deploy(OBEY)
    uuid = mapped(function, arn)
    kinesis.delete_stream(StreamName=name)
    resulted(function.client, uuid, "PROBLEM: ResourceNotFoundException")


def test_a_stream_that_is_not_there_is_refused(deploy, kinesis):
    function, arn = deploy(OBEY), f"arn:aws:kinesis:us-east-1:000000000000:stream/{unique('none')}"
    with pytest.raises(ClientError) as refused:
        mapped(function, arn)
    error = refused.value.response["Error"]
    assert (error["Code"], error["Message"]) == ("InvalidParameterValueException", f"Stream not found: {arn}")
    assert function.client.list_event_source_mappings(EventSourceArn=arn)["EventSourceMappings"] == []


def test_a_stream_is_there_for_functions_whose_role_may_read_it(server, deploy, kinesis):
    iam, role = service_of(server, "iam"), unique("reader")
    trust = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}}
    function = deploy(OBEY, Role=iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"])
    name = unique("s")
    arn = stream_of(kinesis, name)
    with pytest.raises(ClientError) as refused:
        mapped(function, arn)
    assert refused.value.response["Error"]["Message"].startswith(f"Cannot access stream {arn}. ")
    iam.attach_role_policy(RoleName=role, PolicyArn="arn:aws:iam::aws:policy/service-role/AWSLambdaKinesisExecutionRole")
    mapped(function, arn)
    put(kinesis, name, "x")
    assert texts(records(server, function, 1)) == ["x"]


def test_a_service_that_does_not_answer_is_asked_again(alone):
    server = alone("--upstream", "kinesis=http://127.0.0.1:1")
    deploy, _ = deployer(client_of(server))
    function = deploy(OBEY)
    uuid = mapped(function, "arn:aws:kinesis:us-east-1:000000000000:stream/s")
    resulted(function.client, uuid, "PROBLEM: ")


def test_without_an_upstream_it_is_said_what_is_missing(alone):
    server = alone()
    deploy, _ = deployer(client_of(server))
    function = deploy(OBEY)
    uuid = mapped(function, "arn:aws:kinesis:us-east-1:000000000000:stream/s", state="Disabled")
    assert "--upstream kinesis=URL" in function.client.get_event_source_mapping(UUID=uuid)["StateTransitionReason"]


def test_windows_and_ages_are_the_platforms_time(upstream, alone, kinesis):
    server = alone(*MANUAL, *upstream.args())
    deploy, _ = deployer(client_of(server))
    name = unique("s")
    arn = stream_of(kinesis, name)
    code = "import json\ndef handler(event, context):\n    print('SAID ' + json.dumps({'event': event}))\n    return {'state': {'sum': event['state'].get('sum', 0) + len(event['Records'])}}\n"
    function = deploy(code)
    put(kinesis, name, "a", "b")
    mapped(function, arn, TumblingWindowInSeconds=900)
    (first,) = batches(server, function, 1)
    assert (first["state"], first["isFinalInvokeForWindow"], first["isWindowTerminatedEarly"], first["shardId"], first["eventSourceARN"]) == ({}, False, False, "shardId-000000000000", arn)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:00Z", first["window"]["start"])
    advance(server, "15m")
    last = batches(server, function, 2)[-1]
    assert (last["Records"], last["state"], last["isFinalInvokeForWindow"], last["window"]) == ([], {"sum": 2}, True, first["window"])


def test_nothing_is_lost_and_order_is_kept_however_often_the_server_is_killed(upstream, kinesis):
    name = unique("s")
    arn = stream_of(kinesis, name, shards=2)
    server = Server(*upstream.args())
    chance = random.Random(name)
    come = []

    def heard():
        """What was put down by runs, in its order; a kill may take the last lines of a log with it, and no message."""
        sqs = service_of(server, "sqs")
        url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        while got := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in got:
                come.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return come

    def firsts():
        order = {}
        for key, number in heard():
            numbers = order.setdefault(key, [])
            if number not in numbers:
                numbers.append(number)
        return order

    try:
        deploy, _ = deployer(client_of(server.start()))
        queue = service_of(server, "sqs").create_queue(QueueName=name)["QueueUrl"]
        function = deploy({**passing_on(), "pass_on.py": PASS_ON, "app.py": PUT_DOWN}, Environment={"Variables": {"TO": queue}})
        mapped(function, arn, BatchSize=3, ParallelizationFactor=2)
        sent = {}
        for part in range(5):
            before = len(heard())
            for number in range(12):
                key = f"key-{number % 4}"
                sent.setdefault(key, []).extend(put(kinesis, name, f"{part}-{number}", key=key))
            wait_until(lambda: len(heard()) > before, 90, "nothing comes")
            if chance.random() < 0.8:
                server.kill()
                server.start()

        wait_until(lambda: sum(map(len, firsts().values())) >= 60, 120, lambda: str({key: len(order) for key, order in firsts().items()}))
        assert firsts() == sent
        server.stop()
    finally:
        server.close()
