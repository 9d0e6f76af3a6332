"""What became of an event: records to functions and to buckets, and nothing lost however often the server is killed."""

import json
import os
import random
import re
import secrets
import threading

from conftest import client_of, deployer, deploys_on, unique
from support.events import SAY, heard, said, send
from support.ledger import clients_of
from support.server import wait_until

deploy = deploys_on("quick")


def arn_of(function):
    return f"arn:aws:lambda:us-east-1:000000000000:function:{function.name}"


def configure(function, success=None, failure=None, **settings):
    sides = {"OnSuccess": {"Destination": success} if success else {}, "OnFailure": {"Destination": failure} if failure else {}}
    function.client.put_function_event_invoke_config(FunctionName=function.name, DestinationConfig=sides, **settings)


def record(run):
    """A record without what differs each time, which is checked."""
    event = run["event"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event.pop("timestamp"))
    assert list(event) == [key for key in ("version", "requestContext", "requestPayload", "responseContext", "responsePayload") if key in event]
    return event


def test_records_of_success_and_failure_go_to_functions(quick, deploy):
    function, well, badly = deploy(SAY), deploy(SAY), deploy(SAY)
    configure(function, arn_of(well), f"{arn_of(badly)}:$LATEST", MaximumRetryAttempts=1)
    good, bad = send(function, {"a": 1}), send(function, {"fail": "no"})
    assert record(heard(quick, well, 1)[0]) == {
        "version": "1.0",
        "requestContext": {"requestId": good, "functionArn": f"{arn_of(function)}:$LATEST", "condition": "Success", "approximateInvokeCount": 1},
        "requestPayload": {"a": 1},
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST"},
        "responsePayload": {"echo": {"a": 1}},
    }
    run = heard(quick, badly, 1)[0]
    assert run["id"] != bad and run["arn"].endswith(":$LATEST")
    failure = record(run)
    payload = failure.pop("responsePayload")
    assert (payload["errorMessage"], payload["errorType"], payload["requestId"]) == ("no", "Exception", bad)
    assert failure == {
        "version": "1.0",
        "requestContext": {"requestId": bad, "functionArn": f"{arn_of(function)}:$LATEST", "condition": "RetriesExhausted", "approximateInvokeCount": 2},
        "requestPayload": {"fail": "no"},
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
    }


def test_a_function_that_may_not_run_fails_at_once(quick, deploy):
    function, failures = deploy(SAY), deploy(SAY)
    configure(function, failure=arn_of(failures))
    function.client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=0)
    sent = send(function, {"a": 1})
    assert record(heard(quick, failures, 1)[0]) == {
        "version": "1.0",
        "requestContext": {"requestId": sent, "functionArn": f"{arn_of(function)}:$LATEST", "condition": "ZeroReservedConcurrency", "approximateInvokeCount": 0},
        "requestPayload": {"a": 1},
    }
    assert said(quick, function) == []


def test_long_payloads_are_left_out_of_records_to_functions(quick, deploy):
    function, well = deploy("def handler(event, context):\n    return len(event)\n"), deploy(SAY)
    configure(function, arn_of(well))
    send(function, "x" * 300_000)
    found = record(heard(quick, well, 1)[0])
    assert "requestPayload" not in found and found["requestContext"]["condition"] == "Success"


def test_records_of_failures_go_to_a_bucket_whole(quick, deploy):
    s3, bucket = clients_of(quick)["s3"], unique("b")
    s3.create_bucket(Bucket=bucket)
    function = deploy("def handler(event, context):\n    raise Exception('no')\n")
    configure(function, failure=f"arn:aws:s3:::{bucket}", MaximumRetryAttempts=0)
    sent = send(function, "x" * 300_000)
    wait_until(lambda: s3.list_objects_v2(Bucket=bucket).get("Contents"), 60, "no object")
    key = s3.list_objects_v2(Bucket=bucket)["Contents"][0]["Key"]
    assert re.fullmatch(rf"aws/lambda/async/{function.name}/\d{{4}}/\d\d/\d\d/\d{{4}}-\d\d-\d\dT\d\d\.\d\d\.\d\d-{sent}", key), key
    found = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    assert found["requestContext"]["requestId"] == sent and found["requestPayload"] == "x" * 300_000


