"""Topics of Kafka as event sources: brokers are librdkafka's own mock cluster, in a process of the test's."""

import base64
import json
import os
import subprocess
import sys
import textwrap

import pytest

import support.server
from conftest import client_of, deployer, unique
from support.events import said
from support.server import Server, wait_until
from support.sources import sqs_of
from support.streams import WAIT_S, received, settled

# Brokers, and a producer for each line of JSON: [topic, partition, key, value].
CLUSTER = textwrap.dedent(
    """
    import json, sys
    from confluent_kafka import Producer
    cluster = Producer({"bootstrap.servers": "none", "test.mock.num.brokers": 1})
    (broker,) = cluster.list_topics(timeout=30).brokers.values()
    producer = Producer({"bootstrap.servers": f"{broker.host}:{broker.port}"})
    print(f"{broker.host}:{broker.port}", flush=True)
    for line in sys.stdin:
        topic, partition, key, value = json.loads(line)
        producer.produce(topic, value, key, partition, headers=[("h", b"he")])
        left = producer.flush(30)
        print("put" if left == 0 else "lost", flush=True)
    """
)
OBEY = """
import base64, json
def handler(event, context):
    print("SAID " + json.dumps({"event": event, "id": context.aws_request_id}))
    for name, records in event["records"].items():
        for record in records:
            wish = base64.b64decode(record["value"]).decode()
            if wish == "fail":
                raise Exception("asked to fail")
            if wish == "report":
                return {"batchItemFailures": [{"itemIdentifier": {"topic-partition": name, "offset": record["offset"]}}]}
"""


class Cluster:
    def __init__(self):
        self.process = subprocess.Popen([sys.executable, "-c", CLUSTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().strip()

    def put(self, topic, *values, partition=0, key="k"):
        for value in values:
            self.process.stdin.write(json.dumps([topic, partition, key, value]) + "\n")
            self.process.stdin.flush()
            assert self.process.stdout.readline() == "put\n"

    def close(self):
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def cluster():
    cluster = Cluster()
    yield cluster
    cluster.close()


@pytest.fixture
def with_kafka(monkeypatch):
    """A server of the build that has Kafka."""
    monkeypatch.setattr(support.server, "HEARTH", os.environ["HEARTH_KAFKA"])
    server = Server().start()
    yield server
    server.close()


def mapped(function, brokers, topic, position="TRIM_HORIZON", state="Enabled", **args):
    source = {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": [brokers]}}
    made = function.client.create_event_source_mapping(FunctionName=function.name, SelfManagedEventSource=source, Topics=[topic], StartingPosition=position, **args)
    settled(function.client, made["UUID"], state)
    return made["UUID"]


def come(server, function):
    return [record for run in said(server, function) for records in run["event"]["records"].values() for record in records]


def values(records, partition=0):
    return [base64.b64decode(record["value"]).decode() for record in records if record["partition"] == partition]


def test_records_come_in_order_as_lambda_has_them_and_go_on_after_a_kill(with_kafka, cluster):
    server, topic = with_kafka, unique("t")
    deploy, _ = deployer(client_of(server))
    function = deploy(OBEY)
    cluster.put(topic, "a", "b")
    mapped(function, cluster.address, topic, BatchSize=2)
    wait_until(lambda: len(come(server, function)) >= 2, WAIT_S, server.log_text)
    event = said(server, function)[0]["event"]
    assert list(event) == ["eventSource", "bootstrapServers", "records"]
    assert (event["eventSource"], event["bootstrapServers"], list(event["records"])) == ("SelfManagedKafka", cluster.address, [f"{topic}-0"])
    first = come(server, function)[0]
    assert isinstance(first.pop("timestamp"), int)
    assert first == {"topic": topic, "partition": 0, "offset": 0, "timestampType": "CREATE_TIME", "key": "aw==", "value": "YQ==", "headers": [{"h": [104, 101]}]}
    before = come(server, function)
    server.kill()
    cluster.put(topic, "c", "d")
    cluster.put(topic, "x", partition=1)
    server.start()
    wait_until(lambda: {"c", "d"} <= set(values(come(server, function))) and values(come(server, function), 1), WAIT_S, server.log_text)
    order = list(dict.fromkeys(values(before) + values(come(server, function))))
    assert order == ["a", "b", "c", "d"] and values(come(server, function), 1) == ["x"]


def test_what_fails_for_good_is_told_to_a_queue_and_the_rest_goes_on(with_kafka, cluster):
    server, topic = with_kafka, unique("t")
    deploy, _ = deployer(client_of(server))
    function, sqs = deploy(OBEY), sqs_of(server)
    url = sqs.create_queue(QueueName=unique("lost"))["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    cluster.put(topic, "a", "report", "c")
    mapped(function, cluster.address, topic, BatchSize=2, MaximumBatchingWindowInSeconds=2, MaximumRetryAttempts=1, FunctionResponseTypes=["ReportBatchItemFailures"], DestinationConfig={"OnFailure": {"Destination": queue}})
    told = received(sqs, url)
    assert (told["requestContext"]["condition"], told["requestContext"]["approximateInvokeCount"]) == ("RetryAttemptsExhausted", 2)
    info = told["KafkaBatchInfo"]
    assert (info["batchSize"], info["bootstrapServers"]) == (1, cluster.address)
    assert info["recordInfo"][f"{topic}-0"]["firstRecordOffset"] == "1"
    wait_until(lambda: "c" in values(come(server, function)), WAIT_S, server.log_text)
    assert values(come(server, function)) == ["a", "report", "report", "report", "c"]


def test_latest_is_what_comes_after_the_mapping(with_kafka, cluster):
    server, topic = with_kafka, unique("t")
    deploy, _ = deployer(client_of(server))
    function = deploy(OBEY)
    cluster.put(topic, "before")
    uuid = mapped(function, cluster.address, topic, "LATEST", FilterCriteria={"Filters": [{"Pattern": json.dumps({"value": [{"prefix": "yes"}]})}]})
    # What the brokers' clock says of it is not asked: the group's place is there once a record has come.
    def later():
        cluster.put(topic, "no", "yes")
        return come(server, function)
    wait_until(later, WAIT_S, server.log_text)
    assert set(values(come(server, function))) == {"yes"}
    function.client.delete_event_source_mapping(UUID=uuid)


def test_brokers_that_want_to_know_who_asks_are_refused_by_name(with_kafka, cluster):
    deploy, _ = deployer(client_of(with_kafka))
    function = deploy(OBEY)
    access = [{"Type": "SASL_SCRAM_512_AUTH", "URI": "arn:aws:secretsmanager:us-east-1:000000000000:secret:s-abcdef"}]
    uuid = mapped(function, cluster.address, "topic", state="Disabled", SourceAccessConfigurations=access)
    assert "without authentication" in function.client.get_event_source_mapping(UUID=uuid)["StateTransitionReason"]


def test_a_build_without_kafka_says_so(alone):
    server = alone()
    deploy, _ = deployer(client_of(server))
    function = deploy(OBEY)
    uuid = mapped(function, "127.0.0.1:1", "topic", state="Disabled")
    assert "--features kafka" in function.client.get_event_source_mapping(UUID=uuid)["StateTransitionReason"]
