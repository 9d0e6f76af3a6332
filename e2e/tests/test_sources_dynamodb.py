"""Streams of DynamoDB's tables as event sources: read from an independent emulator."""

import json
import re

import pytest

from conftest import deploys_on, unique
from support.events import said
from support.server import running
from support.sources import sqs_of
from support.streams import OBEY, mapped, received, records, resulted


@pytest.fixture(scope="module")
def server(upstream):
    with running(*upstream.args()) as server:
        yield server


deploy = deploys_on("server")


class Table:
    """With a stream that has new and old images."""

    def __init__(self, upstream):
        self.client, self.name = upstream.client("dynamodb"), unique("t")
        made = self.client.create_table(
            TableName=self.name,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        self.arn = made["TableDescription"]["LatestStreamArn"]

    def put(self, id, wish=None):
        item = {"id": {"S": id}} | ({"wish": {"S": json.dumps(wish)}} if wish else {})
        self.client.put_item(TableName=self.name, Item=item)

    def delete(self, id):
        self.client.delete_item(TableName=self.name, Key={"id": {"S": id}})


@pytest.fixture
def table(upstream):
    return Table(upstream)


def test_changes_come_in_order_as_lambda_has_them(server, deploy, table):
    function = deploy(OBEY)
    table.put("a")
    uuid = mapped(function, table.arn)
    table.put("a", {"n": 1})
    table.delete("a")
    come = records(server, function, 3)
    assert [record["eventName"] for record in come] == ["INSERT", "MODIFY", "REMOVE"]
    first, _, last = come
    change = first["dynamodb"]
    assert isinstance(change.pop("ApproximateCreationDateTime"), (int, float)) and isinstance(change.pop("SizeBytes"), int)
    assert change.pop("SequenceNumber").isdigit()
    assert change == {"Keys": {"id": {"S": "a"}}, "NewImage": {"id": {"S": "a"}}, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    assert "NewImage" not in last["dynamodb"] and last["dynamodb"]["OldImage"]["id"] == {"S": "a"}
    assert list(first) == ["eventID", "eventName", "eventVersion", "eventSource", "awsRegion", "dynamodb", "eventSourceARN"]
    assert (first["eventSource"], first["awsRegion"], first["eventSourceARN"]) == ("aws:dynamodb", "us-east-1", table.arn)
    assert first["eventID"] != last["eventID"]
    resulted(function.client, uuid, "OK")


def test_filters_see_the_change(server, deploy, table):
    function = deploy(OBEY)
    pattern = {"eventName": ["INSERT"], "dynamodb": {"Keys": {"id": {"S": [{"prefix": "yes"}]}}}}
    mapped(function, table.arn, FilterCriteria={"Filters": [{"Pattern": json.dumps(pattern)}]})
    for id in ("no-1", "yes-1", "yes-1", "yes-2"):
        table.put(id)
    table.delete("yes-1")
    assert [record["dynamodb"]["Keys"]["id"]["S"] for record in records(server, function, 2)] == ["yes-1", "yes-2"]


def test_what_fails_for_good_is_told_to_a_queue(server, deploy, table):
    sqs = sqs_of(server)
    url = sqs.create_queue(QueueName=unique("lost"))["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    function = deploy(OBEY)
    for id in range(3):
        table.put(f"well-{id}")
    table.put("bad", {"report": 1})
    mapped(function, table.arn, BatchSize=3, MaximumRetryAttempts=3, FunctionResponseTypes=["ReportBatchItemFailures"], DestinationConfig={"OnFailure": {"Destination": queue}})
    told = received(sqs, url)
    info = told["DDBStreamBatchInfo"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", info["approximateArrivalOfFirstRecord"])
    assert (info["batchSize"], info["streamArn"]) == (1, table.arn) and "KinesisBatchInfo" not in told
    assert (told["requestContext"]["approximateInvokeCount"], told["responseContext"]["functionError"]) == (4, None)
    ids = [record["dynamodb"]["Keys"]["id"]["S"] for run in said(server, function) for record in run["event"]["Records"]]
    assert ids == ["well-0", "well-1", "well-2"] + ["bad"] * 4 and info["shardId"].startswith("shard")