def test_a_bucket_that_comes_late_gets_its_record(quick, deploy):
    s3, bucket = clients_of(quick)["s3"], unique("b")
    function = deploy("def handler(event, context):\n    raise Exception('no')\n")
    configure(function, failure=f"arn:aws:s3:::{bucket}", MaximumRetryAttempts=0)
    send(function, 1)
    wait_until(lambda: "has not taken what it was sent" in quick.log_text(), 60, "no delivery failed")
    s3.create_bucket(Bucket=bucket)
    wait_until(lambda: s3.list_objects_v2(Bucket=bucket).get("Contents"), 60, "no object")


ROUNDS = 6
SENDERS = 4
# Acknowledged events of all senders together between two kills: 1 to this many.
MOST_BETWEEN = 60
POLLERS = 16
# About what a start takes.
START_S = 0.3


class Sender(threading.Thread):
    """Sends events until the server is gone; remembers which were acknowledged."""

    def __init__(self, server, name, numbers, enough):
        super().__init__(daemon=True)
        self.client, self.name_, self.numbers, self.enough = client_of(server), name, numbers, enough
        self.acknowledged, self.wrong = {}, None

    def run(self):
        for number in self.numbers:
            try:
                answer = self.client.invoke(FunctionName=self.name_, InvocationType="Event", Payload=str(number))
                assert answer["StatusCode"] == 202, answer
            except AssertionError as error:
                self.wrong = error
                break
            except Exception:
                break
            self.acknowledged[answer["ResponseMetadata"]["RequestId"]] = number
            self.enough.release()
        self.enough.release()


def records_in(s3, bucket):
    """{request id: [record]}."""
    found = {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for entry in page.get("Contents", []):
            body = json.loads(s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read())
            found.setdefault(body["requestContext"]["requestId"], []).append(body)
    return found


def test_what_was_acknowledged_comes_to_its_end_however_often_the_server_is_killed(alone):
    seed = int(os.environ.get("HEARTH_SEED") or secrets.randbits(32))
    print(f"HEARTH_SEED={seed}")
    chance = random.Random(seed)
    server = alone("--retry-base", "60", "--event-pollers", str(POLLERS))
    deploy, _ = deployer(client_of(server))
    clients_of(server)["s3"].create_bucket(Bucket="ends")
    function = deploy("def handler(event, context):\n    raise Exception(str(event))\n")
    configure(function, failure="arn:aws:s3:::ends", MaximumRetryAttempts=1)
    acknowledged, sent = {}, 0
    for _ in range(ROUNDS):
        enough = threading.Semaphore(0)
        senders = [Sender(server, function.name, range(sent + n, 10**9, SENDERS), enough) for n in range(SENDERS)]
        for sender in senders:
            sender.start()
        for _ in range(chance.randint(1, MOST_BETWEEN)):
            assert enough.acquire(timeout=60), f"HEARTH_SEED={seed}: the senders came to a stand"
        server.kill()
        for sender in senders:
            sender.join()
            assert sender.wrong is None, f"HEARTH_SEED={seed}: {sender.wrong}"
            acknowledged.update(sender.acknowledged)
        sent = max(acknowledged.values(), default=0) + 100
        if chance.random() < 0.5:
            server.start_and_kill(chance.random() * START_S)
        server.start()
    s3 = clients_of(server)["s3"]

    def missing():
        keys = [entry["Key"] for page in s3.get_paginator("list_objects_v2").paginate(Bucket="ends") for entry in page.get("Contents", [])]
        return set(acknowledged) - {key[-36:] for key in keys}

    wait_until(lambda: not missing(), 120, lambda: f"HEARTH_SEED={seed}: {len(missing())} of {len(acknowledged)} have no end")
    found = records_in(s3, "ends")
    for id, number in acknowledged.items():
        for record in found[id]:
            assert record["requestPayload"] == number and record["responsePayload"]["errorMessage"] == str(number), f"HEARTH_SEED={seed}: {record}"
            assert record["requestContext"]["condition"] == "RetriesExhausted"
            assert record["requestContext"]["approximateInvokeCount"] == 2, f"HEARTH_SEED={seed}: {record}"
    # An event ends by one commit, so its record is put once, under one name, however often it is delivered.
    assert all(len(records) == 1 for records in found.values()), f"HEARTH_SEED={seed}"
    server.stop()
