"""Functions that lead to themselves are stopped, unless they are allowed to."""

import json

from conftest import client_of, deployer, deploys_on, unique
from support import raw
from support.clients import service_of
from support.clock import MANUAL, advance
from support.events import SAY, heard, said, send
from support.server import wait_until
from support.sources import OBEY, WAIT_S, arn_of, gone, mapped, passing_on

ROUNDS = 16

deploy = deploys_on("quick")


def invoke(server, function, trace=None):
    headers = [("X-Amzn-Trace-Id", trace)] if trace else []
    return raw.request(server, "POST", f"/2015-03-31/functions/{function.name}/invocations", b"{}", headers)


def test_a_chain_of_invokes_ends(quick, deploy):
    function, other = deploy("def handler(event, context):\n    return 1\n"), deploy("def handler(event, context):\n    return 2\n")
    trace = None
    for n in range(ROUNDS):
        # As an SDK inside the function sends it on, with another function in between.
        for member in (function, other):
            answer = invoke(quick, member, trace)
            assert answer.status == 200, (n, answer)
            trace = answer.headers["x-amzn-trace-id"]
    answer = invoke(quick, function, trace)
    assert (answer.status, answer.error) == (400, "RecursiveInvocationException"), answer
    assert invoke(quick, function).status == 200, "only the chain is ended"
    function.client.put_function_recursion_config(FunctionName=function.name, RecursiveLoop="Allow")
    assert invoke(quick, function, trace).status == 200


def test_functions_that_are_each_others_destinations_come_to_an_end(quick, deploy):
    here, there, failures = deploy(SAY), deploy(SAY), deploy(SAY)
    arn = "arn:aws:lambda:us-east-1:000000000000:function:{}".format

    def lead(function, to):
        sides = {"OnSuccess": {"Destination": arn(to.name)}, "OnFailure": {"Destination": arn(failures.name)}}
        function.client.put_function_event_invoke_config(FunctionName=function.name, DestinationConfig=sides)

    lead(here, there)
    lead(there, here)
    send(here, {"a": 1})
    record = heard(quick, failures, 1)[0]["event"]
    assert (record["requestContext"]["condition"], record["requestContext"]["approximateInvokeCount"]) == ("RetriesExhausted", 0)
    wait_until(lambda: len(said(quick, here)) + len(said(quick, there)) >= 2 * ROUNDS, WAIT_S, "they ended too early")
    assert (len(said(quick, here)), len(said(quick, there))) == (ROUNDS, ROUNDS)


def runs(server, function):
    return len(said(server, function))


def counting(files):
    """The files of a function that says when it runs, before it does what it does."""
    told = "def handler(event, context):\n    print('SAID {}')\n    return handle(event, context)\n"
    return {**files, "app.py": files["app.py"].replace("def handler(", "def handle(") + told}


def test_a_function_that_sends_to_the_queue_that_it_is_polled_from_comes_to_an_end(quick, deploy):
    sqs = service_of(quick, "sqs")
    dead = sqs.create_queue(QueueName=unique("dead"))["QueueUrl"]
    policy = json.dumps({"deadLetterTargetArn": arn_of(dead), "maxReceiveCount": 1})
    url = sqs.create_queue(QueueName=unique("q"), Attributes={"VisibilityTimeout": "15", "RedrivePolicy": policy})["QueueUrl"]
    function = deploy(counting(passing_on()), Timeout=15, Environment={"Variables": {"TO": url, "TRACED": "yes"}})
    uuid = mapped(function, arn_of(url))
    sqs.send_message(QueueUrl=url, MessageBody="round and round")
    found = []
    wait_until(lambda: found.extend(sqs.receive_message(QueueUrl=dead, WaitTimeSeconds=20).get("Messages", [])) or found, WAIT_S, "nothing in the dead-letter queue")
    assert [message["Body"] for message in found] == ["round and round"]
    assert runs(quick, function) == ROUNDS
    function.client.delete_event_source_mapping(UUID=uuid)
    gone(function.client, uuid)


