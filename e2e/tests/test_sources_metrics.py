"""Event source mappings that ask for it have their events counted."""

import json

import pytest
from botocore.exceptions import ClientError

from conftest import deploys_on, unique
from support.metrics import Numbers
from support.server import running, wait_until
from support.sources import OBEY, WAIT_S, arn_of, gone, mapped, send, settled, sqs_of
from support.streams import OBEY as OBEY_RECORDS
from support.streams import put, stream_of
from support.streams import mapped as mapped_stream

COUNTED = {"Metrics": ["EventCount"]}


@pytest.fixture(scope="module")
def server(upstream):
    with running(*upstream.args()) as server:
        yield server


deploy = deploys_on("server")


def counts(server, uuid):
    """What is counted of a mapping and is not 0."""
    labels = {"event_source_mapping_uuid": uuid}
    samples = [sample for sample in Numbers(server).samples if sample.labels == labels]
    return {sample.name.removeprefix("lambda_").removesuffix("_event_count_total"): sample.value for sample in samples if sample.value}


def until(server, uuid, wanted):
    wait_until(lambda: counts(server, uuid) == wanted, WAIT_S, lambda: f"{counts(server, uuid)}, not {wanted}")


def test_events_of_a_queue_are_counted_by_what_becomes_of_them(server, deploy):
    sqs, function = sqs_of(server), deploy(OBEY)
    # What is left to the queue does not come again while this looks.
    url = sqs.create_queue(QueueName=unique("q"), Attributes={"VisibilityTimeout": "3600"})["QueueUrl"]
    filters = {"Filters": [{"Pattern": json.dumps({"body": {"fits": [True]}})}]}
    uuid = mapped(function, arn_of(url), MetricsConfig=COUNTED, FunctionResponseTypes=["ReportBatchItemFailures"], FilterCriteria=filters)
    assert function.client.get_event_source_mapping(UUID=uuid)["MetricsConfig"] == COUNTED
    send(sqs, url, {"fits": True}, {"fits": True}, {"fits": False})
    until(server, uuid, {"polled": 3, "filtered_out": 1, "invoked": 2, "deleted": 2})
    send(sqs, url, {"fits": True, "report": 1})
    until(server, uuid, {"polled": 4, "filtered_out": 1, "invoked": 3, "failed_invoke": 1, "deleted": 2})
    send(sqs, url, {"fits": True, "fail": 1})
    until(server, uuid, {"polled": 5, "filtered_out": 1, "invoked": 4, "failed_invoke": 2, "deleted": 2})
    function.client.update_event_source_mapping(UUID=uuid, MetricsConfig={"Metrics": []})
    assert "MetricsConfig" not in settled(function.client, uuid)
    until(server, uuid, {})
    function.client.delete_event_source_mapping(UUID=uuid)
    gone(function.client, uuid)


def test_records_that_are_given_up_are_counted_and_go_with_their_mapping(server, deploy, upstream):
    name = unique("s")
    kinesis, function = upstream.client("kinesis"), deploy(OBEY_RECORDS)
    arn = stream_of(kinesis, name)
    lost = sqs_of(server).create_queue(QueueName=unique("lost"))["QueueUrl"]
    told = {"OnFailure": {"Destination": arn_of(lost)}}
    uuid = mapped_stream(function, arn, BatchSize=1, MaximumRetryAttempts=1, DestinationConfig=told, MetricsConfig=COUNTED)
    put(kinesis, name, {"fail": 1}, "after")
    until(server, uuid, {"polled": 2, "invoked": 3, "failed_invoke": 2, "dropped": 1, "on_failure_destination_delivered": 1})
    function.client.delete_event_source_mapping(UUID=uuid)
    gone(function.client, uuid)
    until(server, uuid, {})


@pytest.mark.parametrize("metric", ["ErrorCount", "KafkaMetrics"])
def test_metrics_of_kafka_alone_are_refused_by_name(server, deploy, metric):
    url = sqs_of(server).create_queue(QueueName=unique("q"))["QueueUrl"]
    function = deploy(OBEY)
    with pytest.raises(ClientError) as refused:
        function.client.create_event_source_mapping(FunctionName=function.name, EventSourceArn=arn_of(url), MetricsConfig={"Metrics": [metric]})
    assert f"MetricsConfig with the metric {metric}" in refused.value.response["Error"]["Message"]
