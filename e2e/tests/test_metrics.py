"""What Prometheus reads of a server."""

import os
import signal
import threading
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from conftest import deploys_on
from support import raw
from support.clock import advance
from support.events import SAY, send
from support.keys import made
from support.metrics import Numbers
from support.server import processes_of, wait_until
from support.sigv4 import Signed
from test_clock_events import Queue

GUIDE = Path(__file__).parents[2] / "docs/guide/metrics.md"
PAGE = "/_hearth/metrics"


deploy = deploys_on("manual")


def test_runs_errors_and_durations_are_counted_by_function(manual, deploy):
    function = deploy(SAY)
    for event in ({}, {"sleep": 0.05}, {"fail": "no"}):
        function.invoke(event)
    name = function.name
    # A run is counted when it is over, which may be after its answer.
    wait_until(lambda: Numbers(manual).of("lambda_invocations_total", function_name=name) == 3, 60, "not counted")
    numbers = Numbers(manual)
    assert numbers.of("lambda_errors_total", function_name=name) == 1
    assert numbers.of("lambda_throttles_total", function_name=name) == 0
    assert numbers.of("lambda_duration_seconds_count", function_name=name) == 3
    assert numbers.of("lambda_duration_seconds_bucket", function_name=name, le="+Inf") == 3
    assert numbers.of("lambda_duration_seconds_bucket", function_name=name, le="0.03") <= 2
    assert numbers.of("lambda_duration_seconds_sum", function_name=name) >= 0.05
    function.delete()
    assert Numbers(manual).of("lambda_invocations_total", function_name=name) is None


def test_a_timeout_is_an_error(manual, deploy):
    function = deploy(SAY, Timeout=3)
    function.error({"sleep": 30})
    wait_until(lambda: Numbers(manual).of("lambda_errors_total", function_name=function.name) == 1, 60, "not counted")


def test_what_is_under_way_and_what_found_no_room(manual, deploy):
    function = deploy(SAY)
    function.client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=1)
    # Ended as soon as it has been seen.
    runs = threading.Thread(target=function.invoke, args=({"sleep": 25},))
    runs.start()
    wait_until(lambda: Numbers(manual).of("lambda_concurrent_executions", function_name=function.name) == 1, 60, "it never ran")
    assert Numbers(manual).of("lambda_unreserved_concurrent_executions") == 0
    with pytest.raises(ClientError):
        function.invoke({})
    [os.kill(pid, signal.SIGKILL) for pid in processes_of(function)]
    runs.join()
    assert Numbers(manual).of("lambda_throttles_total", function_name=function.name) == 1
    wait_until(lambda: Numbers(manual).of("lambda_invocations_total", function_name=function.name) == 1, 60, "not counted")


def test_events_are_counted_from_the_202_to_their_end(manual, deploy):
    function, failures = deploy(SAY), Queue(manual)
    gone = f"{failures.arn}-gone"
    function.client.put_function_event_invoke_config(
        FunctionName=function.name, DestinationConfig={"OnFailure": {"Destination": failures.arn}})
    failures.sqs.create_queue(QueueName=gone.rsplit(":", 1)[1])
    function.update(DeadLetterConfig={"TargetArn": gone})
    failures.sqs.delete_queue(QueueUrl=f"{failures.url}-gone")
    send(function, {"fail": "always"})
    send(function, {})
    advance(manual, "0s")
    numbers, name = Numbers(manual), function.name
    assert numbers.of("lambda_async_events_received_total", function_name=name) == 2
    assert numbers.of("hearth_async_events_waiting", function_name=name) == 1
    assert numbers.of("hearth_async_events_overdue_seconds", function_name=name) == 0
    advance(manual, "3m")
    numbers = Numbers(manual)
    assert numbers.of("lambda_async_events_dropped_total", function_name=name) == 1
    assert numbers.of("lambda_async_event_age_seconds_count", function_name=name) == 4
    assert numbers.of("lambda_async_event_age_seconds_sum", function_name=name) == 60 + 180
    assert numbers.of("lambda_async_event_age_seconds_bucket", function_name=name, le="60") == 3
    assert numbers.of("lambda_destination_delivery_failures_total", function_name=name) == 0
    assert numbers.of("lambda_dead_letter_errors_total", function_name=name) == 1
    assert numbers.of("hearth_async_events_waiting", function_name=name) is None
    queue = failures.url.rsplit("/", 1)[1]
    assert numbers.of("hearth_sqs_messages", queue_name=queue) == 1
    advance(manual, "1h")
    assert Numbers(manual).of("hearth_sqs_overdue_seconds", queue_name=queue) == 3600


def test_each_family_is_described_and_no_other(manual):
    families = {family.name: family for family in Numbers(manual).families}
    written = [line for line in GUIDE.read_text().splitlines() if line.startswith("| `")]
    described = {line.split("`")[1].removesuffix("_total") for line in written}
    assert described == set(families)
    assert all(family.documentation for family in families.values())


def test_who_must_sign_signs_for_the_numbers_too(alone):
    server = alone("--auth", "required")
    assert raw.request(server, "GET", PAGE).status == 403
    request = Signed(server, made(server), "GET", PAGE).sign()
    assert raw.request(server, "GET", PAGE, headers=request.headers).status == 200