# Publishes what it gets to the topic that its environment names, in the trace that it runs in.
PUBLISH = """
import os, types, urllib.parse, urllib.request
from sigv4 import Signed
def handler(event, context):
    here = types.SimpleNamespace(port=int(os.environ["AWS_ENDPOINT_URL"].rsplit(":", 1)[1]))
    key = {"AccessKeyId": os.environ["AWS_ACCESS_KEY_ID"], "SecretAccessKey": os.environ["AWS_SECRET_ACCESS_KEY"]}
    headers = {"content-type": "application/x-www-form-urlencoded", "x-amzn-trace-id": os.environ["_X_AMZN_TRACE_ID"]}
    asked = {"Action": "Publish", "Version": "2010-03-31", "TopicArn": os.environ["TO"], "Message": event["Records"][0]["Sns"]["Message"]}
    body = urllib.parse.urlencode(asked).encode()
    signed = Signed(here, key, "POST", "/", body, service="sns", headers=headers, token=os.environ["AWS_SESSION_TOKEN"]).sign()
    urllib.request.urlopen(urllib.request.Request(os.environ["AWS_ENDPOINT_URL"] + "/", body, signed.headers, method="POST")).read()
"""


def test_a_function_that_publishes_to_the_topic_that_calls_it_comes_to_an_end(quick, deploy):
    sns = service_of(quick, "sns")
    topic = sns.create_topic(Name=unique("t"))["TopicArn"]
    failures = deploy(SAY)
    function = deploy(counting({**passing_on(), "app.py": PUBLISH}), Environment={"Variables": {"TO": topic}})
    arn = "arn:aws:lambda:us-east-1:000000000000:function:{}".format
    function.client.put_function_event_invoke_config(FunctionName=function.name, DestinationConfig={"OnFailure": {"Destination": arn(failures.name)}})
    function.client.add_permission(FunctionName=function.name, StatementId="s", Action="lambda:InvokeFunction", Principal="sns.amazonaws.com", SourceArn=topic)
    sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=arn(function.name))
    sns.publish(TopicArn=topic, Message="round and round")
    heard(quick, failures, 1)
    assert runs(quick, function) == ROUNDS


def test_a_fifo_queue_keeps_its_order_behind_a_message_that_goes_round(alone):
    server = alone(*MANUAL)
    deploy, _ = deployer(client_of(server))
    sqs, function, trace = service_of(server, "sqs"), deploy(OBEY), None
    for _ in range(ROUNDS):
        trace = raw.request(server, "POST", f"/2015-03-31/functions/{function.name}/invocations", b'{"Records": [{"body": "", "messageId": "m"}]}', [("X-Amzn-Trace-Id", trace)] if trace else []).headers["x-amzn-trace-id"]
    url = sqs.create_queue(QueueName=unique("q") + ".fifo", Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true", "VisibilityTimeout": "30"})["QueueUrl"]
    traced = {"AWSTraceHeader": {"DataType": "String", "StringValue": trace}}
    sqs.send_message(QueueUrl=url, MessageBody="round", MessageGroupId="g", MessageSystemAttributes=traced)
    sqs.send_message(QueueUrl=url, MessageBody="behind", MessageGroupId="g")
    sqs.send_message(QueueUrl=url, MessageBody="beside", MessageGroupId="h")
    mapped(function, arn_of(url))

    def come():
        return [record["body"] for run in said(server, function)[ROUNDS:] for record in run["event"]["Records"]]

    wait_until(lambda: come() == ["beside"], WAIT_S, lambda: f"{come()}")
    for _ in range(2):
        advance(server, "31s")
        assert come() == ["beside"], "nothing gets ahead of what is stopped"
    function.client.put_function_recursion_config(FunctionName=function.name, RecursiveLoop="Allow")
    advance(server, "31s")
    wait_until(lambda: come() == ["beside", "round", "behind"], WAIT_S, lambda: f"{come()}")
