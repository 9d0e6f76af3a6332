"""What tests of streams share: an upstream that has streams, in a process of its own, and clients of it."""

import base64
import json
import subprocess
import sys
import uuid

from support import moto
from support.clients import service_of
from support.events import said
from support.server import wait_until

WAIT_S = 90
# Does what the data of its records ask for, and says what it got: {"fail": ...} raises, {"answer": ...} is returned with ID
# for the record's number, {"report": 1} is named among those that failed.
OBEY = """
import base64, json
def handler(event, context):
    print("SAID " + json.dumps({"event": event, "id": context.aws_request_id}))
    failed, answer = [], None
    for record in event["Records"]:
        if "kinesis" in record:
            number = record["kinesis"]["sequenceNumber"]
            text = base64.b64decode(record["kinesis"]["data"]).decode()
        else:
            number = record["dynamodb"]["SequenceNumber"]
            text = record["dynamodb"].get("NewImage", {}).get("wish", {}).get("S", "")
        try:
            wish = json.loads(text)
        except ValueError:
            continue
        if not isinstance(wish, dict):
            continue
        if "fail" in wish:
            raise Exception("asked to fail")
        if "answer" in wish:
            answer = json.loads(json.dumps(wish["answer"]).replace("ID", number))
        if wish.get("report"):
            failed.append({"itemIdentifier": number})
    if answer is not None:
        return answer
    return {"batchItemFailures": failed}
"""


class Upstream:
    """Moto, until it is closed."""

    def __init__(self):
        self.process = subprocess.Popen([sys.executable, moto.__file__, "000000000000"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()

    def client(self, service):
        return service_of(self, service)

    def secret(self, user, password):
        """Its ARN."""
        text = json.dumps({"username": user, "password": password})
        return self.client("secretsmanager").create_secret(Name=f"broker-{uuid.uuid4()}", SecretString=text)["ARN"]

    def args(self):
        return ("--upstream", f"kinesis={self.url}", "--upstream", f"dynamodb={self.url}")

    def close(self):
        self.process.kill()
        self.process.communicate()


def stream_of(kinesis, name, shards=1):
    """A new stream; its ARN."""
    kinesis.create_stream(StreamName=name, ShardCount=shards)
    return kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamARN"]


def put(kinesis, name, *datas, key="test"):
    """Puts records in order; their numbers."""
    texts = [data if isinstance(data, str) else json.dumps(data) for data in datas]
    return [kinesis.put_record(StreamName=name, Data=text.encode(), PartitionKey=key)["SequenceNumber"] for text in texts]


def mapped(function, source, position="TRIM_HORIZON", state="Enabled", **args):
    """A mapping, once it is settled; its UUID."""
    made = function.client.create_event_source_mapping(FunctionName=function.name, EventSourceArn=source, StartingPosition=position, **args)
    assert (made["State"], made["StateTransitionReason"]) == ("Creating", "User action")
    settled(function.client, made["UUID"], state)
    return made["UUID"]


def settled(client, uuid, state):
    wait_until(lambda: client.get_event_source_mapping(UUID=uuid)["State"] == state, WAIT_S, lambda: str(client.get_event_source_mapping(UUID=uuid)))


def resulted(client, uuid, result):
    """Waits for a LastProcessingResult that begins so."""
    def is_there():
        return client.get_event_source_mapping(UUID=uuid)["LastProcessingResult"].startswith(result)
    wait_until(is_there, WAIT_S, lambda: str(client.get_event_source_mapping(UUID=uuid)))


def batches(server, function, count):
    """Waits for so many invokes; the events of all that there were."""
    wait_until(lambda: len(said(server, function)) >= count, WAIT_S, lambda: f"{len(said(server, function))} of {count} invokes")
    return [run["event"] for run in said(server, function)]


def records(server, function, count):
    """Waits for so many records; all that have come, in order."""
    def come():
        return [record for run in said(server, function) for record in run["event"]["Records"]]
    wait_until(lambda: len(come()) >= count, WAIT_S, lambda: f"{len(come())} of {count} records")
    return come()


def texts(records):
    """What was put, of Kinesis's records."""
    return [base64.b64decode(record["kinesis"]["data"]).decode() for record in records]


def numbers(event):
    return [record["kinesis"]["sequenceNumber"] for record in event["Records"]]


def received(sqs, url):
    """Waits for a message; its body, read."""
    found = []
    def is_there():
        found.extend(sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5).get("Messages", []))
        return found
    wait_until(is_there, WAIT_S, "the destination was told nothing")
    return json.loads(found[0]["Body"])
