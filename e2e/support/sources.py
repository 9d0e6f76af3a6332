"""What tests of event source mappings share: a function that says which records it got, and obeys them."""

import json
from pathlib import Path

from support import sigv4
from support.clients import service_at
from support.events import heard, said
from support.server import wait_until

# Each record's body may say what the function is to do: {"fail": ...} raises, {"sleep": s} takes long, and {"answer": ...}
# is what it returns, with ID for the record's message.
OBEY = """
import json, time
def handler(event, context):
    began = time.time()
    wishes = []
    for record in event["Records"]:
        try:
            wish = json.loads(record["body"])
        except ValueError:
            wish = None
        wishes.append((wish if isinstance(wish, dict) else {}, record["messageId"]))
    time.sleep(max(wish.get("sleep", 0) for wish, _ in wishes))
    print("SAID " + json.dumps({"event": event, "id": context.aws_request_id, "arn": context.invoked_function_arn, "began": began, "ended": time.time()}))
    failed = []
    for wish, message in wishes:
        if "fail" in wish:
            raise Exception("asked to fail")
        if "answer" in wish:
            return json.loads(json.dumps(wish["answer"]).replace("ID", message))
        if wish.get("report"):
            failed.append({"itemIdentifier": message})
    return {"batchItemFailures": failed}
"""
# Sends the bodies of what it gets on to the queue that its environment names, by the address that functions have.
PASS_ON = """
import json, os, types, urllib.request
from sigv4 import Signed
def handler(event, context):
    here = types.SimpleNamespace(port=int(os.environ["AWS_ENDPOINT_URL"].rsplit(":", 1)[1]))
    key = {"AccessKeyId": os.environ["AWS_ACCESS_KEY_ID"], "SecretAccessKey": os.environ["AWS_SECRET_ACCESS_KEY"]}
    headers = {"x-amz-target": "AmazonSQS.SendMessage", "content-type": "application/x-amz-json-1.0"}
    trace = os.environ.get("_X_AMZN_TRACE_ID")
    for record in event["Records"]:
        asked = {"QueueUrl": os.environ["TO"], "MessageBody": record["body"]}
        if trace and os.environ.get("TRACED"):
            asked["MessageSystemAttributes"] = {"AWSTraceHeader": {"DataType": "String", "StringValue": trace}}
        body = json.dumps(asked).encode()
        signed = Signed(here, key, "POST", "/", body, service="sqs", headers=headers, token=os.environ["AWS_SESSION_TOKEN"]).sign()
        request = urllib.request.Request(os.environ["AWS_ENDPOINT_URL"] + "/", body, signed.headers, method="POST")
        urllib.request.urlopen(request).read()
"""
WAIT_S = 60


def passing_on():
    """The files of a function that passes on."""
    return {"app.py": PASS_ON, "sigv4.py": Path(sigv4.__file__).read_text()}


def sqs_of(server):
    return sqs_at(server.url)


def sqs_at(endpoint):
    return service_at(endpoint, "sqs")


def queue_beside(client, name, **attributes):
    """The ARN of a queue, made where a client's functions are."""
    return arn_of(sqs_at(client.meta.endpoint_url).create_queue(QueueName=name, Attributes=attributes)["QueueUrl"])


def arn_of(url):
    return f"arn:aws:sqs:us-east-1:000000000000:{url.rsplit('/', 1)[1]}"


def settled(client, uuid, state=None):
    """Waits until a mapping is what it was to become."""
    wanted = (state,) if state else ("Enabled", "Disabled")
    wait_until(lambda: client.get_event_source_mapping(UUID=uuid)["State"] in wanted, WAIT_S, lambda: str(client.get_event_source_mapping(UUID=uuid)))
    return client.get_event_source_mapping(UUID=uuid)


def gone(client, uuid):
    """Waits until there is no such mapping any more."""
    def is_gone():
        try:
            client.get_event_source_mapping(UUID=uuid)
        except client.exceptions.ResourceNotFoundException:
            return True
        return False
    wait_until(is_gone, WAIT_S, f"{uuid} is still there")


def mapped(function, source, **args):
    """A mapping from a source to a function, settled; its UUID."""
    made = function.client.create_event_source_mapping(FunctionName=function.name, EventSourceArn=source, **args)
    settled(function.client, made["UUID"])
    return made["UUID"]


def changed(client, uuid, **args):
    """Changes a mapping, and waits until that has taken effect."""
    client.update_event_source_mapping(UUID=uuid, **args)
    return settled(client, uuid)


def records(server, function, count):
    """Waits for so many records; all that have come."""
    def come():
        return [record for run in said(server, function) for record in run["event"]["Records"]]
    wait_until(lambda: len(come()) >= count, WAIT_S, lambda: f"{len(come())} of {count} records")
    return come()


def left(sqs, url):
    """Messages in a queue: visible, hidden."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return tuple(int(attributes[name]) for name in names)


def empty(sqs, url):
    """Waits until a queue has no messages."""
    wait_until(lambda: left(sqs, url) == (0, 0), WAIT_S, lambda: f"{left(sqs, url)} messages in {url}")


def send(sqs, url, *bodies):
    """Sends messages, as JSON where they are no text; their ids."""
    texts = [body if isinstance(body, str) else json.dumps(body) for body in bodies]
    return [sqs.send_message(QueueUrl=url, MessageBody=text)["MessageId"] for text in texts]


__all__ = ["OBEY", "arn_of", "changed", "empty", "gone", "heard", "left", "mapped", "passing_on", "queue_beside", "records", "said", "send", "settled", "sqs_of"]
